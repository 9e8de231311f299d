"""Content is read once, comes back as it was, and the cache neither grows without bound nor loses what is in use."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instar import cache, store
from instar.errors import ContentError, FolderError, SourceError, UsageError
from instar.fields import kinds
from instar.store import ColumnPlan, Store, StorePlan
from standins import STANDINS, MemorySource

PLAN = StorePlan({"size": ColumnPlan("standin_number"), "color": ColumnPlan("standin_word")})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    for name, kind in STANDINS.items():
        kinds._discover()
        monkeypatch.setitem(kinds._entries, name, kind)
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "store"


def table(rows=250, seed=0, **options):
    generator = np.random.default_rng(seed)
    columns = {
        "size": pl.Series("size", generator.normal(size=rows)),
        "color": pl.Series("color", generator.choice(["red", "green", None], rows)),
    }
    return MemorySource(columns, **options)


def test_what_was_read_comes_back():
    source = table()
    built = Store.build(source, PLAN)
    assert len(built) == 250
    size, color = built.column("size"), built.column("color")
    rows = np.array([249, 3, 100, 3])
    assert size.arrays(rows).values.tolist() == source.columns["size"].gather(rows).to_list()
    read = color.arrays(rows)
    words = [read.texts[int(value)] if there else None for value, there in zip(read.values, read.present, strict=True)]
    assert words == source.columns["color"].gather(rows).to_list()
    assert (color.digests[:] == STANDINS["standin_word"].read(source.columns["color"], {}).digests).all()
    assert sum(len(part) for part in size.chunks(np.arange(250))) == 250


def test_the_second_time_nothing_is_read():
    source = table()
    assert Store.find(source, PLAN) is None
    Store.build(source, PLAN).close()
    again = Store.find(source, PLAN)
    assert again is not None and source.readings == 1
    assert Store.find(table(seed=1), PLAN) is None
    other = StorePlan({"size": ColumnPlan("standin_number", {"unit": "m"}), "color": ColumnPlan("standin_word")})
    assert Store.find(source, other) is None


def test_stored_arrays_cannot_be_changed():
    built = Store.build(table(), PLAN)
    with pytest.raises(ValueError, match="read-only"):
        built.column("size").values[0] = 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(30)), st.integers(1, 40))
def test_the_content_digest_does_not_depend_on_the_order_of_rows(order, size):
    source = table(30)
    reordered = MemorySource({name: column.gather(order) for name, column in source.columns.items()}, size)
    turned = StorePlan(dict(reversed(PLAN.columns.items())))
    first, second = Store.build(source, PLAN), Store.build(reordered, turned)
    assert first.content_digest == second.content_digest


def test_the_content_digest_sees_every_change():
    source = table(30)
    digests = {Store.build(source, PLAN).content_digest}
    columns = source.columns
    digests.add(Store.build(MemorySource({name: cells[:-1] for name, cells in columns.items()}), PLAN).content_digest)
    doubled = {name: pl.concat([cells, cells]) for name, cells in columns.items()}
    digests.add(Store.build(MemorySource(doubled), PLAN).content_digest)
    crossed = {**columns, "size": columns["size"].reverse()}
    digests.add(Store.build(MemorySource(crossed), PLAN).content_digest)
    assert len(digests) == 4


def test_arrays_with_axes_and_large_arrays_keep_their_own_files(monkeypatch, place):
    monkeypatch.setattr(store, "PACKED_BYTES", 20_000)
    pictures = np.random.default_rng(0).integers(0, 256, (300, 6, 5, 3), dtype=np.uint8)
    source = MemorySource({"picture": pictures, "size": pl.Series(np.arange(300.0))}, size=70)
    plan = StorePlan({"picture": ColumnPlan("standin_grid"), "size": ColumnPlan("standin_number")})
    built = Store.build(source, plan)
    assert (built.column("picture").arrays(slice(60, 80)).values == pictures[60:80]).all()
    assert (built.column("size").values == np.arange(300)).all()
    assert (place / built.identifier / "0.values").stat().st_size == pictures.nbytes
    assert not (place / built.identifier / "1.values").exists()


def test_a_thousand_columns_need_few_files(place):
    columns = {f"gene {number}/x": pl.Series([1.5, 2.5, None]) for number in range(1000)}
    plan = StorePlan({name: ColumnPlan("standin_number") for name in columns})
    built = Store.build(MemorySource(columns), plan)
    assert built.column("gene 999/x").present.tolist() == [True, True, False]
    assert len(list((place / built.identifier).iterdir())) < 10


def test_few_unreadable_values_are_absent_and_counted():
    source = table(size=40)
    cells = source.columns["size"].cast(pl.String).to_list()
    cells[45], cells[130] = "big", "n. k."
    source.columns["size"] = pl.Series(cells)
    size = Store.build(source, PLAN).column("size")
    assert [(problem.row, problem.reason) for problem in size.problems] == [
        (45, "'big' is no number"),
        (130, "'n. k.' is no number"),
    ]
    assert size.problem_count == 2
    assert not size.present[45]


@pytest.mark.parametrize("know_rows", [True, False])
def test_many_unreadable_values_stop_the_reading_and_leave_nothing(place, know_rows):
    source = table(know_rows=know_rows)
    source.columns["size"] = pl.Series(["big"] * 30 + ["1"] * 220)
    with pytest.raises(ContentError) as caught:
        Store.build(source, PLAN)
    message = str(caught.value)
    assert "memory, row 1: 'big' is no number" in message
    assert "column 'size'" in message and "--kind size=" in message and "--exclude size" in message
    assert not list(place.iterdir())


def test_problems_are_counted_without_end_but_not_kept(monkeypatch):
    monkeypatch.setattr(store, "KEPT_PROBLEMS", 5)
    source = table(1000)
    source.columns["size"] = pl.Series((["big"] + ["1"] * 19) * 50)
    size = Store.build(source, PLAN).column("size")
    assert (len(size.problems), size.problem_count) == (5, 50)


def test_words_are_bounded(monkeypatch):
    monkeypatch.setattr(store, "KEPT_TEXTS", 10)
    source = table(100, size=7)
    source.columns["color"] = pl.Series([f"word {number}" for number in range(100)])
    color = Store.build(source, PLAN).column("color")
    assert len(color.texts) == 10
    assert color.present.all()


def test_a_source_without_rows_is_refused(place):
    with pytest.raises(SourceError, match="no examples"):
        Store.build(table(0), PLAN)
    assert not list(place.iterdir())


def test_a_source_that_changes_while_it_is_read_is_refused(place):
    source = table()

    def change(rows, total):
        source.columns["size"] = source.columns["size"] + 1

    with pytest.raises(SourceError, match="changed while it was read"):
        Store.build(source, PLAN, change)
    assert not list(place.iterdir())


def test_progress_is_told():
    told = []
    Store.build(table(250, size=100), PLAN, lambda rows, total: told.append((rows, total)))
    assert told == [(100, 250), (200, 250), (250, 250)]


def test_two_builders_end_with_one_store(place):
    source = table()
    inner = []

    def build_meanwhile(rows, total):
        if not inner:
            inner.append(Store.build(table(), PLAN))

    outer = Store.build(source, PLAN, build_meanwhile)
    assert outer.identifier == inner[0].identifier
    assert [entry.name for entry in place.iterdir()] == [outer.identifier]
    assert (outer.column("size").values == inner[0].column("size").values).all()


@pytest.mark.parametrize("damage", ["manifest.json", "packed", "lock"])
def test_a_damaged_store_is_read_anew(place, damage):
    source = table()
    built = Store.build(source, PLAN)
    built.close()
    file = place / built.identifier / damage
    if damage == "lock":
        file.unlink()
    else:
        os.truncate(file, 10)
    assert Store.find(source, PLAN) is None
    assert len(Store.build(source, PLAN)) == 250


def test_the_cache_lists_and_clears(place):
    Store.build(table(seed=1), PLAN).close()
    used = Store.build(table(seed=2), PLAN)
    listed = cache.entries()
    assert {entry.name for entry in listed} == {"memory"}
    assert all(entry.bytes > 250 * 30 for entry in listed)
    removed, kept = cache.clear(["memory"])
    assert [entry.identifier for entry in kept] == [used.identifier]
    assert len(removed) == 1
    assert (used.column("size").values[:] == table(seed=2).columns["size"].to_numpy()).all()
    with pytest.raises(UsageError, match="nothing called 'memroy'"):
        cache.clear(["memroy"])
    used.close()
    cache.clear()
    assert not list(place.iterdir())


def test_the_least_recently_used_leaves_first():
    stores = [Store.build(table(seed=seed), PLAN) for seed in range(3)]
    for age, each in enumerate(stores):
        os.utime(cache.store_directory() / each.identifier / "entry.json", (1000 + age, 1000 + age))
        each.close()
    used = Store.find(table(seed=0), PLAN)
    size = cache.entries()[0].bytes
    cache.evict(2 * size + 100)
    assert [entry.identifier for entry in cache.entries()] == [used.identifier, stores[2].identifier]
    cache.evict(0)
    assert [entry.identifier for entry in cache.entries()] == [used.identifier]


HOLD = """
import sys
from instar import cache
held = cache.find(sys.argv[1]) if sys.argv[2] == "use" else None
def fill(folder):
    (folder / "part").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
if held is None:
    cache.build(sys.argv[1], "n", "p", fill)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("work", ["use", "build"])
def test_what_another_process_uses_or_builds_stays_until_it_dies(place, work):
    held = cache.build("entry", "n", "p", lambda folder: (folder / "content").touch())
    held.release()
    identifier = "entry" if work == "use" else "another"
    command = [sys.executable, "-c", HOLD, identifier, work]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        before = {folder.name for folder in place.iterdir()}
        cache.evict(0)
        after = {folder.name for folder in place.iterdir()}
        assert after == ({"entry"} if work == "use" else before - {"entry"})
        other.kill()
    cache.evict(0)
    assert not list(place.iterdir())


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path / "file"))
    with pytest.raises(FolderError, match="INSTAR_CACHE") as caught:
        Store.build(table(), PLAN)
    assert "the cache in" in str(caught.value)
    assert cache.entries() == []
