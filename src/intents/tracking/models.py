"""Which model is meant, and where its files are. Its code is never run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.errors import ComparisonError, ScoringError, TrackingError
from intents.models.file_names import MODEL_ARTIFACT
from intents.system import redaction
from intents.tracking import store

RUN_ID = r"[0-9a-f]{32}"
EXPECTED_TO_COMPARE = (
    "expected a training run's id, a registered version (7, or intent_predictor/7), or production; "
    "mlflow ui shows them all"
)

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
LOGGED = re.compile(r"models:/(?P<model_id>m-[0-9a-f]+)")
OF_A_RUN = re.compile(r"runs:/(?P<run_id>[0-9a-f]{32})(?:/.*)?")
EXPECTED = (
    "expected models:/<name>@<alias>, models:/<name>/<version>, runs:/<run id>, or a model directory's path; "
    "mlflow ui shows what there is"
)


def directory(model: str, folder: Path) -> Path:
    """The model's directory, fetched into the folder unless it is a path. Raises ScoringError, or TrackingError."""
    if not re.match(r"\w+:/", model):
        return _local(Path(model).expanduser())
    store.connect()
    try:
        location = MlflowClient().get_logged_model(_model_id(model)).artifact_location
        uri = f"{location}/artifacts/{MODEL_ARTIFACT}"
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
    except MlflowException as error:
        said = redaction.without_secrets(str(error))[:300]
        if error.error_code in store.ABSENT:
            raise ScoringError(f"model={model!r}: {said} {EXPECTED}.") from error
        raise TrackingError(f"model={model!r} can't be fetched: {said} Check MLFLOW_TRACKING_URI.") from error
    except OSError as error:
        raise ScoringError(f"model={model!r} can't be fetched: {error}") from error


def _local(path: Path) -> Path:
    """The path, or what MLflow keeps within it: it may be a whole logged model."""
    if not path.is_dir():
        raise ScoringError(f"model={str(path)!r}: there is no such directory; {EXPECTED}.")
    logged = path / "artifacts" / MODEL_ARTIFACT
    return logged if logged.is_dir() else path


def _model_id(model: str) -> str:
    """The id of the logged model that a uri names."""
    if named := LOGGED.fullmatch(model):
        return named["model_id"]
    if named := OF_A_RUN.fullmatch(model):
        return _of_run(named["run_id"])
    named = REGISTERED.fullmatch(model)
    if not named:
        raise ScoringError(f"model={model!r}: {EXPECTED}.")
    client = MlflowClient()
    if named["alias"]:
        version = client.get_model_version_by_alias(named["name"], named["alias"])
    else:
        version = client.get_model_version(named["name"], named["version"])
    source = LOGGED.fullmatch(version.source or "")
    if not source:
        raise ScoringError(f"model={model!r} was not registered by a training run; {EXPECTED}.")
    return source["model_id"]


def _of_run(run_id: str) -> str:
    run = MlflowClient().get_run(run_id)
    models = run.outputs.model_outputs if run.outputs else []
    if len(models) != 1:
        raise ScoringError(f"run {run_id} logged {len(models)} models, expected one. Name a version.")
    return str(models[0].model_id)


@dataclass(frozen=True)
class Named:
    """A trained model that a comparison names: what it is called there, its run, its logged model."""

    name: str
    run_id: str
    model_id: str


def find_all(words: Sequence[str], *, registered: str) -> list[Named]:
    """The models that the words name, in order, no one twice. Raises ComparisonError, or TrackingError."""
    models = [find(word, registered=registered) for word in words]
    word_of: dict[str, str] = {}
    for word, model in zip(words, models, strict=True):
        if model.model_id in word_of:
            raise ComparisonError(
                f"runs: {word_of[model.model_id]} and {word} are one model, {model.name}; expected different ones. "
                "Leave one out."
            )
        word_of[model.model_id] = word
    return models


def find(word: str, *, registered: str) -> Named:
    """The model that `word` names: a run's id, name/version, a version of `registered`, or production.

    Raises ComparisonError, or TrackingError.
    """
    try:
        if re.fullmatch(RUN_ID, word):
            return _named_by_run(word)
        name, _, number = word.rpartition("/")
        version = store.production(registered) if word.casefold() == "production" else None
        if number.isdecimal():
            version = MlflowClient().get_model_version(name or registered, number)
    except MlflowException as error:
        if error.error_code in store.ABSENT:
            raise ComparisonError(
                f"runs: {word!r} is not in this tracking store; {EXPECTED_TO_COMPARE}."
            ) from error
        raise TrackingError(
            f"the tracking store can't be read: {redaction.without_secrets(str(error))[:300]} "
            "Check MLFLOW_TRACKING_URI."
        ) from error
    if version is None:
        raise ComparisonError(f"runs: {word!r} names nothing of {registered!r}; {EXPECTED_TO_COMPARE}.")
    model = re.fullmatch(r"models:/(m-[0-9a-f]+)", version.source or "")
    if model is None:
        raise ComparisonError(f"runs: {word!r} was not registered by a training run; {EXPECTED_TO_COMPARE}.")
    return Named(f"{version.name}/{version.version}", version.run_id or "", model[1])


def _named_by_run(run_id: str) -> Named:
    run = MlflowClient().get_run(run_id)
    models = run.outputs.model_outputs if run.outputs else []
    if len(models) != 1:
        raise ComparisonError(
            f"runs: run {run_id} ({run.info.run_name}, {run.info.status}) logged {len(models)} models; expected one. "
            "Name the run of one training (a nested one, where a run has several), or a registered version."
        )
    return Named(f"run {run_id[:8]}", run_id, models[0].model_id)
