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


class BusyError(IntentsError):
    """Another process kept the lock for longer than was waited."""

    exit_code = 75
    """sysexits' EX_TEMPFAIL: try again later."""


@contextlib.contextmanager
def held(path: Path, *, wait: float) -> Iterator[None]:
    """The lock, waited for at most so many seconds. Raises BusyError, naming who holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + wait
        while not _take(descriptor):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                raise BusyError(
                    f"{path} has been held for {wait:g} s, by {holder}. Try again, or --wait longer."
                )
            time.sleep(POLL_SECONDS)
        with contextlib.suppress(OSError):  # who holds it is told for people only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def tried(path: Path) -> Iterator[bool]:
    """Whether nobody has the lock, which is then held; nothing is waited for."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _take(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
