"""The test part, looked at once: metrics, every prediction, and what is rejected by which score."""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN
from intents.evaluation import detectors, open_set
from intents.evaluation.evaluate import EvaluationReport, calibration_metrics, evaluate
from intents.evaluation.predictions import outputs, predictions
from intents.models import energy
from intents.models.directory import RejectionRule
from intents.models.network import Outputs, predict_gaussian
from intents.parameters.training.hyperparams import Hyperparams

GAUSSIAN = "gaussian embeddings"
GAUSSIAN_ROWS, GAUSSIAN_TOKENS = 1000, 16
PANEL_TRAIN_ROWS = 20000
"""The scores that compare features with training rows take at most so many, drawn at random."""


@dataclass(frozen=True)
class HeldOut:
    """`predictions`: one row a test utterance, in-scope then out-of-scope. `kinds`: metrics by kind of out-of-scope
    utterance. `scores`: how every score ranks, one row a score; both empty where nothing is out-of-scope."""

    report: EvaluationReport
    predictions: pd.DataFrame
    kinds: pd.DataFrame
    scores: pd.DataFrame

    def metrics(self) -> dict[str, float]:
        """Every metric by name: the report's, then a few of each kind and each score."""
        named = self.report.as_metrics("test")
        for table, word, columns in (
            (self.kinds, "of", ("auroc", "oos_recall")),
            (self.scores, "by", ("auroc", "fpr95")),
        ):
            rows = zip(metric_names(table.index), table.to_dict("records"), strict=True)
            named |= {
                f"test_{column}_{word}_{name}": float(row[column]) for name, row in rows for column in columns
            }
        return named


def measure(
    module: Any, tokenizer: Any, *, corpus: Corpus, hyperparams: Hyperparams, rejection: RejectionRule
) -> HeldOut:
    """Everything that is measured on the test part; calibration also as it was before the temperature was folded in."""
    rows, out_of_scope = corpus.part(TEST), corpus.out_of_scope_part(TEST)
    answer = functools.partial(outputs, module, tokenizer, hyperparams=hyperparams)
    in_scope, rejectable = answer(texts=rows["text"]), answer(texts=out_of_scope["text"])
    report = evaluate(
        in_scope.logits_BC,
        corpus.label_ids(TEST),
        intents=corpus.intents,
        threshold=rejection.energy_threshold,
        out_of_scope_logits_NC=rejectable.logits_BC,
    )
    before = calibration_metrics(in_scope.logits_BC * rejection.fitted_temperature, corpus.label_ids(TEST))
    named = {f"{name}_before": value for name, value in before.items()}
    return HeldOut(
        report=dataclasses.replace(report, metrics=report.metrics | named),
        predictions=pd.concat(
            [
                predictions(table, found.logits_BC, intents=corpus.intents, rejection=rejection)
                for table, found in ((rows, in_scope), (out_of_scope, rejectable))
            ],
            ignore_index=True,
        ),
        kinds=_kinds(
            module, in_scope, out_of_scope=rejectable, kind_N=out_of_scope["kind"], rejection=rejection
        ),
        scores=_scores(answer, corpus, in_scope=in_scope, out_of_scope=rejectable),
    )


def metric_names(names: Iterable[str]) -> list[str]:
    """Each name as MLflow takes it in a metric's, told apart by a number where two would be alike."""
    taken: list[str] = []
    for name in names:
        kept = "".join(c if c.isalnum() or c in "_-." else "_" for c in name.strip())[:80] or "_"
        alike = sum(other == kept or other.startswith(f"{kept}-") for other in taken)
        taken.append(f"{kept}-{alike + 1}" if alike else kept)
    return taken


def _kinds(
    module: Any,
    in_scope: Outputs,
    *,
    out_of_scope: Outputs,
    kind_N: "pd.Series[str]",
    rejection: RejectionRule,
) -> pd.DataFrame:
    """By kind of out-of-scope utterance; random embeddings are a kind where any other is."""
    if kind_N.empty:
        return pd.DataFrame()
    energies_B, energies_N = (energy.energy(found.logits_BC) for found in (in_scope, out_of_scope))
    of_kind = {str(kind): energies_N[(kind_N == kind).to_numpy()] for kind in sorted(kind_N.unique())}
    noise = predict_gaussian(module, rows=GAUSSIAN_ROWS, tokens=GAUSSIAN_TOKENS, seed=0)
    of_kind.setdefault(GAUSSIAN, energy.energy(noise))
    return open_set.by_kind(energies_B, of_kind, threshold=rejection.energy_threshold)


def _scores(
    answer: Callable[..., Outputs], corpus: Corpus, *, in_scope: Outputs, out_of_scope: Outputs
) -> pd.DataFrame:
    if not len(out_of_scope):
        return pd.DataFrame()
    labels_B = corpus.label_ids(TRAIN)
    places = np.random.default_rng(0).permutation(len(labels_B))[:PANEL_TRAIN_ROWS]
    train = answer(texts=corpus.part(TRAIN)["text"].iloc[places])
    return detectors.score_panel(in_scope, out_of_scope, train=train, train_labels_B=labels_B[places])
