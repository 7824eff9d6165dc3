"""What is measured on the test part: each kind of out-of-scope utterance, each score, each under its own name."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from intents.evaluation import held_out
from intents.evaluation.evaluate import EvaluationReport
from intents.evaluation.held_out import metric_names
from intents.models.network import predict_gaussian
from tests.conftest import Trained

SCORES = {"energy", "max_softmax", "max_logit", "mahalanobis", "nearest_neighbours"}


@pytest.fixture(scope="module")
def measured(trained: Trained) -> held_out.HeldOut:
    return trained.result.test


def energies_of(outcome: held_out.HeldOut, kind: str) -> np.ndarray:
    rows = outcome.predictions
    return rows.loc[(rows["kind"] == kind), "energy"].to_numpy()


def test_each_kind_is_ranked_against_all_in_scope_rows(trained: Trained, measured: held_out.HeldOut):
    out_of_scope = trained.corpus.out_of_scope_part("test")
    kinds = sorted(out_of_scope["kind"].unique())
    assert list(measured.kinds.index) == [*kinds, "gaussian embeddings"]
    assert measured.kinds.loc[kinds, "rows"].sum() == len(out_of_scope) > 0
    in_scope = energies_of(measured, "")
    assert len(in_scope) == len(trained.corpus.part("test"))
    threshold = trained.result.rejection.energy_threshold
    for kind in kinds:
        energies, row = energies_of(measured, kind), measured.kinds.loc[kind]
        is_out = np.repeat([0, 1], [len(in_scope), len(energies)])
        auroc = roc_auc_score(is_out, np.concatenate([in_scope, energies]))
        assert row["auroc"] == pytest.approx(auroc)
        assert row["oos_recall"] == pytest.approx((energies > threshold).mean())
        assert row["osr_recall"] == pytest.approx((in_scope <= threshold).mean())


def test_random_embeddings_are_a_kind_of_their_own(trained: Trained, measured: held_out.HeldOut):
    row = measured.kinds.loc["gaussian embeddings"]
    assert row["rows"] == 1000
    logits = predict_gaussian(trained.result.module, rows=1000, tokens=16, seed=0)
    rejected = -logsumexp(logits.astype(float), axis=1) > trained.result.rejection.energy_threshold
    assert row["oos_recall"] == pytest.approx(rejected.mean(), abs=2e-3)


def test_every_score_is_in_the_panel_and_energy_ranks_as_the_report_says(measured: held_out.HeldOut):
    assert set(measured.scores.index) == SCORES
    report = measured.report.metrics
    for name in ("auroc", "aupr_in", "aupr_out", "fpr95"):
        assert measured.scores.loc["energy", name] == pytest.approx(report[name])


def test_the_metrics_are_the_reports_and_some_of_each_kind_and_score(measured: held_out.HeldOut):
    metrics = measured.metrics()
    assert metrics.items() >= measured.report.as_metrics("test").items()
    for kind in measured.kinds.index:
        name = kind.replace(" ", "_")
        assert metrics[f"test_auroc_of_{name}"] == measured.kinds.loc[kind, "auroc"]
        assert metrics[f"test_oos_recall_of_{name}"] == measured.kinds.loc[kind, "oos_recall"]
    for score in SCORES:
        assert metrics[f"test_auroc_by_{score}"] == measured.scores.loc[score, "auroc"]
        assert metrics[f"test_fpr95_by_{score}"] == measured.scores.loc[score, "fpr95"]
    named = 2 * len(measured.kinds) + 2 * len(SCORES)
    assert len(metrics) == len(measured.report.metrics) + named


def again(trained: Trained, out_of_scope: pd.DataFrame) -> held_out.HeldOut:
    """The finished model tested on the same in-scope rows and other out-of-scope ones."""
    corpus = dataclasses.replace(trained.corpus, out_of_scope=out_of_scope)
    return held_out.measure(
        trained.result.module,
        trained.result.tokenizer,
        corpus=corpus,
        hyperparams=trained.config.hyperparams,
        rejection=trained.result.rejection,
    )


def test_without_out_of_scope_rows_there_are_no_kinds_and_no_scores(
    trained: Trained, measured: held_out.HeldOut
):
    outcome = again(trained, trained.corpus.out_of_scope.iloc[:0])
    assert outcome.kinds.empty
    assert outcome.scores.empty
    assert outcome.metrics() == outcome.report.as_metrics("test")
    assert "test_auroc" not in outcome.metrics()
    assert outcome.metrics()["test_accuracy"] == measured.metrics()["test_accuracy"]
    assert outcome.predictions["text"].tolist() == trained.corpus.part("test")["text"].tolist()


def test_predictions_carry_the_kind_of_out_of_scope_rows_and_none_of_others(
    trained: Trained, measured: held_out.HeldOut
):
    out_of_scope = trained.corpus.out_of_scope_part("test")
    expected = [*[""] * len(trained.corpus.part("test")), *out_of_scope["kind"]]
    assert measured.predictions["kind"].tolist() == expected
    assert measured.predictions.index.tolist() == list(range(len(expected)))


def test_a_kind_that_is_called_gaussian_is_still_measured(trained: Trained):
    renamed = trained.corpus.out_of_scope.assign(kind="gaussian embeddings")
    outcome = again(trained, renamed)
    assert outcome.kinds["rows"].tolist() == [len(outcome.predictions.query("true_intent == ''"))]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("far", "far"),
        ("near-by_1.0", "near-by_1.0"),
        (" small talk ", "small_talk"),
        ("a/b", "a_b"),
        ("闲聊", "闲聊"),
        ("50%: €", "50____"),
        ("(", "_"),
        ("x" * 300, "x" * 80),
    ],
)
def test_a_kind_is_named_as_mlflow_takes_it(kind: str, name: str):
    assert metric_names([kind]) == [name]


def report_of(**metrics: float) -> Any:
    return EvaluationReport(metrics, pd.DataFrame(), np.zeros((0, 0), dtype=int))


@pytest.mark.parametrize("kinds", [("energy",), ("a b", "a_b")], ids=["a score's name", "two alike"])
def test_no_metric_of_a_kind_is_overwritten_by_another(kinds: tuple[str, ...]):
    values = {"auroc": [0.1 * i for i in range(1, len(kinds) + 1)], "oos_recall": [0.5] * len(kinds)}
    by_kind = pd.DataFrame(values, index=pd.Index(kinds, name="kind"))
    scores = pd.DataFrame({"auroc": [0.9], "fpr95": [0.2]}, index=pd.Index(["energy"], name="score"))
    metrics = held_out.HeldOut(report_of(), pd.DataFrame(), by_kind, scores).metrics()
    assert set(metrics.values()) >= {*values["auroc"], 0.9}
