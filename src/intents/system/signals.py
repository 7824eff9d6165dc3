"""Ctrl-C and SIGTERM: both end a run, and neither cuts through a write to the tracking store."""

import contextlib
import signal
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Pending:
    """Whether a block is under way that must end first, and whether a signal came meanwhile."""

    def __init__(self) -> None:
        self.blocks = 0
        self.came = False

    def __call__(self, *_: object) -> None:
        if self.blocks and not self.came:
            self.came = True  # a second signal does not wait: the store may hang
            return
        self.came = False
        raise KeyboardInterrupt


_pending = _Pending()


@contextlib.contextmanager
def stop_the_run() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does; both wait for the end of a `whole` one."""
    before = [signal.signal(number, _pending) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """A part of a `whole` block in which a signal takes effect at once."""
    held, _pending.blocks = _pending.blocks, 0
    try:
        if _pending.came:
            _pending()
        yield
    finally:
        _pending.blocks = held


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """A block that is done or not begun: a signal that comes in it takes effect at its end.

    An interrupt within a write leaves SQLite's lock held by a cursor nobody has, and the run can't be ended.
    """
    _pending.blocks += 1
    try:
        yield
    finally:
        _pending.blocks -= 1
        if _pending.came and not _pending.blocks:
            _pending()
