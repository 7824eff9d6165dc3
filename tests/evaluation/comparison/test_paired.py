"""Two models compared: the verdict, what is left out, what each intent and each utterance became."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from intents.errors import ComparisonError
from intents.evaluation.comparison.paired import AS_GOOD, BETTER, CANT_TELL, NO_DIFFERENCE, WORSE, compare
from intents.evaluation.comparison.sides import Latency
from intents.report import comparison
from tests.evaluation.comparison.answers import INTENTS, random_sides, side


def test_a_candidate_that_is_right_more_often_is_better_and_the_other_way_round_worse():
    old, new = random_sides(900, 200, right=(0.7, 0.85), seed=0)
    there, back = compare(old, new, seed=1), compare(new, old, seed=1)
    assert (there.verdict, back.verdict) == (BETTER, WORSE)
    assert there.mcnemar_p == back.mcnemar_p < 1e-6
    assert (there.broken_rows, there.fixed_rows) == (back.fixed_rows, back.broken_rows)
    assert there.changes.keys() == {"accuracy", "f1_weighted", "f1_macro", "ece", "auroc", "fpr95"}
    for name, change in there.changes.items():
        assert change.low <= change.change <= change.high
        assert (change.low, change.high) == pytest.approx((-back.changes[name].high, -back.changes[name].low))


def test_the_metrics_are_scikit_learns_on_the_in_scope_rows():
    old, new = random_sides(300, 60, right=(0.7, 0.8), seed=1)
    found = compare(old, new, resamples=200)
    assert (found.rows, found.out_of_scope_rows) == (300, 60)
    for made, value in ((old, "reference"), (new, "candidate")):
        rows = made.predictions[made.predictions["true_intent"] != ""]
        true, said = rows["true_intent"], rows["pred_intent"]
        got = {name: getattr(change, value) for name, change in found.changes.items()}
        assert got["accuracy"] == pytest.approx(reference.accuracy_score(true, said))
        assert got["f1_weighted"] == pytest.approx(reference.f1_score(true, said, average="weighted"))
        assert got["f1_macro"] == pytest.approx(reference.f1_score(true, said, average="macro"))
        positive = made.predictions["true_intent"] == ""
        assert got["auroc"] == pytest.approx(reference.roc_auc_score(positive, made.predictions["energy"]))


def test_equal_answers_are_no_real_difference_and_their_intervals_are_zero():
    old, _ = random_sides(100, 20, right=(0.7, 0.7), seed=2)
    found = compare(old, dataclasses.replace(old, name="same"))
    assert found.verdict == AS_GOOD
    assert {(c.change, c.low, c.high, c.verdict) for c in found.changes.values()} == {
        (0, 0, 0, NO_DIFFERENCE)
    }
    assert (found.mcnemar_p, found.broken_rows, found.fixed_rows) == (1.0, 0, 0)
    assert found.broken.empty
    assert found.fixed.empty
    assert found.changed_intents.empty


def test_four_rows_fixed_and_none_broken_are_too_few_whatever_the_bootstrap_says():
    true = ["a", "b"] * 50
    found = compare(side("old", true, ["c"] * 4 + true[4:]), side("new", true, true))
    # A resample without any of the four comes in (1 - 4/100)^100 = 1.7 % of cases: less than 2.5 %.
    assert found.changes["f1_weighted"].low > 0
    assert found.mcnemar_p == 0.125
    assert found.verdict == AS_GOOD
    assert found.changes["accuracy"].verdict == BETTER
    assert "accuracy is" not in comparison.verdict_line(found)


def test_more_right_answers_and_less_f1_are_no_verdict():
    # The reference's wrong answers name an intent that is not compared, so they cost no precision; the candidate is
    # wrong on fewer of these rows, but takes a for b and b for a. F1 of both: 2 * 0.8 / 1.8 = 0.889, then 0.86.
    true = ["a"] * 100 + ["b"] * 100
    old = side("old", true, ["y"] * 20 + ["a"] * 80 + ["y"] * 20 + ["b"] * 80, intents=("a", "b", "y"))
    new = side("new", true, ["b"] * 14 + ["a"] * 86 + ["a"] * 14 + ["b"] * 86)
    found = compare(old, new)
    assert (found.fixed_rows, found.broken_rows) == (12, 0)
    assert found.mcnemar_p < 0.001
    assert found.changes["f1_weighted"].reference == pytest.approx(1.6 / 1.8)
    assert found.changes["f1_weighted"].candidate == pytest.approx(0.86)
    assert (found.changes["accuracy"].verdict, found.changes["f1_weighted"].verdict) == (BETTER, WORSE)
    assert found.verdict == CANT_TELL
    assert "weighted F1 is worse" in comparison.verdict_line(found)


def test_more_candidates_at_once_need_more_evidence():
    true = ["a", "b"] * 50
    old, new = side("old", true, ["c"] * 7 + true[7:]), side("new", true, true)
    assert compare(old, new).mcnemar_p == 2 / 2**7
    assert compare(old, new).verdict == BETTER
    assert compare(old, new, alpha=0.01).verdict == AS_GOOD
    wide, narrow = (compare(old, new, alpha=alpha).changes["accuracy"] for alpha in (0.01, 0.05))
    assert wide.low < narrow.low
    assert wide.high >= narrow.high


def test_less_calibration_error_and_less_fpr_are_better():
    true = ["a"] * 200 + [""] * 200
    ends = {"confidence": [1.0] * 400, "energy": [-1.0] * 200 + [2.0] * 200}
    vague = {"confidence": [0.5] * 400, "energy": [-1.0, 2.0] * 200}
    found = compare(
        side("vague", true, ["a"] * 400, columns=vague), side("sure", true, ["a"] * 400, columns=ends)
    )
    assert {name: change.change for name, change in found.changes.items()} == pytest.approx(
        {"accuracy": 0, "f1_weighted": 0, "f1_macro": 0, "ece": -0.5, "auroc": 0.5, "fpr95": -1.0}
    )
    assert {found.changes[name].verdict for name in ("ece", "auroc", "fpr95")} == {BETTER}
    assert found.verdict == AS_GOOD


def test_one_intent_and_no_out_of_scope_row_are_compared_all_the_same():
    true = ["a"] * 100
    found = compare(
        side("old", true, ["b"] * 15 + ["a"] * 85, intents=("a", "b")),
        side("new", true, true, intents=("a", "b")),
    )
    assert found.changes.keys() == {"accuracy", "f1_weighted", "f1_macro", "ece"}
    assert found.verdict == BETTER
    assert list(found.per_intent.index) == ["a"]


def test_fewer_than_a_hundred_rows_tell_nothing_however_clear_they_seem():
    true, wrong = ["a"] * 99, ["b"] * 99
    found = compare(side("old", true, wrong), side("new", true, true))
    assert found.changes["f1_weighted"].low > 0.9
    assert found.mcnemar_p < 1e-9
    assert found.verdict == CANT_TELL
    assert "100 at the least" in comparison.verdict_line(found)
    more = compare(side("old", [*true, "a"], [*wrong, "b"]), side("new", [*true, "a"], [*true, "a"]))
    assert more.verdict == BETTER


def one_vs_rest(old: list[str], new: list[str], true: list[str], intent: str) -> tuple[int, int]:
    """Rows on which only one model is right about whether the utterance has this intent."""
    was = [(said == intent) == (t == intent) for said, t in zip(old, true, strict=True)]
    now = [(said == intent) == (t == intent) for said, t in zip(new, true, strict=True)]
    pairs = list(zip(was, now, strict=True))
    return sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)


def test_each_intents_p_values_are_exact_tests_corrected_for_those_tested():
    old, new = random_sides(400, 50, right=(0.6, 0.8), seed=3)
    # A fourth intent with three rows: shown, not tested.
    for made in (old, new):
        made.predictions.loc[:2, "true_intent"] = "d"
    old, new = (dataclasses.replace(made, intents=(*INTENTS, "d")) for made in (old, new))
    found = compare(old, new, resamples=200).per_intent
    in_scope = old.predictions["true_intent"] != ""
    true, was, now = (
        list(column[in_scope])
        for column in (
            old.predictions["true_intent"],
            old.predictions["pred_intent"],
            new.predictions["pred_intent"],
        )
    )
    recall_p, f1_p = {}, {}
    for intent in INTENTS:
        own = [(w, n) for w, n, t in zip(was, now, true, strict=True) if t == intent]
        broken = sum(w == intent != n for w, n in own)
        fixed = sum(n == intent != w for w, n in own)
        row = found.loc[intent]
        assert (row["rows"], row["broken"], row["fixed"]) == (len(own), broken, fixed)
        assert row["candidate_recall"] == pytest.approx(sum(n == intent for _, n in own) / len(own))
        is_true = [t == intent for t in true]
        assert row["candidate_f1"] == pytest.approx(reference.f1_score(is_true, [n == intent for n in now]))
        assert row["reference_f1"] == pytest.approx(reference.f1_score(is_true, [w == intent for w in was]))
        recall_p[intent] = stats.binomtest(broken, broken + fixed).pvalue
        turned = one_vs_rest(was, now, true, intent)
        assert turned != (broken, fixed)
        f1_p[intent] = stats.binomtest(turned[0], sum(turned)).pvalue
    for name, expected in (("recall_p", recall_p), ("f1_p", f1_p)):
        ranked = sorted(expected, key=expected.__getitem__)
        raised = np.maximum.accumulate([(3 - i) * expected[intent] for i, intent in enumerate(ranked)])
        assert found.loc[ranked, name].tolist() == pytest.approx(np.minimum(1, raised).tolist())
    assert found.loc["d", "rows"] == 3
    assert np.isnan(found.loc["d", ["recall_p", "f1_p"]].to_numpy(dtype=float)).all()


def test_an_intent_said_wrongly_more_often_has_changed_though_its_own_rows_have_not():
    true = ["a"] * 40 + ["b"] * 40
    # The candidate takes 15 of b's rows for c instead of a: a gains precision, its recall stands still.
    found = compare(
        side("old", true, ["a"] * 55 + ["b"] * 25), side("new", true, ["a"] * 40 + ["c"] * 15 + ["b"] * 25)
    )
    row = found.per_intent.loc["a"]
    assert row["recall_change"] == 0
    assert row["recall_p"] == 1.0
    assert row["f1_change"] > 0
    assert row["f1_p"] == pytest.approx(2 * 2 / 2**15)
    assert list(found.changed_intents.index) == ["a"]
    assert (found.broken_rows, found.fixed_rows) == (0, 0)


def test_broken_and_fixed_utterances_come_with_both_answers_the_most_confidently_wrong_first():
    true = ["a", "a", "b", "b", "c", ""]
    old = side(
        "old", true, ["a", "a", "c", "c", "c", "a"], columns={"confidence": [0.3, 0.9, 0.4, 0.8, 0.5, 0.9]}
    )
    new = side(
        "new", true, ["b", "c", "b", "b", "c", "b"], columns={"confidence": [0.6, 0.7, 0.9, 0.2, 0.5, 0.9]}
    )
    found = compare(old, new, resamples=200)
    assert found.broken["text"].tolist() == ["utterance 1", "utterance 0"]
    assert found.fixed["text"].tolist() == ["utterance 3", "utterance 2"]
    assert found.broken.iloc[0].to_dict() == {
        "text": "utterance 1",
        "true_intent": "a",
        "reference_intent": "a",
        "reference_confidence": 0.9,
        "candidate_intent": "c",
        "candidate_confidence": 0.7,
    }


def test_rows_that_either_model_has_seen_are_left_out_of_everything():
    true = ["a"] * 10 + ["b"] * 10 + [""] * 6
    said = ["b"] * 10 + ["b"] * 10 + ["a"] * 6
    old = side("old", true, said, seen=[True] * 3 + [False] * 23)
    new = side("new", true, said, seen=[False] * 2 + [True] * 3 + [False] * 18 + [True] * 3)
    found = compare(old, new, resamples=200)
    assert (found.rows, found.out_of_scope_rows) == (15, 3)
    assert (found.left_out.seen, found.left_out.out_of_scope_seen) == (5, 3)
    assert found.changes["accuracy"].reference == 10 / 15
    assert found.left_out.silent == ()


def test_a_model_that_does_not_say_what_it_has_seen_is_named():
    true = ["a"] * 4
    found = compare(side("old", true, true), side("new", true, true, seen=[True, False, False, False]))
    assert found.left_out.silent == ("old",)
    assert found.left_out.seen == 1


def test_rows_of_an_intent_that_one_model_lacks_are_left_out_and_counted():
    true = ["a", "a", "b", "b", "b", "z", "z", "z"]
    old = side("old", true, ["a", "y", "b", "b", "b", "a", "b", "b"], intents=("a", "b", "y"))
    new = side("new", true, true, intents=("a", "b", "z"), seen=[False] * 7 + [True])
    found = compare(old, new, resamples=200)
    assert found.rows == 5
    assert found.left_out.rows_of_intent == {"z": 2}
    assert (found.left_out.only_reference, found.left_out.only_candidate) == (("y",), ("z",))
    assert list(found.per_intent.index) == ["a", "b"]
    # F1 of a is 2/3 (one of its two rows went to y), of b 1; y has no part in the mean.
    assert found.changes["f1_macro"].reference == pytest.approx(5 / 6)


def test_nothing_left_to_compare_is_said_with_the_reasons():
    true = ["a", "a", "z"]
    old, new = side("old", true, true, seen=[True, True, False]), side("new", true, true, intents=("a", "z"))
    with pytest.raises(ComparisonError, match=r"of 3 in-scope test rows 2 were seen .* 1 have an intent"):
        compare(old, new)


@pytest.mark.parametrize("column", ["text", "true_intent", "kind"])
def test_answers_to_different_rows_are_refused(column: str):
    true = ["a", "b", ""]
    other = side("new", true, ["a", "b", "b"])
    other.predictions.loc[1, column] = "c"
    with pytest.raises(ComparisonError, match="different rows"):
        compare(side("old", true, ["a", "b", "b"]), other)
    with pytest.raises(ComparisonError, match="different rows"):
        compare(side("old", true, ["a", "b", "b"]), side("new", true[:2], ["a", "b"]))


def test_latency_and_size_stand_side_by_side():
    true = ["a"] * 3
    old = side("old", true, true, latency=Latency(2.0, 5.0), size=100)
    new = side("new", true, true, latency=Latency(3.0, 4.0), size=50)
    found = compare(old, new, resamples=200)
    assert found.latency_ratio == 1.5
    assert (found.reference_latency, found.candidate_latency) == (old.latency, new.latency)
    assert (found.reference_bytes, found.candidate_bytes) == (100, 50)
    assert compare(old, side("untimed", true, true), resamples=200).latency_ratio is None
