"""Reading: which files a corpus is made of, and one table of rows out of them, whatever their form."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from intents.data.formats.by_suffix import READABLE, READERS
from intents.data.formats.lines import named, place_looked_at, require_file, require_name, unreadable
from intents.data.problems import Problems, listed
from intents.errors import DataError
from intents.parameters.data import DEFAULT_CORPUS_DIR, SAMPLE_CORPUS_DIR, DataConfig

INTENTS_FILE = "data.json"
RAW_CORPORA = ("telemarketing_intent_cn.jsonl", "crosswoz.jsonl")
NOISE_FILES = ("noise.jsonl", "noise.json")
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Parts, by the names that they arrive under."""
PART_FILES = frozenset(f"{prefix}{name}.jsonl" for prefix in ("", "oos_") for name in PARTS)
ROW_COLUMNS = ["text", "label", "dataset", "split", "line"]
OUT_OF_SCOPE_COLUMNS = ["text", "kind", "dataset", "split", "line"]
NO_OUT_OF_SCOPE = pd.DataFrame(columns=OUT_OF_SCOPE_COLUMNS, dtype=object)


@dataclass(frozen=True)
class RawCorpus:
    """A corpus as it was read, nothing dropped.

    `rows` has one row an in-scope utterance (text, label, dataset, split, line), `out_of_scope` one row an
    utterance of no supported intent (text, kind, dataset, split, line). `split` is the file's or the row's own
    word for its part, "" where it has none. What arrives split, or as .json files alone, is not cleaned.
    `digests` are the SHA-256 of the files' bytes, `notes` what a person should know of how they were read.
    """

    name: str
    rows: pd.DataFrame
    out_of_scope: pd.DataFrame
    files: tuple[Path, ...]
    arrives_split: bool = False
    needs_cleaning: bool = False
    digests: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()

    def place(self, row: "pd.Series[Any]") -> str:
        """The file and the line of one of the rows; its dataset in place of the file where two files may be meant."""
        if self.arrives_split:
            files = [
                f for f in self.files if f.parent.name == row["dataset"] and PARTS.get(f.stem) == row["split"]
            ]
        else:
            files = [file for file in self.files if file.stem == row["dataset"]]
        return f"{files[0] if len(files) == 1 else row['dataset']}:{row['line']}"


class _Reader:
    """Reads files one by one: what is wrong with them goes to `problems`, what their bytes were to `digests`."""

    def __init__(self) -> None:
        self.problems = Problems()
        self.digests: dict[Path, bytes] = {}

    def table(self, file: Path, *, needs_label: bool) -> pd.DataFrame:
        """The rows of a file that stays as it is while it is read. Raises DataError."""
        self.digests[file] = _digest(file)
        table = READERS[file.suffix.lower()](file, self.problems, needs_label=needs_label)
        if _digest(file) != self.digests[file]:
            raise DataError(
                f"{file}: was changed or replaced while it was read, so its rows may be of either version. "
                "Run again when nobody writes it."
            )
        return table


def _digest(file: Path) -> bytes:
    require_file(file)
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").digest()
    except OSError as error:
        raise unreadable(file, error) from error


def read(config: DataConfig) -> RawCorpus:
    """The corpus that `config.data` and `config.noise` name. Raises DataError."""
    try:
        return _read(config)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise DataError(
            f"data={config.data[:200]!r}, noise={config.noise[:200]!r}: can't be read ({error.strerror}). "
            "Check the names and the permissions of these files and their folders."
        ) from error


def _read(config: DataConfig) -> RawCorpus:
    paths = _corpus_paths(config.data)
    reader = _Reader()
    if any(_arrives_split(path) for path in paths):
        corpus = _read_split_directories(paths, reader)
    else:
        corpus = _read_unsplit_files([file for path in paths for file in _corpus_files(path)], reader)
    for noise in _noise_files(config.noise, paths, read=corpus.files):
        table = reader.table(noise, needs_label=False)
        given = pd.concat([corpus.out_of_scope, _out_of_scope(table, noise, split="")], ignore_index=True)
        corpus = dataclasses.replace(corpus, out_of_scope=given, files=(*corpus.files, noise))
    reader.problems.raise_if_any()
    unread = [_unread(path, read=corpus.files) for path in paths if path.is_dir()]
    return dataclasses.replace(
        corpus,
        digests=tuple(reader.digests[file] for file in corpus.files),
        notes=(*reader.problems.notes, *(note for note in unread if note)),
    )


def _unread(directory: Path, *, read: tuple[Path, ...]) -> str:
    """A line on the files in a directory that could be read and were not; "" without any."""
    known = {file.resolve() for file in read}
    beside = [file.name for file in _readable_files(directory) if file.resolve() not in known]
    if not beside:
        return ""
    return (
        f"{len(beside)} file(s) in {directory} are not read: {listed(beside)}. Name those that belong to the corpus "
        "one by one in data=."
    )


def _readable_files(directory: Path) -> list[Path]:
    files = (file for file in directory.iterdir() if not file.name.startswith("."))
    return sorted(file for file in files if file.suffix.lower() in READERS and file.is_file())


def _corpus_paths(data: str) -> list[Path]:
    if "\0" in data:
        raise DataError(f"data={data[:200]!r}: a NUL can't be part of a file's name. Pass -P data=<path>.")
    paths = [named(part) for part in data.split(",") if part.strip()]
    for path in paths:
        require_name(path)
    if paths:
        return paths
    if present := [path for name in RAW_CORPORA if (path := Path(DEFAULT_CORPUS_DIR) / name).is_file()]:
        return present
    if Path(SAMPLE_CORPUS_DIR).is_dir():
        return [Path(SAMPLE_CORPUS_DIR)]
    raise DataError(
        f"no corpus: neither {' nor '.join(RAW_CORPORA)} is in {DEFAULT_CORPUS_DIR}, and the bundled sample "
        f"{SAMPLE_CORPUS_DIR} is not below {Path.cwd()}. Run from the project's folder, or pass -P data=<path>."
    )


