"""Files that appear whole or not at all, one process in a folder, and the system's refusals in words."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instar.errors import FolderError
from instar.files import locked, refusal, write_atomically, write_bytes, write_json, write_tensors, write_text, writing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Writing


@given(content=st.binary(max_size=2_000), before=st.none() | st.binary(max_size=50))
def test_what_is_written_is_read_back(
    content: bytes, before: bytes | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("files") / "deep" / "file"
    if before is not None:
        write_bytes(path, before)
    write_bytes(path, content)
    assert path.read_bytes() == content
    assert names(path.parent) == ["file"]


def test_text_is_written_as_utf_8_without_other_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "page", "Größe\n≤ 5\n")
    assert (tmp_path / "page").read_bytes() == "Größe\n≤ 5\n".encode()


@pytest.mark.parametrize("failure", [RuntimeError("half-way"), KeyboardInterrupt(), MemoryError(), SystemExit(3)])
def test_an_exception_midway_leaves_the_old_file_and_nothing_else(failure: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_text(path, "old")

    def write(temporary: Path) -> None:
        temporary.write_text("ne")
        raise failure

    with pytest.raises(type(failure)):
        write_atomically(path, write)
    assert path.read_text() == "old" and names(tmp_path) == ["model"]


def test_an_exception_midway_leaves_no_new_file(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        assert temporary.parent == tmp_path, "a rename to another disk is no rename"
        temporary.write_text("ne")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "model", write)
    assert names(tmp_path) == []


def test_whoever_looks_while_it_is_written_sees_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_text(path, "old")

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        assert path.read_text() == "old"

    with path.open() as reader:
        write_atomically(path, write)
        assert reader.read() == "old", "who has opened the old file keeps it"
    assert path.read_text() == "new"


def test_a_writer_that_replaces_the_temporary_file_is_as_good(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        other = temporary.with_name("other")
        other.write_text("whole")
        other.replace(temporary)

    write_atomically(tmp_path / "model", write)
    assert (tmp_path / "model").read_text() == "whole" and names(tmp_path) == ["model"]


@pytest.mark.parametrize("content", [float("nan"), [float("inf")], {"a": object()}])
def test_json_that_others_cannot_read_is_not_written(content: object, tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"a": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "facts.json", content)
    assert json.loads((tmp_path / "facts.json").read_text()) == {"a": 1}
    assert names(tmp_path) == ["facts.json"]


def test_json_keeps_its_order_and_its_letters(tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"größer": 1, "a": [True, None]})
    text = (tmp_path / "facts.json").read_text(encoding="utf-8")
    assert "größer" in text and text.endswith("}\n")
    assert list(json.loads(text)) == ["größer", "a"]


# Refusals


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="file") as caught:
        write_text(tmp_path / "file" / "model", "text")
    assert caught.value.exit_code == 6 and caught.value.remedy
    (tmp_path / "folder").mkdir()
    with pytest.raises(FolderError, match="folder"):
        write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["file", "folder"] and (tmp_path / "file").read_text() == "mine"


def full(path: Path) -> None:
    """What a write to a full disk gives: Linux keeps such a device for tests."""
    with Path("/dev/full").open("wb", buffering=0) as stream:
        stream.write(b"x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path: Path) -> None:
    write_text(tmp_path / "model", "old")
    with pytest.raises(FolderError, match="No space is left") as caught:
        write_atomically(tmp_path / "model", full)
    assert "Free some space" in str(caught.value) and str(tmp_path / "model") in str(caught.value)
    assert (tmp_path / "model").read_text() == "old" and names(tmp_path) == ["model"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space"),
        (errno.EDQUOT, "No space"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.ENOTDIR, "A file stands"),
        (errno.EIO, os.strerror(errno.EIO)),
        (errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)),
    ],
)
def test_every_refusal_has_a_place_a_reason_and_a_remedy(number: int, words: str) -> None:
    error = refusal(Path("models/mine"), OSError(number, os.strerror(number)))
    assert words in error.what and error.where == str(Path("models/mine")) and error.remedy


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), writing(Path("model")):
        raise ZeroDivisionError
    with pytest.raises(FolderError, match="inner"), writing(Path("model")):
        raise FolderError("inner")


def test_a_name_that_the_system_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(FolderError):
        write_text(tmp_path / ("x" * 300), "text")
    assert names(tmp_path) == []


# One process in a folder

HOLD = """
import sys
from pathlib import Path
from instar.files import locked
with locked(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""
ENTER = HOLD.replace("sys.stdin.read()", "pass")


@contextmanager
def another_process_in(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "in\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_is_kept_out_until_the_first_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with another_process_in(folder) as process:
        with pytest.raises(FolderError, match="Another process") as caught, locked(folder):
            raise AssertionError("two processes are in")
        assert str(folder) in str(caught.value) and caught.value.exit_code == 6
        with locked(tmp_path / "other"):
            pass
        process.kill()  # without a chance to tidy up
        process.wait()
        with locked(folder):
            pass


def test_this_process_keeps_a_second_one_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENTER, str(tmp_path)]
    with locked(tmp_path):
        kept_out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert kept_out.returncode != 0 and "Another process is working" in kept_out.stderr and kept_out.stdout == ""
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "in\n"


def test_an_error_within_lets_others_in(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path):
        pass


def test_a_lock_makes_its_folder_and_says_where_it_cannot(tmp_path: Path) -> None:
    with locked(tmp_path / "deep" / "model"):
        assert (tmp_path / "deep" / "model").is_dir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="file"), locked(tmp_path / "file"):
        raise AssertionError


def test_a_full_disk_is_said_in_words_when_tensors_are_written(tmp_path: Path) -> None:
    """The library that writes them reports what the system refused in a sentence of its own."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(FolderError, match="Writing failed"):
            write_tensors(tmp_path / "model.safetensors", {"weights": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, previous)
    assert list(tmp_path.iterdir()) == []
