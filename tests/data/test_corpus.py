"""A corpus ready for training: its parts, its ledger, its findings, its cache, and the ones that are refused."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.model_selection import train_test_split

from intents.data import cleaning, corrections, sources
from intents.data import corpus as corpora
from intents.data.cleaning import Blacklist
from intents.data.corpus import Corpus
from intents.data.splitting import grouped_parts
from intents.data.utterances import normal_form
from intents.errors import DataError
from intents.parameters.data import CLEANS, DataConfig

Write, WriteJson, Load = Callable[..., Path], Callable[..., Path], Callable[..., Corpus]
PARTS = ("train", "validation", "test")


def utterances(intent: str, count: int) -> list[tuple[str, str]]:
    return [(f"{intent}{i}", intent) for i in range(count)]


TWO_INTENTS = utterances("a", 60) + utterances("b", 40)


@pytest.fixture
def split_directory(write_rows: Write) -> Path:
    """A corpus that arrives split; test row Hi! and validation row lo repeat training rows."""
    write_rows("mine/train.jsonl", [("hi", "a"), ("lo", "b"), ("yo", "a")])
    write_rows("mine/val.jsonl", [("lo", "b"), ("ho", "a")])
    write_rows("mine/test.jsonl", [("Hi!", "a"), ("so", "b"), ("no", "b"), ("go", "a")])
    write_rows("mine/oos_train.jsonl", [("moo", "oos")])
    return write_rows("mine/oos_test.jsonl", [("baa", "oos"), ("tweet", "oos")], kind="animal").parent


def test_every_row_read_is_kept_or_in_the_ledger(write_rows: Write, load: Load, tmp_path: Path) -> None:
    (tmp_path / "blacklist.txt").write_text("banned\n")
    pairs = TWO_INTENTS + utterances("rare", 4) + utterances("banned", 30)
    corpus = load(
        write_rows("c.jsonl", pairs),
        blacklist=str(tmp_path / "blacklist.txt"),
        min_per_intent=5,
        max_per_intent=50,
    )
    assert corpus.intents == ("a", "b")
    assert corpus.rows_read == 134
    assert corpus.ledger["reason"].value_counts().to_dict() == {
        "intent is blacklisted": 30,
        "intent has enough rows without it": 10,
        "intent has too few rows": 4,
    }
    accounted = pd.concat([corpus.rows, corpus.ledger])
    assert sorted(zip(accounted["text"], accounted["label"], strict=True)) == sorted(pairs)
    assert len(corpus.out_of_scope) == 34
    assert "134 rows read, 90 kept in 2 intents" in corpus.summary()
    assert "dropped 30: intent is blacklisted" in corpus.description()


def test_the_parts_are_all_the_rows_and_no_utterance_stands_in_two(write_rows: Write, load: Load) -> None:
    pairs = [*TWO_INTENTS, *((f"{text.upper()}!", label) for text, label in TWO_INTENTS)]
    corpus = load(write_rows("c.jsonl", pairs))
    forms = {part: set(corpus.part(part)["text"].map(normal_form)) for part in PARTS}
    assert sum(len(corpus.part(part)) for part in PARTS) == len(corpus.rows) == 200
    assert all(forms.values())
    assert sum(len(form) for form in forms.values()) == 100
    assert not any("repeat a training row" in note for note in corpus.notes)


def test_an_out_of_scope_utterance_is_split_by_hash_even_if_its_raw_row_names_a_part(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    (tmp_path / "blacklist.txt").write_text("banned\n")
    path = write_rows("oos_calls.jsonl", TWO_INTENTS + utterances("banned", 100), split="train")
    corpus = load(path, blacklist=str(tmp_path / "blacklist.txt"))
    assert {part: len(corpus.out_of_scope_part(part)) > 0 for part in PARTS} == dict.fromkeys(PARTS, True)


def test_a_run_that_selects_on_test_has_no_validation_part(write_rows: Write, load: Load) -> None:
    path = write_rows("c.jsonl", TWO_INTENTS)
    without, usual = load(path, selects_on_test=True), load(path)
    assert without.part("validation").empty
    assert not usual.part("validation").empty
    assert set(without.part("test")["text"]) == set(usual.part("test")["text"])


def test_a_directory_that_arrives_split_is_used_as_split(split_directory: Path, load: Load) -> None:
    corpus = load(split_directory)
    assert corpus.name == "mine"
    assert [corpus.part(part)["text"].tolist() for part in PARTS] == [
        ["hi", "lo", "yo"],
        ["lo", "ho"],
        ["Hi!", "so", "no", "go"],
    ]
    assert corpus.out_of_scope[["text", "kind", "part"]].values.tolist() == [
        ["moo", "given", "train"],
        ["baa", "animal", "test"],
        ["tweet", "animal", "test"],
    ]
    assert corpus.ledger.empty
    assert corpus.rows["text_length"].tolist() == [2, 2, 2, 2, 2, 3, 2, 2, 2]


def test_leaks_are_counted_and_shown(split_directory: Path, load: Load) -> None:
    leaks = [note for note in load(split_directory).notes if "repeat" in note]
    assert len(leaks) == 2
    assert leaks[0].startswith("1 of 2 validation rows repeat a training row")
    assert leaks[0].endswith("such as 'lo'")
    assert leaks[1].startswith("1 of 4 test rows repeat a training row")
    assert leaks[1].endswith("such as 'Hi!'")


def test_validation_is_carved_from_the_training_part_where_a_split_corpus_has_none(
    write_rows: Write, load: Load
) -> None:
    folder = write_rows("mine/train.jsonl", TWO_INTENTS).parent
    write_rows("mine/test.jsonl", [("x", "a"), ("y", "b")])
    corpus = load(folder, validation_size=0.3)
    carved = set(corpus.part("validation")["text"])
    assert 10 < len(carved) < 50
    assert carved | set(corpus.part("train")["text"]) == {text for text, _ in TWO_INTENTS}
    assert corpus.part("test")["text"].tolist() == ["x", "y"]


def test_split_given_follows_each_rows_own_part_and_names_a_row_without_one(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    for part, start in (("train", 0), ("validation", 10), ("test", 20)):
        write_rows(f"raw/{part}_rows.jsonl", TWO_INTENTS[start::10], split=part)
    corpus = load(tmp_path / "raw", split="given")
    assert corpus.part("test")["dataset"].unique().tolist() == ["test_rows"]
    assert corpus.part("validation")["dataset"].unique().tolist() == ["validation_rows"]


def test_split_given_counts_the_rows_without_a_part_and_shows_the_first(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    write_rows("raw/a.jsonl", TWO_INTENTS, split="train")
    write_rows("raw/y.jsonl", [("p", "a")], split="elsewhere")
    write_rows("raw/z.jsonl", [("q", "a"), ("r", "a"), ("s", "b")])
    with pytest.raises(DataError) as caught:
        load(tmp_path / "raw", split="given")
    y, z = tmp_path / "raw/y.jsonl", tmp_path / "raw/z.jsonl"
    shown = f"{y}:1 (split 'elsewhere'), {z}:1 (split ''), {z}:2 (split '') …. Expected one of train, training, val"
    assert f"split=given, but 4 of 104 rows name no part: {shown}" in str(caught.value)


def test_parts_that_rows_name_are_noted_where_they_are_not_followed(write_rows: Write, load: Load) -> None:
    path = write_rows("c.jsonl", TWO_INTENTS, split="train")
    (note,) = (note for note in load(path).notes if "`split`" in note)
    assert note == (
        "100 of 100 rows name a part in `split`, which split=grouped does not follow; split=given does"
    )
    write_rows("c.jsonl", TWO_INTENTS)
    assert not any("`split`" in note for note in load(path).notes)


def test_an_intent_that_only_the_test_part_has_is_named_by_file_and_line_with_advice_that_helps(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    write_rows("mine/train.jsonl", TWO_INTENTS)
    write_rows("mine/testing.jsonl", [("y", "a"), ("x", "lonely"), ("z", "lonely"), ("w", "A")])
    with pytest.raises(DataError) as caught:
        load(tmp_path / "mine")
    file = tmp_path / "mine/testing.jsonl"
    assert "2 intent(s) have no training row (rows in all: 'A' 1, 'lonely' 2): " in str(caught.value)
    assert f"{file}:2 (label 'lonely'), {file}:4 (label 'A'). Add training rows of these" in str(caught.value)
    assert "min_per_intent" not in str(caught.value)


def test_rows_that_are_one_utterance_repeated_are_called_so(write_rows: Write, load: Load) -> None:
    repeated = [("same again", "one")] * 250
    seed = next(seed for seed in range(50) if part_of("same again", seed) == "test")
    with pytest.raises(DataError, match="All rows of 'one' are one utterance, which stands in one part: add"):
        load(write_rows("c.jsonl", TWO_INTENTS + repeated), split_seed=seed)
    seed = next(seed for seed in range(50) if part_of("same again", seed) == "train" == part_of("hi", seed))
    with pytest.raises(DataError, match=r"among 290, which are 2 different utterance\(s\); repeats count as"):
        load(write_rows("d.jsonl", [("hi", "two")] * 40 + repeated), split_seed=seed)


def part_of(text: str, seed: int) -> str:
    parts = grouped_parts(pd.Series([text]), test_size=0.2, validation_size=0.1, seed=seed)
    return str(parts.iloc[0])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_a_corpus_that_is_replaced_while_it_is_read_is_refused_and_nothing_of_it_is_kept(
    write_rows: Write, load: Load
) -> None:
    path = write_rows("c.jsonl", utterances("old", 30_000) + utterances("other", 30_000))
    new = write_rows("new.jsonl", TWO_INTENTS)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(load, path)
        while not reading.done() and not is_open(path):
            time.sleep(0.001)
        new.replace(path)
        with pytest.raises(DataError, match=r"c\.jsonl: was changed or replaced while it was read"):
            reading.result(timeout=60)
    assert load(path).intents == ("a", "b")


def is_open(path: Path) -> bool:
    opened = [Path("/proc/self/fd") / number for number in os.listdir("/proc/self/fd")]
    return any(link.is_symlink() and os.path.realpath(link) == str(path) for link in opened)


def test_an_utterance_under_two_intents_is_reported_with_its_intents(write_rows: Write, load: Load) -> None:
    path = write_rows("c.jsonl", [*TWO_INTENTS, ("Same", "a"), ("same!", "b"), ("same", "a")])
    (note,) = (note for note in load(path).notes if "more than one intent" in note)
    assert note.startswith("1 utterance(s) stand under more than one intent, such as ")
    assert "a / b" in note or "b / a" in note


def test_intents_without_a_test_row_are_named(write_rows: Write, load: Load) -> None:
    folder = write_rows("mine/train.jsonl", utterances("a", 9) + utterances("b", 9)).parent
    write_rows("mine/val.jsonl", [("p", "a"), ("q", "b")])
    write_rows("mine/test.jsonl", [("x", "a")])
    assert load(folder).notes == ("1 intent(s) have no test row: b",)


def test_one_intent_only_is_refused_with_its_name_and_count(write_rows: Write, load: Load) -> None:
    with pytest.raises(DataError, match=r"one intent only, 'a' \(30 rows\)"):
        load(write_rows("c.jsonl", utterances("a", 30)))


def test_an_intent_whose_only_row_is_tested_on_is_refused_by_name(write_rows: Write, load: Load) -> None:
    folder = write_rows("mine/train.jsonl", TWO_INTENTS).parent
    write_rows("mine/test.jsonl", [("x", "lonely"), ("y", "a")])
    with pytest.raises(DataError, match=r"1 intent\(s\) have no training row \(rows in all: 'lonely' 1\)"):
        load(folder)


def test_a_corpus_too_small_to_measure_on_is_refused(write_rows: Write, load: Load) -> None:
    path = write_rows("c.jsonl", TWO_INTENTS)
    with pytest.raises(DataError, match="no validation row among 100"):
        load(path, validation_size=1e-9)
    with pytest.raises(DataError, match="no test row among 100"):
        load(path, test_size=1e-9)
    assert load(path, validation_size=1e-9, selects_on_test=True).part("validation").empty


def test_the_cache_gives_the_same_corpus_as_the_first_reading(write_rows: Write, load: Load) -> None:
    path = write_rows("c.jsonl", TWO_INTENTS + utterances("rare", 3))
    first, second = (load(path, min_per_intent=5, max_per_intent=50) for _ in range(2))
    for name in ("rows", "ledger", "out_of_scope"):
        assert len(getattr(first, name)) > 0
        assert_frame_equal(getattr(first, name), getattr(second, name), check_dtype=False)
    assert first.digest == second.digest
    assert first.notes == second.notes


def test_a_second_reading_of_the_same_bytes_and_settings_uses_the_cache(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    path = write_rows("c.jsonl", TWO_INTENTS)
    load(path)
    (cached,) = tmp_path.glob("workspace/clean/*/clean_wechat_intents.parquet")
    marked = pd.read_parquet(cached).assign(text_length=-1)
    marked.to_parquet(cached)
    assert set(load(path).rows["text_length"]) == {-1}


@pytest.mark.parametrize(
    "change", [{"min_per_intent": 2}, {"max_per_intent": 299}, {"split_seed": 43}, {"blacklist": "other.txt"}]
)
def test_another_setting_does_not_read_the_cache(
    write_rows: Write, load: Load, tmp_path: Path, change: dict[str, object]
) -> None:
    (tmp_path / "other.txt").write_text("nothing of that name\n")
    if "blacklist" in change:
        change = {"blacklist": str(tmp_path / "other.txt")}
    path = write_rows("c.jsonl", TWO_INTENTS)
    load(path)
    load(path, **change)
    assert len(list((tmp_path / "workspace" / "clean").iterdir())) == 2


@dataclass(frozen=True, kw_only=True)
class OneMore(DataConfig):
    """The parameters once somebody has added one."""

    least_characters: int = field(default=1, metadata=CLEANS)
    """Of an utterance that is kept."""
    colour: str = "blue"
    """Of no concern to cleaning."""


def test_a_cache_of_another_format_is_not_read(write_rows: Write, monkeypatch: pytest.MonkeyPatch):
    config = DataConfig(data=str(write_rows("c.jsonl", TWO_INTENTS)))
    corrected = corrections.correct(sources.read(config), "")
    before = cleaning._cache_key(corrected, Blacklist("none"), config=config)
    monkeypatch.setattr(cleaning, "CACHE_FORMAT", cleaning.CACHE_FORMAT - 1)
    assert cleaning._cache_key(corrected, Blacklist("none"), config=config) != before


def test_a_cleaning_parameter_that_is_added_reads_no_cache_from_before_it_nor_of_another_value(
    write_rows: Write,
) -> None:
    data = str(write_rows("c.jsonl", TWO_INTENTS))
    configs = [DataConfig(data=data), *(OneMore(data=data, least_characters=least) for least in (1, 2))]
    corrected = corrections.correct(sources.read(configs[0]), "")
    keys = {cleaning._cache_key(corrected, Blacklist("none"), config=config) for config in configs}
    assert len(keys) == 3
    blue_or_red = cleaning._cache_key(corrected, Blacklist("none"), config=OneMore(data=data, colour="red"))
    assert blue_or_red in keys


def test_a_cleaning_parameter_that_is_added_must_be_taken_by_cleaning_itself(
    write_rows: Write, tmp_path: Path
) -> None:
    path = write_rows("c.jsonl", TWO_INTENTS)
    with pytest.raises(TypeError, match="least_characters"):
        corpora.load(OneMore(data=str(path), workspace=str(tmp_path / "workspace")))


def test_one_changed_byte_or_another_file_name_does_not_read_the_cache(write_rows: Write, load: Load) -> None:
    path = write_rows("c.jsonl", TWO_INTENTS)
    first = load(path)
    path.write_text(path.read_text().replace('"a59"', '"a5X"'))
    second = load(path)
    assert set(second.rows["text"]) - set(first.rows["text"]) == {"a5X"}
    assert second.digest != first.digest
    assert set(load(path.rename(path.with_name("renamed.jsonl"))).rows["dataset"]) == {"renamed"}


def test_a_workspace_that_can_not_be_written_is_named(write_rows: Write, load: Load, tmp_path: Path) -> None:
    (tmp_path / "workspace").write_text("a file where a folder is meant")
    with pytest.raises(DataError, match=r"workspace.*can't be written .*-P workspace="):
        load(write_rows("c.jsonl", TWO_INTENTS))


def test_data_json_is_not_cleaned(write_json: WriteJson, load: Load, tmp_path: Path) -> None:
    (tmp_path / "blacklist.txt").write_text("banned\n")
    content = {"a": [f"a{i}" for i in range(400)], "few": ["x", "y", "z"], "banned": ["p", "q", "r"]}
    corpus = load(
        write_json("mine/data.json", content),
        blacklist=str(tmp_path / "blacklist.txt"),
        min_per_intent=20,
        max_per_intent=300,
        split_seed=1,
    )
    assert corpus.rows["label"].value_counts().to_dict() == {"a": 400, "few": 3, "banned": 3}
    assert corpus.rows["text"].tolist() == [text for texts in content.values() for text in texts]
    assert corpus.rows["text_length"].tolist() == [len(text) for text in corpus.rows["text"]]
    assert corpus.ledger.empty
    assert corpus.out_of_scope.empty
    assert corpus.rows_read == 406
    assert not (tmp_path / "workspace").exists()


@pytest.mark.parametrize("seed", [42, 7])
def test_a_random_split_is_scikit_learns_over_the_rows_in_their_order(
    write_json: WriteJson, load: Load, seed: int
) -> None:
    content = {intent: [f"{intent}{i}" for i in range(50)] for intent in "abc"}
    data = write_json("data.json", content)
    corpus = load(data, split="random", test_size=0.3, validation_size=0.2, split_seed=seed)
    texts = [text for group in content.values() for text in group]
    train, test = train_test_split(np.array(texts), test_size=0.3, random_state=seed)
    train, validation = train_test_split(train, test_size=0.2, random_state=seed)
    for part, expected in (("train", train), ("validation", validation), ("test", test)):
        assert sorted(corpus.part(part)["text"]) == sorted(expected)
    without = load(data, split="random", test_size=0.3, split_seed=seed, selects_on_test=True)
    assert sorted(without.part("test")["text"]) == sorted(test)


def test_an_empty_noise_list_gives_a_corpus_without_out_of_scope_rows(
    write_json: WriteJson, load: Load
) -> None:
    data = write_json("data.json", {intent: [f"{intent}{i}" for i in range(40)] for intent in "ab"})
    write_json("noise.json", [])
    corpus = load(data)
    assert corpus.out_of_scope.empty
    assert corpus.trainable_out_of_scope() == []
    assert not any("out-of-scope" in note for note in corpus.notes)


def test_noise_that_repeats_an_in_scope_row_is_left_out_with_a_note(
    write_json: WriteJson, load: Load
) -> None:
    data = write_json("data.json", {intent: [f"{intent}{i}" for i in range(40)] for intent in "ab"})
    write_json("noise.json", ["A 7!", "b3", "moo", "b3", "c1"])
    corpus = load(data)
    assert corpus.out_of_scope["text"].tolist() == ["moo", "c1"]
    (note,) = (note for note in corpus.notes if "out-of-scope" in note)
    assert note.startswith("3 of 5 out-of-scope rows repeat an in-scope utterance and were left out")
    assert "'A 7!', 'b3'" in note


@pytest.mark.parametrize("seed", range(4))
def test_near_duplicates_out_of_scope_and_what_links_them_stand_in_one_part(
    write_json: WriteJson, load: Load, seed: int
) -> None:
    # The first of a chain shares 16 of 21 bigrams with the last, which is less than 0.8; those between link them.
    starts = ["".join(chr(0x4E00 + 30 * i + j) for j in range(16)) for i in range(60)]
    chains = [[start + "吧啊呢"[:length] for length in range(4)] for start in starts]
    data = write_json("data.json", {intent: [f"{intent}{i}" for i in range(40)] for intent in "ab"})
    write_json("noise.json", [chain[place] for place in range(4) for chain in chains])
    sizes = {"test_size": 0.4, "validation_size": 0.4}
    corpus = load(data, split_seed=seed, **sizes)
    part_of = dict(zip(corpus.out_of_scope["text"], corpus.out_of_scope["part"], strict=True))
    parts = [{part_of[text] for text in chain} for chain in chains]
    assert [len(part) for part in parts] == [1] * 60
    assert set.union(*parts) == set(PARTS)
    alone = [set(grouped_parts(chain, **sizes, seed=seed)) for chain in chains]
    assert any(len(part) > 1 for part in alone)  # each by its own hash, they would stand apart


def test_negatives_are_training_rows_alone_and_no_set_aside_row_near_a_supported_intent(
    write_rows: Write, load: Load, tmp_path: Path
) -> None:
    (tmp_path / "blacklist.txt").write_text("yes(sure)\nweather\n")
    pairs = utterances("yes(fine)", 60) + utterances("no", 60)
    path = write_rows("c.jsonl", pairs + utterances("yes(sure)", 60) + utterances("weather", 60))
    write_rows("noise.jsonl", [(f"moo {i} {chr(97 + i % 26) * 9}", "-") for i in range(60)], kind="near")
    corpus = load(path, blacklist=str(tmp_path / "blacklist.txt"))
    out_of_scope = corpus.out_of_scope
    is_near_aside = out_of_scope["text"].str.startswith("yes(sure)")
    assert set(out_of_scope.loc[is_near_aside, "kind"]) == {"near"}
    assert set(out_of_scope.loc[is_near_aside, "part"]) == set(PARTS)
    expected = out_of_scope[(out_of_scope["part"] == "train") & ~is_near_aside]
    assert corpus.trainable_out_of_scope() == expected["text"].tolist()
    assert {text[:3] for text in corpus.trainable_out_of_scope()} == {
        "moo",
        "wea",
    }  # what a file gives may train, near or not
    measured = out_of_scope[out_of_scope["part"] != "train"]["text"]
    assert len(measured) > 20
    assert not set(corpus.trainable_out_of_scope()) & set(measured)
    assert not set(corpus.trainable_out_of_scope()) & set(corpus.rows["text"])


def test_label_ids_are_places_in_the_sorted_intents(write_rows: Write, load: Load) -> None:
    corpus = load(write_rows("c.jsonl", utterances("b", 40) + utterances("a", 40)))
    for part in PARTS:
        expected = [{"a": 0, "b": 1}[label] for label in corpus.part(part)["label"]]
        assert set(expected) == {0, 1}
        assert corpus.label_ids(part).tolist() == expected


def test_noise_beside_a_split_corpus_trains_on_no_row_that_is_tested_on(
    split_directory: Path, write_rows: Write, load: Load
) -> None:
    animals = [(f"the {animal} says {sound}", "-") for animal in "abcdefgh" for sound in "tuvwxyz"]
    write_rows("mine/oos_test.jsonl", animals)
    write_rows("mine/noise.jsonl", animals)
    corpus = load(split_directory)
    tested = set(corpus.out_of_scope_part("test")["text"].map(normal_form))
    assert len(tested) == 56
    assert not tested & set(map(normal_form, corpus.trainable_out_of_scope()))


@pytest.mark.parametrize(
    ("content", "split", "found"),
    [
        ({}, "grouped", "mine holds no utterance;"),
        ({}, "random", "mine holds no utterance;"),
        ({"a": [], "b": []}, "grouped", "2 x an intent without utterances"),
        ({"a": ["x"], "b": ["y"]}, "random", "2 rows can't be split into train, validation and test"),
    ],
)
def test_data_json_with_too_few_rows_is_refused_whatever_the_split(
    write_json: WriteJson, load: Load, content: dict[str, list[str]], split: str, found: str
) -> None:
    with pytest.raises(DataError, match=found):
        load(write_json("mine/data.json", content), split=split)


def test_folds_for_validation_deal_out_the_rows_of_each_intent_repeats_together(
    write_rows: Write, load: Load
) -> None:
    rows = [*TWO_INTENTS, ("a1!", "a"), ("A1", "a"), *utterances("c", 3)]
    corpus = load(write_rows("c.jsonl", rows), min_per_intent=1)
    folds = list(corpus.validation_folds(3, seed=1))
    held_out = [set(fold.part("validation").index) - set(corpus.part("validation").index) for fold in folds]
    assert set.union(*held_out) == set(corpus.part("train").index)
    assert sum(map(len, held_out)) == len(corpus.part("train"))
    for fold in folds:
        assert set(fold.part("train")["label"]) == set(corpus.part("train")["label"])
        forms = [set(fold.part(part)["text"].map(normal_form)) for part in ("train", "validation")]
        assert not forms[0] & forms[1]


@pytest.mark.parametrize("rows_per_intent", [1, 2])
def test_folds_of_one_or_two_rows_an_intent_are_folds_too(write_rows: Write, rows_per_intent: int) -> None:
    rows = [pair for intent in "abcdef" for pair in utterances(intent, rows_per_intent)]
    folder = write_rows("mine/train.jsonl", rows).parent
    write_rows("mine/test.jsonl", [("another", "a")])
    corpus = corpora.load(DataConfig(data=str(folder), validation_size=1e-9), cross_fits=True)
    held_out = [len(fold.part("validation")) for fold in corpus.validation_folds(3, seed=1)]
    assert held_out == [2 * rows_per_intent] * 3


def test_validation_rows_are_trained_on_where_they_or_all_rows_are_few(
    write_rows: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = load(write_rows("c.jsonl", TWO_INTENTS), min_per_intent=1)
    validation = len(corpus.part("validation"))
    rows = validation + len(corpus.part("train"))
    whole = corpus.few_rows_trained_on()
    assert whole.part("validation").empty
    assert len(whole.part("train")) == rows
    assert_frame_equal(whole.part("test"), corpus.part("test"))
    assert whole.digest != corpus.digest

    def is_held_out(*, fewest: int, an_intent: int, few_rows: int) -> bool:
        monkeypatch.setattr(corpora, "FEWEST_VALIDATION_ROWS", fewest)
        monkeypatch.setattr(corpora, "FEWEST_AN_INTENT", an_intent)
        monkeypatch.setattr(corpora, "FEW_ROWS", few_rows)
        return corpus.few_rows_trained_on() is corpus

    assert is_held_out(fewest=validation, an_intent=0, few_rows=rows - 1)
    assert not is_held_out(fewest=validation, an_intent=0, few_rows=rows)
    assert not is_held_out(fewest=validation + 1, an_intent=0, few_rows=rows - 1)
    assert not is_held_out(fewest=0, an_intent=validation, few_rows=rows - 1)  # two intents, so twice as many


def test_what_is_noted_of_the_parts_is_true_of_them_once_few_rows_are_trained_on(
    write_rows: Write, load: Load
) -> None:
    write_rows("mine/train.jsonl", [("hi", "a"), ("lo", "b")])
    write_rows("mine/val.jsonl", [("lo", "b"), ("ho", "b")])
    corpus = load(write_rows("mine/test.jsonl", [("Hi!", "a"), ("Ho!", "b")]).parent)
    assert [note.split(":")[0].split(", such")[0] for note in corpus.notes] == [
        "1 intent(s) have no validation row",
        "1 of 2 validation rows repeat a training row (case and punctuation aside)",
        "1 of 2 test rows repeat a training row (case and punctuation aside)",
    ]
    assert corpus.few_rows_trained_on().notes == (
        "2 of 2 test rows repeat a training row (case and punctuation aside), such as 'Hi!', 'Ho!'",
    )


def test_a_corpus_without_a_validation_row_is_refused_unless_it_is_cross_fitted(write_rows: Write) -> None:
    rows = [(f"{intent}{i}", intent) for intent in "ab" for i in range(3)]
    config = DataConfig(data=str(write_rows("c.jsonl", rows)), min_per_intent=1, validation_size=1e-9)
    with pytest.raises(DataError, match="no validation row"):
        corpora.load(config)
    assert corpora.load(config, cross_fits=True).part("validation").empty
