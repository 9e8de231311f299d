"""The cache directory: what it finds, what it throws away, what it keeps while somebody uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from instar import cache
from instar.errors import FolderError, UsageError


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "store"


def put(identifier: str, size: int = 1_000, used: float | None = None, name: str = "houses") -> cache.Held:
    """An entry of ``size`` bytes of content, last used at this second."""
    held = cache.build(identifier, name, f"{name}.csv", lambda folder: _fill(folder, size))
    if used is not None:
        os.utime(held.folder / "entry.json", (used, used))
    return held


def _fill(folder: Path, size: int) -> None:
    (folder / "content").write_bytes(b"x" * size)


def there(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


# What it holds


def test_a_cache_that_does_not_exist_is_empty_and_stays_unmade(directory: Path) -> None:
    assert cache.entries() == [] and cache.find("abc") is None
    assert cache.clear() == ([], [])
    assert not directory.parent.exists(), "looking makes nothing"


def test_an_entry_is_found_again_with_what_it_is(directory: Path) -> None:
    put("abc", 5_000).release()
    held = cache.find("abc")
    assert held is not None and (held.folder / "content").read_bytes() == b"x" * 5_000
    (entry,) = cache.entries()
    assert (entry.identifier, entry.name, entry.place) == ("abc", "houses", "houses.csv")
    assert 5_000 <= entry.bytes < 6_000 and entry.folder == directory / "abc"


def test_an_error_while_it_is_filled_leaves_nothing(directory: Path) -> None:
    def fill(folder: Path) -> None:
        _fill(folder, 100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.build("abc", "houses", "houses.csv", fill)
    assert there(directory) == set() and cache.find("abc") is None


def test_an_entry_that_another_finished_first_is_taken(directory: Path) -> None:
    def fill(folder: Path) -> None:
        put("abc", 7).release()
        _fill(folder, 100)

    held = cache.build("abc", "houses", "houses.csv", fill)
    assert (held.folder / "content").read_bytes() == b"x" * 7
    assert there(directory) == {"abc"}


def test_a_damaged_entry_is_replaced(directory: Path) -> None:
    put("abc").release()
    (directory / "abc" / "entry.json").unlink()
    assert cache.find("abc") is None
    assert (put("abc", 7).folder / "content").read_bytes() == b"x" * 7
    cache.discard(put("def"))
    assert there(directory) == {"abc"}


def test_where_the_cache_cannot_be_written_its_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(FolderError, match="INSTAR_CACHE") as caught:
        put("abc")
    assert "file" in str(caught.value) and (tmp_path / "file").read_text() == "mine"


# Bounded growth


def test_the_least_recently_used_leave_first(directory: Path) -> None:
    for place in range(6):
        put(f"entry{place}", 10_000, used=1_000 + place).release()
    found = cache.find("entry0")  # used now, so it is the youngest
    assert found is not None
    found.release()
    cache.evict(45_000)
    assert there(directory) == {"entry0", "entry3", "entry4", "entry5"}
    assert sum(entry.bytes for entry in cache.entries()) <= 45_000
    cache.evict(45_000)
    assert len(there(directory)) == 4, "what fits stays"
    cache.evict(0)
    assert there(directory) == set()


def test_it_never_grows_beyond_its_budget(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BUDGET_BYTES", 50_000)
    for place in range(40):
        put(f"entry{place}", 9_000, used=1_000 + place).release()
        assert sum(entry.bytes for entry in cache.entries()) <= 50_000
    assert "entry39" in there(directory) and len(there(directory)) == 5


def test_what_is_larger_than_the_budget_still_serves_who_built_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BUDGET_BYTES", 1_000)
    put("small", 100).release()
    held = put("large", 50_000)
    assert (held.folder / "content").stat().st_size == 50_000, "in use, so it stays"
    assert there(directory) == {"large"}
    held.release()
    put("small", 100).release()
    assert there(directory) == {"small"}


def test_the_budget_is_a_part_of_the_disk() -> None:
    put("abc").release()
    assert 0 < cache.budget() <= cache.BUDGET_BYTES


def test_half_built_entries_of_killed_processes_are_swept(directory: Path) -> None:
    put("abc").release()
    half = directory / ".def.0123abcd.part"
    half.mkdir()
    (half / "lock").touch()
    (half / "content").write_bytes(b"x" * 1_000)
    young = directory / ".ghi.0123abcd.part"  # its process is about to make a lock
    young.mkdir()
    put("jkl").release()
    assert there(directory) == {"abc", "jkl", young.name}
    os.utime(young, (1_000, 1_000))
    put("mno").release()
    assert there(directory) == {"abc", "jkl", "mno"}


# Clearing


def test_clearing_removes_all_or_what_is_named(directory: Path) -> None:
    for identifier, name in (("abc", "houses"), ("def", "houses"), ("ghi", "digits"), ("jkl", "wine")):
        put(identifier, name=name).release()
    removed, used = cache.clear(["houses"])
    assert {entry.identifier for entry in removed} == {"abc", "def"} and used == []
    removed, _ = cache.clear(["ghi"])
    assert [entry.name for entry in removed] == ["digits"]
    with pytest.raises(UsageError, match="'wine'"):
        cache.clear(["win"])
    assert there(directory) == {"jkl"}
    cache.clear()
    assert there(directory) == set() and cache.entries() == []


def test_what_is_in_use_stays_and_is_told(directory: Path) -> None:
    held = put("abc")
    put("def").release()
    removed, used = cache.clear()
    assert [entry.identifier for entry in removed] == ["def"]
    assert [entry.identifier for entry in used] == ["abc"]
    assert (held.folder / "content").exists()
    held.release()
    assert [entry.identifier for entry in cache.clear()[0]] == ["abc"]


def test_a_foreign_file_in_the_cache_harms_nobody(directory: Path) -> None:
    put("abc").release()
    (directory / "notes.txt").write_text("mine")
    (directory / "stranger").mkdir()
    (directory / "stranger" / "entry.json").write_text("{")
    assert [entry.identifier for entry in cache.entries()] == ["abc"]
    cache.evict(0)
    assert (directory / "notes.txt").read_text() == "mine"


# Processes beside each other

HOLD = """
import sys
from instar import cache
held = cache.find(sys.argv[1])
print("held" if held else "gone", flush=True)
sys.stdin.read()
"""
BUILD = """
import sys
from instar import cache

