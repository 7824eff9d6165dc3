"""Which registered version is meant, whether its files may be trusted to be it, and how they are brought here."""

import contextlib
import functools
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import LifecycleStage, LoggedModelStatus, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from intents.errors import PromotionError, TrackingError
from intents.system import redaction
from intents.tracking import models, store
from registry import fetching, record
from registry.record import Identity
from registry.transaction import Candidate

STAGE = "Production"
UNDER_WAY = ("RUNNING", "SCHEDULED")
REGISTER = "Register a version of a training run: mlflow run . -e train_bert"
RUN_AGAIN = "Nothing was published; run it again."
LOCKED_SECONDS = 10
"""The registry must answer within these while the store is locked: a rollback may be waiting."""


def resolve(name: str, version: str) -> Candidate:
    """The named version, or with "" the one that the alias Production names. Raises PromotionError."""
    client = MlflowClient()
    found = _version(client, name, version=version)
    _refuse_other_stage(client, name, version=str(found.version))
    _require_ready(found)
    what = f"{name} version {found.version}"
    identity = Identity(name, str(found.version), found.run_id or "", _model_id(found))
    uri = models.files_of(_logged_model(client, identity))
    _require_finished(client, identity)
    size = _size(uri, what)
    return Candidate(
        identity=identity,
        source=f"models:/{identity.model_id}",
        size=size,
        fetch=lambda folder: _download(uri, folder, what=what, size=size),
        registered_at=_time(found.creation_timestamp),
    )


def confirm(identity: Identity, *, mark: bool) -> None:
    """Asks the registry once more whether this is the version that is meant; moves the alias Production to it if asked.

    Raises PromotionError where that changed since it was resolved, TrackingError where the registry doesn't answer.
    """
    client = MlflowClient()
    with store.impatient(LOCKED_SECONDS, retries=0, whatever_is_set=True):
        try:
            found = _version(client, identity.name, version=identity.version if mark else "")
        except PromotionError as error:
            raise PromotionError(
                f"{identity} was to be published, and meanwhile the registry changed: {error} {RUN_AGAIN}"
            ) from error
        _refuse_changed(identity, found)
        _require_ready(found)
        try:
            if mark:
                client.set_registered_model_alias(identity.name, store.PRODUCTION, identity.version)
        except MlflowException as error:
            raise _unreachable(error) from error


def _refuse_changed(identity: Identity, found: Any) -> None:
    if str(found.version) != identity.version:
        raise PromotionError(
            f"{store.PRODUCTION} moved to version {found.version} while {identity} was being published. {RUN_AGAIN}"
        )
    now = Identity(identity.name, str(found.version), found.run_id or "", _model_id(found))
    if now != identity:
        raise PromotionError(
            f"{identity} was of run {identity.run_id} and is of run {now.run_id} now: it was made anew while it was "
            f"being published. {RUN_AGAIN}"
        )


def _time(milliseconds: int | None) -> str:
    """As it stands in records; "" where the registry doesn't say."""
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat(timespec="seconds")


def _version(client: MlflowClient, name: str, *, version: str) -> Any:
    with _asking(lambda: _what_exists(client, name, version=version)):
        return models.version_of(name, version)


@contextlib.contextmanager
def _asking(absent: Callable[[], str]) -> Iterator[None]:
    """Raises PromotionError where what is asked for is absent, TrackingError where the registry can't be used."""
    try:
        yield
    except MlflowException as error:
        if error.error_code not in store.ABSENT:
            raise _unreachable(error) from error
        raise PromotionError(absent()) from error


def _require_ready(found: Any) -> None:
    if found.status != "READY":
        raise PromotionError(
            f"{found.name} version {found.version} has the status {found.status}, expected READY. {REGISTER}"
        )


def _refuse_other_stage(client: MlflowClient, name: str, *, version: str) -> None:
    """The stage Production, MLflow's older way to say the same, may name no other version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that stages are deprecated is why nothing else here reads them
        versions = client.search_model_versions(f"name = '{name}'")
        staged = sorted(int(v.version) for v in versions if v.current_stage == STAGE)
    others = [number for number in staged if str(number) != version]
    if others:
        raise PromotionError(
            f"{name} version {version} is what the alias {store.PRODUCTION!r} names or is to name, but version "
            f"{', '.join(map(str, others))} is in the stage {STAGE!r}; expected one version. Archive the other's "
            f"stage, or publish it: python -m registry.promote --name {name} --version {others[-1]}"
        )


def _model_id(found: Any) -> str:
    """The logged model that a version names, as its source and as its model_id; a SQL store leaves the latter empty."""
    named = models.model_id(found)
    if not named:
        raise PromotionError(
            f"{found.name} version {found.version} names no logged model: it was not registered by a training run. "
            f"{REGISTER}"
        )
    if found.model_id and found.model_id != named:
        raise PromotionError(
            f"{found.name} version {found.version} has the model_id {found.model_id} but the source {named}; "
            f"expected one logged model. {REGISTER}"
        )
    return named


def _logged_model(client: MlflowClient, identity: Identity) -> Any:
    """The logged model, which must be of the version's own run."""
    with _asking(lambda: f"{identity}: its logged model {identity.model_id} is gone. {REGISTER}"):
        logged = client.get_logged_model(identity.model_id)
    if logged.source_run_id != identity.run_id:
        raise PromotionError(
            f"{identity} says it comes from run {identity.run_id or None}, its logged model from run "
            f"{logged.source_run_id}. Register the run's own model again."
        )
    if logged.status != LoggedModelStatus.READY:
        raise PromotionError(
            f"{identity}: its logged model {identity.model_id} has the status {logged.status}, expected READY: it was "
            f"not logged to the end. {REGISTER}"
        )
    return logged


