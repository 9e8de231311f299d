"""What is done to the steps of many series at once: gaps filled, averages of stretches, one length for all.

Series are as `Arrays` holds them: ``values`` (total steps, channels), one after another, and ``lengths`` (n,).
What becomes of one does not depend on the others.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from instar.fields._ragged import padded, starts_of


def interpolated(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Missing steps on the line between their neighbors, and like the nearest at the ends.

    Where a channel of a series has no number at all, it stays NaN.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    starts, places = starts_of(lengths), np.arange(len(values))
    first, last = np.repeat(starts[:-1], lengths), np.repeat(starts[1:] - 1, lengths)
    filled = values.copy()
    for channel in np.flatnonzero(missing.any(axis=0)):
        gaps = np.flatnonzero(missing[:, channel])
        left = np.maximum.accumulate(np.where(missing[:, channel], -1, places))[gaps]
        right = np.minimum.accumulate(np.where(missing[:, channel], len(values), places)[::-1])[::-1][gaps]
        has_left, has_right = left >= first[gaps], right <= last[gaps]
        left, right = np.where(has_left, left, right), np.where(has_right, right, left)
        some = has_left | has_right
        gaps, left, right = gaps[some], left[some], right[some]
        share = (gaps - left) / np.maximum(right - left, 1)
        filled[gaps, channel] = values[left, channel] * (1 - share) + values[right, channel] * share
    return filled


def moments_of_rows(values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, and sum of squares about it, of each series' known numbers; and their count. Each (n, channels)."""
    rows, count = np.repeat(np.arange(len(lengths)), lengths), len(lengths)
    known = ~np.isnan(values)

    def total(weights: np.ndarray) -> np.ndarray:
        sums = [np.bincount(rows, weights[:, channel], count) for channel in range(values.shape[1])]
        return np.stack(sums, axis=1)

    counts = total(known)
    mean = total(np.where(known, values, 0.0)) / np.maximum(counts, 1)
    return mean, total(np.where(known, values - mean[rows], 0.0) ** 2), counts


def averaged(steps: np.ndarray, count: int) -> np.ndarray:
    """A series (steps, channels) as ``count`` steps: the averages of as many equal stretches of it."""
    sums = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    edges = np.linspace(0.0, len(steps), count + 1)
    whole = np.minimum(edges.astype(np.int64), len(steps) - 1)
    reached = sums[whole] + (edges - whole)[:, None] * steps[whole]
    return np.diff(reached, axis=0) * (count / len(steps))


def at_length(values: np.ndarray, lengths: np.ndarray, length: int, rate: float, cut: bool) -> np.ndarray:
    """(n, length, channels): every series at ``rate`` times its length; what is shorter ends with zeros.

    What is longer is averaged down to ``length``, or loses its end where it is ``cut``.
    """
    wanted = np.where(lengths > 0, np.maximum(np.rint(lengths * rate).astype(np.int64), 1), 0)
    if not cut:
        wanted = np.minimum(wanted, length)
    changed = np.flatnonzero(wanted != lengths)
    if not len(changed):
        return padded(values, lengths, length)
    starts = starts_of(lengths)
    kept = np.minimum(wanted, length)
    grid = np.zeros((len(lengths), length, values.shape[1]), values.dtype)
    for row, (begin, end) in enumerate(pairwise(starts)):
        if end > begin:
            steps = values[begin:end]
            steps = steps if end - begin == wanted[row] else averaged(steps, int(wanted[row]))
            grid[row, : kept[row]] = steps[:length]
    return grid
