"""The sheet: questionable rows in a .csv file, with an empty column for what a person decides of each."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from intents.data import corrections
from intents.data.corrections import Correction
from intents.data.formats import spreadsheets
from intents.data.problems import Problems
from intents.diagnosis import finding
from intents.diagnosis.confusions import LABEL_ERRORS
from intents.diagnosis.finding import Finding
from intents.diagnosis.lookalikes import LOOKALIKES
from intents.diagnosis.repeats import CONFLICTS, DUPLICATES, LEAKS, NEAR_CONFLICTS
from intents.errors import DataError

DECIDED_ROW_BY_ROW = frozenset({LABEL_ERRORS, LOOKALIKES, CONFLICTS, NEAR_CONFLICTS, LEAKS, DUPLICATES})
"""What a decision on single rows mends. Pairs and rare intents ask for a decision on the intents, or for more rows."""
COLUMNS = [*finding.COLUMNS, "action", "new_label"]
ROW = ["dataset", "part", "line", "text", "label"]
DECIDED = "decided before"


def sheet(findings: Sequence[Finding], decided: Sequence[Correction] = ()) -> pd.DataFrame:
    """One row a questionable row, in the order of the findings, below the decisions that were taken before."""
    rows = [found.rows for found in findings if found.kind in DECIDED_ROW_BY_ROW]
    before = pd.DataFrame([vars(correction) for correction in decided], columns=COLUMNS).assign(
        reason=DECIDED
    )
    asked = _merged(pd.concat(rows, ignore_index=True)) if rows else before.iloc[:0]
    settled = {correction.outcome for correction in decided if correction.action != corrections.DROP}
    keys = zip(asked["dataset"], asked["text"], asked["label"], strict=True)
    asked = asked[[key not in settled for key in keys]]
    table = pd.concat([frame.astype(object) for frame in (before, asked)], ignore_index=True)
    return table.fillna("")[COLUMNS]


def _merged(rows: pd.DataFrame) -> pd.DataFrame:
    """Each row once, with all its reasons and the first suggestion there is."""
    rows = rows.assign(suggested=rows["suggested"].where(rows["suggested"] != rows["label"], ""))
    merged = rows.groupby(ROW, sort=False, as_index=False).agg(
        suggested=("suggested", lambda names: next(filter(None, names), "")),
        reason=("reason", lambda reasons: "; ".join(dict.fromkeys(reasons))),
        confidence=("confidence", "max"),
    )
    confidence = merged["confidence"].map("{:.2f}".format, na_action="ignore")
    return merged.assign(confidence=confidence, action="", new_label="")


def check_replaceable(path: Path, decided: Sequence[Correction]) -> None:
    """Raises DataError where writing to `path` would lose decisions, or something that is no such file."""
    if not path.exists():
        return
    problems = Problems()
    found = corrections.read(path, problems)
    problems.raise_if_any(
        of=f"{path}, which check_data would write anew",
        expected="Mend it, or name another file with -P findings=<path>.",
    )
    if lost := set(found) - set(decided):
        raise DataError(
            f"{path} holds {len(lost)} decision(s) that would be lost. Pass -P corrections={path} to make them and to "
            "carry them on, or name another file with -P findings=<path>."
        )


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes the sheet as UTF-8 with a mark, by which spreadsheets know it. Raises DataError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        spreadsheets.harmless_table(table).to_csv(
            path, index=False, encoding="utf-8-sig", lineterminator="\n"
        )
    except OSError as error:
        raise DataError(
            f"{path}: can't be written ({error.strerror}). Name another file with -P findings=<path>."
        ) from error
