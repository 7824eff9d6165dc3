"""The baseline: character n-grams and a logistic regression, trained in seconds; what a model must beat."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from intents.axes import Floats, Integers
from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.utterances import fraction, normal_form
from intents.evaluation.evaluate import classification_metrics, confusion

LINEAR_MODEL = "the linear baseline, TF-IDF and logistic regression"
CHARACTERS = (1, 2)
"""Shortest and longest n-gram."""
INVERSE_PENALTY = 10.0
TOLERANCE, MOST_PASSES = 1e-2, 1000
"""Of the solver: a hundredth gives the same intents as a ten-thousandth, fifteen times faster."""


def measure(corpus: Corpus) -> dict[str, float]:
    """`baseline_accuracy` and `baseline_f1_weighted` on the test part.

    It has nothing to choose, so it trains on the training and the validation part: all that a model has at hand.
    """
    labels_B = np.concatenate([corpus.label_ids(part) for part in (TRAIN, VALIDATION)])
    texts = [text for part in (TRAIN, VALIDATION) for text in corpus.part(part)["text"]]
    predicted_B = fitted(texts, labels_B).predict(list(corpus.part(TEST)["text"]))
    counts_CC = confusion(corpus.label_ids(TEST), predicted_B, number_of_intents=len(corpus.intents))
    found = classification_metrics(counts_CC)
    return {f"baseline_{name}": found[name] for name in ("accuracy", "f1_weighted")}


def fitted(texts: Sequence[str], labels_B: Integers, *, seed: int = 0) -> Pipeline:
    """The baseline trained on these utterances; `seed` orders the solver's passes."""
    solver = LogisticRegression(
        C=INVERSE_PENALTY, solver="sag", tol=TOLERANCE, max_iter=MOST_PASSES, random_state=seed
    )
    features = TfidfVectorizer(analyzer="char", ngram_range=CHARACTERS, sublinear_tf=True)
    return make_pipeline(features, solver).fit(list(texts), labels_B)


def out_of_fold_probabilities(
    texts: Sequence[str],
    labels_B: Integers,
    *,
    folds: int,
    seed: int,
    number_of_intents: int,
    on_fold: Callable[[int], None] = lambda _: None,
) -> Floats:
    """What the baseline says of each utterance, shape (B, C), when it was not trained on that one or a repeat of it.

    0 for an intent that has no row outside the fold. `on_fold` hears the number of each fold before it begins.
    """
    fold_B = fold_numbers(texts, folds=folds, seed=seed)
    texts_B = np.array(list(texts), dtype=object)
    probabilities_BC = np.zeros((len(texts_B), number_of_intents))
    for fold in range(folds):
        on_fold(fold + 1)
        is_held_out_B = fold_B == fold
        seen = np.unique(labels_B[~is_held_out_B])
        if not is_held_out_B.any() or not len(seen):
            continue
        rows = np.flatnonzero(is_held_out_B)
        if len(seen) == 1:  # a logistic regression wants two
            probabilities_BC[rows, seen[0]] = 1.0
            continue
        model = fitted(texts_B[~is_held_out_B], labels_B[~is_held_out_B], seed=seed)
        probabilities_BC[np.ix_(rows, model.classes_)] = model.predict_proba(texts_B[is_held_out_B])
    return probabilities_BC


def fold_numbers(texts: Sequence[str], *, folds: int, seed: int) -> npt.NDArray[np.integer]:
    """The fold of each utterance, from 0, by a keyed hash of its normal form alone.

    So repeats share a fold, and no row's fold changes because labels or other rows did: what is found stays comparable.
    """
    key = str(seed).encode()
    return np.array([int(folds * fraction(normal_form(text), key)) for text in texts], dtype=np.int64)
