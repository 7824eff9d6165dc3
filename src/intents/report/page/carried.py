"""The data that the page carries: everything it counts, draws or lists, as one JSON that no text can break out of."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from intents.evaluation.evaluate import reliability
from intents.evaluation.names import METRICS
from intents.report.page import counts
from intents.report.page.advice import Advice
from intents.report.page.content import DataNote, ReportContent

MOST_UTTERANCES = 20_000
MOST_CHARACTERS = 1_000_000
"""Of all utterances together."""
LONGEST_TEXT = 300
"""Characters of one text, an intent's name or an example; what is longer ends in …"""
FINDING_EXAMPLES = 20
CONFIDENCE_DIGITS, SHARE_DIGITS = 4, 6

UNSAFE_IN_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
"""Could end the script element, begin a comment in it, end a line of it, or not be written as UTF-8."""


def script_json(value: Any) -> str:
    """`value` as JSON that stands in a script element and is there what it was, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return UNSAFE_IN_SCRIPT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def embedded(content: ReportContent, advice: Sequence[Advice]) -> dict[str, Any]:
    """Everything the page's script reads."""
    predictions, intents = content.predictions, content.per_intent.index
    in_scope, out_of_scope = counts.split(predictions)
    confusion = counts.cells(predictions, intents, rejects=False)
    carried = carried_rows(predictions, threshold=content.threshold)
    train_rows: pd.Series[Any] = pd.Series(dict(content.train_rows), dtype=int)
    return {
        "intents": [shortened(intent) for intent in intents],
        "unknown": shortened(content.unknown_intent),
        "threshold": content.threshold,
        "rows": {"in_scope": len(in_scope), "out_of_scope": len(out_of_scope), "carried": len(carried)},
        "per_intent": _columns(counts.per_intent(content.per_intent, predictions, train_rows=train_rows)),
        "confusion": _columns(confusion),
        "confusion_with_rejection": _columns(counts.cells(predictions, intents, rejects=True)),
        "neighbours": counts.neighbours_order(confusion, number_of_intents=len(intents)),
        "histogram": _columns(counts.energy_histogram(predictions, threshold=content.threshold)),
        "sweep": _columns(counts.sweep(predictions, threshold=content.threshold)),
        "reliability": _columns(
            reliability(in_scope["confidence"].to_numpy(), counts.is_right(in_scope).to_numpy())
        ),
        "calibration": _calibration(content.metrics),
        "service": _columns(counts.service(predictions)),
        "utterances": _utterances(carried, intents),
        "kinds": _table(content.kinds.reset_index()),
        "scores": _table(content.scores.reset_index()),
        "findings": [_finding(finding) for finding in content.findings],
        "advice": [dataclasses.asdict(one) for one in advice],
    }


def carried_rows(predictions: pd.DataFrame, *, threshold: float) -> pd.DataFrame:
    """The rows whose utterances the page carries, in their order.

    All of them, where they are not too many; otherwise mistakes of intent or rejection first, then what is nearest the
    threshold.
    """
    is_labelled = (predictions["true_intent"] != "").to_numpy()
    accepted = predictions["in_scope"].to_numpy(dtype=bool)
    is_mistake = (accepted != is_labelled) | (is_labelled & ~counts.is_right(predictions).to_numpy())
    urgent_first = np.lexsort(((predictions["energy"] - threshold).abs().to_numpy(), ~is_mistake))
    characters = predictions["text"].str.len().clip(upper=LONGEST_TEXT).to_numpy()[urgent_first].cumsum()
    kept = urgent_first[:MOST_UTTERANCES][characters[:MOST_UTTERANCES] <= MOST_CHARACTERS]
    return predictions.iloc[np.sort(kept)]


def shortened(text: object) -> str:
    """The text, at most `LONGEST_TEXT` characters of it."""
    whole = str(text)
    return whole if len(whole) <= LONGEST_TEXT else whole[: LONGEST_TEXT - 1] + "…"


def _utterances(rows: pd.DataFrame, intents: "pd.Index[str]") -> dict[str, Any]:
    """Column by column. Energies are whole: rounded, one could change sides of a threshold."""
    true_N, predicted_N = counts.label_ids(rows, intents)
    return {
        "text": [shortened(text) for text in rows["text"]],
        "true": true_N.tolist(),
        "predicted": predicted_N.tolist(),
        "confidence": rows["confidence"].round(CONFIDENCE_DIGITS).tolist(),
        "energy": rows["energy"].astype(float).tolist(),
        "kind": [shortened(kind) for kind in rows["kind"]],
    }


def _calibration(metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Each measure after the temperature was folded in, and before, where that was measured."""
    return [
        {
            "name": METRICS[name].in_full,
            "before": _number(metrics.get(f"{name}_before")),
            "after": _number(metrics[name]),
        }
        for name in ("ece", "brier", "nll")
    ]


def _number(value: float | None) -> float | None:
    return round(float(value), SHARE_DIGITS) if value is not None and math.isfinite(value) else None


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Lists by column name; a missing number is null. Thresholds and edges are whole, as energies are."""
    whole = ("threshold", "low", "high")
    return {
        str(name): list(map(_number, values))
        if values.dtype.kind == "f" and name not in whole
        else values.tolist()
        for name, values in table.items()
    }


def _table(table: pd.DataFrame) -> dict[str, Any]:
    """Names of the columns, and the rows below them."""
    return {
        "columns": [shortened(name) for name in table.columns],
        "rows": [list(map(_cell, row)) for row in table.to_dict("split")["data"]],
    }


def _cell(value: Any) -> float | str | None:
    if isinstance(value, float):
        return _number(value)
    if type(value) is int:
        return value
    return None if value is None or value is pd.NA else shortened(value)


def _finding(finding: DataNote) -> dict[str, Any]:
    shown = finding.examples.head(FINDING_EXAMPLES)
    return {
        "severity": finding.severity,
        "text": finding.text,
        "examples": _table(shown),
        "hidden": len(finding.examples) - len(shown),
    }
