"""Folds: every row of a corpus tested once, by a training that has not seen it."""

import dataclasses

import numpy as np

from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.utterances import fraction, normal_form


def fold_of(corpus: Corpus, number: int, *, folds: int, validation_size: float, seed: int) -> Corpus:
    """The corpus with the rows of one fold, from 0, as its test part, and the others trained and validated on.

    A row's fold follows from the hash of its normal form, so repeats share one. Out-of-scope rows keep their parts.
    """
    forms = corpus.rows["text"].map(normal_form)
    place_B = np.array([fraction(form, f"fold {seed}".encode()) for form in forms])
    carved_B = np.array([fraction(form, f"validation {seed}".encode()) for form in forms])
    is_tested_B = (place_B * folds).astype(int) == number
    parts = np.select([is_tested_B, carved_B < validation_size], [TEST, VALIDATION], TRAIN)
    return dataclasses.replace(corpus, rows=corpus.rows.assign(part=parts))
