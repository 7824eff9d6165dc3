"""Runs that fail or are stopped, and stores that can't be used: how they end and what they say."""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from mlflow.tracking import MlflowClient

from intents.errors import DataError, TrackingError
from intents.report.training_page import REPORT
from intents.system import liveness
from intents.tracking import runs
from intents.tracking import store as stores
from intents.tracking.tags import FAILURE_TAG
from intents.tracking.training import resume
from intents.tracking.versions import CARD, register, verdict
from intents.training import checkpoints
from tests.conftest import Logged, run_tracked, start_command, stopped_while_training

CLOSED_PORT = "127.0.0.1:9"  # discard: nothing listens there
COLD_PROCESSES = 4
TRAININGS = ("train_bert", "train_cnn")


def test_an_error_of_the_users_ends_the_run_failed_with_its_reason(
    in_store: str, tiny_settings: dict[str, str]
):
    with pytest.raises(DataError, match="nowhere"):
        run_tracked(in_store, tiny_settings | {"data": "nowhere.jsonl"})
    (run,) = MlflowClient().search_runs(["0"], "params.data = 'nowhere.jsonl'")
    assert run.info.status == "FAILED"
    assert run.data.tags[FAILURE_TAG].startswith("DataError: nowhere.jsonl")
    assert (run.info.run_name, run.data.tags[runs.STAGE_TAG]) == (
        "train_bert nowhere.jsonl",
        runs.NOT_STARTED,
    )
    assert mlflow.active_run() is None


def test_a_stopped_training_ends_killed_and_leaves_nothing_but_what_can_be_gone_on_with(
    in_store: str, tiny_settings: dict[str, str], subprocess_environment: dict[str, str], tmp_path: Path
):
    workspace = tmp_path / "workspace"
    settings = tiny_settings | {"epochs": "10000", "patience": "0", "workspace": str(workspace)}
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": in_store}
    with stopped_while_training("train_bert", settings, environment=environment, cwd=tmp_path) as run:
        assert (workspace / "runs" / run.info.run_id).is_dir()
    assert MlflowClient().get_run(run.info.run_id).info.status == "KILLED"
    left = list((workspace / "runs").iterdir())
    assert all(checkpoints.last_complete(folder / resume.CHECKPOINTS) for folder in left)


def test_a_store_that_cannot_be_reached_ends_within_a_minute_and_shows_no_password(
    tiny_settings: dict[str, str], subprocess_environment: dict[str, str], tmp_path: Path
):
    uri = f"http://someone:s3cret@{CLOSED_PORT}"
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": uri}
    with start_command("train_bert", tiny_settings, environment=environment, cwd=tmp_path) as process:
        try:
            said, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 2
    assert f"http://someone:***@{CLOSED_PORT} can't be used" in errors
    assert "s3cret" not in said + errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("uri", ["./folder", "nonsense://host", f"postgresql://u:s3cret@{CLOSED_PORT}/db"])
