"""What is written stays written, through a power cut too."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Returns once the file's content, or the folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
