"""Artifact stores that hang, drip and fail: given up in good time, in words, and never in the way of a rollback."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from bench.promotion.publishers import version_in
from intents.models.file_names import PREDICTIONS, WEIGHTS
from registry import fetching, promote, record
from registry.checks import gate
from registry.target import Target
from tests.conftest import Logged
from tests.registry.conftest import Promote, manifest, stored

ROOT = Path(__file__).parents[2]
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
NAME = "remote"


@dataclass
class ArtifactStore:
    """A server of one model directory; `behaviour` is that of one file, its weights: serves, hangs, drips or fails.

    The run's own folder holds nothing, unless the file that misbehaves is its predictions.
    """

    directory: Path
    behaviour: str = "serves"
    misbehaves_with: str = WEIGHTS
    was_asked: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlparse(handler.path)
        if url.path == ARTIFACTS:
            (path,) = parse_qs(url.query)["path"]
            of_run = [{"path": PREDICTIONS, "is_dir": False, "file_size": 10 << 20}]
            files = (
                self.files() if path.endswith("/model") else of_run * (self.misbehaves_with == PREDICTIONS)
            )
            return _send(handler, json.dumps({"files": files}).encode())
        name = url.path.rsplit("/", 1)[1]
        if name == self.misbehaves_with and self.behaviour != "serves":
            self.was_asked.set()
            return self.misbehave(handler)
        return _send(handler, (self.directory / name).read_bytes())

    def files(self) -> list[dict[str, object]]:
        files = sorted(self.directory.iterdir())
        return [{"path": file.name, "is_dir": False, "file_size": file.stat().st_size} for file in files]

    def misbehave(self, handler: BaseHTTPRequestHandler) -> None:
        if self.behaviour == "fails":
            return handler.send_error(500)
        handler.send_response(200)
        handler.send_header("Content-Length", str(10 << 20))
        handler.end_headers()
        while not self.is_over.wait(0.1):
            if self.behaviour == "drips":
                handler.wfile.write(b"x")
        return None


def _send(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def artifacts(versions: tuple[Logged, Logged], in_store: str) -> Iterator[ArtifactStore]:
    """A store that has version 1 of `remote`, the model of `shop` version 1."""
    assert in_store
    served = ArtifactStore(stored(versions[0]))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):  # the client went away
                served.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        served.address = f"http://127.0.0.1:{server.server_port}"
        register(f"{served.address}{ARTIFACTS}/1")
        yield served
        MlflowClient(in_store).delete_registered_model(NAME)
        served.is_over.set()
        server.shutdown()
        thread.join()


def register(location: str) -> None:
    """Version 1, whose logged model lies there."""
    client = MlflowClient()
    experiment = client.create_experiment(location, artifact_location=location)
    run_id = client.create_run(experiment).info.run_id
    model = mlflow.initialize_logged_model(name="m", source_run_id=run_id, experiment_id=experiment)
    client.finalize_logged_model(model.model_id, "READY")
    client.set_terminated(run_id)
    client.create_registered_model(NAME)
    client.create_model_version(NAME, f"models:/{model.model_id}", run_id=run_id)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's patience would be a long test."""
    monkeypatch.setattr(fetching, "STALL_SECONDS", 8)
    monkeypatch.setattr(fetching, "TELL_SECONDS", 0.5)


@pytest.mark.slow
def test_a_version_is_fetched_whole_from_a_server(run: Promote, artifacts: ArtifactStore):
    code, said = run("--version", "1", name=NAME)
    assert code == 0, said
    assert manifest(run.target) == manifest(artifacts.directory)
    record.check(run.target.resolve())


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("behaviour", ["hangs", "drips"])
def test_a_server_that_hangs_or_drips_is_given_up_and_how_far_it_came_is_told_meanwhile(
    behaviour: str, run: Promote, artifacts: ArtifactStore
):
    artifacts.behaviour = behaviour
    began = time.monotonic()
    code, printed, told = run.apart("--version", "1", "--json", name=NAME)
    assert time.monotonic() - began < 45
    answer = json.loads(printed)
    assert (code, answer["action"]) == (2, "refused")
    assert "the artifact store sent less than a megabyte in 8 s, " in answer["error"]
    assert "Try again" in answer["error"]
    assert f"fetching {NAME} version 1: 0 of " in told
    assert run.kept == []


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("behaviour", ["hangs", "drips"])
def test_predictions_that_do_not_come_are_given_up_too_and_nothing_is_published(
    behaviour: str, run: Promote, artifacts: ArtifactStore
):
    assert run("--version", "1")[0] == 0
    live = run.target.resolve()
    artifacts.behaviour, artifacts.misbehaves_with = behaviour, PREDICTIONS
    began = time.monotonic()
    gated = dataclasses.replace(run, gate=gate.gate)
    code, said = gated("--version", "1", "--accept", "other_model", name=NAME)
    assert time.monotonic() - began < 60
    assert code == 2, said
    assert f"{PREDICTIONS} of run " in said
    assert "the artifact store sent less than a megabyte in 8 s" in said
    assert run.target.resolve() == live


@pytest.mark.slow
def test_a_server_that_fails_is_given_up_within_half_a_minute(run: Promote, artifacts: ArtifactStore):
    artifacts.behaviour = "fails"
    began = time.monotonic()
    code, said = run("--version", "1", name=NAME)
    assert time.monotonic() - began < 45
    assert code == 2
    assert "its files can't be fetched" in said
    assert "Try again" in said
    assert "mlflow run" not in said
    assert run.kept == []


@pytest.mark.slow
def test_a_rollback_waits_for_no_download(
    prepared: Callable[..., Path],
    artifacts: ArtifactStore,
    subprocess_environment: dict[str, str],
    in_store: str,
    capsys: pytest.CaptureFixture[str],
):
    artifacts.behaviour = "hangs"
    target = prepared(1, 2)
    command = [
        sys.executable,
        "-m",
        "registry.promote",
        "--target",
        str(target),
        "--name",
        NAME,
        "--version",
        "1",
    ]
    environment = subprocess_environment | {
        "MLFLOW_TRACKING_URI": in_store,
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as publisher:
        assert artifacts.was_asked.wait(120)
        assert promote.main(["--target", str(target), "--rollback", "--wait", "0"]) == 0
        assert version_in(target) == 1
        assert Target(target).named(".staging-"), "what a live process fetches is left to it"
        assert promote.main(["--target", str(target), "--status"]) == 0
        publisher.send_signal(signal.SIGTERM)
        assert publisher.wait(60) == 130
        assert publisher.stderr is not None
        assert "interrupted" in publisher.stderr.read()
    capsys.readouterr()
    assert Target(target).named(".staging-") == []


@pytest.mark.slow
def test_whoever_fetches_ends_with_the_process_that_wanted_it(
    artifacts: ArtifactStore, tmp_path: Path, in_store: str
):
    assert in_store
    artifacts.behaviour = "hangs"
    model = f"{artifacts.address}{ARTIFACTS}/1/models/m/artifacts/model"
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "registry.fetching", model, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as child:
        assert artifacts.was_asked.wait(120)
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(10) == 1
