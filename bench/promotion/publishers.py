"""Publishers under test: the project's transaction, and two naive ones that a harness must find fault with.

What they publish are toy versions: a few files, each saying which version it belongs to, so that a reader can tell
whole from torn without trusting anything the publisher wrote. The transaction doesn't know what a model is.
"""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from registry import record, transaction
from registry.record import Identity
from registry.target import Target
from registry.transaction import Candidate

FILES = ("config.json", "intent_mapping.json", "model.safetensors", "tokenizer.json")
MISSING, TORN = -1, -2
KILLED = -signal.SIGKILL
Publisher = Callable[[Path, Path, int], None]


def make_version(folder: Path, number: int) -> Path:
    """A toy version's directory."""
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(json.dumps({"file": name, "version": number, "more": "x" * 2000}))
    return folder


def version_in(folder: Path) -> int:
    """The version that every file of the folder belongs to, or MISSING, or TORN."""
    try:
        texts = [(folder / name).read_text() for name in FILES]
    except (FileNotFoundError, NotADirectoryError):
        return TORN if folder.is_dir() else MISSING
    try:
        versions = {json.loads(text)["version"] for text in texts}
    except ValueError:
        return TORN
    return versions.pop() if len(versions) == 1 else TORN


def publish(target: Path, source: Path, number: int, mark: Callable[[], object] = lambda: None) -> None:
    """The project's transaction, as `registry.commands` calls it, the registry and the model check left out."""
    store = Target(target)
    candidate = Candidate(
        identity=Identity("toy", str(number), f"run{number}", f"m-{number}"),
        source=f"models:/m-{number}",
        size=sum(file.stat().st_size for file in source.iterdir()),
        fetch=lambda folder: Path(shutil.copytree(source, folder / "model")),
    )
    with transaction.queueing(store, wait=60):
        live = store.live()
        if live and _holds(live, candidate.identity):
            return
        transaction.publish(store, candidate, checks={}, before_commit=mark)


def roll_back(target: Path) -> None:
    """The project's rollback, as `registry.commands` calls it."""
    with transaction.writing(Target(target), wait=60):
        transaction.roll_back(Target(target))


def delete_and_copy(target: Path, source: Path, number: int) -> None:  # noqa: ARG001
    """What many would write first."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def two_renames(target: Path, source: Path, number: int) -> None:
    """Whole versions, but for a moment none at all."""
    aside = target.with_name(f"aside{number}")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source, aside)
    if target.exists():
        shutil.rmtree(target.with_name("old"), ignore_errors=True)
        os.rename(target, target.with_name("old"))
    os.rename(aside, target)


def in_child(work: Callable[[], None]) -> int:
    """Runs it in a child process, without output; returns its exit code, 1 after any error, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(start(work), 0)[1])


def start(work: Callable[[], None]) -> int:
    """Begins it in a child process; returns the process's id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def sha256(content: bytes) -> str:
    """As it stands in a record."""
    return hashlib.sha256(content).hexdigest()


def _holds(live: Path, identity: Identity) -> bool:
    try:
        return record.check(live).identity == identity
    except Exception:
        return False
