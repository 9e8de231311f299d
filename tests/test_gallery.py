"""The gallery keeps what its page promises, without running it: pictures, figures, short code by public names."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

import instar
from examples.__main__ import NAMES, page

FOLDER = Path(__file__).parent.parent / "examples"
LONGEST, LARGEST = 80, 60_000
# Beside Instar: data, drawing, and what anyone would use for them.
HELPERS = {"data_sets", "examples.gallery", "numpy", "polars", "PIL", "nibabel", "soundfile", *sys.stdlib_module_names}


def code(name: str) -> ast.Module:
    return ast.parse((FOLDER / name / "run.py").read_text(encoding="utf-8"))


def test_every_folder_is_on_the_page() -> None:
    assert sorted(NAMES) == sorted(path.parent.name for path in FOLDER.glob("*/run.py"))
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_a_figure_a_rival_and_a_small_picture(name: str) -> None:
    result = json.loads((FOLDER / name / "result.json").read_text(encoding="utf-8"))
    assert result["figure"] and result["rival"] and result["cores"] >= 1
    assert (FOLDER / name / result["picture"]).stat().st_size < LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_page_of_code_that_says_what_it_is(name: str) -> None:
    text = (FOLDER / name / "run.py").read_text(encoding="utf-8")
    paragraphs = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")
    assert len(paragraphs) == 3, "a title, what the data is, and what the figure means"
    assert paragraphs[2].startswith("The figure")
    assert len(text.splitlines()) <= LONGEST


@pytest.mark.parametrize("name", NAMES)
def test_an_example_uses_instar_by_its_public_names(name: str) -> None:
    tree = code(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert module in HELPERS or module.split(".")[0] in HELPERS, module
        if isinstance(node, ast.Import):
            assert {each.name for each in node.names} <= {"instar", *HELPERS}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "instar":
            assert node.attr in instar.__all__, node.attr
