"""A row's key hashes its inputs' content, so that a row is the same row wherever and whenever it comes."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from instar.errors import UsageError
from instar.fields.digest import mix

# Where most rows have a twin, keeping twins together leaves no exam that looks like the table.
REPEATED_SHARE = 0.5


def row_keys(digests: Mapping[str, np.ndarray]) -> np.ndarray:
    """uint64 (n,) keys from columns' uint64 (n,) digests: the same whatever the columns' order."""
    columns = [
        (np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")), column)
        for name, column in digests.items()
    ]
    if not columns:
        raise UsageError("There is no input column", remedy="Leave at least one column beside the target")
    rows = len(columns[0][1])
    keys = np.zeros(rows, np.uint64)
    step = 1 << 16  # blocks that stay in the processor's cache, and bounded memory
    for start in range(0, rows, step):
        block = keys[start : start + step]
        for salt, column in columns:
            block += mix(np.asarray(column[start : start + step], np.uint64) ^ salt)
        block[:] = mix(block)
    return keys


def repeated_share(keys: np.ndarray) -> float:
    """The share of rows whose key another row has too."""
    if not len(keys):
        return 0.0
    starts = run_starts(np.sort(keys))
    alone = starts & np.append(starts[1:], True)
    return 1.0 - float(alone.mean())


def exam_keys(keys: np.ndarray, occurrences: bool | None = None) -> tuple[np.ndarray, bool]:
    """The keys that decide, and whether they count occurrences because the table mostly repeats its inputs.

    ``occurrences``: what was decided before, if it was.
    """
    keys = np.asarray(keys, np.uint64)
    if occurrences is None:
        occurrences = repeated_share(keys) > REPEATED_SHARE
    if not occurrences:
        return keys, False
    order = np.argsort(keys, kind="stable")
    first = np.flatnonzero(run_starts(keys[order]))
    count = np.arange(len(keys)) - np.repeat(first, np.diff(first, append=len(keys)))
    changed = np.empty_like(keys)
    changed[order] = mix(keys[order] + count.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.where(_scatter(order, count) == 0, keys, changed), True


def outranked(ranks: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """bool (n,): the rows whose key another row has at a higher rank (uint8)."""
    order = np.argsort(keys)
    first = np.flatnonzero(run_starts(keys[order]))
    ranked = ranks[order]
    highest = np.repeat(np.maximum.reduceat(ranked, first), np.diff(first, append=len(ranks)))
    return _scatter(order, ranked < highest)


def run_starts(sorted_values: np.ndarray) -> np.ndarray:
    """bool (n,): where a run of equal values begins."""
    starts = np.ones(len(sorted_values), bool)
    np.not_equal(sorted_values[1:], sorted_values[:-1], out=starts[1:])
    return starts


def _scatter(order: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.empty_like(values)
    out[order] = values
    return out
