"""Many threads ask, few infer: every answer is one's own, nobody starves, and nobody waits for ever."""

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from intents.axes import Floats
from intents.serving.batcher import TOKENS_A_PASS, Batcher, BusyError, Tokens

LONG = [[1] * 64] * (4 * TOKENS_A_PASS // 64)
"""Rows that take four passes."""


def first_tokens(rows: Sequence[Tokens]) -> Floats:
    """Stands for a network: its only logit is the row's first token."""
    return np.array([[row[0] if row else -1.0] for row in rows], dtype=np.float32)


class Gate:
    """An `infer` whose passes wait to be let through, and are remembered."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.passes: list[list[Tokens]] = []

    def __call__(self, rows: Sequence[Tokens]) -> Floats:
        self.passes.append(list(rows))
        assert self.open.wait(10)
        return first_tokens(rows)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as executor:
        yield executor


def batcher(infer: Callable[[Sequence[Tokens]], Floats], **changes: int) -> Batcher:
    return Batcher(infer, **({"threads": 1, "most_rows": 1_000, "most_long": 2} | changes))


def until(claim: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_request_gets_the_logits_of_its_own_rows_in_order(pool: ThreadPoolExecutor, threads: int):
    generator = np.random.default_rng(0)
    asked = [
        [[int(token)] * int(generator.integers(1, 200)) for token in generator.integers(0, 10**6, size)]
        for size in generator.integers(1, 40, 200)
    ]
    shared = batcher(first_tokens, threads=threads, most_rows=10**6, most_long=100)
    for rows, logits in zip(asked, pool.map(shared.logits, asked), strict=True):
        assert logits[:, 0].tolist() == [row[0] for row in rows]


def test_requests_that_arrive_during_a_pass_share_the_next(pool: ThreadPoolExecutor):
    gate = Gate()
    shared = batcher(gate)
    first = pool.submit(shared.logits, [[0]])
    until(lambda: gate.passes)
    others = [pool.submit(shared.logits, [[number]]) for number in range(1, 9)]
    until(lambda: len(shared._pending) == 8)
    gate.open.set()
    assert [other.result(10)[0, 0] for other in others] == list(range(1, 9))
    assert first.result(10)[0, 0] == 0
    assert sorted(row[0] for row in gate.passes[1]) == list(range(1, 9))
    assert len(gate.passes) == 2


def test_a_short_request_is_answered_before_a_long_one_that_came_first(pool: ThreadPoolExecutor):
    gate = Gate()
    shared = batcher(gate)
    long = pool.submit(shared.logits, LONG)
    until(lambda: gate.passes)
    short = pool.submit(shared.logits, [[7]])
    until(lambda: len(shared._pending) == 2)
    gate.open.set()
    assert short.result(10)[0, 0] == 7
    assert len(long.result(10)) == len(LONG)
    (its_pass,) = (number for number, rows in enumerate(gate.passes) if [7] in rows)
    assert its_pass == 1
    assert len(gate.passes) >= 4


def test_a_pass_has_a_bounded_number_of_tokens_and_at_least_a_row():
    gate = Gate()
    gate.open.set()
    batcher(gate).logits([*LONG, [1] * (2 * TOKENS_A_PASS)])
    sizes = [sum(map(len, rows)) for rows in gate.passes]
    assert max(sizes[:-1]) <= TOKENS_A_PASS
    assert sizes[-1] == 2 * TOKENS_A_PASS
    assert len(gate.passes[-1]) == 1


def test_idle_threads_share_what_is_pending(pool: ThreadPoolExecutor):
    gate = Gate()
    gate.open.set()
    shared = batcher(gate, threads=4)
    shared.logits([[1]])
    until(lambda: shared._idle == 4)
    gate.open.clear()
    gate.passes.clear()
    answer = pool.submit(shared.logits, [[1] * 8] * 40)
    until(lambda: len(gate.passes) == 4)
    gate.open.set()
    assert len(answer.result(10)) == 40
    assert list(map(len, gate.passes)) == [10] * 4


@pytest.mark.parametrize(
    ("waiting", "rows", "reason"),
    [
        ([[1]] * 30, [[1]], "30 utterances are waiting, and at most 30 may"),
        (LONG[:-1], LONG, "1 long requests are waiting, and no more may"),
    ],
)
def test_what_the_queue_can_not_hold_is_refused_at_once(
    pool: ThreadPoolExecutor, waiting: list[Tokens], rows: list[Tokens], reason: str
):
    gate = Gate()
    most = len(waiting) if len(waiting) == 30 else 1_000
    shared = batcher(gate, most_rows=most, most_long=1)
    first = pool.submit(shared.logits, [[0]])
    until(lambda: gate.passes)
    second = pool.submit(shared.logits, waiting)
    until(lambda: shared._pending)
    began = time.monotonic()
    with pytest.raises(BusyError, match=reason):
        shared.logits(rows)
    assert time.monotonic() - began < 0.5
    gate.open.set()
    assert (len(first.result(10)), len(second.result(10))) == (1, len(waiting))


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits():
    assert len(batcher(first_tokens, most_rows=1).logits([[5], [6]])) == 2


def test_who_waits_too_long_is_told_and_the_rest_of_it_is_not_computed():
    gate = Gate()
    shared = batcher(gate)
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 seconds"):
        shared.logits(LONG, seconds=0.05)
    gate.open.set()
    assert shared.logits([[3]])[0, 0] == 3
    assert sum(map(len, gate.passes)) < len(LONG)


def test_a_request_that_the_network_fails_on_fails_alone(pool: ThreadPoolExecutor):
    gate = Gate()

    def infer(rows: Sequence[Tokens]) -> Floats:
        gate(rows)
        if [666] in rows:
            raise ValueError("666")
        return first_tokens(rows)

    shared = batcher(infer)
    first = pool.submit(shared.logits, [[0]])
    until(lambda: gate.passes)
    asked = [pool.submit(shared.logits, [[token]]) for token in (1, 666, 2)]
    until(lambda: len(shared._pending) == 3)
    gate.open.set()
    assert [future.result(10)[0, 0] for future in (first, asked[0], asked[2])] == [0, 1, 2]
    with pytest.raises(ValueError, match="666"):
        asked[1].result(10)


def test_a_thread_that_dies_leaves_nobody_waiting_and_is_replaced():
    deadly = threading.Event()
    deadly.set()

    def infer(rows: Sequence[Tokens]) -> Floats:
        if deadly.is_set():
            raise SystemExit
        return first_tokens(rows)

    shared = batcher(infer)
    with pytest.raises(RuntimeError, match="the inference thread died"):
        shared.logits([[1]], seconds=10)
    deadly.clear()
    assert shared.logits([[4]], seconds=10)[0, 0] == 4


def test_a_forked_process_has_threads_of_its_own():
    shared = batcher(first_tokens, threads=2)
    shared.logits([[1]])
    child = os.fork()
    if child == 0:
        found = shared.logits([[9]], seconds=10)[0, 0] == 9
        os._exit(0 if found else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_batcher_that_nobody_uses_any_more_is_freed_with_its_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("intents.serving.batcher.IDLE_SECONDS", 0.05)
    used = batcher(first_tokens, threads=3)
    assert used.logits([[7]]).tolist() == [[7.0]]
    threads = used._threads
    until(lambda: not threads)
    assert used.logits([[8]]).tolist() == [[8.0]]
    alive = weakref.ref(used)
    del used
    until(lambda: gc.collect() >= 0 and alive() is None)
