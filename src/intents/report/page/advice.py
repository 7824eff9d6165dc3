"""What to do next, by rules that anyone can check: what was found, what was hoped for, and what would help."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from intents.evaluation.names import METRICS
from intents.report.page import counts
from intents.report.page.content import ReportContent

BLOCKER, IMPROVE, NOTE = "before going live", "worth doing", "good to know"
URGENCY = (BLOCKER, IMPROVE, NOTE)

WORST_ECE = 0.05
MOST_WRONG_ACTIONS = 0.05
MOST_REJECTED = 0.10
USUAL_ACCEPTANCE = 0.95
MOST_ACCEPTED_OUT_OF_SCOPE = 0.30
CONFUSED_PAIRS, LEAST_CONFUSIONS, LEAST_CONFUSED_SHARE = 3, 3, 0.05
LEAST_TRAIN_ROWS, LEAST_TEST_ROWS = 20, 5
POOR_F1 = 0.7
WIDEST_INTERVAL = 0.05
BETTER_RANKING = 0.02
NAMED = 5
F1 = METRICS["f1_weighted"].words


@dataclass(frozen=True)
class Advice:
    """One thing to do. `section` of the page shows why; `pair` is a cell (true, predicted) of the confusion matrix."""

    urgency: str
    text: str
    section: str
    pair: tuple[int, int] | None = None


def advise(content: ReportContent) -> list[Advice]:
    """Everything to do, the most urgent first."""
    found = [advice for rule in RULES for advice in rule(content)]
    return sorted(found, key=lambda advice: URGENCY.index(advice.urgency))


def _baseline(content: ReportContent) -> Iterator[Advice]:
    if "baseline_f1_weighted" not in content.baseline:
        return
    ours, baseline = content.metrics["f1_weighted"], content.baseline["baseline_f1_weighted"]
    figures = f"{F1} {ours:.1%}, the baseline's is {baseline:.1%}"
    if ours <= baseline:
        advice = "Check the data, the learning rate and the epochs first."
        yield Advice(BLOCKER, f"The baseline is not beaten: {figures}. {advice}", "glance")
    elif content.metrics["f1_weighted_ci_low"] <= baseline:
        chance = f"The lead over the baseline may be chance: {figures}, which lies in our interval."
        yield Advice(IMPROVE, f"{chance} More test rows would tell.", "glance")


def _calibration(content: ReportContent) -> Iterator[Advice]:
    ece = content.metrics["ece"]
    if ece <= WORST_ECE:
        return
    in_scope, _ = counts.split(content.predictions)
    direction = "high" if in_scope["confidence"].mean() > counts.is_right(in_scope).mean() else "low"
    yield Advice(
        BLOCKER,
        f"The confidence can't be trusted: it is off by {ece:.1%} on average (at most {WORST_ECE:.0%} is hoped for), "
        f"mostly too {direction}. See that calibration=temperature is on; more rows, for either part, mend it.",
        "calibration",
    )


def _wrong_actions(content: ReportContent) -> Iterator[Advice]:
    in_scope, out_of_scope = counts.split(content.predictions)
    strictest = {rule: rows.iloc[-1] for rule, rows in counts.service(content.predictions).groupby("rule")}
    alone, with_energy = strictest[counts.BY_CONFIDENCE], strictest[counts.BY_BOTH]
    wrong = alone["in_scope_wrong"] / max(alone["in_scope_acts"] * len(in_scope), 1)
    if wrong > MOST_WRONG_ACTIONS:
        yield Advice(
            IMPROVE,
            f"Even from a confidence of {alone['threshold']:g} on, {wrong:.1%} of the in-scope utterances acted on are "
            f"wrong (at most {MOST_WRONG_ACTIONS:.0%} is hoped for).",
            "coverage",
        )
    if len(out_of_scope) and alone["out_of_scope_acts"] > MOST_ACCEPTED_OUT_OF_SCOPE:
        yield Advice(
            IMPROVE,
            f"A service that looks at confidence alone acts on {alone['out_of_scope_acts']:.1%} of out-of-scope "
            f"utterances, even from {alone['threshold']:g} on; one that rejects by energy, too, on "
            f"{with_energy['out_of_scope_acts']:.1%}.",
            "coverage",
        )


def _rejection(content: ReportContent) -> Iterator[Advice]:
    in_scope, out_of_scope = counts.split(content.predictions)
    rejected = in_scope[~in_scope["in_scope"].astype(bool)]
    share = len(rejected) / len(in_scope)
    if share > MOST_REJECTED:
        table = counts.sweep(content.predictions, threshold=content.threshold)
        usual = table[table["accepted"] >= USUAL_ACCEPTANCE * len(in_scope)]
        looser = ""
        if not usual.empty:
            wrongly = usual["wrongly_accepted"].iloc[0]
            price = f", with {wrongly / len(out_of_scope):.1%} of out-of-scope" if len(out_of_scope) else ""
            looser = f" A threshold of {usual['threshold'].iloc[0]:.2f} accepts {USUAL_ACCEPTANCE:.0%} of them{price}."
        yield Advice(
            BLOCKER,
            f"The threshold rejects {share:.1%} of in-scope utterances (at most {MOST_REJECTED:.0%} is hoped for); "
            f"{counts.is_right(rejected).mean():.1%} of those had the right intent.{looser}",
            "rejection",
        )


def _out_of_scope(content: ReportContent) -> Iterator[Advice]:
    _, out_of_scope = counts.split(content.predictions)
    if out_of_scope.empty:
        untested = "Nothing out-of-scope was tested, so nobody knows what is rejected."
        yield Advice(IMPROVE, f"{untested} Give such ones: noise=<file>.", "rejection")
        return
    accepted = out_of_scope["in_scope"].astype(bool)
    if accepted.mean() > MOST_ACCEPTED_OUT_OF_SCOPE:
        by_kind = accepted.groupby(out_of_scope["kind"], sort=True).mean()
        worst = f", of kind {by_kind.idxmax()} even {by_kind.max():.1%}" if len(by_kind) > 1 else ""
        yield Advice(
            BLOCKER,
            f"{accepted.mean():.1%} of out-of-scope utterances are accepted (at most {MOST_ACCEPTED_OUT_OF_SCOPE:.0%} "
            f"is hoped for){worst}. Add such utterances to the out-of-scope training rows, or lower the threshold.",
            "rejection",
        )


def _confused_pairs(content: ReportContent) -> Iterator[Advice]:
    intents, support = content.per_intent.index, content.per_intent["support"].to_numpy()
    in_scope, _ = counts.split(content.predictions)
    confusion = counts.cells(in_scope, intents, rejects=False)
    fullest_first = counts.mistakes(confusion)[["true", "predicted"]].to_numpy().tolist()
    for first, second, rows in counts.confused_pairs(confusion).head(CONFUSED_PAIRS).itertuples(index=False):
        tested = int(support[first] + support[second])
        if rows >= LEAST_CONFUSIONS and rows >= LEAST_CONFUSED_SHARE * tested:
            yield Advice(
                IMPROVE,
                f"{_quoted(intents[first])} and {_quoted(intents[second])} are taken for each other in {rows} of their "
                f"{tested} test rows. Tell them apart in the data, or make them one intent.",
                "confusion",
                # of both cells the one that has more rows
                next((t, p) for t, p in fullest_first if {t, p} == {first, second}),
            )


def _poor_intents(content: ReportContent) -> Iterator[Advice]:
    table = content.per_intent
    poor = table[(table["f1-score"] < POOR_F1) & (table["support"] >= LEAST_TEST_ROWS)]
    if not poor.empty:
        worst = poor.sort_values("f1-score", kind="stable").index
        found = f"{_intents(len(worst))} an F1 under {POOR_F1:.0%}: {_named(worst)}."
        yield Advice(IMPROVE, f"{found} Read their mistakes, then their training rows.", "intents")


def _rare_intents(content: ReportContent) -> Iterator[Advice]:
    rows = {intent: content.train_rows.get(intent, 0) for intent in content.per_intent.index}
    rare = [intent for intent in sorted(rows, key=lambda name: rows[name]) if rows[intent] < LEAST_TRAIN_ROWS]
    if content.train_rows and rare:
        found = f"{_intents(len(rare))} fewer than {LEAST_TRAIN_ROWS} training rows: {_named(rare)}."
        yield Advice(
            IMPROVE,
            f"{found} Collect more of them; learning_curve says what more rows would bring.",
            "intents",
        )
    support = content.per_intent["support"]
    untested = support[support < LEAST_TEST_ROWS].sort_values(kind="stable").index
    if len(untested):
        found = f"{_intents(len(untested))} fewer than {LEAST_TEST_ROWS} test rows"
        yield Advice(NOTE, f"{found}, so that their figures say little: {_named(untested)}.", "intents")


def _interval(content: ReportContent) -> Iterator[Advice]:
    width = content.metrics["f1_weighted_ci_high"] - content.metrics["f1_weighted_ci_low"]
    if width > WIDEST_INTERVAL:
        wide = f"The 95% interval of {F1} is {100 * width:.1f} points wide"
        unseen = "a smaller difference between two models won't show on so few test rows"
        yield Advice(NOTE, f"{wide}: {unseen}.", "glance")


def _other_score(content: ReportContent) -> Iterator[Advice]:
    if content.scores.empty:
        return
    auroc = content.scores["auroc"]
    if auroc.max() - auroc["energy"] > BETTER_RANKING:
        figures = f"{METRICS['auroc'].words} {auroc.max():.3f} against {auroc['energy']:.3f}"
        better = f"{auroc.idxmax()} tells out-of-scope better than energy does"
        yield Advice(NOTE, f"{better}: {figures}.", "scores")


def _data(content: ReportContent) -> Iterator[Advice]:
    severe = [finding for finding in content.findings if finding.severity == "high"]
    if severe:
        more = f" ({len(severe) - 1} more below)" if len(severe) > 1 else ""
        yield Advice(IMPROVE, f"The data: {severe[0].text}{more}", "data")


RULES: Sequence[Callable[[ReportContent], Iterator[Advice]]] = (
    _baseline,
    _calibration,
    _rejection,
    _out_of_scope,
    _wrong_actions,
    _confused_pairs,
    _poor_intents,
    _rare_intents,
    _data,
    _other_score,
    _interval,
)


def _intents(count: int) -> str:
    return "1 intent has" if count == 1 else f"{count} intents have"


def _named(intents: Sequence[str] | pd.Index) -> str:
    named = ", ".join(map(_quoted, intents[:NAMED]))
    return f"{named} and {len(intents) - NAMED} more" if len(intents) > NAMED else named


def _quoted(intent: str) -> str:
    return f"“{intent}”"
