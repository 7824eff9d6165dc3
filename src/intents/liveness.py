"""Whether the process that began a run is still alive: host, process id and start time together prove it dead."""

import contextlib
import os
import socket
from collections.abc import Mapping

import psutil

PROCESS_NAMESPACE = "/proc/self/ns/pid"
HOST_TAG, PID_TAG, STARTED_TAG = "process_host", "process_id", "process_started"
SAME_START_SECONDS = 1.0


def tags() -> dict[str, str]:
    """What tells this process from every other, as a run's tags."""
    return {
        HOST_TAG: _host(),
        PID_TAG: str(os.getpid()),
        STARTED_TAG: repr(psutil.Process().create_time()),
    }


def is_proven_dead(run_tags: Mapping[str, str]) -> bool:
    """True only when the process these tags name was on this host, and is no more."""
    if run_tags.get(HOST_TAG) != _host():
        return False
    try:
        pid, started = int(run_tags[PID_TAG]), float(run_tags[STARTED_TAG])
    except (KeyError, ValueError):
        return False
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < SAME_START_SECONDS
        return not is_same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _host() -> str:
    """The host, and on Linux the process namespace: containers may share a host's name, not its process ids."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink(PROCESS_NAMESPACE)
    return f"{socket.gethostname()} {namespace}".strip()
