"""Several trainings under one run: what the parent says of its children, and how it ends when it is stopped."""

import os
import shlex
import signal
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from intents.parameters import commands
from intents.parameters.training import train as declarations
from intents.tracking import runs, train
from intents.tracking.training.training_run import RunOutcome
from tests.tracking.conftest import FIRST_SEED, children, run_of

MODEL = "seeded"


@dataclass(frozen=True)
class Seeded:
    """A training with two seeds: the run that `mlflow run` began, what came of it, and what it said."""

    begun: str
    outcome: RunOutcome
    said: tuple[str, ...]


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
