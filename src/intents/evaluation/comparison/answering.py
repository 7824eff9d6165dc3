"""Which runs a comparison names, and what they logged: their predictions, their model. Reads MLflow, writes nothing."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from intents.data.utterances import is_seen
from intents.errors import ComparisonError, TrackingError
from intents.evaluation import held_out
from intents.evaluation.comparison import latency
from intents.evaluation.comparison.sides import ROW, Side, same_rows
from intents.evaluation.metrics import Booleans
from intents.models import directory as model_directory
from intents.models.directory import Artifact
from intents.models.network import predict_logits
from intents.serving.pyfunc import MODEL_ARTIFACT
from intents.system import redaction
from intents.tracking import store

PREDICTIONS, OUT_OF_FOLD = "predictions.parquet", "predictions_out_of_fold.parquet"
RUN_ID = r"[0-9a-f]{32}"
EXPECTED = (
    "expected a training run's id, a registered version (7, or intent_predictor/7), or production; "
    "mlflow ui shows them all"
)


@dataclass(frozen=True)
class Named:
    """A trained model that a comparison names: what it is called there, its run, its logged model."""

    name: str
    run_id: str
    model_id: str


@dataclass(frozen=True)
class Loaded:
    """A named model brought here.

    `predictions` of its own test part, `out_of_fold` of the whole corpus; None where its run has none (any more).
    """

    name: str
    directory: Path
    model: Artifact
    predictions: pd.DataFrame | None
    out_of_fold: pd.DataFrame | None = None


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
            return _of_run(word)
        name, _, number = word.rpartition("/")
        version = store.production(registered) if word.casefold() == "production" else None
        if number.isdecimal():
            version = MlflowClient().get_model_version(name or registered, number)
    except MlflowException as error:
        if error.error_code in store.ABSENT:
            raise ComparisonError(f"runs: {word!r} is not in this tracking store; {EXPECTED}.") from error
        raise TrackingError(
            f"the tracking store can't be read: {redaction.without_secrets(str(error))[:300]} "
            "Check MLFLOW_TRACKING_URI."
        ) from error
    if version is None:
        raise ComparisonError(f"runs: {word!r} names nothing of {registered!r}; {EXPECTED}.")
    model = re.fullmatch(r"models:/(m-[0-9a-f]+)", version.source or "")
    if model is None:
        raise ComparisonError(f"runs: {word!r} was not registered by a training run; {EXPECTED}.")
    return Named(f"{version.name}/{version.version}", version.run_id or "", model[1])


def _of_run(run_id: str) -> Named:
    run = MlflowClient().get_run(run_id)
    models = run.outputs.model_outputs if run.outputs else []
    if len(models) != 1:
        raise ComparisonError(
            f"runs: run {run_id} ({run.info.run_name}, {run.info.status}) logged {len(models)} models; expected one. "
            "Name the run of one training (a nested one, where a run has several), or a registered version."
        )
    return Named(f"run {run_id[:8]}", run_id, models[0].model_id)


def load(named: Named, folder: Path) -> Loaded:
    """The named model and its predictions, downloaded into the folder. Raises ComparisonError, or ArtifactError."""
    try:
        location = MlflowClient().get_logged_model(named.model_id).artifact_location
        directory = Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=f"{location}/artifacts/{MODEL_ARTIFACT}", dst_path=str(folder)
            )
        )
    except (MlflowException, OSError) as error:
        raise ComparisonError(
            f"{named.name}: its model can't be fetched: {redaction.without_secrets(str(error))[:300]} "
            "Compare another run, or train it again."
        ) from error
    return loaded(named, directory, folder)


def loaded(named: Named, directory: Path, folder: Path) -> Loaded:
    """The named model, whose directory is here already; its predictions are downloaded into `folder`."""
    rows, out_of_fold = (predictions(named.run_id, file, folder) for file in (PREDICTIONS, OUT_OF_FOLD))
    return Loaded(named.name, directory, model_directory.load(directory), rows, out_of_fold)


def predictions(run_id: str, file: str, folder: Path) -> pd.DataFrame | None:
    """The run's predictions of that name, downloaded into the folder; None where it has none."""
    try:
        path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file, dst_path=str(folder))
    except (MlflowException, OSError):
        return None
    return pd.read_parquet(path)


def sides(models: Sequence[Loaded]) -> tuple[Side, ...]:
    """Every model's answers to the last one's test rows, predicted where it did not answer just these, and timed.

    Raises ComparisonError.
    """
    rows = models[-1].predictions
    if rows is None:
        raise ComparisonError(
            f"{models[-1].name}: its run has no {PREDICTIONS}, whose rows all models are compared on. "
            "Name a run that has last."
        )
    texts = list(rows.loc[rows["true_intent"] != "", "text"])
    timed = latency.measure([model.model for model in models], texts)
    return tuple(
        Side(
            name=model.name,
            intents=model.model.intents,
            predictions=_answers(model, rows),
            is_seen_B=_is_seen(model, rows),
            latency=taken,
            model_bytes=sum(file.stat().st_size for file in model.directory.iterdir()),
        )
        for model, taken in zip(models, timed, strict=True)
    )


def pooled_sides(models: Sequence[Loaded]) -> tuple[Side, ...] | None:
    """Every model's out-of-fold answers to the rows that all have; None where one has none.

    They are answers of siblings, trained by the same recipe without the row, so nobody has seen any.
    """
    tables = [model.out_of_fold for model in models if model.out_of_fold is not None]
    if len(tables) < len(models):
        return None
    keyed = [table.astype(dict.fromkeys(ROW, str)).drop_duplicates(ROW).set_index(ROW) for table in tables]
    shared = functools.reduce(lambda left, right: left.intersection(right), (table.index for table in keyed))
    return tuple(
        Side(
            model.name,
            model.model.intents,
            table.loc[shared].reset_index(),
            np.zeros(len(shared), dtype=bool),
        )
        for model, table in zip(models, keyed, strict=True)
    )


def answers_own_rows(model: Loaded, rows: pd.DataFrame) -> bool:
    """Whether these rows are the model's own test part, which its run has predictions of."""
    return model.predictions is not None and same_rows(model.predictions, rows)


def _answers(model: Loaded, rows: pd.DataFrame) -> pd.DataFrame:
    if answers_own_rows(model, rows):
        assert model.predictions is not None
        return model.predictions
    loaded = model.model
    logits_BC = predict_logits(
        loaded.module, loaded.tokenizer, list(rows["text"]), max_length=loaded.max_length
    )
    found = held_out.predictions(rows, logits_BC, intents=loaded.intents, rejection=loaded.rejection)
    return found.assign(**{name: rows[name].to_numpy() for name in ROW})


def _is_seen(model: Loaded, rows: pd.DataFrame) -> Booleans | None:
    seen = model_directory.training_rows(model.directory)
    return None if seen is None else rows["text"].map(lambda text: is_seen(text, seen)).to_numpy(dtype=bool)
