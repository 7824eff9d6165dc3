"""Which intents two models differ on."""

import numpy as np
import pandas as pd

from intents.axes import Floats, Integers
from intents.evaluation.comparison import statistics
from intents.evaluation.comparison.statistics import Answers
from intents.evaluation.metrics import f1_score

LEAST_ROWS_OF_AN_INTENT = 20
"""An intent with fewer test rows is shown, not tested."""


def changes_of_intents(answers: list[Answers], labels_B: Integers, *, intents: list[str]) -> pd.DataFrame:
    """Recall and F1 of each intent by both, and whether their changes are more than chance.

    `recall_p`: McNemar's test on the intent's own rows. `f1_p`: the same on all rows, right being to say the intent
    where it is and not to say it where it is not.
    """
    rows_C = _counted(labels_B, len(intents))
    before, after = answers
    table = pd.DataFrame({"rows": rows_C}, index=pd.Index(intents, name="intent"))
    for name, side in (("reference", before), ("candidate", after)):
        hits_C = _counted(labels_B[side.predicted_B == labels_B], len(intents))
        table[f"{name}_recall"] = hits_C / np.maximum(rows_C, 1)
        table[f"{name}_f1"] = f1_score(hits_C, rows_C, predicted_C=_counted(side.predicted_B, len(intents)))
    for metric in ("recall", "f1"):
        table[f"{metric}_change"] = table[f"candidate_{metric}"] - table[f"reference_{metric}"]
    was_right_B, is_right_B = before.predicted_B == labels_B, after.predicted_B == labels_B
    table["broken"] = _counted(labels_B[was_right_B & ~is_right_B], len(intents))
    table["fixed"] = _counted(labels_B[is_right_B & ~was_right_B], len(intents))
    # A wrong answer is wrong about two intents: the true one, and the one it names.
    is_other_B = before.predicted_B != after.predicted_B
    newly_named_C = _counted(after.predicted_B[is_other_B & ~is_right_B], len(intents))
    no_longer_named_C = _counted(before.predicted_B[is_other_B & ~was_right_B], len(intents))
    is_tested = table["rows"] >= LEAST_ROWS_OF_AN_INTENT
    table["recall_p"] = _corrected(table["broken"], table["fixed"], is_tested=is_tested)
    table["f1_p"] = _corrected(
        table["broken"] + newly_named_C, table["fixed"] + no_longer_named_C, is_tested=is_tested
    )
    return table[table["rows"] > 0]


def _counted(ids: Integers, number_of_intents: int) -> Integers:
    return np.bincount(ids, minlength=number_of_intents + 1)[:number_of_intents]


def _corrected(broken: "pd.Series[int]", fixed: "pd.Series[int]", *, is_tested: "pd.Series[bool]") -> Floats:
    """McNemar's p of each intent that is tested, corrected for their number; NaN of the others."""
    p = np.full(len(broken), np.nan)
    tested = is_tested.to_numpy()
    p[tested] = statistics.holm(statistics.mcnemar(broken.to_numpy()[tested], fixed.to_numpy()[tested]))
    return p
