"""What keeps a network from learning its examples by heart, as far as it acts on weights and batches.

Early stopping and the rate's decay are in the loop and in `schedules`; dropout and label smoothing are in networks,
augmentation in fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from instar.training.parameters import FlatParameters
from instar.training.settings import TrainingSettings


def regularize_gradient(parameters: FlatParameters, settings: TrainingSettings, norm: float) -> None:
    """Shorten the gradient, whose Euclidean norm is ``norm``, to ``clip``; add that of half of ``l2`` times |w|^2."""
    if settings.clip and norm > settings.clip:
        parameters.gradient.mul_(settings.clip / norm)
    if settings.l2:
        parameters.gradient[: len(parameters.decayed)].add_(parameters.decayed, alpha=settings.l2)


def regularize_weights(parameters: FlatParameters, settings: TrainingSettings, rate: float) -> None:
    """Decay the weights after a step, apart from the gradient, so that no optimizer rescales it.

    Loshchilov & Hutter 2019. L1 is a proximal step (Duchi & Singer 2009): a subgradient would leave weights near zero,
    and never at zero.
    """
    if settings.weight_decay:
        parameters.decayed.mul_(max(0.0, 1.0 - rate * settings.weight_decay))
    if settings.l1:
        parameters.decayed.copy_(torch.nn.functional.softshrink(parameters.decayed, rate * settings.l1))


class WeightAverage:
    """An exponential moving average of the weights, and of running statistics, which belong to them.

    The first steps weigh less, or the average would remember the random beginning for 1 / (1 - decay) steps.
    """

    def __init__(self, parameters: FlatParameters, decay: float) -> None:
        self.decay = decay
        self._live = [
            parameters.weights.detach(),
            *(each for each in parameters.buffers.values() if each.is_floating_point()),
        ]
        self.tensors = [each.clone() for each in self._live]

    def update(self, step: int) -> None:
        """Take in the weights as they are after ``step`` steps."""
        share = 1.0 - min(self.decay, (1 + step) / (10 + step))
        for average, live in zip(self.tensors, self._live, strict=True):
            average.lerp_(live, share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the averaged weights within the block."""
        kept = [each.clone() for each in self._live]
        for live, average in zip(self._live, self.tensors, strict=True):
            live.copy_(average)
        try:
            yield
        finally:
            for live, before in zip(self._live, kept, strict=True):
                live.copy_(before)


def mixable(inputs: Mapping[str, Tensor]) -> bool:
    """Whether examples can be mixed: codes stand for words, and there is nothing between two words."""
    return not any(
        each.numel() and not each.is_floating_point() and each.dtype != torch.bool for each in inputs.values()
    )


def mixup(
    inputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], strength: float, seed: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mix every example with another one of the batch (Zhang et al. 2018), inputs and targets by the same share.

    The share is drawn once a batch from Beta(strength, strength). ``targets`` are soft: a sum of two of them has a
    meaning. What is no number (whether a picture is there) is taken from the pair's first example.
    """
    generator = np.random.default_rng(seed)
    share = float(generator.beta(strength, strength))
    rows = len(next(iter(targets.values())))
    partner = torch.from_numpy(generator.permutation(rows))

    def mixed(each: Tensor) -> Tensor:
        return torch.lerp(each[partner.to(each.device)], each, share) if each.is_floating_point() else each

    return {name: mixed(each) for name, each in inputs.items()}, {name: mixed(each) for name, each in targets.items()}
