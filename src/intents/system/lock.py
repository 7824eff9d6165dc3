"""One publisher and one writer at a time. The system drops the lock of a process that dies: the dead block nobody."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from intents.errors import IntentsError

POLL_SECONDS = 0.02
UNKNOWN = "another process"


class BusyError(IntentsError):
    """Another process kept the lock for longer than was waited."""

    exit_code = 75
    """sysexits' EX_TEMPFAIL: try again later."""


@contextlib.contextmanager
def held(path: Path, *, wait: float, advice: str = "Try again, or --wait longer.") -> Iterator[None]:
    """The lock, waited for at most so many seconds. Raises BusyError, naming who holds it."""
    deadline = time.monotonic() + wait
    while True:
        with tried(path) as is_mine:
            if is_mine:
                yield
                return
        if time.monotonic() >= deadline:
            raise BusyError(f"{path} has been held for {wait:g} s, by {_holder(path)}. {advice}".rstrip())
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def tried(path: Path) -> Iterator[bool]:
    """Whether nobody has the lock, which is then held; nothing is waited for."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        yield _take(descriptor)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing alone leaves it to a child that was forked meanwhile
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter is how some network disks say it
        return False
    if os.fstat(descriptor).st_nlink == 0:  # its last holder removed it: whoever comes next makes another
        return False
    with contextlib.suppress(OSError):  # who holds it is told for people only
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return True


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")[:200].strip() or UNKNOWN
    return UNKNOWN