def fill(folder):
    (folder / "content").write_text("x" * 1000)
    print("filled", flush=True)
    sys.stdin.read()

print(cache.build("abc", "houses", "houses.csv", fill).folder.name, flush=True)
"""


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def said(started: subprocess.Popen[str]) -> str:
    assert started.stdout is not None
    return started.stdout.readline().strip()


def test_no_process_removes_what_another_one_uses(directory: Path) -> None:
    put("abc").release()
    with process(HOLD, "abc") as other:
        assert said(other) == "held"
        cache.evict(0)
        removed, used = cache.clear()
        assert removed == [] and [entry.identifier for entry in used] == ["abc"]
        second = cache.find("abc")
        assert second is not None, "several may use it"
        second.release()
        other.kill()
        other.wait()
        assert [entry.identifier for entry in cache.clear()[0]] == ["abc"], "a killed process holds nothing"
    assert there(directory) == set()


def test_two_processes_that_build_the_same_end_with_one_entry(directory: Path) -> None:
    with process(BUILD) as first, process(BUILD) as second:
        assert said(first) == said(second) == "filled"
        cache.evict(0)
        assert len(there(directory)) == 2, "what is being built is in use"
        for each in (first, second):
            out, _ = each.communicate("")
            assert each.returncode == 0 and out.strip() == "abc"
    assert there(directory) == {"abc"}
    assert len(json.loads((directory / "abc" / "entry.json").read_text())) == 2


def test_a_process_killed_while_it_builds_leaves_what_the_next_one_sweeps(directory: Path) -> None:
    with process(BUILD) as other:
        assert said(other) == "filled"
        other.kill()
        other.wait()
    assert cache.find("abc") is None and len(there(directory)) == 1
    put("abc", 7).release()
    assert there(directory) == {"abc"}
