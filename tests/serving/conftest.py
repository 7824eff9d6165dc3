"""One server of `mlflow models serve` for all tests of serving."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.artifacts import download_artifacts

from bench.serving import load
from tests.conftest import Logged

BIN = Path(sys.executable).parent
MOST_ROWS = 40


@pytest.fixture(scope="package")
def downloaded(store: str, logged: Logged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    mlflow.set_tracking_uri(store)
    return Path(download_artifacts(logged.model_uri, dst_path=str(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="package")
def environment(subprocess_environment: dict[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in subprocess_environment.items() if name != "PYTHONPATH"}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "INTENTS_MOST_ROWS": str(MOST_ROWS)}


@pytest.fixture(scope="package")
def port(
    downloaded: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """A server's."""
    with load.served(str(downloaded), tmp_path_factory.mktemp("server"), environment=environment) as (
        port,
        _,
    ):
        yield port
