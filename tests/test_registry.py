"""Registries: built-ins are found without a list, plug-ins by the same door, and a broken plug-in harms nobody."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from instar.errors import InstarError, UsageError
from instar.evaluation.rivals.base import rivals
from instar.fields import kinds
from instar.networks import networks
from instar.registry import Registry
from instar.sources import sources

BUILT_IN = {
    "kind": (kinds, {"category", "date", "image", "number"}),
    "network": (networks, {"linear", "perceptron", "mlp", "lenet"}),
    "source": (sources, {"delimited", "example", "folder", "idx", "json-lines", "memory"}),
}


@pytest.mark.parametrize("noun", BUILT_IN)
def test_what_is_built_in_is_found_by_name(noun: str) -> None:
    registry, expected = BUILT_IN[noun]
    assert expected <= set(registry), sorted(registry)
    assert list(registry) == sorted(registry) and len(registry) == len(list(registry))
    for name, entry in registry.items():
        assert registry[name] is entry and name in registry


def test_there_are_seven_rivals() -> None:
    assert len(rivals) >= 7


def test_a_wrong_name_gets_the_right_one_or_all() -> None:
    with pytest.raises(UsageError, match=r"There is no network called 'lenett'\. Did you mean 'lenet'") as caught:
        networks["lenett"]
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match=", ".join(kinds)):
        kinds["zzzz"]
    assert "zzzz" not in kinds and kinds.get("number") is kinds["number"]


def test_a_name_is_taken_once() -> None:
    registry: Registry[object] = Registry("thing", "instar.fields")
    first = object()
    assert registry.register("one")(first) is first
    registry.register("one")(first)  # the same thing once more is no conflict
    with pytest.raises(InstarError, match="Two things want to be called 'one'"):
        registry.register("one")(object())
    assert registry["one"] is first


def in_a_process_with_plug_ins(folder: Path, plug_ins: dict[str, str], code: str) -> str:
    """Standard output of ``code`` where distributions offer these modules, by their source, as plug-ins."""
    for name, source in plug_ins.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
        about = folder / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[instar.plugins]\n{name} = {name}\n")
    code = f"import sys\nsys.path.insert(0, {str(folder)!r})\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


RIGHT = """
    from instar.fields import kinds
    from instar.fields.category import Category

    class Color(Category):
        name = "color"
        meaning = "colors by their names"

    kinds.register("color")(Color())
"""


def test_a_plug_in_comes_in_by_the_same_door(tmp_path: Path) -> None:
    said = in_a_process_with_plug_ins(
        tmp_path, {"colors": RIGHT}, "from instar.cli import main\nmain(['kinds'])\nmain(['kinds', '--json'])"
    )
    assert "colors by their names" in said and '"name": "color"' in said


@pytest.mark.parametrize(
    "broken",
    ["import there_is_no_such_module", "raise RuntimeError('half-finished')", "def (", "raise SystemExit(3)"],
)
def test_a_broken_plug_in_takes_nothing_else_down(broken: str, tmp_path: Path) -> None:
    said = in_a_process_with_plug_ins(
        tmp_path,
        {"a_broken_one": broken, "colors": RIGHT},
        """
        from instar.fields import kinds
        from instar.registry import load_plugins
        print(sorted(kinds))
        print(load_plugins())
        """,
    )
    known, loaded = said.splitlines()
    assert known == str(sorted([*kinds, "color"]))
    assert "'colors': None" in loaded and "'a_broken_one': None" not in loaded


def test_a_plug_in_cannot_replace_what_is_built_in(tmp_path: Path) -> None:
    thief = """
        from instar.fields import kinds
        from instar.fields.category import Category

        kinds.register("number")(Category())
    """
    said = in_a_process_with_plug_ins(
        tmp_path,
        {"thief": thief},
        """
        from instar.fields import kinds
        from instar.registry import load_plugins
        print(type(kinds["number"]).__name__)
        print(load_plugins()["thief"])
        """,
    )
    kind, failure = said.splitlines()
    assert kind == "Number" and "Two kinds want to be called 'number'" in failure