def _noise_files(noise: str, corpus: list[Path], *, read: tuple[Path, ...]) -> list[Path]:
    """The files of out-of-scope utterances: the one named, or one of the usual names beside each of the corpus."""
    if not noise:
        folders = dict.fromkeys(path if path.is_dir() else path.parent for path in corpus)
        usual = [[file for name in NOISE_FILES if (file := folder / name).is_file()] for folder in folders]
        return [file for files in usual for file in files[:1] if file not in read]
    if "\0" in noise or named(noise).suffix.lower() not in READERS:
        raise DataError(f"noise={noise[:200]!r}: expected a file ending in {READABLE}.")
    return [named(noise)]


def _arrives_split(path: Path) -> bool:
    present = {part for name, part in PARTS.items() if (path / f"{name}.jsonl").is_file()}
    return {"train", "test"} <= present


def _corpus_files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(
            f"{path}: there is no such file or directory{place_looked_at(path)}. data= takes a .jsonl, .json, .csv or "
            ".parquet file, several separated by commas, or a directory. The raw corpora "
            f"{' and '.join(RAW_CORPORA)} go into {DEFAULT_CORPUS_DIR}; the bundled sample is data={SAMPLE_CORPUS_DIR}."
        )
    if path.is_dir():
        return [path / INTENTS_FILE] if (path / INTENTS_FILE).is_file() else _raw_files(path)
    if path.suffix.lower() not in READERS:
        raise DataError(
            f"{path}: can't read {path.suffix or 'a file without ending'!r}; expected {READABLE}."
        )
    return [path]


def _raw_files(directory: Path) -> list[Path]:
    files = sorted(file for file in directory.glob("*.jsonl") if file.name not in NOISE_FILES)
    if not files:
        raise DataError(
            f"{directory}: neither {INTENTS_FILE} nor a .jsonl file is in this directory; what could be read there: "
            f"{listed([file.name for file in _readable_files(directory)]) or 'nothing'}. "
            "Name a corpus with -P data=<path>; .csv and .parquet files are named one by one."
        )
    parts = [file.name for file in files if file.name in PART_FILES]
    if parts:
        raise DataError(
            f"{directory}: holds {', '.join(parts)}; a corpus that arrives split has both train.jsonl and "
            "test.jsonl. Add what is missing, or give these files other names to have them read as raw rows."
        )
    return files


def _read_unsplit_files(files: list[Path], reader: _Reader) -> RawCorpus:
    _refuse_repeats(files)
    frames = [reader.table(file, needs_label=True).assign(dataset=file.stem)[ROW_COLUMNS] for file in files]
    names = [file.resolve().parent.name if file.name == INTENTS_FILE else file.stem for file in files]
    return RawCorpus(
        name="+".join(names),
        rows=pd.concat(frames, ignore_index=True),
        out_of_scope=NO_OUT_OF_SCOPE,
        files=tuple(files),
        needs_cleaning=any(file.suffix.lower() != ".json" for file in files),
    )


def _read_split_directories(directories: list[Path], reader: _Reader) -> RawCorpus:
    unsplit = [str(path) for path in directories if not _arrives_split(path)]
    if unsplit:
        raise DataError(
            f"{', '.join(unsplit)} can't be read together with a corpus that arrives split: its rows have no part. "
            "Train on one of them, or add its rows to the other's train.jsonl."
        )
    _refuse_repeats(directories)
    rows, out_of_scope, files = [], [NO_OUT_OF_SCOPE], []
    for directory in directories:
        for part, file in _part_files(directory):
            table = reader.table(file, needs_label=True)
            rows.append(table.assign(dataset=directory.name, split=part)[ROW_COLUMNS])
            files.append(file)
        for part, file in _part_files(directory, prefix="oos_"):
            table = reader.table(file, needs_label=False)
            out_of_scope.append(_out_of_scope(table, file, split=part))
            files.append(file)
    return RawCorpus(
        "+".join(directory.resolve().name for directory in directories),
        pd.concat(rows, ignore_index=True),
        pd.concat(out_of_scope, ignore_index=True),
        files=tuple(files),
        arrives_split=True,
    )


def _part_files(directory: Path, *, prefix: str = "") -> list[tuple[str, Path]]:
    """Each part of a directory that has a file, and the file. Raises DataError where a part has two."""
    found: dict[str, Path] = {}
    for name, part in PARTS.items():
        file = directory / f"{prefix}{name}.jsonl"
        if file.is_file() and found.setdefault(part, file) != file:
            raise DataError(
                f"{directory}: {found[part].name} and {file.name} are both its {part} part. Join them, or give the one "
                "that is not meant another name."
            )
    return list(found.items())


def _refuse_repeats(paths: list[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise DataError(
                f"{path} is named twice in data=, so that each of its rows would count twice. Name it once."
            )
        seen.add(path.resolve())


def _out_of_scope(table: pd.DataFrame, file: Path, *, split: str) -> pd.DataFrame:
    """Rows of an out-of-scope file; their kind is their own `kind`, or "given" where they have none."""
    kinds = table["kind"].where(table["kind"] != "", "given")
    return table.assign(kind=kinds, dataset=file.stem, split=split)[OUT_OF_SCOPE_COLUMNS]
