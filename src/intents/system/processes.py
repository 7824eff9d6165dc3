"""Processes that work together: the cores they share, and by `torchrun` which one this is and what they agree on."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any

MAIN = 0


def rank() -> int:
    """This process's number among those of one training; 0 without torchrun."""
    return int(os.environ.get("RANK", MAIN))


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this process is the one that logs, saves and registers."""
    return rank() == MAIN


def agreed(value: Any = None) -> Any:
    """The main process's value, in all of them. Every process must call this; what the others pass is ignored."""
    if count() == 1:
        return value
    import torch  # late: who only asks for the rank must not wait for it

    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    values = [value]
    torch.distributed.broadcast_object_list(values, src=MAIN, device=device())
    return values[0]


def device() -> Any:
    """Where this process trains: on its own GPU, or on the processor where there is none."""
    import torch  # late, as above

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", MAIN)))


def share(number: int) -> int:
    """One process's share of a number of utterances, at least 1."""
    return max(1, number // count())


def cores() -> int:
    """The cores that this process may use, or as many as OMP_NUM_THREADS says."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(stated) if stated.isdecimal() and int(stated) else available


@contextlib.contextmanager
def own_path() -> Iterator[None]:
    """A block after which modules are sought where they were before.

    MLflow puts the code that a model carries first, and leaves it there: processes started later would take the copy,
    which holds no more than answering needs, for the whole package.
    """
    before = sys.path
    try:
        yield
    finally:
        sys.path = before


@contextlib.contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """A block in which these variables are set, or are not where None: a process started in it inherits them so."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, text in variables.items():
        os.environ.pop(name, None)
        os.environ.update({} if text is None else {name: text})


@contextlib.contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """A process started now never sees Ctrl-C, which a terminal sends to all: its parent tells it to stop."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
