"""What is set aside for its intent: which corpora a blacklist is for, what looks like a supported intent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from intents.data import cleaning
from intents.data.corpus import Corpus
from intents.errors import DataError

ROOT = Path(__file__).parents[2]
Load = Callable[..., Corpus]
Write = Callable[..., Path]


def rows(**counts: int) -> list[tuple[str, str]]:
    return [(f"{intent} {i}", intent) for intent, count in counts.items() for i in range(count)]


@pytest.fixture
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled blacklist is found from the project's folder."""
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("in_the_project")
def test_ordinary_intents_of_a_corpus_of_ones_own_are_kept_though_the_source_corpora_list_them(
    write_rows: Write, load: Load
) -> None:
    corpus = load(write_rows("mine.jsonl", rows(退款=30, 投诉=30, 转人工=30)), blacklist="auto")
    assert corpus.intents == ("投诉", "转人工", "退款")
    assert corpus.ledger.empty
    assert corpus.out_of_scope.empty
    assert "set aside" not in corpus.description()


@pytest.mark.usefixtures("in_the_project")
@pytest.mark.parametrize("name", ["telemarketing_intent_cn.jsonl", "crosswoz.jsonl"])
def test_of_a_source_corpus_they_are_set_aside_and_named_before_all_else(
    name: str, write_rows: Write, load: Load
) -> None:
    source = write_rows(name, rows(greet=30, thank=30, 退款=8, 转人工=12))
    mine = write_rows("mine.jsonl", rows(退款=25))
    corpus = load(f"{source},{mine}", blacklist="auto", min_per_intent=20)
    assert corpus.intents == ("greet", "thank", "退款")
    assert set(corpus.ledger["dataset"]) == {source.stem}
    assert corpus.ledger["reason"].value_counts().to_dict() == {cleaning.BLACKLISTED: 20}
    assert corpus.notes[0] == (
        f"set aside, 20 rows of 2 intents ('转人工' 12, '退款' 8): on the blacklist (assets/blacklist.txt, for "
        f"{source.stem} alone); blacklist=none keeps them"
    )
    assert corpus.opening().splitlines()[1] == f"note: {corpus.notes[0]}"
    assert corpus.description().splitlines()[2] == f"note: {corpus.notes[0]}"
    # 退款 is an intent of the other file: no row of that name is out-of-scope.
    assert {text.split()[0] for text in corpus.out_of_scope["text"]} == {"转人工"}


def test_none_sets_nothing_aside_and_a_file_is_for_all_corpora(
    tmp_path: Path, write_rows: Write, load: Load
) -> None:
    data = write_rows("crosswoz.jsonl", rows(greet=30, thank=30, 退款=30))
    assert load(data, blacklist="none").intents == ("greet", "thank", "退款")
    (tmp_path / "list.txt").write_text("thank\n")
    corpus = load(data, blacklist=str(tmp_path / "list.txt"))
    assert corpus.intents == ("greet", "退款")
    assert f"('thank' 30): on the blacklist ({tmp_path}/list.txt);" in corpus.notes[0]


def test_a_source_corpus_whose_list_is_not_there_is_refused(
    tmp_path: Path, write_rows: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"assets/blacklist.txt: the blacklist can't be read .* blacklist=none"
    ):
        load(write_rows("crosswoz.jsonl", rows(greet=30, thank=30)), blacklist="auto")


def test_a_cleaning_with_a_list_is_not_taken_for_one_without(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    data = write_rows("mine.jsonl", rows(greet=30, thank=30, 退款=30))
    (tmp_path / "list.txt").write_text("退款\n")
    kept = [len(load(data, blacklist=name).intents) for name in ("none", str(tmp_path / "list.txt"), "none")]
    assert kept == [3, 2, 3]


def test_every_intent_set_aside_as_too_rare_is_named_with_its_rows(write_rows: Write, load: Load) -> None:
    corpus = load(write_rows("c.jsonl", rows(a=30, b=30, odd=3, lone=1, few=19)), min_per_intent=20)
    assert corpus.notes[0] == (
        "set aside, 23 rows of 3 intents ('few' 19, 'odd' 3, 'lone' 1): fewer than 20 rows; gather more, or lower "
        "min_per_intent"
    )
    assert set(corpus.ledger["reason"]) == {cleaning.RARE}


def test_what_looks_like_a_supported_intent_is_named_and_never_out_of_scope(
    write_rows: Write, load: Load
) -> None:
    """Twelve of fifty rows of 问候 with a zero-width space were taken for far negatives, and trained against."""
    pairs = rows(问候=38, 道别=30, 天气=5)
    pairs += [(f"您好 {i}", "问候\u200b") for i in range(12)] + [(f"再会 {i}", "道  别") for i in range(2)]
    corpus = load(write_rows("c.jsonl", pairs), min_per_intent=20)
    assert corpus.intents == ("道别", "问候")
    assert {text.split()[0] for text in corpus.out_of_scope["text"]} == {"天气"}
    assert set(corpus.trainable_out_of_scope()) <= {f"天气 {i}" for i in range(5)}
    assert corpus.ledger.groupby("reason").size().to_dict() == {cleaning.RARE: 5, cleaning.RARE_LOOKALIKE: 14}
    assert "'问候\\u200b' 12 (looks like '问候'), '天气' 5, '道  别' 2 (looks like '道别')" in corpus.notes[0]
    assert (
        "look alike and stay apart (rows): '问候' 38 / '问候\\u200b' 12; '道别' 30 / '道  别' 2"
        in corpus.notes[1]
    )


def test_names_that_look_alike_are_told_of_a_corpus_that_is_not_cleaned_too(
    write_json: Write, load: Load
) -> None:
    names = ("café", "cafe\u0301", "Café", "tea")
    data = write_json("mine/data.json", {name: [f"{name} {i}" for i in range(20)] for name in names})
    corpus = load(data)
    assert len(corpus.intents) == 4
    (note,) = (note for note in corpus.notes if "look alike" in note)
    assert "'Café' 20 / 'café' 20 / 'cafe\\u0301' 20." in note


def test_a_near_intent_is_known_by_its_stem_however_it_is_written(write_rows: Write, load: Load) -> None:
    pairs = [*rows(不要=30), *[(f"好的 {i}", "肯定(好的)") for i in range(30)]]
    pairs += [(f"没问题 {i}", "肯定 （没问题）") for i in range(3)]
    corpus = load(write_rows("c.jsonl", pairs), min_per_intent=20)
    assert set(corpus.out_of_scope["kind"]) == {cleaning.NEAR}
    assert corpus.trainable_out_of_scope() == []
