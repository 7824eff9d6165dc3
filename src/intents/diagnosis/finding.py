"""A finding: one thing that is wrong with a corpus, with what to do about it, what it costs, and its rows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from intents.axes import Booleans, Floats, Integers
from intents.data.cleaning import OVER_CAP, RARE, RARE_LOOKALIKE
from intents.data.corpus import Corpus
from intents.data.corrections import DROP
from intents.data.parts import TEST
from intents.data.utterances import normal_form

COLUMNS = ["text", "label", "suggested", "reason", "confidence", "dataset", "line", "part"]


@dataclass(frozen=True, eq=False)
class Finding:
    """`estimate`: test errors that it is expected to cause, or to hide; what findings are ranked by. They overlap:
    estimates of several findings don't add up.

    `rows` has `COLUMNS`, what should be looked at first on top; `suggested` is "" and `confidence` NaN where there is
    none, `line` is that of the row's file. `table` sums up (pairs, intents, parts); it may be empty.
    """

    kind: str
    headline: str
    advice: str
    estimate: float
    rows: pd.DataFrame
    table: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, eq=False)
class Evidence:
    """A corpus' in-scope rows (B of them, indexed from 0), and what the baseline says of each out of fold.

    `own_B` is the probability of the row's own label; `is_reviewed_B` marks rows that a correction was made of: a
    person has decided. `dropped` are rows that cleaning left out, but for blacklisted ones, and no one has decided on.
    """

    rows: pd.DataFrame
    forms: "pd.Series[str]"
    labels_B: Integers
    probabilities_BC: Floats
    own_B: Floats
    predicted_B: Integers
    is_wrong_B: Booleans
    is_reviewed_B: Booleans
    intents: tuple[str, ...]
    dropped: pd.DataFrame

    @property
    def error_rate(self) -> float:
        """Share of the rows that the baseline gets wrong."""
        return float(self.is_wrong_B.mean())

    @property
    def test_share(self) -> float:
        """What part of the rows is tested on: of n rows anywhere, about so many times n are test rows."""
        return float((self.rows["part"] == TEST).mean())


def evidence(corpus: Corpus, probabilities_BC: Floats) -> Evidence:
    """The evidence of `corpus`, its rows in corpus order, as `probabilities_BC` is."""
    rows = corpus.rows.reset_index(drop=True)
    outcomes = {correction.outcome for correction in corpus.corrections if correction.action != DROP}
    ledger = corpus.ledger[corpus.ledger["reason"].isin([OVER_CAP, RARE, RARE_LOOKALIKE])]
    labels_B, predicted_B = corpus.label_ids(), probabilities_BC.argmax(axis=-1)
    return Evidence(
        rows=rows,
        forms=rows["text"].map(normal_form),
        labels_B=labels_B,
        probabilities_BC=probabilities_BC,
        own_B=probabilities_BC[np.arange(len(rows)), labels_B],
        predicted_B=predicted_B,
        is_wrong_B=predicted_B != labels_B,
        is_reviewed_B=_is_among(rows, outcomes),
        intents=corpus.intents,
        dropped=ledger[~_is_among(ledger, outcomes)],
    )


def _is_among(rows: pd.DataFrame, outcomes: Collection[tuple[str, str, str]]) -> Booleans:
    """Whether each row is one that a correction left as it is."""
    keys = zip(rows["dataset"], rows["text"], rows["label"], strict=True)
    return np.array([key in outcomes for key in keys], dtype=bool)


def shown_rows(
    rows: pd.DataFrame,
    *,
    reasons: Sequence[str],
    suggested: Sequence[str] | None = None,
    confidence: Sequence[float] | None = None,
) -> pd.DataFrame:
    """These rows as a finding shows them."""
    shown = rows.assign(
        suggested="" if suggested is None else list(suggested),
        reason=list(reasons),
        confidence=float("nan") if confidence is None else list(confidence),
    )
    return shown[COLUMNS].reset_index(drop=True)
