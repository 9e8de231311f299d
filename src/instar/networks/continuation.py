"""The head that continues a sequence: from what is known before each symbol to how likely each symbol is then."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks.base import Followed, Head
from instar.shapes import Continuation

_LEAST = 1e-12
# Probabilities that are looked at together, where nobody learns from them.
_MOST_LOGITS = 2**24


class ContinuationHead(Head):
    """Cross entropy of each symbol, the mean over all symbols of the batch (Bengio, Ducharme, Vincent & Jauvin 2003).

    A target is (B, length) int32, 0 after a row's end and -1 in the whole row where it is missing.
    """

    needs: ClassVar[str] = "followed"

    def __init__(self, width: int, answer: Continuation) -> None:
        super().__init__()
        self.constant_loss, self.characters = answer.entropy or 1.0, answer.characters
        self.output = nn.Linear(width, answer.vocabulary)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Followed) -> Followed:
        return features

    def loss(self, outputs: Followed, target: Tensor, weight: Tensor | None = None) -> Tensor:  # type: ignore[override]
        length = outputs.steps.shape[1]
        symbols = target[:, :length].clamp(min=0).long()
        counted = (symbols != 0).to(outputs.steps.dtype)
        if weight is not None:
            counted = counted * weight[:, None]
        losses = F.cross_entropy(self.output(outputs.steps).flatten(0, 1), symbols.flatten(), reduction="none")
        return (losses * counted.flatten()).sum() / counted.sum().clamp(min=_LEAST).mul(self.constant_loss)

    def answer(self, outputs: Followed) -> Tensor:  # type: ignore[override]
        symbols = outputs.symbols
        known = symbols != 0
        few = max(1, _MOST_LOGITS // (self.output.out_features * symbols.shape[1]))
        nats = torch.cat(
            [
                F.cross_entropy(self.output(steps).transpose(1, 2), row, reduction="none")
                for steps, row in zip(outputs.steps.split(few), symbols.split(few), strict=True)
            ]
        )
        characters = known.long()
        if self.characters:
            characters = torch.tensor(self.characters, device=symbols.device)[symbols]
        return torch.stack([(nats * known).sum(1), known.sum(1), (characters * known).sum(1)], 1)

    def soften(self, target: Tensor) -> Tensor:
        return target
