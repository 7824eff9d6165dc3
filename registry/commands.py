"""What `python -m registry.promote` can be asked to do. Each command takes its configuration and says what it did.

Only publishing and its dry run need a registry and import MLflow; the others answer at once, without either.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from intents.errors import PromotionError
from intents.parameters.promote import PromoteConfig
from intents.system import signals
from registry import record, transaction
from registry.checks import gate, smoke
from registry.outcome import Outcome
from registry.queries import (
    described,
    facts_of,
    history,
    require_store,
    status,
    verify,
    what_is_live,
)
from registry.record import Identity, Promotion
from registry.target import Target
from registry.transaction import Candidate, Check


def publish(
    config: PromoteConfig,
    smoke: Callable[[], AbstractContextManager[Check]] = smoke.smoke,
    *,
    gate: Callable[..., Check] = gate.gate,
) -> Outcome:
    """Publishes the version that Production names, or the one that is asked for, which is marked first.

    `smoke` begins the check that loads the model and lets it predict, `gate` is the one that compares it with what is
    live.
    """
    from registry import source

    target = Target(config.directory)
    with _connected(), transaction.queueing(target, wait=config.wait) as repaired:
        before = target.live()
        candidate = source.resolve(config.name, config.version)
        done = _without_publishing(target, candidate, is_asked_for=bool(config.version))
        if done is None:
            notes = _made_anew(target, candidate)
            with smoke() as loads_and_predicts:
                promotion = transaction.publish(
                    target,
                    candidate,
                    checks={"smoke": loads_and_predicts, "gate": gate(target, candidate, config=config)},
                    before_commit=lambda: source.confirm(candidate.identity, mark=bool(config.version)),
                )
            said = published(target, promotion)
            done = Outcome(said.action, (*said.lines, *notes), said.facts)
        elif config.version:
            with transaction.unchanged(target, before):
                source.confirm(candidate.identity, mark=True)
                target.release()
    return Outcome(done.action, (*repaired, *done.lines), done.facts)


def dry_run(
    config: PromoteConfig,
    smoke: Callable[[], AbstractContextManager[Check]] = smoke.smoke,
    *,
    gate: Callable[..., Check] = gate.gate,
) -> Outcome:
    """Says what `publish` would do: fetches the version elsewhere, and has it checked and compared.

    Changes nothing: not even what a run that died has left is removed. Raises PromotionError where `publish` would.
    """
    from registry import source

    target = Target(config.directory)
    with signals.stop_the_run(), _connected():
        candidate = source.resolve(config.name, config.version)
        done = _without_publishing(target, candidate, is_asked_for=bool(config.version))
        if done is not None:
            return Outcome(f"dry run: {done.action}", done.lines, done.facts)
        transaction.require_space(target, candidate)
        with smoke() as loads_and_predicts, tempfile.TemporaryDirectory() as folder:
            found = transaction.judge(
                candidate.fetch(Path(folder)),
                candidate,
                checks={
                    "smoke": loads_and_predicts,
                    "gate": gate(target, candidate, config=config, log=False),
                },
            )
    live, verdict = target.live(), found["gate"].get("gate")
    line = (
        f"would publish {candidate.identity} ({candidate.size:,} bytes, run {candidate.identity.run_id}) to "
        f"{target.target}, where {what_is_live(target)}; fetched, loaded and judged: the gate says {verdict!r}"
    )
    facts = {"version": candidate.identity.version, "live": live.name if live else None, "gate": verdict}
    lines = (line, *_of_checks(found), *_made_anew(target, candidate))
    return Outcome("dry run: publish", lines, facts)


def roll_back(config: PromoteConfig) -> Outcome:
    """Makes the version before the live one live again, and holds it there."""
    target = Target(config.directory)
    require_store(target)
    with transaction.writing(target, wait=config.wait) as repaired:
        promotion, taken = transaction.roll_back(target)
        held = target.refused()
    line = f"rolled back to {described(promotion)}, verified" + (f"; {taken} was taken away" if taken else "")
    hold = (
        f"held: {held} and older ones come back only after --release, with --version, or once a newer version is "
        "marked Production"
    )
    facts = facts_of(promotion) | {"taken_away": taken.version if taken else None}
    return Outcome("rolled back", (*repaired, line, *([hold] if held else [])), facts)


def release(config: PromoteConfig) -> Outcome:
    """Ends the hold that a rollback left."""
    target = Target(config.directory)
    require_store(target)
    with transaction.writing(target, wait=config.wait) as repaired:
        held, live = target.refused(), target.live()
        target.release()
        kept = [promotion for promotion in target.versions().values() if promotion.identity == held]
        if live and kept:
            target.tell_history("released", kept[-1], before=live.name, after=live)
    if held is None:
        return Outcome("nothing to do", (*repaired, f"nothing to do: nothing is held at {target.target}"))
    line = (
        f"released: {held} and older ones are held back no longer; whatever Production names is checked and compared "
        "before it is published"
    )
    return Outcome("released", (*repaired, line), {"released": held.version})


ACTIONS: Mapping[str, Callable[[PromoteConfig], Outcome]] = {
    "publish": publish,
    "rollback": roll_back,
    "release": release,
    "verify": verify,
    "status": status,
    "history": history,
    "dry-run": dry_run,
}


def _without_publishing(target: Target, candidate: Candidate, *, is_asked_for: bool) -> Outcome | None:
    """What is said where there is nothing to publish: the version is live and intact, or a rollback's hold forbids it.

    None where the version must be published. Raises PromotionError where a hold keeps a damaged version live.
    """
    live = target.live()
    promotion = record.checked(live) if live else None
    if promotion and promotion.identity == candidate.identity:
        line = f"nothing to do: {promotion.identity} is live in {target.target}, intact"
        return Outcome("nothing to do", (line,), facts_of(promotion))
    refused = None if is_asked_for else target.refused()
    if refused is None or _is_newer(candidate, refused, target=target):
        return None
    if promotion is None:
        raise PromotionError(
            f"{target.target} is damaged, and a rollback holds it: {candidate.identity} is not published unasked. "
            "Publish a version by its number: python -m registry.promote --version N"
        )
    line = (
        f"held: {_with_run(promotion.identity)} stays live in {target.target}, though Production names "
        f"{_with_run(candidate.identity)}: {_with_run(refused)} was rolled back. End that with --release, or mark a "
        "newer version"
    )
    return Outcome("held", (line,), facts_of(promotion))


def _is_newer(candidate: Candidate, refused: Identity, *, target: Target) -> bool:
    """By its number, or because it was registered after the refused one had been published.

    A registered model that is made anew counts from 1 again. What was itself taken away is not newer, nor are versions
    of another model: they can't be compared.
    """
    identity = candidate.identity
    if identity.name != refused.name or identity == refused or identity in target.taken_away():
        return False
    if int(identity.version) > int(refused.version):
        return True
    kept = target.versions().values()
    published = [promotion.published_at for promotion in kept if promotion.identity == refused]
    return bool(published) and candidate.registered_at >= max(published)


def _made_anew(target: Target, candidate: Candidate) -> list[str]:
    """What is said where another version was published under this name and number before."""
    identity = candidate.identity
    others = [
        known.identity.run_id
        for known in target.versions().values()
        if str(known.identity) == str(identity) and known.identity != identity
    ]
    return [
        f"note: {identity} is of run {identity.run_id}; what was published under that number before is of run "
        f"{run_id}: the registered model was made anew"
        for run_id in others[-1:]
    ]


def published(target: Target, promotion: Promotion) -> Outcome:
    """What is said of a publication that took place."""
    kept = f"the version before it is kept in {target.folder / promotion.previous}"
    lines = [
        f"published {promotion.identity} to {target.target} (run {promotion.identity.run_id}); "
        f"{kept if promotion.previous else 'it is the first'}"
    ]
    return Outcome("published", (*lines, *_of_checks(promotion.evidence)), facts_of(promotion))


def _of_checks(evidence: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the checks found that a person should know."""
    found = evidence.get("gate", {})
    lines = (
        ["it is an architecture of this project's own: whoever reads it must `import intents` first"]
        if evidence.get("smoke", {}).get("needs_import_intents")
        else []
    )
    lines += [f"note: {note}" for note in found.get("notes", [])]
    if found.get("accepted"):
        lines += [f"accepted ({', '.join(found['accepted'])}): {found['verdict']}"]
    if found.get("forced"):
        lines += [f"forced ({found['forced']}) though: {reason}" for reason in found["reasons"]]
    return lines


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    """The registry answers, and will be given up within a minute where it does so no more."""
    from intents.system.console import quieten
    from intents.tracking import store

    quieten()
    store.connect()
    with store.impatient():
        yield


def _with_run(identity: Identity) -> str:
    """Two versions of one number, the model having been made anew, are told apart by their runs."""
    return f"{identity} (run {identity.run_id})"
