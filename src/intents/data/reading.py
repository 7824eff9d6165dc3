"""Reading: which files a corpus is made of, and one table of rows out of them, whatever their form."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from intents.config import DEFAULT_CORPUS_DIR, SAMPLE_CORPUS_DIR, DataConfig
from intents.data import intents_json, jsonl, tables
from intents.data.problems import Problems
from intents.errors import DataError

INTENTS_FILE = "data.json"
RAW_CORPORA = ("telemarketing_intent_cn.jsonl", "crosswoz.jsonl")
NOISE_FILES = ("noise.jsonl", "noise.json")
PARTS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
PART_FILES = frozenset(f"{prefix}{name}.jsonl" for prefix in ("", "oos_") for name in PARTS)
ROW_COLUMNS = ["text", "label", "dataset", "split", "line"]
OUT_OF_SCOPE_COLUMNS = ["text", "kind", "dataset", "split", "line"]

_READERS: dict[str, Callable[..., pd.DataFrame]] = {
    ".jsonl": jsonl.read,
    ".json": intents_json.read,
    ".csv": tables.read_csv,
    ".parquet": tables.read_parquet,
}
_FORMS = " or ".join(_READERS)


@dataclass(frozen=True)
class RawCorpus:
    """A corpus as it was read, nothing dropped.

    `rows` has one row an in-scope utterance (text, label, dataset, split, line), `out_of_scope` one row an
    utterance of no supported intent (text, kind, dataset, split, line). `split` is the file's or the row's own
    word for its part, "" where it has none. What arrives split, or as .json files alone, is not cleaned.
    """

    name: str
    rows: pd.DataFrame
    out_of_scope: pd.DataFrame
    files: tuple[Path, ...]
    arrives_split: bool = False
    needs_cleaning: bool = False


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
    problems = Problems()
    if any(_arrives_split(path) for path in paths):
        corpus = _read_split_directories(paths, problems)
    else:
        corpus = _read_unsplit_files([file for path in paths for file in _corpus_files(path)], problems)
    for noise in _noise_files(config.noise, paths, read=corpus.files):
        table = _READERS[noise.suffix.lower()](noise, problems, needs_label=False)
        out_of_scope = [corpus.out_of_scope, _out_of_scope(table, noise, split="")]
        corpus = dataclasses.replace(
            corpus, out_of_scope=pd.concat(out_of_scope, ignore_index=True), files=(*corpus.files, noise)
        )
    problems.raise_if_any()
    return corpus


def _corpus_paths(data: str) -> list[Path]:
    if "\0" in data:
        raise DataError(f"data={data[:200]!r}: a NUL can't be part of a file's name. Pass -P data=<path>.")
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


def _noise_files(named: str, corpus: list[Path], *, read: tuple[Path, ...]) -> list[Path]:
    """The files of out-of-scope utterances: the one named, or one of the usual names beside each of the corpus."""
    if not named:
        folders = dict.fromkeys(path if path.is_dir() else path.parent for path in corpus)
        beside = [
            [folder / name for name in NOISE_FILES if (folder / name).is_file()][:1] for folder in folders
        ]
        return [file for files in beside for file in files if file not in read]
    if "\0" in named or Path(named).suffix.lower() not in _READERS:
        raise DataError(f"noise={named[:200]!r}: expected a file ending in {_FORMS}.")
    return [Path(named)]


def _arrives_split(path: Path) -> bool:
    return (path / "train.jsonl").is_file() and (path / "test.jsonl").is_file()


def _corpus_files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(
            f"{path}: there is no such file or directory. data= takes a .jsonl, .json, .csv or .parquet file, several "
            f"separated by commas, or a directory. The raw corpora {' and '.join(RAW_CORPORA)} go into "
            f"{DEFAULT_CORPUS_DIR}; the bundled sample is data={SAMPLE_CORPUS_DIR}."
        )
    if path.is_dir():
        return [path / INTENTS_FILE] if (path / INTENTS_FILE).is_file() else _raw_files(path)
    if path.suffix.lower() not in _READERS:
        raise DataError(f"{path}: can't read {path.suffix or 'a file without ending'!r}; expected {_FORMS}.")
    return [path]


def _raw_files(directory: Path) -> list[Path]:
    files = sorted(file for file in directory.glob("*.jsonl") if file.name not in NOISE_FILES)
    if not files:
        raise DataError(
            f"{directory}: neither {INTENTS_FILE} nor a .jsonl file is in this directory. "
            "Name a corpus with -P data=<path>; .csv and .parquet files are named one by one."
        )
    parts = [file.name for file in files if file.name in PART_FILES]
    if parts:
        raise DataError(
            f"{directory}: holds {', '.join(parts)}; a corpus that arrives split has both train.jsonl and "
            "test.jsonl. Add what is missing, or give these files other names to have them read as raw rows."
        )
    return files


def _read_unsplit_files(files: list[Path], problems: Problems) -> RawCorpus:
    _refuse_repeats(files)
    frames = []
    for file in files:
        table = _READERS[file.suffix.lower()](file, problems, needs_label=True)
        frames.append(table.assign(dataset=file.stem)[ROW_COLUMNS])
    return RawCorpus(
        name="+".join(
            file.resolve().parent.name if file.name == INTENTS_FILE else file.stem for file in files
        ),
        rows=pd.concat(frames, ignore_index=True),
        out_of_scope=_no_out_of_scope(),
        files=tuple(files),
        needs_cleaning=any(file.suffix.lower() != ".json" for file in files),
    )


def _read_split_directories(directories: list[Path], problems: Problems) -> RawCorpus:
    unsplit = [str(path) for path in directories if not _arrives_split(path)]
    if unsplit:
        raise DataError(
            f"{', '.join(unsplit)} can't be read together with a corpus that arrives split: its rows have no part. "
            "Train on one of them, or add its rows to the other's train.jsonl."
        )
    _refuse_repeats(directories)
    rows, out_of_scope, files = [], [_no_out_of_scope()], []
    for name, directory in [(name, directory) for directory in directories for name in PARTS]:
        file, oos_file = directory / f"{name}.jsonl", directory / f"oos_{name}.jsonl"
        if file.is_file():
            table = jsonl.read(file, problems, needs_label=True)
            rows.append(table.assign(dataset=directory.name, split=PARTS[name])[ROW_COLUMNS])
            files.append(file)
        if oos_file.is_file():
            table = jsonl.read(oos_file, problems, needs_label=False)
            out_of_scope.append(_out_of_scope(table, oos_file, split=PARTS[name]))
            files.append(oos_file)
    return RawCorpus(
        "+".join(directory.resolve().name for directory in directories),
        pd.concat(rows, ignore_index=True),
        pd.concat(out_of_scope, ignore_index=True),
        files=tuple(files),
        arrives_split=True,
    )


def _refuse_repeats(paths: list[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise DataError(
                f"{path} is named twice in data=, so that each of its rows would count twice. Name it once."
            )
        seen.add(path.resolve())


def _no_out_of_scope() -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=object) for column in OUT_OF_SCOPE_COLUMNS})


def _out_of_scope(table: pd.DataFrame, file: Path, *, split: str) -> pd.DataFrame:
    """Rows of an out-of-scope file; their kind is their own `kind`, or "given" where they have none."""
    kinds = table["kind"].where(table["kind"] != "", "given")
    return table.assign(kind=kinds, dataset=file.stem, split=split)[OUT_OF_SCOPE_COLUMNS]
