"""May one model take the place of another? One judgement, said alike when a training ends and at registry.promote.

Whatever stands against it is a `Reason` with a code. What is *worse* is refused. What a person may decide otherwise
(these rows can't tell; it is below a linear model; intents are given up; another model, corpus or family; a reader
that needs more) is asked for by its code (`promote.ACCEPTABLE`). Pure; knows no MLflow.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from intents.evaluation.baseline import LINEAR_MODEL
from intents.evaluation.comparison.paired import (
    AS_GOOD,
    BETTER,
    CANT_TELL,
    DECISIVE,
    LEAST_ROWS,
    WORSE,
    Change,
    Comparison,
)
from intents.evaluation.names import METRICS
from intents.parameters.promote import (
    BELOW_BASELINE,
    LOST_INTENTS,
    OTHER_CORPUS,
    OTHER_FAMILY,
    OTHER_MODEL,
    READER_IMPORTS_INTENTS,
    UNCLEAR,
    PromoteConfig,
)

F1 = METRICS[DECISIVE].words
NOT_COMPARED = "not compared"
MORE_ROWS = (
    "to know more: train both with folds=5, and all rows of the corpus are compared, not only the test part"
)
POINTS = 100
NAMED_INTENTS = 5
SHARED_ROWS = 0.5
"""Two corpora that share less of the smaller one's training rows are different ones."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """What is known of a model beside its answers; "" or None where it is not known.

    `registered`: the registered model's name. `seen`: fingerprints of its training rows. `metrics`: its run's.
    """

    name: str
    intents: tuple[str, ...]
    registered: str = ""
    family: str = ""
    corpus: str = ""
    seen: frozenset[int] | None = None
    needs_import: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reason:
    """Something against the candidate; `code` is WORSE, or what a person may accept it by.

    `is_for_want_of_rows`: more in-scope rows could tell.
    """

    code: str
    text: str
    is_for_want_of_rows: bool = False


@dataclass(frozen=True)
class Judgement:
    """What stands against the candidate, and in one line how it compares.

    `is_better`: by more than chance. `is_pooled`: answers to all rows of the corpus, out-of-fold, were compared too.
    `is_measured`: any answers were. `is_another`: the two share no intent.
    """

    reasons: tuple[Reason, ...]
    compared: str
    is_better: bool = False
    is_pooled: bool = False
    is_measured: bool = True
    is_another: bool = False

    @property
    def verdict(self) -> str:
        """Worse, can't tell, better, or as good: no worse than is tolerated; or that nothing was compared."""
        codes = {reason.code for reason in self.reasons}
        if WORSE in codes:
            return WORSE
        if UNCLEAR in codes:
            return CANT_TELL
        if not self.is_measured:
            return NOT_COMPARED
        return BETTER if self.is_better else AS_GOOD

    @property
    def line(self) -> str:
        """The verdict, and what it rests on."""
        return f"{self.verdict}: {self.compared}"

    def against(self, accepted: tuple[str, ...]) -> tuple[Reason, ...]:
        """The reasons that nobody has accepted."""
        return tuple(reason for reason in self.reasons if reason.code not in accepted)

    @property
    def hint(self) -> str:
        """How more could be known, where the rows can't tell; "" where there is no such way."""
        wants_rows = any(reason.is_for_want_of_rows for reason in self.reasons)
        return MORE_ROWS if self.verdict == CANT_TELL and wants_rows and not self.is_pooled else ""

    @property
    def accept(self) -> tuple[str, ...]:
        """The codes that would have to be accepted, where nothing is worse."""
        return tuple(dict.fromkeys(reason.code for reason in self.reasons if reason.code != WORSE))


def judge(
    before: Described,
    after: Described,
    *,
    found: Comparison | str,
    pooled: Comparison | None,
    config: PromoteConfig,
) -> Judgement:
    """What stands against `after` in the place of `before`.

    `found` compares them on the candidate's test rows, or says why that can't be done; `pooled` on all rows of the
    corpus, each answered by a model of the same recipe that was not trained on it.
    """
    reasons = [*_differences(before, after), *beside_baseline(after.metrics, before.metrics)]
    if isinstance(found, str):
        reasons.append(Reason(UNCLEAR, f"it can't be compared: {found}"))
        is_another = _shares_nothing(before, after)
        return Judgement(tuple(reasons), "no answers were compared", is_measured=False, is_another=is_another)
    pooled = pooled if pooled is not None and pooled.rows >= max(LEAST_ROWS, found.rows) else None
    reasons += _answers(found, pooled, config=config)
    compared = f"{F1} {_points(found.changes[DECISIVE])} on {found.rows:,} test rows"
    if pooled is not None:
        compared += f", {_points(pooled.changes[DECISIVE])} on {pooled.rows:,} rows out-of-fold"
    return Judgement(tuple(reasons), compared, found.verdict == BETTER, pooled is not None)


