"""Reading: files in, one table of rows out, every problem named by file and line."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from intents.config import DEFAULT_CORPUS_DIR, SAMPLE_CORPUS_DIR, DataConfig
from intents.errors import DataError

RAW_CORPORA = ("telemarketing_intent_cn.jsonl", "crosswoz.jsonl")
NOISE_FILE = "noise.jsonl"
PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
MAX_LINE_BYTES = 1 << 20
SHOWN_PROBLEMS = 20
ROW_COLUMNS = ["text", "label", "dataset", "split", "line"]
OUT_OF_SCOPE_COLUMNS = ["text", "kind", "dataset", "split", "line"]


@dataclass(frozen=True)
class RawCorpus:
    """A corpus as it was read, nothing dropped.

    `rows` has one row an in-scope utterance (text, label, dataset, split, line), `out_of_scope` one row an
    utterance of no supported intent (text, kind, dataset, split, line). `split` is the file's or the row's own
    word for its part, "" where it has none.
    """

    name: str
    rows: pd.DataFrame
    out_of_scope: pd.DataFrame
    arrives_split: bool
    files: tuple[Path, ...]


@dataclass
class Problems:
    """What is wrong with the files read so far; raised together."""

    shown: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path, line: int, kind: str, detail: str = "") -> None:
        self.counts[kind] += 1
        if len(self.shown) < SHOWN_PROBLEMS:
            self.shown.append(f"{path}:{line}: {kind}{': ' + detail if detail else ''}")

    def raise_if_any(self) -> None:
        if self.counts:
            kinds = ", ".join(f"{count} x {kind}" for kind, count in self.counts.most_common())
            raise DataError(
                f"{self.counts.total()} problem(s) in the corpus ({kinds}):\n  "
                + "\n  ".join(self.shown)
                + '\nEvery line must be one JSON object such as {"text": "...", "label": "..."}, in UTF-8. '
                "Mend or delete these lines, then run again."
            )


def read(config: DataConfig) -> RawCorpus:
    """The corpus that `config.data` and `config.noise` name. Raises DataError."""
    paths = _corpus_paths(config.data)
    problems = Problems()
    if len(paths) == 1 and _arrives_split(paths[0]):
        corpus = _read_split_directory(paths[0], problems)
    else:
        corpus = _read_raw_files([file for path in paths for file in _raw_files(path)], problems)
    noise = Path(config.noise) if config.noise else paths[0].parent / NOISE_FILE
    if not config.noise and paths[0].is_dir():
        noise = paths[0] / NOISE_FILE
    if config.noise or noise.is_file():
        more = _out_of_scope(_read_jsonl(noise, problems, needs_label=False), noise, split="")
        out_of_scope = pd.concat([corpus.out_of_scope, more], ignore_index=True)
        corpus = RawCorpus(
            corpus.name, corpus.rows, out_of_scope, corpus.arrives_split, (*corpus.files, noise)
        )
    problems.raise_if_any()
    return corpus


def _corpus_paths(data: str) -> list[Path]:
    named = [Path(part.strip()) for part in data.split(",") if part.strip()]
    if named:
        return named
    present = [Path(DEFAULT_CORPUS_DIR) / name for name in RAW_CORPORA]
    present = [path for path in present if path.is_file()]
    if present:
        return present
    if Path(SAMPLE_CORPUS_DIR).is_dir():
        return [Path(SAMPLE_CORPUS_DIR)]
    raise DataError(
        f"no corpus: neither {' nor '.join(RAW_CORPORA)} is in {DEFAULT_CORPUS_DIR}, and the bundled sample "
        f"{SAMPLE_CORPUS_DIR} is not below {Path.cwd()}. Run from the project's folder, or pass -P data=<path>."
    )


def _arrives_split(path: Path) -> bool:
    return (path / "train.jsonl").is_file() and (path / "test.jsonl").is_file()


def _raw_files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(
            f"{path}: there is no such file or directory. data= takes a .jsonl file, several separated by commas, "
            f"or a directory. The raw corpora {' and '.join(RAW_CORPORA)} go into {DEFAULT_CORPUS_DIR}; the "
            f"bundled sample is data={SAMPLE_CORPUS_DIR}."
        )
    if path.is_dir():
        files = sorted(file for file in path.glob("*.jsonl") if file.name != NOISE_FILE)
        if not files:
            raise DataError(f"{path}: no .jsonl file in this directory. Name a corpus with -P data=<path>.")
        return files
    if path.suffix != ".jsonl":
        raise DataError(f"{path}: can't read {path.suffix or 'a file without ending'!r}; expected .jsonl.")
    return [path]


def _read_raw_files(files: list[Path], problems: Problems) -> RawCorpus:
    frames = []
    for file in files:
        table = _read_jsonl(file, problems, needs_label=True)
        frames.append(table.assign(dataset=file.stem)[ROW_COLUMNS])
    rows = pd.concat(frames, ignore_index=True)
    name = "+".join(file.stem for file in files)
    return RawCorpus(name, rows, _no_out_of_scope(), arrives_split=False, files=tuple(files))


def _read_split_directory(directory: Path, problems: Problems) -> RawCorpus:
    rows, out_of_scope, files = [], [_no_out_of_scope()], []
    for name, part in PARTS.items():
        file, oos_file = directory / f"{name}.jsonl", directory / f"oos_{name}.jsonl"
        if file.is_file():
            table = _read_jsonl(file, problems, needs_label=True)
            rows.append(table.assign(dataset=directory.name, split=part)[ROW_COLUMNS])
            files.append(file)
        if oos_file.is_file():
            table = _read_jsonl(oos_file, problems, needs_label=False)
            out_of_scope.append(_out_of_scope(table, oos_file, split=part))
            files.append(oos_file)
    return RawCorpus(
        directory.resolve().name,
        pd.concat(rows, ignore_index=True),
        pd.concat(out_of_scope, ignore_index=True),
        arrives_split=True,
        files=tuple(files),
    )


def _no_out_of_scope() -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=object) for column in OUT_OF_SCOPE_COLUMNS})


def _out_of_scope(table: pd.DataFrame, file: Path, *, split: str) -> pd.DataFrame:
    """Rows of an out-of-scope file; their kind is their own `kind`, or "given" where they have none."""
    kinds = table["kind"].where(table["kind"] != "", "given")
    return table.assign(kind=kinds, dataset=file.stem, split=split)[OUT_OF_SCOPE_COLUMNS]


def _read_jsonl(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """Columns text, label, split, kind, line; bad lines go to `problems`."""
    if not path.is_file():
        raise DataError(f"{path}: expected a readable .jsonl file, found {_what_it_is(path)}.")
    columns: dict[str, list[Any]] = {name: [] for name in ("text", "label", "split", "kind", "line")}
    try:
        for number, line in _lines(path, problems):
            row = _parse_row(line, needs_label=needs_label)
            if isinstance(row, _Rejected):
                problems.add(path, number, row.kind, row.detail)
                continue
            for name, value in zip(columns, (*row, number), strict=True):
                columns[name].append(value)
    except OSError as error:
        raise DataError(
            f"{path}: can't be read ({error.strerror}). Check the file and its permissions."
        ) from error
    if not columns["text"] and not problems.counts:
        raise DataError(f"{path}: the file holds no rows. Expected one JSON object a line.")
    return pd.DataFrame(columns).astype({"text": object, "label": object, "split": object, "kind": object})


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return "a directory"
    return "something that is not a regular file" if path.exists() else "nothing"


def _lines(path: Path, problems: Problems) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, ended by \\n alone (U+2028 is text), without the byte-order mark; memory stays bounded."""
    with path.open("rb") as handle:
        number = 0
        while line := handle.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
                problems.add(path, number, "the file is UTF-16", "save it as UTF-8")
                return
            if len(line) > MAX_LINE_BYTES:
                problems.add(path, number, "line too long", f"over {MAX_LINE_BYTES} bytes")
                while line and not line.endswith(b"\n"):
                    line = handle.readline(MAX_LINE_BYTES)
                continue
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, line


