"""The rules that turn gradients into steps, by name. torch is imported when one is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from instar.training.parameters import FlatParameters


@dataclass(frozen=True)
class OptimizerSpecification:
    """An optimizer's entry.

    build: from all parameters, momentum, and whether it is Nesterov's, to torch optimizers that together step them.
        They all take the same rate, which the loop sets before each step, and leave weight decay to the loop.
    rate, weight_decay: good values where neither a person nor a network's recipe says otherwise.
    source: the paper.
    """

    build: Callable[[FlatParameters, float, bool], list[Optimizer]]
    rate: float
    weight_decay: float
    source: str


def _sgd(parameters: FlatParameters, momentum: float, nesterov: bool) -> list[Optimizer]:
    from torch.optim import SGD

    nesterov = nesterov and momentum > 0
    return [SGD([parameters.weights], lr=1.0, momentum=momentum, nesterov=nesterov, fused=_fused(parameters))]


def _adagrad(parameters: FlatParameters, momentum: float, nesterov: bool) -> list[Optimizer]:
    from torch.optim import Adagrad

    return [Adagrad([parameters.weights], fused=True if parameters.weights.device.type == "cpu" else None)]


def _rmsprop(parameters: FlatParameters, momentum: float, nesterov: bool) -> list[Optimizer]:
    from torch.optim import RMSprop

    return [RMSprop([parameters.weights])]


def _adam(parameters: FlatParameters, momentum: float, nesterov: bool) -> list[Optimizer]:
    from torch.optim import Adam

    return [Adam([parameters.weights], fused=_fused(parameters))]


def _muon(parameters: FlatParameters, momentum: float, nesterov: bool) -> list[Optimizer]:
    """Orthogonalized momentum for the matrices inside the network, Adam for all other parameters.

    Steps of a matrix are scaled to the size that Adam's have, so that one rate serves both (Liu et al. 2025).
    """
    from torch.optim import Adam, Muon

    others: list[Optimizer] = []
    if len(parameters.others):
        others = [Adam([parameters.others], betas=(0.9, 0.95), fused=_fused(parameters))]
    if not parameters.matrices:
        return others
    return [Muon(parameters.matrices, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"), *others]


def _fused(parameters: FlatParameters) -> bool | None:
    """One pass over memory instead of one per operation, where torch has it."""
    return True if parameters.weights.device.type in ("cpu", "cuda", "mps") else None


OPTIMIZERS: dict[str, OptimizerSpecification] = {
    "sgd": OptimizerSpecification(_sgd, 0.05, 0.0, "Robbins & Monro 1951; Polyak 1964; Sutskever et al. 2013"),
    "adagrad": OptimizerSpecification(_adagrad, 0.02, 0.0, "Duchi, Hazan & Singer 2011"),
    "rmsprop": OptimizerSpecification(_rmsprop, 0.001, 0.0, "Tieleman & Hinton 2012"),
    "adam": OptimizerSpecification(_adam, 0.002, 0.0, "Kingma & Ba 2015"),
    "adamw": OptimizerSpecification(_adam, 0.002, 0.1, "Loshchilov & Hutter 2019"),
    "muon": OptimizerSpecification(_muon, 0.005, 0.1, "Jordan et al. 2024; Liu et al. 2025"),
}


def optimizer_state(optimizers: list[Optimizer]) -> tuple[list[Any], dict[str, Any]]:
    """The optimizers' states as JSON and as tensors by name."""
    import torch

    plain: list[Any] = []
    tensors: dict[str, Any] = {}
    for number, optimizer in enumerate(optimizers):
        entries: dict[str, dict[str, Any]] = {}
        for index, values in optimizer.state_dict()["state"].items():
            entries[str(index)] = {}
            for name, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"{number}/{index}/{name}"] = value
                else:
                    entries[str(index)][name] = value
        plain.append(entries)
    return plain, tensors


def restore_optimizers(optimizers: list[Optimizer], plain: list[Any], tensors: dict[str, Any]) -> None:
    """Put back what `optimizer_state` gave."""
    for number, (optimizer, entries) in enumerate(zip(optimizers, plain, strict=True)):
        state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in entries.items()}
        for name, tensor in tensors.items():
            owner, index, key = name.split("/")
            if int(owner) == number:
                state[int(index)][key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
