"""The processes that answer, fed and heard by the one that reads and writes. Answers come in the file's order."""

import collections
import multiprocessing.forkserver
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from intents.data.formats.chunks import Chunk
from intents.errors import IntentsError, ScoringError
from intents.serving.files.answer_columns import Answered
from intents.system import processes

PROCESSES = multiprocessing.get_context("forkserver")
"""Workers are forked from a process that has imported what they need and done nothing else: they share its memory."""
WORKER = "intents.serving.files.worker"
AHEAD = 4
"""Chunks that are read but not yet written, a worker: no more are in memory at once."""
STOP_SECONDS = 5
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""A worker has one thread; there is one worker a core."""


@dataclass
class _Task:
    chunk: Chunk
    answered: Answered | None = None


class Crew:
    """So many workers, each with the model of a directory loaded, which end with the block.

    Entering raises ArtifactError where the model can't be loaded, and ScoringError where a worker dies of it.
    """

    def __init__(self, directory: Path, workers: int) -> None:
        self.directory = directory
        self.workers = workers
        self.digest = ""
        """Tells the model from any other, once it is loaded."""
        self._members: dict[Connection, ForkServerProcess] = {}
        self._busy: dict[Connection, _Task] = {}
        self._idle: list[Connection] = []

    def __enter__(self) -> "Crew":
        begin_to_import()
        with processes.ctrl_c_held_back():
            for _ in range(self.workers):
                ours, theirs = PROCESSES.Pipe()
                member = PROCESSES.Process(target=_work, args=(theirs, self.directory), daemon=True)
                member.start()
                theirs.close()
                self._members[ours] = member
        try:
            for connection in self._members:
                self.digest = str(self._hear(connection))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.terminate()
        for member in self.members:
            member.join(STOP_SECONDS)
            member.kill()
            member.join()
        self.hang_up()

    def hang_up(self) -> None:
        """Asks nothing more, as a process that was killed; the workers end."""
        for connection in self._members:
            connection.close()

    @property
    def members(self) -> list[ForkServerProcess]:
        return list(self._members.values())

    def answered(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Answered]]:
        """Each chunk with its answers, in order. Raises ScoringError where a worker dies, or what one raised."""
        in_order: collections.deque[_Task] = collections.deque()
        unasked: collections.deque[_Task] = collections.deque()
        is_read = False
        while not is_read or in_order:
            reads = not is_read and len(unasked) < self.workers and len(in_order) < AHEAD * self.workers
            if reads:
                chunk = next(chunks, None)
                is_read = chunk is None
                if chunk is not None:
                    unasked.append(_Task(chunk))
                    in_order.append(unasked[-1])
            speaking = wait(self._busy, timeout=0 if reads or not self._busy else None)
            for connection in [each for each in self._busy if each in speaking]:
                self._busy.pop(connection).answered = self._hear(connection)
            while self._idle and unasked:
                self._ask(self._idle.pop(), unasked.popleft())
            while in_order and (answered := in_order[0].answered):
                yield in_order.popleft().chunk, answered

    def _ask(self, connection: Connection, task: _Task) -> None:
        try:
            connection.send(task.chunk.texts)
        except OSError as error:
            raise self._death(connection) from error
        self._busy[connection] = task

    def _hear(self, connection: Connection) -> Any:
        """What a worker says, which is idle afterwards."""
        try:
            said = connection.recv()
        except (EOFError, OSError) as error:
            raise self._death(connection) from error
        if isinstance(said, IntentsError):
            raise said
        self._idle.append(connection)
        return said

    def _death(self, connection: Connection) -> ScoringError:
        member = self._members[connection]
        member.join(STOP_SECONDS)
        return ScoringError(
            f"a worker died (exit code {member.exitcode}): what it printed, if anything, stands above; one that is "
            f"killed for memory prints nothing. Fewer workers than {self.workers} need less: workers=<number>."
        )


def begin_to_import() -> None:
    """Starts the process that imports what workers need, which takes seconds, and returns at once."""
    PROCESSES.set_forkserver_preload([WORKER])
    with processes.environment(ENVIRONMENT), processes.ctrl_c_held_back():
        multiprocessing.forkserver.ensure_running()


def _work(connection: Connection, directory: Path) -> None:
    from intents.serving.files import worker  # late: only workers need what it imports

    worker.work(connection, directory)
