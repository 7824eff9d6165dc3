"""Out-of-scope rows that arrive split: none is trained on when something like it is measured."""

from collections.abc import Callable
from pathlib import Path

import pytest

from intents.data.corpus import Corpus

Write, Load = Callable[..., Path], Callable[..., Corpus]
IN_SCOPE = [(f"{intent}{i}", intent) for intent in "ab" for i in range(10)]
QUESTION = "how many moons does jupiter have"


@pytest.fixture
def folder(write_rows: Write) -> Path:
    """A corpus that arrives split, as yet without an out-of-scope row."""
    for part in ("train", "val", "test"):
        path = write_rows(f"mine/{part}.jsonl", IN_SCOPE)
    return path.parent


def write_noise(write_rows: Write, **parts: list[str]) -> None:
    for part, texts in parts.items():
        write_rows(f"mine/oos_{part}.jsonl", [(text, "oos") for text in texts])


@pytest.mark.parametrize("measured", ["val", "test"])
def test_a_training_row_near_a_measured_one_keeps_its_part_but_is_not_trained_on(
    folder: Path, write_rows: Write, load: Load, measured: str
) -> None:
    near = [f"{QUESTION} now", f"{QUESTION}?", QUESTION.upper()]
    write_noise(write_rows, train=[*near, "who won the cup"], **{measured: [QUESTION, "sing a song"]})
    corpus = load(folder)
    rows = corpus.out_of_scope
    assert rows.loc[rows["part"] == "train", "text"].tolist() == [*near, "who won the cup"]
    assert rows.loc[rows["text"].isin(near), "may_train"].tolist() == [False] * 3
    assert corpus.trainable_out_of_scope() == ["who won the cup"]
    assert len(corpus.out_of_scope_part({"val": "validation"}.get(measured, measured))) == 2


def test_the_training_rows_held_back_are_counted_and_shown_with_what_they_resemble(
    folder: Path, write_rows: Write, load: Load
) -> None:
    write_noise(write_rows, train=[f"{QUESTION} now", "who won the cup"], test=[QUESTION])
    (note,) = (note for note in load(folder).notes if "near-duplicates" in note)
    assert note == (
        "1 of 2 out-of-scope training rows are near-duplicates of validation or test ones and are not trained "
        f"on, such as '{QUESTION} now' (near '{QUESTION}')"
    )


def test_a_training_row_that_a_chain_links_to_a_measured_one_is_not_trained_on(
    folder: Path, write_rows: Write, load: Load
) -> None:
    # abcdefghijkl shares 12 of 16 bigrams with the measured row, less than 0.8; the row between links them.
    write_noise(write_rows, train=["abcdefghijkl", "abcdefghijklm"], test=["abcdefghijklmn"])
    assert load(folder).trainable_out_of_scope() == []


def test_training_rows_that_resemble_only_each_other_are_trained_on_and_nothing_is_noted(
    folder: Path, write_rows: Write, load: Load
) -> None:
    write_noise(
        write_rows, train=[QUESTION, f"{QUESTION} now"], val=["sing a song"], test=["who won the cup"]
    )
    corpus = load(folder)
    assert corpus.trainable_out_of_scope() == [QUESTION, f"{QUESTION} now"]
    assert not any("near-duplicates" in note for note in corpus.notes)


def test_noise_that_resembles_rows_in_train_and_in_test_is_measured(
    folder: Path, write_rows: Write, load: Load
) -> None:
    write_noise(write_rows, train=[f"{QUESTION} now"], test=[QUESTION])
    write_rows("mine/noise.jsonl", [(f"{QUESTION}!", "-")])
    corpus = load(folder)
    assert corpus.out_of_scope["part"].tolist() == ["train", "test", "test"]
    assert corpus.trainable_out_of_scope() == []
