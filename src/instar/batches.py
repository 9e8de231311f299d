"""The batches of every epoch: rows of prepared examples in an order of their own, a block of batches at a time.

Preparing thirty columns for 128 rows costs more than a small network's own step, so rows are prepared many batches
at once and handed out as views; and wholly once where all prepared rows fit in a bounded part of memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from instar.prepared import BLOCK_BYTES, Batch, Examples
from instar.seeds import seed_for

# Prepared rows that take no more than this stay in memory for all epochs: a million rows of sixty numbers.
PREPARED_BYTES = 256 * 2**20
# And where a network that has read much makes what it knows of them once, which takes far longer than learning.
FIXED_BYTES = 2**30
# Patches of each row that is looked at again and again while training: more, and the loss would be less a matter of
# chance; but looking at all that a row has would take longer than learning from a patch of each.
WATCHED_PATCHES = 8


class Batches:
    """The batches of every epoch over ``rows``, in an order that comes from (seed, epoch) alone.

    ``steps`` batches of ``size`` rows make an epoch; the last is smaller, and where it would hold a single row, which
    has no variance for a normalization to use, that row joins the batch before it. ``augment`` varies inputs, with
    draws from (seed, epoch, step) alone. Where a patch is seen at a time, a row is another patch of it in every epoch;
    and `WATCHED_PATCHES` rows, the same ones in every epoch, where nothing is varied.
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
    ) -> None:
        self.examples, self.rows = examples, np.asarray(rows, np.int64)
        self.size, self.seed, self.augment, self.shuffle = size, seed, augment, shuffle
        self._prepared: Batch | None = None
        self._watched = examples.patches is not None and not augment
        if self._watched and len(rows):
            self._prepared = Batch.joined(list(self._watched_patches()))
            self.rows = self._prepared.rows.numpy()
        whole, rest = divmod(len(self.rows), size)
        self.steps = whole + (rest > (1 if whole else 0))
        row_bytes = examples.row_bytes if len(self.rows) else 1
        self._per_block = max(1, BLOCK_BYTES // (row_bytes * size))
        most = PREPARED_BYTES if examples.fix is None else FIXED_BYTES
        if self._prepared is None and row_bytes * len(self.rows) <= most:
            self._prepared = self._prepare_all()

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number`` from ``first_step`` on: the same ones, wherever one begins."""
        order = self._order(number)
        if self.examples.patches is not None and not self._watched:
            for step in range(first_step, self.steps):
                yield self._augmented(self._patches(order, number, step), number, step)
            return
        # Blocks lie where they lie for whoever begins at the first step: at another place of memory the same numbers
        # are multiplied in another order and rounded otherwise.
        for step in range(first_step - first_step % self._per_block, self.steps, self._per_block):
            after = min(step + self._per_block, self.steps)
            block = self._gather(order[step * self.size : self._stop(after - 1)])
            for each in range(max(step, first_step), after):
                batch = block[(each - step) * self.size : self._stop(each) - step * self.size]
                yield self._augmented(batch, number, each) if self.augment else batch

    def _watched_patches(self) -> Iterator[Batch]:
        for start in range(0, len(self.rows), self.examples.block_rows):
            whole = self.examples.take(self.rows[start : start + self.examples.block_rows])
            for number in range(WATCHED_PATCHES):
                yield self.examples.cut(whole, seed_for(self.seed, "watched patches", start, number))

    def _patches(self, order: Tensor, epoch: int, step: int) -> Batch:
        """A patch of each row of a step; of the rows no more are held whole at a time than a block has."""
        first, after, few = step * self.size, self._stop(step), self.examples.block_rows
        parts = []
        for start in range(first, after, few):
            whole = self._gather(order[start : min(start + few, after)])
            parts.append(self.examples.cut(whole, seed_for(self.seed, "cut", epoch, start)))
        return Batch.joined(parts)

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

    def _gather(self, positions: Tensor) -> Batch:
        if self._prepared is None:
            return self.examples.take(self.rows[positions.numpy()])
        if not self.shuffle:
            return self._prepared[int(positions[0]) : int(positions[-1]) + 1]
        return self._prepared[positions]

    def _prepare_all(self) -> Batch | None:
        """All rows, prepared a block at a time into tensors of their final size, so that nothing is held twice."""
        whole: Batch | None = None
        first = 0
        for batch in self.examples.in_order(self.rows, self.examples.block_rows):
            if whole is None:
                whole = batch._each(lambda tensor: tensor.new_empty((len(self.rows), *tensor.shape[1:])))
            stop = first + len(batch)
            for mine, theirs in ((whole.inputs, batch.inputs), (whole.targets, batch.targets)):
                for name, tensor in theirs.items():
                    mine[name][first:stop] = tensor
            whole.rows[first:stop] = batch.rows
            first = stop
        return whole