def _require_finished(client: MlflowClient, identity: Identity) -> None:
    """Raises PromotionError unless the version's run is there and ended well."""
    with _asking(lambda: f"{identity}: its run {identity.run_id} is gone. {REGISTER}"):
        info = client.get_run(identity.run_id).info
    if info.lifecycle_stage != LifecycleStage.ACTIVE:
        raise PromotionError(
            f"{identity}: its run {identity.run_id} was deleted. Bring it back: mlflow runs restore --run-id "
            f"{identity.run_id}; or publish another version."
        )
    if info.status != RunStatus.to_string(RunStatus.FINISHED):
        hint = "Wait for its end" if info.status in UNDER_WAY else "Go on with it (resume=<its id>)"
        raise PromotionError(
            f"{identity}: its run {identity.run_id} is {info.status}, expected FINISHED. {hint}, or publish another "
            "version."
        )


def _size(uri: str, what: str) -> int:
    files = _reached(lambda: mlflow.artifacts.list_artifacts(artifact_uri=uri), uri, what=what)
    folders = [file.path for file in files if file.is_dir]
    if folders or not files:
        raise PromotionError(
            f"{what}: its files can't be fetched: found {folders or 'none'} at its model. {REGISTER}"
        )
    return sum(file.file_size or 0 for file in files)


def _is_local(uri: str) -> bool:
    return bool(re.match(r"file:|/|\.", uri))


def _download(uri: str, folder: Path, *, what: str, size: int) -> Path:
    if not _is_local(uri):
        tell = functools.partial(print, file=sys.stderr, flush=True)
        return fetching.fetch(uri, folder, what=what, size=size, tell=tell)
    # MLflow copies what a link leads to; a link is refused while it can still be seen to be one.
    record.refuse_irregular(Path(local_file_uri_to_path(uri)))
    return Path(_reached(lambda: models.download(uri, folder), uri, what=what))


def bring(run_id: str, file: str, *, folder: Path) -> Path:
    """A file of a run, given up where its store sends too little.

    Raises PromotionError then, FileNotFoundError where the run has no such file.
    """
    root = MlflowClient().get_run(run_id).info.artifact_uri
    if _is_local(root):
        return models.download(f"{root}/{file}", folder)
    what = f"{file} of run {run_id}"
    found = _reached(lambda: mlflow.artifacts.list_artifacts(artifact_uri=root), root, what=what)
    sizes = {Path(each.path).name: each.file_size or 0 for each in found}
    if file not in sizes:
        raise FileNotFoundError(what)
    return _download(f"{root}/{file}", folder, what=what, size=sizes[file])


def _reached(call: Callable[[], Any], uri: str, *, what: str) -> Any:
    try:
        return call()
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors
        if _is_local(uri) and isinstance(error, OSError):
            raise
        hint = REGISTER if _is_local(uri) else fetching.AGAIN
        raise PromotionError(f"{what}: its files can't be fetched: {_words(error)} {hint}") from error


def _words(error: Exception) -> str:
    """What went wrong, in one line, without a password and without the statement that a database was asked."""
    return " ".join(redaction.without_secrets(str(error)).split("[SQL:")[0].split())[:300]


def _unreachable(error: MlflowException) -> TrackingError:
    return TrackingError(f"the registry can't be used: {_words(error)} Check MLFLOW_TRACKING_URI.")


def _what_exists(client: MlflowClient, name: str, *, version: str) -> str:
    try:
        model = client.get_registered_model(name)
    except MlflowException:
        names = sorted(model.name for model in client.search_registered_models(max_results=20))
        return f"no registered model {name!r}; there are {names}. Register one: mlflow run . -e train_bert"
    versions = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
    if version:
        return f"{name!r} has no version {version}; its versions are {versions}."
    return (
        f"{name!r} has no version with the alias {store.PRODUCTION!r}; its aliases are {sorted(model.aliases)} "
        f"(case matters), its versions {versions}. Mark one: python -m registry.promote --name {name} --version N"
    )
