"""Leaving out: nothing of such intents is trained or validated on, and their test rows are the out-of-scope ones.

Nor is anything of such rows; what a share keeps, a larger one keeps too, and the test part is whole.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from intents.data.corpus import Corpus
from intents.data.leave_out import leave_intents_out, leave_rows_out
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


SHARES = (0.01, 0.1, 0.25, 0.5, 0.9, 1.0)


@pytest.fixture
def uneven(write_json: Callable[..., Path], load: Callable[..., Corpus]) -> Corpus:
    """Forty intents of 12 rows, one of 300, and out-of-scope rows."""
    sizes = {f"small {number}": 12 for number in range(40)} | {"large": 300}
    texts = {name: [f"{name}: {number}" for number in range(size)] for name, size in sizes.items()}
    write_json("uneven/noise.json", [f"noise {number}" for number in range(40)])
    return load(write_json("uneven/data.json", texts))


def rows_by_intent(corpus: Corpus, part: str) -> pd.Series:
    return corpus.part(part)["label"].value_counts().reindex(corpus.intents, fill_value=0)


@pytest.mark.parametrize("seed", range(3))
def test_a_smaller_share_is_contained_in_a_larger_one_and_the_test_part_is_whole(
    uneven: Corpus, seed: int
) -> None:
    parts = [leave_rows_out(uneven, share=share, seed=seed) for share in SHARES]
    for partial in parts:
        assert partial.part("test").equals(uneven.part("test"))
        assert partial.out_of_scope.equals(uneven.out_of_scope)
        assert partial.intents == uneven.intents
    for name in ("train", "validation"):
        texts = [set(partial.part(name)["text"]) for partial in (*parts, uneven)]
        assert all(smaller < larger for smaller, larger in pairwise(texts[:-1]))
        assert texts[-2] == texts[-1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", SHARES)
def test_every_intent_has_its_share_of_the_rows_and_one_training_row_at_least(
    uneven: Corpus, seed: int, share: float
) -> None:
    partial = leave_rows_out(uneven, share=share, seed=seed)
    for name, least in (("train", 1), ("validation", 0)):
        exact = rows_by_intent(uneven, name) * share
        assert ((rows_by_intent(partial, name) - exact).abs() < 1).all()
        assert (rows_by_intent(partial, name) >= least).all()
        assert len(partial.part(name)) >= 1
    assert rows_by_intent(uneven, "train").max() > 100 > 12 > rows_by_intent(uneven, "train").min() > 1


def test_the_halves_of_many_small_intents_are_together_a_half(uneven: Corpus) -> None:
    # Were each intent rounded alike, a half of 40 intents with an odd number of rows would be 20 rows off.
    drawn = [len(leave_rows_out(uneven, share=0.5, seed=seed).part("train")) for seed in range(20)]
    assert sum(drawn) / 20 == pytest.approx(len(uneven.part("train")) / 2, abs=4)


def test_the_rows_are_drawn_by_the_seed(uneven: Corpus) -> None:
    drawn = [leave_rows_out(uneven, share=0.25, seed=seed) for seed in range(10)]
    assert leave_rows_out(uneven, share=0.25, seed=3).digest == drawn[3].digest
    assert len({partial.digest for partial in drawn} - {uneven.digest}) == 10
    kept = pd.concat([partial.part("train") for partial in drawn])["text"].value_counts()
    # Any row may be drawn: 10 draws of a quarter miss one with a chance of 0.056.
    assert len(kept) / len(uneven.part("train")) == pytest.approx(1 - 0.75**10, abs=0.04)


def test_all_rows_are_the_corpus_and_fewer_have_a_name_and_a_digest_of_their_own(uneven: Corpus) -> None:
    assert leave_rows_out(uneven, share=1, seed=4) is uneven
    partial = leave_rows_out(uneven, share=0.125, seed=0)
    assert partial.name == "uneven, 12.5% of the rows"
    assert partial.digest != uneven.digest


def test_a_corpus_without_a_validation_part_stays_without_one(
    write_json: Callable[..., Path], load: Callable[..., Corpus]
) -> None:
    data = write_json("mine/data.json", {i: [f"{i} {number}" for number in range(40)] for i in INTENTS})
    partial = leave_rows_out(load(data, selects_on_test=True), share=0.5, seed=0)
    assert partial.part("validation").empty
    assert not partial.part("train").empty
