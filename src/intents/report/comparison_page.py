"""A comparison to look at: one page that needs no network, every text escaped."""

import html
from collections.abc import Iterable, Sequence

import pandas as pd

from intents.evaluation.comparison.paired import BETTER, NO_DIFFERENCE, WORSE, Comparison
from intents.report import comparison

WIDTH, LINE, MARGIN = 640, 28, 150
COLOURS = {BETTER: "#1a7f37", WORSE: "#cf222e", NO_DIFFERENCE: "#57606a"}
MOST_UTTERANCES = 500
"""Of each kind on the page; comparison.json has all."""
STYLE = (
    "body{font-family:sans-serif;margin:2em auto;max-width:72em;padding:0 1em}"
    "table{border-collapse:collapse;margin:.5em 0 1.5em}"
    "td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #d0d7de}"
    "td.text,th.text{text-align:left}"
    ".better{color:#1a7f37}.worse{color:#cf222e}.verdict{font-size:1.1em;font-weight:bold}"
    "svg{max-width:100%;height:auto}"
)
_TEXTS = frozenset(
    {"intent", "utterance", "true intent", "reference said", "candidate said", "metric", "interval"}
)


def page(comparisons: Sequence[Comparison]) -> str:
    """One section a candidate."""
    title = f"Compared with {comparisons[0].reference}"
    body = "".join(_section(found) for found in comparisons)
    return (
        f"<!doctype html><html><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>\n"
    )


def _section(found: Comparison) -> str:
    remarks = "".join(
        f"<li>{html.escape(line)}</li>" for line in (comparison.account(found), *comparison.notes(found))
    )
    return (
        f"<h2>{html.escape(found.candidate)}</h2><p class='verdict {_css(found.verdict)}'>"
        f"{html.escape(comparison.verdict_line(found))}</p><ul>{remarks}</ul>"
        f"<h3>Metrics, and the {comparison.coverage(found)} of each change</h3>{_metrics(found)}{_plot(found)}"
        f"<h3>Latency and size</h3>{_costs(found)}"
        f"<h3>Newly broken ({len(found.broken)})</h3>{_utterances(found.broken)}"
        f"<h3>Newly fixed ({len(found.fixed)})</h3>{_utterances(found.fixed)}"
        f"<h3>Intents ({len(found.per_intent)}), the largest loss of F1 first</h3>{_intents(found)}"
    )


def _css(verdict: str) -> str:
    return verdict if verdict in (BETTER, WORSE) else "same"


def _metrics(found: Comparison) -> str:
    rows = [
        [
            words,
            _share(change.reference),
            _share(change.candidate),
            f"{change.change:+.4f}",
            f"[{change.low:+.4f}, {change.high:+.4f}] {'' if change.verdict == NO_DIFFERENCE else change.verdict}",
        ]
        for words, change in comparison.in_words(found).items()
    ]
    return _table(["metric", "reference", "candidate", "change", "interval"], rows)


def _plot(found: Comparison) -> str:
    """The intervals on one axis, in points; green is better, red is worse, grey may be chance."""
    changes = comparison.in_words(found)
    reach = (
        max(
            (abs(end) for change in changes.values() for end in (change.low, change.high, change.change)),
            default=0,
        )
        or 1
    )
    middle, scale = (WIDTH + MARGIN) / 2, (WIDTH - MARGIN) / 2 * 0.8 / reach
    height = LINE * (len(changes) + 1)
    drawn = [f"<line x1='{middle}' x2='{middle}' y1='0' y2='{height - LINE}' stroke='#8c959f'/>"]
    for place, (words, change) in enumerate(changes.items()):
        y, colour = LINE * (place + 0.5), COLOURS[change.verdict]
        low, high, at = (middle + scale * value for value in (change.low, change.high, change.change))
        drawn.append(
            f"<text x='0' y='{y + 5}' font-size='14'>{html.escape(words)}</text>"
            f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{y}' y2='{y}' stroke='{colour}' stroke-width='3'/>"
            f"<circle cx='{at:.1f}' cy='{y}' r='5' fill='{colour}'/>"
        )
    drawn.extend(
        f"<text x='{middle + scale * value:.1f}' y='{height - 8}' font-size='12' text-anchor='middle'>"
        f"{value * 100:+.2f} points</text>"
        for value in (-reach, 0.0, reach)
    )
    label = "Intervals of the changes; right of the line is more, left is less"
    return f"<svg viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' role='img' aria-label='{label}'>{''.join(drawn)}</svg>"


def _costs(found: Comparison) -> str:
    rows: list[list[str]] = []
    before, after = found.reference_latency, found.candidate_latency
    if before is not None and after is not None:
        for word, old, new in (("p50, ms", before.p50, after.p50), ("p95, ms", before.p95, after.p95)):
            rows.append([word, f"{old:.2f}", f"{new:.2f}", f"{new / old:.2f}×"])
    if found.reference_bytes and found.candidate_bytes:
        old, new = found.reference_bytes, found.candidate_bytes
        rows.append(["size, MB", f"{old / 1e6:.2f}", f"{new / 1e6:.2f}", f"{new / old:.2f}×"])
    return _table(["metric", "reference", "candidate", "ratio"], rows)


def _utterances(turned: pd.DataFrame) -> str:
    rows = [
        [
            row["text"],
            row["true_intent"],
            f"{row['reference_intent']} ({row['reference_confidence']:.2f})",
            f"{row['candidate_intent']} ({row['candidate_confidence']:.2f})",
        ]
        for row in turned.head(MOST_UTTERANCES).to_dict("records")
    ]
    more = (
        f"<p>The first {MOST_UTTERANCES}; comparison.json has all.</p>"
        if len(turned) > MOST_UTTERANCES
        else ""
    )
    return _table(["utterance", "true intent", "reference said", "candidate said"], rows) + more


def _intents(found: Comparison) -> str:
    rows = [
        [
            str(intent),
            int(row["rows"]),
            _share(row["reference_f1"]),
            _share(row["candidate_f1"]),
            f"{row['f1_change']:+.4f}",
            _p(row["f1_p"]),
            f"{row['recall_change']:+.4f}",
            _p(row["recall_p"]),
            int(row["broken"]),
            int(row["fixed"]),
        ]
        for intent, row in found.per_intent.sort_values("f1_change", kind="stable").iterrows()
    ]
    head = [
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
    ]
    return _table(head, rows)


def _share(value: float) -> str:
    return f"{value:.4f}"


def _p(value: float) -> str:
    return "too few rows" if pd.isna(value) else f"{value:.2g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    classes = [" class='text'" if name in _TEXTS else "" for name in head]
    titles = "".join(f"<th{css}>{html.escape(name)}</th>" for name, css in zip(head, classes, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{css}>{html.escape(str(cell))}</td>" for cell, css in zip(row, classes, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
