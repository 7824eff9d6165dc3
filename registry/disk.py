"""What a publication does to a disk: two names exchanged at once, a folder removed by way of the trash."""

import contextlib
import ctypes
import os
import re
import shutil
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
MOUNTS = Path("/proc/self/mountinfo")


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted there, a folder of the same disk included."""
    if os.path.ismount(path):
        return True
    with contextlib.suppress(OSError):  # not Linux
        table = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        return os.path.realpath(path) in {_unescaped(line.split()[4]) for line in table.splitlines()}
    return False


def _unescaped(name: str) -> str:
    """A name of the table, in which blanks and backslashes stand as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), name)


def remove(folder: Path, *, trash: Path) -> None:
    """Removes a folder, whose name goes first and at once; `trash` is what is left of it if that is cut off."""
    os.rename(folder, trash)
    shutil.rmtree(trash)


def exchange(one: Path, other: Path) -> bool:
    """Swaps what two names stand for in one step; False, and nothing done, where the system can't."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