def unmeasured(before: Described, after: Described, *, why: str) -> Judgement:
    """What stands against `after` where `before` can't be asked anything: what the two are, not what they answer."""
    reasons = (*_differences(before, after), *beside_baseline(after.metrics, before.metrics))
    return Judgement(reasons, why, is_measured=False)


def rows_needed(change: Change, *, rows: int, tolerated: float) -> int | None:
    """The test rows that would tell a change as small as `tolerated` of two models that are equally good.

    An interval's half-width falls with the square root of the rows. None where no loss is tolerated.
    """
    half = (change.high - change.low) / 2
    is_loss = tolerated < 0 if change.is_more_better else tolerated > 0
    return math.ceil(rows * (half / tolerated) ** 2) if is_loss else None


def _differences(before: Described, after: Described) -> Iterator[Reason]:
    """What whoever reads the published model would find changed, whatever the two answer."""
    lost = sorted(set(before.intents) - set(after.intents))
    is_another_corpus = _is_another_corpus(before, after)
    if _shares_nothing(before, after):
        yield Reason(
            LOST_INTENTS,
            f"none of the {len(lost)} intents that {before.name} knows is among its {len(after.intents)}: this is "
            "another model, to be registered under a name of its own (register=<name>)",
        )
    elif lost:
        why = " (too few rows, or blacklisted: the run's data/cleaning_ledger.csv says; or gone from the corpus)"
        yield Reason(
            LOST_INTENTS,
            f"{len(lost)} of the {len(before.intents)} intents that {before.name} knows are missing: {_listed(lost)}"
            + ("" if is_another_corpus else why),
        )
    if before.registered and after.registered and before.registered != after.registered:
        yield Reason(OTHER_MODEL, f"{before.registered!r} is published there, this is {after.registered!r}")
    if is_another_corpus:
        named = f"{before.corpus or 'another'} -> {after.corpus or 'this one'}"
        yield Reason(OTHER_CORPUS, f"it was trained on another corpus ({named}), with few rows in common")
    if before.family and after.family and before.family != after.family:
        yield Reason(OTHER_FAMILY, f"it is of another family ({before.family} -> {after.family})")
    if after.needs_import and not before.needs_import:
        yield Reason(
            READER_IMPORTS_INTENTS,
            "whoever reads it must `import intents` first; plain transformers reads what is published now",
        )


def _shares_nothing(before: Described, after: Described) -> bool:
    return bool(before.intents) and set(before.intents).isdisjoint(after.intents)


def _is_another_corpus(before: Described, after: Described) -> bool:
    if before.seen and after.seen:
        smaller = min(len(before.seen), len(after.seen))
        return len(before.seen & after.seen) < SHARED_ROWS * smaller
    return bool(before.corpus and after.corpus) and before.corpus != after.corpus


def beside_baseline(metrics: Mapping[str, float], published: Mapping[str, float]) -> Iterator[Reason]:
    """That the candidate is below the linear model by more than chance, or that its test rows can't tell.

    `published`: the metrics of what it would replace, which may be below its own linear model too.
    """
    ours, theirs = _beside_linear_model(metrics)
    if ours > theirs:
        return
    was, its = _beside_linear_model(published)
    too = f"; so is what is published, {was:.4f}" if was < its else ""
    is_certain = metrics.get("test_f1_weighted_ci_high", ours) < theirs
    code, word = (BELOW_BASELINE, "is below") if is_certain else (UNCLEAR, "is not told from")
    yield Reason(code, f"{F1} {ours:.4f} {word} {LINEAR_MODEL} ({theirs:.4f}){too}")


def _beside_linear_model(metrics: Mapping[str, float]) -> tuple[float, float]:
    """Weighted F1 of a model and of the linear one beside it; of a run without them 1 and 0, which says nothing."""
    names = ("test_f1_weighted", "baseline_f1_weighted")
    return (metrics[names[0]], metrics[names[1]]) if metrics.keys() >= set(names) else (1.0, 0.0)


