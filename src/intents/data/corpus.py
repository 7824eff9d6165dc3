"""A corpus ready for training: read, cleaned, split, with its ledger and its leaks counted."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from intents.axes import Integers
from intents.data import cleaning, corrections, out_of_scope, sources, splitting
from intents.data import notes as findings
from intents.data.corrections import Correction
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.problems import quoted
from intents.data.sources import RawCorpus
from intents.data.utterances import normal_form
from intents.errors import DataError
from intents.parameters.data import NONE, DataConfig

FEWEST_VALIDATION_ROWS = 100
"""Fewer fit no threshold: of so many, the share that is refused is known to within 4 points."""
FEWEST_AN_INTENT = 2
"""With fewer, an intent has so few rows that it needs them all."""
FEW_ROWS = 2000
"""Up to so many rows beside the test part, a tenth more to train on is worth more than an epoch chosen by them."""


@dataclass(frozen=True)
class Corpus:
    """In-scope rows (text, label, text_length, part, …), out-of-scope rows (text, kind, part, may_train, …), ledger.

    `intents` is sorted; an intent's place in it is its label id. `notes` are findings a person should read.
    `digest` changes when any row, label or part does. `rows_read` counts in-scope rows before corrections and cleaning.
    `corrections` are those that were made.
    """

    name: str
    rows: pd.DataFrame
    out_of_scope: pd.DataFrame
    ledger: pd.DataFrame
    intents: tuple[str, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    rows_read: int
    digest: str
    corrections: tuple[Correction, ...] = ()

    def part(self, name: str) -> pd.DataFrame:
        """The in-scope rows of one part, in corpus order."""
        return self.rows[self.rows["part"] == name]

    def out_of_scope_part(self, name: str) -> pd.DataFrame:
        """The out-of-scope rows of one part, in corpus order."""
        return self.out_of_scope[self.out_of_scope["part"] == name]

    def label_ids(self, part: str = "") -> Integers:
        """The label ids of one part's rows, of all where none is named, shape (B,)."""
        ids = {intent: i for i, intent in enumerate(self.intents)}
        rows = self.part(part) if part else self.rows
        return np.array([ids[label] for label in rows["label"]], dtype=np.int64)

    def trainable_out_of_scope(self) -> list[str]:
        """The out-of-scope utterances that may be trained on."""
        rows = self.out_of_scope_part(TRAIN)
        return list(rows.loc[rows["may_train"], "text"])

    def fold(self, number: int, *, folds: int, validation_size: float, seed: int) -> "Corpus":
        """The corpus with the rows of one fold, from 0, as its test part; out-of-scope rows keep their parts."""
        parts = splitting.fold_parts(
            self.rows["text"], number, folds=folds, validation_size=validation_size, seed=seed
        )
        return replace(self, rows=self.rows.assign(part=parts))

    @property
    def fewest_validation_rows(self) -> int:
        """Fewer are too few to fit a temperature and a threshold on."""
        return max(FEWEST_VALIDATION_ROWS, FEWEST_AN_INTENT * len(self.intents))

    def few_rows_trained_on(self) -> "Corpus":
        """The corpus with its validation rows among the training rows, where they, or all rows together, are few."""
        validation = len(self.part(VALIDATION))
        if validation >= self.fewest_validation_rows and validation + len(self.part(TRAIN)) > FEW_ROWS:
            return self
        rows = self.rows.assign(part=self.rows["part"].replace(VALIDATION, TRAIN))
        of_parts = set(findings.notes(self.rows))
        notes = (*(note for note in self.notes if note not in of_parts), *findings.notes(rows))
        return replace(self, rows=rows, notes=notes, digest=digest(rows, self.out_of_scope))

    def validation_folds(self, folds: int, *, seed: int) -> "Iterator[Corpus]":
        """The corpus as many times, each with a fold of its training rows as its validation part instead.

        Each intent's rows are dealt out over the folds; those of one normal form share one.
        """
        rows = self.part(TRAIN)
        forms = rows["text"].map(normal_form)
        once = rows.assign(form=forms).drop_duplicates("form").sample(frac=1.0, random_state=seed)
        dealt = once.sort_values("label", kind="stable")["form"]
        fold_of = dict(zip(dealt, np.arange(len(dealt)) % folds, strict=True))
        for number in range(folds):
            parts = self.rows["part"].copy()
            parts.loc[rows.index[forms.map(fold_of) == number]] = VALIDATION
            yield replace(self, rows=self.rows.assign(part=parts))

    def summary(self) -> str:
        """One line: what was read, what remains, how it is split."""
        sizes = ", ".join(f"{len(self.part(name)):,} {name}" for name in (TRAIN, VALIDATION, TEST))
        folder = self.files[0].parent
        return (
            f"corpus {self.name} ({folder}): {self.rows_read:,} rows read, {len(self.rows):,} kept "
            f"in {len(self.intents)} intents ({sizes}), {len(self.out_of_scope):,} out-of-scope"
        )

    def opening(self) -> str:
        """The summary and the notes, a line each: what is said before anything is trained."""
        return "\n".join([self.summary(), *(f"note: {note}" for note in self.notes)])

    def description(self) -> str:
        """The summary, the notes, and the account of every row, a line each."""
        account = findings.account(
            self.rows, self.ledger, out_of_scope=self.out_of_scope, rows_read=self.rows_read
        )
        files = f"files: {', '.join(str(file) for file in self.files)}"
        return "\n".join([self.summary(), files, *(f"note: {note}" for note in self.notes), *account])


