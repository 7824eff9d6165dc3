"""Where a study is kept: a journal in a file, or a database that several machines share."""

import contextlib
import math
import os
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from intents.errors import TuningError
from intents.system import lock
from intents.system.redaction import without_secrets
from intents.tuning import trials

IDENTITY = "identity"
"""Attribute of a study: what it searches for, on which rows. Who goes on with it must agree."""
IDENTITY_SECONDS = 30
"""A study that was created but says nothing of itself by then lost its creator."""
HEARTBEAT_SECONDS, GRACE_SECONDS = 30, 120
SCHEMA_TRIES = 5
"""Two machines that create a database's tables at once: one of them has to try again."""


class JournalLock:
    """A journal's lock, which a process that dies lets go of, and which repairs what such a process left.

    Optuna's own locks are files that stay behind; and a record cut in two would make every later reader fail. The
    record that is dropped was never acknowledged.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self._held = contextlib.ExitStack()
        self._thread_lock = threading.Lock()

    def acquire(self) -> bool:
        """Waits for the lock."""
        self._thread_lock.acquire()
        try:
            self._held.enter_context(lock.held(Path(f"{self.journal}.lock"), wait=math.inf))
            drop_half_a_record(self.journal)
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Lets others have it."""
        self._held.close()
        self._thread_lock.release()


def drop_half_a_record(journal: Path) -> None:
    """Cuts off what stands behind the last line's end."""
    with journal.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def opened(url: str, *, study: str, workspace: Path) -> BaseStorage:
    """The storage at `url`, or the study's own journal in the workspace where that is "". Raises TuningError."""
    if not url:
        return _journal(workspace / "studies" / f"{study}.jsonl")
    if without_secrets(url) != url:
        raise TuningError(
            f"storage={without_secrets(url)}: a password there is logged with the parameters. Leave it out, and put "
            "it where the database's client looks for it: PGPASSWORD, or the file ~/.pgpass. (mlflow run has logged it "
            "already: delete that run.)"
        )
    for attempt in range(SCHEMA_TRIES):
        try:
            return _database(url)
        except (ImportError, SQLAlchemyError, StorageInternalError, ValueError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            failure: Exception = error
        time.sleep(attempt)
    raise TuningError(
        f"storage={without_secrets(url)}: can't be used: {without_secrets(reason)[:300]} Check that the database is "
        "there and the driver installed (pip install '.[postgresql]')."
    ) from failure


def _journal(file: Path) -> BaseStorage:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return JournalStorage(JournalFileBackend(str(file), lock_obj=JournalLock(file)))  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError) as error:
        raise TuningError(
            f"{file}: the study can't be read or written ({error}). Name another study, or another workspace."
        ) from error


def _database(url: str) -> BaseStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RDBStorage(
            with_driver(url),
            engine_kwargs={"pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
            heartbeat_stale_trial_callback=trials.retry,
        )


def with_driver(url: str) -> str:
    """A PostgreSQL URL that names no driver gets the one that the project installs."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme in ("postgresql", "postgres") else url


def begun(
    storage: BaseStorage,
    name: str,
    *,
    is_maximised: bool,
    identity: Mapping[str, str],
    first: Sequence[Mapping[str, Any]],
) -> optuna.Study:
    """The study of that name, created if there is none: its first trials then try the values `first`.

    Raises TuningError where the one that is there searches for something else.
    """
    direction = StudyDirection.MAXIMIZE if is_maximised else StudyDirection.MINIMIZE
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        _check_identity(study, identity)
        return study
    for values in first:
        study.enqueue_trial(dict(values))
    study.set_user_attr(IDENTITY, dict(identity))
    return study


def _check_identity(study: optuna.Study, identity: Mapping[str, str]) -> None:
    deadline = time.monotonic() + IDENTITY_SECONDS
    while IDENTITY not in study.user_attrs and time.monotonic() < deadline:
        time.sleep(0.1)
    theirs = study.user_attrs.get(IDENTITY)
    if theirs is None:
        study.set_user_attr(IDENTITY, dict(identity))
        return
    differing = [name for name in identity if theirs.get(name) != identity[name]]
    if differing:
        found = ", ".join(f"{name} {theirs.get(name)!r} (here {identity[name]!r})" for name in differing)
        raise TuningError(
            f"study={study.study_name}: begun with other settings: {found}. Its trials can't be compared with these: "
            "go on with the same settings, or name another study with -P study=<name>."
        )
