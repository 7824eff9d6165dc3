"""Dead or alive: proven by host, process id and start time, or not at all."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from intents.system import liveness
from intents.system.liveness import HOST_TAG, PID_TAG, STARTED_TAG


@contextlib.contextmanager
def another() -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]"]]:
    """A process that ends when a line is sent to it, and the tags that it gives itself."""
    program = (
        "import json\nfrom intents.system import liveness\n"
        "print(json.dumps(liveness.tags()), flush=True)\ninput()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), process


def test_this_process_is_alive():
    assert not liveness.is_proven_dead(liveness.tags())


def test_a_process_is_dead_once_it_has_ended_and_alive_before():
    with another() as (tags, process):
        assert tags[PID_TAG] == str(process.pid)
        assert not liveness.is_proven_dead(tags)
        process.kill()
        process.wait()
        assert liveness.is_proven_dead(tags)


def test_a_process_that_ended_and_that_nobody_has_waited_for_is_dead():
    with another() as (tags, process):
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        assert liveness.is_proven_dead(tags)


def test_another_process_with_the_same_id_proves_the_first_dead():
    tags = liveness.tags()
    assert liveness.is_proven_dead(tags | {STARTED_TAG: f"1{tags[STARTED_TAG]}"})


def test_a_process_is_alive_though_the_clock_was_set(monkeypatch: pytest.MonkeyPatch):
    tags, created = liveness.tags(), psutil.Process().create_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: created + 3600)
    assert not liveness.is_proven_dead(tags)


@pytest.mark.parametrize(
    "changes",
    [{HOST_TAG: "another host"}, {PID_TAG: "none"}, {PID_TAG: None}, {STARTED_TAG: None}],
)
def test_what_is_not_proven_counts_as_alive(changes: dict[str, str | None]):
    tags = {PID_TAG: "999999999"} | changes
    known = liveness.tags() | tags
    assert not liveness.is_proven_dead({name: text for name, text in known.items() if text is not None})


def test_a_run_without_these_tags_counts_as_alive():
    assert not liveness.is_proven_dead({})