def _answers(found: Comparison, pooled: Comparison | None, *, config: PromoteConfig) -> Iterator[Reason]:
    """What the answers of both to the same rows say against the candidate."""
    told = [each for each in (found, pooled) if each is not None and each.rows >= LEAST_ROWS]
    if told:
        yield from _f1(told, config)
        yield from _calibration(told, config)
    else:
        few = f"{found.rows} rows can't tell: at least {LEAST_ROWS} in-scope rows are needed"
        yield Reason(UNCLEAR, few, is_for_want_of_rows=True)
    auroc = found.changes.get("auroc")
    if auroc is not None and auroc.low < config.min_auroc_change:
        tolerated, rows = config.min_auroc_change, found.out_of_scope_rows
        yield _may_be_worse("auroc", auroc, tolerated=tolerated, rows=rows, kind="out-of-scope ")
    ratio = found.latency_ratio
    if ratio is not None and ratio > config.max_latency_ratio:
        bound = f"tolerated are {config.max_latency_ratio:.2f}"
        yield Reason(WORSE, f"an utterance takes {ratio:.2f} times as long, {bound}")
    yield from _intents(found)


def _f1(told: list[Comparison], config: PromoteConfig) -> Iterator[Reason]:
    """Lost weighted F1."""
    failing = [each for each in told if each.changes[DECISIVE].low < config.min_f1_change]
    worse = [each for each in failing if each.changes[DECISIVE].high < 0]
    for each in _decisive(told, failing=failing, worse=worse):
        change = each.changes[DECISIVE]
        yield _may_be_worse(DECISIVE, change, tolerated=config.min_f1_change, rows=each.rows)


def _calibration(told: list[Comparison], config: PromoteConfig) -> Iterator[Reason]:
    """A risen calibration error. Its estimate counts: its interval is too wide."""
    failing = [each for each in told if each.changes["ece"].change > config.max_ece_change]
    worse = [each for each in failing if each.changes["ece"].low > 0]
    for each in _decisive(told, failing=failing, worse=worse):
        yield _may_be_worse("ece", each.changes["ece"], tolerated=config.max_ece_change, rows=each.rows)


def _decisive(
    told: list[Comparison], *, failing: list[Comparison], worse: list[Comparison]
) -> list[Comparison]:
    """The comparison that counts: any that tells a loss; where none does, the last, which has the most rows."""
    return worse[:1] or [each for each in failing if each is told[-1]]


def _may_be_worse(metric: str, change: Change, *, tolerated: float, rows: int, kind: str = "") -> Reason:
    """A metric that may have lost more than is tolerated, on so many test rows of that kind."""
    factor, digits, unit = (POINTS, 2, " points") if metric == DECISIVE else (1, 4, "")
    low, high, bound = (f"{value * factor:+.{digits}f}" for value in (change.low, change.high, tolerated))
    words, changed = METRICS[metric].words, f"changed by {low} to {high}{unit}, tolerated are {bound}"
    if change.verdict == WORSE:
        return Reason(WORSE, f"{words} has {changed}")
    needed = rows_needed(change, rows=rows, tolerated=tolerated)
    would = f"; about {needed:,} would, if both are equally good" if needed and needed > rows else ""
    text = f"{rows:,} {kind}rows can't tell: {words} may have {changed}{would}"
    return Reason(UNCLEAR, text, is_for_want_of_rows=not kind)


def _intents(found: Comparison) -> Iterator[Reason]:
    lost = found.changed_intents
    lost = lost[lost[["f1_change", "recall_change"]].min(axis=1) < 0]
    if lost.empty:
        return
    named = ", ".join(
        f"{intent} (F1 {row['reference_f1']:.2f} -> {row['candidate_f1']:.2f})"
        for intent, row in lost.head(NAMED_INTENTS).iterrows()
    )
    yield Reason(WORSE, f"{len(lost)} intent(s) got worse by more than chance: {named}")


def _points(change: Change) -> str:
    values = (value * POINTS for value in (change.change, change.low, change.high))
    return "{:+.2f} points [{:+.2f}, {:+.2f}]".format(*values)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED_INTENTS} more" if len(names) > NAMED_INTENTS else ""
    return ", ".join(names[:NAMED_INTENTS]) + more
