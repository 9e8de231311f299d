"""The worked examples of CONTRIBUTING.md are whole modules: installed as a plug-in, they train a network."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"
NAMES = ("durations", "maxout", "sqlite_table", "naive_bayes")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the search path that holds the page's modules as an installed distribution."""
    folder = tmp_path_factory.mktemp("plugin")
    modules = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for name, module in zip(NAMES, modules, strict=True):
        (folder / f"{name}.py").write_text(module, encoding="utf-8")
    information = folder / "examples-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: examples\nVersion: 1\n")
    points = "".join(f"{name} = {name}\n" for name in NAMES)
    (information / "entry_points.txt").write_text(f"[instar.plugins]\n{points}")
    return folder


def instar(plugin: Path, folder: Path, *arguments: str) -> str:
    """What the command prints, in a process that finds the plug-in."""
    return python(plugin, folder, "-m", "instar.cli", *arguments)


def python(plugin: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(plugin), "INSTAR_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_database(path: Path) -> None:
    """Runs of three kinds of runner, whose times tell them apart."""
    generator = np.random.default_rng(0)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE runs (time TEXT, distance REAL, runner TEXT)")
        for number in range(200):
            runner, minutes = [("hare", 9), ("dog", 25), ("snail", 80)][number % 3]
            seconds = int(minutes * 60 * generator.uniform(0.9, 1.1))
            time = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            database.execute("INSERT INTO runs VALUES (?, ?, ?)", (time, generator.normal(5, 1), runner))
        database.commit()


def test_examples_are_listed(plugin: Path, tmp_path: Path) -> None:
    # One process for all lists, since each takes seconds to import what it lists.
    code = "from instar.cli import main; main(['kinds', '--json']); main(['networks', '--json']); main(['settings'])"
    printed, decode = python(plugin, tmp_path, "-c", code), json.JSONDecoder().raw_decode
    listed, end = decode(printed)
    assert "duration" in {each["name"] for each in listed}
    listed, end = decode(printed[end:].lstrip())
    assert "maxout" in {each["name"] for each in listed}
    assert "maxout_pieces" in printed


def test_examples_train_together_and_the_model_predicts(plugin: Path, tmp_path: Path) -> None:
    make_database(tmp_path / "runs.sqlite")
    arguments = ("--target", "runner", "--network", "maxout", "--epochs", "20")
    arguments += ("--set", "maxout_width=16", "--set", "folds=2")
    instar(plugin, tmp_path, "train", "runs.sqlite", *arguments, "--out", "model")
    report = json.loads((tmp_path / "model" / "report.json").read_text(encoding="utf-8"))
    assert report["metrics"]["accuracy"]["value"] > 0.9
    assert "naive_bayes" in json.dumps(report)
    declared = json.loads(instar(plugin, tmp_path, "inspect", "model", "--json"))
    assert {each["name"]: each["kind"] for each in declared["inputs"]}["time"] == "duration"
    frame = json.loads(instar(plugin, tmp_path, "predict", "model", "runs.sqlite", "--json"))
    right = [row["prediction"] == ("hare", "dog", "snail")[number % 3] for number, row in enumerate(frame)]
    assert np.mean(right) > 0.9