def load(config: DataConfig, *, selects_on_test: bool = False, cross_fits: bool = False) -> Corpus:
    """The corpus that `config` describes. Raises DataError.

    With `selects_on_test` no validation part is carved: the caller uses the test part in its place, and says so.
    With `cross_fits` there may be none: the caller uses `few_rows_trained_on`.
    """
    read = sources.read(config)
    corrected = corrections.correct(read, config.corrections)
    raw = corrected.raw
    listed = config.blacklist if raw.needs_cleaning else NONE
    blacklist = cleaning.blacklist(listed, raw.rows["dataset"].unique())
    cleaned = cleaning.cleaned(corrected, blacklist, config=config, as_read=read.rows)
    _check_intents(cleaned.rows, raw)
    carved = 0.0 if selects_on_test else config.validation_size
    rows = cleaned.rows.assign(part=_parts(raw, cleaned.rows, config=config, validation_size=carved))
    rejectable, remarks = out_of_scope.gather(
        raw.out_of_scope, cleaned, config=config, validation_size=carved
    )
    intents = tuple(sorted(rows["label"].unique()))
    corpus = Corpus(
        name=raw.name,
        rows=rows,
        out_of_scope=rejectable,
        ledger=_joined(corrected.ledger, cleaned.ledger),
        intents=intents,
        notes=(
            *findings.set_aside(cleaned.ledger, intents, blacklist=blacklist, least=config.min_per_intent),
            *findings.lookalikes(raw.rows["label"]),
            *read.notes,
            *_ignored_parts(raw, config),
            *corrected.notes,
            *findings.notes(rows),
            *remarks,
        ),
        files=raw.files,
        rows_read=len(read.rows),
        digest=digest(rows, rejectable),
        corrections=corrected.decided,
    )
    return _trainable(corpus, raw, config=config, needs_validation=not (selects_on_test or cross_fits))


def _ignored_parts(raw: RawCorpus, config: DataConfig) -> tuple[str, ...]:
    """A note on parts that rows name and the split doesn't follow, where there are any."""
    named = int((raw.rows["split"] != "").sum())
    if raw.arrives_split or config.split == "given" or not named:
        return ()
    return (
        f"{named:,} of {len(raw.rows):,} rows name a part in `split`, which split={config.split} does not follow; "
        "split=given does",
    )


def _parts(
    raw: RawCorpus, rows: pd.DataFrame, *, config: DataConfig, validation_size: float
) -> "pd.Series[str]":
    sizes = {"test_size": config.test_size, "validation_size": validation_size, "seed": config.split_seed}
    if raw.arrives_split or config.split == "given":
        return _given_parts(raw, rows, config=config, validation_size=validation_size)
    if config.split == "grouped":
        return splitting.grouped_parts(rows["text"], **sizes)  # type: ignore[arg-type]
    if config.split == "random":
        return splitting.random_parts(len(rows), **sizes)  # type: ignore[arg-type]
    return splitting.stratified_parts(rows["label"], **sizes)  # type: ignore[arg-type]


