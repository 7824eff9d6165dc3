"""Reading: files in, one table of rows out, every problem named by file and line."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from intents.config import DEFAULT_CORPUS_DIR, SAMPLE_CORPUS_DIR, DataConfig
from intents.errors import DataError

INTENTS_FILE = "data.json"
RAW_CORPORA = ("telemarketing_intent_cn.jsonl", "crosswoz.jsonl")
NOISE_FILES = ("noise.jsonl", "noise.json")
PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
MAX_LINE_BYTES = 1 << 20
MAX_JSON_BYTES = 64 << 20
SHOWN_PROBLEMS = 20
ROW_COLUMNS = ["text", "label", "dataset", "split", "line"]
OUT_OF_SCOPE_COLUMNS = ["text", "kind", "dataset", "split", "line"]


@dataclass(frozen=True)
class RawCorpus:
    """A corpus as it was read, nothing dropped.

    `rows` has one row an in-scope utterance (text, label, dataset, split, line), `out_of_scope` one row an
    utterance of no supported intent (text, kind, dataset, split, line). `split` is the file's or the row's own
    word for its part, "" where it has none. What arrives split, or as one .json file of intents, is not cleaned.
    """

    name: str
    rows: pd.DataFrame
    out_of_scope: pd.DataFrame
    files: tuple[Path, ...]
    arrives_split: bool = False
    needs_cleaning: bool = False


@dataclass
class Problems:
    """What is wrong with the files read so far; raised together."""

    shown: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path, line: int, kind: str, detail: str = "") -> None:
        self.counts[kind] += 1
        if len(self.shown) < SHOWN_PROBLEMS:
            place = f"{path}:{line}" if line else f"{path}"
            self.shown.append(f"{place}: {kind}{': ' + detail if detail else ''}")

    def raise_if_any(self) -> None:
        if self.counts:
            kinds = ", ".join(f"{count} x {kind}" for kind, count in self.counts.most_common())
            raise DataError(
                f"{self.counts.total()} problem(s) in the corpus ({kinds}):\n  "
                + "\n  ".join(self.shown)
                + '\nExpected, in UTF-8: in .jsonl a JSON object a line, {"text": "...", "label": "..."}; in .json one '
                'object, {"intent": ["...", ...]}. Mend or delete these rows, then run again.'
            )


def read(config: DataConfig) -> RawCorpus:
    """The corpus that `config.data` and `config.noise` name. Raises DataError."""
    paths = _corpus_paths(config.data)
    problems = Problems()
    if len(paths) == 1 and _arrives_split(paths[0]):
        corpus = _read_split_directory(paths[0], problems)
    else:
        corpus = _read_unsplit_files([file for path in paths for file in _corpus_files(path)], problems)
    noise = _noise_file(config.noise, paths[0])
    if noise:
        table = _READERS[noise.suffix](noise, problems, needs_label=False)
        more = _out_of_scope(table, noise, split="")
        out_of_scope = pd.concat([corpus.out_of_scope, more], ignore_index=True)
        corpus = dataclasses.replace(corpus, out_of_scope=out_of_scope, files=(*corpus.files, noise))
    problems.raise_if_any()
    return corpus


def _noise_file(named: str, corpus: Path) -> Path | None:
    """The file of out-of-scope utterances: the one named, or one of the usual names beside the corpus."""
    if not named:
        folder = corpus if corpus.is_dir() else corpus.parent
        return next((folder / name for name in NOISE_FILES if (folder / name).is_file()), None)
    if Path(named).suffix not in _READERS:
        raise DataError(f"noise={named!r}: expected a file ending in {' or '.join(_READERS)}.")
    return Path(named)


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


def _corpus_files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(
            f"{path}: there is no such file or directory. data= takes a .jsonl or .json file, several separated by "
            f"commas, or a directory. The raw corpora {' and '.join(RAW_CORPORA)} go into {DEFAULT_CORPUS_DIR}; the "
            f"bundled sample is data={SAMPLE_CORPUS_DIR}."
        )
    if path.is_dir():
        if (path / INTENTS_FILE).is_file():
            return [path / INTENTS_FILE]
        files = sorted(file for file in path.glob("*.jsonl") if file.name not in NOISE_FILES)
        if not files:
            raise DataError(
                f"{path}: neither {INTENTS_FILE} nor a .jsonl file is in this directory. "
                "Name a corpus with -P data=<path>."
            )
        return files
    if path.suffix not in _READERS:
        raise DataError(
            f"{path}: can't read {path.suffix or 'a file without ending'!r}; expected {' or '.join(_READERS)}."
        )
    return [path]


def _read_unsplit_files(files: list[Path], problems: Problems) -> RawCorpus:
    frames = []
    for file in files:
        table = _READERS[file.suffix](file, problems, needs_label=True)
        frames.append(table.assign(dataset=file.stem)[ROW_COLUMNS])
    return RawCorpus(
        name="+".join(
            file.resolve().parent.name if file.name == INTENTS_FILE else file.stem for file in files
        ),
        rows=pd.concat(frames, ignore_index=True),
        out_of_scope=_no_out_of_scope(),
        files=tuple(files),
        needs_cleaning=any(file.suffix == ".jsonl" for file in files),
    )


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
        files=tuple(files),
        arrives_split=True,
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


def _read_json(path: Path, problems: Problems, *, needs_label: bool) -> pd.DataFrame:
    """{intent: [utterance, …]}, or without labels [utterance, …]; columns as of `_read_jsonl`."""
    found = _parse_json_file(path)
    if not isinstance(found, dict if needs_label else list):
        expected = "an object {intent: [utterance, …]}" if needs_label else "a list of utterances"
        raise DataError(f"{path}: expected {expected}, found a {type(found).__name__}.")
    groups = found if isinstance(found, dict) else {"": found}
    texts, labels = [], []
    for intent, utterances in groups.items():
        place = f"intent {intent!r}" if needs_label else "the list"
        rejected = _check_string("the intent's name", intent) if needs_label else None
        if rejected is None and not isinstance(utterances, list):
            rejected = _Rejected("not a list of utterances")
        if rejected is None and needs_label and not utterances:
            rejected = _Rejected("an intent without utterances")
        if rejected:
            problems.add(path, 0, rejected.kind, place)
            continue
        for position, text in enumerate(utterances, start=1):
            rejected = _check_string("text", text)
            if rejected:
                problems.add(path, 0, rejected.kind, f"utterance {position} of {place} {rejected.detail}")
                continue
            texts.append(text)
            labels.append(intent.strip())
    rows = {"text": texts, "label": labels, "split": "", "kind": "", "line": range(1, len(texts) + 1)}
    return pd.DataFrame(rows).astype({"text": object, "label": object, "split": object, "kind": object})


def _parse_json_file(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: expected a readable .json file, found {_what_it_is(path)}.")
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise DataError(f"{path}: over {MAX_JSON_BYTES >> 20} MB; write a corpus this large as .jsonl.")
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}). Check its permissions.") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply. Expected intents with lists of utterances.") from error
    except ValueError as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{path}{line}: not JSON in UTF-8 ({str(error)[:120]}). Mend the file.") from error


_READERS: dict[str, Callable[..., pd.DataFrame]] = {".jsonl": _read_jsonl, ".json": _read_json}


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
        key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {key!r} stands twice")
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
