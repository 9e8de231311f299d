"""How weights are drawn before training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

INITIALIZATIONS = ("auto", "lecun", "glorot", "he", "orthogonal", "uniform")

_DRAWS = frozenset({Tensor.normal_, Tensor.uniform_})

_AUTOMATIC = {"relu": "he", "elu": "he", "gelu": "he", "silu": "he", "mish": "he"}
_AUTOMATIC |= {"sigmoid": "glorot", "tanh": "glorot", "step": "glorot", "linear": "glorot"}


class Undrawn(torch.overrides.TorchFunctionMode):
    """Within it nothing is drawn: for a network on the ``meta`` device, whose weights come from a file.

    Drawing numbers that are not there loads torch's compiler, which takes two seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func in _DRAWS or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _lecun(layer: nn.Linear | _ConvNd) -> None:
    # Variance 1 / fan-in, which is what the "linear" gain of He's rule comes to.
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")


def _uniform(layer: nn.Linear | _ConvNd) -> None:
    # PyTorch's own rule: uniform within 1 / sqrt(fan-in), for weights and for thresholds.
    layer.reset_parameters()


_RULES: dict[str, Callable[[nn.Linear | _ConvNd], object]] = {
    "lecun": _lecun,
    "glorot": lambda layer: nn.init.xavier_normal_(layer.weight),
    "he": lambda layer: nn.init.kaiming_normal_(layer.weight, nonlinearity="relu"),
    "orthogonal": lambda layer: nn.init.orthogonal_(layer.weight),
    "uniform": _uniform,
}


def initialize_weights(module: nn.Module, rule: str, activation: str) -> None:
    """Draw the weights of all dense and convolutional layers in ``module`` anew; their thresholds become 0.

    ``lecun`` has variance 1 / fan-in (LeCun, Bottou, Orr & Mueller 1998), ``glorot`` 2 / (fan-in + fan-out) (Glorot &
    Bengio 2010), ``he`` 2 / fan-in (He, Zhang, Ren & Sun 2015), ``orthogonal`` keeps lengths (Saxe, McClelland &
    Ganguli 2014), ``uniform`` is PyTorch's own rule; ``auto`` is the one that was made for the activation.
    """
    draw = _RULES[_AUTOMATIC.get(activation, "lecun") if rule == "auto" else rule]
    for layer in module.modules():
        if isinstance(layer, nn.Linear | _ConvNd):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            draw(layer)
