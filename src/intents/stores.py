"""MLflow's tracking store: pointed at, initialised once, and never with its password shown."""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import filelock
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from intents.errors import TrackingError

PRODUCTION = "Production"
"""The alias of the version that is published. Aliases are case-sensitive."""
DEFAULT_URI = "sqlite:///mlflow.db"
INITIALISATION_TIMEOUT_SECONDS = 60
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers when a model, a version or an alias is not there."""


def connect() -> None:
    """Points MLflow at its store and initialises a cold one under a lock. Raises TrackingError.

    A cold SQLite store that several processes open at once stays broken, hence the lock.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    mlflow.set_tracking_uri(uri)
    lock: Any = contextlib.nullcontext()
    if uri.startswith("sqlite:///"):
        lock = filelock.FileLock(
            f"{uri.removeprefix('sqlite:///')}.lock", timeout=INITIALISATION_TIMEOUT_SECONDS
        )
    try:
        with lock, impatient():
            MlflowClient().search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, ImportError, OSError, filelock.Timeout) as error:
        raise TrackingError(
            f"the tracking store {without_password(uri)} can't be used: {without_password(str(error))[:300]} "
            f"Check MLFLOW_TRACKING_URI, or unset it to use {DEFAULT_URI} in this folder."
        ) from error


def production(name: str) -> Any | None:
    """The version of the registered model that carries the alias Production; None where none does."""
    try:
        return MlflowClient().get_model_version_by_alias(name, PRODUCTION)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        raise TrackingError(
            f"the registry can't be read: {without_password(str(error))[:300]} Check MLFLOW_TRACKING_URI."
        ) from error


@contextlib.contextmanager
def impatient(seconds: int = 15, *, retries: int = 2, whatever_is_set: bool = False) -> Iterator[None]:
    """A store that can't be reached is noticed in seconds; a long upload later keeps MLflow's patience.

    What the user's environment says goes first, unless `whatever_is_set`: while others wait for a lock.
    """
    hurried = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    before = {name: os.environ.get(name) for name in hurried}
    os.environ.update(
        {name: text for name, text in hurried.items() if whatever_is_set or before[name] is None}
    )
    try:
        yield
    finally:
        for name, text in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if text is None else {name: text})


def without_password(text: str) -> str:
    """`text` with the password of every URL in it replaced."""
    return re.sub(r"(\w+://[^/\s:@]*):[^\s]*@", r"\1:***@", text)
