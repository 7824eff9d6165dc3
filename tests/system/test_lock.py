"""One lock: had by one at a time, by nobody once its file is gone, and let go of whoever else has it open."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from intents.system import lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_who_comes_second_is_told_so_at_once_and_waits_no_longer_than_asked(path: Path):
    with lock.held(path, wait=0):
        with lock.tried(path) as is_mine:
            assert not is_mine
        with pytest.raises(
            lock.BusyError, match=f"{path} has been held for 0.1 s, by process {os.getpid()} on "
        ):
            lock.held(path, wait=0.1).__enter__()
    with lock.tried(path) as is_mine:
        assert is_mine


def test_the_advice_is_that_of_who_asks(path: Path):
    with lock.held(path, wait=0):
        with pytest.raises(lock.BusyError, match=r"\. Try again, or --wait longer\.$"):
            lock.held(path, wait=0).__enter__()
        with pytest.raises(lock.BusyError, match=r"on \S+\.$"):
            lock.held(path, wait=0, advice="").__enter__()


def test_a_file_that_its_holder_removes_is_nobodys_lock_and_the_next_file_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    opened = os.open

    def then_removed(file: Any, *how: Any) -> int:
        monkeypatch.undo()
        descriptor = opened(file, *how)
        path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", then_removed)
    with lock.tried(path) as is_mine:
        assert not is_mine
    monkeypatch.setattr(os, "open", then_removed)
    with lock.held(path, wait=30):
        assert path.exists()


def test_a_link_in_its_place_is_refused_and_what_it_leads_to_left_alone(path: Path, tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    path.symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"):
        lock.held(path, wait=0).__enter__()
    assert (tmp_path / "mine").read_text() == "mine"


def test_it_is_let_go_of_though_a_child_that_was_forked_meanwhile_lives_on(path: Path):
    with lock.held(path, wait=0):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    try:
        with lock.tried(path) as is_mine:
            assert is_mine
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
