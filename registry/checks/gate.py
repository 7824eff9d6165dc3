"""The gate: a candidate may not be worse than what is published, nor change silently what its readers rely on.

It compares both on the candidate's test rows, without those that either has seen, and judges as the end of a training
does (intents.evaluation.comparison.judgement). It refuses with the reasons, each with the word by which it can be
accepted; what is worse can only be forced. What it found goes to the candidate's run and into the record.
"""

import contextlib
import functools
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intents.errors import ArtifactError, PromotionError
from intents.parameters.promote import PromoteConfig
from registry import record
from registry.record import Identity
from registry.target import Target
from registry.transaction import Candidate, Check

if TYPE_CHECKING:  # what imports torch or pandas is imported late
    from intents.evaluation.comparison.judgement import Described, Judgement
    from intents.evaluation.comparison.paired import Comparison

FILES = "gate"
"""Where in the candidate's run the comparison is put."""
PASSED, REFUSED, FORCED, ACCEPTED, NOT_COMPARED = "passed", "refused", "forced", "accepted", "not compared"


def gate(target: Target, candidate: Candidate, *, config: PromoteConfig, log: bool = True) -> Check:
    """A check that compares the candidate with what is live in `target`; with `log` its run shows what was found."""
    return lambda directory: _judged(directory, candidate, live=_live(target), config=config, log=log)


def _judged(
    directory: Path, candidate: Candidate, *, live: Path | None, config: PromoteConfig, log: bool
) -> Mapping[str, Any]:
    """What was found. Raises PromotionError where it refuses."""
    if live is None:
        return {"gate": NOT_COMPARED, "why": "nothing is published", **_first(candidate)}
    judgement, found = _weighed(directory, candidate.identity, live=live, config=config)
    standing = judgement.against(config.accepted)
    state = _state(judgement, config)
    evidence = {
        "gate": state,
        "against": live.name,
        "verdict": judgement.line,
        "reasons": [reason.text for reason in judgement.reasons],
        "notes": [] if judgement.is_measured else [judgement.line],
        "accepted": sorted({reason.code for reason in judgement.reasons} & set(config.accepted)),
        "forced": config.force if state == FORCED else None,
    }
    if log:
        _log(candidate, evidence, found=found)
    if state == REFUSED:
        reasons = [reason.text for reason in standing]
        raise PromotionError(_refusal(judgement, found, config=config), reasons=reasons)
    return evidence


def _state(judgement: "Judgement", config: PromoteConfig) -> str:
    if judgement.against(config.accepted):
        return FORCED if config.force else REFUSED
    if judgement.reasons:
        return ACCEPTED
    return PASSED if judgement.is_measured else NOT_COMPARED


def _refusal(judgement: "Judgement", found: "Comparison | None", *, config: PromoteConfig) -> str:
    """The comparison, each reason that nobody accepted, and what can be done."""
    from intents.evaluation.comparison.paired import WORSE
    from intents.report import comparison

    standing = judgement.against(config.accepted)
    compared = (
        ["the gate compared it with what is published:", *comparison.account_lines(found)] if found else []
    )
    lines = [*compared, judgement.line, "refused because", *(f"  - {reason.text}" for reason in standing)]
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
    directory: Path, identity: Identity, *, live: Path, config: PromoteConfig
) -> "tuple[Judgement, Comparison | None]":
    """The judgement, and the comparison where what is live is whole and can be asked."""
    from intents.evaluation.comparison.judgement import judge, unmeasured
    from intents.tracking import compare, replacement
    from registry import source

    run = replacement.run_of(identity.run_id)
    after = replacement.describe(str(identity), directory, registered=identity.name, run=run)
    before = _published(live)
    promotion = record.checked(live)
    if promotion is None:
        return unmeasured(before, after, why="what is published is damaged, or not by this command"), None
    with tempfile.TemporaryDirectory() as name:
        fetched = functools.partial(compare.loaded, folder=Path(name), bring=source.bring)
        ours = fetched(after.name, directory, run_id=identity.run_id)
        its = promotion.identity
        try:
            theirs = fetched(before.name, live, run_id=its.run_id)
        except ArtifactError as error:
            return judge(before, after, found=str(error), pooled=None, config=config), None
        return replacement.weigh(theirs, ours, described=(before, after), config=config)


def _published(live: Path) -> "Described":
    """What is known of what is live, however little that is."""
    from intents.evaluation.comparison.judgement import Described
    from intents.tracking import replacement

    identity = None
    with contextlib.suppress(PromotionError):
        identity = record.read(live).identity
    name, registered = f"published {live.name}", identity.name if identity else ""
    run = replacement.run_of(identity.run_id) if identity else None
    try:
        return replacement.describe(name, live, registered=registered, run=run)
    except (ArtifactError, KeyError, TypeError):
        return Described(name=name, intents=(), registered=registered)


def _first(candidate: Candidate) -> dict[str, Any]:
    """What a first publication has beside it: it may be worse than a linear model, which is said, not refused."""
    from intents.evaluation.comparison.judgement import beside_baseline
    from intents.tracking import replacement

    run = replacement.run_of(candidate.identity.run_id)
    notes = [reason.text for reason in beside_baseline(run.data.metrics if run else {}, {})]
    return {"reasons": [], "notes": notes}


def _log(candidate: Candidate, evidence: Mapping[str, Any], *, found: "Comparison | None") -> None:
    """Puts what was found where the candidate's run shows it."""
    from mlflow.tracking import MlflowClient

    from intents.report import comparison, comparison_page
    from intents.tracking import compare

    client, run_id = MlflowClient(), candidate.identity.run_id
    client.set_tag(run_id, "gate", evidence["gate"])
    client.log_dict(run_id, dict(evidence), f"{FILES}/verdict.json")
    if found:
        text = json.dumps(comparison.as_json(found), ensure_ascii=False, indent=2, allow_nan=False)
        client.log_text(run_id, comparison_page.page([found]), f"{FILES}/{compare.PAGE}")
        client.log_text(run_id, f"{text}\n", f"{FILES}/{compare.JSON}")
