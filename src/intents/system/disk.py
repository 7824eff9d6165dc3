"""What is written stays written, through a power cut too."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def sync(path: Path) -> None:
    """Returns once the file's content, or the folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The digest of the file's content, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sync_all(paths: Iterable[Path]) -> None:
    """Each of them, in turn."""
    for path in paths:
        sync(path)


def replace(path: Path, text: str) -> None:
    """The file has its old content or the new one, at every moment, and the new one for good afterwards."""
    aside = path.with_name(f"{path.name}.aside")
    aside.write_text(text, encoding="utf-8")
    put(aside, path)


def put(aside: Path, path: Path) -> None:
    """Puts a file that was written aside where it belongs, in one step and for good."""
    sync(aside)
    os.replace(aside, path)
    sync(path.absolute().parent)


def make_folders(path: Path) -> None:
    """Makes a folder and those above it, each for good."""
    if path.is_dir():
        return
    make_folders(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)
