"""Models' answers to the same rows: as logged, or predicted anew."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from intents.axes import Booleans
from intents.data.utterances import is_seen
from intents.errors import ComparisonError
from intents.evaluation.comparison import latency
from intents.evaluation.comparison.sides import ROW, Side, same_rows
from intents.evaluation.predictions import predictions
from intents.models import directory as model_directory
from intents.models.directory import Artifact
from intents.models.file_names import PREDICTIONS
from intents.models.network import predict_logits


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
    is_seen_B = np.zeros(len(shared), dtype=bool)
    return tuple(
        Side(model.name, model.model.intents, table.loc[shared].reset_index(), is_seen_B)
        for model, table in zip(models, keyed, strict=True)
    )


def answers_own_rows(model: Loaded, rows: pd.DataFrame) -> bool:
    """Whether these rows are the model's own test part, which its run has predictions of."""
    return model.predictions is not None and same_rows(model.predictions, rows)


def _answers(model: Loaded, rows: pd.DataFrame) -> pd.DataFrame:
    if answers_own_rows(model, rows):
        assert model.predictions is not None
        return model.predictions
    loaded, texts = model.model, list(rows["text"])
    logits_BC = predict_logits(loaded.module, loaded.tokenizer, texts=texts, max_length=loaded.max_length)
    found = predictions(rows, logits_BC, intents=loaded.intents, rejection=loaded.rejection)
    return found.assign(**{name: rows[name].to_numpy() for name in ROW})


def _is_seen(model: Loaded, rows: pd.DataFrame) -> Booleans | None:
    seen = model_directory.training_rows(model.directory)
    return None if seen is None else rows["text"].map(lambda text: is_seen(text, seen)).to_numpy(dtype=bool)
