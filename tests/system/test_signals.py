"""Signals: they end a run, but never within a block that must be whole."""

import os
import signal

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from intents.system import signals
from intents.tracking import runs


def reached(number: signal.Signals, *, blocks: int, times: int = 1) -> list[int]:
    """Sends itself the signal inside so many nested whole blocks; which of them, inmost first, came to their end."""
    ended: list[int] = []

    def nest(depth: int) -> None:
        if depth > blocks:
            for _ in range(times):
                os.kill(os.getpid(), number)
            return
        with signals.whole():
            nest(depth + 1)
            ended.append(depth)

    try:
        with signals.stop_the_run():
            nest(1)
            ended.append(0)
    except KeyboardInterrupt:
        return ended
    raise AssertionError("the signal was lost")


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_ends_the_run_at_once(number: signal.Signals):
    assert reached(number, blocks=0) == []


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_waits_for_the_end_of_whole_blocks(number: signal.Signals):
    assert reached(number, blocks=1) == [1]
    assert reached(number, blocks=2) == [2, 1]


def test_a_second_signal_does_not_wait():
    assert reached(signal.SIGTERM, blocks=2, times=2) == []


def test_a_signal_that_has_ended_one_run_does_not_end_the_next():
    reached(signal.SIGTERM, blocks=1)
    with signals.stop_the_run(), signals.whole():
        pass


def test_an_error_in_a_whole_block_is_raised_as_it_is():
    with pytest.raises(ValueError, match="its own"), signals.stop_the_run(), signals.whole():
        raise ValueError("its own")


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with signals.stop_the_run():
        assert [signal.getsignal(number) for number in signals.SIGNALS] != before
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before


def test_a_signal_while_a_run_begins_ends_it_killed(in_store: str, monkeypatch: pytest.MonkeyPatch):
    begin = mlflow.start_run

    def begin_and_signal(**arguments: object) -> object:
        run = begin(**arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return run

    monkeypatch.setattr(mlflow, "start_run", begin_and_signal)
    begun = runs.started_with({"interrupted": "while it began"}, name="begun")
    with pytest.raises(KeyboardInterrupt), signals.stop_the_run():
        begun.__enter__()
    (run,) = MlflowClient().search_runs(["0"], order_by=["attributes.start_time DESC"], max_results=1)
    assert (in_store, run.info.status) == (in_store, "KILLED")
    assert mlflow.active_run() is None
