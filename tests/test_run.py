"""The run folder: what is finished and what is not, whose folder it is, and what an error leaves behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import instar
from instar.errors import FolderError, InterruptionError
from instar.learn import learn
from instar.run import Request, Run
from instar.split import Record

QUICK: dict[str, Any] = {"network": "linear", "epochs": 2, "rivals": False}


def frame(rows: int = 1_050, seed: int = 0) -> pl.DataFrame:
    first = np.random.default_rng(seed).normal(size=rows)
    return pl.DataFrame({"first": first, "side": np.where(first > 0, "up", "down")})


def request(**settings: Any) -> Request:
    return Request("houses", "houses.csv", "abc", settings)


def stopped(folder: Path) -> None:
    """Leave an unfinished run in ``folder``."""
    questions = iter(range(1_000))
    with pytest.raises(InterruptionError):
        learn(frame(), {"target": "side", "out": str(folder), **QUICK}, should_stop=lambda: next(questions) > 10)


# Names of folders


def test_a_folder_is_named_after_source_and_settings_alone() -> None:
    first = request(seed=1, epochs=2).default_folder()
    assert first == request(epochs=2, seed=1).default_folder(), "the order of settings says nothing"
    assert first.parent == Path("runs") and first.name.startswith("houses-")
    assert first != request(seed=2, epochs=2).default_folder()
    assert first != Request("houses", "other/houses.csv", "abc", {"seed": 1, "epochs": 2}).default_folder()


def test_what_lies_in_memory_is_named_by_its_content_and_a_file_by_its_place(tmp_path: Path) -> None:
    def name(place: str, fingerprint: str) -> Path:
        return Request("data", place, fingerprint, {}).default_folder()

    assert name("the frame", "abc") != name("the frame", "def")
    file = tmp_path / "data.csv"
    file.touch()
    assert name(str(file), "abc") == name(str(file), "def"), "a file that is touched keeps its folder"


@pytest.mark.parametrize("name", ["../../etc", "a b/c", "...", "", "Größe", "-rf", "x" * 20])
def test_no_source_s_name_leads_out_of_the_folder_of_runs(name: str) -> None:
    folder = Request(name, "p", "f", {}).default_folder()
    assert folder.parent == Path("runs")
    assert not folder.name.startswith((".", "-")) and "/" not in folder.name


# Whose folder it is


def test_a_finished_run_and_an_unfinished_one_are_told_apart(tmp_path: Path) -> None:
    assert not Run(tmp_path / "nowhere").finished
    stopped(tmp_path / "model")
    run = Run(tmp_path / "model")
    assert not run.finished and run.recorded() is not None and run.results.is_dir()
    with pytest.raises(instar.InstarError, match="no finished model"):
        instar.load(run.folder)
    instar.train(frame(), "side", out=run.folder, **QUICK)
    assert run.finished and not run.results.exists()


@pytest.mark.parametrize("name", ["thesis.txt", "instar.txt", "model.safetensors", "photos"])
def test_somebody_else_s_folder_is_refused_and_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("the only copy")
    with pytest.raises(FolderError, match=name) as caught:
        instar.train(frame(), "side", out=tmp_path, **QUICK)
    assert str(tmp_path) in str(caught.value) and "--out" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "the only copy"


def test_an_empty_folder_and_one_of_hidden_files_may_be_used(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_text("a file manager's")
    model = instar.train(frame(), "side", out=tmp_path, **QUICK)
    assert model.folder == tmp_path
    assert (tmp_path / ".DS_Store").read_text() == "a file manager's"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b'"run"',
        b"{}",
        b'{"settings": {}}',
        b'{"settings": [], "fingerprint": "a", "content": "b", "order": "c"}',
        b'{"settings": null, "fingerprint": "a", "content": "b", "order": "c"}',
        b'{"settings": {}, "fingerprint": "a", "content": "b"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"settings": {"epochs": ' + b"9" * 5_000 + b'}, "fingerprint": "a", "content": "b", "order": "c"}',
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_spoilt_record_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    stopped(tmp_path / "model")
    (tmp_path / "model" / "run.json").write_bytes(content)
    with pytest.raises(FolderError) as caught:
        instar.train(frame(), "side", out=tmp_path / "model", **QUICK)
    assert "--out" in str(caught.value) and "model" in str(caught.value)
    assert (tmp_path / "model" / "run.json").read_bytes() == content


def test_a_record_that_is_a_folder_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(FolderError, match="record"):
        instar.train(frame(), "side", out=tmp_path, **QUICK)


@pytest.mark.parametrize("name", ["checkpoint/trial.safetensors", "split.safetensors"])
@pytest.mark.parametrize("spoil", ["cut", "emptied", "filled with zeros", "another's"])
def test_what_an_unfinished_run_left_is_refused_in_words_where_it_is_spoilt(
    name: str, spoil: str, tmp_path: Path
) -> None:
    stopped(tmp_path / "model")
    path = tmp_path / "model" / name
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "emptied": b"",
            "filled with zeros": bytes(len(content)),
            "another's": b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
        }[spoil]
    )
    with pytest.raises(FolderError) as caught:
        instar.train(frame(), "side", out=tmp_path / "model", **QUICK)
    assert path.name in str(caught.value) and caught.value.remedy


# What is compared


def test_other_settings_are_listed_all(tmp_path: Path) -> None:
    run = Run(tmp_path)
    recorded = {"settings": {"seed": 1, "epochs": 2, "target": ["a"]}, "fingerprint": "abc"}
    with pytest.raises(FolderError) as caught:
        run.check(recorded, request(seed=1, epochs=3, l1=0.5))
    message = str(caught.value)
    assert "epochs was 2 and is 3" in message
    assert "l1 was the default and is 0.5" in message
    assert "target was ['a'] and is the default" in message
    assert "seed" not in message


def test_equal_settings_are_equal_however_they_are_held(tmp_path: Path) -> None:
    run = Run(tmp_path)
    recorded = {"settings": {"target": ["a", "b"], "rate": 0.1}, "fingerprint": "abc"}
    assert run.check(recorded, request(target=("a", "b"), rate=0.1))
    assert not run.check({**recorded, "fingerprint": "def"}, request(target=("a", "b"), rate=0.1))


def test_the_record_of_a_run_says_what_was_asked(tmp_path: Path) -> None:
    instar.train(frame(), "side", out=tmp_path / "model", seed=7, **QUICK)
    kept = json.loads((tmp_path / "model" / "run.json").read_text())
    assert kept["settings"] == {"target": ["side"], "seed": 7, **QUICK}
    assert kept["source"] == "the frame"


def test_results_are_kept_bit_for_bit(tmp_path: Path) -> None:
    run = Run(tmp_path)
    arrays = {"0": np.random.default_rng(0).normal(size=(5, 3))[:, ::2], "empty": np.empty((0, 2), np.int64)}
    run.keep("fold-1", arrays, {"notes": ["größer"], "best_epoch": 3})
    kept = run.kept("fold-1")
    assert kept is not None
    assert kept[1] == {"notes": ["größer"], "best_epoch": 3}
    assert {name: array.tobytes() for name, array in kept[0].items()} == {
        name: np.ascontiguousarray(array).tobytes() for name, array in arrays.items()
    }
    assert run.kept("fold-2") is None and run.frozen() is None
    run.freeze(Record({"rule": "frozen"}, {"keys": np.arange(4, dtype=np.uint64)}))
    frozen = run.frozen()
    assert frozen is not None and frozen.content == {"rule": "frozen"}
    np.testing.assert_array_equal(frozen.arrays["keys"], np.arange(4))


# What is left behind


def test_an_error_before_training_removes_the_folder_and_the_parents_made_for_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run = Run(tmp_path / "mine" / "deep" / "deeper" / "model")
    with pytest.raises(RuntimeError), run.working():
        run.begin(request(), "content", "order")
        assert run.folder.is_dir()
        raise RuntimeError
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["mine"]


def test_an_error_before_training_leaves_a_folder_that_was_there(tmp_path: Path) -> None:
    run = Run(tmp_path / "model")
    run.folder.mkdir()
    with pytest.raises(RuntimeError), run.working():
        raise RuntimeError
    assert run.folder.is_dir()


def test_what_can_be_gone_on_from_stays(tmp_path: Path) -> None:
    run = Run(tmp_path / "deep" / "model")
    with pytest.raises(KeyboardInterrupt), run.working():
        run.begin(request(seed=1), "content", "order")
        run.keep("fold-1", {"0": np.zeros(3)}, {})
        raise KeyboardInterrupt
    assert run.kept("fold-1") is not None
    recorded = run.recorded()
    assert recorded is not None and run.check(recorded, request(seed=1))


def test_a_parent_in_which_somebody_put_something_stays(tmp_path: Path) -> None:
    run = Run(tmp_path / "deep" / "model")
    with pytest.raises(RuntimeError), run.working():
        (tmp_path / "deep" / "notes.txt").write_text("mine")
        raise RuntimeError
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["deep", "deep/notes.txt"]


@pytest.mark.parametrize(
    "given",
    [
        {"target": "nothing"},
        {"target": "side", "network": "lenet"},
        {"target": "side", "network": "mlp", "width": 0},
        {"target": "side", "kind": "side=image"},
        {"target": "side", "exclude": "first"},
        {"target": "side", "epocs": 3},
        {"target": "side", "device": "cuda"},
    ],
    ids=str,
)
def test_no_wrong_call_leaves_anything(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(instar.InstarError):
        instar.train(frame(), out=tmp_path / "deep" / "model", **{**QUICK, **given})
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_diverges_leaves_no_half_model(tmp_path: Path) -> None:
    table = pl.DataFrame({"first": np.arange(1_050) % 97 * 1.0, "y": np.arange(1_050) % 89 * 1.0})
    with pytest.raises(instar.InstarError) as caught:
        instar.train(table, "y", out=tmp_path / "model", rate=1e6, optimizer="sgd", clip=0, network="mlp", rivals=False)
    assert caught.value.exit_code == 4 and "--rate" in str(caught.value)
    assert not (tmp_path / "model" / "model.safetensors").exists()
    assert not (tmp_path / "model" / "instar.json").exists()


# A folder that cannot be


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises(FolderError, match="file"):
            instar.train(frame(), "side", out=out, **QUICK)
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o555)
    with pytest.raises(FolderError, match="cannot be written"):
        instar.train(frame(), "side", out=tmp_path / "shut" / "model", **QUICK)


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a file system that nobody may write")
def test_a_place_where_nobody_may_make_a_folder() -> None:
    with pytest.raises(FolderError, match="/proc"):
        instar.train(frame(), "side", out="/proc/instar-model", **QUICK)
