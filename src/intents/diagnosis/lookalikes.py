"""Lookalikes: intents whose names differ only by case, width, spaces or what can't be seen: most often one intent."""

from collections.abc import Iterator

import pandas as pd

from intents.data.notes import lookalike_groups, spelled
from intents.diagnosis.finding import Evidence, Finding, shown_rows

LOOKALIKES = "lookalike_names"
SHOWN_GROUPS = 3


def findings(known: Evidence) -> Iterator[Finding]:
    """The rows under every spelling but the first of its group, those that cleaning left out on top."""
    # Joined to an empty table, line numbers would be no whole numbers.
    filled = [rows for rows in (known.dropped.assign(part=""), known.rows) if len(rows)]
    every = pd.concat(filled, ignore_index=True)
    groups = lookalike_groups(every["label"])
    spelling_of = {intent: group.index[0] for group in groups for intent in group.index}
    rows = every[every["label"].isin(spelling_of)]
    rows = rows[rows["label"] != rows["label"].map(spelling_of)]
    if rows.empty:
        return
    meant = [spelling_of[label] for label in rows["label"]]
    answers = pd.Series([spelling_of.get(known.intents[i]) for i in known.predicted_B], dtype=object)
    is_confused_B = known.is_wrong_B & (known.rows["label"].map(spelling_of) == answers)
    named = "; ".join(" / ".join(map(spelled, group.index)) for group in groups[:SHOWN_GROUPS])
    yield Finding(
        kind=LOOKALIKES,
        headline=f"{sum(map(len, groups)):,} intents have names that look alike: {named}",
        advice="Relabel to one spelling what is one intent; give what is not another name.",
        estimate=float(is_confused_B.sum()) * known.test_share,
        rows=shown_rows(
            rows,
            reasons=[f"its intent's name looks like {spelled(intent)}" for intent in meant],
            suggested=meant,
        ),
        table=pd.concat(groups).rename_axis("intent").rename("rows").reset_index(),
    )
