"""Brings a version's files from an artifact store, in a child process: `python -m registry.fetching`.

A store that hangs, or that sends a byte now and then, can be given up only by ending whoever listens to it. What has
arrived is seen on the disk, whatever kind of store it is.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import intents
from intents.errors import PromotionError
from intents.system.redaction import without_secrets

STALL_SECONDS = 60
LEAST_BYTES = 1 << 20
"""So much must arrive in each `STALL_SECONDS`: a version of 120 MB is here within two hours, or given up."""
TELL_SECONDS = 5
POLL_SECONDS = 0.1
BLOCK_BYTES = 512
AGAIN = "What is published stays live. Try again; if it fails again, see whether the artifact store answers."


def fetch(uri: str, folder: Path, *, what: str, size: int, tell: Callable[[str], None]) -> Path:
    """Where below the folder the files lie. Raises PromotionError where the store fails, or sends too little.

    `tell` gets a line every few seconds while it lasts.
    """
    with _child(uri, folder) as child:
        watch = _Watch(folder, what, size, tell)
        while child.poll() is None:
            watch.look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(POLL_SECONDS)
        assert child.stdout is not None
        answer = child.stdout.read()
    try:
        said = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        said = {"error": f"the process that fetched them ended with code {child.returncode}"}
    if "error" in said:
        raise PromotionError(f"{what}: its files can't be fetched: {said['error']} {AGAIN}")
    return Path(said["path"])


@dataclass
class _Watch:
    """What has arrived so far, and since when too little."""

    folder: Path
    what: str
    size: int
    tell: Callable[[str], None]
    arrived: int = 0
    since: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Tells how far it is, now and then. Raises PromotionError where it gets no further."""
        now, arrived = time.monotonic(), _bytes_in(self.folder)
        if arrived >= self.arrived + LEAST_BYTES:
            self.arrived, self.since = arrived, now
        of = f"{min(arrived, self.size) / 1e6:,.0f} of {self.size / 1e6:,.0f} MB"
        if now - self.since > STALL_SECONDS:
            raise PromotionError(
                f"{self.what}: its files can't be fetched: the artifact store sent less than a megabyte in "
                f"{STALL_SECONDS} s, {of} have arrived. {AGAIN}"
            )
        if now - self.told > TELL_SECONDS:
            self.told = now
            self.tell(f"fetching {self.what}: {of}")


def _bytes_in(folder: Path) -> int:
    """What the files really occupy: some stores make a file as long as it will be before they fill it."""
    found = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # renamed meanwhile
            found += path.stat().st_blocks * BLOCK_BYTES
    return found


@contextlib.contextmanager
def _child(uri: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    import mlflow

    roots = [Path(__file__).parents[1], Path(intents.__file__).parents[1]]
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "PYTHONPATH": os.pathsep.join(map(str, roots)),
        "PYTHONSAFEPATH": "1",
    }
    command = [sys.executable, "-m", "registry.fetching", uri, str(folder)]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=pipe, stderr=nowhere, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def main() -> None:
    """Prints where the files lie, or {"error": why}; ends at once when the process that wanted them does."""
    uri, folder = sys.argv[1:]
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    print(json.dumps(_fetched(uri, folder)), flush=True)
    os._exit(0)  # threads that still listen are not waited for


def _fetched(uri: str, folder: str) -> dict[str, Any]:
    import mlflow

    try:
        return {"path": mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)}
    except Exception as error:  # each kind of store raises its own
        return {"error": without_secrets(str(error))[:300]}


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
