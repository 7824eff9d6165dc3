"""Near-duplicates: utterances that differ by little more than a character or two."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from intents.data.utterances import normal_form

Integers = npt.NDArray[np.int64]
SIMILARITY = (4, 5)
"""Jaccard similarity of character-bigram sets from which two utterances are near-duplicates, as a fraction."""
BLOCK_BIGRAMS = 10_000_000
"""Pairs of about so many bigrams are compared at once: what bounds the memory."""
START, END = "\x02", "\x03"


def representatives(texts: Iterable[str]) -> "pd.Series[str]":
    """For each utterance the first, in sorted order, of the normal forms linked to it by near-duplication."""
    forms = pd.Series([normal_form(text) for text in texts], dtype=object)
    distinct = sorted(set(forms))
    groups = near_duplicate_groups(distinct)
    first = dict(zip(reversed(groups), reversed(distinct), strict=True))
    of_form = {form: first[group] for form, group in zip(distinct, groups, strict=True)}
    return forms.map(of_form)


def near_duplicate_groups(forms: list[str]) -> list[int]:
    """The group number of each normal form; near-duplicates, and what they link, share one.

    Two sets that are this similar must share one of their rarest members (prefix filtering: Chaudhuri et al. 2006;
    the bounds by size: Xiao et al. 2008, PPJoin), so only forms that share a rare bigram are compared.
    """
    if not forms:
        return []
    bigrams = _bigrams(forms)
    groups = np.arange(len(forms))
    for rows, columns, shared in _likely_pairs(bigrams):
        apart = groups[rows] != groups[columns]
        rows, columns = rows[apart], columns[apart]
        common = bigrams[rows].multiply(bigrams[columns]).sum(axis=1).A1
        groups = _joined(groups, rows[common >= shared], columns=columns[common >= shared])
    return [int(group) for group in groups]


def _joined(groups: Integers, rows: Integers, *, columns: Integers) -> Integers:
    """`groups` with the groups of each row and its column made one."""
    names, ends = np.unique([groups[rows], groups[columns]], return_inverse=True)
    graph = coo_matrix((np.ones(len(rows)), ends.reshape(2, -1)), shape=(len(names), len(names)))
    _, components = connected_components(graph, directed=False)
    _, first = np.unique(components, return_index=True)
    renamed = np.arange(len(groups))
    renamed[names] = names[first[components]]
    return renamed[groups]


def _bigrams(forms: list[str]) -> csr_matrix:
    """Which bigrams each form has, the ends marked; bigrams are numbered from the rarest to the most common."""
    marked = [f"{START}{form}{END}" for form in forms]
    written = "".join(marked).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(written, dtype=np.uint32).astype(np.int64)
    owners = np.repeat(np.arange(len(forms)), [len(form) for form in marked])
    within = owners[:-1] == owners[1:]
    pairs, owners = (codes[:-1] << 32 | codes[1:])[within], owners[:-1][within]
    names, bigrams = np.unique(pairs, return_inverse=True)
    cells = np.unique(owners * len(names) + bigrams)
    owners, bigrams = cells // len(names), cells % len(names)
    places = np.empty(len(names), dtype=np.int64)
    places[np.argsort(np.bincount(bigrams, minlength=len(names)), kind="stable")] = np.arange(len(names))
    ones = np.ones(len(cells), dtype=np.int32)
    matrix = csr_matrix((ones, (owners, places[bigrams])), shape=(len(forms), len(names)))
    matrix.sort_indices()
    return matrix


def _likely_pairs(bigrams: csr_matrix) -> Iterator[tuple[Integers, Integers, int]]:
    """Rows, columns and the bigrams they must share to be near-duplicates: every pair that are, and some others."""
    sizes, sketches = np.diff(bigrams.indptr), _sketches(bigrams)
    for large, small in _comparable_sizes(np.unique(sizes)):
        shared = _share(large + small, SIMILARITY[0], whole=sum(SIMILARITY))
        first, second = np.flatnonzero(sizes == large), np.flatnonzero(sizes == small)
        for rows, columns in _candidates(bigrams, first, second=second, shared=shared):
            differ = np.bitwise_count(sketches[rows] ^ sketches[columns])
            is_likely = differ <= large + small - 2 * shared
            yield rows[is_likely], columns[is_likely], shared


def _comparable_sizes(sizes: Integers) -> Iterator[tuple[int, int]]:
    """Every two sizes, the larger one first, at which sets can be similar enough."""
    for large in map(int, sizes):
        least = _share(large, SIMILARITY[0], whole=SIMILARITY[1])
        yield from ((large, int(small)) for small in sizes[(sizes >= least) & (sizes <= large)])


def _share(count: int, part: int, *, whole: int) -> int:
    """`part / whole` of `count`, rounded up."""
    return -(-count * part // whole)


def _sketches(bigrams: csr_matrix) -> npt.NDArray[np.uint64]:
    """64 parities of each row's bigrams: as many of two rows' parities differ as bigrams do, or fewer."""
    bits = np.uint64(1) << (bigrams.indices.astype(np.uint64) % np.uint64(64))
    return np.bitwise_xor.reduceat(bits, bigrams.indptr[:-1])


def _candidates(
    bigrams: csr_matrix, first: Integers, *, second: Integers, shared: int
) -> Iterator[tuple[Integers, Integers]]:
    """Pairs of a row of `first` and one of `second`: all that have `shared` bigrams in common, and some others."""
    rare_first = _rarest(bigrams[first], shared)
    rare_second = _rarest(bigrams[second], shared).T.tocsr()
    compared = np.cumsum(rare_first @ np.diff(rare_second.indptr)) * bigrams[first[:1]].nnz // BLOCK_BIGRAMS
    for block in np.unique(compared):
        start, end = np.searchsorted(compared, [block, block + 1])
        pairs = (rare_first[start:end] @ rare_second).tocoo()
        yield first[start + pairs.row], second[pairs.col]


def _rarest(bigrams: csr_matrix, shared: int) -> csr_matrix:
    """Of each row, all of one size, the rarest bigrams, one of which any row that shares so many has among its own."""
    size = bigrams.indptr[1]
    kept = size - shared + 1
    rows = np.arange(bigrams.shape[0])
    indices = bigrams.indices.reshape(len(rows), size)[:, :kept].ravel()
    ones = np.ones(len(indices), dtype=np.int32)
    return csr_matrix((ones, indices, np.arange(len(rows) + 1) * kept), shape=bigrams.shape)
