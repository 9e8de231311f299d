"""Numbers as networks see them: as inputs, scaled by what training rows have, and as amounts to be answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from instar.fields._state import array, expect, word
from instar.fields.base import Arrays, Field, Prepared, State
from instar.shapes import Amounts, Text, Vector

# Beyond this a scaled number carries no more than "far away", and float32 must hold it.
FARTHEST = 1e6
LARGEST_WIDTH = 1 << 24


class NumberField(Field):
    """Numbers as an input: scaled, 0 where missing, and an indicator for each that was missing in training rows.

    center, factor: (width,), what is subtracted and multiplied; a constant column has the factor 0.
    flagged: positions of the columns that have an indicator.
    quantiles: (levels, width), where the scaling is by rank.
    """

    kind = "number"
    answer = None

    def __init__(
        self,
        name: str,
        scaling: str,
        center: np.ndarray,
        factor: np.ndarray,
        flagged: np.ndarray,
        quantiles: np.ndarray,
    ) -> None:
        self.name, self.scaling = name, scaling
        self.center, self.factor, self.flagged, self.quantiles = center, factor, flagged, quantiles
        self.shape: Vector = Vector(len(center) + len(flagged), whole=len(center) == 1)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        values = as_rows(arrays.values)
        missing = np.isnan(values)
        numbers = torch.empty((len(values), self.shape.width), dtype=torch.float32)
        width = len(self.center)
        scaled = self._ranked(values) if self.scaling == "quantile" else self._scaled(values)
        scaled[missing] = 0.0
        numbers.numpy()[:, :width] = scaled
        numbers.numpy()[:, width:] = missing[:, self.flagged]
        return {"numbers": numbers}

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (values - self.center) * self.factor
        np.clip(scaled, -FARTHEST, FARTHEST, out=scaled)
        if self.scaling == "robust":
            scaled /= np.sqrt(1.0 + (scaled / 3.0) ** 2)
        return scaled

    def _ranked(self, values: np.ndarray) -> np.ndarray:
        """Ranks among training rows, made normal; ties get the middle of their ranks."""
        import torch

        levels = np.linspace(0.0, 1.0, len(self.quantiles))
        ranks = np.empty(values.shape)
        for column, known in enumerate(self.quantiles.T):
            if not self.factor[column]:
                ranks[:, column] = 0.5
                continue
            upper = np.interp(values[:, column], known, levels)
            lower = -np.interp(-values[:, column], -known[::-1], -levels[::-1])
            ranks[:, column] = (upper + lower) / 2
        normal: np.ndarray = torch.special.ndtri(torch.from_numpy(np.clip(ranks, 1e-7, 1 - 1e-7))).numpy()
        return normal

    def show(self, arrays: Arrays, row: int) -> Text:
        return Text(written(arrays.values[row]))

    def describe(self) -> str:
        width = len(self.center)
        what = "numbers" if width == 1 else f"{width} numbers a row"
        constant = int((self.factor == 0).sum())
        return (
            what + (", missing at times" if len(self.flagged) else "") + (f", {constant} constant" if constant else "")
        )

    def state(self) -> State:
        content = {"role": "input", "scaling": self.scaling}
        return content, {
            "center": self.center,
            "factor": self.factor,
            "flagged": self.flagged,
            "quantiles": self.quantiles,
        }

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> NumberField:
        scaling = word(content, "scaling", "robust", "standard", "quantile")
        center = array(arrays, "center", np.float64, None)
        width = len(center)
        flagged = array(arrays, "flagged", np.int64, None)
        expect(0 < width <= LARGEST_WIDTH and len(flagged) <= width, "width")
        expect(bool(((flagged >= 0) & (flagged < width)).all()), "flagged")
        quantiles = array(arrays, "quantiles", np.float64, None, width)
        expect((len(quantiles) > 1) == (scaling == "quantile"), "quantiles")
        return cls(name, scaling, center, array(arrays, "factor", np.float64, width), flagged, quantiles)


class AmountField(Field):
    """Numbers as a target, scaled to mean 0 and variance 1 on training rows, on a linear or logarithmic scale.

    low, high: (width,), the range of training rows, after the logarithm where there is one.
    """

    kind = "number"
    shape = None

    def __init__(
        self, name: str, logarithmic: bool, center: np.ndarray, scale: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> None:
        self.name, self.logarithmic = name, logarithmic
        self.center, self.scale, self.low, self.high = center, scale, low, high
        self.answer: Amounts = Amounts(len(center))

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        values = as_rows(arrays.values)
        if self.logarithmic:
            values = np.log(np.maximum(values, np.exp(self.low)))
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.clip((values - self.center) / self.scale, -FARTHEST, FARTHEST)
        return {"target": torch.from_numpy(scaled.astype(np.float32))}

    def truth(self, arrays: Arrays) -> np.ndarray:
        return as_rows(arrays.values)

    def decode(self, answers: np.ndarray) -> np.ndarray:
        """Amounts (n, width) in the column's own units."""
        amounts = np.asarray(answers, np.float64) * self.scale + self.center
        if not self.logarithmic:
            return amounts
        # Back from logarithms a small mistake far out is a huge one: no farther than the training range again.
        beyond = self.high - self.low
        return np.exp(np.clip(amounts, self.low - beyond, self.high + beyond))

    def show(self, arrays: Arrays, row: int) -> Text:
        return Text(written(arrays.values[row]))

    def describe(self) -> str:
        if len(self.center) > 1:
            return f"{len(self.center)} amounts a row"
        low, high = (np.exp(self.low), np.exp(self.high)) if self.logarithmic else (self.low, self.high)
        scale = ", learned on a logarithmic scale" if self.logarithmic else ""
        return f"amounts from {written(low[0])} to {written(high[0])}{scale}"

    def state(self) -> State:
        content = {"role": "target", "logarithmic": self.logarithmic}
        return content, {"center": self.center, "scale": self.scale, "low": self.low, "high": self.high}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> AmountField:
        logarithmic = content["logarithmic"]
        expect(isinstance(logarithmic, bool), "logarithmic")
        center = array(arrays, "center", np.float64, None)
        expect(0 < len(center) <= LARGEST_WIDTH, "width")
        scale, low, high = (array(arrays, each, np.float64, len(center)) for each in ("scale", "low", "high"))
        expect(bool((scale > 0).all()), "scale")
        return cls(name, logarithmic, center, scale, low, high)


def written(values: np.ndarray | float) -> str:
    """Numbers as people write them: six significant digits, at most eight of them."""
    row = np.atleast_1d(values)
    return ", ".join("missing" if np.isnan(value) else f"{value:,.6g}" for value in row[:8]) + (
        ", …" if len(row) > 8 else ""
    )


def as_rows(values: np.ndarray) -> np.ndarray:
    """float64 (n, width)."""
    return values.reshape(len(values), -1 if len(values) else int(np.prod(values.shape[1:]))).astype(
        np.float64, copy=False
    )
