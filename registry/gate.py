"""The gate: a candidate may not be worse than what is published, by more than is tolerated, nor than a linear model.

It compares both on the candidate's test rows, without those that either has seen (intents.comparison), and refuses
with the reasons, unless it is forced. What it found goes to the candidate's run and into the record.
"""

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intents.entry_points import PromoteConfig
from intents.errors import IntentsError, PromotionError
from registry import record
from registry.publishing import Candidate, Check
from registry.store import Store

FILES = "gate"
"""Where in the candidate's run the comparison is put."""
PASSED, REFUSED, FORCED, NOT_COMPARED = "passed", "refused", "forced", "not compared"
POINTS = 100
NAMED_INTENTS, EXAMPLES = 5, 5


def gate(target: Store, candidate: Candidate, config: PromoteConfig, *, log: bool = True) -> Check:
    """A check that compares the candidate with what is live in `target`; it writes to the run only if it may log."""
    return lambda directory: _judged(directory, target, candidate, config, log=log)


def _judged(
    directory: Path, target: Store, candidate: Candidate, config: PromoteConfig, *, log: bool
) -> Mapping[str, Any]:
    """What was found. Raises PromotionError where it refuses."""
    live = _comparable(target)
    if live is None:
        return {"gate": NOT_COMPARED, "why": "nothing comparable is published", **_beside(candidate, [])}
    try:
        found = _compared(directory, live, candidate)
    except IntentsError as error:
        reasons, words, files = [f"it can't be compared: {error}"], "", {}
    else:
        from intents.comparison import table

        reasons = [*failures(found, config), *_baseline_failures(_metrics(candidate))]
        words, files = table.text(found), _files(found)
    state = PASSED if not reasons else FORCED if config.force else REFUSED
    evidence = {"gate": state, "against": live.name, "reasons": reasons, "forced": config.force or None}
    if log:
        _log(candidate, evidence, files)
    if state == REFUSED:
        listed = "\n".join(f"  - {reason}" for reason in reasons)
        raise PromotionError(
            f"the gate compared it with what is published:\n{words}\nrefused because\n{listed}\nWhat is published "
            'stays live. Train a better one, or publish it all the same with --force "<reason>".'
        )
    return evidence


def failures(found: Any, config: PromoteConfig) -> list[str]:
    """Why a comparison does not pass, a line each."""
    f1 = found.changes["f1_weighted"]
    reasons = []
    if f1.low < config.min_f1_change:
        reasons.append(
            f"weighted F1 may have changed by {f1.low * POINTS:+.2f} points (lower bound), tolerated are "
            f"{config.min_f1_change * POINTS:+.2f}"
        )
    auroc = found.changes.get("auroc")
    if auroc is not None and auroc.low < config.min_auroc_change:
        reasons.append(
            f"AUROC may have changed by {auroc.low:+.4f} (lower bound), tolerated are {config.min_auroc_change:+.4f}"
        )
    ece = found.changes["ece"]
    if ece.change > config.max_ece_change:
        reasons.append(
            f"the calibration error has changed by {ece.change:+.4f}, tolerated are {config.max_ece_change:+.4f}"
        )
    ratio = found.latency_ratio
    if ratio is not None and ratio > config.max_latency_ratio:
        reasons.append(
            f"an utterance takes {ratio:.2f} times as long, tolerated are {config.max_latency_ratio:.2f}"
        )
    return reasons + _intent_failures(found)


def _intent_failures(found: Any) -> list[str]:
    lost = found.changed_intents
    lost = lost[lost[["f1_change", "recall_change"]].min(axis=1) < 0]
    if lost.empty:
        return []
    named = ", ".join(
        f"{intent} (F1 {row['baseline_f1']:.2f} -> {row['candidate_f1']:.2f})"
        for intent, row in lost.head(NAMED_INTENTS).iterrows()
    )
    return [f"{len(lost)} intent(s) got worse by more than chance: {named}"]


def _baseline_failures(metrics: Mapping[str, float]) -> list[str]:
    if "baseline_f1_weighted" not in metrics:
        return []
    ours, theirs = metrics["test_f1_weighted"], metrics["baseline_f1_weighted"]
    if ours > theirs:
        return []
    return [f"weighted F1 {ours:.4f} does not beat TF-IDF and logistic regression ({theirs:.4f})"]


def _beside(candidate: Candidate, reasons: list[str]) -> dict[str, Any]:
    """What a first publication has beside it: it may be worse than a linear model, which is said, not refused."""
    return {"reasons": reasons, "notes": _baseline_failures(_metrics(candidate))}


def _comparable(target: Store) -> Path | None:
    """What is live, if this project published it and it is whole."""
    live = target.live()
    if live is None:
        return None
    with contextlib.suppress(PromotionError, OSError):
        record.check(live)
        return live
    return None


def _compared(directory: Path, live: Path, candidate: Candidate) -> Any:
    from intents import artifact
    from intents.comparison import named, paired
    from intents.comparison.named import Loaded, Named

    identity = candidate.identity
    with tempfile.TemporaryDirectory() as folder:
        asked = Named(str(identity), identity.run_id, identity.model_id)
        rows = named.predictions(asked, Path(folder))
        ours = Loaded(asked.name, directory, artifact.load(directory), rows)
        theirs = Loaded(f"published {live.name}", live, artifact.load(live), None)
        return paired.compare(*named.sides([theirs, ours]))


def _metrics(candidate: Candidate) -> Mapping[str, float]:
    from mlflow.tracking import MlflowClient

    metrics: Mapping[str, float] = MlflowClient().get_run(candidate.identity.run_id).data.metrics
    return metrics


def _files(found: Any) -> dict[str, str]:
    from intents.comparison import command, page, table

    return {
        command.PAGE: page.page([found]),
        command.JSON: json.dumps(table.as_json(found), ensure_ascii=False, indent=2, allow_nan=False) + "\n",
    }


def _log(candidate: Candidate, evidence: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Puts what was found where the candidate's run shows it."""
    from mlflow.tracking import MlflowClient

    client, run_id = MlflowClient(), candidate.identity.run_id
    client.set_tag(run_id, "gate", evidence["gate"])
    client.log_dict(run_id, dict(evidence), f"{FILES}/verdict.json")
    for name, text in files.items():
        client.log_text(run_id, text, f"{FILES}/{name}")
