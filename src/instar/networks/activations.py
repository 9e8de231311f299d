"""What a neuron makes of the sum of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, sums: Tensor) -> Tensor:
        context.save_for_backward(sums)
        return (sums > 0).to(sums.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (sums,) = context.saved_tensors
        return gradients[0] * (sums.abs() <= 1)


class Step(nn.Module):
    """1 where the sum is above 0, else 0 (McCulloch & Pitts 1943).

    The true gradient is 0 everywhere and teaches nothing, so it passes straight through as if the step were the
    identity (Bengio, Leonard & Courville 2013), but not where |sum| > 1, where a small change of the sum cannot
    change the answer (Courbariaux, Hubara, Soudry, El-Yaniv & Bengio 2016).
    """

    def forward(self, sums: Tensor) -> Tensor:
        if torch.is_grad_enabled() and sums.requires_grad:
            return _StraightThrough.apply(sums)
        return (sums > 0).to(sums.dtype)


class ScaledTanh(nn.Module):
    """1.7159 tanh(2/3 x), which maps -1 and 1 to themselves, where its curvature is largest (LeCun et al. 1998)."""

    def forward(self, sums: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(sums * (2 / 3))


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "step": Step,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "scaled-tanh": ScaledTanh,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
}
