"""MLflow's tracking store: pointed at, initialised once, and never with its password shown."""

import contextlib
import os
import re
from typing import Any

import filelock
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.errors import TrackingError

PRODUCTION = "Production"
"""The alias of the version that is published. Aliases are case-sensitive."""
DEFAULT_URI = "sqlite:///mlflow.db"
INITIALISATION_TIMEOUT_SECONDS = 60


def connect() -> None:
    """Points MLflow at its store and initialises a cold one under a lock. Raises TrackingError.

    A cold SQLite store that several processes open at once stays broken, hence the lock.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    mlflow.set_tracking_uri(uri)
    lock: Any = contextlib.nullcontext()
    if uri.startswith("sqlite:///"):
        lock = filelock.FileLock(
            f"{uri.removeprefix('sqlite:///')}.lock", timeout=INITIALISATION_TIMEOUT_SECONDS
        )
    try:
        with lock:
            MlflowClient().search_experiments(max_results=1)
    except (MlflowException, ImportError, OSError, filelock.Timeout) as error:
        raise TrackingError(
            f"the tracking store {without_password(uri)} can't be used: {without_password(str(error))[:300]} "
            f"Check MLFLOW_TRACKING_URI, or unset it to use {DEFAULT_URI} in this folder."
        ) from error


def without_password(text: str) -> str:
    """`text` with the password of every URL in it replaced."""
    return re.sub(r"(\w+://[^/\s:@]*):[^\s]*@", r"\1:***@", text)
