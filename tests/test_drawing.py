"""Drawings: true to what the network does, whatever it is, and readable."""

import re
import typing
import xml.etree.ElementTree as ElementTree

import pytest

import instar
from instar.drawing.outline import Aside, Layer, Repeated, SideBySide, outline
from instar.drawing.subjects import subject
from instar.drawing.svg import as_svg
from instar.drawing.tracing import _TARGETS, multiply_adds, parameters, trace, without_memory
from instar.errors import SettingError, UsageError
from instar.networks import networks, plan
from instar.shapes import Amounts, Anomaly, Answer, Choice, Continuation, Grid, Picture, Symbols, Tokens, Vector

SPACE = "{http://www.w3.org/2000/svg}"


def outlined(name, settings=None):
    found = subject(name, 12 if Tokens in networks[name].shapes else None, settings or {})
    return outline(trace(without_memory(found.inputs, found.answers, found.plan), found.inputs, found.answers))


def layers(series):
    """Every layer that is drawn, and how often it is there."""
    for item in series.items:
        if isinstance(item, Layer):
            yield item, 1
        elif isinstance(item, SideBySide):
            for branch in item.branches:
                yield from layers(branch)
        elif isinstance(item, Aside):
            yield from layers(item.layers)
        else:
            yield from ((layer, item.times * times) for layer, times in layers(item.pattern))


def pattern(series):
    """What stands below each other, in a letter each, an inner pattern in brackets."""
    words = []
    for item in series.items:
        if isinstance(item, Repeated):
            words.append(f"{item.times}({pattern(item.pattern)})")
        else:
            words.append({Layer: "L", SideBySide: "B", Aside: "A"}[type(item)])
    return "".join(words)


@pytest.mark.parametrize("name", networks)
def test_every_network_is_drawn_with_all_its_layers_within_the_paper(name):
    found = subject(name, 12 if Tokens in networks[name].shapes else None, {})
    network = without_memory(found.inputs, found.answers, found.plan)
    series = outline(trace(network, found.inputs, found.answers))
    drawing = as_svg(series, name, [found.words], tuple(found.answers))
    root = ElementTree.fromstring(drawing)
    width, height = float(root.get("width")), float(root.get("height"))
    assert width < 1300, "as wide as a screen"
    place_in(root, 0.0, 0.0, width, height)
    drawn = sum(layer.parameters * times for layer, times in layers(series))
    # TabM scales each member's inputs by vectors that belong to no layer; BERT's positions come from no input.
    all_of_them = parameters(network)
    assert drawn == all_of_them or (name in ("tabm", "bert") and 0.9 * all_of_them < drawn < all_of_them)
    assert networks[name].paper.split(",")[0].split(" ")[0] in drawing


