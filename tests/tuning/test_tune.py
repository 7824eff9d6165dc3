"""Studies that really run: their processes, their runs in MLflow, going on after being stopped, the winner trained."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
import optuna
import psutil
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from intents.data import corpus as corpora
from intents.errors import ConfigError, TuningError
from intents.parameters.data import DataConfig
from intents.parameters.training import train as declarations
from intents.parameters.tune import TuneConfig
from intents.tracking import best_trial, runs, store, train
from intents.training import stages
from intents.training.callbacks import Callbacks
from intents.tuning import page, storage, trials, tune
from intents.tuning.tune import TuningOutcome
from tests.conftest import start_command

FIXED = "epochs=3,min_steps=0,channels=4,embedding_size=8,kernel_sizes=2,batch_size=8"
TUNED = {"learning_rate", "weight_decay", "label_smoothing", "embedding_dropout", "dropout"}
LONG = FIXED.replace("epochs=3", "epochs=10000") + ",patience=0"


@dataclass(frozen=True)
class Tuned:
    """A study of five trials by two processes, and what it said."""

    uri: str
    data: DataConfig
    config: TuneConfig
    outcome: TuningOutcome
    said: tuple[str, ...]


@pytest.fixture(scope="module")
def data(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    return DataConfig(
        data=str(tiny_corpus / "rows"),
        blacklist=str(tiny_corpus / "blacklist.txt"),
        workspace=str(tmp_path_factory.mktemp("workspace")),
    )


@pytest.fixture(scope="module")
def tuned(data: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    said: list[str] = []
    config = TuneConfig(family="textcnn", n_trials=5, n_jobs=2, study="tiny", hyperparams=FIXED)
    with pytest.MonkeyPatch.context() as patch:
        uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("OMP_NUM_THREADS", "2")
        outcome = tune.tune(data, config, say=said.append)
    return Tuned(uri, data, config, outcome, tuple(said))


@pytest.fixture
def in_store(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tuned.uri)
    store.connect()
    yield tuned.uri
    assert mlflow.active_run() is None


def children(parent: str) -> list[Run]:
    """The trials' runs, in the order of their numbers."""
    found = MlflowClient().search_runs(["0"], f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(found, key=lambda run: int(run.data.tags["trial"]))


def kept(data: DataConfig, name: str) -> optuna.Study:
    opened = storage.opened("", study=name, workspace=Path(data.workspace))
    return optuna.load_study(study_name=name, storage=opened)


def test_every_trial_is_a_run_under_the_studys_run(tuned: Tuned, in_store: str):
    assert in_store
    nested = children(tuned.outcome.run_id)
    assert [run.data.tags["trial"] for run in nested] == ["0", "1", "2", "3", "4"]
    assert {run.info.status for run in nested} == {"FINISHED"}
    assert {run.data.tags["study"] for run in nested} == {"tiny"}
    assert {run.data.tags["trial_state"] for run in nested} <= {"complete", "pruned"}
    assert [run.info.run_name for run in nested] == [f"trial {number}" for number in range(5)]
    for run in nested:
        history = MlflowClient().get_metric_history(run.info.run_id, "val_f1_weighted")
        assert [metric.step for metric in history] == list(range(1, int(run.data.metrics["epochs_run"]) + 1))
    assert len({run.data.params["learning_rate"] for run in nested}) > 1
    assert {run.data.params["channels"] for run in nested} == {"4"}


def test_the_trials_were_shared_by_two_processes_that_are_gone(tuned: Tuned):
    owners = {t.user_attrs[trials.OWNER]["process_id"] for t in trials.settled(kept(tuned.data, "tiny"))}
    assert len(owners) == 2
    assert str(os.getpid()) not in owners
    assert not any(psutil.pid_exists(int(owner)) for owner in owners)


def test_the_first_trial_tries_the_defaults(tuned: Tuned):
    first = kept(tuned.data, "tiny").trials[0]
    defaults = declarations.train_config("textcnn", {}).hyperparams
    assert first.params == {name: getattr(defaults, name) for name in TUNED}


def test_a_trials_value_is_the_metric_of_the_epoch_that_training_keeps(tuned: Tuned, in_store: str):
    assert in_store
    best = tuned.outcome.best
    assert best is not None
    run = MlflowClient().get_run(best.user_attrs[trials.RUN])
    texts = {name: runs.unquoted(text) for name, text in run.data.params.items()}
    config = declarations.train_config("textcnn", texts)
    epochs: dict[int, Mapping[str, float]] = {}
    made = stages.fitted(
        config,
        corpora.load(tuned.data),
        checkpoints=None,
        callbacks=Callbacks(epochs.__setitem__, draws_bar=False),
    )
    assert epochs[made.fit.best_epoch]["val_f1_weighted"] == pytest.approx(best.value, abs=1e-6)
    assert run.data.metrics["trial_value"] == best.value


def test_the_studys_run_holds_counts_best_values_and_pages(tuned: Tuned, in_store: str):
    assert in_store
    run = MlflowClient().get_run(tuned.outcome.run_id)
    best = tuned.outcome.best
    assert best is not None
    assert run.info.status == "FINISHED"
    assert run.data.tags["study"] == "tiny"
    assert run.data.metrics["best_value"] == best.value
    counted = sum(run.data.metrics[f"trials_{state}"] for state in ("complete", "pruned", "failed"))
    assert counted == 5
    assert run.data.params["best_learning_rate"] == str(best.params["learning_rate"])
    files = {file.path for file in MlflowClient().list_artifacts(tuned.outcome.run_id)}
    assert files == {page.PAGE, page.TABLE, page.BEST}


def test_what_was_said_names_every_trial_and_what_to_do_next(tuned: Tuned):
    assert "5 in all, 2 at once" in tuned.said[1]
    assert sorted(line.split()[1] for line in tuned.said[2:]) == ["0", "1", "2", "3", "4"]
    assert "train with: mlflow run . -e train_cnn -P params=best:tiny -P data=" in str(tuned.outcome)


def test_a_study_that_has_enough_trials_begins_none(tuned: Tuned, in_store: str):
    assert in_store
    again = tune.tune(tuned.data, tuned.config, say=lambda _: None)
    assert children(again.run_id) == []
    assert again.best == tuned.outcome.best


def test_a_study_goes_on_where_it_was_when_more_trials_are_wanted(tuned: Tuned, in_store: str):
    assert in_store
    more = dataclasses.replace(tuned.config, n_trials=7, n_jobs=1)
    said: list[str] = []
    outcome = tune.tune(tuned.data, more, say=said.append)
    assert "goes on: it has 5 trials" in said[1]
    assert [run.data.tags["trial"] for run in children(outcome.run_id)] == ["5", "6"]


def test_the_winners_values_are_trained_and_registered(tuned: Tuned, in_store: str):
    assert in_store
    texts = {name: str(value) for name, value in vars(tuned.data).items()}
    fixed = dict(pair.split("=") for pair in FIXED.split(","))
    config = declarations.train_config(
        "textcnn", texts | fixed | {"params": "best:tiny", "register": "winner", "dropout": "0.25"}
    )
    outcome = train.train(config, say=lambda _: None)
    run = MlflowClient().get_run(outcome.run_id)
    best = page.best(kept(tuned.data, "tiny"))
    assert best is not None
    taken = TUNED - {"dropout"}
    assert {n: float(run.data.params[n]) for n in taken} == {n: best.params[n] for n in taken}
    assert run.data.params["dropout"] == "0.25"  # what is asked for goes before what was found
    assert MlflowClient().get_model_version("winner", outcome.version).run_id == outcome.run_id


def test_no_params_leave_a_training_as_it_is():
    config = declarations.train_config("textcnn", {})
    assert best_trial.applied(config) is config


def test_a_study_of_another_family_is_refused(tuned: Tuned, in_store: str):
    assert tuned
    assert in_store
    config = declarations.train_config("bert", {"params": "best:tiny"})
    with pytest.raises(TuningError, match="that study tuned textcnn, this command trains bert"):
        best_trial.applied(config)


def test_a_study_that_is_not_there_is_refused_and_those_that_are_named(tuned: Tuned, in_store: str):
    assert tuned
    assert in_store
    config = declarations.train_config("textcnn", {"params": "best:another"})
    with pytest.raises(TuningError, match=r"no complete trial of that study .* those of: .*tiny"):
        best_trial.applied(config)


def test_a_study_begun_with_other_settings_is_refused_and_its_run_fails(tuned: Tuned, in_store: str):
    assert in_store
    other = dataclasses.replace(tuned.config, metric="val_accuracy")
    with pytest.raises(TuningError, match="metric 'val_f1_weighted' \\(here 'val_accuracy'\\)"):
        tune.tune(tuned.data, other, say=lambda _: None)


def test_a_study_with_nothing_to_tune_is_refused(data: DataConfig, in_store: str):
    assert in_store
    everything = FIXED + "".join(f",{name}=0.1" for name in sorted(TUNED))
    with pytest.raises(ConfigError, match="fixes every hyperparameter"):
        tune.tune(data, TuneConfig(hyperparams=everything), say=lambda _: None)


def test_a_study_whose_trials_all_fail_stops_and_says_why(data: DataConfig, in_store: str):
    assert in_store
    config = TuneConfig(n_trials=50, study="hopeless", hyperparams=FIXED + ",embeddings=reduced")
    with pytest.raises(TuningError, match=r"the first \d+ trials failed, the last of them with: .*char"):
        tune.tune(data, config, say=lambda _: None)
    (parent,) = MlflowClient().search_runs(["0"], "params.study = 'hopeless'")
    nested = children(parent.info.run_id)
    failed = [run for run in nested if run.info.status == "FAILED"]
    assert parent.info.status == "FAILED"
    # The worker may have begun another when it was told to stop.
    assert {run.info.status for run in nested} <= {"FAILED", "KILLED"}
    assert {run.data.tags["trial_state"] for run in failed} == {"failed"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_study_leaves_nothing_running_and_goes_on(
    number: signal.Signals,
    data: DataConfig,
    in_store: str,
    subprocess_environment: dict[str, str],
    tmp_path: Path,
):
    name = f"stopped-{number.name}"
    flags = {key: str(value) for key, value in vars(data).items()}
    flags |= {"family": "textcnn", "n_trials": "3", "n_jobs": "2", "study": name, "hyperparams": LONG}
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": in_store}
    with start_command("tune", flags, environment=environment, cwd=tmp_path) as process:
        try:
            under_way(name, at_least=2)
            workers = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    psutil.wait_procs(workers, timeout=30)
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
    stopped = kept(data, name)
    runs.end_the_dead()
    known = MlflowClient().search_runs(["0"], f"tags.study = '{name}'")
    assert {run.info.status for run in known} == {"KILLED"}
    cut_off = [t for t in stopped.trials if t.state == TrialState.FAIL]
    # A worker whose parent is gone stops as for a signal, and says so; the trials' values are tried again.
    assert {t.user_attrs[trials.CUT_OFF] for t in cut_off} == {trials.INTERRUPTED}
    waiting = [t for t in stopped.trials if t.state == TrialState.WAITING]
    assert {t.user_attrs[trials.RETRY_OF] for t in waiting} == {t.number for t in cut_off}
    assert len(waiting) == len(cut_off) == 2
    assert trials.unclaimed(stopped, 3) == 3


def under_way(name: str, *, at_least: int) -> list[Run]:
    """The trials' runs once so many of them have trained an epoch."""
    deadline = time.monotonic() + 120
    while True:
        found = MlflowClient().search_runs(["0"], f"tags.study = '{name}' and metrics.train_loss < 100")
        if len(found) >= at_least:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.2)


def first_worker(process: subprocess.Popen) -> psutil.Process:
    """The command's first worker, as soon as it is there."""
    deadline = time.monotonic() + 120
    while True:
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "spawn_main" in " ".join(child.cmdline()):
                    return child
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_killed_at_its_start_or_in_a_trial_is_replaced_and_the_trial_tried_again(
    data: DataConfig, in_store: str, subprocess_environment: dict[str, str], tmp_path: Path
):
    flags = {key: str(value) for key, value in vars(data).items()}
    fixed = FIXED.replace("epochs=3", "epochs=60") + ",patience=0"
    flags |= {"n_trials": "2", "study": "robbed", "hyperparams": fixed, "pruner": "none"}
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": in_store}
    with start_command("tune", flags, environment=environment, cwd=tmp_path) as process:
        try:
            first_worker(process).kill()
            (run,) = under_way("robbed", at_least=1)
            os.kill(int(run.data.tags["process_id"]), signal.SIGKILL)
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    robbed = kept(data, "robbed")
    assert [trial.state for trial in trials.settled(robbed)] == [TrialState.COMPLETE] * 2
    assert robbed.trials[0].user_attrs[trials.CUT_OFF] == trials.DIED
    assert robbed.trials[1].params == robbed.trials[0].params
    known = MlflowClient().search_runs(["0"], "tags.study = 'robbed' and attributes.status = 'RUNNING'")
    assert known == []


def test_trials_nest_under_the_run_that_mlflow_run_began(
    data: DataConfig, tmp_path: Path, subprocess_environment: dict[str, str]
):
    root = Path(__file__).parents[2]
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    bin_folder = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {
        "data": data.data, "blacklist": data.blacklist, "workspace": str(tmp_path / "workspace"),
        "n_trials": 2, "study": "nested", "hyperparams": FIXED,
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-P", f"{name}={value}")]
    subprocess.run(
        ["mlflow", "run", str(root), "-e", "tune", "--env-manager", "local", *options],
        cwd=tmp_path,
        env=subprocess_environment | {"MLFLOW_TRACKING_URI": uri, "PATH": bin_folder},
        check=True,
        timeout=240,
        capture_output=True,
    )
    client = MlflowClient(uri)
    every = client.search_runs(["0"])
    (parent,) = (run for run in every if "mlflow.parentRunId" not in run.data.tags)
    assert parent.data.params["n_trials"] == "2"
    nested = [run for run in every if run is not parent]
    assert [run.data.tags["mlflow.parentRunId"] for run in nested] == [parent.info.run_id] * 2
    assert {run.info.status for run in every} == {"FINISHED"}
