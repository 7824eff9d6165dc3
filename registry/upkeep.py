"""What publishing leaves behind: removed after a crash, and when it is old."""

import contextlib
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from intents.errors import PromotionError
from intents.system.disk import sync
from registry import disk, record
from registry import target as targets
from registry.target import Target

KEPT_VERSIONS = 5
KEPT_FOR = timedelta(hours=24)
"""A reader that resolved the link has so long to load what it led to."""


def recover(target: Target, *, is_publishing: bool = False) -> list[str]:
    """Ends or undoes what a process that died had begun; says what that was. Changes nothing where none died.

    While a live process publishes, the staging is its own: all it has done so far is in there.
    """
    said = []
    for container in [] if is_publishing else target.named(targets.STAGING):
        undo(target, container)
        said.append(f"removed what an interrupted publication had left ({container.name})")
    for trash in target.named(targets.TRASH):
        shutil.rmtree(trash)
    for half_written in (target.link, *target.named(f"{target.hold_file.name}.")):
        half_written.unlink(missing_ok=True)
    live = target.live()
    if live and live.is_dir() and _last_told(target) != live.name:
        sync(target.target.parent)  # whoever died may not have come to it
        with contextlib.suppress(PromotionError):  # damaged: what is live can't be told, only replaced
            target.tell_history("recovered", record.read(live), before=_last_told(target), after=live)
            said.append(f"an interrupted command had made {live.name} live; the history now says so")
    return said


def prune(target: Target) -> list[Path]:
    """Removes versions that nobody needs: never the live one, the one before it, or one that a rollback took away;
    none that was live in the last 24 hours; and never so many that fewer than five are left."""
    versions = target.versions()
    live, refused = target.live(), target.refused()
    assert live is not None
    last_live = {entry["from"]: entry["time"] for entry in target.history() if entry.get("from")}
    oldest = (datetime.now(UTC) - KEPT_FOR).isoformat(timespec="seconds")
    spared = {live.name, versions[live].previous if live in versions else ""}
    old = [
        folder
        for folder, promotion in versions.items()
        if folder.name not in spared
        and promotion.identity != refused
        and max(promotion.published_at, last_live.get(folder.name, "")) < oldest
    ]
    removed = old[: max(0, len(versions) - KEPT_VERSIONS)]
    for folder in removed:
        disk.remove(folder, trash=folder.with_name(f"{targets.TRASH}{folder.name}"))
    return removed


def undo(target: Target, container: Path) -> None:
    """Removes the container, and the version that left it if that never went live; puts an adopted directory back."""
    of_version = container.name.removeprefix(targets.STAGING)
    adopted = adopted_place(target, container)
    target.link.unlink(missing_ok=True)
    if adopted.is_symlink():
        adopted.unlink()
    elif adopted.is_dir() and not os.path.lexists(target.target):
        os.rename(adopted, target.target)
    live = target.live()
    for folder in target.named(f"{of_version}_"):
        if folder != live:
            disk.remove(folder, trash=container / folder.name)
    shutil.rmtree(container)


def adopted_place(target: Target, container: Path) -> Path:
    """Where a directory goes that stood at the target."""
    return target.folder / f"{targets.ADOPTED}{container.name.removeprefix(targets.STAGING)}"


def _last_told(target: Target) -> str:
    history = target.history()
    return str(history[-1].get("to", "")) if history else ""
