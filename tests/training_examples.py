"""A small network and small batches for the tests of training; as a program, one training that can be killed."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from instar.seeds import seed_for
from instar.training.settings import TrainingSettings, resolve


@dataclass
class TinyBatch:
    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    weight: Tensor | None
    rows: np.ndarray

    def to(self, device: torch.device) -> TinyBatch:
        inputs = {name: each.to(device) for name, each in self.inputs.items()}
        return TinyBatch(inputs, {name: each.to(device) for name, each in self.targets.items()}, None, self.rows)


@dataclass
class TinyBatches:
    inputs: dict[str, Tensor]
    target: Tensor
    size: int = 32
    seed: int = 0
    shuffle: bool = True
    steps: int = field(init=False)

    def __post_init__(self) -> None:
        self.steps = -(-len(self.target) // self.size)

    def epoch(self, number: int, first_step: int = 0) -> Iterator[TinyBatch]:
        order = np.arange(len(self.target))
        if self.shuffle:
            order = np.random.default_rng(seed_for(self.seed, "order", number)).permutation(order)
        for step in range(first_step, self.steps):
            rows = order[step * self.size : (step + 1) * self.size]
            index = torch.from_numpy(rows)
            yield TinyBatch({k: v[index] for k, v in self.inputs.items()}, {"y": self.target[index]}, None, rows)


class TinyNetwork(nn.Module):
    """Two hidden layers with normalization and dropout; or a small convolutional network for pictures."""

    def __init__(self, dropout: float = 0.0, norm: bool = False, pictures: bool = False, outputs: int = 2) -> None:
        super().__init__()
        first: nn.Module = nn.Linear(4, 16)
        if pictures:
            first = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 16))
        extra: list[nn.Module] = [nn.BatchNorm1d(16)] if norm else []
        self.body = nn.Sequential(first, nn.ReLU(), *extra, nn.Dropout(dropout), nn.Linear(16, 16), nn.ReLU())
        self.heads = nn.ModuleDict({"y": nn.Linear(16, outputs)})
        self.stochastic = dropout > 0
        self.name = "grid/x" if pictures else "numbers"

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"y": self.heads["y"](self.body(inputs[self.name]))}

    def loss(self, inputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], weight: Tensor | None = None) -> Tensor:
        return nn.functional.cross_entropy(self(inputs)["y"], targets["y"])

    def soften(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"y": nn.functional.one_hot(targets["y"], 2).float()}


def make_network(seed: int = 0, **options: Any) -> TinyNetwork:
    torch.manual_seed(seed)
    return TinyNetwork(**options)


def make_batches(rows: int = 400, seed: int = 1, noise: float = 0.0, **options: Any) -> TinyBatches:
    """Two classes by the sign of a product, of which ``noise`` is turned at random."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(rows, 4, generator=generator)
    target = (numbers[:, 0] * numbers[:, 1] > 0).long()
    target = torch.where(torch.rand(rows, generator=generator) < noise, 1 - target, target)
    return TinyBatches({"numbers": numbers}, target, **options)


def make_settings(rows: int = 400, **given: Any) -> TrainingSettings:
    return resolve({"threads": 1, "device": "cpu", "batch": 32, "rate": 0.01, **given}, {}, rows)


def fingerprint(network: nn.Module) -> str:
    """SHA-256 over all tensors of the network."""
    digest = hashlib.sha256()
    for name, each in sorted(network.state_dict().items()):
        digest.update(name.encode() + each.contiguous().numpy().tobytes())
    return digest.hexdigest()


RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dropout, norm and average": (
        {"average": 0.99, "epochs": 8, "schedule": "cosine", "warmup": 20},
        {"dropout": 0.3, "norm": True},
    ),
    "mixup with momentum": ({"optimizer": "sgd", "mixup": 0.4, "epochs": 8, "l1": 1e-4, "l2": 1e-4}, {"dropout": 0.1}),
    "muon on a plateau": ({"optimizer": "muon", "patience": 3, "epochs": 12}, {"norm": True}),
    "adagrad": ({"optimizer": "adagrad", "epochs": 5}, {}),
    "rmsprop": ({"optimizer": "rmsprop", "epochs": 5}, {"dropout": 0.2}),
}


def learn(folder: Path, recipe: str, kill_at: int | None = None) -> str:
    """Train by a recipe, killed without warning before step ``kill_at``; the fingerprint of the weights."""
    from instar.training import record
    from instar.training.loop import train

    record.CHECKPOINT_SECONDS, record.CHECKPOINT_SHARE = 0.01, 0
    given, options = RECIPES[recipe]
    network, asked = make_network(**options), 0

    def kill() -> bool:
        nonlocal asked
        asked += 1
        if kill_at is not None and asked > kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    training, validation = make_batches(), make_batches(200, seed=2, shuffle=False)
    train(network, training, validation, make_settings(**given), folder=folder, seed=7, should_stop=kill)
    return fingerprint(network)


if __name__ == "__main__":
    print(learn(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None))
