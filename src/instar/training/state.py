"""Everything that the next step of a training depends on, and its way into a checkpoint and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from instar.training.optimizers import optimizer_state, restore_optimizers
from instar.training.parameters import FlatParameters
from instar.training.regularization import WeightAverage


@dataclass
class Progress:
    """How far a training is.

    step: finished steps of all epochs.
    loss_sum, loss_rows: sum of the losses of the rows seen since the last evaluation, and how many they are.
    best_loss, best_step: the lowest validation loss, and after which step it was measured; last_loss: the latest one.
    renewing_loss: the validation loss with which patience last began anew.
    waits: evaluations since then.
    factor: what a plateau has made of the rate.
    seconds: spent training, interruptions left out.
    stopped_by: ``epochs``, ``patience`` or ``time`` when it is over, and empty before.
    """

    step: int = 0
    loss_sum: float = 0.0
    loss_rows: int = 0
    best_loss: float | None = None
    best_step: int = 0
    last_loss: float | None = None
    renewing_loss: float | None = None
    waits: int = 0
    factor: float = 1.0
    seconds: float = 0.0
    stopped_by: str = ""
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


class TrainingState:
    """Progress, weights, running statistics, optimizers, the average of the weights, and the best weights so far."""

    def __init__(self, parameters: FlatParameters, optimizers: list[Optimizer], average: WeightAverage | None) -> None:
        self.progress = Progress()
        self.parameters, self.optimizers, self.average = parameters, optimizers, average
        self._best: dict[str, Tensor] = {}

    def keep_best(self) -> None:
        """Remember the weights that the network has now."""
        self._best = {name: each.detach().clone() for name, each in self._network().items()}

    @torch.no_grad()
    def restore_best(self) -> None:
        """Give the network the remembered weights, if there are any."""
        _copy(self._best, self._network())

    def pack(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The state as JSON and tensors. Of a training that is over only the best weights are kept."""
        tensors = {f"best/{name}": each for name, each in self._best.items()}
        plain, moments = optimizer_state(self.optimizers)
        if not self.progress.stopped_by:
            tensors |= {f"network/{name}": each for name, each in self._network().items()}
            tensors |= {f"optimizers/{name}": each for name, each in moments.items()}
            tensors |= {f"average/{name}": each for name, each in self._averages().items()}
        return {"progress": asdict(self.progress), "optimizers": plain}, tensors

    @torch.no_grad()
    def unpack(self, plain: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Become what was packed."""
        self.progress = Progress(**plain["progress"])
        device = self.parameters.weights.device
        self._best = {name: each.to(device) for name, each in _part(tensors, "best/").items()}
        if not self.progress.stopped_by:
            _copy(_part(tensors, "network/"), self._network())
            _copy(_part(tensors, "average/"), self._averages())
            restore_optimizers(self.optimizers, plain["optimizers"], _part(tensors, "optimizers/"))

    def _network(self) -> dict[str, Tensor]:
        return {"weights": self.parameters.weights} | {
            f"buffers/{name}": each for name, each in self.parameters.buffers.items()
        }

    def _averages(self) -> dict[str, Tensor]:
        return {str(number): each for number, each in enumerate(self.average.tensors if self.average else ())}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, each in source.items():
        target[name].copy_(each)
