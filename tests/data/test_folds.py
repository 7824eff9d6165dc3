"""Folds: every row answered once, by a training that has not seen it or a repeat of it."""

from collections import Counter
from pathlib import Path

import pandas as pd

from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.parameters.data import DataConfig
from tests.conftest import write_jsonl

FOLDS = 5


def corpus_of(folder: Path) -> Corpus:
    """Two intents of 60 utterances each, every one once more with a full stop."""
    rows = [
        {"text": f"{word} {number}{end}", "label": word}
        for word in ("cancel", "refund")
        for number in range(60)
        for end in ("", "!")
    ]
    write_jsonl(folder / "rows.jsonl", rows)
    return corpora.load(DataConfig(data=str(folder / "rows.jsonl"), workspace=str(folder / "cache")))


def folds_of(corpus: Corpus) -> list[Corpus]:
    settings = {"folds": FOLDS, "validation_size": 0.1, "seed": 42}
    return [corpus.fold(number, **settings) for number in range(FOLDS)]


def test_each_row_is_tested_in_one_fold_and_seen_in_the_others(tmp_path: Path):
    corpus = corpus_of(tmp_path)
    folds = folds_of(corpus)
    tested = Counter(index for fold in folds for index in fold.part(TEST).index)
    assert tested == Counter(corpus.rows.index)
    assert all(min(len(fold.part(part)) for part in (TRAIN, VALIDATION, TEST)) > 0 for fold in folds)


def test_repeats_never_stand_on_both_sides(tmp_path: Path):
    for fold in folds_of(corpus_of(tmp_path)):
        forms = fold.rows["text"].str.rstrip("!")
        assert (fold.rows["part"].groupby(forms).nunique() == 1).all()


def test_a_rows_fold_depends_on_no_other_row(tmp_path: Path):
    corpus = corpus_of(tmp_path)
    fewer = Corpus(**vars(corpus) | {"rows": corpus.rows.iloc[::2]})
    for whole, part in zip(folds_of(corpus), folds_of(fewer), strict=True):
        pd.testing.assert_series_equal(whole.rows["part"].loc[part.rows.index], part.rows["part"])
