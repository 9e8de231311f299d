"""What heads have in common that tell how odd a row is: no row says it, so they ask something of the inputs instead."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from instar.networks.base import Head


class OddnessHead(Head):
    """What is `Seen` to how badly each input is told, (B, parts), NaN where it is missing: outputs, answer and loss.

    A target is (B, 0): there is nothing to know.
    """

    needs: ClassVar[str] = "inputs"

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        known = ~outputs.isnan()
        counted = known.to(outputs.dtype) if weight is None else known * weight[:, None]
        return (torch.where(known, outputs, 0.0) * counted).sum() / counted.sum().clamp(min=1e-12)

    def answer(self, outputs: Tensor) -> Tensor:
        return outputs

    def soften(self, target: Tensor) -> Tensor:
        return target
