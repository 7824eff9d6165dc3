"""What of a file is scored already: finished shards in a folder beside the output, from which a killed run goes on."""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from intents.data.formats.by_suffix import WRITERS
from intents.data.formats.chunks import Refused
from intents.errors import ScoringError
from intents.system import lock
from intents.system.disk import put, replace, sync

STATE, LOCK = "state.json", "lock"
RECORD, REFUSED = ".json", ".rejected"
SHARD_ROWS = 65_536
SHARD_BYTES = 1 << 26
SHARD_SECONDS = 10.0
"""A shard is finished after so many rows, so large ones, or so much time: what a kill takes is at most that."""


@dataclass(frozen=True)
class Done:
    """What a shard holds, or several do."""

    end: int = 0
    """The last line of the input that they account for."""
    scored: int = 0
    unknown: int = 0
    """Of the scored ones, those that are out-of-scope."""
    refused: int = 0

    def and_then(self, other: "Done") -> "Done":
        """This and what follows it."""
        scored, unknown = self.scored + other.scored, self.unknown + other.unknown
        return Done(other.end, scored, unknown, self.refused + other.refused)


class _OpenShard:
    """A shard that is being written: its rows, and what can't be scored."""

    def __init__(self, data: Path, refused: Path, *, schema: Any) -> None:
        self.done = Done()
        self._data, self._refused = data, refused
        self._rows = WRITERS[data.suffix](data, schema)
        self._refusals = refused.open("w", encoding="utf-8")
        self._begun, self._bytes = time.monotonic(), 0

    def add(self, rows: Any, refused: Sequence[Refused], *, end: int) -> None:
        self._rows.write(rows)
        self._refusals.writelines(
            json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in sorted(refused)
        )
        unknown = len(rows) - (rows.column("in_scope").true_count if len(rows) else 0)
        self.done = self.done.and_then(Done(end, len(rows), unknown, len(refused)))
        self._bytes += rows.nbytes

    @property
    def is_large(self) -> bool:
        is_old = time.monotonic() - self._begun >= SHARD_SECONDS
        return self.done.scored + self.done.refused >= SHARD_ROWS or self._bytes >= SHARD_BYTES or is_old

    def close(self) -> None:
        self._rows.close()
        self._refusals.close()

    def finish(self) -> None:
        self.close()
        sync(self._data)
        sync(self._refused)


class Shards:
    """The folder of one scoring, whose identity must be that of the run that it goes on from. Raises ScoringError."""

    def __init__(self, output: Path, schema: Any, *, identity: Mapping[str, Any]) -> None:
        self.output, self.ending, self.schema = output, output.suffix.lower(), schema
        self.folder = part_folder(output)
        self._require_identity(dict(identity))
        self.done = Done()
        self.count = 0
        while (record := self._file(self.count, RECORD)).is_file():
            self.done = self.done.and_then(Done(**json.loads(record.read_text("utf-8"))))
            self.count += 1
        self._open: _OpenShard | None = None

    def _require_identity(self, identity: dict[str, Any]) -> None:
        state = self.folder / STATE
        if not (state.is_file() and self._file(0, RECORD).is_file()):
            self.clear()  # what is left of another scoring must not be joined to this one
            replace(state, _as_json(identity))
        before = json.loads(state.read_text("utf-8"))
        other = [name for name in identity if before.get(name) != identity[name]]
        if other:
            raise ScoringError(
                f"{self.folder} holds an unfinished scoring with another {', '.join(other)}. Finish that one by its "
                "own command, or delete the folder."
            )

    def _file(self, number: int, ending: str) -> Path:
        """Of a shard its rows, under the output's ending, what can't be scored, or what it holds, last of all."""
        return self.folder / f"{number:06}{ending}"

    def add(self, rows: Any, refused: Sequence[Refused], *, end: int) -> None:
        """Takes the rows up to the input's line `end`, an Arrow batch, and what can't be scored of them."""
        data, beside = self._file(self.count, self.ending), self._file(self.count, REFUSED)
        self._open = self._open or _OpenShard(data, beside, schema=self.schema)
        try:
            self._open.add(rows, refused, end=end)
        except BaseException:
            self.forget()  # what was written of it can't be told from what was not
            raise
        if self._open.is_large:
            self.finish_shard()

    def finish_shard(self) -> None:
        """What was taken so far survives whatever happens next."""
        if self._open is None:
            return
        shard, self._open = self._open, None
        shard.finish()
        replace(self._file(self.count, RECORD), _as_json(asdict(shard.done)))
        self.done = self.done.and_then(shard.done)
        self.count += 1

    def forget(self) -> None:
        """What was taken since the last finished shard is lost, as by a kill."""
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.close()
        self._open = None

    def join(self) -> None:
        """Puts the output and the file of what can't be scored in place, each in one step."""
        joined, refused = self.folder / f"joined{self.ending}", self.folder / f"joined{REFUSED}"
        shards = [self._file(number, self.ending) for number in range(self.count)]
        WRITERS[self.ending].join(shards, joined, schema=self.schema)
        with refused.open("wb") as handle:
            for number in range(self.count):
                handle.write(self._file(number, REFUSED).read_bytes())
        put(refused, rejected_file(self.output))
        if not self.done.refused:
            rejected_file(self.output).unlink()
        put(joined, self.output)
        self.clear()

    def clear(self) -> None:
        """Nothing is done any more. A clear that is cut off leaves nothing that could be gone on with."""
        (self.folder / STATE).unlink(missing_ok=True)
        sync(self.folder)
        for left in self.folder.glob("[0-9]*"):
            left.unlink()


def part_folder(output: Path) -> Path:
    """Where a scoring keeps what is done until all is."""
    return output.with_name(f"{output.name}.part")


def rejected_file(output: Path) -> Path:
    """Where a scoring writes what can't be scored."""
    return output.with_name(f"{output.name}.rejected.jsonl")


@contextlib.contextmanager
def alone(output: Path) -> Iterator[None]:
    """Makes the folder, which nobody else scores into; one in which nothing is done goes. Raises ScoringError."""
    folder = part_folder(output)
    folder.mkdir(exist_ok=True)
    with lock.tried(folder / LOCK) as is_alone:
        if not is_alone:
            raise ScoringError(
                f"{output}: another scoring writes it. Wait for its end, or name another output."
            )
        try:
            yield
        finally:
            # Here alone, and before the lock is let go: whoever comes next makes a folder and a lock of their own.
            if not any(folder.glob("[0-9]*.json")):
                shutil.rmtree(folder, ignore_errors=True)


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
