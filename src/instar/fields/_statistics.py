"""What is learned from more rows than fit into memory: exact moments, and a fair sample for quantiles."""

from __future__ import annotations

import numpy as np

# Of the columns' largest value: a mean in float64 is exact to 16 digits, and what spreads less has hardly a digit left.
LEAST_SPREAD = 1e-12


class Moments:
    """Count, mean, spread and range of each column of (n, width) chunks; NaN counts as missing.

    Chunks are merged by the parallel formula of Chan, Golub & LeVeque 1979.
    """

    def __init__(self, width: int) -> None:
        self.rows = 0
        self.count = np.zeros(width, np.int64)
        self.mean = np.zeros(width)
        self.minimum = np.full(width, np.inf)
        self.maximum = np.full(width, -np.inf)
        self._squares = np.zeros(width)

    def add(self, values: np.ndarray) -> None:
        known = ~np.isnan(values)
        count = known.sum(axis=0)
        filled = np.where(known, values, 0.0)
        total = self.count + count
        # Values near the largest float overflow here; `standard_deviation` then is infinite, and callers see to it.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = filled.sum(axis=0) / np.maximum(count, 1)
            squares = (np.where(known, filled - mean, 0.0) ** 2).sum(axis=0)
            shift = mean - self.mean
            self._squares += squares + shift**2 * (self.count * count / np.maximum(total, 1))
            self.mean += shift * (count / np.maximum(total, 1))
        self.rows += len(values)
        self.count = total
        if len(values):
            self.minimum = np.minimum(self.minimum, np.where(known, values, np.inf).min(axis=0))
            self.maximum = np.maximum(self.maximum, np.where(known, values, -np.inf).max(axis=0))

    @property
    def standard_deviation(self) -> np.ndarray:
        """(width,), 0 where a column's values differ by no more than the rounding of their mean."""
        deviation = np.sqrt(self._squares / np.maximum(self.count, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            rounding = LEAST_SPREAD * np.maximum(np.abs(self.minimum), np.abs(self.maximum))
        return np.where((self.maximum > self.minimum) & ~(deviation <= rounding), deviation, 0.0)


class Reservoir:
    """A uniform sample of at most ``capacity`` rows, the same for the same rows however they are cut into chunks."""

    def __init__(self, capacity: int, width: int) -> None:
        self.capacity = capacity
        self._generator = np.random.default_rng(0)
        self._kept = np.empty((0, width))
        self._ranks = np.empty(0)
        self._bound = np.inf

    def add(self, values: np.ndarray) -> None:
        ranks = self._generator.random(len(values))
        chosen = ranks < self._bound
        self._kept = np.concatenate([self._kept, values[chosen]])
        self._ranks = np.concatenate([self._ranks, ranks[chosen]])
        if len(self._ranks) > self.capacity:
            lowest = np.argpartition(self._ranks, self.capacity - 1)[: self.capacity]
            self._kept, self._ranks = self._kept[lowest], self._ranks[lowest]
            self._bound = self._ranks.max()

    @property
    def rows(self) -> np.ndarray:
        """(at most capacity, width), in no order."""
        return self._kept


class Counter:
    """How often each uint64 value occurs, in bounded memory.

    Of more than ``limit`` different values the rarer half is forgotten now and then, in the manner of lossy counting
    (Manku & Motwani 2002): a value that is frequent keeps nearly its count.
    """

    def __init__(self, limit: int = 1 << 20) -> None:
        self.limit = limit
        self._values = np.empty(0, np.uint64)
        self._counts = np.empty(0, np.int64)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting_size = 0

    def add(self, values: np.ndarray) -> None:
        found, counts = np.unique(values, return_counts=True)
        self._waiting.append((found, counts))
        self._waiting_size += len(found)
        if self._waiting_size > max(len(self._values), 1 << 16):
            self._merge()

    def most_common(self) -> tuple[np.ndarray, np.ndarray]:
        """Values and their counts, the most frequent first, equally frequent ones by value."""
        self._merge()
        order = np.lexsort((self._values, -self._counts))
        return self._values[order], self._counts[order]

    def _merge(self) -> None:
        values = np.concatenate([self._values, *(each for each, _ in self._waiting)])
        counts = np.concatenate([self._counts, *(each for _, each in self._waiting)])
        self._waiting, self._waiting_size = [], 0
        self._values, place = np.unique(values, return_inverse=True)
        self._counts = np.zeros(len(self._values), np.int64)
        np.add.at(self._counts, place, counts)
        if len(self._values) > self.limit:
            kept = np.sort(np.argpartition(-self._counts, self.limit // 2)[: self.limit // 2])
            self._values, self._counts = self._values[kept], self._counts[kept]
