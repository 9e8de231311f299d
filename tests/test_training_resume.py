"""What a kill, a stop, a time limit and a second run leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import training_examples
from instar.batches import Batches
from instar.columns import Columns, shapes_of
from instar.errors import FolderError, InterruptionError
from instar.fields import kinds
from instar.fields.number import Number
from instar.networks.assemble import assemble
from instar.prepared import Examples
from instar.store import ColumnPlan, Store, StorePlan
from instar.training.checkpoint import checkpoint_path
from instar.training.loop import train
from standins import MemorySource
from training_examples import RECIPES, fingerprint, learn, make_batches, make_network, make_settings


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {recipe: learn(tmp_path_factory.mktemp("whole"), recipe) for recipe in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stop_in_the_middle_of_an_epoch_changes_no_bit(
    recipe: str, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    given, options = RECIPES[recipe]
    for stop_before in (1, 5, 18, 40, None):
        asked = 0

        def stop(limit: int | None = stop_before) -> bool:
            nonlocal asked
            asked += 1
            return limit is not None and asked > limit

        network = make_network(**options)
        call = (network, make_batches(), make_batches(200, seed=2, shuffle=False), make_settings(**given))
        if stop_before is None:
            train(*call, folder=tmp_path, seed=7, should_stop=stop)
            assert fingerprint(network) == uninterrupted[recipe]
        else:
            with pytest.raises(InterruptionError):
                train(*call, folder=tmp_path, seed=7, should_stop=stop)
    entries = lines(tmp_path)
    epochs = [entry["epoch"] for entry in entries if entry["event"] == "epoch"]
    assert epochs == list(range(1, len(epochs) + 1)), "an epoch is missing from the log, or there twice"
    assert entries[-1]["event"] == "end"


@pytest.mark.parametrize("size", [5, 10])
def test_a_stop_changes_no_bit_where_rows_do_not_fill_whole_words_of_memory(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """13 numbers are 52 bytes: each batch of a block begins at another place, which decides how sums are rounded."""
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(203, 13))
    source = MemorySource({"x": rows, "y": rows @ generator.normal(size=(13, 1)) + generator.normal(size=(203, 1))})
    plans = {name: ColumnPlan("number", {"width": width, "single": False}) for name, width in (("x", 13), ("y", 1))}
    columns = Columns(
        Store.build(source, StorePlan(plans)), ("x",), ("y",), {Number.settings: kinds["number"].settings()}
    )
    inputs, targets = columns.fit(np.arange(203))
    examples = Examples(columns.store, inputs, targets)

    def learn_until(folder: Path, step: int | None) -> str:
        torch.manual_seed(0)
        network = assemble(*shapes_of(inputs, targets), "linear")
        batches = Batches(examples, np.arange(203), size=size, seed=3)
        asked = iter(range(10**6))
        settings = make_settings(epochs=2, batch=size)
        train(network, batches, None, settings, folder=folder, seed=7, should_stop=lambda: next(asked) == step)
        return fingerprint(network)

    whole = learn_until(tmp_path / "whole", None)
    for step in (1, 2, 3, 7, 11):
        with pytest.raises(InterruptionError):
            learn_until(tmp_path / str(step), step)
        assert learn_until(tmp_path / str(step), None) == whole, f"stopped before step {step}"


def test_a_kill_without_warning_changes_no_bit(uninterrupted: dict[str, str], tmp_path: Path) -> None:
    recipe = "dropout, norm and average"
    for kill_at in ("30", "50"):
        command = [sys.executable, training_examples.__file__, str(tmp_path), recipe, kill_at]
        killed = subprocess.run(command, capture_output=True, check=False)
        assert killed.returncode == -9, killed.stderr.decode()
        assert all(entry["stage"] == "train" for entry in lines(tmp_path)), "the log has no half line"
    assert learn(tmp_path, recipe) == uninterrupted[recipe]
    assert [path.name for path in (tmp_path / "checkpoint").iterdir() if path.suffix != ".part"] == [
        "train.safetensors"
    ]


def test_a_checkpoint_is_plain_data(tmp_path: Path) -> None:
    learn(tmp_path, "muon on a plateau")
    content = checkpoint_path(tmp_path, "train").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    state = json.loads(header["__metadata__"]["state"])
    assert state["machine"]["torch"] == torch.__version__
    assert state["machine"]["threads"] == 1
    assert state["machine"]["processor"]
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".jsonl", ".safetensors")
    ]


def test_a_training_that_is_over_gives_its_result_at_once(tmp_path: Path) -> None:
    call = (make_batches(), make_batches(200, seed=2, shuffle=False), make_settings(epochs=3))
    network = make_network()
    first = train(network, *call, folder=tmp_path, seed=7)
    again = make_network(seed=5)
    log = (tmp_path / "metrics.jsonl").read_bytes()
    assert train(again, *call, folder=tmp_path, seed=7) == first
    assert fingerprint(again) == fingerprint(network)
    assert (tmp_path / "metrics.jsonl").read_bytes() == log


def test_stages_share_a_folder_and_not_their_state(tmp_path: Path) -> None:
    settings = make_settings(epochs=2)
    networks = [make_network(), make_network()]
    for network, stage in zip(networks, ("fold 1", "fold 2"), strict=True):
        train(network, make_batches(), None, settings, folder=tmp_path, seed=7, stage=stage)
    assert [entry["stage"] for entry in lines(tmp_path) if entry["event"] == "end"] == ["fold 1", "fold 2"]
    assert len(list((tmp_path / "checkpoint").iterdir())) == 2


def test_another_training_in_the_folder_is_refused(tmp_path: Path) -> None:
    train(make_network(), make_batches(), None, make_settings(epochs=1), folder=tmp_path, seed=7)
    with pytest.raises(FolderError, match="another training"):
        train(make_network(), make_batches(), None, make_settings(epochs=1), folder=tmp_path, seed=8)
    with pytest.raises(FolderError, match="another training"):
        train(make_network(norm=True), make_batches(), None, make_settings(epochs=1), folder=tmp_path, seed=7)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    train(make_network(), make_batches(), None, make_settings(epochs=1), folder=tmp_path, seed=7)
    path = checkpoint_path(tmp_path, "train")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FolderError, match="cannot be read"):
        train(make_network(), make_batches(), None, make_settings(epochs=1), folder=tmp_path, seed=7)


def test_going_on_under_other_circumstances_is_said(tmp_path: Path) -> None:
    call = (make_batches(), None)
    with pytest.raises(InterruptionError):
        train(make_network(), *call, make_settings(epochs=2), folder=tmp_path, seed=7, should_stop=lambda: True)
    outcome = train(make_network(), *call, make_settings(epochs=2, threads=2), folder=tmp_path, seed=7)
    assert any("threads 1, now 2" in note for note in outcome.notes)


def test_threads_and_generators_are_as_they_were(tmp_path: Path) -> None:
    before, network = torch.get_num_threads(), make_network(dropout=0.5)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train(network, make_batches(), None, make_settings(epochs=1, threads=before + 1), folder=tmp_path, seed=7)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.rand(4), expected)


def test_time_ends_with_the_best_so_far(tmp_path: Path) -> None:
    network = make_network(dropout=0.1)
    outcome = train(
        network,
        make_batches(),
        make_batches(200, seed=2, shuffle=False),
        make_settings(epochs=100_000, patience=100_000),
        folder=tmp_path,
        seed=7,
        seconds=0.5,
    )
    assert outcome.stopped_by == "time"
    assert outcome.best_loss is not None
    evaluations = [entry["validation_loss"] for entry in lines(tmp_path) if entry["event"] == "epoch"]
    assert outcome.best_loss == min(evaluations)


def test_time_that_is_up_at_once_still_gives_a_measured_network(tmp_path: Path) -> None:
    outcome = train(
        make_network(),
        make_batches(),
        make_batches(200, seed=2, shuffle=False),
        make_settings(),
        folder=tmp_path,
        seed=7,
        seconds=0.0,
    )
    assert (outcome.stopped_by, outcome.steps) == ("time", 0)
    assert outcome.best_loss is not None


def test_an_interrupt_leaves_the_last_checkpoint_valid(tmp_path: Path) -> None:
    asked = 0

    def interrupt() -> bool:
        nonlocal asked
        asked += 1
        if asked > 20:
            raise KeyboardInterrupt
        return False

    network = make_network()
    with pytest.raises(KeyboardInterrupt):
        train(network, make_batches(), None, make_settings(epochs=3), folder=tmp_path, seed=7, should_stop=interrupt)
    with safe_open(checkpoint_path(tmp_path, "train"), framework="pt") as stored:
        assert "network/weights" in stored.keys()  # noqa: SIM118
    network, whole = make_network(), make_network()
    train(network, make_batches(), None, make_settings(epochs=3), folder=tmp_path, seed=7)
    train(whole, make_batches(), None, make_settings(epochs=3), folder=tmp_path / "whole", seed=7)
    assert fingerprint(network) == fingerprint(whole)
