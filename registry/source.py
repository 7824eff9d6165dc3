"""Which registered version is meant, whether its files may be trusted to be it, and how they are brought here."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from intents import redaction, stores
from intents.errors import PromotionError, TrackingError
from registry import record
from registry.publishing import Candidate
from registry.record import Identity

STAGE = "Production"
MODEL_PATH = "artifacts/model"
"""Where in a logged model the model directory lies; `pyfunc.MODEL_ARTIFACT`, which takes seconds to import."""
REGISTER = "Register a version of a training run: mlflow run . -e train_bert"


def resolve(name: str, version: str) -> Candidate:
    """The named version, or with "" the one that the alias Production names. Raises PromotionError."""
    client = MlflowClient()
    found = _version(client, name, version)
    _refuse_other_stage(client, name, str(found.version))
    _require_ready(found)
    what = f"{name} version {found.version}"
    identity = Identity(name, str(found.version), found.run_id or "", _model_id(found))
    uri = f"{_logged_model(client, identity).artifact_location}/{MODEL_PATH}"
    return Candidate(
        identity=identity,
        source=f"models:/{identity.model_id}",
        size=_size(uri, what),
        fetch=lambda folder: _download(uri, folder, what),
    )


def mark(identity: Identity) -> None:
    """Moves the alias Production to this version. Raises TrackingError."""
    try:
        MlflowClient().set_registered_model_alias(identity.name, stores.PRODUCTION, identity.version)
    except MlflowException as error:
        raise _unreachable(error) from error


def _version(client: MlflowClient, name: str, version: str) -> Any:
    try:
        if version:
            return client.get_model_version(name, version)
        return client.get_model_version_by_alias(name, stores.PRODUCTION)
    except MlflowException as error:
        if error.error_code not in stores.ABSENT:
            raise _unreachable(error) from error
        raise PromotionError(_what_exists(client, name, version)) from error


def _require_ready(found: Any) -> None:
    if found.status != "READY":
        raise PromotionError(
            f"{found.name} version {found.version} has the status {found.status}, expected READY. {REGISTER}"
        )


def _refuse_other_stage(client: MlflowClient, name: str, version: str) -> None:
    """The stage Production, MLflow's older way to say the same, may name no other version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that stages are deprecated is why nothing else here reads them
        versions = client.search_model_versions(f"name = '{name}'")
        staged = sorted(int(v.version) for v in versions if v.current_stage == STAGE)
    others = [number for number in staged if str(number) != version]
    if others:
        raise PromotionError(
            f"{name} version {version} is what the alias {stores.PRODUCTION!r} names or is to name, but version "
            f"{', '.join(map(str, others))} is in the stage {STAGE!r}; expected one version. Archive the other's "
            f"stage, or publish it: python -m registry.promote --name {name} --version {others[-1]}"
        )


def _model_id(found: Any) -> str:
    """The logged model that a version names, as its source and as its model_id; a SQL store leaves the latter empty."""
    named = re.fullmatch(r"models:/(m-[0-9a-f]+)", found.source or "")
    if not named:
        raise PromotionError(
            f"{found.name} version {found.version} names no logged model: it was not registered by a training run. "
            f"{REGISTER}"
        )
    if found.model_id and found.model_id != named[1]:
        raise PromotionError(
            f"{found.name} version {found.version} has the model_id {found.model_id} but the source {named[1]}; "
            f"expected one logged model. {REGISTER}"
        )
    return named[1]


def _logged_model(client: MlflowClient, identity: Identity) -> Any:
    """The logged model, which must be of the version's own run."""
    try:
        logged = client.get_logged_model(identity.model_id)
    except MlflowException as error:
        if error.error_code not in stores.ABSENT:
            raise _unreachable(error) from error
        raise PromotionError(
            f"{identity}: its logged model {identity.model_id} is gone. {REGISTER}"
        ) from error
    if logged.source_run_id != identity.run_id:
        raise PromotionError(
            f"{identity} says it comes from run {identity.run_id or None}, its logged model from run "
            f"{logged.source_run_id}. Register the run's own model again."
        )
    try:
        client.get_run(identity.run_id)
    except MlflowException as error:
        raise PromotionError(f"{identity}: its run {identity.run_id} is gone. {REGISTER}") from error
    return logged


def _size(uri: str, what: str) -> int:
    files = _reached(lambda: mlflow.artifacts.list_artifacts(artifact_uri=uri), what)
    folders = [file.path for file in files if file.is_dir]
    if folders or not files:
        raise PromotionError(
            f"{what}: its files can't be fetched: found {folders or 'none'} at its model. {REGISTER}"
        )
    return sum(file.file_size or 0 for file in files)


def _download(uri: str, folder: Path, what: str) -> Path:
    if re.match(r"file:|/|\.", uri):
        # MLflow copies what a link leads to; a link is refused while it can still be seen to be one.
        record.refuse_irregular(Path(local_file_uri_to_path(uri)))
    fetched = _reached(
        lambda: mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)), what
    )
    return Path(fetched)


def _reached(call: Callable[[], Any], what: str) -> Any:
    try:
        return call()
    except MlflowException as error:
        raise PromotionError(
            f"{what}: its files can't be fetched: {redaction.without_secrets(str(error))[:300]} {REGISTER}"
        ) from error


def _unreachable(error: MlflowException) -> TrackingError:
    return TrackingError(
        f"the registry can't be used: {redaction.without_secrets(str(error))[:300]} Check MLFLOW_TRACKING_URI."
    )


def _what_exists(client: MlflowClient, name: str, version: str) -> str:
    try:
        model = client.get_registered_model(name)
    except MlflowException:
        names = sorted(model.name for model in client.search_registered_models(max_results=20))
        return f"no registered model {name!r}; there are {names}. Register one: mlflow run . -e train_bert"
    versions = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
    if version:
        return f"{name!r} has no version {version}; its versions are {versions}."
    return (
        f"{name!r} has no version with the alias {stores.PRODUCTION!r}; its aliases are {sorted(model.aliases)} "
        f"(case matters), its versions {versions}. Mark one: python -m registry.promote --name {name} --version N"
    )
