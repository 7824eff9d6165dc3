"""May a candidate take another's place? What is worse, what these rows can't tell, what a person is asked about."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from intents.evaluation.comparison.judgement import (
    AS_GOOD,
    CANT_TELL,
    WORSE,
    Described,
    Judgement,
    judge,
    rows_needed,
    unmeasured,
)
from intents.evaluation.comparison.paired import BETTER, Change, Comparison, compare
from intents.evaluation.comparison.sides import Latency, Side
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
from intents.report import comparison

INTENTS = ("a", "b", "c")
LIVE = Described(name="live", intents=INTENTS, registered="shop", family="bert", corpus="week 1")


def answers(
    seed: int,
    *,
    accuracy: float = 0.95,
    energy_gap: float = 6.0,
    overconfidence: float = 0.0,
    rows: int = 3000,
    out_of_scope: int = 600,
) -> pd.DataFrame:
    """Simulated predictions of the same rows: so accurate, so well calibrated, so good at refusing."""
    labels = np.random.default_rng(0).choice(INTENTS, size=rows)
    generator = np.random.default_rng(seed)
    is_right = generator.random(rows) < accuracy
    others = np.array([INTENTS[(INTENTS.index(label) + 1) % 3] for label in labels])
    energies = generator.normal(0.0, 1.0, rows)
    out_energies = generator.normal(energy_gap, 1.0, out_of_scope)
    confidence = np.full(rows, min(1.0, accuracy + overconfidence))
    return pd.DataFrame(
        {
            "text": [f"utterance {i}" for i in range(rows + out_of_scope)],
            "true_intent": [*labels, *[""] * out_of_scope],
            "pred_intent": [*np.where(is_right, labels, others), *["a"] * out_of_scope],
            "confidence": [*confidence, *[0.5] * out_of_scope],
            "energy": [*energies, *out_energies],
            "kind": [*[""] * rows, *["other"] * out_of_scope],
        }
    )


def compared(before: pd.DataFrame, after: pd.DataFrame, *, latency: float = 1.0) -> Comparison:
    sides = [
        Side("live", INTENTS, before, latency=Latency(1.0, 2.0)),
        Side("candidate", INTENTS, after, latency=Latency(latency, 2.0)),
    ]
    return compare(*sides, resamples=500)


def judged(found: Comparison | str, *, pooled: Comparison | None = None, **changes: object) -> Judgement:
    settings = {"config": PromoteConfig()} | {k: v for k, v in changes.items() if k in ("config", "before")}
    candidate = {k: v for k, v in changes.items() if k not in ("config", "before")}
    after = dataclasses.replace(LIVE, name="candidate", **candidate)
    return judge(settings.get("before", LIVE), after, found=found, pooled=pooled, config=settings["config"])


def codes(judgement: Judgement) -> set[str]:
    return {reason.code for reason in judgement.reasons}


def test_an_equal_model_of_another_seed_is_as_good():
    found = judged(compared(answers(1), answers(2)))
    assert (found.verdict, found.reasons) == (AS_GOOD, ())
    assert found.line.startswith("as good: weighted F1 ")
    assert "on 3,000 test rows" in found.line


def test_a_model_that_is_better_by_more_than_chance_is_better():
    assert judged(compared(answers(1, accuracy=0.9), answers(2))).verdict == BETTER


@pytest.mark.parametrize(
    ("candidate", "latency", "reason"),
    [
        (answers(2, accuracy=0.9), 1.0, "weighted F1 has changed by"),
        (answers(2, energy_gap=1.5), 1.0, "AUROC has changed by"),
        (answers(2, overconfidence=0.04), 1.0, "calibration error has changed by"),
        (answers(2), 1.51, "takes 1.51 times as long, tolerated are 1.50"),
    ],
    ids=["less accurate", "worse at refusing", "overconfident", "slow"],
)
def test_a_worse_model_is_worse_for_what_is_worse(candidate: pd.DataFrame, latency: float, reason: str):
    found = judged(compared(answers(1), candidate, latency=latency))
    assert found.verdict == WORSE
    assert any(reason in each.text for each in found.reasons if each.code == WORSE), found.reasons


def test_an_intent_that_got_worse_is_named_though_the_whole_did_not():
    candidate = answers(1)
    of_a = candidate.index[candidate["true_intent"] == "a"][:60]
    wrong = candidate.index[(candidate["true_intent"] == "b") & (candidate["pred_intent"] != "b")]
    candidate.loc[of_a, "pred_intent"] = "b"
    candidate.loc[wrong, "pred_intent"] = "b"
    found = judged(compared(answers(1), candidate), config=PromoteConfig(min_f1_change=-0.5))
    (reason,) = [each for each in found.reasons if "got worse by more than chance" in each.text]
    assert "a (F1" in reason.text
    assert reason.code == WORSE


@pytest.mark.parametrize(
    ("candidate", "rows"),
    [
        (answers(2), 3000),
        (answers(2, rows=300), 300),
        (answers(2, rows=40), 40),
        (answers(2, accuracy=0.9), 3000),
    ],
    ids=["as good", "can't tell", "too few", "worse"],
)
def test_a_comparison_and_the_judgement_on_it_have_one_word(candidate: pd.DataFrame, rows: int):
    found = compared(answers(1, rows=rows), candidate)
    assert comparison.verdict_line(found).startswith(f"candidate against live: {judged(found).verdict}: ")


def test_what_is_tolerated_can_be_named():
    slow = compared(answers(1), answers(2), latency=1.51)
    assert judged(slow, config=PromoteConfig(max_latency_ratio=2.0)).reasons == ()
    worse = compared(answers(1), answers(2, accuracy=0.93))
    tolerant = judged(worse, config=PromoteConfig(min_f1_change=-0.1))
    assert not any("weighted F1" in reason.text for reason in tolerant.reasons)


def test_rows_that_cannot_tell_are_not_called_worse_and_the_number_that_could_is_said():
    few = {"rows": 303, "out_of_scope": 0}
    comparison = compared(answers(1, accuracy=0.8, **few), answers(2, accuracy=0.8, **few))
    found = judged(comparison)
    assert found.verdict == CANT_TELL
    (reason,) = found.reasons
    assert reason.code == UNCLEAR
    change = comparison.changes["f1_weighted"]
    # the half-width falls with the root of the rows: 303 x (half / 1 point) squared
    needed = int(np.ceil(303 * ((change.high - change.low) / 2 / 0.01) ** 2))
    assert f"303 rows can't tell: weighted F1 may have changed by {change.low * 100:+.2f} to" in reason.text
    assert f"about {needed:,} would, if both are equally good" in reason.text
    assert "folds=5" in found.hint
    assert found.accept == (UNCLEAR,)


def test_a_calibration_error_that_may_have_risen_by_chance_is_told_as_the_other_metrics_are():
    comparison = compared(answers(1), answers(2))
    comparison.changes["ece"] = Change(0.02, 0.0315, -0.0400, 0.0586, is_more_better=False)
    found = judged(comparison)
    (reason,) = found.reasons
    assert (found.verdict, reason.code) == (CANT_TELL, UNCLEAR)
    # half the interval's width is 0.0493: 3,000 x (0.0493 / 0.01) squared
    assert reason.text == (
        "3,000 rows can't tell: calibration error may have changed by -0.0400 to +0.0586, tolerated are +0.0100; "
        "about 72,915 would, if both are equally good"
    )
    assert "folds=5" in found.hint


def test_so_many_rows_as_are_said_to_be_needed_do_tell():
    few = {"rows": 400, "out_of_scope": 0}
    change = compared(answers(1, **few), answers(2, **few)).changes["f1_weighted"]
    needed = rows_needed(change, rows=400, tolerated=-0.01)
    assert needed is not None
    more = {"rows": needed, "out_of_scope": 0}
    found = compared(answers(1, **more), answers(2, **more)).changes["f1_weighted"]
    assert (found.high - found.low) / 2 == pytest.approx(0.01, rel=0.15)
    for tolerated in (0.0, 0.01):
        assert rows_needed(Change(0.9, 0.9, -0.01, 0.01, True), rows=100, tolerated=tolerated) is None


def test_23_shared_rows_are_never_better():
    rows = answers(2, accuracy=1.0, rows=23, out_of_scope=0)
    found = judged(compared(answers(1, accuracy=0.1, rows=23, out_of_scope=0), rows))
    assert found.verdict == CANT_TELL
    assert any(reason.text.startswith("23 rows can't tell") for reason in found.reasons)


def test_so_few_rows_are_never_called_worse_either():
    few = {"rows": 40, "out_of_scope": 0}
    rows = compared(answers(1, **few), answers(2, accuracy=0.3, overconfidence=0.5, **few))
    assert rows.changes["f1_weighted"].high < 0 < rows.changes["ece"].low
    assert codes(judged(rows)) == {UNCLEAR}
    assert codes(judged(rows, pooled=compared(answers(1), answers(2)))) == set()


def test_pooled_rows_tell_what_the_test_rows_cannot():
    few = {"rows": 200, "out_of_scope": 0}
    test_rows = compared(answers(1, **few), answers(2, **few))
    assert judged(test_rows).verdict == CANT_TELL
    pooled = compared(answers(1), answers(2))
    found = judged(test_rows, pooled=pooled)
    assert (found.verdict, found.hint) == (AS_GOOD, "")
    assert "on 3,000 rows out-of-fold" in found.line
    worse = judged(test_rows, pooled=compared(answers(1), answers(2, accuracy=0.9)))
    assert worse.verdict == WORSE


def test_few_pooled_rows_do_not_take_the_place_of_many_test_rows():
    few = compared(answers(1, rows=40, out_of_scope=0), answers(2, rows=40, out_of_scope=0))
    found = judged(compared(answers(1), answers(2)), pooled=few)
    assert (found.verdict, found.is_pooled) == (AS_GOOD, False)


def test_more_rows_are_advised_only_where_they_could_tell():
    auroc = compared(answers(1, out_of_scope=30, energy_gap=1.5), answers(2, out_of_scope=30, energy_gap=1.5))
    found = judged(auroc)
    assert any("out-of-scope rows can't tell" in reason.text for reason in found.reasons)
    assert found.hint == ""  # out-of-fold rows are in-scope ones


def test_a_number_of_rows_that_would_tell_is_never_below_the_number_there_is():
    skewed = dataclasses.replace(
        compared(answers(1), answers(2)), changes={**compared(answers(1), answers(2)).changes}
    )
    skewed.changes["f1_weighted"] = Change(0.9, 0.896, -0.012, 0.004, is_more_better=True)
    (reason,) = judged(skewed).reasons
    assert reason.text.startswith("3,000 rows can't tell")
    assert "would" not in reason.text


def test_what_the_test_rows_say_is_worse_no_pooled_rows_excuse():
    found = judged(compared(answers(1), answers(2, accuracy=0.9)), pooled=compared(answers(1), answers(2)))
    assert found.verdict == WORSE


def test_lost_intents_are_named_and_asked_about():
    found = judged(compared(answers(1), answers(2)), intents=("a",))
    (reason,) = found.reasons
    assert reason.code == LOST_INTENTS
    assert "2 of the 3 intents that live knows are missing: b, c" in reason.text
    assert "the run's data/cleaning_ledger.csv says" in reason.text
    assert found.against((LOST_INTENTS,)) == ()
    assert found.against((UNCLEAR,)) == found.reasons


def test_of_intents_of_another_corpus_no_ledger_is_said_to_tell():
    found = judged(compared(answers(1), answers(2)), intents=("a",), corpus="rows.csv")
    assert codes(found) == {LOST_INTENTS, OTHER_CORPUS}
    assert not any("cleaning_ledger" in reason.text for reason in found.reasons)


def test_a_model_that_shares_no_intent_is_another_one():
    found = judged("none is left to compare", intents=("x", "y"))
    assert found.is_another
    reason = found.reasons[0]
    assert (reason.code, found.accept) == (LOST_INTENTS, (LOST_INTENTS, UNCLEAR))
    assert "none of the 3 intents that live knows is among its 2" in reason.text
    assert "register=<name>" in reason.text
    assert not judged("it can't be loaded").is_another
    of_another_hand = dataclasses.replace(LIVE, intents=())
    assert not judged("it can't be loaded", before=of_another_hand).is_another


def test_another_model_corpus_or_family_is_asked_about_each_by_its_name():
    equal = compared(answers(1), answers(2))
    found = judged(equal, registered="mine", corpus="rows.csv", family="textcnn", needs_import=True)
    assert codes(found) == {OTHER_MODEL, OTHER_CORPUS, OTHER_FAMILY, READER_IMPORTS_INTENTS}
    said = " ".join(reason.text for reason in found.reasons)
    for named in ("'shop'", "'mine'", "week 1 -> rows.csv", "bert -> textcnn", "`import intents`"):
        assert named in said
    assert found.verdict == AS_GOOD


def test_a_corpus_is_another_by_its_rows_not_by_its_files_name():
    equal = compared(answers(1), answers(2))
    week_1 = dataclasses.replace(LIVE, seen=frozenset(range(100)))
    renamed = judged(equal, before=week_1, corpus="week 2", seen=frozenset(range(20, 130)))
    assert codes(renamed) == set()
    other = judged(equal, before=week_1, corpus="week 1", seen=frozenset(range(60, 200)))
    assert codes(other) == {OTHER_CORPUS}


def test_a_reader_that_imports_the_project_already_needs_nothing_new():
    before = dataclasses.replace(LIVE, needs_import=True)
    assert codes(judged(compared(answers(1), answers(2)), before=before, needs_import=True)) == set()


def test_below_the_linear_model_is_asked_about_where_it_is_certain_and_unclear_where_it_is_not():
    equal = compared(answers(1), answers(2))
    metrics = {"test_f1_weighted": 0.80, "test_f1_weighted_ci_high": 0.84, "baseline_f1_weighted": 0.82}
    assert codes(judged(equal, metrics=metrics)) == {UNCLEAR}
    certain = judged(equal, metrics=metrics | {"test_f1_weighted_ci_high": 0.81})
    assert codes(certain) == {BELOW_BASELINE}
    assert certain.verdict == AS_GOOD  # beside what is published, which is what the verdict is about
    live = dataclasses.replace(LIVE, metrics=metrics)
    (reason,) = judged(equal, before=live, metrics=metrics).reasons
    assert reason.text.endswith("(0.8200); so is what is published, 0.8000")
    assert codes(judged(equal, metrics=metrics | {"test_f1_weighted": 0.83})) == set()


def test_what_cannot_be_compared_is_unclear_with_the_reason():
    found = judged("none is left to compare")
    assert (found.verdict, found.line) == (CANT_TELL, "can't tell: no answers were compared")
    assert "none is left to compare" in found.reasons[0].text
    assert found.hint == ""  # more rows of the same corpora can't be compared either


def test_where_nothing_can_be_asked_what_the_models_are_still_counts():
    found = unmeasured(LIVE, dataclasses.replace(LIVE, intents=("a",)), why="it is damaged")
    assert codes(found) == {LOST_INTENTS}
    assert found.line == "not compared: it is damaged"
