"""Which registered version is meant, and its files, brought here and verified."""

import re
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents import artifact, pyfunc, stores
from intents.errors import ArtifactError, PromotionError


@dataclass(frozen=True)
class Source:
    """One registered version."""

    name: str
    version: str
    run_id: str
    model_id: str


def resolve(name: str, version: str) -> Source:
    """The named version, or with "" the one that the alias Production names. Raises PromotionError."""
    client = MlflowClient()
    try:
        found = (
            client.get_model_version(name, version)
            if version
            else client.get_model_version_by_alias(name, stores.PRODUCTION)
        )
    except MlflowException as error:
        raise PromotionError(_what_exists(client, name, version)) from error
    model_id = found.model_id or _model_id(found.source)
    if not model_id:
        raise PromotionError(
            f"{name} version {found.version} names no logged model: it was not registered by a training run. "
            "Register one: mlflow run . -e train_bert"
        )
    return Source(name, str(found.version), found.run_id, model_id)


def _model_id(source: str) -> str:
    """The logged model that a version's source names, "" where it names a folder or anything else."""
    named = re.fullmatch(r"models:/(m-[0-9a-f]+)", source or "")
    return named[1] if named else ""


def mark(source: Source) -> None:
    """Moves the alias Production to this version."""
    MlflowClient().set_registered_model_alias(source.name, stores.PRODUCTION, source.version)


def fetch(source: Source, folder: Path) -> Path:
    """The version's model directory, downloaded below `folder`, verified and once loaded. Raises PromotionError."""
    try:
        logged = MlflowClient().get_logged_model(source.model_id)
    except MlflowException as error:
        raise PromotionError(
            f"{source.name} version {source.version}: its logged model {source.model_id} is gone. "
            "Register another version: mlflow run . -e train_bert"
        ) from error
    if logged.source_run_id != source.run_id:
        raise PromotionError(
            f"{source.name} version {source.version} says it comes from run {source.run_id}, its logged model from "
            f"run {logged.source_run_id}. Register the run's own model again."
        )
    try:
        downloaded = mlflow.artifacts.download_artifacts(
            artifact_uri=f"{logged.artifact_location}/artifacts/{pyfunc.MODEL_ARTIFACT}", dst_path=str(folder)
        )
    except (MlflowException, OSError) as error:
        raise PromotionError(
            f"{source.name} version {source.version}: its files can't be fetched: {str(error)[:200]}"
        ) from error
    try:
        artifact.load(Path(downloaded))
    except ArtifactError as error:
        raise PromotionError(f"{source.name} version {source.version} is refused: {error}") from error
    return Path(downloaded)


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
