"""A workspace that can't be written, and a disk that fills up: one line, the right exit code, nothing half-written."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from intents.cli import FAILURE, USER_ERROR
from intents.tracking.tags import FAILURE_TAG
from tests.conftest import start_command

Settings = dict[str, str]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 3 MB: less than a model of `char` takes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", folder], capture_output=True
    ).returncode:
        pytest.skip("only root, where it may, can make a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def train(settings: Settings, workspace: Path, *, environment: dict[str, str], cwd: Path) -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    flags = settings | {"model_name": "char", "workspace": str(workspace), "register": ""}
    with start_command("train_bert", flags, environment=environment, cwd=cwd) as process:
        _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.mark.slow
def test_a_disk_that_is_full_ends_the_run_failed_and_leaves_no_half_a_checkpoint(
    in_store: str,
    tiny_settings: Settings,
    subprocess_environment: dict[str, str],
    small_disk: Path,
    tmp_path: Path,
):
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": in_store}
    code, errors = train(tiny_settings, small_disk / "work", environment=environment, cwd=tmp_path)
    assert code == FAILURE
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("error: ")
    (run,) = MlflowClient().search_runs(["0"], f"params.workspace = '{small_disk / 'work'}'")
    assert run.info.status == "FAILED"
    assert "No space left" in run.data.tags[FAILURE_TAG]
    assert [path for path in (small_disk / "work" / "runs").iterdir() if path.is_dir()] == []


def test_a_workspace_on_a_disk_that_is_read_only_is_refused(
    in_store: str,
    tiny_settings: Settings,
    subprocess_environment: dict[str, str],
    small_disk: Path,
    tmp_path: Path,
):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": in_store}
    code, errors = train(tiny_settings, small_disk / "work", environment=environment, cwd=tmp_path)
    assert code == USER_ERROR
    assert "can't be made (Read-only file system)" in errors


def test_a_workspace_that_is_a_file_is_refused(
    in_store: str, tiny_settings: Settings, subprocess_environment: dict[str, str], tmp_path: Path
):
    (tmp_path / "work").write_text("mine", encoding="utf-8")
    environment = subprocess_environment | {"MLFLOW_TRACKING_URI": in_store}
    code, errors = train(tiny_settings, tmp_path / "work", environment=environment, cwd=tmp_path)
    assert code == USER_ERROR
    assert "can't be made" in errors
    assert (tmp_path / "work").read_text(encoding="utf-8") == "mine"
