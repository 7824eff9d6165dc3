"""Several trainings under one run: what the parent says of its children, and how it ends when it is stopped."""

import os
import shlex
import signal
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from intents.errors import DataError
from intents.parameters import commands
from intents.parameters.data import DataConfig
from intents.parameters.evaluate_open_set import OpenSetConfig
from intents.parameters.training import train as declarations
from intents.tracking import evaluate_open_set, runs, train
from intents.tracking.evaluate_open_set import OpenSetOutcome
from intents.tracking.tags import FAILURE_TAG
from intents.tracking.training.training_run import RunOutcome
from tests.conftest import stopped_while_training

MODEL = "seeded"
FIRST_SEED = 11
TINY = {
    "epochs": "1",
    "min_steps": "0",
    "channels": "4",
    "embedding_size": "8",
    "kernel_sizes": "2",
    "batch_size": "8",
}
OPEN_METRICS = ["accuracy", "f1_known", "f1_open", "f1_all", "auroc", "fpr95"]


@dataclass(frozen=True)
class Seeded:
    """A training with two seeds: the run that `mlflow run` began, what came of it, and what it said."""

    begun: str
    outcome: RunOutcome
    said: tuple[str, ...]


@dataclass(frozen=True)
class Studied:
    """An open-set study of two shares with two draws each."""

    outcome: OpenSetOutcome
    said: tuple[str, ...]


