"""Corrections: each does what it says to its own rows and no others; what can't be meant is refused with its line."""

import contextlib
import csv
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from intents.data import cleaning
from intents.data.corpus import Corpus
from intents.errors import DataError

Write, Load = Callable[..., Path], Callable[..., Corpus]
COLUMNS = ["dataset", "text", "label", "action", "new_label"]
ROWS = [(f"{intent}{i}", intent) for intent in "ab" for i in range(60)]


@pytest.fixture
def decide(tmp_path: Path) -> Callable[..., str]:
    """Writes a file of corrections; each is (text, label, action, new_label, line) of dataset c, unless told."""

    def write(*decisions: tuple[str, ...], columns: list[str] | None = None, dataset: str = "c") -> str:
        path = tmp_path / "corrections.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(columns or [*COLUMNS, "line"])
            writer.writerows((dataset, *decision) for decision in decisions)
        return str(path)

    return write


def labelled(corpus: Corpus) -> dict[str, str]:
    return dict(zip(corpus.rows["text"], corpus.rows["label"], strict=True))


def test_a_row_is_dropped_relabelled_or_kept_and_the_others_stay_as_they_were(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", ROWS)
    before = labelled(load(path))
    decisions = decide(
        ("a3", "a", "drop", "", ""), ("b7", "b", " Relabel ", "a", "68"), ("a5", "a", "keep", "", "6")
    )
    corpus = load(path, corrections=decisions)
    assert labelled(corpus) == {text: label for text, label in before.items() if text != "a3"} | {"b7": "a"}
    assert corpus.ledger[["text", "label", "reason"]].values.tolist() == [["a3", "a", "correction: dropped"]]
    assert corpus.rows_read == len(corpus.rows) + len(corpus.ledger) == 120
    assert "dropped 1: correction: dropped (of 1 intents)" in corpus.description()
    (note,) = (note for note in corpus.notes if note.startswith("corrections"))
    assert "1 row(s) dropped, 1 relabelled, 0 now out-of-scope, 1 kept as they are" in note
    assert corpus.digest != load(path).digest


def test_lines_without_an_action_decide_nothing(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", ROWS)
    corpus = load(path, corrections=decide(("a3", "a", "", "", "4"), ("nowhere", "x", " ", "", "")))
    assert corpus.digest == load(path).digest
    assert corpus.corrections == ()


def test_the_cache_is_keyed_by_what_the_corrections_say(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", ROWS)
    assert "a3" in labelled(load(path))
    assert "a3" not in labelled(load(path, corrections=decide(("a3", "a", "drop", "", ""))))
    again = labelled(load(path, corrections=decide(("a4", "a", "drop", "", ""))))
    assert ("a3" in again, "a4" in again) == (True, False)
    assert {"a3", "a4"} <= labelled(load(path)).keys()


def test_of_equal_rows_the_one_at_its_line_is_meant_and_all_without_a_line(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", [*ROWS, ("same", "a"), ("same", "a")])
    one = load(path, corrections=decide(("same", "a", "drop", "", "122")))
    assert one.rows.loc[one.rows["text"] == "same", "line"].tolist() == [121]
    assert "same" not in labelled(load(path, corrections=decide(("same", "a", "drop", "", ""))))
    with pytest.raises(
        DataError, match=r"csv:2: its line is none of its rows': 2 rows are alike, at lines 121, 122"
    ):
        load(path, corrections=decide(("same", "a", "drop", "", "7")))


def test_a_single_row_is_found_though_its_line_has_moved(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", [("new", "a"), *ROWS])
    assert "a3" not in labelled(load(path, corrections=decide(("a3", "a", "drop", "", "4"))))


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (("a3", "b", "drop", "", ""), "matches no row: 'a3' under 'b' in 'c'"),
        (("a3 ", "a", "drop", "", ""), "matches no row"),
        (("a3", "a", "delete", "", ""), "an unknown action: 'delete'"),
        (("a3", "a", "relabel", " ", ""), "relabel without a new_label: 'a3'"),
        (("a3", "a", "", "b", ""), "a new_label without the action relabel: 'b'"),
        (("a3", "a", "drop", "b", ""), "a new_label without the action relabel: 'b'"),
        (("a3", "a", "relabel", "a", ""), "relabelled to the intent it has"),
        (
            ("a3", "a", "relabel", "Unknown", ""),
            "new_label is no intent of the corpus: 'Unknown'; or out-of-scope",
        ),
        (("a3", "a", "drop", "", "four"), "line is not a number: 'four'"),
        (("a3", "a", "drop"), "another number of fields than the header: 4, the header has 6"),
    ],
)
def test_a_correction_that_can_not_be_meant_is_refused_with_its_line(
    decision: tuple[str, ...], said: str, write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    file = decide(("a1", "a", "drop", "", ""), decision)
    with pytest.raises(DataError) as caught:
        load(write_rows("c.jsonl", ROWS), corrections=file)
    assert f"corrections.csv:3: {said}" in str(caught.value)
    assert "1 problem(s) in the corrections" in str(caught.value)
    assert "action one of keep, drop, relabel" in str(caught.value)


def test_every_correction_that_is_refused_is_named_at_once(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    file = decide(("x", "a", "drop", "", ""), ("a1", "a", "drop", "", ""), ("y", "a", "drop", "", ""))
    with pytest.raises(DataError, match=r"(?s)2 problem\(s\).*csv:2: .*csv:4: "):
        load(write_rows("c.jsonl", ROWS), corrections=file)


def test_two_decisions_on_one_row_are_refused_and_the_same_one_twice_is_not(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", ROWS)
    twice = decide(("a1", "a", "drop", "", ""), ("a1", "a", "drop", "", "2"))
    assert len(load(path, corrections=twice).ledger) == 1
    with pytest.raises(DataError, match=r"csv:3: a row is decided in two ways: line 2 says drop"):
        load(path, corrections=decide(("a1", "a", "drop", "", ""), ("a1", "a", "keep", "", "2")))


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column_is_named(
    missing: str, write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    file = decide(columns=[name for name in COLUMNS if name != missing])
    with pytest.raises(DataError, match=rf"csv:1: a column is missing: {missing}"):
        load(write_rows("c.jsonl", ROWS), corrections=file)


def test_a_sheet_that_excel_saved_in_gbk_is_read_and_noted(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    path = write_rows("c.jsonl", [*ROWS, ("我想查询一下这个订单的状态，可以吗", "a")])
    sheet = tmp_path / "f.csv"
    lines = ["text,label,dataset,action,new_label", "我想查询一下这个订单的状态，可以吗,a,c,drop,"]
    sheet.write_bytes("\r\n".join(lines).encode("gbk"))
    corpus = load(path, corrections=str(sheet))
    assert "我想查询一下这个订单的状态，可以吗" not in set(corpus.rows["text"])
    assert f"{sheet}: it is not UTF-8 and was read as GB18030 (GBK), by all its bytes" in corpus.notes


def test_a_file_that_is_not_there_or_empty_is_refused(write_rows: Write, load: Load, tmp_path: Path) -> None:
    path = write_rows("c.jsonl", ROWS)
    with pytest.raises(DataError, match=r"nowhere\.csv: expected a readable \.csv file, found nothing"):
        load(path, corrections=str(tmp_path / "nowhere.csv"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty\.csv: the file holds no columns"):
        load(path, corrections=str(tmp_path / "empty.csv"))


@pytest.mark.parametrize("seed", range(20))
def test_damaged_bytes_are_refused_and_never_break_it(
    seed: int, write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    generator = random.Random(seed)
    file = Path(decide(("a1", "a", "drop", "", "2"), ("b1", "b", "relabel", "a", "")))
    damaged = bytearray(file.read_bytes())
    for _ in range(5):
        damaged[generator.randrange(len(damaged))] = generator.randrange(256)
    file.write_bytes(damaged)
    with contextlib.suppress(DataError):
        load(write_rows("c.jsonl", ROWS), corrections=str(file))


def test_a_relabelled_row_is_cleaned_as_one_of_its_new_intent(
    write_rows: Write, load: Load, decide: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "blacklist.txt").write_text("banned\n")
    rows = [*ROWS, *((f"r{i}", "rare") for i in range(4)), ("x0", "banned"), ("y0", "banned")]
    path = write_rows("c.jsonl", rows)
    settings = {"blacklist": str(tmp_path / "blacklist.txt"), "min_per_intent": 5}
    assert "rare" not in load(path, **settings).intents
    file = decide(
        ("a1", "a", "relabel", "rare", ""),
        ("a2", "a", "relabel", "banned", ""),
        ("x0", "banned", "relabel", "b", ""),
    )
    corpus = load(path, corrections=file, **settings)
    assert corpus.intents == ("a", "b", "rare")
    assert labelled(corpus)["a1"] == "rare"
    assert labelled(corpus)["x0"] == "b"
    assert corpus.ledger[["text", "reason"]].values.tolist() == [
        ["a2", cleaning.BLACKLISTED],
        ["y0", cleaning.BLACKLISTED],
    ]
    assert sorted(corpus.out_of_scope["text"]) == ["a2", "y0"]


def test_below_the_cap_a_correction_changes_its_own_row_and_at_most_one_other(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", [(f"{intent}{i}", intent) for intent in "ab" for i in range(200)])
    before = set(load(path, max_per_intent=100).rows["text"])
    kept = sorted(text for text in before if text.startswith("a"))
    left_out = sorted({f"a{i}" for i in range(200)} - before)
    assert len(kept) == len(left_out) == 100
    dropped = load(path, max_per_intent=100, corrections=decide((kept[0], "a", "drop", "", "")))
    after = set(dropped.rows["text"])
    assert before - after == {kept[0]}
    assert len(after - before) == 1
    assert after - before < set(left_out)
    # A row that was left out of the other intent comes in with its new label: a person has looked at it.
    moved = load(path, max_per_intent=100, corrections=decide((left_out[0], "a", "relabel", "b", "")))
    after = set(moved.rows["text"])
    assert after - before == {left_out[0]}
    assert len(before - after) == 1
    assert labelled(moved)[left_out[0]] == "b"


def test_an_out_of_scope_row_leaves_its_intent_and_is_an_out_of_scope_one(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", ROWS)
    corpus = load(path, corrections=decide(("a3", "a", "relabel", "out-of-scope", "")))
    assert "a3" not in labelled(corpus)
    assert corpus.out_of_scope[["text", "kind"]].values.tolist() == [["a3", "corrected"]]
    assert corpus.ledger["reason"].tolist() == ["correction: out-of-scope"]
    assert corpus.rows_read == len(corpus.rows) + len(corpus.ledger)
    assert "1 now out-of-scope" in corpus.notes[0]


def test_a_corpus_that_arrives_split_is_corrected_in_every_part(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    folder = write_rows("mine/train.jsonl", ROWS).parent
    write_rows("mine/val.jsonl", [("p", "a"), ("q", "b")])
    write_rows("mine/test.jsonl", [("x", "a"), ("y", "b"), ("z", "b"), ("w", "a")])
    file = decide(
        ("a0", "a", "drop", "", "1"), ("y", "b", "relabel", "a", "2"), ("z", "b", "relabel", "out-of-scope", ""),
        *((f"a{i}", "a", "relabel", "out-of-scope", "") for i in range(40, 60)),
        dataset="mine",
    )  # fmt: skip
    corpus = load(folder, corrections=file)
    assert corpus.part("train")["text"].tolist() == [text for text, _ in (*ROWS[1:40], *ROWS[60:])]
    assert corpus.part("validation")["text"].tolist() == ["p", "q"]
    assert corpus.part("test")[["text", "label"]].values.tolist() == [["x", "a"], ["y", "a"], ["w", "a"]]
    assert corpus.out_of_scope_part("test")["text"].tolist() == ["z"]
    assert sorted(corpus.out_of_scope_part("train")["text"]) == [f"a{i}" for i in range(40, 60)]
    assert len(corpus.ledger) == 22
    assert list(corpus.rows.index) == list(range(len(corpus.rows)))


@pytest.mark.parametrize("split", ["grouped", "random", "stratified"])
def test_the_parts_of_a_corrected_data_json_are_whole(
    split: str, write_json: Write, load: Load, decide: Callable[..., str]
) -> None:
    data = write_json("data.json", {intent: [f"{intent}{i}" for i in range(60)] for intent in "ab"})
    corpus = load(data, split=split, corrections=decide(("a3", "a", "drop", "", "4"), dataset="data"))
    assert len(corpus.rows) == 119
    assert set(corpus.rows["part"]) == {"train", "validation", "test"}
    assert "a3" not in labelled(corpus)


def test_the_files_themselves_stay_as_they_are(
    write_rows: Write, load: Load, decide: Callable[..., str]
) -> None:
    path = write_rows("c.jsonl", ROWS)
    before = path.read_bytes()
    file = Path(decide(("a3", "a", "drop", "", "")))
    decisions = file.read_bytes()
    load(path, corrections=str(file))
    assert (path.read_bytes(), file.read_bytes()) == (before, decisions)
    assert pd.read_csv(file)["text"].tolist() == ["a3"]
