"""Cleaning: what is dropped from a raw corpus, why, and what becomes of it; kept for the next time."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from intents.data.corrections import Corrected
from intents.data.sources import RAW_CORPORA, RawCorpus
from intents.data.utterances import name_form
from intents.errors import DataError
from intents.parameters.data import AUTO, NONE, DataConfig
from intents.parameters.training.train import BUNDLED_BLACKLIST

BLACKLISTED = "intent is blacklisted"
RARE = "intent has too few rows"
RARE_LOOKALIKE = f"{RARE}, its name looks like a supported one's"
SOURCES = frozenset(Path(name).stem for name in RAW_CORPORA)
"""The datasets that the bundled blacklist belongs to."""
NEAR, FAR = "near", "far"
OVER_CAP = "intent has enough rows without it"
CLEAN_FILE = "clean_wechat_intents.parquet"
CACHED_FILES = (CLEAN_FILE, "cleaning_ledger.parquet", "set_aside.parquet")
"""What is kept of a `CleanCorpus`, in the order of its fields."""
CACHE_FORMAT = 2


@dataclass(frozen=True)
class CleanCorpus:
    """`rows`: what is trained and tested on, with `text_length` in characters, shuffled.

    `ledger`: every dropped row with its `reason`. `set_aside`: the dropped rows whose intent is not supported
    (blacklisted or rare) as out-of-scope material; `kind` is "near" where an intent of the same stem is
    supported (肯定(没问题) beside 肯定(好的)), else "far". Rows whose intent's name looks like a supported one's are
    none: they may well be of that intent.
    """

    rows: pd.DataFrame
    ledger: pd.DataFrame
    set_aside: pd.DataFrame


@dataclass(frozen=True)
class Blacklist:
    """Intents to set aside, of the rows of `datasets` alone, or of all rows where that is None."""

    name: str
    intents: frozenset[str] = frozenset()
    datasets: frozenset[str] | None = None

    def covers(self, rows: pd.DataFrame) -> "pd.Series[bool]":
        """Whether each row is set aside."""
        is_named = rows["label"].isin(self.intents)
        return is_named if self.datasets is None else is_named & rows["dataset"].isin(self.datasets)

    def __str__(self) -> str:
        if self.datasets is None:
            return self.name
        return f"{self.name}, for {', '.join(sorted(self.datasets))} alone"


def blacklist(named: str, datasets: Iterable[str]) -> Blacklist:
    """The blacklist that the parameter names, for a corpus of these datasets. Raises DataError."""
    if named == NONE:
        return Blacklist(NONE)
    if named != AUTO:
        return Blacklist(named, read_blacklist(Path(named)))
    sources = SOURCES.intersection(datasets)
    intents = read_blacklist(Path(BUNDLED_BLACKLIST)) if sources else frozenset()
    return Blacklist(BUNDLED_BLACKLIST, intents, sources)


def read_blacklist(path: Path) -> frozenset[str]:
    """The intents a file names, one a line; lines that begin with # are remarks. Raises DataError."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")  # opening a FIFO would wait for ever
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: the blacklist can't be read ({error}). Expected a UTF-8 file with one intent a line; "
            "blacklist=none sets nothing aside."
        ) from error
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def clean(
    rows: pd.DataFrame,
    blacklist: Blacklist,
    *,
    min_per_intent: int,
    max_per_intent: int,
    split_seed: int,
    as_read: pd.DataFrame | None = None,
) -> CleanCorpus:
    """Drops blacklisted and rare intents, caps the others, shuffles. `rows` needs text and label.

    `as_read` are the rows before corrections, with the same index: the cap draws from them, so that a correction
    changes its own row and at most one other.
    """
    is_blacklisted = blacklist.covers(rows)
    counts = rows.loc[~is_blacklisted, "label"].value_counts()
    is_rare = ~is_blacklisted & rows["label"].isin(counts.index[counts < min_per_intent])
    supported = rows[~is_blacklisted & ~is_rare]
    if supported.empty:
        raise DataError(
            f"cleaning leaves no row: {int(is_blacklisted.sum())} of {len(rows)} rows are of blacklisted intents "
            f"and {int(is_rare.sum())} of intents with fewer than {min_per_intent} rows. "
            "Lower min_per_intent, or pass blacklist=none."
        )
    of_intent = (rows if as_read is None else as_read).groupby("label")
    capped = pd.concat(
        _draw(group, of_intent.get_group(intent), count=max_per_intent, seed=split_seed)
        for intent, group in supported.groupby("label", sort=True)
    )
    looks_supported = _looks_supported(rows["label"], set(supported["label"]))
    reasons = pd.Series(OVER_CAP, index=rows.index, dtype=object)
    reasons[is_rare], reasons[is_rare & looks_supported] = RARE, RARE_LOOKALIKE
    reasons[is_blacklisted] = BLACKLISTED
    ledger = rows.assign(reason=reasons).drop(index=capped.index)
    aside = ledger[(ledger["reason"] != OVER_CAP) & ~looks_supported[ledger.index]]
    shuffled = capped.sample(frac=1.0, random_state=split_seed).reset_index(drop=True)
    shuffled["text_length"] = shuffled["text"].str.len()
    set_aside = _set_aside(aside, supported_intents=set(supported["label"]))
    return CleanCorpus(shuffled, ledger.reset_index(drop=True), set_aside)