def test_a_store_of_a_kind_that_cannot_be_used_is_one_clear_error(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    try:
        with pytest.raises(TrackingError, match="can't be used") as caught:
            stores.connect()
    finally:
        mlflow.set_tracking_uri("")
    assert "s3cret" not in str(caught.value)


def test_a_run_is_refused_in_one_line_where_the_experiment_was_deleted(
    in_store: str, tiny_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    experiment = MlflowClient().create_experiment("deleted since")
    MlflowClient().delete_experiment(experiment)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    with pytest.raises(TrackingError, match="mlflow experiments restore") as refused:
        run_tracked(in_store, tiny_settings)
    assert len(str(refused.value).splitlines()) == 1


def test_a_database_that_cannot_be_written_is_one_line(
    in_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    shutil.copy(stores.database_file(in_store), tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///file:{tmp_path / 'mlflow.db'}?mode=ro&uri=true")
    try:
        stores.connect()
        with pytest.raises(TrackingError, match=r"readonly database.*can be written") as refused:
            runs.started_with({}, name="never begun").__enter__()
    finally:
        mlflow.set_tracking_uri("")
    assert caplog.text == ""
    assert len(str(refused.value).splitlines()) == 1


def test_an_artifact_root_that_cannot_be_written_is_named_before_any_work(
    in_store: str, tiny_settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "root"  # a root that root, too, can't write to
    monkeypatch.setenv(
        "MLFLOW_EXPERIMENT_ID", MlflowClient().create_experiment("no root", artifact_location=str(root))
    )
    with pytest.raises(
        TrackingError, match=f"{re.escape(str(root))}.*can't be used: .*Not a directory.* Expected"
    ):
        run_tracked(in_store, tiny_settings)
    (run,) = MlflowClient().search_runs([os.environ["MLFLOW_EXPERIMENT_ID"]])
    assert (run.info.status, run.data.tags[runs.STAGE_TAG]) == ("FAILED", runs.NOT_STARTED)


def test_a_folder_whose_name_mlflow_takes_apart_is_named_and_nothing_is_registered(
    tiny_settings: dict[str, str], subprocess_environment: dict[str, str], tmp_path: Path
):
    folder = tmp_path / "a#b 100%20c?"
    folder.mkdir()
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": ""}
    settings = tiny_settings | {"register": "intent_predictor"}
    with start_command("train_bert", settings, environment=environment, cwd=folder) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert f"error: the artifact root {folder}" in errors
    assert "Traceback" not in errors
    store = MlflowClient(f"sqlite:///{quote(str(folder))}/mlflow.db")
    assert store.search_registered_models() == []


def test_the_lock_lies_beside_the_database_whatever_its_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "a space 中"
    folder.mkdir()
    monkeypatch.setenv(
        "MLFLOW_TRACKING_URI", f"sqlite:///{quote(str(folder))}/mlflow.db"
    )  # as `mlflow run` says it
    monkeypatch.chdir(folder)
    try:
        stores.connect()
    finally:
        mlflow.set_tracking_uri("")
    assert list(tmp_path.iterdir()) == [folder]
    assert {"mlflow.db", "mlflow.db.lock"} <= {path.name for path in folder.iterdir()}


class Injected:
    """Fails the n-th call that reaches a store, counted from when it is armed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.remaining, self.is_within, self.has_failed = 0, False, False
        for store in (TrackingStore, RegistryStore):
            for name, method in vars(store).items():
                if callable(method) and not name.startswith("_") and not isinstance(method, type):
                    patch.setattr(store, name, self.wrapped(method))

    def wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **named: Any) -> Any:
            if self.is_within or not self.remaining:
                return method(*args, **named)
            self.remaining -= 1
            if not self.remaining:
                self.has_failed = True
                raise MlflowException(f"injected in {method.__name__}")
            self.is_within = True
            try:
                return method(*args, **named)
            finally:
                self.is_within = False

        return call


def registered_with_a_failure_at(
    call: int, injected: Injected, *, model_uri: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """How a run ends that registers a model, where the n-th call to a store from then on fails; its id."""
    injected.has_failed = False
    run_id = MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with contextlib.suppress(MlflowException, TrackingError), runs.started_with({}, name="injected"):
        mlflow.log_text("what it is", CARD)
        injected.remaining = call
        version = register(model_uri, "injected", run_id=run_id)
        verdict("injected", version)
        mlflow.log_text("the page", REPORT)
    injected.remaining = 0
    return run_id


def test_whatever_call_fails_after_registering_nothing_stays_registered(
    in_store: str, logged: Logged, monkeypatch: pytest.MonkeyPatch
):
    model_uri = MlflowClient().get_model_version("tiny", logged.version).source
    injected, failures = Injected(monkeypatch), 0
    while True:
        run_id = registered_with_a_failure_at(
            failures + 1, injected, model_uri=model_uri, monkeypatch=monkeypatch
        )
        if not injected.has_failed:
            break
        failures += 1
        assert MlflowClient().search_model_versions("name = 'injected'") == [], failures
        assert MlflowClient().search_registered_models("name = 'injected'") == [], failures
        assert MlflowClient().get_run(run_id).info.status == "FAILED", failures
    assert failures >= 7
    (version,) = MlflowClient().search_model_versions("name = 'injected'")
    assert (version.run_id, in_store) == (logged.run_id, logged.uri)
    assert MlflowClient().get_run(run_id).info.status == "FINISHED"


def test_what_a_killed_run_had_registered_is_taken_back_unless_somebody_has_named_it(
    in_store: str, logged: Logged
):
    source = MlflowClient().get_model_version("tiny", logged.version).source
    dead = liveness.tags() | {liveness.STARTED_TAG: "before this process, under its number"}
    killed = MlflowClient().create_run("0", tags=dead).info.run_id
    tags = {runs.REGISTERED_BY_TAG: killed}
    kept = mlflow.register_model(source, "killed", tags=tags).version
    MlflowClient().set_registered_model_alias("killed", "wanted", kept)
    mlflow.register_model(source, "killed", tags=tags)
    runs.end_the_dead()
    assert [version.version for version in MlflowClient().search_model_versions("name = 'killed'")] == [kept]
    assert (MlflowClient().get_run(killed).info.status, in_store) == ("KILLED", logged.uri)


@pytest.mark.slow
def test_a_cold_store_that_several_processes_open_at_once_works_for_all_of_them(
    subprocess_environment: dict[str, str], tmp_path: Path
):
    """Without the lock a cold SQLite store fails in each of them, and stays broken."""
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    command = [sys.executable, "-c", "from intents.tracking import store as stores; stores.connect()"]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(COLD_PROCESSES)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * COLD_PROCESSES, errors


@pytest.mark.slow
def test_two_trainings_at_once_in_one_folder_against_one_cold_store_both_finish(
    tiny_settings: dict[str, str], subprocess_environment: dict[str, str], tmp_path: Path
):
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    settings = tiny_settings | {"workspace": "workspace", "register": "both"}
    started = [start_command(name, settings, environment=environment, cwd=tmp_path) for name in TRAININGS]
    ended = [process.communicate(timeout=180) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    assert sorted(said.splitlines()[-2].split(";")[0] for said, _ in ended) == [
        "registered both version 1",
        "registered both version 2",
    ]
    assert list((tmp_path / "workspace" / "runs").iterdir()) == []
