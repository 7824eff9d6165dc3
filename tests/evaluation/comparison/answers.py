"""Two models' answers to the same rows, made up for these tests."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from intents.evaluation.comparison.sides import Latency, Side

INTENTS = ("a", "b", "c")


def side(
    name: str,
    true: Sequence[str],
    said: Sequence[str],
    *,
    intents: Sequence[str] = INTENTS,
    columns: Mapping[str, Sequence[float]] | None = None,
    seen: Sequence[bool] | None = None,
    latency: Latency | None = None,
    size: int | None = None,
) -> Side:
    """A side whose rows are out-of-scope where `true` is empty; confidence 0.9 and energy -1 unless given."""
    predictions = pd.DataFrame(
        {
            "text": [f"utterance {number}" for number in range(len(true))],
            "true_intent": list(true),
            "pred_intent": list(said),
            "confidence": 0.9,
            "energy": -1.0,
            "kind": ["far" if not intent else "" for intent in true],
        }
    ).assign(**(columns or {}))
    is_seen_B = None if seen is None else np.array(seen, dtype=bool)
    return Side(name, tuple(intents), predictions, is_seen_B=is_seen_B, latency=latency, model_bytes=size)


def random_sides(rows: int, out_of_scope: int, *, right: tuple[float, float], seed: int) -> tuple[Side, Side]:
    """Two sides that are right on these shares of the rows, independently; energies in tenths, so that many tie."""
    generator = np.random.default_rng(seed)
    true = np.concatenate(
        [generator.choice(INTENTS, p=[0.5, 0.3, 0.2], size=rows), np.full(out_of_scope, "")]
    )
    made = []
    for name, share in zip(("old", "new"), right, strict=True):
        is_right = (generator.random(len(true)) < share) & (true != "")
        said = np.where(is_right, true, generator.choice(INTENTS, size=len(true)))
        columns = {
            "confidence": generator.uniform(0.2, 1.0, len(true)),
            "energy": generator.normal(np.where(true == "", 1.0, 0.0)).round(1),
        }
        made.append(side(name, true, said, columns=columns, seen=[False] * len(true)))
    return made[0], made[1]
