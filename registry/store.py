"""The published directory: version folders side by side, and a link to the one that is live.

The link is replaced by one rename, so a reader that resolves it once reads one version. The folders are the
backups.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from intents import artifact
from intents.errors import ArtifactError, PromotionError


def backups(target: Path) -> Path:
    """Where the versions of `target` are kept, the live one among them."""
    return target.with_name(f"{target.name}_backups")


def is_live(target: Path, directory: Path) -> bool:
    """Whether `target` already holds what `directory` does, every file of it intact."""
    try:
        artifact.verify(target)
    except (ArtifactError, OSError):
        return False
    return (target / artifact.MANIFEST).read_bytes() == (directory / artifact.MANIFEST).read_bytes()


@contextlib.contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A folder on the target's own disk for what is not yet verified; gone afterwards. Raises PromotionError."""
    if target.exists() and not target.is_dir():
        raise PromotionError(f"{target} is a file; expected a directory, a link, or nothing. Move it away.")
    try:
        backups(target).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".staging-", dir=backups(target)))
    except OSError as error:
        raise PromotionError(
            f"{backups(target)}: can't be written ({error.strerror}). Name a target you can write to with --target."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(directory: Path, target: Path) -> Path | None:
    """Makes the verified `directory` live; returns where the version before it is kept, None for the first."""
    previous = target.resolve() if target.is_symlink() and target.exists() else None
    folder = _free_folder(target)
    link = directory.with_name("link")
    link.symlink_to(os.path.relpath(folder, target.parent))
    directory.rename(folder)
    if target.is_dir() and not target.is_symlink():
        previous = _free_folder(target)
        target.rename(previous)
    link.replace(target)
    return previous


def _free_folder(target: Path) -> Path:
    """A folder named by the time that does not exist yet."""
    stamp = datetime.now().strftime("%Y%m%d_%H%M%S")
    names = [f"{target.name}_{stamp}", *(f"{target.name}_{stamp}_{i}" for i in range(1, 1000))]
    return next(backups(target) / name for name in names if not (backups(target) / name).exists())
