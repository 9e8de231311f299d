"""Prepared inputs as the matrix that an estimator takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from instar.evaluation.rivals._series import FEATURES, features
from instar.evaluation.rivals._terms import Components, Terms, groups_of_a_row
from instar.evaluation.rivals.base import Inputs, Rival, Sequences

# Up to so many columns of zeros and ones the matrix is dense, and above it is sparse, up to the second number.
# Categories that do not fit stand as the logarithm of how often they occur.
DENSE_COLUMNS, MOST_COLUMNS = 512, 20_000


def affordable(rival: Rival, inputs: Inputs) -> int:
    """How many rows of such inputs a rival can take at most, for its memory and time."""
    width = inputs.width
    if rival.series == "features":
        width += sum(grid.size // grid.extent[-1] * FEATURES - grid.size for grid in inputs.grids if grid.is_course)
    rows = rival.maximum_cells // max(width, 1)
    if rival.sequences is not None:
        groups = sum(groups_of_a_row(shape, tokens) for shape, tokens in inputs.each_sequence())
        rows = min(rows, int(rival.maximum_terms // max(groups, 1)))
    return max(1, rows)


class Encoder:
    """Fitted on training inputs alone, then applied to any. The arguments are those of a `Rival`."""

    def __init__(
        self,
        encoding: str,
        training: Inputs,
        *,
        sequences: Sequences | None = "components",
        series: Literal["flat", "features"] = "flat",
        seed: int = 0,
    ) -> None:
        self.encoding, self.series = encoding, series
        self.encoded: list[int] = []
        self.frequencies: dict[int, np.ndarray] = {}
        total = 0
        for column in np.argsort(training.cardinalities, kind="stable"):
            size = training.cardinalities[column]
            if total + size <= MOST_COLUMNS:
                self.encoded.append(int(column))
                total += size
            else:
                counts = np.bincount(training.codes[:, column], minlength=size)
                self.frequencies[int(column)] = np.log1p(counts).astype(np.float32) / np.log1p(len(training))
        self.sequences: list[Callable[[np.ndarray], Any]] = []
        if sequences == "terms":
            self.sequences = [Terms(shape, tokens) for shape, tokens in training.each_sequence()]
        elif sequences == "components":
            self.sequences = [Components(shape, tokens, seed) for shape, tokens in training.each_sequence()]
        elif sequences == "codes":
            self.sequences = [_as_numbers for _ in training.sequences]
        categories = encoding == "one-hot" and total > DENSE_COLUMNS
        self.sparse = categories or any(isinstance(each, Terms) for each in self.sequences)

    def __call__(self, inputs: Inputs) -> Any:
        """(n, columns) float32, as an array or a scipy.sparse.csr_matrix."""
        parts = [self._numbers(inputs), *self._codes(inputs)]
        # Where sequences are not looked at, nothing encodes them.
        for encode, (_, tokens) in zip(self.sequences, inputs.each_sequence(), strict=False):
            parts.append(encode(tokens))
        parts = [part for part in parts if part.shape[1]] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        if not self.sparse:
            return np.hstack([part if isinstance(part, np.ndarray) else part.toarray() for part in parts])
        from scipy import sparse

        return sparse.hstack(parts, format="csr")

    def _numbers(self, inputs: Inputs) -> np.ndarray:
        if self.series == "flat":
            return np.nan_to_num(inputs.numbers.astype(np.float32, copy=False))
        vectors = inputs.numbers[:, : inputs.numbers.shape[1] - sum(grid.size for grid in inputs.grids)]
        grids = (
            features(grid) if shape.is_course else grid.reshape(len(grid), -1) for shape, grid in inputs.each_grid()
        )
        return np.nan_to_num(np.hstack([vectors, *grids]).astype(np.float32, copy=False))

    def _codes(self, inputs: Inputs) -> list[Any]:
        if self.encoding == "ordinal":
            return [inputs.codes.astype(np.float32)]
        rare = [frequency[inputs.codes[:, column]] for column, frequency in self.frequencies.items()]
        return [*(each[:, None] for each in rare), *(self._ones(inputs, column) for column in self.encoded)]

    def _ones(self, inputs: Inputs, column: int) -> Any:
        from scipy import sparse

        rows, size = len(inputs), inputs.cardinalities[column]
        ones = np.ones(rows, dtype=np.float32)
        return sparse.csr_matrix((ones, inputs.codes[:, column], np.arange(rows + 1)), shape=(rows, size))


def _as_numbers(tokens: np.ndarray) -> np.ndarray:
    return tokens.astype(np.float32)
