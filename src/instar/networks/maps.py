"""Heads that answer cell by cell: from maps (B, width, *extent) to a picture or a mask."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks._layers import CONVOLUTIONS
from instar.networks.base import Head
from instar.networks.heads import HeadSettings
from instar.shapes import NO_CLASS, Mapped, Mask, Picture

_LEAST = 1e-12
_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


class MapHead(Head):
    """What both share: maps are brought to the answer's extent, where it is another, and each cell gets its numbers."""

    needs: ClassVar[str] = "map"

    def __init__(self, width: int, answer: Mapped, outputs: int) -> None:
        super().__init__()
        self.extent = answer.extent
        self.output = CONVOLUTIONS[len(answer.extent)](width, outputs, 1)
        # It begins as the constant answer: a path that leads from the grid itself straight to here may point anywhere.
        nn.init.zeros_(self.output.weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.output(self._sized(features))
        return outputs

    def begin(self, grid: Tensor, target: Tensor) -> None:
        """Set what depends on the data from training rows: the grid, whose channels end the features, and targets."""

    def _sized(self, maps: Tensor) -> Tensor:
        if maps.shape[2:] == self.extent:
            return maps
        return F.interpolate(maps, self.extent, mode=_MODES[len(self.extent)], align_corners=False)


class PictureHead(MapHead):
    """Squared error, the mean over a row's cells. A target is (B, channels, *extent), NaN in a row where it is missing.

    Its field has scaled it to variance 1 on training rows, which is the loss of the constant answer.
    """

    def __init__(self, width: int, answer: Picture) -> None:
        super().__init__(width, answer, answer.channels)

    @torch.no_grad()
    def begin(self, grid: Tensor, target: Tensor) -> None:
        """What is painted is often much like what it is made of: the best linear answer from each cell by itself."""
        seen, wanted = (maps.movedim(1, -1).flatten(0, -2).double() for maps in (self._sized(grid), target))
        known = ~wanted[:, 0].isnan()
        seen, wanted = F.pad(seen[known], (0, 1), value=1.0), wanted[known]
        # Channels may repeat each other: then of all the best answers it is the one of the smallest weights.
        weights = torch.linalg.lstsq(seen.T @ seen, seen.T @ wanted, driver="gelsd").solution.T.float()
        own = self.output.weight[:, -grid.shape[1] :]  # type: ignore[index]
        own.copy_(weights[:, :-1].view_as(own))
        self.output.bias.copy_(weights[:, -1])  # type: ignore[operator]

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        known = (~target.flatten(1)[:, 0].isnan()).to(outputs.dtype)
        counted = known if weight is None else known * weight
        squares = (outputs - target.nan_to_num()).square().flatten(1).mean(1)
        return (squares * counted).sum() / counted.sum().clamp(min=_LEAST)

    def answer(self, outputs: Tensor) -> Tensor:
        return outputs

    def soften(self, target: Tensor) -> Tensor:
        return target


class MaskHead(MapHead):
    """Cross entropy over each cell's softmax probabilities, the mean over all known cells of the batch.

    A target is (B, *extent) uint8, codes of classes and others where nothing is known; or soft,
    (B, classes, *extent), where examples are mixed.

    In patches, which show rare classes more often than they are, the classes are as frequent as in those that it begins
    with: that is ``seen``, (classes,) float32, how many cells of each class there are.
    """

    seen: Tensor | None

    def __init__(self, width: int, answer: Mask, settings: HeadSettings, *, in_patches: bool = False) -> None:
        super().__init__(width, answer, answer.classes)
        self.classes, self.smoothing = answer.classes, settings.label_smoothing
        self.balanced, self.counts = settings.class_weights == "balanced", answer.counts
        self.register_buffer("seen", torch.tensor(answer.counts, dtype=torch.float32) if in_patches else None)
        self._begin_as_constant()

    @torch.no_grad()
    def begin(self, grid: Tensor, target: Tensor) -> None:
        seen = target[target < self.classes].long().bincount(minlength=self.classes).float()
        if self.seen is not None and seen.any():
            # What these few patches lack is as rare as in whole masks, and not as if it had hardly a cell in all.
            counts = seen.new_tensor(self.counts)
            self.seen.copy_(torch.where(seen > 0, seen, counts * (seen.sum() / counts.sum().clamp(min=1))))
            self._begin_as_constant()

    @torch.no_grad()
    def _begin_as_constant(self) -> None:
        self.output.bias.copy_(self._constant()[0])  # type: ignore[operator]

    def _constant(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """The best constant answer's log probabilities (classes,), the classes' weights and the loss of that answer."""
        counts = self.output.bias.new_tensor(self.counts) if self.seen is None else self.seen  # type: ignore[operator]
        # A class without cells is as likely as if it had one: never impossible, since it is known to exist.
        counts = counts.clamp(min=1)
        weights = counts.mean() / counts if self.balanced else None
        expected = counts if weights is None else counts * weights
        likely = (expected / expected.sum()).log()
        loss = -(likely.exp() * likely).sum()
        return likely, weights, torch.where(loss > 0, loss, 1.0)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        _, class_weights, constant_loss = self._constant()
        smoothing = self.smoothing if self.training else 0.0
        if target.is_floating_point():
            known = target.sum(1)
            likely = outputs.log_softmax(1)
            soft = target * (1 - smoothing) + known[:, None] * (smoothing / self.classes)
            if class_weights is not None:
                soft = soft * class_weights.view(-1, *(1,) * len(self.extent))
            losses = -(soft * likely).sum(1)
        else:
            known = target < self.classes
            codes = torch.where(known, target, NO_CLASS).long()
            losses = F.cross_entropy(
                outputs, codes, class_weights, ignore_index=NO_CLASS, reduction="none", label_smoothing=smoothing
            )
        counted = known.to(outputs.dtype)
        if weight is not None:
            each = weight.view(-1, *(1,) * len(self.extent))
            losses, counted = losses * each, counted * each
        return losses.sum() / counted.sum().clamp(min=_LEAST).mul(constant_loss)

    def answer(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1).to(torch.uint8)

    def soften(self, target: Tensor) -> Tensor:
        codes = torch.arange(self.classes, device=target.device).view(-1, *(1,) * len(self.extent))
        return (target[:, None] == codes).float()


def make_map_head(answer: Mapped, width: int, settings: HeadSettings, *, in_patches: bool = False) -> Head:
    """The head for an answer cell by cell, of which one answers a patch at a time or all."""
    if isinstance(answer, Picture):
        return PictureHead(width, answer)
    return MaskHead(width, answer, settings, in_patches=in_patches)
