"""A few threads own inference; requests that arrive while they are busy share the next forward pass.

Nothing waits while one of them is idle. A pass takes a bounded number of tokens, dealt out among the requests in turn:
a request of a thousand utterances delays one of a single utterance by a pass or two, not by a thousand utterances.
"""

import logging
import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from intents.axes import Floats

TOKENS_A_PASS = 1_024
"""Enough to keep a processor busy, few enough to be over soon."""
IDLE_SECONDS = 30.0
"""A thread that had nothing to do for so long ends, and lets go of the batcher and its model."""
log = logging.getLogger(__name__)
Tokens = Sequence[int]
Infer = Callable[[Sequence[Tokens]], Floats]


class BusyError(Exception):
    """Too much is waiting already."""


class Batcher:
    """Logits of rows of tokens, for many threads at once; `infer` is called by the batcher's own threads only."""

    def __init__(self, infer: Infer, *, threads: int, most_rows: int, most_long: int) -> None:
        """`most_rows` may wait, of all requests together; of requests longer than a pass, `most_long` may."""
        self._infer = infer
        self._most_threads, self._most_rows, self._most_long = threads, most_rows, most_long
        self._begin()
        this = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _begin_again(this()))

    def _begin(self) -> None:
        self._pending: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._threads: list[threading.Thread] = []

    def logits(self, rows: Sequence[Tokens], *, seconds: float | None = None) -> Floats:
        """Logits (B, C) of at least one row, in order.

        Raises BusyError where too much waits already, TimeoutError after `seconds`, and whatever `infer` raises.
        """
        request = _Request(rows)
        with self._changed:
            self._admit(request)
            self._pending.append(request)
            self._start_threads()
            self._changed.notify(len(rows))
        return request.result(seconds)

    def _start_threads(self) -> None:
        """All of them, at the first request; later, others in place of those that ended."""
        while len(self._threads) < self._most_threads:
            thread = threading.Thread(target=self._serve, name="inference", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _admit(self, request: "_Request") -> None:
        """Raises BusyError. Where nothing waits a request is taken, however long."""
        waiting = sum(other.rows_left for other in self._pending)
        if waiting and waiting + request.rows_left > self._most_rows:
            raise BusyError(f"{waiting:,} utterances are waiting, and at most {self._most_rows:,} may")
        if request.is_long and sum(other.is_long for other in self._pending) >= self._most_long:
            raise BusyError(f"{self._most_long:,} long requests are waiting, and no more may")

    def _serve(self) -> None:
        """An inference thread. Should it die, whoever waits is told, and the next request starts another."""
        taken: list[_Share] = []
        try:
            while True:
                with self._changed:
                    while not self._pending:
                        self._idle += 1
                        was_told = self._changed.wait(IDLE_SECONDS)
                        self._idle -= 1
                        if not was_told and not self._pending:
                            self._threads.remove(threading.current_thread())
                            return
                    taken = self._take()
                if taken:
                    self._answer(taken)
        except BaseException:
            log.exception("an inference thread died")
            with self._changed:
                self._threads.remove(threading.current_thread())
                for request in [*(share.request for share in taken), *self._pending]:
                    request.fail(RuntimeError("the inference thread died"))
                self._pending.clear()

    def _take(self) -> list["_Share"]:
        """One pass: shares of the pending requests in turn, those that aren't done going to the end of the line.

        Threads that are idle have their part of what is pending left to them.
        """
        taken: list[_Share] = []
        pending = sum(request.tokens_left for request in self._pending)
        left = min(TOKENS_A_PASS, math.ceil(pending / (self._idle + 1)))
        while self._pending and left > 0:
            request = self._pending.popleft()
            if request.is_over:
                continue
            share = request.take(left // (len(self._pending) + 1))
            left -= share.tokens
            taken.append(share)
            if request.rows_left:
                self._pending.append(request)
        return taken

    def _answer(self, shares: Sequence["_Share"]) -> None:
        """Answers the shares in one pass; where that fails, each by itself, so that only the culprits fail."""
        try:
            logits_BC = self._infer([row for share in shares for row in share.rows])
        except Exception as error:
            if len(shares) == 1:
                shares[0].request.fail(error)
            else:
                for share in shares:
                    self._answer([share])
            return
        start = 0
        for share in shares:
            share.request.put(share, logits_BC[start : start + len(share.rows)])
            start += len(share.rows)


def _begin_again(batcher: Batcher | None) -> None:
    """A forked process has none of the threads, and none of their requests."""
    if batcher is not None:
        batcher._begin()


@dataclass(frozen=True)
class _Share:
    """Some rows of a request, by their places in it, and their tokens together."""

    request: "_Request"
    places: Sequence[int]
    tokens: int

    @property
    def rows(self) -> list[Tokens]:
        return [self.request.rows[place] for place in self.places]


class _Request:
    """Rows that someone waits for."""

    def __init__(self, rows: Sequence[Tokens]) -> None:
        self.rows = rows
        # Rows of like length share a pass: less padding.
        self._order = deque(sorted(range(len(rows)), key=lambda place: len(rows[place])))
        self.tokens_left = sum(map(_size, rows))
        self.is_long = self.tokens_left > TOKENS_A_PASS
        self.is_over = False
        self._answered = 0
        self._logits_BC: Floats | None = None
        self._error: Exception | None = None
        self._done = threading.Event()
        self._one_at_a_time = threading.Lock()

    @property
    def rows_left(self) -> int:
        """Rows not taken yet."""
        return len(self._order)

    def take(self, most_tokens: int) -> _Share:
        """The next rows, at least one, while they have so many tokens."""
        places: list[int] = []
        tokens = 0
        while self._order and (not places or tokens + _size(self.rows[self._order[0]]) <= most_tokens):
            places.append(self._order.popleft())
            tokens += _size(self.rows[places[-1]])
        self.tokens_left -= tokens
        return _Share(self, places, tokens)

    def put(self, share: _Share, logits_SC: Floats) -> None:
        """The logits of a share."""
        with self._one_at_a_time:
            if self._logits_BC is None:
                self._logits_BC = np.empty((len(self.rows), logits_SC.shape[1]), dtype=logits_SC.dtype)
            self._logits_BC[share.places] = logits_SC
            self._answered += len(share.places)
            if self._answered == len(self.rows):
                self._end()

    def fail(self, error: Exception) -> None:
        """No answer will come."""
        with self._one_at_a_time:
            if not self.is_over:
                self._error = error
                self._end()

    def result(self, seconds: float | None) -> Floats:
        """Waits for the logits."""
        if not self._done.wait(seconds):
            self.is_over = True  # what is left of it need not be computed
            raise TimeoutError(f"no answer within {seconds:g} seconds")
        if self._error is not None:
            raise self._error
        assert self._logits_BC is not None
        return self._logits_BC

    def _end(self) -> None:
        self.is_over = True
        self._done.set()


def _size(row: Tokens) -> int:
    """A row's tokens; one without any is no less work than one of a single token."""
    return max(1, len(row))
