"""Which utterances a model has seen, told without their texts."""

import hashlib

import numpy as np

from intents.data.utterances import MEANING_KEPT, fingerprint, fingerprints, is_seen


def test_utterances_of_one_normal_form_share_a_fingerprint_and_others_do_not():
    assert fingerprint("你好！") == fingerprint("你好") == fingerprint(" 你 好 ")
    assert fingerprint("ＯＫ") == fingerprint("ok")
    assert fingerprint("你好") != fingerprint("你号")
    assert 0 <= fingerprint("你好") < 2**64


def test_a_fingerprint_is_the_same_on_every_machine():
    assert fingerprint("hello") == 0xA7B6EDA801E5347D


def test_fingerprints_are_ascending_and_each_is_there_once():
    found = fingerprints(["b", "a", "A!", "c"])
    assert found.dtype == np.uint64
    assert found.tolist() == sorted({MEANING_KEPT, *(fingerprint(text) for text in "abc")})
    assert fingerprints([]).tolist() == [MEANING_KEPT]


def test_a_model_has_seen_no_utterance_that_differs_by_what_carries_meaning():
    seen = frozenset(fingerprints(["C++ 报错！", "好"]).tolist())
    assert [is_seen(text, seen) for text in ("c++报错", "好。", "c报错", "c#报错", "好👍")] == [
        True,
        True,
        *[False] * 3,
    ]


def test_the_fingerprints_of_a_model_of_before_are_of_forms_without_symbols():
    """What such a model carries of "C++ 报错！": the hash of its letters alone."""
    letters = hashlib.blake2b("c报错".encode(), digest_size=8).digest()
    seen = frozenset([int.from_bytes(letters, "big")])
    assert [is_seen(text, seen) for text in ("C++ 报错！", "c# 报错", "c报错", "报错")] == [
        True,
        True,
        True,
        False,
    ]
