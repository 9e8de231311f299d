"""The head that continues a course: from features, and the course itself, to its next steps."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from instar.networks.base import Head
from instar.networks.heads import output_layer
from instar.shapes import SCALES, Forecast, Grid

_LEAST = 1e-12


class Course(NamedTuple):
    """What a course is continued from: ``features`` (B, width) or (B, members, width), the ``grid`` of the input
    (B, channels, steps), and the ``scale`` of its channels (B, channels, 3)."""

    features: Tensor
    grid: Tensor
    scale: Tensor


class Continued(NamedTuple):
    """``steps`` (B, ahead) or (B, members, ahead) in terms of a row's own history, and that one's ``scale`` (B, 3)."""

    steps: Tensor
    scale: Tensor


class ForecastHead(Head):
    """Absolute error in the terms of a row's own history, over that of repeating its last season.

    The answer is the last season, and what is to be added: a weighted sum of the history (Zeng, Chen, Zhang & Xu 2023),
    and one of the features. Both begin at 0, and so the network begins as the seasonal naive forecast.
    A target is (B, steps), NaN where missing; an answer (B, steps + 3), as `instar.shapes` says.
    """

    needs: ClassVar[str] = "course"

    def __init__(self, width: int, members: int | None, answer: Forecast, shape: Grid) -> None:
        super().__init__()
        self.channel, self.history = answer.channel, shape.extent[0] - shape.ahead
        self.last_season = answer.last_season(self.history)
        self.constant_loss = answer.naive
        self.course = nn.Linear(self.history, answer.steps, bias=False)
        self.output = output_layer(width, members, answer.steps)
        nn.init.zeros_(self.course.weight)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, course: Course) -> Continued:
        history = course.grid[:, self.channel, : self.history]
        base = history[:, self.last_season] + self.course(history)
        added = self.output(course.features)
        steps = base + added if added.dim() == 2 else base[:, None] + added
        return Continued(steps, course.scale[:, self.channel])

    def loss(self, outputs: Continued, target: Tensor, weight: Tensor | None = None) -> Tensor:  # type: ignore[override]
        known = ~target.isnan()
        target, steps = target.nan_to_num(), outputs.steps
        if steps.dim() == 3:
            steps = steps if self.training else steps.mean(1, keepdim=True)
            errors = (steps - target[:, None]).abs().mean(1)
        else:
            errors = (steps - target).abs()
        counted = known.to(errors.dtype) if weight is None else known * weight[:, None]
        return (errors * counted).sum() / counted.sum().clamp(min=_LEAST).mul(self.constant_loss)

    def answer(self, outputs: Continued) -> Tensor:  # type: ignore[override]
        steps = outputs.steps if outputs.steps.dim() == 2 else outputs.steps.mean(1)
        level, spread, _ = outputs.scale.split((1,) * SCALES, 1)
        return torch.cat([level + spread * steps, outputs.scale], 1)

    def soften(self, target: Tensor) -> Tensor:
        return target