def place_in(element, x, y, width, height):
    """Every box and text lies within the drawing."""
    moved = re.match(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
    if moved:
        x, y = x + float(moved[1]), y + float(moved[2])
    if element.tag == f"{SPACE}rect" and element.get("class") != "paper":
        assert x >= 0 and y >= 0
        assert x + float(element.get("width")) <= width and y + float(element.get("height")) <= height
    if element.tag == f"{SPACE}text":
        assert 0 <= x + float(element.get("x")) <= width and 0 <= y + float(element.get("y")) <= height
    for child in element:
        place_in(child, x, y, width, height)


def test_what_is_known_of_a_network_is_seen_in_its_outline():
    assert pattern(outlined("mlp", {"widths": "64,64,64"})) == "LLL2(L)L"
    # Two stacks of attention and dense layers, each with a way round it, six times.
    assert "6(BLBL)" in pattern(outlined("transformer-base"))
    # Stages of two, three, five and two more blocks like the one before.
    assert re.findall(r"\d", pattern(outlined("resnet-50"))) == ["2", "3", "5", "2"]
    assert pattern(outlined("googlenet")).count("A") == 2
    assert pattern(outlined("googlenet", {"auxiliary": 0})).count("A") == 0
    module = next(item for item in outlined("googlenet").items if isinstance(item, SideBySide))
    assert (module.name, [len(branch.items) for branch in module.branches]) == ("3a", [1, 2, 2, 2])
    deepest, items = 0, outlined("unet").items
    while inner := [item for item in items if isinstance(item, SideBySide)]:
        deepest, items = deepest + 1, [each for branch in inner[0].branches for each in branch.items]
    assert deepest == 5, "four halvings, and the way round all of them"


@pytest.mark.parametrize(
    ("name", "billions"),
    # As the papers have them: 1.5 and 3.8 billion; the others are those that are counted elsewhere.
    [("googlenet", 1.58), ("inception-v3", 5.71), ("resnet-18", 1.81), ("resnet-50", 3.86), ("alexnet", 0.724)],
)
def test_multiply_adds_are_those_that_the_network_is_known_for(name, billions):
    found = subject(name, None, {})
    network = without_memory(found.inputs, found.answers, found.plan)
    assert multiply_adds(network, found.inputs, found.answers) == pytest.approx(billions * 1e9, rel=0.005)


@pytest.mark.parametrize(
    ("inputs", "answers"),
    [
        ({"a": Vector(3, (4,)), "p": Grid(3, (16, 16)), "t": Tokens(50, 9, 4)}, {"y": Choice((1, 2)), "z": Amounts(1)}),
        ({"a": Vector(3), "t": Tokens(50, 9)}, {"y": Symbols(40, 7, 2.0)}),
        ({"a": Vector(3), "p": Grid(1, (16, 16))}, {"y": Picture(3, (16, 16), 0.0, 1.0)}),
        ({"a": Vector(3), "t": Tokens(50, 9)}, {"y": Anomaly(("a", "t"), 4, 0.05)}),
        ({"t": Tokens(50, 9)}, {"t": Continuation(50, 9, 3.0)}),
    ],
)
def test_inputs_and_answers_of_all_kinds_come_together_on_a_drawing(inputs, answers):
    made = plan(inputs, answers)
    network = without_memory(inputs, answers, made)
    series = outline(trace(network, inputs, answers))
    drawing = as_svg(series, "<mixed> & more", ["words"], tuple(answers))
    ElementTree.fromstring(drawing)
    assert "&lt;mixed&gt;" in drawing
    assert all(f">{'numbers' if name == 'a' else name}<" in drawing for name in inputs)
    assert all(f"answer: {target}" in drawing for target in answers)


def test_every_type_of_answer_can_be_drawn():
    assert set(_TARGETS) == set(typing.get_args(Answer))


def test_a_size_and_settings_make_another_drawing_and_wrong_ones_are_named():
    drawing = instar.draw("lenet", size=28, width=12)
    assert "1 × 28 × 28" in drawing and "12 × 14 × 14" in drawing
    assert re.search(r">[\d,]+ parameters, [\d,]+ multiply-adds for one answer<", drawing)
    assert "1 × 32 × 32" in instar.draw("lenet")
    with pytest.raises(UsageError, match=r"no network and no model folder called 'lenett'\. Did you mean 'lenet'"):
        instar.draw("lenett")
    with pytest.raises(UsageError, match="at least 32 cells"):
        instar.draw("googlenet", size=20)
    with pytest.raises(UsageError, match="at least 1, and is 0"):
        instar.draw("mlp", size=0)
    with pytest.raises(SettingError, match="widht"):
        instar.draw("mlp", widht=3)


def test_a_model_is_drawn_from_its_folder_and_from_itself(tmp_path, capsys):
    from instar.cli import main

    model = instar.train("example:xor", out=tmp_path / "xor", network="linear", epochs=1, rivals=False)
    assert main(["draw", str(tmp_path / "xor"), "--out", str(tmp_path / "xor.svg")]) == 0
    assert "xor.svg" in capsys.readouterr().err
    drawing = (tmp_path / "xor.svg").read_text(encoding="utf-8")
    assert f"answer: {model.targets[0].name}" in drawing
    assert instar.draw(model).partition("</style>")[2].count("<rect") == drawing.partition("</style>")[2].count("<rect")
    assert main(["draw", str(tmp_path / "xor"), "--size", "3"]) == 2
    assert "its own size" in capsys.readouterr().err
    assert main(["draw", "linear"]) == 0
    ElementTree.fromstring(capsys.readouterr().out)
