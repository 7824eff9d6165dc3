"""One promotion at a time: the others wait, say who they waited for, and never wait for the dead."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intents.system import lock
from registry import promote
from registry.target import Target

HOLD = """
import sys, time
from pathlib import Path
from intents.system import lock
with lock.held(Path(sys.argv[1]), wait=0):
    print("held", flush=True)
    time.sleep(60)
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def holder(prepared: Callable[..., Path]) -> Iterator[tuple[Path, "subprocess.Popen[str]"]]:
    """A target of two versions, and a process that holds its lock."""
    target = prepared(1, 2)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", HOLD, str(Target(target).lock)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield target, process
        process.kill()


def test_a_lock_that_stays_held_ends_the_command_with_its_own_exit_code_and_the_holders_name(
    holder: tuple[Path, "subprocess.Popen[str]"], capsys: pytest.CaptureFixture[str]
):
    target, process = holder
    code = promote.main(["--target", str(target), "--rollback", "--wait", "0"])
    said = capsys.readouterr().err
    assert code == 75
    assert "has been held for" in said
    assert f"by process {process.pid} on " in said
    assert "rolled back" not in [entry["action"] for entry in Target(target).history()]


def test_what_only_reads_waits_for_nobody(
    holder: tuple[Path, "subprocess.Popen[str]"], capsys: pytest.CaptureFixture[str]
):
    target, _ = holder
    for flag in ("--status", "--verify", "--history"):
        assert promote.main(["--target", str(target), flag, "--wait", "0"]) == 0
    assert capsys.readouterr().err == ""


def test_a_holder_that_was_killed_blocks_nobody(holder: tuple[Path, "subprocess.Popen[str]"]):
    target, process = holder
    process.kill()
    process.wait()
    assert promote.main(["--target", str(target), "--rollback", "--wait", "0"]) == 0


def test_a_lock_is_waited_for_until_it_is_free(holder: tuple[Path, "subprocess.Popen[str]"]):
    target, process = holder
    threading.Timer(0.2, process.kill).start()
    began = time.monotonic()
    with lock.held(Target(target).lock, wait=30):
        assert 0.1 < time.monotonic() - began < 20
