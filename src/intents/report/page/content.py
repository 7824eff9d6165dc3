"""What a report page is made of: plain numbers and tables, whoever measured them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, eq=False)
class DataNote:
    """Something a person should know of the data, with the rows that show it."""

    severity: str
    """One word, shown as it is; "high", "medium" and "low" are coloured."""
    text: str
    examples: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportContent:
    """Everything that a page says, the same for both families."""

    title: str
    facts: Mapping[str, str]
    """What was trained on what, in the order shown: corpus, family, encoder, seed, rows, run."""
    metrics: Mapping[str, float]
    """As `EvaluationReport.metrics`, unprefixed; ece_before, brier_before and nll_before where they were measured."""
    per_intent: pd.DataFrame
    """As `EvaluationReport.per_intent`: precision, recall, f1-score and support, indexed by intent."""
    predictions: pd.DataFrame
    """As `HeldOut.predictions`; true_intent is "" where out-of-scope."""
    threshold: float
    unknown_intent: str
    verdict: str = ""
    baseline: Mapping[str, float] = field(default_factory=dict)
    """baseline_accuracy and baseline_f1_weighted, where a baseline was measured."""
    train_rows: Mapping[str, int] = field(default_factory=dict)
    """Training rows of each intent, where they are known."""
    notes: Sequence[str] = ()
    """What was set aside of the corpus, and what else its reading told, a line each."""
    findings: Sequence[DataNote] = ()
    kinds: pd.DataFrame = field(default_factory=pd.DataFrame)
    """As `HeldOut.kinds`, one row a kind of out-of-scope utterance."""
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    """As `HeldOut.scores`, one row a score, the best AUROC first."""
