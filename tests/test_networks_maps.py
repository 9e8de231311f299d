"""Networks that answer cell by cell: pictures and masks."""

import json

import numpy as np
import pytest
import torch

from instar.errors import UsageError
from instar.networks import Network, Plan, assemble, networks
from instar.networks.heads import HeadSettings
from instar.networks.maps import MaskHead, PictureHead
from instar.shapes import NO_CLASS, Grid, Mask, Picture, Tokens, Vector, mapped_from

EXTENTS = [(20,), (12, 19), (8, 9, 10)]
SMALL = {"width": 4}


def inputs_of(shapes, rows=6, seed=0):
    draw = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes.items():
        if isinstance(shape, Grid):
            made[f"grid/{name}"] = torch.randn(rows, shape.channels, *shape.extent, generator=draw)
        elif isinstance(shape, Tokens):
            made[f"tokens/{name}"] = torch.randint(1, shape.vocabulary, (rows, shape.length), generator=draw).int()
        else:
            made["numbers"] = torch.randn(rows, shape.width, generator=draw)
            made["codes"] = torch.zeros(rows, 0, dtype=torch.int64)
            continue
        made[f"present/{name}"] = torch.ones(rows, dtype=torch.bool)
    return made


def targets_of(answers, rows=6):
    pictures = {name: each for name, each in answers.items() if isinstance(each, Picture)}
    return {name: torch.randn(rows, each.channels, *each.extent) for name, each in pictures.items()} | {
        name: torch.randint(0, each.classes, (rows, *each.extent), dtype=torch.uint8)
        for name, each in answers.items()
        if name not in pictures
    }


def network_of(shapes, answers, settings=None, seed=0):
    torch.manual_seed(seed)
    network = assemble(shapes, answers, None, settings or SMALL)
    network.initialize(inputs_of(shapes, 40), targets_of(answers, 40))
    for head in network.heads:  # which begin as constant answers
        torch.nn.init.normal_(head.output.weight, 0, 0.1)
    return network


@pytest.mark.parametrize("extent", EXTENTS)
def test_every_cell_gets_an_answer_along_any_axes_and_a_network_comes_back_from_its_plan(extent):
    shapes = {"g": Grid(2, extent), "row": Vector(3)}
    answers = {"p": Picture(3, extent, 0.0, 255.0), "m": Mask((30, 10), extent)}
    network = network_of(shapes, answers)
    given = inputs_of(shapes)
    loss = network.loss(given, targets_of(answers))
    loss.backward()
    assert loss.isfinite() and all(
        each.grad is not None for name, each in network.named_parameters() if not name.endswith("absent")
    )
    network.eval()
    said = network.answer(given)
    assert said["p"].shape == (6, 3, *extent) and said["p"].dtype == torch.float32
    assert said["m"].shape == (6, *extent) and said["m"].dtype == torch.uint8 and said["m"].max() < 2
    plan = Plan.from_json(json.loads(json.dumps(network.plan.as_json())))
    with torch.device("meta"):
        again = Network(shapes, answers, plan)
    again.load_state_dict(network.state_dict(), assign=True)
    assert torch.equal(again.eval().answer(given)["p"], said["p"])


@pytest.mark.parametrize("extent", [(12,), (8, 12), (6, 4, 8)])
def test_what_each_cell_says_of_itself_is_answered_before_any_training(extent):
    shapes, answers = {"g": Grid(3, (8,) * len(extent))}, {"p": Picture(2, extent, 0.0, 255.0)}
    network = assemble(shapes, answers, None, SMALL)
    given = inputs_of(shapes, 20)
    given["grid/g"][:, 2] = given["grid/g"][:, 1]  # of channels that repeat each other any mixture would do
    mode = ("linear", "bilinear", "trilinear")[len(extent) - 1]
    first, second, _ = torch.nn.functional.interpolate(given["grid/g"], extent, mode=mode).unbind(1)
    wanted = torch.stack([1 + 2 * first - second, -first], 1)
    absent, unknown = 3, 5
    given["present/g"][absent], wanted[unknown], given["grid/g"][absent] = False, torch.nan, 9.0
    network.initialize(given, {"p": wanted})
    said = network.eval().answer(given)["p"]
    known = [row for row in range(20) if row not in (absent, unknown)]
    assert torch.allclose(said[known], wanted[known], atol=1e-4)


def test_it_learns_what_each_cell_is_from_its_neighborhood():
    extent = (16, 16)
    shapes, answers = {"g": Grid(1, extent)}, {"m": Mask((128, 128), extent)}
    network = network_of(shapes, answers, {"width": 8})
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for step in range(40):
        given = inputs_of(shapes, 16, seed=step)
        around = torch.nn.functional.avg_pool2d(given["grid/g"], 3, 1, 1)
        loss = network.loss(given, {"m": (around[:, 0] > 0).to(torch.uint8)})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.7 and losses[-1] < 0.3


