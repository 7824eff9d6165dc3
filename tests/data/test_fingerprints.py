"""Which utterances a model has seen, told without their texts."""

import numpy as np

from intents.data.fingerprints import fingerprint, fingerprints


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
    assert found.tolist() == sorted({fingerprint(text) for text in "abc"})
    assert fingerprints([]).tolist() == []
