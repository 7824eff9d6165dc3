"""What `python -m registry.promote` can be asked to do. Each command takes its configuration and says what it did.

Only publishing and its dry run need a registry and import MLflow; the others answer at once, without either.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from intents.entry_points import PromoteConfig
from intents.errors import PromotionError
from registry import checks, gate, publishing, record
from registry.outcome import Outcome
from registry.publishing import Candidate, Check
from registry.record import Identity, Promotion
from registry.store import Store


def publish(
    config: PromoteConfig,
    smoke: Callable[[], AbstractContextManager[Check]] = checks.smoke,
    gate: Callable[[Store, Candidate, PromoteConfig], Check] = gate.gate,
) -> Outcome:
    """Publishes the version that Production names, or the one that is asked for, which is marked first.

    `smoke` begins the check that loads the model and lets it predict, `gate` is the one that compares it with what is
    live.
    """
    from registry import source

    _connect()
    target = _store(config)
    with publishing.writing(target, wait=config.wait) as repaired:
        candidate = source.resolve(config.name, config.version)
        done = _without_publishing(target, candidate, is_asked_for=bool(config.version))
        if done is None:
            with smoke() as loads_and_predicts:
                promotion = publishing.publish(
                    target,
                    candidate,
                    checks={"smoke": loads_and_predicts, "gate": gate(target, candidate, config)},
                    before_commit=lambda: source.mark(candidate.identity) if config.version else None,
                )
            done = published(target, promotion)
        elif config.version:
            source.mark(candidate.identity)
            target.release()
    return Outcome(done.action, (*repaired, *done.lines), done.facts)


def dry_run(config: PromoteConfig) -> Outcome:
    """Says what `publish` would do, and does nothing: not even what a run that died has left is removed."""
    from registry import source

    _connect()
    target = _store(config)
    candidate = source.resolve(config.name, config.version)
    done = _without_publishing(target, candidate, is_asked_for=bool(config.version))
    if done is not None:
        return Outcome(f"dry run: {done.action}", done.lines, done.facts)
    live = target.live()
    line = (
        f"would publish {candidate.identity} ({candidate.size:,} bytes, run {candidate.identity.run_id}) to "
        f"{target.target}, where {_what_is_live(target)}; its files are verified only when they are published"
    )
    facts = {"version": candidate.identity.version, "live": live.name if live else None}
    return Outcome("dry run: publish", (line,), facts)


def roll_back(config: PromoteConfig) -> Outcome:
    """Makes the version before the live one live again, and holds it there."""
    target = _store(config)
    _require_store(target)
    with publishing.writing(target, wait=config.wait) as repaired:
        promotion, taken = publishing.roll_back(target)
        held = target.refused()
    line = f"rolled back to {_described(promotion)}, verified" + (
        f"; {taken} was taken away" if taken else ""
    )
    hold = (
        f"held: {held} and older ones come back only after --release, with --version, or once a newer version is "
        "marked Production"
    )
    facts = _facts(promotion) | {"taken_away": taken.version if taken else None}
    return Outcome("rolled back", (*repaired, line, *([hold] if held else [])), facts)


def release(config: PromoteConfig) -> Outcome:
    """Ends the hold that a rollback left."""
    target = _store(config)
    _require_store(target)
    with publishing.writing(target, wait=config.wait) as repaired:
        held = target.refused()
        target.release()
    if held is None:
        return Outcome("nothing to do", (*repaired, f"nothing to do: nothing is held at {target.target}"))
    line = f"released: the next promotion publishes what Production names, {held} too"
    return Outcome("released", (*repaired, line), {"released": held.version})


def verify(config: PromoteConfig) -> Outcome:
    """Reads every file of every kept version. Raises PromotionError where the live one is not as it was published."""
    target = _store(config)
    promotion = record.check(_require_live(target))
    damaged = {}
    for folder in target.versions():
        try:
            record.check(folder)
        except PromotionError as error:
            damaged[folder.name] = str(error)
    line = f"verified {_described(promotion)}: {len(promotion.files)} files are as they were published"
    others = f"{len(target.versions()) - 1} more kept, {len(damaged)} of them damaged"
    lines = (line, others, *(f"damaged: {text}" for text in damaged.values()))
    return Outcome("verified", lines, _facts(promotion) | {"damaged": damaged})


def status(config: PromoteConfig) -> Outcome:
    """What is live, since when, what is held, what is kept. Reads no weights: `verify` does."""
    target = _store(config)
    live = target.live()
    if live is None:
        what = (
            "nothing is published"
            if not target.target.exists()
            else "a directory that this command didn't publish"
        )
        return Outcome("status", (f"{target.target}: {what}",), {"live": None})
    promotion = record.read(live)
    held = target.refused()
    lines = [f"{_described(promotion)} is live in {target.target}, as {live.name}"]
    lines += [
        f"published {promotion.published_at}, run {promotion.identity.run_id}, number {promotion.sequence}"
    ]
    lines += [f"held: {held} and older ones don't come back before --release"] if held else []
    lines += [f"a rollback leads to {promotion.previous or 'nothing: it is the first'}"]
    lines += [f"{len(target.versions())} versions kept in {target.folder}"]
    facts = _facts(promotion) | {"previous": promotion.previous, "held": held.version if held else None}
    return Outcome("status", tuple(lines), facts | {"kept": [folder.name for folder in target.versions()]})


def history(config: PromoteConfig) -> Outcome:
    """Every change of what is live, the oldest first."""
    entries = _store(config).history()
    lines = [
        f"{entry.get('time')}  {entry.get('action'):<12} {entry.get('name')} version {entry.get('version')} "
        f"({entry.get('from') or 'nothing'} -> {entry.get('to')})"
        for entry in entries
    ]
    return Outcome(
        "history",
        tuple(lines) or (f"nothing was ever published to {config.directory}",),
        {"history": entries},
    )


ACTIONS: Mapping[str, Callable[[PromoteConfig], Outcome]] = {
    "publish": publish,
    "rollback": roll_back,
    "release": release,
    "verify": verify,
    "status": status,
    "history": history,
    "dry-run": dry_run,
}


def _without_publishing(target: Store, candidate: Candidate, *, is_asked_for: bool) -> Outcome | None:
    """What is said where there is nothing to publish: the version is live and intact, or a rollback's hold forbids it.

    None where the version must be published. Raises PromotionError where a hold keeps a damaged version live.
    """
    live = target.live()
    promotion = _checked(live) if live else None
    if promotion and promotion.identity == candidate.identity:
        line = f"nothing to do: {promotion.identity} is live in {target.target}, intact"
        return Outcome("nothing to do", (line,), _facts(promotion))
    refused = None if is_asked_for else target.refused()
    if refused is None or _is_newer(candidate.identity, refused):
        return None
    if promotion is None:
        raise PromotionError(
            f"{target.target} is damaged, and a rollback holds it: {candidate.identity} is not published unasked. "
            "Publish a version by its number: python -m registry.promote --version N"
        )
    line = (
        f"held: {promotion.identity} stays live in {target.target}, though Production names {candidate.identity}: "
        f"{refused} was rolled back. End that with --release, or mark a newer version"
    )
    return Outcome("held", (line,), _facts(promotion))


def _checked(live: Path) -> Promotion | None:
    try:
        return record.check(live)
    except (PromotionError, OSError):
        return None


def _is_newer(identity: Identity, refused: Identity) -> bool:
    """Versions of another model can't be compared: they aren't newer."""
    return identity.name == refused.name and int(identity.version) > int(refused.version)


def published(target: Store, promotion: Promotion) -> Outcome:
    """What is said of a publication that took place."""
    kept = f"the version before it is kept in {target.folder / promotion.previous}"
    lines = [
        f"published {promotion.identity} to {target.target} (run {promotion.identity.run_id}); "
        f"{kept if promotion.previous else 'it is the first'}"
    ]
    if promotion.evidence.get("smoke", {}).get("needs_import_intents"):
        lines.append(
            "it is an architecture of this project's own: whoever reads it must `import intents` first"
        )
    return Outcome("published", (*lines, *_of_gate(promotion)), _facts(promotion))


def _of_gate(promotion: Promotion) -> list[str]:
    """What the gate found that a person should know."""
    found = promotion.evidence.get("gate", {})
    lines = [f"note: {note}" for note in found.get("notes", [])]
    if found.get("accepted"):
        lines += [f"accepted ({', '.join(found['accepted'])}): {found['verdict']}"]
    if found.get("forced"):
        lines += [f"forced ({found['forced']}) though: {reason}" for reason in found["reasons"]]
    return lines


def _connect() -> None:
    from intents import stores
    from intents.quiet import quieten

    quieten()
    stores.connect()


def _store(config: PromoteConfig) -> Store:
    return Store(config.directory)


def _require_live(target: Store) -> Path:
    live = target.live()
    if live is None:
        raise PromotionError(
            f"{target.target}: nothing was published here. Publish: python -m registry.promote"
        )
    return live


def _require_store(target: Store) -> None:
    if not target.folder.is_dir():
        _require_live(target)


def _what_is_live(target: Store) -> str:
    live = target.live()
    promotion = _checked(live) if live else None
    if promotion:
        return f"{promotion.identity} is live"
    return "something damaged is live" if live else "nothing is published"


def _described(promotion: Promotion) -> str:
    return f"{promotion.identity} (published {promotion.published_at})"


def _facts(promotion: Promotion) -> dict[str, object]:
    return {
        **asdict(promotion.identity),
        "sequence": promotion.sequence,
        "published_at": promotion.published_at,
        "digest": promotion.digest,
    }
