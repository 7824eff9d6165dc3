"""Which model scores: a directory, or what MLflow's tracking store and registry have. Its code is never run."""

import re
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.errors import ScoringError, TrackingError
from intents.system import redaction
from intents.tracking import store

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
LOGGED = re.compile(r"models:/(?P<model_id>m-[0-9a-f]+)")
OF_A_RUN = re.compile(r"runs:/(?P<run_id>[0-9a-f]{32})(?:/.*)?")
MODEL_ARTIFACT = "model"
"""As in `pyfunc`, which takes seconds and hundreds of megabytes to import."""
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
