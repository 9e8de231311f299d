"""The batches of every epoch: rows of prepared examples in an order of their own, a block of batches at a time.

Preparing thirty columns for 128 rows costs more than a small network's own step, so rows are prepared many batches
at once and handed out as views; and wholly once where all prepared rows fit in a bounded part of memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from instar.prepared import BLOCK_BYTES, Batch, Examples, watched_seed
from instar.seeds import seed_for

# Prepared rows that take no more than this stay in memory for all epochs: a million rows of sixty numbers.
PREPARED_BYTES = 256 * 2**20
# And where a network that has read much makes what it knows of them once, which takes far longer than learning.
FIXED_BYTES = 2**30


class Batches:
    """The batches of every epoch over ``rows``, in an order that comes from (seed, epoch) alone.

    ``steps`` batches of ``size`` rows make an epoch; the last is smaller, and where it would hold a single row, which
    has no variance for a normalization to use, that row joins the batch before it. ``augment`` varies inputs, with
    draws from (seed, epoch, step) alone. Where a patch is seen at a time, a row is another patch of it in every epoch;
    ``watched``, it is the same ones in every epoch, as many as `Examples.watched` has of it.
    """

    def __init__(
        self,
        examples: Examples,
        rows: np.ndarray,
        *,
        size: int,
        seed: int,
        augment: bool = False,
        shuffle: bool = True,
        watched: bool = False,
    ) -> None:
        self.examples, self.rows = examples, np.asarray(rows, np.int64)
        self.size, self.seed, self.augment, self.shuffle = size, seed, augment, shuffle
        self.watched = watched and examples.patches is not None
        kept_bytes, seen_bytes = 1, 1
        if len(self.rows):
            seen_bytes = examples.seen_bytes
            kept_bytes = seen_bytes if self.watched else examples.row_bytes
        most = PREPARED_BYTES if examples.fix is None else FIXED_BYTES
        self._prepared: Batch | None = None
        if len(self.rows) and kept_bytes * len(self.rows) <= most:
            if self.watched:
                self._prepared = examples.watched(self.rows, seed, most)
            else:
                self._prepared = Batch.joined(len(self.rows), examples.in_order(self.rows, examples.block_rows))
            self.rows = self._prepared.rows.numpy()
        whole, rest = divmod(len(self.rows), size)
        self.steps = whole + (rest > (1 if whole else 0))
        self._per_block = max(1, BLOCK_BYTES // (seen_bytes * size))

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number`` from ``first_step`` on: the same ones, wherever one begins."""
        order = self._order(number)
        # Blocks lie where they lie for whoever begins at the first step: at another place of memory the same numbers
        # are multiplied in another order and rounded otherwise.
        for step in range(first_step - first_step % self._per_block, self.steps, self._per_block):
            after = min(step + self._per_block, self.steps)
            block = self._gather(order[step * self.size : self._stop(after - 1)], number)
            for each in range(max(step, first_step), after):
                batch = block[(each - step) * self.size : self._stop(each) - step * self.size]
                yield self._augmented(batch, number, each) if self.augment else batch

    def _augmented(self, batch: Batch, epoch: int, step: int) -> Batch:
        return self.examples.augment(batch, seed_for(self.seed, "augment", epoch, step))

    def _stop(self, step: int) -> int:
        """The position after the last row of a step."""
        return len(self.rows) if step == self.steps - 1 else (step + 1) * self.size

    def _order(self, epoch: int) -> Tensor:
        """Positions in ``rows``."""
        if not self.shuffle:
            return torch.arange(len(self.rows))
        generator = torch.Generator().manual_seed(seed_for(self.seed, "order", epoch))
        return torch.randperm(len(self.rows), generator=generator)

    def _gather(self, positions: Tensor, epoch: int) -> Batch:
        """The rows at these positions, or what a network sees of them in an epoch."""
        seen_whole = self.examples.patches is None
        if seen_whole or (self.watched and self._prepared is not None):
            return self._take(positions.numpy())
        if self.watched:
            seeds = [watched_seed(self.seed, place) for place in positions.tolist()]
        else:
            seeds = [seed_for(self.seed, "cut", epoch, place) for place in positions.tolist()]
        return self.examples.cut(positions.numpy(), [[seed] for seed in seeds], self._take)

    def _take(self, positions: np.ndarray) -> Batch:
        if self._prepared is None:
            return self.examples.take(self.rows[positions])
        if not self.shuffle:
            return self._prepared[int(positions[0]) : int(positions[-1]) + 1]
        return self._prepared[torch.from_numpy(positions)]
