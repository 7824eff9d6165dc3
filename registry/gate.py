"""The gate: a candidate may not be worse than what is published, nor change silently what its readers rely on.

It compares both on the candidate's test rows, without those that either has seen, and judges as the end of a training
does (intents.evaluation.comparison.judgement). It refuses with the reasons, each with the word by which it can be
accepted; what is worse can only be forced. What it found goes to the candidate's run and into the record.
"""

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intents.errors import ArtifactError, PromotionError
from intents.parameters.promote import PromoteConfig
from registry import record
from registry.record import Promotion
from registry.target import Target
from registry.transaction import Candidate, Check

FILES = "gate"
"""Where in the candidate's run the comparison is put."""
PASSED, REFUSED, FORCED, ACCEPTED, NOT_COMPARED = "passed", "refused", "forced", "accepted", "not compared"


def gate(target: Target, candidate: Candidate, *, config: PromoteConfig, log: bool = True) -> Check:
    """A check that compares the candidate with what is live in `target`; with `log` its run shows what was found."""
    return lambda directory: _judged(directory, target, candidate=candidate, config=config, log=log)


def _judged(
    directory: Path, target: Target, *, candidate: Candidate, config: PromoteConfig, log: bool
) -> Mapping[str, Any]:
    """What was found. Raises PromotionError where it refuses."""
    live = _live(target)
    if live is None:
        return {"gate": NOT_COMPARED, "why": "nothing is published", **_first(candidate)}
    weighed = _weighed(directory, live, candidate=candidate, config=config)
    if weighed is None:
        why = "what is published can't be read as a model"
        return {"gate": NOT_COMPARED, "why": why, **_first(candidate)}
    judgement, found = weighed
    standing = judgement.against(config.accepted)
    evidence = {
        "gate": _state(judgement.reasons, standing, config=config),
        "against": live.name,
        "verdict": judgement.line,
        "reasons": [reason.text for reason in judgement.reasons],
        "accepted": sorted({reason.code for reason in judgement.reasons} & set(config.accepted)),
        "forced": config.force or None,
    }
    if log:
        _log(candidate, evidence, files=_files(found) if found else {})
    if evidence["gate"] == REFUSED:
        raise PromotionError(
            _refusal(judgement, standing, found=found, config=config),
            reasons=[reason.text for reason in standing],
        )
    return evidence


def _state(reasons: tuple[Any, ...], standing: tuple[Any, ...], *, config: PromoteConfig) -> str:
    if standing:
        return FORCED if config.force else REFUSED
    return ACCEPTED if reasons else PASSED


def _refusal(judgement: Any, standing: tuple[Any, ...], *, found: Any | None, config: PromoteConfig) -> str:
    """The comparison, each reason, and what can be done."""
    from intents.evaluation.comparison.judgement import WORSE
    from intents.report import comparison

    lines = ["the gate compared it with what is published:", comparison.text(found)] if found else []
    lines += [judgement.line, "refused because", *(f"  - {reason.text}" for reason in standing)]
    if any(reason.code == WORSE for reason in standing):
        advice = 'Train a better one, or publish it all the same with --force "<reason>".'
    else:
        codes = dict.fromkeys([*config.accepted, *judgement.accept])
        advice = f"If that is what you want, add --accept {','.join(codes)} (it is recorded)."
    lines += [f"What is published stays live. {advice}", judgement.hint]
    return "\n".join(filter(None, lines))


def _live(target: Target) -> Path | None:
    """The directory that readers read now, be it published by this command or not."""
    live = target.live()
    if live is None and target.target.is_dir() and any(target.target.iterdir()):
        return target.target
    return live


def _weighed(
    directory: Path, live: Path, *, candidate: Candidate, config: PromoteConfig
) -> tuple[Any, Any | None] | None:
    """The judgement, and the comparison where what is live is whole; None where it is no model at all."""
    from intents.evaluation.comparison.answering import Loaded
    from intents.evaluation.comparison.judgement import unmeasured
    from intents.models import directory as model_directory
    from intents.models.file_names import OUT_OF_FOLD
    from intents.tracking import compare, replacement
    from intents.tracking.models import Named

    identity = candidate.identity
    run = replacement.run_of(identity.run_id)
    after = replacement.describe(str(identity), directory, registered=identity.name, run=run)
    promotion = _checked(live)
    published = promotion.identity if promotion else None
    try:
        before = replacement.describe(
            f"published {live.name}",
            live,
            registered=published.name if published else "",
            run=replacement.run_of(published.run_id) if published else None,
        )
    except (ArtifactError, KeyError, TypeError, OSError):
        return None
    if published is None:
        return unmeasured(
            before, after, why="what is published is damaged, or nothing this command published"
        ), None
    with tempfile.TemporaryDirectory() as name:
        ours = compare.loaded(
            Named(after.name, identity.run_id, identity.model_id), directory, folder=Path(name)
        )
        more = compare.predictions(published.run_id, OUT_OF_FOLD, folder=Path(name))
        theirs = Loaded(before.name, live, model_directory.load(live), None, more)
        weighed = replacement.weigh(theirs, ours, described=(before, after), config=config)
    return weighed.judgement, weighed.comparison


def _checked(live: Path) -> Promotion | None:
    """The record of what is live, if this command published it and it is whole."""
    with contextlib.suppress(PromotionError, OSError):
        return record.check(live)
    return None


def _first(candidate: Candidate) -> dict[str, Any]:
    """What a first publication has beside it: it may be worse than a linear model, which is said, not refused."""
    from intents.evaluation.comparison.judgement import beside_baseline
    from intents.tracking import replacement

    run = replacement.run_of(candidate.identity.run_id)
    notes = [reason.text for reason in beside_baseline(run.data.metrics if run else {})]
    return {"reasons": [], "notes": notes}


def _files(found: Any) -> dict[str, str]:
    from intents.report import comparison, comparison_page
    from intents.tracking import compare

    return {
        compare.PAGE: comparison_page.page([found]),
        compare.JSON: json.dumps(comparison.as_json(found), ensure_ascii=False, indent=2, allow_nan=False)
        + "\n",
    }


def _log(candidate: Candidate, evidence: Mapping[str, Any], *, files: Mapping[str, str]) -> None:
    """Puts what was found where the candidate's run shows it."""
    from mlflow.tracking import MlflowClient

    client, run_id = MlflowClient(), candidate.identity.run_id
    client.set_tag(run_id, "gate", evidence["gate"])
    client.log_dict(run_id, dict(evidence), f"{FILES}/verdict.json")
    for name, text in files.items():
        client.log_text(run_id, text, f"{FILES}/{name}")
