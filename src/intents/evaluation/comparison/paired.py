"""Two models on the same test rows: what changed, and whether it is more than chance. Pure; knows no MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from intents.axes import Booleans, Integers
from intents.errors import ComparisonError
from intents.evaluation.comparison import statistics
from intents.evaluation.comparison.per_intent import changes_of_intents
from intents.evaluation.comparison.sides import Latency, Side, same_rows
from intents.evaluation.comparison.statistics import Answers
from intents.evaluation.intervals import interval
from intents.evaluation.metrics import Measure, measured
from intents.evaluation.names import METRICS
from intents.parameters.promote import PromoteConfig

ALPHA = 0.05
RESAMPLES = 2000
DECISIVE = "f1_weighted"
LEAST_ROWS = 100
"""Fewer in-scope rows are no sample of anything, whatever their intervals say."""
BETTER, WORSE, AS_GOOD, CANT_TELL = "better", "worse", "as good", "can't tell"
NO_DIFFERENCE = "no real difference"
"""Of one metric: its interval holds 0."""


@dataclass(frozen=True)
class Change:
    """One metric of both models on the rows compared, and the interval of its change."""

    reference: float
    candidate: float
    low: float
    high: float
    is_more_better: bool

    @property
    def change(self) -> float:
        """Candidate less reference."""
        return self.candidate - self.reference

    @property
    def verdict(self) -> str:
        """Better or worse where the interval leaves 0 out."""
        if self.low <= 0 <= self.high:
            return NO_DIFFERENCE
        return BETTER if (self.low > 0) == self.is_more_better else WORSE


@dataclass(frozen=True)
class LeftOut:
    """Test rows that are not compared, each counted once, and why.

    `seen`: a model was trained or validated on them. `rows_of_intent`: the others whose intent one model lacks.
    `silent`: the models that do not say what they have seen.
    """

    seen: int
    out_of_scope_seen: int
    rows_of_intent: Mapping[str, int]
    only_reference: tuple[str, ...]
    only_candidate: tuple[str, ...]
    silent: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What a candidate changes against a reference, on the rows that both can be measured on.

    `changes` by metric; auroc and fpr95 where there are out-of-scope rows. `broken_rows` and `fixed_rows` count
    in-scope rows that only the reference, or only the candidate, has right; `mcnemar_p` is theirs. `per_intent` has a
    row an intent; its p-values are NaN below 20 test rows and corrected for the number of intents tested. `broken`
    and `fixed` hold the utterances, the most confidently wrong first.
    """

    reference: str
    candidate: str
    rows: int
    out_of_scope_rows: int
    alpha: float
    resamples: int
    changes: Mapping[str, Change]
    broken_rows: int
    fixed_rows: int
    mcnemar_p: float
    per_intent: pd.DataFrame
    broken: pd.DataFrame
    fixed: pd.DataFrame
    left_out: LeftOut
    reference_latency: Latency | None
    candidate_latency: Latency | None
    reference_bytes: int | None
    candidate_bytes: int | None

    @property
    def verdict(self) -> str:
        """Better or worse where the interval of weighted F1 leaves 0 out and McNemar's test says the same.

        Otherwise as good, where it reaches no lower than the gate tolerates.
        On few rows the bootstrap alone finds differences too easily, McNemar's test alone knows no F1; on fewer than
        LEAST_ROWS neither is asked.
        """
        if self.rows < LEAST_ROWS:
            return CANT_TELL
        change = self.changes[DECISIVE]
        turned = BETTER if self.fixed_rows > self.broken_rows else WORSE
        if self.mcnemar_p <= self.alpha and change.verdict == turned:
            return turned
        return AS_GOOD if change.low >= PromoteConfig.min_f1_change else CANT_TELL

    @property
    def latency_ratio(self) -> float | None:
        """How many times as long the candidate's median is; None where a side was not timed."""
        if self.reference_latency is None or self.candidate_latency is None:
            return None
        return self.candidate_latency.p50 / self.reference_latency.p50

    @property
    def changed_intents(self) -> pd.DataFrame:
        """The intents whose F1 or recall changed by more than chance, the worst first."""
        smaller = self.per_intent[["f1_p", "recall_p"]].min(axis=1)
        return self.per_intent[smaller <= self.alpha].sort_values("f1_change", kind="stable")