@dataclass(frozen=True)
class _Rejected:
    kind: str
    detail: str = ""


def _parse_row(line: bytes, *, needs_label: bool) -> tuple[str, str, str, str] | _Rejected:
    """(text, label, split, kind) of one line."""
    try:
        row = json.loads(line.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return _Rejected("not UTF-8", f"byte {error.start}")
    except RecursionError:
        return _Rejected("nested too deeply")
    except ValueError as error:
        return _Rejected("not one JSON object", str(error)[:120])
    if not isinstance(row, dict):
        return _Rejected("not a JSON object", f"a {type(row).__name__}")
    text, label = row.get("text"), row.get("label")
    split, kind = (str(row.get(name) or "").strip() for name in ("split", "kind"))
    for name, value, is_needed in (
        ("text", text, True),
        ("label", label, needs_label),
        ("split", split, False),
        ("kind", kind, False),
    ):
        rejected = _check_string(name, value) if is_needed or value else None
        if rejected:
            return rejected
    return text, label.strip() if label else "", split, kind  # type: ignore[return-value]


def _check_string(name: str, value: object) -> _Rejected | None:
    if not isinstance(value, str):
        return _Rejected(
            f"{name} is missing" if value is None else f"{name} is not a string", repr(value)[:60]
        )
    if not value.strip():
        return _Rejected(f"{name} is blank")
    if "\0" in value:
        return _Rejected(f"{name} holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        return _Rejected(f"{name} holds a lone surrogate")
    return None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key stands twice")
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
