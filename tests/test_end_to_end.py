"""From a fresh clone to the chat service: train, serve, publish, consume, each by its own command."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from registry import record
from tests.conftest import ENDINGS, INTENTS
from tests.serving.test_consumer import UTTERANCES, consume

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files git tracks, as a clone would have them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "clone" / name)
    assert not (tmp_path / "clone" / "assets/models/intent_predictor").exists()
    return tmp_path / "clone"


@pytest.fixture
def environment(clone: Path, subprocess_environment: dict[str, str]) -> dict[str, str]:
    """As in an activated virtual environment, the project itself not on the path."""
    kept = {name: value for name, value in subprocess_environment.items() if name != "PYTHONPATH"}
    return kept | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{clone / 'mlflow.db'}",
    }


def run(command: list[str], cwd: Path, environment: Mapping[str, str]) -> str:
    process = subprocess.run(
        command, cwd=cwd, env=dict(environment), capture_output=True, text=True, timeout=300, check=False
    )
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return process.stdout + process.stderr


@contextlib.contextmanager
def served(model: str, cwd: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of `mlflow models serve`, once it answers; stopped afterwards, with its workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["mlflow", "models", "serve", "-m", model, "-p", str(port), "--env-manager", "local"]
    with (cwd / "serve.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=cwd, env=dict(environment), stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not _answers(f"{address}/ping"):
            assert server.poll() is None, (cwd / "serve.log").read_text()
            assert time.monotonic() < deadline, (cwd / "serve.log").read_text()
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def ask(address: str, texts: list[str]) -> list[dict]:
    request = urllib.request.Request(
        f"{address}/invocations",
        data=json.dumps({"inputs": texts, "params": {"top_k": 1}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


def train(clone: Path, environment: dict[str, str], corpus: Path) -> str:
    """What `mlflow run` prints of a training of one epoch."""
    # half of the in-scope rows are rejected out of fold, so that some answer is Unknown
    settings = {
        "data": str(corpus / "rows"),
        "blacklist": str(corpus / "blacklist.txt"),
        "epochs": "1",
        "min_steps": "0",
        "batch_size": "8",
        "target_acceptance": "0.5",
        "test_size": "0.25",
        "validation_size": "0.25",
    }
    parameters = [word for name, value in settings.items() for word in ("-P", f"{name}={value}")]
    entry_point = ["mlflow", "run", ".", "-e", "train_bert", "--env-manager", "local"]
    return run([*entry_point, *parameters], clone, environment)


@pytest.mark.slow
def test_a_fresh_clone_trains_serves_publishes_and_feeds_the_chat_service(
    clone: Path, environment: dict[str, str], tiny_corpus: Path, tmp_path: Path
):
    said = train(clone, environment, tiny_corpus)
    assert "registered intent_predictor version 1" in said

    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    (trained,) = client.search_runs(["0"])  # continued, not nested
    assert (trained.info.status, trained.data.params["epochs"]) == ("FINISHED", "1")

    with served("models:/intent_predictor/1", clone, environment) as address:
        rows = ask(address, UTTERANCES)
        of_corpus = ask(
            address, [start + end for starts in INTENTS.values() for start in starts for end in ENDINGS]
        )
    assert [len(row["alternatives"]) for row in rows] == [1] * len(UTTERANCES)
    assert {row["in_scope"] for row in of_corpus} == {True, False}
    for row in rows + of_corpus:
        assert row["intent"] == (row["best_intent"] if row["in_scope"] else "Unknown")

    said = run(
        ["python", "-m", "registry.promote", "--version", "1"], clone, environment | {"PYTHONPATH": "src"}
    )
    assert "published intent_predictor version 1 to assets/models/intent_predictor" in said
    published = clone / "assets" / "models" / "intent_predictor"
    record.check(published.resolve())

    answers = consume(published, tmp_path)
    assert [intent for intent, _ in answers] == [row["best_intent"] for row in rows]
    assert [confidence for _, confidence in answers] == pytest.approx(
        [row["confidence"] for row in rows], abs=1e-4
    )
