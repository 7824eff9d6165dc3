"""The page of a model: its figures, its scripts and the data they draw."""

import base64
import hashlib
import math
from dataclasses import dataclass

from intents.evaluation.names import METRICS
from intents.report.page import advice, carried
from intents.report.page.content import ReportContent
from intents.report.page.skeleton import ASSETS, filled

SCRIPTS = (
    "dom",
    "utterances",
    "advice",
    "intents",
    "confusion",
    "rejection",
    "calibration",
    "tables",
    "main",
)
"""In the order they are run."""
HEADLINES = (
    "f1_weighted",
    "accuracy",
    "f1_macro",
    "ece",
    "osr_recall",
    "accepted_accuracy",
    "oos_recall",
    "auroc",
)
"""The figures a decision rests on: of intents first, then of confidence, then of what is rejected."""


@dataclass(frozen=True)
class Scale:
    """Where an interval, its value and a baseline stand on a line from the share `start` to 1, in percent of it."""

    start: float
    low: float
    high: float
    value: float
    baseline: float | None


@dataclass(frozen=True)
class Headline:
    """A figure at the top of the page, as it is shown."""

    name: str
    value: str
    meaning: str
    interval: str = ""
    baseline: str = ""
    scale: Scale | None = None


def page(content: ReportContent) -> str:
    """The page as one HTML text, the same for the same content. Write it as UTF-8."""
    script = "\n".join((ASSETS / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return filled(
        "page.html.j2",
        title=content.title,
        content=content,
        headlines=headlines(content),
        data=carried.script_json(carried.embedded(content, advice.advise(content))),
        script=script,
        script_digest=f"sha256-{digest}",  # by it a content security policy lets the browser run no other script
    )


def headlines(content: ReportContent) -> list[Headline]:
    """Those of the figures that were measured."""
    return [_headline(content, metric) for metric in HEADLINES if metric in content.metrics]


def _headline(content: ReportContent, metric: str) -> Headline:
    name = METRICS[metric]
    value, baseline = content.metrics[metric], content.baseline.get(f"baseline_{metric}")
    low, high = content.metrics[f"{metric}_ci_low"], content.metrics[f"{metric}_ci_high"]
    against = "" if baseline is None else f"baseline {baseline:.1%} ({100 * (value - baseline):+.1f} points)"
    return Headline(
        name.words[0].upper() + name.words[1:],
        f"{value:.1%}",
        name.meaning,
        interval=f"95% interval {low:.1%} to {high:.1%}",
        baseline=against,
        scale=_scale(low, high, value=value, baseline=baseline) if name.is_more_better else None,
    )


def _scale(low: float, high: float, *, value: float, baseline: float | None) -> Scale:
    """From the full tenth below all of them to 1."""
    lowest = min(low, value, low if baseline is None else baseline)
    start = min(math.floor(10 * lowest), 9) / 10

    def place(share: float) -> float:
        return round(100 * (share - start) / (1 - start), 2)

    return Scale(
        start, place(low), place(high), place(value), baseline=None if baseline is None else place(baseline)
    )
