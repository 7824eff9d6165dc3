"""Leaving out: a corpus of some intents only, the others being out-of-scope; or with fewer rows to learn from."""

import dataclasses

import numpy as np
import pandas as pd

from intents.data.corpus import Corpus, digest
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.utterances import name_form, normal_form
from intents.errors import DataError

LEFT_OUT = "left_out"


def leave_intents_out(corpus: Corpus, *, in_scope_share: float, seed: int) -> Corpus:
    """The corpus with `in_scope_share` of its intents, drawn at random; the test rows of the others are out-of-scope.

    Nothing of an intent that is left out is trained on, nor does it choose the epoch or the threshold; the corpus's
    own out-of-scope rows are left aside. Raises DataError when fewer than 2 intents would stay, or none would go.
    """
    count = round(in_scope_share * len(corpus.intents))
    if not 2 <= count < len(corpus.intents):
        raise DataError(
            f"known_shares: {in_scope_share:g} of the {len(corpus.intents)} intents of {corpus.name} is {count}; "
            "expected at least 2, and fewer than all. Name other shares."
        )
    drawn = np.random.default_rng(seed).permutation(len(corpus.intents))[:count]
    in_scope = tuple(corpus.intents[i] for i in sorted(drawn))
    is_in_scope = corpus.rows["label"].isin(in_scope)
    rows = corpus.rows[is_in_scope]
    left_out = corpus.rows[~is_in_scope & (corpus.rows["part"] == TEST)]
    # An utterance that stands under an intent in scope too is not out-of-scope, and may have been trained on.
    left_out = left_out[~left_out["text"].map(normal_form).isin(rows["text"].map(normal_form))]
    # Nor is one of an intent whose name looks like that of one in scope: it may well be of that.
    left_out = left_out[~left_out["label"].map(name_form).isin(set(map(name_form, in_scope)))]
    if left_out.empty:
        raise DataError(
            f"{corpus.name}: none of the {len(corpus.intents) - count} intents left out (seed {seed}) has a test row. "
            "Gather more rows, or raise test_size."
        )
    out_of_scope = left_out.drop(columns="label").assign(kind=LEFT_OUT, may_train=False)
    return dataclasses.replace(
        corpus,
        name=f"{corpus.name}, {in_scope_share:.0%} known",
        rows=rows,
        out_of_scope=out_of_scope,
        intents=in_scope,
        digest=digest(rows, out_of_scope),
    )


def leave_rows_out(corpus: Corpus, *, share: float, seed: int) -> Corpus:
    """The corpus with `share` of the training and the validation rows of each intent; the test rows are all there.

    The seed draws them: what a smaller share keeps, a larger one of the same seed keeps too. Each intent keeps a
    training row at least, the validation part one in all. Out-of-scope rows stay; a share of 1 is the corpus as it is.
    """
    if share == 1:
        return corpus
    rows = corpus.rows
    is_kept = rows["part"] == TEST
    for number, part in enumerate((TRAIN, VALIDATION)):
        labels = corpus.part(part)["label"]
        places = _places(labels, generator=np.random.default_rng([seed, number]))
        always = places.groupby(labels).idxmin() if part == TRAIN else places.nsmallest(1).index
        is_kept |= rows.index.isin(places.index[places < share]) | rows.index.isin(always)
    rows = rows[is_kept]
    name = f"{corpus.name}, {share * 100:g}% of the rows"
    return dataclasses.replace(corpus, name=name, rows=rows, digest=digest(rows, corpus.out_of_scope))


def _places(labels: "pd.Series[str]", *, generator: np.random.Generator) -> "pd.Series[float]":
    """Where each row stands in its intent, drawn at random, in [0, 1): those below a share are that share of it.

    An intent's n rows stand 1/n apart, the first of them anywhere in the first 1/n. So a share of 1/2 has 4 of 8 rows,
    and of 5 rows 2 or 3, as often the one as the other: over many intents it is neither more nor less than a half.
    """
    order = labels.sample(frac=1.0, random_state=generator)
    sizes = order.value_counts().sort_index()
    begins = pd.Series(generator.random(len(sizes)), index=sizes.index)
    return (order.groupby(order).cumcount() + order.map(begins)) / order.map(sizes)
