"""MLflow's tracking store: pointed at, initialised once, and never with its password shown."""

import contextlib
import logging
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from intents.errors import TrackingError
from intents.system import lock, processes
from intents.system.redaction import without_secrets

PRODUCTION = "Production"
"""The alias of the version that is published. Aliases are case-sensitive."""
DEFAULT_URI = "sqlite:///mlflow.db"
SQLITE = "sqlite:///"
INITIALISATION_TIMEOUT_SECONDS = 60
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers when a model, a version or an alias is not there."""
REPEATING = "mlflow.store.db.utils"
"""Logs with its traceback what is raised, and told, as well."""
FROM_DATABASE = re.compile(r"\([\w.]+Error\) ")
UNUSABLE = (MlflowException, SQLAlchemyError, OSError)
"""What MLflow raises when its store, or the artifact root, can't be used."""


def connect() -> None:
    """Points MLflow at its store and initialises a cold one under a lock. Raises TrackingError.

    A cold SQLite store that several processes open at once stays broken, hence the lock.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger(REPEATING).setLevel(logging.CRITICAL)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    try:
        database = database_file(uri)
        mlflow.set_tracking_uri(_plain(uri, database))
        with _initialising(database), impatient():
            MlflowClient().search_experiments(max_results=1)
    except (*UNUSABLE, ImportError, lock.BusyError) as error:
        raise TrackingError(
            f"the tracking store {without_secrets(uri)} can't be used: {said_by(error)} "
            f"Check MLFLOW_TRACKING_URI, or unset it to use {DEFAULT_URI} in this folder."
        ) from error


def database_file(uri: str) -> str:
    """The file of a SQLite store, its address decoded as SQLAlchemy decodes it; "" where there is none."""
    name = make_url(uri).database if uri.startswith(SQLITE) else ""
    return "" if not name or name.startswith((":memory:", "file:")) else name


def _plain(uri: str, database: str) -> str:
    """The address, its file's name decoded where it can be: MLflow makes the folder that stands in the address."""
    is_plain = database and not set("%?#") & set(database) and "?" not in uri
    return f"{SQLITE}{database}" if is_plain else uri


def _initialising(database: str) -> contextlib.AbstractContextManager[None]:
    """The lock beside the database, where it is a file."""
    if not database:
        return contextlib.nullcontext()
    Path(database).parent.mkdir(parents=True, exist_ok=True)
    return lock.held(Path(f"{database}.lock"), wait=INITIALISATION_TIMEOUT_SECONDS, advice="")


def log_first(record: Mapping[str, Any], name: str, *, run_id: str) -> None:
    """Logs a run's first record and reads it back. Raises TrackingError, before any work, where that can't be done."""
    root = mlflow.get_run(run_id).info.artifact_uri
    try:
        mlflow.log_dict(dict(record), name)
        if mlflow.artifacts.load_dict(f"{root}/{name}") != record:
            raise OSError("what was written is read back as something else.")
    except UNUSABLE as error:
        raise TrackingError(
            f"the artifact root {without_secrets(root)} can't be used: {said_by(error)} Expected a place that can be "
            "written and read. Mend its permissions, or free space; a path that holds #, ? or % is beyond MLflow."
        ) from error


def page(run_id: str) -> str:
    """Where a person looks at a run: the command that shows it, if one is needed, and the page's address."""
    uri = mlflow.get_tracking_uri()
    path = f"/#/experiments/{mlflow.get_run(run_id).info.experiment_id}/runs/{run_id}"
    if uri.startswith(("http:", "https:")):
        return f"{without_secrets(uri).rstrip('/')}{path}"
    is_default = Path(database_file(uri)).resolve() == Path(database_file(DEFAULT_URI)).resolve()
    shown = shlex.quote(uri) if without_secrets(uri) == uri else '"$MLFLOW_TRACKING_URI"'
    option = "" if is_default else f" --backend-store-uri {shown}"
    return f"mlflow ui{option}, then http://127.0.0.1:5000{path}"


def place(root: str, name: str) -> str:
    """Where a person finds an artifact: its path where the artifact root is a folder, else its address."""
    if "://" in root and not root.startswith("file:"):
        return f"{without_secrets(root)}/{name}"
    path = Path(local_file_uri_to_path(root)) / name
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def production(name: str) -> Any | None:
    """The version of the registered model that carries the alias Production; None where none does."""
    try:
        return MlflowClient().get_model_version_by_alias(name, PRODUCTION)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        raise TrackingError(
            f"the registry can't be read: {said_by(error)} Check MLFLOW_TRACKING_URI."
        ) from error


def said_by(error: BaseException) -> str:
    """The line that says most of what a library said, without its secrets."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    telling = (line for line in lines if FROM_DATABASE.match(line))
    return without_secrets(next(telling, lines[0]))[:300]


def impatient(
    seconds: int = 15, *, retries: int = 2, whatever_is_set: bool = False
) -> contextlib.AbstractContextManager[None]:
    """A store that can't be reached is noticed in seconds; a long upload later keeps MLflow's patience.

    What the user's environment says goes first, unless `whatever_is_set`: while others wait for a lock.
    """
    hurried = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    kept = () if whatever_is_set else os.environ
    return processes.environment({name: text for name, text in hurried.items() if name not in kept})
