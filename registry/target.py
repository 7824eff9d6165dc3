"""What is published: version folders side by side, the link to the live one, the history, and the hold.

assets/models/intent_predictor -> intent_predictor_backups/v7_20260801T120000Z_0123456789ab
assets/models/intent_predictor_backups/v7_…, v6_…     immutable, named by version, time and content
                                       adopted_…      a directory that stood at the target before the first link
                                       history.jsonl  one line a change of the link, or the end of a hold
                                       hold.json      after a rollback: what must not come back by itself
                                       .lock .publishing .staging-… .trash-…
"""

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from intents.errors import PromotionError
from intents.system.disk import replace, sync
from registry import disk, record
from registry.record import Identity, Promotion

STAGING, TRASH, ADOPTED = ".staging-", ".trash-", "adopted_"
TIME_FORMAT = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True)
class Target:
    """Everything about one target. Nothing is remembered: each question is answered from the disk."""

    target: Path

    @property
    def folder(self) -> Path:
        """Where the versions are kept, the live one among them."""
        return self.target.with_name(f"{self.target.name}_backups")

    @property
    def lock(self) -> Path:
        return self.folder / ".lock"

    @property
    def queue(self) -> Path:
        """The lock of whoever publishes, from before its download; the other one it takes only to commit."""
        return self.folder / ".publishing"

    @property
    def link(self) -> Path:
        """The next link, before it is renamed to the target."""
        return self.target.with_name(f".{self.target.name}.link")

    @property
    def history_file(self) -> Path:
        return self.folder / "history.jsonl"

    @property
    def hold_file(self) -> Path:
        return self.folder / "hold.json"

    def live(self) -> Path | None:
        """The folder that the target's link names, be it there or not; None where nothing was published.

        Raises PromotionError where something stands at the target that this command didn't put there.
        """
        if not self.target.is_symlink():
            self._refuse_foreign()
            return None
        named = Path(os.readlink(self.target))
        if named.parent != Path(self.folder.name) or named.name in {"", ".."}:
            raise PromotionError(
                f"{self.target} is a link to {named}; expected one into {self.folder.name}/, a directory or nothing. "
                "Remove the link, or name another --target."
            )
        return self.folder / named.name

    def _refuse_foreign(self) -> None:
        if not os.path.lexists(self.target):
            return
        if disk.is_mount_point(self.target):
            raise PromotionError(
                f"{self.target} is a mount point, which no link can take the place of. Mount the folder above it, or "
                "name a --target inside it."
            )
        if not self.target.is_dir():
            raise PromotionError(
                f"{self.target} is a file; expected a directory, a link, or nothing. Move it away."
            )
        names = sorted(path.name for path in self.target.iterdir())
        if names and "config.json" not in names:
            raise PromotionError(
                f"{self.target} is a directory that holds no model, but {names[:5]}; expected a model directory, "
                "a link, or nothing. Move it away, or name another --target."
            )

    def named(self, beginning: str) -> list[Path]:
        """What is kept under names that begin so. (`Path.glob` takes a folder that can't be read for an empty one.)"""
        names = sorted(os.listdir(self.folder)) if self.folder.is_dir() else []
        return [self.folder / name for name in names if name.startswith(beginning)]

    def versions(self) -> dict[Path, Promotion]:
        """The kept folders with a readable record, the oldest publication first."""
        found = {}
        for folder in self.named("v"):
            with contextlib.suppress(PromotionError):
                found[folder] = record.read(folder)
        return dict(sorted(found.items(), key=lambda item: item[1].sequence))

    def previous(self, live: Path) -> Path:
        """The folder that was live before this one. Raises PromotionError where none is kept."""
        versions = self.versions()
        if live in versions:
            name = versions[live].previous
            if name.startswith(ADOPTED):
                raise PromotionError(
                    f"before {live.name} there was {self.folder / name}, a directory that no check ever passed. "
                    "Bring it back by hand, or publish another version: python -m registry.promote --version N"
                )
        else:  # damaged: nobody knows what it replaced
            refused = self.refused()
            good = [folder.name for folder, promotion in versions.items() if promotion.identity != refused]
            name = good[-1] if good else ""
        if not name or not (self.folder / name).is_dir():
            raise PromotionError(
                f"{self.folder} keeps no version from before {live.name}: nothing to roll back to. "
                "Publish another version: python -m registry.promote --version N"
            )
        return self.folder / name

    def next_sequence(self) -> int:
        """One more than any publication that left a trace."""
        recorded = [promotion.sequence for promotion in self.versions().values()]
        return 1 + max([0, *recorded, *(entry.get("sequence") or 0 for entry in self.history())])

    def history(self) -> list[dict[str, Any]]:
        """Every change of the link and end of a hold, the oldest first; lines cut short by a crash are passed over."""
        if not self.history_file.is_file():
            return []
        entries = []
        for line in self.history_file.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
        return [entry for entry in entries if isinstance(entry, dict)]

    def tell_history(self, action: str, promotion: Promotion, *, before: str, after: Path) -> None:
        """Adds a line: the link led to the folder `before`, and now leads to `after`; the record says of which version.

        What the gate found is told when a version goes live, not again when a rollback brings it back, ungated.
        """
        is_told = any(entry.get("sequence") == promotion.sequence for entry in self.history())
        found = {} if is_told else promotion.evidence.get("gate", {})
        entry = {
            "time": now(),
            "action": action,
            "from": before,
            "to": after.name,
            "sequence": promotion.sequence,
            "name": promotion.identity.name,
            "version": promotion.identity.version,
            **{name: found.get(name) for name in ("gate", "accepted", "forced", "reasons")},
        }
        is_new = not self.history_file.exists()
        with self.history_file.open("ab+") as file:
            # a line that a crash cut short is ended, not continued
            is_cut = file.tell() > 0 and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
            file.write(b"\n" * is_cut + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(self.folder)

    def taken_away(self) -> set[Identity]:
        """The kept versions that were published after the live one: while a hold is in force, what was taken away."""
        versions, live = self.versions(), self.live()
        since = versions[live].sequence if live in versions else 0
        return {promotion.identity for promotion in versions.values() if promotion.sequence > since}

    def refused(self) -> Identity | None:
        """The newest version that a rollback took away, as long as what it brought back is live."""
        return self._holds().get(self._live_name())

    def hold(self, kept: Path, refused: Identity) -> None:
        """From the moment that `kept` is live, `refused` and what is older won't be published unasked.

        A hold names the folder whose being live puts it in force, so it can be written before the link changes:
        a crash in between leaves it without effect. The one in force until then is kept beside it.
        """
        holds = {name: held for name, held in self._holds().items() if name == self._live_name()}
        holds[kept.name] = refused
        replace(self.hold_file, json.dumps({name: vars(held) for name, held in holds.items()}) + "\n")

    def release(self) -> None:
        """Ends a hold, if there is one."""
        if self.hold_file.exists():
            self.hold_file.unlink()
            sync(self.folder)

    def _holds(self) -> dict[str, Identity]:
        """Refused versions, each by the name of the folder whose being live puts the hold in force."""
        try:
            content = json.loads(self.hold_file.read_text(encoding="utf-8"))
            return {name: Identity(**held) for name, held in content.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise PromotionError(
                f"{self.hold_file}: can't be read ({error}). Remove it; then mark the version you want: "
                "python -m registry.promote --version N"
            ) from error

    def _live_name(self) -> str:
        live = self.live()
        return live.name if live else ""


def now() -> str:
    """The time, as it stands in records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def stamp() -> str:
    """The time, as it stands in names."""
    return datetime.now(UTC).strftime(TIME_FORMAT)
