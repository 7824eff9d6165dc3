"""Near-duplicates: the groups are those of a brute-force search, and a link joins what it touches."""

import random
from fractions import Fraction
from itertools import combinations, pairwise

import pytest

from intents.data.duplicates import near_duplicate_groups, representatives
from intents.data.utterances import normal_form


def bigrams(form: str) -> set[tuple[str, str]]:
    marked = ["start", *form, "end"]
    return set(pairwise(marked))


def similarity(one: str, other: str) -> Fraction:
    """Jaccard similarity of the bigram sets, exactly."""
    first, second = bigrams(one), bigrams(other)
    return Fraction(len(first & second), len(first | second))


def brute_force(forms: list[str]) -> set[frozenset[str]]:
    """The groups, by comparing every pair and merging whatever is linked."""
    group_of = {form: {form} for form in forms}
    for one, other in combinations(forms, 2):
        if similarity(one, other) >= Fraction(4, 5) and group_of[one] is not group_of[other]:
            group_of[one] |= group_of[other]
            for form in group_of[other]:
                group_of[form] = group_of[one]
    return {frozenset(group) for group in group_of.values()}


def found(forms: list[str]) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = {}
    for form, group in zip(forms, near_duplicate_groups(forms), strict=True):
        groups.setdefault(group, set()).add(form)
    return {frozenset(group) for group in groups.values()}


def random_forms(seed: int, count: int) -> list[str]:
    """Distinct strings, about half of them others with a character or two more, fewer or changed."""
    generator = random.Random(seed)
    alphabet = "你好吗在哪里几点abc"
    forms = {"".join(generator.choices(alphabet, k=generator.randint(1, 20))) for _ in range(count // 2)}
    for form in sorted(forms):
        place = generator.randrange(len(form) + 1)
        added = "".join(generator.choices(alphabet, k=generator.randint(0, 2)))
        forms.add(form[:place] + added + form[place + generator.randint(0, 1) :])
    return sorted(forms - {""}, key=lambda form: (generator.random(), form))


@pytest.mark.parametrize("seed", range(4))
def test_the_groups_are_those_of_a_comparison_of_every_pair(seed: int) -> None:
    forms = random_forms(seed, 300)
    expected = brute_force(forms)
    assert len(forms) > 200
    assert 20 < sum(len(group) > 1 for group in expected) < len(expected)
    assert found(forms) == expected


def test_similarity_of_exactly_four_fifths_is_near_and_less_is_not() -> None:
    # abcdefghijkl has 13 bigrams, the end included; one more character replaces one and adds one.
    form, longer, longest = "abcdefghijkl", "abcdefghijklm", "abcdefghijklmn"
    assert similarity(form, longer) == Fraction(12, 15) == Fraction(4, 5)
    assert similarity(form, longest) == Fraction(12, 16)
    assert found([form, longer]) == {frozenset([form, longer])}
    assert found([form, longest]) == {frozenset([form]), frozenset([longest])}


def test_what_is_near_to_the_same_form_is_one_group_though_not_near_to_each_other() -> None:
    chain = ["abcdefghijkl", "abcdefghijklm", "abcdefghijklmn"]
    assert similarity(chain[0], chain[2]) < Fraction(4, 5)
    assert found([*chain, "xyz"]) == {frozenset(chain), frozenset(["xyz"])}


def test_the_ends_count_so_that_single_characters_and_their_order_differ() -> None:
    assert len(found(["a", "b", "ab", "ba", "aa"])) == 5


def test_near_duplicates_are_found_however_far_apart_they_stand() -> None:
    """More forms than are compared at once: each of the first 600 has its near-duplicate 600 places on."""
    first = ["".join(chr(0x4E00 + 20 * i + j) for j in range(16)) for i in range(600)]
    second = [form + "了" for form in first]
    assert similarity(first[0], second[0]) == Fraction(16, 19) > Fraction(4, 5)
    assert found(first + second) == {frozenset(pair) for pair in zip(first, second, strict=True)}


def test_no_forms_have_no_groups() -> None:
    assert near_duplicate_groups([]) == []
    assert representatives([]).empty


@pytest.mark.parametrize("seed", range(3))
def test_utterances_have_one_representative_a_group_whatever_their_order_case_and_punctuation(
    seed: int,
) -> None:
    generator = random.Random(seed)
    texts = [f"{form.upper()}！" for form in random_forms(seed, 100)]
    texts += [text.lower() for text in texts]
    generator.shuffle(texts)
    group_of = {form: group for group in brute_force(sorted(set(map(normal_form, texts)))) for form in group}
    expected = [min(group_of[normal_form(text)]) for text in texts]
    assert len(set(expected)) < len(set(map(normal_form, texts)))
    assert representatives(texts).tolist() == expected
