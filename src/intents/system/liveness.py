"""Whether the process that began a run is still alive: host, process id and start time together prove it dead."""

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

PROCESS_NAMESPACE = "/proc/self/ns/pid"
HOST_TAG, PID_TAG, STARTED_TAG = "process_host", "process_id", "process_started"
START_FIELD = 19
"""Of /proc/<pid>/stat, behind the name in parentheses: starttime, proc(5)."""
BOOT_ID, MACHINE_ID = Path("/proc/sys/kernel/random/boot_id"), Path("/etc/machine-id")


def tags() -> dict[str, str]:
    """What tells this process from every other, as a run's tags."""
    return {
        HOST_TAG: _host(),
        PID_TAG: str(os.getpid()),
        STARTED_TAG: _started(psutil.Process()),
    }


def is_proven_dead(run_tags: Mapping[str, str]) -> bool:
    """True only when the process these tags name was on this host, and is no more."""
    if run_tags.get(HOST_TAG) != _host():
        return False
    try:
        pid, started = int(run_tags[PID_TAG]), run_tags[STARTED_TAG]
    except (KeyError, ValueError):
        return False
    try:
        process = psutil.Process(pid)
        return _started(process) != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _started(process: psutil.Process) -> str:
    """When the process began: on Linux in ticks since the boot, which no change of the clock moves, and which boot."""
    fields = _read(Path(f"/proc/{process.pid}/stat")).rpartition(")")[2].split()
    if not fields:
        return repr(process.create_time())
    return f"{fields[START_FIELD]} ticks after boot {_read(BOOT_ID)}"


def _host() -> str:
    """The host, and on Linux its machine id and process namespace: neither clones nor containers must be confused."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink(PROCESS_NAMESPACE)
    return " ".join(filter(None, [socket.gethostname(), _read(MACHINE_ID), namespace]))


def _read(file: Path) -> str:
    """What the file says, "" where there is none."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
