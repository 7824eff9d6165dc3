"""A comparison in words: the verdict in one line, a table for the console, and all of it as JSON."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pandas as pd

from intents.evaluation.comparison.paired import (
    AS_GOOD,
    BETTER,
    CANT_TELL,
    DECISIVE,
    LEAST_ROWS,
    NO_DIFFERENCE,
    WORSE,
    Change,
    Comparison,
)
from intents.evaluation.comparison.per_intent import LEAST_ROWS_OF_AN_INTENT
from intents.evaluation.names import METRICS

COUNTED = ("f1_weighted", "f1_macro", "accuracy")
"""Those of which answers are right: their intervals count where McNemar's test finds more than chance, too."""
ADVICE = {
    BETTER: "prefer {candidate}",
    WORSE: "keep {reference}",
    AS_GOOD: "choose by latency and size",
    CANT_TELL: f"test on more rows that neither has seen, {LEAST_ROWS} at the least",
}
SHOWN_UTTERANCES, SHOWN_INTENTS = 5, 10


def verdict_line(found: Comparison) -> str:
    """Better, worse, as good or can't tell, by how much, and what to do."""
    decisive = found.changes[DECISIVE]
    others = [f"{METRICS[name].words} is {found.changes[name].verdict}" for name in _also_changed(found)]
    also = f"; but look at what else changed: {', '.join(others)}" if others else ""
    advice = ADVICE[found.verdict].format(reference=found.reference, candidate=found.candidate)
    changed = f"{decisive.change * 100:+.2f} points [{decisive.low * 100:+.2f}, {decisive.high * 100:+.2f}]"
    return (
        f"{found.candidate} against {found.reference}: {found.verdict}: {METRICS[DECISIVE].words} {changed}, "
        f"{found.fixed_rows} rows fixed and {found.broken_rows} broken "
        f"(McNemar p = {found.mcnemar_p:.2g}); {advice}{also}"
    )


def _also_changed(found: Comparison) -> list[str]:
    """The metrics whose change is more than chance and does not point the verdict's way."""
    is_counted = found.mcnemar_p <= found.alpha
    return [
        name
        for name, change in found.changes.items()
        if change.verdict not in (NO_DIFFERENCE, found.verdict) and (is_counted or name not in COUNTED)
    ]


def in_words(found: Comparison) -> dict[str, Change]:
    """The changes in the order they are shown, by the metric's words."""
    return {METRICS[name].words: found.changes[name] for name in METRICS if name in found.changes}


def text(found: Comparison) -> str:
    """What a person needs to decide, for the console, the verdict last."""
    return "\n".join([*account_lines(found), verdict_line(found)])


def account_lines(found: Comparison) -> list[str]:
    """What was compared, and what came of it, without a verdict."""
    return [
        f"{found.candidate} against {found.reference}",
        account(found),
        *(f"note: {note}" for note in notes(found)),
        f"{'':<18}{'reference':>10}{'candidate':>11}{'change':>10}   {coverage(found)}",
        *(_line(words, change) for words, change in in_words(found).items()),
        *(_cost_line(word, unit, old=old, new=new) for word, unit, old, new in costs(found)),
        *_intents(found),
        *_utterances("newly broken", found.broken),
        *_utterances("newly fixed", found.fixed),
    ]


def account(found: Comparison) -> str:
    """Which rows were compared."""
    seen = found.left_out.seen + found.left_out.out_of_scope_seen
    unshared = sum(found.left_out.rows_of_intent.values())
    return (
        f"rows: {found.rows:,} in-scope and {found.out_of_scope_rows:,} out-of-scope, the same for both; left out: "
        f"{seen:,} that a model has seen in training, {unshared:,} of intents that only one has"
    )


def coverage(found: Comparison) -> str:
    """What the intervals are."""
    return f"{100 * (1 - found.alpha):g} % interval"


