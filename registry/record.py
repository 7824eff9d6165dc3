"""`promotion.json`: which version a folder holds, where it came from, and what every file of it must be."""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from intents.errors import PromotionError
from intents.models.file_names import PROMOTION
from intents.system.disk import sha256

AGAIN = "Publish it again: python -m registry.promote"
DIGEST_CHARACTERS = 12
"""So much of the content's hash is part of a folder's name."""


@dataclass(frozen=True)
class Identity:
    """What tells one registered version from every other, even where a model was deleted and made again."""

    name: str
    version: str
    run_id: str
    model_id: str

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One publication. `files`: bytes and sha256 of each file by name, this record itself excepted."""

    sequence: int
    """Grows by one with each publication; a reader that sees it change has read two versions."""
    identity: Identity
    source: str
    published_at: str
    previous: str
    """Folder of the version that this one replaced; "" for the first."""
    digest: str
    files: Mapping[str, Mapping[str, Any]]
    evidence: Mapping[str, Any]
    """What each check found, by its name."""

    def as_text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n"


def refuse_irregular(directory: Path) -> None:
    """Raises PromotionError unless the directory holds regular files and nothing else, no link among them."""
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            kind = "a link" if entry.is_symlink() else "a folder" if entry.is_dir() else "no regular file"
            raise PromotionError(
                f"{entry.path} is {kind}; a model directory has regular files only. Register the model again."
            )


def refuse_recorded(directory: Path) -> None:
    """Raises PromotionError where the directory brings a record: what was published before, or made to seem so."""
    if (directory / PROMOTION).exists():
        raise PromotionError(
            f"{directory} brings a {PROMOTION} of its own, which only publishing writes. "
            "Register the model of a training run, not a copy of what was published."
        )


def inventory(directory: Path) -> dict[str, dict[str, Any]]:
    """Bytes and sha256 of every file by name, the record itself excepted. Raises PromotionError."""
    refuse_irregular(directory)
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(directory.iterdir())
        if path.name != PROMOTION
    }


def digest(files: Mapping[str, Mapping[str, Any]]) -> str:
    """One hash of all the files' names and contents."""
    lines = "".join(f"{files[name]['sha256']}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def read(folder: Path) -> Promotion:
    """The folder's record. Raises PromotionError where there is none, or none that makes sense."""
    path = folder / PROMOTION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        promotion = Promotion(**content | {"identity": Identity(**content["identity"])})
        is_whole = isinstance(promotion.sequence, int) and promotion.digest == digest(promotion.files)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PromotionError(f"{path} is missing: {folder} is no published version. {AGAIN}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise PromotionError(
            f"{path}: can't be read as the record of a publication ({error}). {AGAIN}"
        ) from error
    if not is_whole:
        raise PromotionError(f"{path}: its digest is not that of the files it names: damaged. {AGAIN}")
    return promotion


def check(folder: Path) -> Promotion:
    """The folder's record, every file found as it says. Raises PromotionError, which names the file."""
    promotion = read(folder)
    if not folder.name.endswith(f"_{promotion.digest[:DIGEST_CHARACTERS]}"):
        raise PromotionError(f"{folder} is not named after its content: {PROMOTION} was changed. {AGAIN}")
    present = {path.name for path in folder.iterdir()} - {PROMOTION}
    problems = [f"{name} is missing" for name in sorted(set(promotion.files) - present)]
    problems += [f"{name} was added" for name in sorted(present - set(promotion.files))]
    if problems:
        raise PromotionError(f"{folder}: {', '.join(problems)}. {AGAIN}")
    for name, found in inventory(folder).items():
        if found != promotion.files[name]:
            raise PromotionError(
                f"{folder / name}: not the file that was published: damaged or changed. {AGAIN}"
            )
    return promotion


def checked(folder: Path) -> Promotion | None:
    """The folder's record, every file found as it says; None where it is damaged, or not published by this command."""
    with contextlib.suppress(PromotionError, OSError):
        return check(folder)
    return None
