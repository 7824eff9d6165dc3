"""Runs that fail or are stopped, and stores that can't be used: how they end and what they say."""

import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from intents import checkpoints, resuming, runs, stores
from intents.errors import DataError, TrackingError
from tests.conftest import run_tracked, start_command, stopped_while_training

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
    assert run.data.tags[runs.FAILURE_TAG].startswith("DataError: nowhere.jsonl")
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
    assert all(checkpoints.last_complete(folder / resuming.CHECKPOINTS) for folder in left)


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


@pytest.mark.slow
def test_a_cold_store_that_several_processes_open_at_once_works_for_all_of_them(
    subprocess_environment: dict[str, str], tmp_path: Path
):
    """Without the lock a cold SQLite store fails in each of them, and stays broken."""
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    command = [sys.executable, "-c", "from intents import stores; stores.connect()"]
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
    assert sorted(said.splitlines()[-1].split(";")[0] for said, _ in ended) == [
        "registered both version 1",
        "registered both version 2",
    ]
    assert list((tmp_path / "workspace" / "runs").iterdir()) == []