def _looks_supported(labels: "pd.Series[str]", supported: set[str]) -> "pd.Series[bool]":
    """Whether each label is a supported intent's name, or looks like one."""
    forms = set(map(name_form, supported))
    return labels.map({label: name_form(label) in forms for label in labels.unique()}).astype(bool)


def _draw(group: pd.DataFrame, as_read: pd.DataFrame, *, count: int, seed: int) -> pd.DataFrame:
    """At most so many rows of an intent: those that a correction brought, then the others in random order."""
    if len(group) <= count:
        return group
    order = as_read.sample(frac=1.0, random_state=seed).index  # begins with what sample(n=count) would draw
    brought = group.index.difference(order, sort=False)
    return group.loc[[*brought, *order[order.isin(group.index)]][:count]]


def _stem(intent: str) -> str:
    return name_form(intent).split("(")[0]


def _set_aside(aside: pd.DataFrame, *, supported_intents: set[str]) -> pd.DataFrame:
    stems = {_stem(intent) for intent in supported_intents}
    kinds = aside["label"].map(lambda intent: NEAR if _stem(intent) in stems else FAR)
    return aside.assign(kind=kinds.astype(object)).drop(columns=["label", "reason"]).reset_index(drop=True)


def cleaned(
    corrected: Corrected, named: Blacklist, *, config: DataConfig, as_read: pd.DataFrame
) -> CleanCorpus:
    """`clean`, or its earlier result for the same bytes, corrections and settings; or nothing to clean."""
    if not corrected.raw.needs_cleaning:
        return _as_it_is(corrected.raw)
    folder = Path(config.workspace) / "clean" / _cache_key(corrected, named, config=config)
    cached = _read_cache(folder)
    if cached:
        return cached
    made = clean(corrected.raw.rows, named, as_read=as_read, **config.cleaning())
    _write_cache(made, folder)
    return made


def _as_it_is(raw: RawCorpus) -> CleanCorpus:
    """What cleaning returns, where there is nothing to clean."""
    rows = raw.rows.reset_index(drop=True)
    rows["text_length"] = rows["text"].str.len()
    empty_ledger = raw.rows.iloc[:0].assign(reason=pd.Series(dtype=object))
    return CleanCorpus(rows, empty_ledger, raw.out_of_scope.iloc[:0])


def _cache_key(corrected: Corrected, named: Blacklist, *, config: DataConfig) -> str:
    """Changes with every byte that is cleaned, and with whatever cleaning is told."""
    raw = corrected.raw
    listed = [sorted(named.intents), sorted(named.datasets or ())]
    decided = [asdict(correction) for correction in corrected.decided]
    key = hashlib.sha256(json.dumps([CACHE_FORMAT, config.cleaning(), listed, decided]).encode())
    for file, read in zip(raw.files, raw.digests, strict=True):
        key.update(os.fsencode(file.stem) + read)
    return key.hexdigest()[:32]


def _read_cache(folder: Path) -> CleanCorpus | None:
    """What `_write_cache` wrote, or None where nothing is or it is damaged: then it is put out of the way."""
    if not folder.is_dir():
        return None
    try:
        return CleanCorpus(*(pd.read_parquet(folder / name) for name in CACHED_FILES))
    except (OSError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _write_cache(cleaned: CleanCorpus, folder: Path) -> None:
    """All three files or none: they are written aside and put in place by one rename."""
    aside = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        for name, table in zip(CACHED_FILES, vars(cleaned).values(), strict=True):
            table.to_parquet(aside / name)
        aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        if not (folder / CLEAN_FILE).is_file():
            raise DataError(
                f"{folder}: the cleaned corpus can't be written ({error.strerror}). "
                "Free some space, or name another folder with -P workspace=<path>."
            ) from error