def _given_parts(
    raw: RawCorpus, rows: pd.DataFrame, *, config: DataConfig, validation_size: float
) -> "pd.Series[str]":
    """Each row's own part; validation is carved from train (by hash) where none is given."""
    parts = rows["split"].map(sources.PARTS)
    if parts.isna().any():
        raise DataError(
            f"split=given, but {int(parts.isna().sum()):,} of {len(rows):,} rows name no part: "
            f"{_examples(raw, rows[parts.isna()], column='split')}. Expected one of {', '.join(sources.PARTS)}. "
            "Name a part in every row, or use split=grouped."
        )
    if validation_size and not (parts == VALIDATION).any():
        is_train = parts == TRAIN
        carved = splitting.grouped_parts(
            rows.loc[is_train, "text"], test_size=0.0, validation_size=validation_size, seed=config.split_seed
        )
        parts[is_train] = carved.to_numpy()
    return parts


def _examples(raw: RawCorpus, rows: pd.DataFrame, *, column: str) -> str:
    """The places of the first rows, in the order of their lines, and what they say in a column."""
    first = rows.sort_values(["dataset", "line"]).head(findings.EXAMPLES)
    shown = ", ".join(f"{raw.place(row)} ({column} {quoted(row[column])})" for _, row in first.iterrows())
    return shown + (" …" if len(rows) > len(first) else "")


def _check_intents(rows: pd.DataFrame, raw: RawCorpus) -> None:
    counts = rows["label"].value_counts()
    if len(counts) < 2:
        named = "no utterance"
        if len(counts):
            named = f"one intent only, {quoted(counts.index[0])} ({len(rows)} rows)"
        raise DataError(
            f"{raw.name} holds {named}; a classifier needs at least two intents. "
            "Add utterances of other intents, or lower min_per_intent."
        )


def _trainable(corpus: Corpus, raw: RawCorpus, *, config: DataConfig, needs_validation: bool) -> Corpus:
    """The corpus, where every intent can be learned and every part measured."""
    untrained = sorted(set(corpus.intents) - set(corpus.part(TRAIN)["label"]))
    if untrained:
        rows = corpus.rows[corpus.rows["label"].isin(untrained)]
        counts = rows["label"].value_counts()
        named = ", ".join(f"{quoted(intent)} {counts[intent]}" for intent in untrained[:10])
        examples = _examples(raw, rows.drop_duplicates("label"), column="label")
        raise DataError(
            f"{len(untrained)} intent(s) have no training row (rows in all: {named}): {examples}. "
            f"{_how_to_train(rows, raw, config=config)}"
        )
    for part in (VALIDATION, TEST) if needs_validation else (TEST,):
        if corpus.part(part).empty:
            utterances = corpus.rows["text"].map(normal_form).nunique()
            raise DataError(
                f"{corpus.name} has no {part} row among {len(corpus.rows)}, which are {utterances} different "
                "utterance(s); repeats count as one. Gather more that differ."
            )
    return corpus


def _how_to_train(rows: pd.DataFrame, raw: RawCorpus, *, config: DataConfig) -> str:
    """What to do with the rows of intents that have no training row."""
    if raw.arrives_split or config.split == "given":
        return "Add training rows of these intents, correct the names where they are misspelled, or delete their rows."
    forms = rows["text"].map(normal_form).groupby(rows["label"]).nunique()
    if (forms == 1).any() and config.split == "grouped":
        repeated = ", ".join(quoted(intent) for intent in forms.index[forms == 1][:10])
        return (
            f"All rows of {repeated} are one utterance, which stands in one part: add utterances that differ."
        )
    return "Add rows of these intents, or raise min_per_intent so that they are set aside."


def _joined(*ledgers: pd.DataFrame) -> pd.DataFrame:
    """The ledgers as one; concatenating an empty one would change the types of the others' columns."""
    filled = [ledger for ledger in ledgers if not ledger.empty]
    return pd.concat(filled, ignore_index=True) if filled else ledgers[-1]


def digest(*tables: pd.DataFrame) -> str:
    """16 hex digits over every row's text, label or kind, and part, in order."""
    hasher = hashlib.sha256()
    for table in tables:
        columns = [name for name in ("text", "label", "kind", "part") if name in table]
        hasher.update(table[columns].to_csv(index=False).encode("utf-8"))
    return hasher.hexdigest()[:16]
