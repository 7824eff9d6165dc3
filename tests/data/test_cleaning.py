"""Cleaning: what is dropped and why, what is capped, and what becomes of the rest."""

from pathlib import Path

import pandas as pd
import pytest

from intents.data import cleaning
from intents.data.cleaning import Blacklist
from intents.errors import DataError

BUNDLED_BLACKLIST = Path(__file__).parents[2] / "assets" / "blacklist.txt"
# DESIGN.md, section 3.
DESIGNED_BLACKLIST = """
查询类 查询(产品信息) 查询(价格) 查询(优惠) 查询(库存) 查询(物流) 查询(订单) 查询(账户) 查询(余额)
实体(产品) 实体(价格) 实体(时间) 实体(地点) 实体(人名) 实体(公司) 实体识别 产品推荐 促销活动 优惠信息 下单
支付 退款 投诉 售后 政治敏感 污言秽语 色情低俗 暴力血腥 违法犯罪 广告营销 诈骗信息 肯定(没问题) 否定(没有)
转人工 挂断电话 保持通话 重复 澄清 确认信息 核实身份 录音提示 系统提示
"""


def corpus(**counts: int) -> pd.DataFrame:
    """That many rows of each intent, interleaved as little as a file of one intent after the other."""
    pairs = [(f"{intent} {i}", intent) for intent, count in counts.items() for i in range(count)]
    rows = pd.DataFrame(pairs, columns=["text", "label"], dtype=object)
    return rows.assign(dataset="d", split="", line=range(1, len(rows) + 1))


def clean(rows: pd.DataFrame, *blacklist: str, minimum: int = 3, maximum: int = 4, seed: int = 42):
    return cleaning.clean(
        rows,
        Blacklist("b", frozenset(blacklist)),
        min_per_intent=minimum,
        max_per_intent=maximum,
        split_seed=seed,
    )


def pairs(*tables: pd.DataFrame) -> list[tuple[str, str]]:
    return sorted(pair for table in tables for pair in zip(table["text"], table["label"], strict=True))


ROWS = corpus(zebra=6, plain=3, rare=2, banned=5, scarce_and_banned=1)
BANNED = ("banned", "scarce_and_banned", "absent")


def test_each_dropped_row_is_in_the_ledger_with_its_reason() -> None:
    cleaned = clean(ROWS, *BANNED)
    reasons = cleaned.ledger.groupby("label")["reason"].agg(["unique", "size"])
    assert {label: (*row["unique"], row["size"]) for label, row in reasons.iterrows()} == {
        "zebra": (cleaning.OVER_CAP, 2),
        "rare": (cleaning.RARE, 2),
        "banned": (cleaning.BLACKLISTED, 5),
        "scarce_and_banned": (cleaning.BLACKLISTED, 1),
    }
    assert cleaned.rows["label"].value_counts().to_dict() == {"zebra": 4, "plain": 3}


def test_kept_and_dropped_rows_together_are_the_rows_read() -> None:
    cleaned = clean(ROWS, *BANNED)
    assert pairs(cleaned.rows, cleaned.ledger) == pairs(ROWS)
    assert len(cleaned.ledger) == 10


def test_an_intent_with_exactly_the_minimum_or_the_maximum_is_kept_whole() -> None:
    cleaned = clean(corpus(a=3, b=4))
    assert pairs(cleaned.rows) == pairs(corpus(a=3, b=4))
    assert cleaned.ledger.empty
    assert cleaned.set_aside.empty


def test_rows_are_sampled_and_shuffled_as_the_source_notebook_did() -> None:
    rows = corpus(b=6, a=7, c=4)
    by_hand = [rows[rows["label"] == label].sample(n=4, random_state=7) for label in ("a", "b")]
    expected = pd.concat([*by_hand, rows[rows["label"] == "c"]]).sample(frac=1.0, random_state=7)
    assert clean(rows, seed=7).rows["text"].tolist() == expected["text"].tolist()


def test_text_length_counts_characters() -> None:
    rows = corpus(a=3, b=3)
    rows.loc[0, "text"] = "三个字 😀"
    lengths = clean(rows).rows.set_index("text")["text_length"]
    assert lengths["三个字 😀"] == 5
    assert lengths["b 1"] == 3


def test_rows_dropped_for_their_intent_become_out_of_scope_near_where_a_supported_intent_has_their_stem() -> (
    None
):
    rows = pd.concat(
        [corpus(**{"肯定(好的)": 9, "问候": 3, "肯定(没问题)": 1, "否定（没有）": 2, "问候（晚上）": 1})],
        ignore_index=True,
    )
    aside = clean(rows, "肯定(没问题)").set_aside
    assert dict(zip(aside["text"], aside["kind"], strict=True)) == {
        "肯定(没问题) 0": "near",
        "否定（没有） 0": "far",
        "否定（没有） 1": "far",
        "问候（晚上） 0": "near",
    }
    assert "label" not in aside


def test_cleaning_that_would_leave_nothing_says_what_took_the_rows() -> None:
    with pytest.raises(DataError, match=r"5 of 7 rows are of blacklisted intents and 2 of .* fewer than 3"):
        clean(corpus(rare=2, banned=5), "banned")


def test_the_bundled_blacklist_is_the_designed_one_of_42() -> None:
    designed = set(DESIGNED_BLACKLIST.split())
    assert len(designed) == 42
    assert cleaning.read_blacklist(BUNDLED_BLACKLIST) == designed


def test_a_blacklist_may_have_remarks_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "blacklist.txt"
    path.write_bytes("\ufeff# 不要\r\n转人工 \r\n\r\n否定(没有)\n".encode())
    assert cleaning.read_blacklist(path) == {"转人工", "否定(没有)"}


def test_a_blacklist_that_can_not_be_read_is_refused(tmp_path: Path, fifo: Path) -> None:
    (tmp_path / "utf16.txt").write_text("转人工", encoding="utf-16")
    for path in (tmp_path / "absent.txt", tmp_path, tmp_path / "utf16.txt", fifo):
        with pytest.raises(DataError, match=f"{path}: the blacklist can't be read"):
            cleaning.read_blacklist(path)
