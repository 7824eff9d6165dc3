"""Cleaning: what is dropped from a raw corpus, why, and what becomes of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from intents.data.sources import RAW_CORPORA
from intents.data.utterances import name_form
from intents.errors import DataError
from intents.parameters.data import AUTO, NONE
from intents.parameters.training.train import BUNDLED_BLACKLIST

BLACKLISTED = "intent is blacklisted"
RARE = "intent has too few rows"
RARE_LOOKALIKE = f"{RARE}, its name looks like a supported one's"
SOURCES = frozenset(Path(name).stem for name in RAW_CORPORA)
"""The datasets that the bundled blacklist belongs to."""
NEAR, FAR = "near", "far"
OVER_CAP = "intent has enough rows without it"


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
        return (
            self.name
            if self.datasets is None
            else f"{self.name}, for {', '.join(sorted(self.datasets))} alone"
        )


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