def notes(found: Comparison) -> Iterator[str]:
    """What limits the comparison, a sentence each."""
    left_out = found.left_out
    for name in left_out.silent:
        yield f"{name} does not say what it was trained on; rows that it has seen would flatter it"
    for owner, intents in (
        (found.reference, left_out.only_reference),
        (found.candidate, left_out.only_candidate),
    ):
        if intents:
            counted = [f"{intent} ({left_out.rows_of_intent.get(intent, 0)} rows)" for intent in intents]
            yield f"only {owner} has {len(intents)} intent(s), not compared: {', '.join(counted)}"


def _line(word: str, change: Change) -> str:
    mark = "" if change.verdict == NO_DIFFERENCE else f"  {change.verdict}"
    return (
        f"{word:<18}{change.reference:>10.4f}{change.candidate:>11.4f}{change.change:>+10.4f}   "
        f"[{change.low:+.4f}, {change.high:+.4f}]{mark}"
    )


def costs(found: Comparison) -> Iterator[tuple[str, str, float, float]]:
    """What was measured of both: latency and size, each with its unit, the reference's and the candidate's."""
    before, after = found.reference_latency, found.candidate_latency
    if before is not None and after is not None:
        yield "p50", "ms", before.p50, after.p50
        yield "p95", "ms", before.p95, after.p95
    if found.reference_bytes and found.candidate_bytes:
        yield "size", "MB", found.reference_bytes / 1e6, found.candidate_bytes / 1e6


def _cost_line(word: str, unit: str, *, old: float, new: float) -> str:
    remark = "   one utterance, one thread" if unit == "ms" else ""
    return f"{f'{word} {unit}':<18}{old:>10.2f}{new:>11.2f}{new / old:>9.2f}x{remark}"


def _intents(found: Comparison) -> Iterator[str]:
    changed = found.changed_intents
    tested = int(found.per_intent["f1_p"].notna().sum())
    if not tested:
        return
    yield (
        f"intents: {len(changed)} of {tested} with at least {LEAST_ROWS_OF_AN_INTENT} rows changed by more than chance "
        f"(corrected for their number)"
    )
    for intent, row in changed.head(SHOWN_INTENTS).iterrows():
        yield (
            f"  {intent}: F1 {row['reference_f1']:.3f} -> {row['candidate_f1']:.3f} (p = {row['f1_p']:.2g}), "
            f"recall {row['reference_recall']:.3f} -> {row['candidate_recall']:.3f} (p = {row['recall_p']:.2g}), "
            f"{row['rows']:.0f} rows"
        )


def _utterances(word: str, table: pd.DataFrame) -> Iterator[str]:
    yield f"{word}: {len(table)}" + (", the most confidently wrong first" if len(table) else "")
    for row in table.head(SHOWN_UTTERANCES).to_dict("records"):
        said = f"{row['reference_intent']} ({row['reference_confidence']:.2f})"
        says = f"{row['candidate_intent']} ({row['candidate_confidence']:.2f})"
        yield f"  {row['text']!r} is {row['true_intent']}: {said} -> {says}"


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything that is known of the comparison, as JSON has it."""
    plain = {name: value for name, value in vars(found).items() if isinstance(value, str | int | float)}
    return plain | {
        "verdict": found.verdict,
        "verdict_line": verdict_line(found),
        "changes": {
            name: dataclasses.asdict(change) | {"change": change.change, "verdict": change.verdict}
            for name, change in found.changes.items()
        },
        "latency_ratio": found.latency_ratio,
        "reference_latency": found.reference_latency and dataclasses.asdict(found.reference_latency),
        "candidate_latency": found.candidate_latency and dataclasses.asdict(found.candidate_latency),
        "left_out": dataclasses.asdict(found.left_out),
        "per_intent": _records(found.per_intent.reset_index()),
        "broken": _records(found.broken),
        "fixed": _records(found.fixed),
    }


def _records(table: pd.DataFrame) -> list[Any]:
    """The rows, null where a value is missing: JSON has no NaN."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