@pytest.fixture(scope="module")
def cnn_settings(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return TINY | {
        "data": str(tiny_corpus / "rows"),
        "blacklist": str(tiny_corpus / "blacklist.txt"),
        "test_size": "0.25",
        "validation_size": "0.25",
        "learning_rate": "0.02",
        "workspace": str(tmp_path_factory.mktemp("workspace")),
        "register": "",
        "seeds": "2",
        "seed": str(FIRST_SEED),
    }


@pytest.fixture(scope="module")
def data(cnn_settings: dict[str, str]) -> DataConfig:
    return declarations.train_config("textcnn", cnn_settings).data


def begin(settings: Mapping[str, str]) -> str:
    """A run as `mlflow run` hands it over: every parameter logged as the shell would be given it."""
    texts = {p.name: str(p.default) for p in commands.entry_point_parameters("train_cnn")}
    client = MlflowClient()
    run = client.create_run("0")
    for name, text in (texts | dict(settings)).items():
        client.log_param(run.info.run_id, name, shlex.quote(text))
    return run.info.run_id


@pytest.fixture(scope="module")
def seeded(store: str, cnn_settings: dict[str, str]) -> Seeded:
    settings = cnn_settings | {"register": MODEL}
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        mlflow.set_tracking_uri(store)
        begun = begin(settings)
        patch.setenv("MLFLOW_RUN_ID", begun)
        outcome = train.train(declarations.train_config("textcnn", settings), say=said.append)
    return Seeded(begun, outcome, tuple(said))


@pytest.fixture(scope="module")
def studied(store: str, data: DataConfig) -> Studied:
    study = OpenSetConfig(known_shares="0.5,0.75", seeds=2, hyperparams=overrides(TINY))
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        return Studied(evaluate_open_set.evaluate_open_set(data, study, say=said.append), tuple(said))


def overrides(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in values.items())


def run_of(run_id: str) -> Run:
    return MlflowClient().get_run(run_id)


def children(run_id: str) -> list[Run]:
    """The runs nested in this one, in the order of their start."""
    return MlflowClient().search_runs(
        ["0"], f"tags.`mlflow.parentRunId` = '{run_id}'", order_by=["attributes.start_time"]
    )


def test_two_seeds_are_two_finished_runs_under_the_one_that_mlflow_run_began(seeded: Seeded, in_store: str):
    assert in_store
    assert seeded.outcome.run_id == seeded.begun
    parent, nested = run_of(seeded.begun), children(seeded.begun)
    assert [child.data.params["seed"] for child in nested] == [str(FIRST_SEED), str(FIRST_SEED + 1)]
    assert [run.info.status for run in (parent, *nested)] == ["FINISHED"] * 3
    assert [run.info.run_name for run in (parent, *nested)] == [
        "train_cnn rows 2 seeds",
        f"train_cnn rows seed {FIRST_SEED}",
        f"train_cnn rows seed {FIRST_SEED + 1}",
    ]
    assert [run.data.tags[runs.STAGE_TAG] for run in (parent, *nested)] == [runs.DONE] * 3
    # Each child says what it was: one training that registers nothing.
    assert [(c.data.params["seeds"], c.data.params["register"]) for c in nested] == [("1", "")] * 2
    assert shlex.split(parent.data.params["seeds"]) == ["2"]
    assert mlflow.active_run() is None


def test_the_parent_holds_the_mean_and_the_standard_deviation_of_each_metric(seeded: Seeded, in_store: str):
    assert in_store
    found = run_of(seeded.begun).data.metrics
    one, other = (child.data.metrics for child in children(seeded.begun))
    assert one.keys() == other.keys() >= {"test_accuracy", "test_auroc", "val_f1_weighted", "train_seconds"}
    assert one["test_auroc"] != other["test_auroc"]  # the seeds differ in effect
    expected = {name: statistics.mean([one[name], other[name]]) for name in one}
    expected |= {f"{name}_std": statistics.stdev([one[name], other[name]]) for name in one}
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_better_seed_on_validation_rows_is_registered_once(seeded: Seeded, in_store: str):
    assert in_store
    nested = children(seeded.begun)
    scores = [child.data.metrics["best_val_f1_weighted"] for child in nested]
    assert scores[0] < scores[1]  # so that taking the first, or the last but one, would show
    versions = MlflowClient().search_model_versions(f"name='{MODEL}'")
    assert [(str(version.version), version.run_id) for version in versions] == [("1", nested[1].info.run_id)]
    assert run_of(seeded.begun).data.tags["best_seed_run"] == nested[1].info.run_id
    assert seeded.outcome.version == "1"
    assert f"registered {MODEL} version 1" in seeded.outcome.verdict
    assert f"--name {MODEL} --version 1" in str(seeded.outcome)


def test_the_seeds_are_announced_and_their_spread_is_the_headline(seeded: Seeded, in_store: str):
    assert in_store
    accuracies = [child.data.metrics["test_accuracy"] for child in children(seeded.begun)]
    assert [line for line in seeded.said if line.startswith("seed ")] == [
        f"seed {FIRST_SEED}",
        f"seed {FIRST_SEED + 1}",
    ]
    mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
    assert seeded.said[-1].startswith(f"2 seeds: accuracy {mean:.4f} ± {spread:.4f}, weighted F1 ")


def test_one_seed_is_one_run_and_no_parent(in_store: str, cnn_settings: dict[str, str]):
    assert in_store
    config = declarations.train_config("textcnn", cnn_settings | {"seeds": "1"})
    outcome = train.train(config, say=lambda _: None)
    assert children(outcome.run_id) == []
    assert "mlflow.parentRunId" not in run_of(outcome.run_id).data.tags
    assert outcome.version == ""


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
    assert [line.split(": accuracy")[0] for line in lines[1:]] == ["50% known, 2 draws", "75% known, 2 draws"]
    assert [line.split(": accuracy")[0] for line in studied.said[1:]] == [
        f"{share}% known, seed {seed}" for share in (50, 75) for seed in (0, 1)
    ]
    nested = {child.info.run_id for child in children(studied.outcome.run_id)}
    assert nested.isdisjoint(version.run_id for version in MlflowClient().search_model_versions())


def test_a_study_of_one_draw_a_share_has_no_spread():
    row = {"known_share": 0.5, "seed": 0, **dict.fromkeys(OPEN_METRICS, 0.75)}
    assert "nan" not in str(OpenSetOutcome("some run", pd.DataFrame([row])))


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


def test_a_stopped_training_of_several_seeds_ends_killed_parent_and_child(
    in_store: str, cnn_settings: dict[str, str]
):
    assert in_store
    config = declarations.train_config("textcnn", cnn_settings | {"seed": "700", "register": "stopped"})
    before = signal.getsignal(signal.SIGTERM)

    def stop(line: str) -> None:
        if line.startswith("corpus "):  # said by the first child, under way
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train.train(config, say=stop)
    found = MlflowClient().search_runs(["0"], "params.seed = '700'")
    (parent,) = (run for run in found if run.data.params["seeds"] == "2")
    (child,) = children(parent.info.run_id)
    assert {run.info.run_id for run in found} == {parent.info.run_id, child.info.run_id}
    assert (parent.info.status, child.info.status) == ("KILLED", "KILLED")
    assert MlflowClient().search_model_versions("name='stopped'") == []
    assert mlflow.active_run() is None
    assert signal.getsignal(signal.SIGTERM) == before


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
