"""Which utterances a model has seen, without their texts: a number for each normal form."""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from intents.data.splitting import normal_form

Fingerprints = npt.NDArray[np.uint64]


def fingerprint(text: str) -> int:
    """A number of 64 bits that all utterances of one normal form share (BLAKE2b).

    Short utterances can be guessed from it: it hides no secret.
    """
    digest = hashlib.blake2b(normal_form(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def fingerprints(texts: Iterable[str]) -> Fingerprints:
    """The fingerprints of the utterances, each once, ascending."""
    return np.unique(np.array([fingerprint(text) for text in texts], dtype=np.uint64))
