"""score: a file of texts in, a file of answers out, in the same order."""

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from intents.data.formats import by_suffix, writing
from intents.data.formats.chunks import Refused, Source, Wanted
from intents.data.formats.lines import named
from intents.errors import ScoringError
from intents.parameters.score import ScoreConfig
from intents.serving.files import answer_columns, crew, shards
from intents.serving.files.crew import Crew
from intents.serving.files.shards import Done, Shards
from intents.system import processes, signals
from intents.system.console import Say

IDENTITY_VERSION = 1
SHOWN_REASONS = 5


def score(config: ScoreConfig, *, fetch: Callable[[str, Path], Path], say: Say) -> str:
    """What is to be printed last; `fetch` brings the model into a folder. Raises IntentsError."""
    began = time.monotonic()
    path, output = named(config.input), named(config.output)
    _check_paths(path, output)
    as_lines = {path.suffix.lower(), output.suffix.lower()} == {".jsonl"}
    source = by_suffix.opened(path, Wanted(config.column, config.kept, as_lines, answer_columns.OURS))
    writing.check_schema(source.schema, output)
    crew.begin_to_import()
    schema = answer_columns.schema(source.schema)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(signals.stop_the_run())
        directory = fetch(config.model, folder)
        workers = stack.enter_context(Crew(directory, config.workers or processes.cores()))
        loaded = time.monotonic()
        stack.enter_context(shards.alone(output))
        work = Shards(output, schema, identity=_identity(path, workers.digest, config=config))
        if work.done.end:
            say(f"going on after line {work.done.end:,}, where an earlier run was cut off")
        before = work.done
        reasons = _score(source, work, workers=workers, say=say)
        if not work.done.scored:
            work.clear()
            raise _nothing(path, work.done, reasons=reasons)
        work.join()
    for note in source.notes:
        say(f"note: {note}")
    if work.done.refused > work.done.scored:
        raise _mostly_refused(path, output, done=work.done, reasons=reasons)
    starting, scoring = loaded - began, time.monotonic() - loaded
    return _summary(output, work.done, before=before, starting=starting, scoring=scoring)


def _score(source: Source, work: Shards, *, workers: Crew, say: Say) -> "Counter[str]":
    """Scores what is not yet done; the reasons for what can't be."""
    reasons: Counter[str] = Counter()
    bar = tqdm(
        total=max(source.rows, work.done.end),
        initial=work.done.end,
        unit="text",
        unit_scale=True,
        desc="scoring",
        dynamic_ncols=True,
        mininterval=0.5,
        disable=None,
    )
    with bar:
        try:
            for chunk, answered in workers.answered(source.chunks(work.done.end)):
                refused = [*chunk.refused]
                refused += [Refused(chunk.lines[place], reason) for place, reason in answered.refused]
                reasons.update(row.reason for row in refused)
                rows = answer_columns.rows(chunk, answered, schema=work.schema)
                with signals.whole():
                    work.add(rows, refused, end=chunk.end)
                bar.update(chunk.end - bar.n)
        except BaseException:
            _keep(work, say=say)
            raise
        with signals.whole():
            work.finish_shard()
    return reasons


def _keep(work: Shards, *, say: Say) -> None:
    """Keeps what is done of a scoring that ends early."""
    with signals.whole():
        work.finish_shard()
    if work.done.end:
        say(
            f"{work.done.scored:,} rows are scored and kept in {work.folder}; the same command goes on from there"
        )


def _check_paths(path: Path, output: Path) -> None:
    if not output.absolute().parent.is_dir():
        raise ScoringError(f"{output}: there is no such folder. Make it, or name another.")
    if output.exists() and not output.is_file():
        raise ScoringError(f"{output}: expected a file, or nothing. Name another.")
    if output.exists() and path.exists() and output.samefile(path):
        raise ScoringError(f"{output} is the input too. Name another.")


def _identity(path: Path, model: str, *, config: ScoreConfig) -> dict[str, Any]:
    """What must be the same for a scoring to go on, by the words in which a difference is told."""
    status = path.stat()
    return {
        "version of this project": IDENTITY_VERSION,
        "input": [status.st_size, status.st_mtime_ns],
        "model": model,
        "column": config.column,
        "keep": list(config.kept),
    }


def _nothing(path: Path, done: Done, *, reasons: "Counter[str]") -> ScoringError:
    if not done.refused:
        return ScoringError(f"{path}: the file holds no rows.")
    return ScoringError(
        f"{path}: none of {done.refused:,} rows can be scored: {_told(reasons)}. Is column=<name> where the texts are?"
    )


def _mostly_refused(path: Path, output: Path, *, done: Done, reasons: "Counter[str]") -> ScoringError:
    return ScoringError(
        f"{path}: {done.refused:,} of {done.refused + done.scored:,} rows can't be scored: {_told(reasons)}. "
        f"{shards.rejected_file(output)} says which and why; the other {done.scored:,} are in {output}. "
        "Mend the input, and run again."
    )


def _told(reasons: "Counter[str]") -> str:
    return "; ".join(f"{count:,} x {reason}" for reason, count in reasons.most_common(SHOWN_REASONS))


def _summary(output: Path, done: Done, *, before: Done, starting: float, scoring: float) -> str:
    share = done.unknown / done.scored
    read_now = done.scored + done.refused - before.scored - before.refused
    lines = [
        f"{output}: {done.scored:,} rows scored, {share:.1%} of them out-of-scope; {scoring:.1f} s, "
        f"{read_now / scoring:,.0f} texts/s, after {starting:.1f} s to start"
    ]
    if done.refused:
        lines.append(f"{shards.rejected_file(output)}: {done.refused:,} rows that can't be scored, and why")
    return "\n".join(lines)
