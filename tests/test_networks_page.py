"""The page of networks and the registry say the same."""

import re
from pathlib import Path

import pytest

from instar.drawing.subjects import subject
from instar.drawing.tracing import multiply_adds, parameters, without_memory
from instar.networks import assemble, networks
from instar.shapes import Choice, Encoder, Grid, Tokens, Vector

PAGE = (Path(__file__).parents[1] / "docs" / "networks.md").read_text(encoding="utf-8")
SHAPES = {
    "rows": Vector(4, (3,)),
    "series": Grid(2, (100,)),
    "pictures": Grid(3, (96, 96)),
    "volumes": Grid(1, (32, 32, 32)),
    "symbols": Tokens(500, 20),
    "pretrained pieces": Tokens(500, 20, encoder=Encoder("minilm", 1, 4, 2, 4, 20)),
}
ORDER = sorted(networks.items(), key=lambda entry: (entry[1].year, entry[0]))


def short_count(count):
    """A large number in three digits: ``950``, ``61.0 thousand``, ``4.10 million``."""
    for size, name in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if count >= size:
            return f"{count / size:#.3g}".rstrip(".") + f" {name}"
    return str(count)


def rows(columns):
    """The rows of the table with so many columns whose first is a network."""
    found = re.findall(r"^\| `[^`]+` \|.*\|$", PAGE, re.MULTILINE)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in found]
    return [each for each in cells if len(each) == columns]


def test_every_network_is_on_the_page_with_its_year_source_and_idea():
    expected = [[f"`{name}`", str(each.year), each.paper, each.idea] for name, each in ORDER]
    assert [row[:4] for row in rows(5)] == expected


def test_what_a_network_takes_is_on_the_page():
    for row in rows(5):
        able = [word for word, shape in SHAPES.items() if networks[row[0].strip("`")].takes(shape)]
        assert row[4] == ", ".join(able), row[0]


@pytest.mark.parametrize(("place", "name"), list(enumerate(name for name, _ in ORDER)))
def test_how_large_a_network_is_is_on_the_page(place, name):
    found = subject(name, None, {})
    network = without_memory(found.inputs, found.answers, found.plan)
    size = " x ".join(map(str, tensor_shape(found.inputs["input"])))
    error = networks[name].top5_error
    assert rows(6)[place] == [
        f"`{name}`",
        size,
        short_count(parameters(network)),
        short_count(multiply_adds(network, found.inputs, found.answers)),
        str(networks[name].smallest) if networks[name].smallest > 1 else "",
        "" if error is None else f"{error} %",
    ]


def tensor_shape(shape):
    if isinstance(shape, Grid):
        return (shape.channels, *shape.extent)
    return (shape.length,) if isinstance(shape, Tokens) else (shape.width,)


def test_the_defaults_are_on_the_page():
    for word in ("rows", "series", "pictures", "symbols", "pretrained pieces"):
        shape = SHAPES[word]
        (part,) = assemble({"x": shape}, {"y": Choice((1, 1))}).plan.parts
        assert f"- {word}: `{part.network}`" in PAGE
