"""A head that asks how pictures were turned and shifted, which only those like the training's tell well.

A network that has learned this of one kind of picture alone has learned what these look like; of others it cannot tell
(Golan & El-Yaniv 2018). Turns and shifts are told by outputs of their own (Hendrycks, Mazeika, Kadavath & Song 2019).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks.base import Inputs, Seen
from instar.networks.oddness import OddnessHead
from instar.shapes import Anomaly, Grid

# How far pictures are shifted, as a share of their sides; and the shifts: along each axis back, not at all, on.
_FAR = 0.25
_SHIFTS = [(rows, columns) for rows in (-1, 0, 1) for columns in (-1, 0, 1)]
_STILL = _SHIFTS.index((0, 0))


class Turning(OddnessHead):
    """What is `Seen` to how badly a picture's turns and shifts are told, (B, 1), NaN where it is missing.

    In training each picture is turned and shifted once, at random; else in eight ways, among them every turn and shift.
    """

    draws = True

    def __init__(self, width: int, shape: Grid, answer: Anomaly) -> None:
        super().__init__()
        self.name = answer.parts[0]
        # A picture that is higher than wide fits itself only upside down.
        self.turns = 8 if shape.extent[0] == shape.extent[1] else 4
        self.far = [max(1, round(_FAR * cells)) for cells in shape.extent]
        self.output = nn.Linear(width, self.turns + len(_SHIFTS))
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Seen) -> Tensor:
        if self.training:
            rows, device = len(features.inputs[f"grid/{self.name}"]), self.output.weight.device
            turn = torch.randint(self.turns, (rows,), device=device)
            shift = torch.randint(len(_SHIFTS), (rows,), device=device)
            error = self._error(features, turn, shift)
        else:
            views = enumerate(shift for shift in range(len(_SHIFTS)) if shift != _STILL)
            error = torch.stack([self._error(features, turn % self.turns, shift) for turn, shift in views]).mean(0)
        return torch.where(features.inputs[f"present/{self.name}"], error, torch.nan)[:, None]

    def _error(self, features: Seen, turn: Tensor | int, shift: Tensor | int) -> Tensor:
        """(B,): the surprise at how each picture is turned and shifted, beside that of whoever guesses."""
        grid = features.inputs[f"grid/{self.name}"]
        asked: Inputs = {**features.inputs, f"grid/{self.name}": self._shifted(self._turned(grid, turn), shift)}
        turned, shifted = self.output(features.features(asked)).split([self.turns, len(_SHIFTS)], 1)
        rows = torch.arange(len(grid), device=grid.device)
        surprise = -turned.log_softmax(1)[rows, turn] - shifted.log_softmax(1)[rows, shift]
        return surprise / math.log(self.turns * len(_SHIFTS))

    def _turned(self, grid: Tensor, turn: Tensor | int) -> Tensor:
        def one(pictures: Tensor, which: int) -> Tensor:
            pictures = pictures.flip(3) if which % 2 else pictures
            return torch.rot90(pictures, (which // 2) * (1 if self.turns == 8 else 2), (2, 3))

        return _each(grid, turn, self.turns, one)

    def _shifted(self, grid: Tensor, shift: Tensor | int) -> Tensor:
        down, along = self.far
        margin = F.pad(grid, (along, along, down, down), mode="reflect")

        def one(pictures: Tensor, which: int) -> Tensor:
            row, column = _SHIFTS[which]
            top, left = down - row * down, along - column * along
            return pictures[:, :, top : top + grid.shape[2], left : left + grid.shape[3]]

        return _each(margin, shift, len(_SHIFTS), one, like=grid)

    def embed(self, outputs: Seen) -> Tensor:
        return outputs.features(outputs.inputs)


def _each(grid: Tensor, which: Tensor | int, count: int, change: object, like: Tensor | None = None) -> Tensor:
    """Each picture changed in its own way, or all in one."""
    assert callable(change)
    if grid.is_meta:
        which = 0  # pictures without content are alike
    if isinstance(which, int):
        changed: Tensor = change(grid, which)
        return changed
    result = torch.empty_like(grid if like is None else like)
    for way in range(count):
        rows = which == way
        result[rows] = change(grid[rows], way)
    return result