def test_what_is_beside_the_grid_conditions_every_cell():
    shapes, answers = {"g": Grid(1, (8, 8)), "row": Vector(2)}, {"p": Picture(1, (8, 8), 0.0, 1.0)}
    network = network_of(shapes, answers)
    network.eval()
    given = inputs_of(shapes)
    before = network.answer(given)["p"]
    changed = {**given, "numbers": given["numbers"] + 3}
    assert torch.equal(network.answer(changed)["p"], before), "it begins as a network without"
    torch.nn.init.normal_(network.maps.beside.weight)
    assert ((network.answer(changed)["p"] - network.answer(given)["p"]).abs() > 1e-6).float().mean() > 0.99


def test_an_absent_grid_is_the_same_whatever_its_cells_hold():
    shapes, answers = {"g": Grid(1, (8, 8)), "row": Vector(2)}, {"p": Picture(1, (8, 8), 0.0, 1.0)}
    network = network_of(shapes, answers)
    network.eval()
    given = inputs_of(shapes)
    given["present/g"][2] = False
    other = {**given, "grid/g": given["grid/g"].clone()}
    other["grid/g"][2] = 5
    assert torch.equal(network.answer(other)["p"], network.answer(given)["p"])


def test_an_answer_of_another_extent_is_brought_to_it():
    network = network_of({"g": Grid(1, (12, 16))}, {"p": Picture(1, (24, 32), 0.0, 1.0)})
    assert network.answer(inputs_of({"g": Grid(1, (12, 16))}))["p"].shape == (6, 1, 24, 32)


def test_it_is_made_of_the_largest_input_of_as_many_axes():
    shapes = {"s": Grid(9, (500,)), "small": Grid(3, (8, 8)), "large": Grid(1, (9, 9)), "t": Tokens(9, 5)}
    assert mapped_from(shapes, Mask((1, 1), (30, 30))) == "large"
    assert mapped_from(shapes, Mask((1, 1), (30,))) == "s"
    assert mapped_from(shapes, Mask((1, 1), (3, 3, 3))) is None
    plan = assemble(shapes, {"m": Mask((1, 1), (9, 9))}, None, SMALL).plan
    assert plan.mapped == "large" and plan.principal.name == "unet"
    assert {part.input: part.network for part in plan.parts}["small"] == "resnet"


@pytest.mark.parametrize("name", [name for name, each in networks.items() if not each.maps])
def test_a_network_that_gives_no_picture_says_so(name):
    shapes = {"g": Grid(1, (16, 16))}
    if not any(networks[name].takes(shape) for shape in (shapes["g"], Vector(256))):
        pytest.skip("it takes no grid at all")
    with pytest.raises(UsageError, match=rf"network '{name}' gives no picture.*'unet'"):
        assemble(shapes, {"p": Picture(1, (16, 16), 0.0, 1.0)}, name)


def test_without_cells_to_make_them_of_there_are_no_pictures():
    with pytest.raises(UsageError, match="there is none"):
        assemble({"row": Vector(3)}, {"p": Picture(1, (16, 16), 0.0, 1.0)})


def test_a_constant_answer_has_loss_one_and_missing_rows_and_cells_count_nothing():
    mask, picture = Mask((60, 30, 10), (10, 10)), Picture(2, (10, 10), 0.0, 1.0)
    head = MaskHead(4, mask, HeadSettings()).eval()
    codes = torch.tensor([0] * 60 + [1] * 30 + [2] * 10, dtype=torch.uint8).view(1, 10, 10)
    nothing = torch.zeros(1, 4, 10, 10)
    assert head.loss(head(nothing), codes).item() == pytest.approx(1, abs=1e-5)
    half = torch.cat([codes, torch.full_like(codes, NO_CLASS)])
    assert head.loss(head(nothing.repeat(2, 1, 1, 1)), half).item() == pytest.approx(1, abs=1e-5)
    assert head.loss(head(nothing), torch.full_like(codes, NO_CLASS)).item() == 0
    painter = PictureHead(4, picture).eval()
    truth = torch.randn(4, 2, 10, 10)
    truth = (truth - truth.mean()) / truth.std(correction=0)
    assert painter.loss(painter(nothing.repeat(4, 1, 1, 1)), truth).item() == pytest.approx(1, abs=1e-5)
    missing = torch.cat([truth, torch.full_like(truth, torch.nan)])
    assert painter.loss(painter(nothing.repeat(8, 1, 1, 1)), missing).item() == pytest.approx(1, abs=1e-5)
    weight = torch.tensor([1.0] * 4 + [0.0] * 4)
    doubled = torch.cat([truth, 2 * truth])
    assert painter.loss(painter(nothing.repeat(8, 1, 1, 1)), doubled, weight).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.2}, {"class_weights": "balanced"}])
def test_a_soft_mask_has_the_loss_of_a_plain_one_and_a_mixed_one_lies_between(settings):
    head = MaskHead(4, Mask((50, 30), (5, 6)), HeadSettings(**settings))
    outputs = torch.randn(3, 2, 5, 6)
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (3, 5, 6)).astype(np.uint8))
    plain, soft = head.loss(outputs, codes), head.loss(outputs, head.soften(codes))
    assert torch.allclose(plain, soft, rtol=1e-4)
    other = 1 - codes
    mixed = head.loss(outputs, 0.25 * head.soften(codes) + 0.75 * head.soften(other))
    assert torch.allclose(mixed, 0.25 * plain + 0.75 * head.loss(outputs, other), rtol=1e-4)
