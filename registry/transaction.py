"""Publishing as one transaction: whatever ends it, the target leads to the old version or to the new one, whole.

Nothing here knows MLflow or what a model is: a `Candidate` brings the files, `Check`s decide whether they may be
published. Publishers queue; the store's lock is held by whoever changes what is live, which takes moments: a rollback
waits for no download and no check. The link's rename is the commit point. Before it nothing that a reader sees has
changed; after it nothing that is left to do matters to a reader.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intents.errors import IntentsError, PromotionError
from intents.models.file_names import PROMOTION
from intents.system import lock, signals
from intents.system.disk import make_folders, sync, sync_all
from registry import disk, record, upkeep
from registry import target as targets
from registry.record import Identity, Promotion
from registry.target import Target

SPARE_BYTES = 16 << 20
"""Left free on the disk beyond what a version needs."""
COMMIT_SECONDS = 60
"""To wait for a rollback to end, which takes less than one."""
FILE_MODE, FOLDER_MODE = 0o444, 0o755
Check = Callable[[Path], Mapping[str, Any]]
"""Raises PromotionError where a directory may not be published; otherwise returns what it found."""


@dataclass(frozen=True)
class Candidate:
    """A registered version that may be published."""

    identity: Identity
    source: str
    size: int
    """Bytes of all its files."""
    fetch: Callable[[Path], Path]
    """Brings its model directory to below a folder, and says where it lies."""
    registered_at: str = ""
    """When, as times stand in records; "" where that isn't known."""


@contextlib.contextmanager
def queueing(target: Target, *, wait: float) -> Iterator[list[str]]:
    """The only publisher, everything recovered; yields what was repaired. Raises BusyError.

    SIGTERM ends the block as Ctrl-C does.
    """
    with _prepared(target), lock.held(target.queue, wait=wait):
        with lock.held(target.lock, wait=wait):
            repaired = upkeep.recover(target)
        yield repaired


@contextlib.contextmanager
def writing(target: Target, *, wait: float) -> Iterator[list[str]]:
    """The only writer, everything recovered that no live process is at; yields what was repaired. Raises BusyError.

    SIGTERM ends the block as Ctrl-C does.
    """
    with _prepared(target), lock.held(target.lock, wait=wait):
        with lock.tried(target.queue) as nobody_publishes:
            repaired = upkeep.recover(target, is_publishing=not nobody_publishes)
        yield repaired


@contextlib.contextmanager
def unchanged(target: Target, before: Path | None) -> Iterator[None]:
    """The only writer, for what may be done only while `before` is still live. Raises PromotionError, BusyError."""
    with lock.held(target.lock, wait=COMMIT_SECONDS):
        live = target.live()
        if live != before:
            raise PromotionError(
                f"{target.target} led to {before.name if before else 'nothing'} when this began and leads to "
                f"{live.name if live else 'nothing'} now: somebody took it back meanwhile. Nothing was published; "
                "run it again if you still want to."
            )
        yield


@contextlib.contextmanager
def _prepared(target: Target) -> Iterator[None]:
    with signals.stop_the_run(), _explained(target):
        make_folders(target.target.parent)
        target.folder.mkdir(exist_ok=True)
        yield


def publish(
    target: Target, candidate: Candidate, *, checks: Mapping[str, Check], before_commit: Callable[[], object]
) -> Promotion:
    """Makes the candidate live; returns its record. Raises PromotionError or OSError, the live version untouched.

    To be called by whoever is at the head of the queue; the store's lock is taken only to commit.
    """
    before = target.live()
    led_to = before.name if before else ""
    require_space(target, candidate)
    with _staging(target, candidate.identity) as container:
        directory = candidate.fetch(container)
        evidence = judge(directory, candidate, checks=checks)
        files = _on_disk(directory)
        with unchanged(target, before), contextlib.ExitStack() as afterwards:
            # what was entered into the store and didn't go live is gone then, and the container
            afterwards.callback(upkeep.undo, target, container)
            promotion = _seal(
                directory, target, candidate=candidate, container=container, files=files, evidence=evidence
            )
            folder = _enter(directory, target, container=container, promotion=promotion)
            before_commit()
            with signals.whole():
                _point(target, folder, container=container)
                target.tell_history("published", promotion, before=led_to, after=folder)
            upkeep.prune(target)
    return promotion


def roll_back(target: Target) -> tuple[Promotion, Identity | None]:
    """Makes the version before the live one live again, and holds it there.

    Returns its record, and which version was taken away (None where its record is damaged). Raises PromotionError.
    """
    live = target.live()
    if live is None:
        raise PromotionError(f"{target.target}: nothing was published here, so nothing can be rolled back.")
    previous = target.previous(live)
    promotion = record.check(previous)
    taken = target.versions().get(live)
    refused = [identity for identity in (taken and taken.identity, target.refused()) if identity]
    with signals.whole():
        if refused:
            target.hold(previous, max(refused, key=lambda identity: int(identity.version)))
        _point(target, previous, container=None)
        target.tell_history("rolled back", promotion, before=live.name, after=previous)
    return promotion, taken.identity if taken else None


