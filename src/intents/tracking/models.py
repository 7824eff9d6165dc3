"""Which trained model is meant, and where its files are. Its code is never run."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.errors import ComparisonError, IntentsError, ScoringError, TrackingError
from intents.models.file_names import MODEL_ARTIFACT
from intents.tracking import store

RUN_ID = r"[0-9a-f]{32}"
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
LOGGED = re.compile(r"models:/(m-[0-9a-f]+)")
OF_A_RUN = re.compile(rf"runs:/({RUN_ID})(?:/.*)?")
TO_COMPARE = (
    "expected a training run's id, a registered version (7, or intent_predictor/7), or production; "
    "mlflow ui shows them all"
)
TO_ANSWER = (
    "expected models:/<name>@<alias>, models:/<name>/<version>, runs:/<run id>, or a model directory's path; "
    "mlflow ui shows what there is"
)


@dataclass(frozen=True)
class Named:
    """A trained model: what it is called, its run ("" where nobody asked), its logged model."""

    name: str
    run_id: str
    model_id: str


@dataclass(frozen=True)
class _Asker:
    """Who names a model: with which words, what is raised where they name none, and what was expected of them."""

    words: str
    error: type[IntentsError]
    expected: str

    def refusal(self, why: str) -> IntentsError:
        return self.error(f"{self.words}: {why}; {self.expected}.")

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """What MLflow raises is raised as a refusal where something is missing, else as TrackingError."""
        try:
            yield
        except MlflowException as error:
            said = store.said_by(error)
            if error.error_code in store.ABSENT:
                raise self.refusal(f"it is not in this tracking store ({said})") from error
            raise TrackingError(
                f"{self.words}: the tracking store can't be read: {said} Check MLFLOW_TRACKING_URI."
            ) from error


def directory(model: str, folder: Path) -> Path:
    """The model's directory, fetched into the folder unless it is a path. Raises ScoringError, or TrackingError."""
    asker = _Asker(f"model={model!r}", ScoringError, TO_ANSWER)
    if not re.match(r"\w+:/", model):
        return _local(Path(model).expanduser(), asker)
    store.connect()
    with asker.told():
        named = _of_uri(model, asker)
    return fetch(named, folder)


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
    asker = _Asker(f"runs: {word!r}", ComparisonError, TO_COMPARE)
    name, _, number = word.rpartition("/")
    with asker.told():
        if re.fullmatch(RUN_ID, word):
            return _of_run(word, asker)
        if number.isdecimal():
            return _of_version(version_of(name or registered, number), asker)
        if word.casefold() == "production" and (version := store.production(registered)):
            return _of_version(version, asker)
    raise asker.refusal(f"it names nothing of {registered!r}")


def fetch(named: Named, folder: Path) -> Path:
    """The directory of the named model, downloaded into the folder. Raises TrackingError."""
    try:
        return download(files_of(MlflowClient().get_logged_model(named.model_id)), folder)
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{named.name}: its model can't be fetched: {store.said_by(error)} Check MLFLOW_TRACKING_URI, name another "
            "one, or train it again."
        ) from error


def version_of(name: str, number: str, *, alias: str = store.PRODUCTION) -> Any:
    """The registered version of that number, or without one that of the alias. Raises what MLflow raises."""
    client = MlflowClient()
    if number:
        return client.get_model_version(name, number)
    return client.get_model_version_by_alias(name, alias)


def model_id(version: Any) -> str:
    """The id of the logged model that a registered version is of; "" where no training run registered it."""
    source = LOGGED.fullmatch(version.source or "")
    return source[1] if source else ""


def files_of(logged: Any) -> str:
    """Where a logged model keeps its model directory."""
    return f"{logged.artifact_location}/artifacts/{MODEL_ARTIFACT}"


def download(uri: str, folder: Path) -> Path:
    """The files of that address, below the folder. Raises what MLflow and the store raise."""
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))


def _local(path: Path, asker: _Asker) -> Path:
    """The path, or what MLflow keeps within it: it may be a whole logged model."""
    if not path.is_dir():
        raise asker.refusal("there is no such directory")
    logged = path / "artifacts" / MODEL_ARTIFACT
    return logged if logged.is_dir() else path


def _of_uri(uri: str, asker: _Asker) -> Named:
    if named := LOGGED.fullmatch(uri):
        return Named(uri, "", named[1])
    if named := OF_A_RUN.fullmatch(uri):
        return _of_run(named[1], asker)
    named = REGISTERED.fullmatch(uri)
    if not named:
        raise asker.error(f"{asker.words}: {asker.expected}.")
    return _of_version(version_of(named["name"], named["version"], alias=named["alias"]), asker)


def _of_version(version: Any, asker: _Asker) -> Named:
    if not model_id(version):
        raise asker.refusal("it was not registered by a training run")
    return Named(f"{version.name}/{version.version}", version.run_id or "", model_id(version))


def _of_run(run_id: str, asker: _Asker) -> Named:
    run = MlflowClient().get_run(run_id)
    models = run.outputs.model_outputs if run.outputs else []
    if len(models) != 1:
        raise asker.error(
            f"{asker.words}: run {run_id} ({run.info.run_name}, {run.info.status}) logged {len(models)} models; "
            "expected one. Name the run of one training (a nested one, where a run has several), or a registered "
            "version."
        )
    return Named(f"run {run_id[:8]}", run_id, models[0].model_id)
