"""Sequences of symbols as weighted counts of the groups of neighboring symbols in them.

The weights are those of TF-IDF (Spärck Jones 1972; Salton & Buckley 1988): 1 + log of how often a group occurs in the
row, times the logarithm of how rare it is among rows, and each row of length 1. Groups are hashed, and those that most
training rows have are columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from instar.evaluation.rivals.base import SEQUENCE_COLUMNS
from instar.shapes import Tokens

# Where there are fewer symbols than these they are letters or bases, of which longer groups say something.
FEW_SYMBOLS = 128
# Places that groups are hashed to, and of how many of them there are columns at most.
BUCKETS, MOST_TERMS = 2**22, 2**16
# Groups that are counted at once, for memory; and rows that are enough to find components.
BLOCK_GROUPS, COMPONENT_ROWS = 2**22, 20_000
# Codes from here on are symbols: 0 fills a row, and 1 is every symbol that was never learned.
FIRST_SYMBOL = 2
# Bits of a hash that are not used; and odd constants of hashing: Steele, Lea & Flood 2014 (SplitMix), the golden ratio.
_UNUSED = np.uint64(65 - BUCKETS.bit_length())
_FACTOR, _MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x9E3779B97F4A7C15)


def orders(shape: Tokens) -> range:
    """How many neighboring symbols are counted together."""
    return range(1, 7) if shape.vocabulary < FEW_SYMBOLS else range(1, 3)


def groups_of_a_row(shape: Tokens, tokens: np.ndarray) -> float:
    """About how many groups a row (n, length) holds, from the first rows."""
    first = tokens[:1000]
    return np.count_nonzero(first) / max(1, len(first)) * len(orders(shape))


class Terms:
    """Fitted on training rows: which groups are columns, and how rare each is."""

    def __init__(self, shape: Tokens, tokens: np.ndarray) -> None:
        self.orders = orders(shape)
        rows = np.zeros(BUCKETS, np.int64)
        for block in self._blocks(tokens):
            rows += np.bincount(_counted(*self._groups(block), len(block), BUCKETS).indices, minlength=BUCKETS)
        # The most frequent ones, in the order of their buckets.
        frequent = np.sort(np.argsort(-rows, kind="stable")[: min(MOST_TERMS, np.count_nonzero(rows))])
        self.width = len(frequent)
        self.columns = np.full(BUCKETS, -1, np.int32)
        self.columns[frequent] = np.arange(self.width)
        # As if one more row had every group: none is without weight.
        self.rarity = (np.log((1 + len(tokens)) / (1 + rows[frequent])) + 1).astype(np.float32)

    def __call__(self, tokens: np.ndarray) -> Any:
        """(n, width) float32 as a scipy.sparse.csr_matrix, for symbols (n, length)."""
        matrix = self.counts(tokens)
        matrix.data = (1 + np.log(matrix.data)) * self.rarity[matrix.indices]
        squares = np.concatenate([[0.0], np.cumsum(np.square(matrix.data, dtype=np.float64))])
        lengths = np.sqrt(np.diff(squares[matrix.indptr]))
        matrix.data /= np.repeat(lengths, np.diff(matrix.indptr)).astype(np.float32)
        return matrix

    def counts(self, tokens: np.ndarray) -> Any:
        """How often each row has each group: (n, width) float32 as a scipy.sparse.csr_matrix."""
        from scipy import sparse

        counted = []
        for block in self._blocks(tokens):
            rows, buckets = self._groups(block)
            columns = self.columns[buckets]
            known = columns >= 0
            counted.append(_counted(rows[known], columns[known], len(block), self.width))
        return sparse.vstack(counted, format="csr") if counted else sparse.csr_matrix((0, self.width), dtype=np.float32)

    def _blocks(self, tokens: np.ndarray) -> Iterator[np.ndarray]:
        size = max(1, BLOCK_GROUPS // max(1, tokens.shape[1] * len(self.orders)))
        for start in range(0, len(tokens), size):
            yield tokens[start : start + size]

    def _groups(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The row and the bucket of every group of known neighboring symbols in (n, length), int32 each."""
        there = tokens > 0
        rows = np.repeat(np.arange(len(tokens), dtype=np.int32), np.count_nonzero(there, axis=1))
        symbols = tokens[there]
        known = symbols >= FIRST_SYMBOL
        # Rises with every row and every unknown symbol, so that a group within which it rises is none.
        stretch = rows + np.cumsum(~known)
        mixed = symbols.astype(np.uint64)
        of_rows, of_buckets = [], []
        for size in self.orders:
            count = max(0, len(symbols) - size + 1)
            if size > 1:
                mixed = mixed[:count] * _FACTOR + symbols[size - 1 :].astype(np.uint64)
            whole = known[:count] & (stretch[:count] == stretch[size - 1 :])
            hashed = (mixed[whole] + np.uint64(size)) * _MIX
            of_rows.append(rows[:count][whole])
            of_buckets.append(((hashed ^ (hashed >> np.uint64(29))) * _FACTOR >> _UNUSED).astype(np.int32))
        return np.concatenate(of_rows), np.concatenate(of_buckets)


def _counted(rows: np.ndarray, columns: np.ndarray, count: int, width: int) -> Any:
    """How often each pair occurs: (count, width) float32 as a scipy.sparse.csr_matrix."""
    from scipy import sparse

    return sparse.coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(count, width)).tocsr()


class Components:
    """Terms in a few dense columns, those in which rows differ most (Deerwester et al. 1990), for symbols (n, length).

    Where there are no more terms than that, they are the columns themselves.
    """

    def __init__(self, shape: Tokens, tokens: np.ndarray, seed: int) -> None:
        from sklearn.decomposition import TruncatedSVD

        self.terms = Terms(shape, tokens)
        self.components: np.ndarray | None = None
        if self.terms.width > SEQUENCE_COLUMNS:
            generator = np.random.default_rng(seed)
            count = min(len(tokens), COMPONENT_ROWS)
            some = np.sort(generator.choice(len(tokens), count, replace=False))
            decomposition = TruncatedSVD(min(SEQUENCE_COLUMNS, count), random_state=seed)
            self.components = decomposition.fit(self.terms(tokens[some])).components_.T

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """(n, columns) float32."""
        terms = self.terms(tokens)
        dense = terms.toarray() if self.components is None else terms @ self.components
        return np.asarray(dense, np.float32)
