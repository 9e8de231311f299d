"""Each regularizer of weights and batches does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from instar.training.loop import train
from instar.training.parameters import FlatParameters
from instar.training.regularization import WeightAverage, mixable, mixup, regularize_gradient
from training_examples import TinyNetwork, make_batches, make_network, make_settings


def learned(folder: Path, **given: Any) -> TinyNetwork:
    network = make_network()
    settings = make_settings(epochs=20, **given)
    train(network, make_batches(noise=0.3), None, settings, folder=folder / repr(given), seed=1)
    return network


def size(network: TinyNetwork) -> float:
    return sum(each.square().sum().item() for each in network.parameters() if each.ndim == 2)


@pytest.mark.parametrize("name", ["l2", "weight_decay"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_l2_and_decay_keep_weights_small(name: str, optimizer: str, tmp_path: Path) -> None:
    sizes = [size(learned(tmp_path, optimizer=optimizer, **{name: value})) for value in (0.0, 0.03, 0.3)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_decay_takes_a_share_of_weights_and_nothing_of_biases(tmp_path: Path) -> None:
    # At a rate so small the gradient of one step does nothing that could be seen beside the decay.
    network, before = make_network(), make_network()
    settings = make_settings(optimizer="sgd", rate=1e-6, weight_decay=1e5, schedule="constant", momentum=0.0)
    train(network, make_batches(32), None, settings, folder=tmp_path, seed=1, epochs=1)
    for after, old in zip(network.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(after, old * (0.9 if after.ndim == 2 else 1.0), rtol=1e-4, atol=2e-6)


def test_l2_is_the_gradient_of_half_the_squared_weights() -> None:
    network = make_network()
    parameters = FlatParameters(network)
    loss = network.loss(make_batches().inputs, {"y": make_batches().target})
    (loss + 0.5 * 0.1 * sum(each.square().sum() for each in network.parameters() if each.ndim == 2)).backward()
    expected = parameters.gradient.clone()
    parameters.gradient.zero_()
    network.loss(make_batches().inputs, {"y": make_batches().target}).backward()
    with torch.no_grad():
        regularize_gradient(parameters, make_settings(l2=0.1, clip=0.0), norm=1.0)
    torch.testing.assert_close(parameters.gradient, expected)


@pytest.mark.parametrize(("optimizer", "strength"), [("sgd", 0.05), ("adam", 0.3)])
def test_l1_makes_weights_exactly_zero(optimizer: str, strength: float, tmp_path: Path) -> None:
    networks = [learned(tmp_path, optimizer=optimizer, l1=value) for value in (0.0, strength)]
    zeros = [sum((each == 0).sum().item() for each in network.parameters()) for network in networks]
    assert zeros[0] == 0
    assert zeros[1] > 50


def test_clipping_shortens_a_long_gradient_and_leaves_a_short_one() -> None:
    parameters = FlatParameters(make_network())
    settings = make_settings(clip=2.0)
    for scale, norm in ((10.0, 2.0), (0.1, 0.1)):
        parameters.gradient.normal_(generator=torch.Generator().manual_seed(1))
        parameters.gradient.mul_(scale / parameters.gradient.norm())
        direction = parameters.gradient / parameters.gradient.norm()
        regularize_gradient(parameters, settings, scale)
        torch.testing.assert_close(parameters.gradient, direction * norm)


def test_clipping_limits_what_one_step_does(tmp_path: Path) -> None:
    distances = []
    for clip in (0.0, 1e-3):
        network, before = make_network(), make_network()
        settings = make_settings(optimizer="sgd", rate=1.0, momentum=0.0, schedule="constant", clip=clip)
        train(network, make_batches(32), None, settings, folder=tmp_path / str(clip), seed=1, epochs=1)
        both = zip(network.parameters(), before.parameters(), strict=True)
        distances.append(sum((after - old).square().sum().item() for after, old in both) ** 0.5)
    assert distances[0] > 0.01
    assert distances[1] == pytest.approx(1e-3, rel=1e-3)


def test_the_average_is_of_the_weights_and_weighs_the_beginning_less() -> None:
    parameters = FlatParameters(make_network(norm=True))
    average = WeightAverage(parameters, decay=0.9)
    with torch.no_grad():
        for step in range(1, 400):
            parameters.weights.fill_(1.0 if step < 5 else 3.0 + (-1) ** step)
            average.update(step)
    assert average.tensors[0].min() > 2.8
    assert average.tensors[0].max() < 3.2
    live = parameters.weights.detach().clone()
    with torch.no_grad(), average.in_place():
        assert torch.equal(parameters.weights, average.tensors[0])
    assert torch.equal(parameters.weights, live)


def test_the_averaged_weights_are_the_ones_that_are_evaluated_and_kept(tmp_path: Path) -> None:
    validation = make_batches(200, seed=2, shuffle=False)
    network = make_network(norm=True)
    settings = make_settings(epochs=10, average=0.98, schedule="constant")
    outcome = train(network, make_batches(), validation, settings, folder=tmp_path, seed=1)
    losses = [
        network.loss({"numbers": validation.inputs["numbers"][rows]}, {"y": validation.target[rows]}).item()
        for rows in torch.arange(200).split(200)
    ]
    assert losses[0] == pytest.approx(outcome.best_loss, rel=1e-4)


def test_mixup_mixes_inputs_and_answers_by_the_same_share() -> None:
    numbers = torch.arange(6.0).unsqueeze(1)
    soft = torch.eye(6)
    present = torch.tensor([True, False] * 3)
    inputs, targets = mixup({"numbers": numbers, "present/x": present}, {"y": soft}, 0.4, seed=5)
    # A mixed answer says which rows were mixed and how: it must give the mixed input.
    torch.testing.assert_close(targets["y"] @ numbers, inputs["numbers"])
    torch.testing.assert_close(targets["y"].sum(1), torch.ones(6))
    assert torch.equal(inputs["present/x"], present)
    assert (targets["y"].max(1).values < 1).any()
    again, _ = mixup({"numbers": numbers}, {"y": soft}, 0.4, seed=5)
    assert torch.equal(again["numbers"], inputs["numbers"])
    other, _ = mixup({"numbers": numbers}, {"y": soft}, 0.4, seed=6)
    assert not torch.equal(other["numbers"], inputs["numbers"])


def test_mixup_keeps_a_network_from_being_certain(tmp_path: Path) -> None:
    batches = make_batches()
    certain = []
    for strength in (0.0, 1.0):
        network = make_network()
        settings = make_settings(epochs=60, mixup=strength)
        train(network, batches, None, settings, folder=tmp_path / str(strength), seed=1)
        certain.append(network(batches.inputs)["y"].softmax(1).max(1).values.mean().item())
    assert certain[1] < certain[0] - 0.05


def test_categories_are_not_mixed_and_that_is_said(tmp_path: Path) -> None:
    assert mixable({"numbers": torch.zeros(3, 2), "codes": torch.zeros(3, 0, dtype=torch.int64)})
    assert not mixable({"numbers": torch.zeros(3, 2), "codes": torch.zeros(3, 1, dtype=torch.int64)})
    batches = make_batches()
    batches.inputs["codes"] = torch.zeros(400, 1, dtype=torch.int64)
    outcome = train(make_network(), batches, None, make_settings(mixup=0.3), folder=tmp_path, seed=1, epochs=1)
    assert any("Mixup was left out" in note for note in outcome.notes)
