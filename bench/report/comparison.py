"""How often `compare` finds a difference where there is none, and how often one of two points, by its own verdict.

    for seed in 1 2; do
        PYTHONPATH=src python -m intents.cli train_cnn --data ../shared/data/clinc150 --model_name minilm \
            --embeddings reduced --train_embeddings false --channels 256 --label_smoothing 0 --register "" --seed $seed
    done
    PYTHONPATH=src python -m bench.report.comparison --runs <run id>,<run id>

False alarms: a coin for each test row decides which of the two models gets which of its two answers (intent,
confidence, energy), so that neither can be better; the verdicts "better" and "worse" are false.

Detection: some of the second run's wrong answers are corrected at random (or right ones broken), so many that it is
right on exactly so many points more rows (or fewer) than the first. Where models shall disagree more, each is first
broken on other rows. These two stand for the world: test rows are drawn from them with replacement, as many as there
were, and compared. A corrected answer is as confident as the model's right ones are; a broken one names what one of the
two models took such an intent for, as confidently as wrong ones are.

All rows of the test part are used, in-scope and out-of-scope, whatever the models have seen.
"""

import argparse
import dataclasses
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import benchmark
from intents.evaluation.comparison.paired import BETTER, DECISIVE, NO_DIFFERENCE, WORSE, Comparison, compare
from intents.evaluation.comparison.sides import Side
from intents.report import comparison
from intents.system.console import quieten
from intents.tracking import models, store
from intents.tracking.compare import load

SAID = ["pred_intent", "confidence", "energy"]
SCENES = ((2.0, 0.0), (-2.0, 0.0), (2.0, 0.08), (1.0, 0.0))
"""Points of accuracy, and the share of rows on which the models are made to disagree besides."""
Generator = np.random.Generator


def main() -> int:
    arguments = _arguments()
    quieten()
    reference, candidate = _sides(arguments.runs)
    began = time.monotonic()
    real = compare(reference, candidate)
    seconds = time.monotonic() - began
    print(comparison.verdict_line(real), flush=True)
    results: dict[str, Any] = {
        "rows": {
            "in-scope": real.rows,
            "out-of-scope": real.out_of_scope_rows,
            "intents": len(real.per_intent),
        },
        "the two runs": {name: [c.reference, c.candidate, c.low, c.high] for name, c in real.changes.items()},
        "rows right by one run only": [real.broken_rows, real.fixed_rows],
        "seconds a comparison": round(seconds, 2),
    }
    print(results, flush=True)
    results["false alarms"] = _false_alarms(reference, candidate, times=arguments.swaps)
    print(results["false alarms"], flush=True)
    for points, churn in SCENES:
        key = f"{points:+g} points" + (f", {churn:.0%} more disagreement" if churn else "")
        world = _world(reference, candidate, points=points, churn=churn, generator=np.random.default_rng(2))
        results[key] = _detections(*world, points=points, times=arguments.resamplings)
        print(key, results[key], flush=True)
    benchmark.write("comparison", {"swaps": arguments.swaps, "resamplings": arguments.resamplings, **results})
    return 0


def _arguments() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", required=True, help="ids of two runs that differ by their seed")
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--resamplings", type=int, default=100)
    return parser.parse_args()


def _sides(runs: str) -> list[Side]:
    store.connect()
    found = []
    for word in runs.split(","):
        with tempfile.TemporaryDirectory() as folder:
            loaded = load(models.find(word, registered=""), Path(folder))
        assert loaded.predictions is not None
        found.append(Side(loaded.name, loaded.model.intents, loaded.predictions))
    return found


def _false_alarms(reference: Side, candidate: Side, *, times: int) -> dict[str, float]:
    """The shares of swaps that each rule calls a difference."""
    counts: Counter[str] = Counter()
    for number in range(times):
        sides = _swapped(reference, candidate, np.random.default_rng([1, number]))
        counts.update(_calls(compare(*sides, seed=number)))
    return {"swaps": times} | {rule: count / times for rule, count in sorted(counts.items())}


def _calls(found: Comparison) -> list[str]:
    """What calls this a difference: the verdict, its two halves, each metric's interval, any intent."""
    called = {
        "verdict": found.verdict in (BETTER, WORSE),
        "verdict: better": found.verdict == BETTER,
        "verdict: worse": found.verdict == WORSE,
        "McNemar alone": found.mcnemar_p <= found.alpha,
        "any intent (Holm)": len(found.changed_intents) > 0,
    }
    called |= {f"interval of {name}": c.verdict != NO_DIFFERENCE for name, c in found.changes.items()}
    return [rule for rule, is_called in called.items() if is_called]


