"""Splitting: the same utterance never stands in two parts, and no row moves because others came."""

import hashlib
import random
import unicodedata

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.splitting import grouped_parts, random_parts, stratified_parts
from intents.data.utterances import fraction, normal_form
from intents.errors import DataError

ALPHABET = "你好吗在哪里几点abcxyz012éß"
SIZES = {"test_size": 0.2, "validation_size": 0.1, "seed": 42}


def utterances(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)
    return ["".join(generator.choices(ALPHABET, k=generator.randint(1, 12))) for _ in range(count)]


def disguised(text: str, generator: random.Random) -> str:
    """The same utterance written otherwise: case, width, spaces, punctuation."""
    wide = {ord(c): ord(c) + 0xFEE0 for c in "abcxyz012"}
    changes = [str.upper, lambda t: t.translate(wide), lambda t: f"  {t}！", lambda t: "，".join(t)]
    for change in generator.sample(changes, k=2):
        text = change(text)
    return text


@pytest.mark.parametrize("seed", range(5))
def test_the_same_utterance_never_stands_in_two_parts(seed: int) -> None:
    generator = random.Random(seed)
    plain = utterances(seed, 300)
    texts = plain + [disguised(text, generator) for text in plain]
    parts = grouped_parts(texts, test_size=0.4, validation_size=0.4, seed=seed)
    assert set(parts) == {TRAIN, VALIDATION, TEST}
    assert sum(text != other for text, other in zip(plain, texts[300:], strict=True)) > 270
    assert parts[:300].tolist() == parts[300:].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_no_row_moves_when_others_are_added_removed_or_reordered(seed: int) -> None:
    generator = random.Random(seed)
    texts = utterances(seed, 300)
    before = dict(zip(texts, grouped_parts(texts, **SIZES), strict=True))
    more = generator.sample(texts, k=250) + utterances(seed + 1000, 400)
    generator.shuffle(more)
    after = dict(zip(more, grouped_parts(more, **SIZES), strict=True))
    shared = before.keys() & after.keys()
    assert len(shared) >= 200
    assert {text: before[text] for text in shared} == {text: after[text] for text in shared}


def test_the_part_is_the_keyed_blake2b_hash_of_the_normal_form_as_a_fraction() -> None:
    """Any other hash, or one that differs from process to process, would move every row of every corpus."""
    texts = utterances(3, 200)
    hashes = [
        hashlib.blake2b(text.casefold().encode(), key=b"42", digest_size=8).hexdigest() for text in texts
    ]
    fractions = [int(digest, 16) / 16**16 for digest in hashes]
    # 0.2 of all are tested on, and 0.1 of the other 0.8 validate.
    expected = [TEST if f < 0.2 else VALIDATION if f < 0.28 else TRAIN for f in fractions]
    assert grouped_parts(texts, **SIZES).tolist() == expected


def test_a_text_of_letters_digits_and_ordinary_punctuation_keeps_the_part_that_it_always_had() -> None:
    """The form of before symbols were kept: with no symbol and no sign in a number both are the same."""
    ordinary = ["你好，请问在吗？", "Where is my parcel?!", "“退款”……多久（工作日）", "it's no.5", "~1,200~"]
    texts = [*utterances(6, 300), *ordinary]
    assert [normal_form(text) for text in texts] == [bare_form(text) for text in texts]
    hashes = [
        hashlib.blake2b(bare_form(text).encode(), key=b"42", digest_size=8).hexdigest() for text in texts
    ]
    assert [fraction(normal_form(text), b"42") for text in texts] == [int(h, 16) / 16**16 for h in hashes]


def bare_form(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "PSZC")


def test_the_parts_of_a_grouped_split_have_the_sizes_asked_for() -> None:
    texts = [f"第{i}句" for i in range(20_000)]
    shares = grouped_parts(texts, **SIZES).value_counts(normalize=True)
    # Four standard errors of a share of 0.2 in 20,000 draws are 0.011.
    assert shares[TEST] == pytest.approx(0.2, abs=0.011)
    assert shares[VALIDATION] == pytest.approx(0.08, abs=0.011)


