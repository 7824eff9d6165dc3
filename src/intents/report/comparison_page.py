"""A comparison to look at: one page that needs no network, every text escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from intents.evaluation.comparison.paired import NO_DIFFERENCE, Change, Comparison
from intents.report import comparison
from intents.report.page.skeleton import filled

MOST_UTTERANCES = 500
"""Of each kind on the page; comparison.json has all."""
_TEXTS = frozenset(
    {"intent", "utterance", "true intent", "reference said", "candidate said", "metric", "verdict"}
)


@dataclass(frozen=True)
class Table:
    """A table under a heading, a remark beneath it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


def page(comparisons: Sequence[Comparison]) -> str:
    """One section a candidate."""
    title = f"Compared with {comparisons[0].reference}"
    sections = [_section(found) for found in comparisons]
    return filled("comparison.html.j2", title=title, sections=sections, texts=_TEXTS)


def _section(found: Comparison) -> dict[str, Any]:
    """What the page says of a candidate. `changes`, by metric, are drawn on an axis that reaches so far either way."""
    changes = comparison.in_words(found)
    ends = [abs(end) for change in changes.values() for end in (change.low, change.high, change.change)]
    return {
        "found": found,
        "line": comparison.verdict_line(found),
        "remarks": [comparison.account(found), *comparison.notes(found)],
        "changes": changes,
        "reach": max(ends, default=0) or 1,
        "tables": [
            _metrics(f"Metrics, and the {comparison.coverage(found)} of each change", changes),
            _costs(found),
            _utterances(f"Newly broken ({len(found.broken)})", found.broken),
            _utterances(f"Newly fixed ({len(found.fixed)})", found.fixed),
            _intents(found),
        ],
    }


def _metrics(title: str, changes: Mapping[str, Change]) -> Table:
    rows = [
        [
            words,
            f"{change.reference:.4f}",
            f"{change.candidate:.4f}",
            f"{change.change:+.4f}",
            f"[{change.low:+.4f}, {change.high:+.4f}]",
            "" if change.verdict == NO_DIFFERENCE else change.verdict,
        ]
        for words, change in changes.items()
    ]
    return Table(title, ["metric", "reference", "candidate", "change", "interval", "verdict"], rows)


def _costs(found: Comparison) -> Table:
    rows = [
        [f"{word}, {unit}", f"{old:.2f}", f"{new:.2f}", f"{new / old:.2f}×"]
        for word, unit, old, new in comparison.costs(found)
    ]
    return Table("Latency and size", ["metric", "reference", "candidate", "ratio"], rows)


def _utterances(title: str, turned: pd.DataFrame) -> Table:
    rows = [
        [
            row["text"],
            row["true_intent"],
            f"{row['reference_intent']} ({row['reference_confidence']:.2f})",
            f"{row['candidate_intent']} ({row['candidate_confidence']:.2f})",
        ]
        for row in turned.head(MOST_UTTERANCES).to_dict("records")
    ]
    note = f"The first {MOST_UTTERANCES}; comparison.json has all." if len(turned) > MOST_UTTERANCES else ""
    return Table(title, ["utterance", "true intent", "reference said", "candidate said"], rows, note)


def _intents(found: Comparison) -> Table:
    rows = [
        [
            str(intent),
            int(row["rows"]),
            f"{row['reference_f1']:.4f}",
            f"{row['candidate_f1']:.4f}",
            f"{row['f1_change']:+.4f}",
            _p(row["f1_p"]),
            f"{row['recall_change']:+.4f}",
            _p(row["recall_p"]),
            int(row["broken"]),
            int(row["fixed"]),
        ]
        for intent, row in found.per_intent.sort_values("f1_change", kind="stable").iterrows()
    ]
    head = (
        "intent",
        "rows",
        "F1 before",
        "F1 after",
        "F1 change",
        "p",
        "recall change",
        "p",
        "broken",
        "fixed",
    )
    return Table(f"Intents ({len(found.per_intent)}), the largest loss of F1 first", head, rows)


def _p(value: float) -> str:
    return "too few rows" if pd.isna(value) else f"{value:.2g}"
