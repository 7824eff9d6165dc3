"""One thread owns inference; requests that arrive while it is busy share its next forward pass.

Nothing waits while that thread is idle. A pass takes a bounded number of tokens, dealt out among the requests in turn:
a request of a thousand utterances delays one of a single utterance by a pass or two, not by a thousand utterances.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from intents.scoring import Floats

TOKENS_A_PASS = 1_024
"""Enough to keep a processor busy, few enough to be over soon."""
Tokens = Sequence[int]
Infer = Callable[[Sequence[Tokens]], Floats]


class BusyError(Exception):
    """Too much is waiting already."""


class Batcher:
    """Logits of rows of tokens, for many threads at once. One thread, started when it is needed, calls `infer`."""

    def __init__(self, infer: Infer, *, most_rows: int, most_long: int) -> None:
        """`most_rows` may wait, of all requests together; of requests longer than a pass, `most_long` may."""
        self._infer = infer
        self._most_rows, self._most_long = most_rows, most_long
        self._pending: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def logits(self, rows: Sequence[Tokens], *, seconds: float | None = None) -> Floats:
        """Logits (B, C) of at least one row, in order.

        Raises BusyError where too much waits already, TimeoutError after `seconds`, and whatever `infer` raises.
        """
        request = _Request(rows)
        with self._changed:
            self._admit(request)
            self._pending.append(request)
            # There is none yet, or a fork left it behind, or it died.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="inference", daemon=True)
                self._thread.start()
            self._changed.notify()
        return request.result(seconds)

    def _admit(self, request: "_Request") -> None:
        """Raises BusyError. Where nothing waits a request is taken, however long."""
        waiting = sum(other.rows_left for other in self._pending)
        if waiting and waiting + request.rows_left > self._most_rows:
            raise BusyError(f"{waiting:,} utterances are waiting, and at most {self._most_rows:,} may")
        if request.is_long and sum(other.is_long for other in self._pending) >= self._most_long:
            raise BusyError(f"{self._most_long:,} long requests are waiting, and no more may")

    def _serve(self) -> None:
        """The inference thread. Should it die, whoever waits is told, and the next request starts another."""
        taken: list[_Share] = []
        try:
            while True:
                with self._changed:
                    while not self._pending:
                        self._changed.wait()
                    taken = self._take()
                if taken:
                    self._answer(taken)
        except BaseException as error:
            with self._changed:
                self._thread = None
                for request in [*(share.request for share in taken), *self._pending]:
                    request.fail(error)
                self._pending.clear()
            raise

    def _take(self) -> list["_Share"]:
        """One pass: shares of the pending requests in turn, those that aren't done going to the end of the line."""
        taken: list[_Share] = []
        left = TOKENS_A_PASS
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


@dataclass(frozen=True)
class _Share:
    """Some rows of a request, and their places in it."""

    request: "_Request"
    places: Sequence[int]

    @property
    def rows(self) -> list[Tokens]:
        return [self.request.rows[place] for place in self.places]

    @property
    def tokens(self) -> int:
        return sum(max(1, len(row)) for row in self.rows)


class _Request:
    """Rows that someone waits for. All but `result` belongs to the inference thread."""

    def __init__(self, rows: Sequence[Tokens]) -> None:
        self.rows = rows
        # Rows of like length share a pass: less padding.
        self._order = deque(sorted(range(len(rows)), key=lambda place: len(rows[place])))
        self.is_long = sum(map(len, rows)) > TOKENS_A_PASS
        self.is_over = False
        self._answered = 0
        self._logits_BC: Floats | None = None
        self._error: BaseException | None = None
        self._done = threading.Event()

    @property
    def rows_left(self) -> int:
        """Rows not taken yet."""
        return len(self._order)

    def take(self, most_tokens: int) -> _Share:
        """The next rows, at least one, while they have so many tokens."""
        places = [self._order.popleft()]
        tokens = len(self.rows[places[0]])
        while self._order and tokens + len(self.rows[self._order[0]]) <= most_tokens:
            places.append(self._order.popleft())
            tokens += len(self.rows[places[-1]])
        return _Share(self, places)

    def put(self, share: _Share, logits_SC: Floats) -> None:
        """The logits of a share."""
        if self._logits_BC is None:
            self._logits_BC = np.empty((len(self.rows), logits_SC.shape[1]), dtype=logits_SC.dtype)
        self._logits_BC[share.places] = logits_SC
        self._answered += len(share.places)
        if self._answered == len(self.rows):
            self._end()

    def fail(self, error: BaseException) -> None:
        """No answer will come."""
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