@contextlib.contextmanager
def _explained(target: Target) -> Iterator[None]:
    """Errors of the disk also say what is live now."""
    before = target.live()
    try:
        yield
    except OSError as error:
        if target.live() == before:
            raise OSError(f"{error}. What was live before still is, untouched.") from error
        raise OSError(
            f"{error}. By then {os.readlink(target.target)} was live, and whole. Run the command again: "
            "it does what is left to do."
        ) from error


def require_space(target: Target, candidate: Candidate) -> None:
    """Raises PromotionError where the target's disk has no room for the candidate."""
    folders = (target.folder, *target.folder.absolute().parents)
    free = shutil.disk_usage(next(folder for folder in folders if folder.is_dir())).free
    needed = candidate.size + SPARE_BYTES
    if free < needed:
        raise PromotionError(
            f"{target.folder}: {candidate.identity} needs {needed / 1e6:,.0f} MB there, {free / 1e6:,.0f} MB are free. "
            "Free some, or name a --target on another disk."
        )


@contextlib.contextmanager
def _staging(target: Target, identity: Identity) -> Iterator[Path]:
    """A folder for what is not yet verified; gone afterwards.

    It stays until the version is live, so to a later run it is also the mark of an interrupted publication.
    """
    container = target.folder / f"{targets.STAGING}v{identity.version}_{targets.stamp()}"
    container.mkdir()
    try:
        yield container
    finally:
        if container.exists():
            shutil.rmtree(container)


def judge(
    directory: Path, candidate: Candidate, *, checks: Mapping[str, Check]
) -> dict[str, Mapping[str, Any]]:
    """What each check found. Raises PromotionError, naming the version, where one refuses it."""
    try:
        record.refuse_irregular(directory)
        record.refuse_recorded(directory)
        return {name: check(directory) for name, check in checks.items()}
    except IntentsError as error:
        reasons = error.reasons if isinstance(error, PromotionError) else ()
        raise PromotionError(f"{candidate.identity} is refused: {error}", reasons=reasons) from error


def _on_disk(directory: Path) -> dict[str, dict[str, Any]]:
    """What every file is, once all of them are read-only and on the disk."""
    paths = sorted(directory.iterdir())
    for path in paths:
        path.chmod(FILE_MODE)
    directory.chmod(FOLDER_MODE)
    with ThreadPoolExecutor(1) as other_thread:  # the disk writes while the processor hashes
        written = other_thread.submit(sync_all, paths)
        files = record.inventory(directory)
        written.result()
    return files


def _seal(
    directory: Path,
    target: Target,
    *,
    candidate: Candidate,
    container: Path,
    files: Mapping[str, Mapping[str, Any]],
    evidence: Mapping[str, Any],
) -> Promotion:
    """Writes the record, and has it on the disk."""
    promotion = Promotion(
        sequence=target.next_sequence(),
        identity=candidate.identity,
        source=candidate.source,
        published_at=targets.now(),
        previous=_name_of_previous(target, candidate.identity, container=container),
        digest=record.digest(files),
        files=files,
        evidence=evidence,
    )
    path = directory / PROMOTION
    path.write_text(promotion.as_text(), encoding="utf-8")
    path.chmod(FILE_MODE)
    sync(path)
    sync(directory)
    return promotion


def _name_of_previous(target: Target, identity: Identity, *, container: Path) -> str:
    """What a rollback from the new version leads to: the live one, or what came before it if it is only replaced."""
    live = target.live()
    if live is None:
        return upkeep.adopted_place(target, container).name if target.target.is_dir() else ""
    try:
        promotion = record.read(live)
    except PromotionError:
        return ""
    return promotion.previous if promotion.identity == identity else live.name


def _enter(directory: Path, target: Target, *, container: Path, promotion: Promotion) -> Path:
    """The version's folder in the store, there for good; nothing leads to it yet."""
    of_version = container.name.removeprefix(targets.STAGING)
    folder = target.folder / f"{of_version}_{promotion.digest[: record.DIGEST_CHARACTERS]}"
    os.rename(directory, folder)
    sync(target.folder)
    if not target.target.is_symlink():  # the store may be new: a link into it must not outlive it
        sync(target.target.parent)
    return folder


def _point(target: Target, folder: Path, *, container: Path | None) -> None:
    """The commit point: from here on the target leads to the folder."""
    destination = Path(target.folder.name) / folder.name
    if target.target.is_symlink() or not target.target.exists():
        target.link.symlink_to(destination)
        os.replace(target.link, target.target)
    else:
        assert container is not None
        _adopt(target, destination, container=container)
    sync(target.target.parent)


def _adopt(target: Target, destination: Path, *, container: Path) -> None:
    """Puts the link where a directory stands, and the directory among the versions."""
    adopted = upkeep.adopted_place(target, container)
    adopted.symlink_to(destination)
    if not disk.exchange(adopted, target.target):
        adopted.unlink()
        target.link.symlink_to(destination)
        # Between these two there is no target. A process that dies here leaves the container: `recover` undoes it.
        os.rename(target.target, adopted)
        os.replace(target.link, target.target)
    sync(target.folder)
