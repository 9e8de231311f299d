"""The loop with every network that is registered: it learns, and goes on with the same bits where it was stopped."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from encoders import write_encoder
from instar.errors import InterruptionError
from instar.networks import Network, assemble
from instar.networks.base import networks
from instar.pretrained import read_encoder
from instar.shapes import Choice, Grid, Shape, Tokens, Vector
from instar.training.loop import train
from instar.training.settings import resolve
from published import PUBLISHED, UNPUBLISHED
from training_examples import TinyBatches, fingerprint

ROWS = 96


def build(name: str, folder: Path) -> tuple[Network, TinyBatches]:
    """The network for a shape that it takes, with dropout where it can have some, and examples of that shape."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 2, (ROWS,), generator=generator)
    if networks[name].takes(Vector(4, (3,))):
        shape: Shape = Vector(4, (3,))
        numbers = torch.randn(ROWS, 4, generator=generator) + target[:, None]
        inputs = {"numbers": numbers, "codes": torch.randint(0, 3, (ROWS, 1), generator=generator)}
    elif networks[name].takes(Tokens(12, 9)):
        shape = Tokens(12, 9)
        tokens = torch.randint(2, 7, (ROWS, 9), generator=generator, dtype=torch.int32) + 5 * target[:, None].int()
        tokens[torch.arange(9) >= torch.randint(1, 10, (ROWS, 1), generator=generator)] = 0
        inputs = {"tokens/x": tokens, "present/x": torch.rand(ROWS, generator=generator) < 0.9}
    elif networks[name].pretrained:
        known, vocabulary = read_encoder(str(write_encoder(folder / "encoder")))
        shape = Tokens(len(vocabulary.pieces), 9, encoder=known)
        tokens = torch.randint(2, 12, (ROWS, 9), generator=generator, dtype=torch.int32) + 5 * target[:, None].int()
        inputs = {"tokens/x": tokens, "present/x": torch.rand(ROWS, generator=generator) < 0.9}
    else:
        cells = max(16, networks[name].smallest)
        shape = Grid(3, (cells, cells)) if networks[name].takes(Grid(3, (cells, cells))) else Grid(3, (24,))
        grid = torch.randn(ROWS, 3, *shape.extent, generator=generator)
        grid += target.view(-1, *(1,) * (grid.dim() - 1))
        inputs = {"grid/x": grid, "present/x": torch.rand(ROWS, generator=generator) < 0.9}
    has_dropout = "dropout" in {declared.name for declared in networks[name].settings.declared()}
    torch.manual_seed(0)
    network = assemble({"x": shape}, {"y": Choice((ROWS // 2,) * 2)}, name, {"dropout": 0.1} if has_dropout else {})
    network.initialize(inputs, {})
    return network, TinyBatches(inputs, target)


@pytest.mark.parametrize("name", [*UNPUBLISHED, *(pytest.param(name, marks=pytest.mark.slow) for name in PUBLISHED)])
def test_every_network_learns_and_goes_on_with_the_same_bits(name: str, tmp_path: Path) -> None:
    settings = resolve({"batch": 32, "epochs": 3, "device": "cpu", "threads": 1}, networks[name].recipe, ROWS)

    def learn(folder: Path, steps: int = 10**9) -> Network:
        network, batches = build(name, folder)
        asked = itertools.count()
        train(network, batches, batches, settings, folder=folder, seed=3, should_stop=lambda: next(asked) >= steps)
        return network

    whole = learn(tmp_path / "whole")
    for steps in (1, 3):
        with pytest.raises(InterruptionError):
            learn(tmp_path / "parts", steps)
    assert fingerprint(learn(tmp_path / "parts")) == fingerprint(whole)
    assert all(each.grad is None and each.is_contiguous() for each in whole.parameters())
    network, batches = build(name, tmp_path)
    # What normalization remembers of batches lags behind after so few steps: then batches are normalized as they are.
    lags = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in whole.modules())
    with torch.no_grad(), torch.random.fork_rng():
        losses = [each.train(lags).loss(batches.inputs, {"y": batches.target}).item() for each in (network, whole)]
    before, after = losses
    assert after < before
