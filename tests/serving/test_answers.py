"""What logits mean, and which texts no model is asked; expected values are worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest

from intents.errors import ArtifactError
from intents.models.directory import Artifact, RejectionRule
from intents.serving import answers

LOADED = Artifact(None, None, ("buy", "sell", "wait"), RejectionRule(-1.5, "", "Unknown", 1.0))
LOGITS = np.log([[2.0, 1.0, 1.0], [1.0, 3.0, 6.0]]).astype(np.float32)
"""Probabilities of halves and quarters, and of tenths; energies -log 4 and -log 10."""


def test_each_utterance_has_its_best_intent_its_probability_and_its_energy():
    found = answers.answer(LOGITS, LOADED)
    assert len(found) == 2
    assert found.best_intent.tolist() == ["buy", "wait"]
    assert found.confidence == pytest.approx([0.5, 0.6])
    assert found.energy == pytest.approx([-math.log(4), -math.log(10)])


def test_the_intent_is_unknown_where_the_energy_exceeds_the_models_threshold_or_the_callers():
    found = answers.answer(LOGITS, LOADED)
    assert (found.in_scope.tolist(), found.intent.tolist()) == ([False, True], ["Unknown", "wait"])
    assert answers.answer(LOGITS, LOADED, threshold=0.0).intent.tolist() == ["buy", "wait"]
    assert answers.answer(LOGITS, LOADED, threshold=-3.0).intent.tolist() == ["Unknown", "Unknown"]


@pytest.mark.parametrize(
    ("top_k", "others"), [(0, []), (1, ["sell"]), (2, ["sell", "buy"]), (9, ["sell", "buy"])]
)
def test_the_runners_up_are_the_likelier_first_and_no_more_than_there_are(top_k: int, others: list[str]):
    found = answers.answer(LOGITS, LOADED, top_k=top_k)
    assert found.other_intents_BK[1].tolist() == others
    assert found.other_confidences_BK[1] == pytest.approx([0.3, 0.1][: len(others)])


def test_a_row_of_answers_is_typed_and_holds_plain_numbers():
    (row, _) = answers.answer(LOGITS, LOADED, top_k=1).predictions()
    assert row.model_dump() == {
        "intent": "Unknown",
        "confidence": pytest.approx(0.5),
        "energy": pytest.approx(-math.log(4)),
        "in_scope": False,
        "best_intent": "buy",
        "alternatives": [{"intent": "sell", "confidence": pytest.approx(0.25)}],
    }
    assert type(row.in_scope) is bool


def test_no_utterance_has_no_answer():
    assert answers.answer(LOGITS[:0], LOADED, top_k=1).predictions() == []


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_are_an_error_that_names_the_row(wrong: float):
    logits = LOGITS.copy()
    logits[1, 2] = wrong
    with pytest.raises(ArtifactError, match=r"row 1: the model's logits are not finite numbers"):
        answers.answer(logits, LOADED)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "text is missing"),
        (7, "text is not a string"),
        (math.nan, "text is not a string"),
        (["你好"], "text is not a string"),
        ("", "text is blank"),
        (" \t\n\u3000", "text is blank"),
        ("\u200b\ufeff\u202e", "text is blank"),
        ("你\0好", "text holds a NUL character"),
        ("你\ud83d好", "text holds a lone surrogate"),
        ("好" * 10_001, "text is too long: 10,001 characters, at most 10,000"),
        ("\0" * 10_001, "text is too long: 10,001 characters, at most 10,000"),
    ],
)
def test_what_no_model_can_be_asked_has_its_reason(text: Any, reason: str):
    assert answers.problem(text) == reason


@pytest.mark.parametrize("text", ["好", "😀", "مرحبا", "e" + "\u0301" * 200, "龘", "a\u2028b", "好" * 10_000])
def test_every_other_text_can_be_asked(text: str):
    assert answers.problem(text) is None


def test_the_most_characters_can_be_set():
    assert answers.problem("四个字符", most_characters=3) == "text is too long: 4 characters, at most 3"


def test_what_looks_alike_is_read_alike():
    assert answers.normalised("cafe\u0301") == "caf\u00e9"
