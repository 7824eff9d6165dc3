"""Promoters at once against a real MLflow server, while a consumer reads what they publish.

Nothing here stands for anything else: a server with its database and its artifacts, which are fetched through it; two
models that were trained; a registered version for each promotion; promoters and a consumer that are processes of their
own. Only the gate is left out: the two models take turns. promotion.py runs it. Neither torch nor MLflow is
imported here.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.promotion import consuming
from bench.promotion.consuming import Answer
from intents.errors import IntentsError
from registry import record
from registry.target import Target

ROOT = Path(__file__).parents[2]
NAME, ERRORS = "tiny", "errors"
SHOWN_CHARACTERS = 3000
START_SECONDS = 120
TOLERANCE = 1e-4
"""Two readers of one model agree on a confidence within this."""
PRODUCTION = f"/api/2.0/mlflow/registered-models/alias?name={NAME}&alias=Production"
"""The server's own word on the version that is marked, asked without MLflow's client."""


def measure(folder: Path, *, promoters: int, promotions: int) -> dict[str, Any]:
    """So many promoters with so many promotions each, every one of another version."""
    target, count = folder / "models" / "intent_predictor", promoters * promotions
    versions = [str(number) for number in range(1, count + 1)]
    with served(folder) as address:
        environment = _environment(address)
        expected = _registered(folder, count, environment)
        began = time.monotonic()
        shares = [versions[number * promotions : (number + 1) * promotions] for number in range(promoters)]
        started = [_promoter(target, share, folder, environment) for share in shares]
        _wait_for_the_first(target, started)
        with consuming.looping(target, folder) as consumer:
            said = [promoter.communicate()[0] for promoter in started]
        seconds = time.monotonic() - began
        marked = json.loads(_get(f"{address}{PRODUCTION}"))["model_version"]["version"]
    return {
        "promoters": promoters,
        **_ended(started, said, count, folder / ERRORS),
        **_published(Target(target), versions, marked),
        "seconds": round(seconds),
        **_consumed(consuming.answers(folder), expected),
        "consumer: ended by an error (must be 0)": int(consumer.returncode != 0),
    }


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of an MLflow server of its own, its database and its artifacts in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = _environment("") | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _is_healthy(address):
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _environment(address: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return kept | {"MLFLOW_TRACKING_URI": address, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        content: bytes = answer.read()
        return content


def _is_healthy(address: str) -> bool:
    try:
        return _get(f"{address}/health") == b"OK"
    except OSError:
        return False


def _registered(folder: Path, count: int, environment: Mapping[str, str]) -> list[list[Any]]:
    """Registers so many versions; what odd and even ones say of the consumer's utterance."""
    command = [sys.executable, "-m", "bench.promotion.tiny_models", str(folder), str(count)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    odd, even = json.loads(done.stdout.splitlines()[-1])
    assert odd != even, "nobody could tell the versions apart"
    return [even, odd]


def _promoter(
    target: Path, versions: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.promotion.promoter", str(target), NAME, *versions]
    with (folder / ERRORS).open("a") as errors:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )


def _wait_for_the_first(target: Path, promoters: Sequence["subprocess.Popen[str]"]) -> None:
    while not target.is_symlink() and any(promoter.poll() is None for promoter in promoters):
        time.sleep(0.1)


def _ended(
    promoters: Sequence["subprocess.Popen[str]"], said: Sequence[str], count: int, errors: Path
) -> dict[str, Any]:
    well = sum(json.loads(line)["action"] == "published" for text in said for line in text.splitlines())
    failed = sum(promoter.returncode != 0 for promoter in promoters)
    if failed:
        print(errors.read_text(errors="replace")[-SHOWN_CHARACTERS:], file=sys.stderr)
    return {
        "promotions that ended well": well,
        "promotions that did not (must be 0)": count - well,
        "promoters that failed (must be 0)": failed,
    }


def _published(store: Target, versions: list[str], marked: str) -> dict[str, Any]:
    live = store.live()
    assert live is not None
    told = [entry["version"] for entry in store.history()]
    named = record.check(live).identity.version
    return {
        "versions published twice or not at all (must be 0)": _differences(told, versions),
        "kept versions that are not whole (must be 0)": len(versions) - sum(map(_is_whole, store.versions())),
        "published is not what Production names (must be 0)": int(named != marked),
    }


def _differences(found: list[str], expected: list[str]) -> int:
    one, other = Counter(found), Counter(expected)
    return ((one - other) + (other - one)).total()


def _is_whole(folder: Path) -> bool:
    try:
        record.check(folder)
    except IntentsError:
        return False
    return True


def _consumed(answers: list[Answer], expected: list[list[Any]]) -> dict[str, Any]:
    wrong = sum(not _is_of_its_version(answer, expected) for answer in answers)
    return {
        "consumer: answers": max((answer.number for answer in answers), default=0),
        "consumer: models loaded (must not be 0)": sum(answer.was_loaded for answer in answers),
        "consumer: overtaken by a promotion while loading": sum(answer.was_overtaken for answer in answers),
        "consumer: answers not of one version (must be 0)": wrong,
    }


def _is_of_its_version(answer: Answer, expected: list[list[Any]]) -> bool:
    version = int(record.read(Path(answer.folder)).identity.version)
    intent, confidence = expected[version % 2]
    return bool(answer.intent == intent and abs(answer.confidence - confidence) < TOLERANCE)
