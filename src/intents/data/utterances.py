"""Which utterances a model has seen, without their texts: a number for each normal form."""

import hashlib
import unicodedata
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt

from intents.data.forms import normal_form

Fingerprints = npt.NDArray[np.uint64]


def _number(form: str, *, person: bytes = b"") -> int:
    digest = hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=8, person=person).digest()
    return int.from_bytes(digest, "big")


MEANING_KEPT = _number("", person=b"meaning kept")
"""Stands among the fingerprints of a model whose normal forms keep symbols; one of before has forms without them."""


def fingerprint(text: str) -> int:
    """A number of 64 bits that all utterances of one normal form share (BLAKE2b).

    Short utterances can be guessed from it: it hides no secret.
    """
    return _number(normal_form(text))


def fingerprints(texts: Iterable[str]) -> Fingerprints:
    """The fingerprints of the utterances, each once, and what tells how they were made, ascending."""
    return np.unique(np.array([MEANING_KEPT, *map(fingerprint, texts)], dtype=np.uint64))


def is_seen(text: str, seen: Collection[int]) -> bool:
    """Whether the fingerprints of a model, whichever forms they are of, have this utterance's among them."""
    return (fingerprint(text) if MEANING_KEPT in seen else _number(_bare_form(text))) in seen


def _bare_form(text: str) -> str:
    """The normal form of models of before: no symbol, and no sign of a number, told two utterances apart."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = [character for character in folded if unicodedata.category(character)[0] not in "PSZC"]
    return "".join(kept) or "".join(folded.split())