def compare(
    reference: Side, candidate: Side, *, resamples: int = RESAMPLES, seed: int = 0, alpha: float = ALPHA
) -> Comparison:
    """What the candidate changes. Raises ComparisonError where no row can be compared.

    Rows that a model has seen in training, and rows of intents that one model lacks, are left out. `alpha` is the
    share of false alarms that is accepted: intervals cover 1 - alpha.
    """
    is_compared_R, left_out = _compared(reference, candidate)
    intents = sorted(set(reference.intents) & set(candidate.intents))
    before, after = reference.predictions[is_compared_R], candidate.predictions[is_compared_R]
    is_in_scope_R = (before["true_intent"] != "").to_numpy()
    before_B, after_B = before[is_in_scope_R], after[is_in_scope_R]
    labels_B = _ids(before_B["true_intent"], intents)
    answers = [_answers(table, is_in_scope_R, intents=intents) for table in (before, after)]
    measures = [side.measures(labels_B, number_of_intents=len(intents)) for side in answers]
    sizes = len(labels_B), len(before) - len(labels_B)
    was_right_B, is_right_B = (side.predicted_B == labels_B for side in answers)
    is_broken_B, is_fixed_B = was_right_B & ~is_right_B, is_right_B & ~was_right_B
    return Comparison(
        reference=reference.name,
        candidate=candidate.name,
        rows=sizes[0],
        out_of_scope_rows=sizes[1],
        alpha=alpha,
        resamples=resamples,
        changes=_changes(measures, sizes, resamples=resamples, seed=seed, alpha=alpha),
        broken_rows=int(is_broken_B.sum()),
        fixed_rows=int(is_fixed_B.sum()),
        mcnemar_p=float(statistics.mcnemar(is_broken_B.sum(), is_fixed_B.sum())),
        per_intent=changes_of_intents(answers, labels_B, intents=intents),
        broken=_turned(before_B, after_B, is_turned_B=is_broken_B, ranked_by="candidate_confidence"),
        fixed=_turned(before_B, after_B, is_turned_B=is_fixed_B, ranked_by="reference_confidence"),
        left_out=left_out,
        reference_latency=reference.latency,
        candidate_latency=candidate.latency,
        reference_bytes=reference.model_bytes,
        candidate_bytes=candidate.model_bytes,
    )


def _compared(reference: Side, candidate: Side) -> tuple[Booleans, LeftOut]:
    """Which rows are compared, and the account of the others; both sides must answer the same, in the same order."""
    if not same_rows(reference.predictions, candidate.predictions):
        raise ComparisonError(
            f"{reference.name} and {candidate.name} answer different rows ({len(reference.predictions)} and "
            f"{len(candidate.predictions)}); expected the same in the same order. Predict one's rows with the other."
        )
    true_R = reference.predictions["true_intent"].astype(str).to_numpy()
    known = [side.is_seen_B for side in (reference, candidate) if side.is_seen_B is not None]
    is_seen_R = np.any(known, axis=0) if known else np.zeros(len(true_R), dtype=bool)
    shared = set(reference.intents) & set(candidate.intents)
    is_out_of_scope_R = true_R == ""
    is_unshared_R = ~is_out_of_scope_R & ~np.isin(true_R, sorted(shared)) & ~is_seen_R
    is_compared_R = ~is_seen_R & ~is_unshared_R
    left_out = LeftOut(
        seen=int((is_seen_R & ~is_out_of_scope_R).sum()),
        out_of_scope_seen=int((is_seen_R & is_out_of_scope_R).sum()),
        rows_of_intent={
            str(intent): int(count)
            for intent, count in pd.Series(true_R[is_unshared_R]).value_counts().sort_index().items()
        },
        only_reference=tuple(sorted(set(reference.intents) - shared)),
        only_candidate=tuple(sorted(set(candidate.intents) - shared)),
        silent=tuple(side.name for side in (reference, candidate) if side.is_seen_B is None),
    )
    if not (is_compared_R & ~is_out_of_scope_R).any():
        raise ComparisonError(
            f"{reference.name} and {candidate.name}: of {int((~is_out_of_scope_R).sum())} in-scope test rows "
            f"{left_out.seen} were seen in training and {int(is_unshared_R.sum())} have an intent that only one model "
            "knows; none is left to compare. Name runs of one corpus, or test on rows that neither has seen."
        )
    return is_compared_R, left_out


def _ids(names: "pd.Series[str]", intents: list[str]) -> Integers:
    """The place of each name among the intents; their number for any other."""
    places = pd.Index(intents, dtype=object).get_indexer(pd.Index(names, dtype=object))
    return np.where(places < 0, len(intents), places)


def _answers(predictions: pd.DataFrame, is_in_scope_R: Booleans, *, intents: list[str]) -> Answers:
    in_scope, out_of_scope = predictions[is_in_scope_R], predictions[~is_in_scope_R]
    return Answers(
        predicted_B=_ids(in_scope["pred_intent"], intents),
        confidence_B=in_scope["confidence"].to_numpy(dtype=np.float64),
        energies_B=in_scope["energy"].to_numpy(dtype=np.float64),
        energies_N=out_of_scope["energy"].to_numpy(dtype=np.float64),
    )


def _changes(
    measures: list[list[Measure]], sizes: tuple[int, int], *, resamples: int, seed: int, alpha: float
) -> dict[str, Change]:
    before, after = measures
    was, is_now = measured(before, sizes=sizes), measured(after, sizes=sizes)
    changes = statistics.changes(before, after, sizes=sizes, resamples=resamples, seed=seed)
    return {
        name: Change(was[name], is_now[name], *interval(change_S, alpha=alpha), METRICS[name].is_more_better)
        for name, change_S in changes.items()
    }


def _turned(
    before: pd.DataFrame, after: pd.DataFrame, *, is_turned_B: Booleans, ranked_by: str
) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "text": before["text"].to_numpy(),
            "true_intent": before["true_intent"].to_numpy(),
            "reference_intent": before["pred_intent"].to_numpy(),
            "reference_confidence": before["confidence"].to_numpy(dtype=np.float64),
            "candidate_intent": after["pred_intent"].to_numpy(),
            "candidate_confidence": after["confidence"].to_numpy(dtype=np.float64),
        }
    )[is_turned_B]
    return table.sort_values(ranked_by, ascending=False, kind="stable", ignore_index=True)
