"""The page of networks and the registry say the same."""

import re
from pathlib import Path

from instar.networks import assemble, networks
from instar.shapes import Choice, Encoder, Grid, Tokens, Vector

PAGE = (Path(__file__).parents[1] / "docs" / "networks.md").read_text(encoding="utf-8")
SHAPES = {
    "rows": Vector(4, (3,)),
    "series": Grid(2, (100,)),
    "pictures": Grid(3, (32, 32)),
    "symbols": Tokens(500, 20),
    "pretrained pieces": Tokens(500, 20, encoder=Encoder("minilm", 1, 4, 2, 4, 20)),
}


def rows():
    return re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def test_every_network_is_on_the_page_with_its_source_and_idea():
    assert [(name, paper, idea) for name, paper, idea, _ in rows()] == [
        (name, each.paper, each.idea) for name, each in networks.items()
    ]


def test_what_a_network_takes_is_on_the_page():
    for name, _, _, taken in rows():
        able = {word for word, shape in SHAPES.items() if networks[name].takes(shape)}
        assert able == set(SHAPES) & set(taken.split(", ")), name


def test_the_defaults_are_on_the_page():
    for word, shape in SHAPES.items():
        (part,) = assemble({"x": shape}, {"y": Choice((1, 1))}).plan.parts
        assert f"- {word}: `{part.network}`" in PAGE
