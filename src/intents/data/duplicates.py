"""Near-duplicates: utterances that differ by little more than a character or two."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, vstack
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import HashingVectorizer

from intents.data.splitting import normal_form

SIMILARITY = 0.8
"""Jaccard similarity of character-bigram sets from which two utterances are near-duplicates."""
BLOCK_ROWS = 1000


def representatives(texts: Iterable[str]) -> "pd.Series[str]":
    """For each utterance the first, in sorted order, of the normal forms linked to it by near-duplication."""
    forms = pd.Series([normal_form(text) for text in texts], dtype=object)
    distinct = sorted(set(forms))
    groups = near_duplicate_groups(distinct)
    first = dict(zip(reversed(groups), reversed(distinct), strict=True))
    of_form = {form: first[group] for form, group in zip(distinct, groups, strict=True)}
    return forms.map(of_form)


def near_duplicate_groups(forms: list[str]) -> list[int]:
    """The group number of each normal form; near-duplicates, and what they link, share one."""
    if not forms:
        return []
    vectorizer = HashingVectorizer(analyzer=_bigrams, norm=None, binary=True, alternate_sign=False)
    bigrams = vectorizer.transform(forms)
    links = vstack(
        [_links(bigrams[start : start + BLOCK_ROWS], bigrams) for start in range(0, len(forms), BLOCK_ROWS)]
    )
    return [int(group) for group in connected_components(links, directed=False)[1]]


def _links(block: csr_matrix, everything: csr_matrix) -> csr_matrix:
    """1 where a row of the block and a row of the whole have a Jaccard similarity of SIMILARITY or more."""
    shared = (block @ everything.T).tocoo()
    sizes, block_sizes = np.diff(everything.indptr), np.diff(block.indptr)
    union = block_sizes[shared.row] + sizes[shared.col] - shared.data
    is_near = shared.data >= SIMILARITY * union
    ones = np.ones(int(is_near.sum()), dtype=np.int8)
    return csr_matrix((ones, (shared.row[is_near], shared.col[is_near])), shape=shared.shape)


def _bigrams(form: str) -> list[str]:
    """Pairs of neighbouring characters, the ends marked, so that single characters have some."""
    marked = f"\x02{form}\x03"
    return [marked[i : i + 2] for i in range(len(marked) - 1)]
