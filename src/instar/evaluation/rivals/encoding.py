"""Prepared inputs as the matrix that an estimator takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.evaluation.rivals.base import Inputs

# Up to so many columns of zeros and ones the matrix is dense, and above it is sparse, up to the second number.
# Categories that do not fit stand as the logarithm of how often they occur.
DENSE_COLUMNS, MOST_COLUMNS = 512, 20_000


class Encoder:
    """Fitted on training inputs alone, then applied to any."""

    def __init__(self, encoding: str, training: Inputs) -> None:
        self.encoding = encoding
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
        self.sparse = total > DENSE_COLUMNS

    def __call__(self, inputs: Inputs) -> Any:
        """(n, columns) float32, as an array or a scipy.sparse.csr_matrix."""
        numbers = np.nan_to_num(inputs.numbers.astype(np.float32, copy=False))
        if not inputs.cardinalities:
            return numbers
        if self.encoding == "ordinal":
            return np.hstack([numbers, inputs.codes.astype(np.float32)])
        rare = [frequency[inputs.codes[:, column]] for column, frequency in self.frequencies.items()]
        dense = np.column_stack([numbers, *rare]) if rare else numbers
        if not self.sparse:
            return np.hstack([dense, *(self._ones(inputs, column).toarray() for column in self.encoded)])
        from scipy import sparse

        return sparse.hstack([dense, *(self._ones(inputs, column) for column in self.encoded)], format="csr")

    def _ones(self, inputs: Inputs, column: int) -> Any:
        from scipy import sparse

        rows, size = len(inputs), inputs.cardinalities[column]
        ones = np.ones(rows, dtype=np.float32)
        return sparse.csr_matrix((ones, inputs.codes[:, column], np.arange(rows + 1)), shape=(rows, size))
