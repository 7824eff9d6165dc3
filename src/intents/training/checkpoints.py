"""Checkpoints: what a training that was cut off goes on from. One counts once it is marked, which is done last."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from intents.system.disk import replace, sync_all

MARK = "complete.json"
Reports = list[tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class Progress:
    """How far a training had come, beside what transformers' Trainer keeps in the checkpoint itself.

    `epochs` and `steps` are the metrics reported so far, each with its epoch or step; `selection` and `memory` are
    what `selection.Selection` and the objective remember.
    """

    epoch: int = 0
    epochs: Reports = field(default_factory=list)
    steps: Reports = field(default_factory=list)
    selection: dict[str, Any] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)


def mark(checkpoint: Path, progress: Progress) -> None:
    """Says that everything the checkpoint needs is in it, and on the disk, not only in memory."""
    sync_all((*checkpoint.iterdir(), checkpoint))
    replace(checkpoint / MARK, json.dumps(asdict(progress)))


def last_complete(checkpoints: Path) -> tuple[Path, Progress] | None:
    """The marked checkpoint that came furthest, whatever half-written ones lie beside it; None where there is none."""
    marked = [(file.parent, progress) for file in checkpoints.glob(f"*/{MARK}") if (progress := read(file))]
    return max(marked, key=lambda found: found[1].epoch, default=None)


def read(file: Path) -> Progress | None:
    """The progress that a mark holds; None where it is damaged, or gone by now."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for name in ("epochs", "steps"):
        saved[name] = [(number, metrics) for number, metrics in saved[name]]
    return Progress(**saved)
