"""Leaving intents out: what the study says of its trainings, and how it ends when it is stopped."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.tracking import MlflowClient

from intents.errors import DataError
from intents.parameters.data import DataConfig
from intents.parameters.training import train as declarations
from intents.parameters.training.evaluate_open_set import OpenSetConfig
from intents.tracking import evaluate_open_set
from intents.tracking.evaluate_open_set import OpenSetOutcome
from intents.tracking.tags import FAILURE_TAG
from tests.conftest import stopped_while_training
from tests.tracking.conftest import TINY, children, run_of

OPEN_METRICS = ["accuracy", "f1_known", "f1_open", "f1_all", "auroc", "fpr95"]


@dataclass(frozen=True)
class Studied:
    """An open-set study of two shares with two draws each."""

    outcome: OpenSetOutcome
    said: tuple[str, ...]


@pytest.fixture(scope="module")
def data(cnn_settings: dict[str, str]) -> DataConfig:
    return declarations.train_config("textcnn", cnn_settings).data


@pytest.fixture(scope="module")
def studied(store: str, data: DataConfig) -> Studied:
    study = OpenSetConfig(known_shares="0.5,0.75", seeds=2, hyperparams=overrides(TINY))
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        return Studied(evaluate_open_set.evaluate_open_set(data, study, say=said.append), tuple(said))


def overrides(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in values.items())


def test_each_share_and_draw_is_a_nested_run_with_its_open_intent_metrics(studied: Studied, in_store: str):
    assert in_store
    nested = children(studied.outcome.run_id)
    drawn = [(child.data.params["known_share"], child.data.params["seed"]) for child in nested]
    assert drawn == [("0.5", "0"), ("0.5", "1"), ("0.75", "0"), ("0.75", "1")]
    assert [run.info.status for run in (run_of(studied.outcome.run_id), *nested)] == ["FINISHED"] * 5
    for child in nested:
        assert child.data.params["channels"] == "4"
        assert child.data.metrics.keys() >= {*OPEN_METRICS, "train_loss", "val_f1_weighted"}
        assert all(0 <= child.data.metrics[name] <= 1 for name in OPEN_METRICS)
    assert len({child.data.metrics["auroc"] for child in nested}) > 1


def test_the_table_of_an_open_set_study_has_each_nested_runs_metrics(
    studied: Studied, in_store: str, tmp_path: Path
):
    assert in_store
    path = download_artifacts(
        run_id=studied.outcome.run_id, artifact_path="open_set.csv", dst_path=str(tmp_path)
    )
    table = pd.read_csv(path)
    assert list(table) == ["known_share", "seed", *OPEN_METRICS]
    assert len(table) == 4
    for row, child in zip(table.to_dict("records"), children(studied.outcome.run_id), strict=True):
        params = child.data.params
        assert (row["known_share"], row["seed"]) == (float(params["known_share"]), int(params["seed"]))
        for name in OPEN_METRICS:
            assert row[name] == pytest.approx(child.data.metrics[name]), name


def test_the_study_holds_the_mean_and_the_standard_deviation_of_each_share(studied: Studied, in_store: str):
    assert in_store
    run = run_of(studied.outcome.run_id)
    nested = children(studied.outcome.run_id)
    expected = {}
    for share, drawn in (("50", nested[:2]), ("75", nested[2:])):
        for name in OPEN_METRICS:
            values = [child.data.metrics[name] for child in drawn]
            expected[f"{name}_{share}_known"] = statistics.mean(values)
            expected[f"{name}_std_{share}_known"] = statistics.stdev(values)
    assert run.data.metrics == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (run.data.params["known_shares"], run.data.params["family"]) == ("0.5,0.75", "textcnn")


def test_a_study_registers_nothing_and_says_each_share_and_each_draw(studied: Studied, in_store: str):
    assert in_store
    lines = str(studied.outcome).splitlines()
    assert lines[0] == f"run {studied.outcome.run_id}"
    assert [line.split(": accuracy")[0] for line in lines[1:]] == [
        "50% known, 2 draw(s)",
        "75% known, 2 draw(s)",
    ]
    assert [line.split(": accuracy")[0] for line in studied.said[1:]] == [
        f"{share}% known, seed {seed}" for share in (50, 75) for seed in (0, 1)
    ]
    nested = {child.info.run_id for child in children(studied.outcome.run_id)}
    assert nested.isdisjoint(version.run_id for version in MlflowClient().search_model_versions())


def test_a_study_of_one_draw_a_share_has_no_spread():
    row = {"known_share": 0.5, "seed": 0, **dict.fromkeys(OPEN_METRICS, 0.75)}
    said = str(OpenSetOutcome("some run", pd.DataFrame([row])))
    assert "50% known, 1 draw(s): " in said
    assert "nan" not in said


def test_a_study_that_can_not_be_done_ends_failed_with_its_reason(in_store: str, data: DataConfig):
    assert in_store
    study = OpenSetConfig(known_shares="0.125", seeds=1, hyperparams=overrides(TINY))
    with pytest.raises(DataError, match=r"known_shares: 0\.125 of the 4 intents of tiny is 0"):
        evaluate_open_set.evaluate_open_set(data, study, say=lambda _: None)
    (parent,) = MlflowClient().search_runs(["0"], "params.known_shares = '0.125'")
    nested = children(parent.info.run_id)
    assert [run.info.status for run in (parent, *nested)] == ["FAILED"] * (1 + len(nested))
    assert parent.data.tags[FAILURE_TAG].startswith("DataError: known_shares: 0.125")
    assert mlflow.active_run() is None


def test_a_stopped_study_ends_killed_parent_and_child(
    in_store: str, data: DataConfig, subprocess_environment: dict[str, str], tmp_path: Path
):
    flags = {
        **{name: str(value) for name, value in vars(data).items()},
        "workspace": str(tmp_path / "workspace"),
        "hyperparams": overrides(TINY | {"epochs": "10000", "patience": "0"}),
        "known_shares": "0.5",
    }
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": in_store}
    with stopped_while_training("evaluate_open_set", flags, environment=environment, cwd=tmp_path) as child:
        assert child.info.status == "RUNNING"
    found = MlflowClient().search_runs(["0"], f"params.workspace = '{flags['workspace']}'")
    statuses = {run.info.run_id: run.info.status for run in found}
    assert statuses == {child.info.run_id: "KILLED", child.data.tags["mlflow.parentRunId"]: "KILLED"}
