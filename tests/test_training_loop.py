"""The loop: epochs, early stopping, the log, divergence; and that every optimizer learns."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from instar.errors import DivergenceError, SettingError
from instar.training import loop
from instar.training.loop import evaluation_is_due, train
from instar.training.optimizers import OPTIMIZERS
from instar.training.parameters import FlatParameters
from instar.training.schedules import LEAST_GAIN
from training_examples import TinyBatches, fingerprint, make_batches, make_network, make_settings


def lines(folder: Path, event: str = "epoch") -> list[dict]:
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [entry for entry in entries if entry["event"] == event]


def held_out() -> TinyBatches:
    return make_batches(200, seed=2, shuffle=False)


def loss_of(network: torch.nn.Module, batches: TinyBatches) -> float:
    with torch.no_grad():
        return network.loss(batches.inputs, {"y": batches.target}).item()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns_at_its_own_rate(optimizer: str, tmp_path: Path) -> None:
    network = make_network()
    settings = make_settings(optimizer=optimizer, rate=None, epochs=30)
    train(network, make_batches(), None, settings, folder=tmp_path, seed=1)
    assert loss_of(network, held_out()) < 0.4
    assert not network.training


def test_nesterov_and_momentum_change_what_sgd_does(tmp_path: Path) -> None:
    ends = set()
    for number, given in enumerate(({"momentum": 0.0}, {"nesterov": False}, {"nesterov": True})):
        network = make_network()
        settings = make_settings(optimizer="sgd", epochs=2, **given)
        train(network, make_batches(), None, settings, folder=tmp_path / str(number), seed=1)
        ends.add(fingerprint(network))
    assert len(ends) == 3


def test_sgd_is_the_step_that_the_books_have(tmp_path: Path) -> None:
    network, expected = make_network(), make_network()
    batches = make_batches(32, shuffle=False)
    settings = make_settings(optimizer="sgd", rate=0.5, momentum=0.0, clip=0.0, schedule="constant", epochs=1)
    train(network, batches, None, settings, folder=tmp_path, seed=1)
    expected.loss(batches.inputs, {"y": batches.target}).backward()
    for after, before in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(after, before - 0.5 * before.grad)


def test_patience_ends_training_and_the_best_weights_stay(tmp_path: Path) -> None:
    # Half of the labels are noise, so the validation loss turns before long.
    training, validation = make_batches(noise=0.4), make_batches(200, seed=2, noise=0.4, shuffle=False)
    network = make_network()
    settings = make_settings(epochs=200, patience=4)
    outcome = train(network, training, validation, settings, folder=tmp_path, seed=1)
    losses = [line["validation_loss"] for line in lines(tmp_path)]
    assert outcome.stopped_by == "patience"
    assert outcome.best_epoch == int(np.argmin(losses)) + 1
    assert min(losses[-4:]) > losses[-5] * (1 - LEAST_GAIN), "less than a gain of some size is kept, and waits for none"
    assert min(losses[-4:]) < losses[-5], "the case that matters: the best weights are among those that came too late"
    assert outcome.best_loss == min(losses)
    assert math.isclose(loss_of(network, validation), min(losses), rel_tol=1e-5)
    assert losses[-1] > min(losses)


def test_a_plateau_lowers_the_rate_before_patience_ends(tmp_path: Path) -> None:
    training, validation = make_batches(noise=0.4), make_batches(200, seed=2, noise=0.4, shuffle=False)
    settings = make_settings(epochs=200, patience=6)
    train(make_network(), training, validation, settings, folder=tmp_path, seed=1)
    last = lines(tmp_path)[-6:]
    rates = [line["rate"] / last[0]["rate"] for line in last]
    assert rates == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04])


def test_without_validation_rows_exactly_so_many_epochs_are_trained(tmp_path: Path) -> None:
    outcome = train(make_network(), make_batches(), None, make_settings(), folder=tmp_path, seed=1, epochs=7)
    assert (outcome.epochs, outcome.steps, outcome.best_epoch) == (7, 7 * 13, 7)
    assert (outcome.best_loss, outcome.stopped_by) == (None, "epochs")
    rates = [line["rate"] for line in lines(tmp_path)]
    assert len(rates) == 7
    assert rates[-1] < rates[0], "the rate falls in the end, as it would on a plateau"


def test_the_log_says_what_a_drawing_needs(tmp_path: Path) -> None:
    outcome = train(make_network(), make_batches(), held_out(), make_settings(epochs=2), folder=tmp_path, seed=1)
    (start,), (end,) = lines(tmp_path, "start"), lines(tmp_path, "end")
    assert (start["steps"], start["epochs"], start["parameters"]) == (13, 2, 386)
    for number, line in enumerate(lines(tmp_path), start=1):
        assert (line["stage"], line["epoch"], line["step"]) == ("train", number, 13 * number)
        assert line["loss"] > 0
        assert line["gradient_norm"] > 0
        assert line["seconds"] >= 0
    assert end["best_loss"] == outcome.best_loss


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_what_is_not_finite_stops_before_it_reaches_the_weights(poison: float, tmp_path: Path) -> None:
    batches = make_batches()
    batches.inputs["numbers"][300, 0] = poison
    network = make_network()
    with pytest.raises(DivergenceError, match="Lower the rate") as failure:
        train(network, batches, None, make_settings(epochs=2), folder=tmp_path, seed=1)
    assert failure.value.exit_code == 4
    assert all(each.isfinite().all() for each in network.parameters())


def test_a_rate_that_is_far_too_high_ends_in_divergence(tmp_path: Path) -> None:
    network = make_network()
    settings = make_settings(optimizer="sgd", rate=1e6, clip=0.0, epochs=50)
    with pytest.raises(DivergenceError):
        train(network, make_batches(), held_out(), settings, folder=tmp_path, seed=1)
    assert all(each.isfinite().all() for each in network.parameters())


def test_long_epochs_are_evaluated_in_equal_parts() -> None:
    assert [step for step in range(1, 21) if evaluation_is_due(step, 10)] == [10, 20]
    steps = 2 * loop.EVALUATION_STEPS + 2
    due = [step for step in range(1, 2 * steps + 1) if evaluation_is_due(step, steps)]
    assert len(due) == 6
    assert due[2] == steps
    assert due[5] == 2 * steps
    assert max(np.diff([0, *due])) <= loop.EVALUATION_STEPS


def test_every_draw_of_a_step_comes_from_the_seed_and_the_step(tmp_path: Path) -> None:
    ends = []
    for number, seed in enumerate((1, 1, 2)):
        network = make_network(dropout=0.5)
        torch.manual_seed(number)  # what the caller's generator stands at makes no difference
        train(network, make_batches(), None, make_settings(epochs=1), folder=tmp_path / str(number), seed=seed)
        ends.append(fingerprint(network))
    assert ends[0] == ends[1] != ends[2]


def test_pictures_lie_in_memory_with_the_channel_last_while_learning(tmp_path: Path) -> None:
    network = make_network(pictures=True)
    convolution = network.body[0][0]
    before = {name: each.clone() for name, each in network.state_dict().items()}
    parameters = FlatParameters(network)
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
    assert convolution.weight.grad.stride() == convolution.weight.stride()
    parameters.release()
    for name, each in network.state_dict().items():
        assert each.is_contiguous()
        assert torch.equal(each, before[name])
    pictures = torch.randn(64, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    batches = TinyBatches({"grid/x": pictures}, (pictures[:, 0].mean((1, 2)) > 0).long())
    train(network, batches, None, make_settings(64, epochs=20), folder=tmp_path, seed=1)
    assert loss_of(network, batches) < 0.3


def test_parameters_share_one_buffer_and_gradients_another() -> None:
    network = make_network(norm=True)
    parameters = FlatParameters(network)
    sum(each.square().sum() for each in network.parameters()).backward()
    assert torch.equal(parameters.gradient, 2 * parameters.weights.detach())
    assert all(each.data_ptr() % 64 == 0 for each in network.parameters())
    with torch.no_grad():
        parameters.weights.fill_(3.0)
    assert all((each == 3.0).all() for each in network.parameters())
    decayed = sum(each.numel() for each in network.parameters() if each.ndim == 2)
    assert len(parameters.decayed) == decayed
    assert [tuple(each.shape) for each in parameters.matrices] == [(16, 4), (16, 16)]
    assert len(parameters.others) == len(parameters.weights) - 16 * 4 - 16 * 16
    parameters.release()
    assert all(each.grad is None for each in network.parameters())


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(SettingError, match="cuda"):
        train(make_network(), make_batches(), None, make_settings(device="cuda"), folder=tmp_path, seed=1)


@pytest.mark.gpu
def test_a_gpu_learns_by_the_same_path(tmp_path: Path) -> None:
    network = make_network(dropout=0.1, norm=True)
    settings = make_settings(device="cuda", epochs=30)
    outcome = train(network, make_batches(), held_out(), settings, folder=tmp_path, seed=1)
    assert outcome.best_loss < 0.4
    assert all(each.device.type == "cpu" for each in network.state_dict().values())