def _swapped(reference: Side, candidate: Side, generator: Generator) -> tuple[Side, Side]:
    is_swapped = generator.random(len(reference.predictions)) < 0.5
    before, after = reference.predictions.copy(), candidate.predictions.copy()
    before.loc[is_swapped, SAID] = candidate.predictions.loc[is_swapped, SAID]
    after.loc[is_swapped, SAID] = reference.predictions.loc[is_swapped, SAID]
    return _with(reference, before), _with(candidate, after)


def _detections(reference: Side, candidate: Side, *, points: float, times: int) -> dict[str, float]:
    """How many samples of test rows give the right verdict."""
    truth = compare(reference, candidate)
    expected = BETTER if points > 0 else WORSE
    verdicts: Counter[str] = Counter()
    for number in range(times):
        rows = _drawn(reference.predictions, np.random.default_rng([3, number]))
        drawn = [_with(s, s.predictions.iloc[rows].reset_index(drop=True)) for s in (reference, candidate)]
        verdicts[compare(*drawn, seed=number).verdict] += 1
    return {
        "resamplings": times,
        "found": verdicts[expected],
        "the wrong way round": verdicts[WORSE if expected == BETTER else BETTER],
        "true change of accuracy": truth.changes["accuracy"].change,
        "true change of weighted F1": truth.changes[DECISIVE].change,
        "rows right by one model only": truth.broken_rows + truth.fixed_rows,
    }


def _world(
    reference: Side, candidate: Side, *, points: float, churn: float, generator: Generator
) -> tuple[Side, Side]:
    """Both sides, the candidate right on exactly so many points more in-scope rows than the reference."""
    mistaken = _mistaker(reference, candidate, generator)
    right = [_is_right(side) for side in (reference, candidate)]
    both_right = generator.permutation(np.flatnonzero(right[0] & right[1]))
    each = round(churn / 2 * int((reference.predictions["true_intent"] != "").sum()))
    reference = _turned(reference, both_right[:each], mistaken, generator)
    candidate = _turned(candidate, both_right[each : 2 * each], mistaken, generator)
    is_in_scope = (reference.predictions["true_intent"] != "").to_numpy()
    lead = int(_is_right(candidate).sum() - _is_right(reference).sum())
    wanted = round(points / 100 * is_in_scope.sum()) - lead
    turnable = np.flatnonzero(is_in_scope & (_is_right(candidate) == (wanted < 0)))
    turned = generator.choice(turnable, abs(wanted), replace=False)
    return reference, _turned(candidate, turned, str if wanted > 0 else mistaken, generator)


def _is_right(side: Side) -> Any:
    true = side.predictions["true_intent"]
    return ((true != "") & (side.predictions["pred_intent"] == true)).to_numpy()


def _turned(side: Side, rows: Any, says: Callable[[str], str], generator: Generator) -> Side:
    """The side with these rows, all right or all wrong, answered as `says` has it, as confidently as such are."""
    table, is_right = side.predictions.copy(), _is_right(side)
    if len(rows):
        is_like = (table["true_intent"] != "").to_numpy() & (is_right != is_right[rows[0]])
        table.loc[rows, "confidence"] = generator.choice(table["confidence"].to_numpy()[is_like], len(rows))
        table.loc[rows, "pred_intent"] = [says(intent) for intent in table["true_intent"].iloc[rows]]
    return _with(side, table)


def _mistaker(reference: Side, candidate: Side, generator: Generator) -> Callable[[str], str]:
    """Draws what a model takes an intent for: as one of the two did, or any other intent where neither was wrong."""
    both = pd.concat([reference.predictions, candidate.predictions])
    wrong = both[(both["true_intent"] != "") & (both["true_intent"] != both["pred_intent"])]
    taken_for = wrong.groupby("true_intent")["pred_intent"].agg(list).to_dict()

    def mistaken(intent: str) -> str:
        others = [other for other in candidate.intents if other != intent]
        return str(generator.choice(taken_for.get(intent, others)))

    return mistaken


def _drawn(predictions: pd.DataFrame, generator: Generator) -> Any:
    """Places of rows drawn with replacement: as many in-scope and as many out-of-scope ones as there are."""
    is_in_scope = (predictions["true_intent"] != "").to_numpy()
    groups = [np.flatnonzero(is_in_scope), np.flatnonzero(~is_in_scope)]
    return np.concatenate([generator.choice(group, len(group)) for group in groups if len(group)])


def _with(side: Side, predictions: pd.DataFrame) -> Side:
    return dataclasses.replace(side, predictions=predictions)


if __name__ == "__main__":
    raise SystemExit(main())
