"""Rows of unequal lengths, one after another in one array: texts, recordings, series, lists of labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# So many values are moved at a time, since the places of each take eight bytes, several times over.
BLOCK = 2**16


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Where each of n rows starts, and where the last one ends: (n + 1,) int64, from their lengths (n,)."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def gather(values: np.ndarray, starts: np.ndarray, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
    """Some rows (int64, or a slice) of ``values`` (total, ...): their values one after another, and their lengths."""
    if isinstance(rows, slice):
        first, stop, step = rows.indices(len(starts) - 1)
        if step == 1:
            stop = max(first, stop)
            return values[starts[first] : starts[stop]], np.diff(starts[first : stop + 1])
        most = len(starts)  # a longer step goes as far
        rows = np.arange(first, stop, min(max(step, -most), most), dtype=np.int64)
    firsts = starts[rows]
    lengths = starts[rows + 1] - firsts
    ends = starts_of(lengths)
    gathered = np.empty((int(ends[-1]), *values.shape[1:]), values.dtype)
    for block in _blocks(ends):
        gathered[ends[block.start] : ends[block.stop]] = values[positions(firsts[block], lengths[block])]
    return gathered, lengths


def _blocks(starts: np.ndarray) -> Iterator[slice]:
    """Consecutive rows of about `BLOCK` values together, or one row that is longer."""
    rows, first = len(starts) - 1, 0
    while first < rows:
        after = int(np.searchsorted(starts, starts[first] + BLOCK, side="right")) - 1
        yield slice(first, first := min(rows, max(first + 1, after)))


def positions(firsts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``first, first + 1, ...`` of each row, as many as it is long, one row after another: int64 (sum of lengths,)."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(firsts - (ends - lengths), lengths)


def padded(values: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    """The first ``width`` values of each of n rows as (n, width, ...), zeros where a row is shorter."""
    kept = np.minimum(lengths, width)
    filled = np.zeros((len(lengths), width, *values.shape[1:]), values.dtype)
    flat = filled.reshape(len(lengths) * width, *values.shape[1:])
    starts, places = starts_of(lengths), np.arange(len(lengths)) * width
    for block in _blocks(starts):
        flat[positions(places[block], kept[block])] = values[positions(starts[block], kept[block])]
    return filled
