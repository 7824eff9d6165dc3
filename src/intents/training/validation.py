"""What temperature and threshold are fitted on: answers to rows that whoever answers was not trained on."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from intents.axes import Floats, Integers
from intents.data.corpus import Corpus
from intents.data.parts import VALIDATION
from intents.evaluation.evaluate import classification_metrics, confusion
from intents.evaluation.predictions import outputs
from intents.models.encoders.encoder import Encoder
from intents.models.network import Network
from intents.parameters.training.hyperparams import Hyperparams

FOLDS = 5
"""Where there are no validation rows a training leaves out one of so many folds, and answers it."""


@dataclass(frozen=True)
class Answers:
    """Logits of in-scope rows (B, C), their label ids (B,), logits of out-of-scope rows (N, C); and which rows."""

    logits_BC: Floats
    labels_B: Integers
    out_of_scope_logits_NC: Floats
    rows_in_words: str = "validation rows"

    @property
    def f1_weighted(self) -> float:
        """Of the in-scope rows."""
        intents = self.logits_BC.shape[-1]
        counts_CC = confusion(self.labels_B, self.logits_BC.argmax(axis=-1), number_of_intents=intents)
        return classification_metrics(counts_CC)["f1_weighted"]


def answers(
    network: Network, encoder: Encoder, *, corpus: Corpus, part: str, hyperparams: Hyperparams
) -> Answers:
    """What the network says of one part's rows."""
    said = functools.partial(outputs, network.module, encoder.tokenizer, hyperparams=hyperparams)
    in_scope, out_of_scope = (
        said(texts=table["text"]).logits_BC for table in (corpus.part(part), corpus.out_of_scope_part(part))
    )
    return Answers(in_scope, corpus.label_ids(part), out_of_scope)


def folds_to_answer(corpus: Corpus, *, seed: int) -> list[Corpus]:
    """The corpus with one of the FOLDS as its validation part, each in turn, until these have rows enough together."""
    folds, rows = [], 0
    for fold in corpus.validation_folds(FOLDS, seed=seed):
        folds.append(fold)
        rows += len(fold.part(VALIDATION))
        if rows >= corpus.fewest_validation_rows:
            break
    return folds


def cross_fitted(folds: Sequence[Corpus], *, of_fold: Callable[[Corpus], Answers]) -> Answers:
    """What trainings that leave out a fold of the rows say of it, and each of its share of the out-of-scope rows.

    They have seen fewer rows than the network they speak for, so they err towards a softer softmax.
    """
    said = [of_fold(fold) for fold in folds]
    return Answers(
        np.concatenate([fold.logits_BC for fold in said]),
        np.concatenate([fold.labels_B for fold in said]),
        np.concatenate([fold.out_of_scope_logits_NC[n :: len(said)] for n, fold in enumerate(said)]),
        rows_in_words="training rows, out of fold",
    )
