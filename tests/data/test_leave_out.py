"""Leaving intents out: nothing of them is trained or validated on, and their test rows are the out-of-scope ones."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from intents.data.corpus import Corpus
from intents.data.leave_out import leave_intents_out
from intents.errors import DataError

INTENTS = ("a", "b", "c", "d", "e", "f", "g", "h")
PARTS = ("train", "validation", "test")


@pytest.fixture
def corpus(write_json: Callable[..., Path], load: Callable[..., Corpus]) -> Corpus:
    """Eight intents of 40 rows, each with rows in all three parts, and out-of-scope rows of its own."""
    data = write_json("mine/data.json", {i: [f"{i} {number}" for number in range(40)] for i in INTENTS})
    write_json("mine/noise.json", [f"noise {number}" for number in range(40)])
    return load(data)


def test_the_fixture_has_rows_of_every_intent_in_every_part_and_noise(corpus: Corpus) -> None:
    counts = pd.crosstab(corpus.rows["label"], corpus.rows["part"])
    assert counts.shape == (8, 3)
    assert (counts > 0).all(axis=None)
    assert len(corpus.trainable_out_of_scope()) > 10


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("share", "count"), [(0.25, 2), (0.5, 4), (0.75, 6), (0.9, 7)])
def test_nothing_of_a_left_out_intent_is_in_an_in_scope_part(
    corpus: Corpus, seed: int, share: float, count: int
) -> None:
    partial = leave_intents_out(corpus, in_scope_share=share, seed=seed)
    assert len(partial.intents) == count
    assert list(partial.intents) == sorted(set(partial.intents)) == sorted(partial.rows["label"].unique())
    for part in PARTS:
        before = corpus.part(part)
        expected = before[before["label"].isin(partial.intents)]
        assert partial.part(part)["text"].tolist() == expected["text"].tolist()
        assert [partial.intents[i] for i in partial.label_ids(part)] == expected["label"].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_an_intent_whose_name_looks_like_a_known_one_is_not_out_of_scope(
    seed: int, write_json: Callable[..., Path], load: Callable[..., Corpus]
) -> None:
    names = ("a", "A", "b", "B\u200b", "c", "d")
    texts = {name: [f"{place} {number}" for number in range(40)] for place, name in enumerate(names)}
    partial = leave_intents_out(load(write_json("alike/data.json", texts)), in_scope_share=0.5, seed=seed)
    left_out = {names[int(text.split()[0])] for text in partial.out_of_scope["text"]}
    assert not {plain(name) for name in left_out} & {plain(name) for name in partial.intents}


def plain(name: str) -> str:
    return name.strip("\u200b").lower()


@pytest.mark.parametrize("seed", range(5))
def test_the_out_of_scope_rows_are_the_test_rows_of_the_left_out_intents_and_none_trains(
    corpus: Corpus, seed: int
) -> None:
    partial = leave_intents_out(corpus, in_scope_share=0.5, seed=seed)
    tested = corpus.part("test")
    expected = tested[~tested["label"].isin(partial.intents)]
    assert len(expected) > 0
    assert partial.out_of_scope["text"].tolist() == expected["text"].tolist()
    assert set(partial.out_of_scope["part"]) == {"test"}
    assert set(partial.out_of_scope["kind"]) == {"left_out"}
    assert "label" not in partial.out_of_scope
    assert partial.trainable_out_of_scope() == []


def test_the_known_intents_are_drawn_by_the_seed(corpus: Corpus) -> None:
    drawn = [leave_intents_out(corpus, in_scope_share=0.5, seed=seed) for seed in range(10)]
    again = leave_intents_out(corpus, in_scope_share=0.5, seed=3)
    assert (again.intents, again.digest) == (drawn[3].intents, drawn[3].digest)
    assert len({partial.intents for partial in drawn}) > 5
    # Any intent may be known and any may be left out: 10 draws of half miss one with a chance of 2 in 1024.
    assert set().union(*(partial.intents for partial in drawn)) == set(INTENTS)
    assert set.intersection(*(set(partial.intents) for partial in drawn)) == set()


def test_a_partial_corpus_has_a_name_and_a_digest_of_its_own(corpus: Corpus) -> None:
    partial = leave_intents_out(corpus, in_scope_share=0.25, seed=0)
    assert partial.name == "mine, 25% known"
    assert partial.digest != corpus.digest
    assert len(corpus.rows) == 320  # the whole one is left as it was


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.01, 0), (0.99, 8)])
def test_a_share_that_keeps_fewer_than_two_intents_or_leaves_none_out_is_refused(
    corpus: Corpus, share: float, count: int
) -> None:
    with pytest.raises(DataError, match=rf"known_shares: {share:g} of the 8 intents of mine is {count};"):
        leave_intents_out(corpus, in_scope_share=share, seed=0)
