"""Rows of unequal lengths: whatever is picked from them, each row keeps its content."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from instar.fields import Arrays
from instar.fields._ragged import BLOCK, gather, padded, starts_of

ROWS = st.lists(st.lists(st.integers(-9, 9), max_size=6), max_size=12)


def joined(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([cell for row in rows for cell in row], np.int16), np.array([len(row) for row in rows], np.int64)


def parted(values: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    starts = starts_of(lengths)
    return [values[start:stop].tolist() for start, stop in pairwise(starts)]


@given(ROWS, st.data())
def test_rows_that_are_picked_keep_their_content(rows: list[list[int]], data: st.DataObject) -> None:
    values, lengths = joined(rows)
    picked = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)) if rows else []
    assert parted(*gather(values, starts_of(lengths), np.array(picked, np.int64))) == [rows[row] for row in picked]
    part = data.draw(st.slices(len(rows)))
    assert parted(*gather(values, starts_of(lengths), part)) == rows[part]


@given(ROWS, st.integers(1, 8))
def test_padded_rows_are_cut_or_filled_with_zeros(rows: list[list[int]], width: int) -> None:
    assert padded(*joined(rows), width).tolist() == [(row + [0] * width)[:width] for row in rows]


def test_arrays_give_rows_of_any_length() -> None:
    values, lengths = joined([[1, 2], [], [3, 4, 5]])
    arrays = Arrays(values, np.array([True, False, True]), np.arange(3, dtype=np.uint64), lengths=lengths)
    assert len(arrays) == 3 and arrays.of_row(2).tolist() == [3, 4, 5]
    some = arrays.rows(np.array([2, 0]))
    assert some.values.tolist() == [3, 4, 5, 1, 2] and some.lengths.tolist() == [3, 2]
    assert some.digests.tolist() == [2, 0] and some.rows(slice(1, 2)).values.tolist() == [1, 2]


def test_rows_longer_and_shorter_than_what_is_moved_at_a_time_keep_their_content() -> None:
    lengths = np.array([0, 3, BLOCK - 3, 1, 0, 2 * BLOCK, 5, *[BLOCK // 4] * 9, 0], np.int64)
    values = np.arange(lengths.sum(), dtype=np.int32)
    rows = np.arange(len(lengths))[::-1]
    starts = starts_of(lengths)
    picked, _ = gather(values, starts, rows)
    assert (picked == np.concatenate([values[starts[row] : starts[row + 1]] for row in rows])).all()
    filled = padded(values, lengths, 7)
    for row, (start, length) in enumerate(zip(starts, lengths, strict=False)):
        kept = min(7, int(length))
        assert filled[row].tolist() == [*values[start : start + kept], *[0] * (7 - kept)]
