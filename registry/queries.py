"""What is live, what was, and whether it is sound: questions that change nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from intents.errors import PromotionError
from intents.parameters.promote import PromoteConfig
from registry import record
from registry.outcome import Outcome
from registry.record import Promotion
from registry.target import Target


def verify(config: PromoteConfig) -> Outcome:
    """Reads every file of every kept version. Raises PromotionError where the live one is not as it was published."""
    target = Target(config.directory)
    promotion = record.check(_require_live(target))
    damaged = {}
    for folder in target.versions():
        try:
            record.check(folder)
        except PromotionError as error:
            damaged[folder.name] = str(error)
    line = f"verified {described(promotion)}: {len(promotion.files)} files are as they were published"
    others = f"{len(target.versions()) - 1} more kept, {len(damaged)} of them damaged"
    lines = (line, others, *(f"damaged: {text}" for text in damaged.values()))
    return Outcome("verified", lines, facts_of(promotion) | {"damaged": damaged})


def status(config: PromoteConfig) -> Outcome:
    """What is live, since when, what is held, what is kept. Reads no weights: `verify` does."""
    target = Target(config.directory)
    live = target.live()
    if live is None:
        foreign = "a directory that this command didn't publish"
        what = foreign if target.target.exists() else "nothing is published"
        return Outcome("status", (f"{target.target}: {what}",), {"live": None})
    promotion = record.read(live)
    held, kept = target.refused(), [folder.name for folder in target.versions()]
    identities = {promotion.identity for promotion in target.versions().values()}
    lines = (
        f"{promotion.identity} is live in {target.target}, as {live.name}",
        f"published {promotion.published_at}, run {promotion.identity.run_id}, number {promotion.sequence}",
        *([f"held: {held} and older ones don't come back before --release"] if held else []),
        f"a rollback leads to {promotion.previous or 'nothing: it is the first'}",
        f"versions kept in {target.folder}: {len(identities)}",
    )
    facts = facts_of(promotion) | {"previous": promotion.previous, "held": held.version if held else None}
    return Outcome("status", lines, facts | {"kept": kept})


def history(config: PromoteConfig) -> Outcome:
    """Every change of what is live and end of a hold, the oldest first."""
    entries = Target(config.directory).history()
    lines = tuple(line for entry in entries for line in _told(entry)) or (
        f"nothing was ever published to {config.directory}",
    )
    return Outcome("history", lines, {"history": entries})


def _told(entry: Mapping[str, Any]) -> Iterator[str]:
    before, after = entry.get("from") or "nothing", entry.get("to")
    way = f"{after} stays live" if before == after else f"{before} -> {after}"
    accepted = ", ".join(entry.get("accepted") or [])
    forced = " ".join(str(entry.get("forced") or "").split())
    yield (
        f"{entry.get('time')}  {entry.get('action'):<12} {entry.get('name')} version {entry.get('version')} ({way})"
        + (f"; accepted: {accepted}" if accepted else "")
        + (f"; published though the gate refused it, because: {forced}" if forced else "")
    )
    for reason in entry.get("reasons") or []:
        yield f"  - {' '.join(reason.split())}"


def _require_live(target: Target) -> Path:
    live = target.live()
    if live is None:
        raise PromotionError(
            f"{target.target}: nothing was published here. Publish: python -m registry.promote"
        )
    return live


def require_store(target: Target) -> None:
    if not target.folder.is_dir():
        _require_live(target)


def what_is_live(target: Target) -> str:
    live = target.live()
    promotion = record.checked(live) if live else None
    if promotion:
        return f"{promotion.identity} is live"
    return "something damaged is live" if live else "nothing is published"


def described(promotion: Promotion) -> str:
    return f"{promotion.identity} (published {promotion.published_at})"


def facts_of(promotion: Promotion) -> dict[str, object]:
    return {
        **asdict(promotion.identity),
        "sequence": promotion.sequence,
        "published_at": promotion.published_at,
        "digest": promotion.digest,
    }
