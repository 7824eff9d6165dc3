"""Splitting: which rows are trained on, which choose the epoch, which are tested on, once."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.problems import quoted
from intents.data.utterances import fraction, normal_form
from intents.errors import DataError


def grouped_parts(
    texts: Iterable[str], *, test_size: float, validation_size: float, seed: int
) -> "pd.Series[str]":
    """The part of each utterance, by a keyed hash of its normal form alone.

    So the same utterance never stands in two parts, and no row ever moves because others were added.
    `validation_size` is a share of what is not tested on.
    """
    key = str(seed).encode()
    fractions = np.array([fraction(normal_form(text), key) for text in texts])
    validation_ends = test_size + (1 - test_size) * validation_size
    parts = np.select([fractions < test_size, fractions < validation_ends], [TEST, VALIDATION], TRAIN)
    return pd.Series(parts, dtype=object)


def stratified_parts(
    labels: "pd.Series[str]", *, test_size: float, validation_size: float, seed: int
) -> "pd.Series[str]":
    """The part of each row, drawn intent by intent with scikit-learn's `train_test_split`.

    Raises DataError when an intent has too few rows for that.
    """
    label_ids = labels.map({intent: i for i, intent in enumerate(sorted(labels.unique()))})
    parts = pd.Series(TRAIN, index=labels.index, dtype=object)
    train, test = _stratify(label_ids, share=test_size, seed=seed, labels=labels)
    parts[test] = TEST
    if validation_size:
        _, validation = _stratify(label_ids[train], share=validation_size, seed=seed, labels=labels)
        parts[validation] = VALIDATION
    return parts


def random_parts(rows: int, *, test_size: float, validation_size: float, seed: int) -> "pd.Series[str]":
    """The part of each row, drawn without regard to anything, with scikit-learn's `train_test_split`.

    Raises DataError when there are too few rows for that.
    """
    parts = pd.Series(TRAIN, index=range(rows), dtype=object)
    try:
        train, test = train_test_split(np.arange(rows), test_size=test_size, random_state=seed)
        parts.iloc[test] = TEST
        if validation_size:
            _, validation = train_test_split(train, test_size=validation_size, random_state=seed)
            parts.iloc[validation] = VALIDATION
    except ValueError as error:
        raise DataError(
            f"{rows} rows can't be split into train, validation and test ({error}). Gather more rows."
        ) from error
    return parts


def fold_parts(
    texts: Iterable[str], number: int, *, folds: int, validation_size: float, seed: int
) -> "npt.NDArray[np.str_]":
    """The part of each utterance where one fold, from 0, is tested and the others are trained and validated on.

    Its fold follows from the hash of its normal form, so repeats share one.
    """
    forms = [normal_form(text) for text in texts]
    place_B = np.array([fraction(form, f"fold {seed}".encode()) for form in forms])
    carved_B = np.array([fraction(form, f"validation {seed}".encode()) for form in forms])
    is_tested_B = (place_B * folds).astype(int) == number
    return np.select([is_tested_B, carved_B < validation_size], [TEST, VALIDATION], TRAIN)


def _stratify(
    label_ids: "pd.Series[int]", *, share: float, seed: int, labels: "pd.Series[str]"
) -> tuple["pd.Index[int]", "pd.Index[int]"]:
    try:
        first, second = train_test_split(
            label_ids.index, test_size=share, random_state=seed, stratify=label_ids.to_numpy()
        )
    except ValueError as error:
        counts = labels[label_ids.index].value_counts()
        rarest = ", ".join(f"{quoted(intent)} {count}" for intent, count in counts.tail(5).items())
        raise DataError(
            f"{len(label_ids)} rows of {len(counts)} intents can't be split {share:g} by intent ({error}) "
            f"The rarest: {rarest}. Use split=grouped, or gather more rows of these intents."
        ) from error
    return first, second