def test_the_test_rows_depend_on_the_split_seed_but_not_on_the_validation_size() -> None:
    texts = utterances(4, 500)
    tested = grouped_parts(texts, **SIZES) == TEST
    assert (tested == (grouped_parts(texts, **(SIZES | {"validation_size": 0.5})) == TEST)).all()
    assert (tested != (grouped_parts(texts, **(SIZES | {"seed": 43})) == TEST)).any()
    assert VALIDATION not in set(grouped_parts(texts, **(SIZES | {"validation_size": 0.0})))


def test_no_utterances_have_no_parts() -> None:
    assert grouped_parts([], **SIZES).empty


def test_a_stratified_split_gives_each_intent_its_share_of_each_part() -> None:
    labels = pd.Series(["b", "a"] * 20 + ["c"] * 10, dtype=object)
    parts = stratified_parts(labels, test_size=0.2, validation_size=0.25, seed=1)
    counts = pd.crosstab(labels, parts)
    # a and b: 20 rows, 4 tested on, a quarter of the other 16 validate; c: 10, 2, 2 of 8.
    assert counts[TEST].to_dict() == {"a": 4, "b": 4, "c": 2}
    assert counts[VALIDATION].to_dict() == {"a": 4, "b": 4, "c": 2}
    assert counts[TRAIN].to_dict() == {"a": 12, "b": 12, "c": 6}


def test_a_stratified_split_is_scikit_learns_over_the_sorted_intents() -> None:
    labels = pd.Series(random.Random(5).choices(["问候", "道别", "zz", "a"], k=400), dtype=object)
    train, test = train_test_split(np.arange(400), test_size=0.2, random_state=9, stratify=labels.to_numpy())
    parts = stratified_parts(labels, test_size=0.2, validation_size=0.0, seed=9)
    assert set(parts.index[parts == TEST]) == set(test)
    assert set(parts.index[parts == TRAIN]) == set(train)
    validated = stratified_parts(labels, test_size=0.2, validation_size=0.1, seed=9)
    assert set(validated.index[validated == TEST]) == set(test)
    assert (validated == VALIDATION).sum() == 32


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (["a"] * 9 + ["lonely"], "'lonely' 1"),
        ([intent for intent in "abcde" for _ in range(2)], "10 rows of 5 intents .* The rarest: 'a' 2"),
    ],
    ids=["an intent of one row", "fewer test rows than intents"],
)
def test_a_stratified_split_of_too_few_rows_names_the_intents_and_their_counts(
    labels: list[str], named: str
) -> None:
    with pytest.raises(DataError, match=named) as caught:
        stratified_parts(pd.Series(labels, dtype=object), test_size=0.2, validation_size=0.1, seed=1)
    assert "split=grouped" in str(caught.value)


@pytest.mark.parametrize(("rows", "seed"), [(7, 0), (400, 42), (1001, 9)])
def test_a_random_split_is_scikit_learns_row_for_row(rows: int, seed: int) -> None:
    train, test = train_test_split(np.arange(rows), test_size=0.2, random_state=seed)
    train, validation = train_test_split(train, test_size=0.25, random_state=seed)
    parts = random_parts(rows, test_size=0.2, validation_size=0.25, seed=seed)
    for part, places in ((TRAIN, train), (VALIDATION, validation), (TEST, test)):
        assert parts.index[parts == part].tolist() == sorted(places.tolist())


def test_a_random_split_without_validation_tests_on_the_same_rows() -> None:
    sizes = {"test_size": 0.2, "seed": 3}
    with_validation, without = (random_parts(100, **sizes, validation_size=share) for share in (0.5, 0.0))
    assert set(without) == {TRAIN, TEST}
    assert ((with_validation == TEST) == (without == TEST)).all()
