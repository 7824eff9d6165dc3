"""One side of a comparison: a model's answers to the test rows, and what is known of it beside."""

from dataclasses import dataclass

import pandas as pd

from intents.axes import Booleans

ROW = ["text", "true_intent", "kind"]
"""What makes two test rows the same one."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds an utterance takes on one thread, the tokenizer included: median and 95th percentile of them."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Side:
    """A model and its answers.

    `predictions` has a row an utterance: text, true_intent ("" if out-of-scope), pred_intent, confidence, energy,
    kind. `is_seen_B` says of each row whether the model was trained or validated on it; None where the model does not
    say. `model_bytes`: the size of its directory.
    """

    name: str
    intents: tuple[str, ...]
    predictions: pd.DataFrame
    is_seen_B: Booleans | None = None
    latency: Latency | None = None
    model_bytes: int | None = None


def same_rows(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether two tables of predictions are of the same rows in the same order."""
    return len(first) == len(second) and bool(
        (first[ROW].astype(str).to_numpy() == second[ROW].astype(str).to_numpy()).all()
    )
