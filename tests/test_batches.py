"""Batches hold the right rows, in an order that comes from the seed and the epoch alone, however they are gathered."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instar import batches, prepared
from instar.batches import Batches
from instar.fields import kinds
from instar.prepared import Examples, prepare_inputs
from instar.seeds import seed_for
from instar.settings import Settings
from instar.shapes import Grid
from instar.store import ColumnPlan, Store, StorePlan
from standins import STANDINS, MemorySource

ROWS = 203


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Two numbers around a word, a grid; a number and a word as targets. ``size`` is the row number."""
    generator = np.random.default_rng(0)
    columns = {
        "size": pl.Series(np.arange(float(ROWS))),
        "color": pl.Series(generator.choice(["red", "green", None], ROWS)),
        "picture": generator.integers(0, 256, (ROWS, 6, 5, 3), dtype=np.uint8),
        "depth": pl.Series(generator.normal(size=ROWS)),
        "price": pl.Series([None, *generator.normal(size=ROWS - 1)]),
        "class": pl.Series(generator.choice(["a", "b"], ROWS)),
    }
    of = {"color": "standin_word", "class": "standin_word", "picture": "standin_grid"}
    plan = StorePlan({name: ColumnPlan(of.get(name, "standin_number")) for name in columns})
    with pytest.MonkeyPatch.context() as patch:
        kinds._discover()
        for name, kind in STANDINS.items():
            patch.setitem(kinds._entries, name, kind)
        patch.setenv("INSTAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        store = Store.build(MemorySource(columns), plan)
    targets = ("price", "class")
    fields = {
        name: STANDINS[column.kind].fit(name, column.chunks(np.arange(ROWS)), {}, Settings(), target=name in targets)
        for name, column in store.columns.items()
    }
    names = ("size", "color", "picture", "depth")
    return Examples(store, [fields[name] for name in names], [fields[name] for name in targets])


def same(first, second):
    for mine, theirs in ((first.inputs, second.inputs), (first.targets, second.targets)):
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            assert torch.equal(tensor.nan_to_num(), theirs[name].nan_to_num()), name
    assert torch.equal(first.rows, second.rows)


def test_inputs_are_joined_in_the_order_of_the_fields(examples):
    batch = examples.take(np.array([5, 2, 5, 200]))
    assert batch.rows.tolist() == [5, 2, 5, 200]
    assert batch.inputs["numbers"].shape == (4, 2) and batch.inputs["codes"].shape == (4, 1)
    assert batch.inputs["grid/picture"].shape == (4, 3, 6, 5) and batch.inputs["present/picture"].dtype == torch.bool
    assert (batch.inputs["numbers"][:, 0] - batch.inputs["numbers"][1, 0]).tolist() == [3, 0, 3, 198]
    arrays = {name: column.arrays(np.array([2])) for name, column in examples.store.columns.items()}
    alone = prepare_inputs(examples.inputs, arrays)
    for name, tensor in alone.items():
        assert torch.equal(tensor[0], batch.inputs[name][1]), name
    assert examples.take(np.array([0])).targets["price"].isnan().all()
    assert set(batch.targets) == {"price", "class"}


def test_numbers_and_codes_are_there_for_any_vector_and_only_then(examples):
    rows = np.arange(7)
    size, color, picture, _ = examples.inputs
    only_number = Examples(examples.store, [size], []).take(rows).inputs
    assert {name: tuple(tensor.shape) for name, tensor in only_number.items()} == {"numbers": (7, 1), "codes": (7, 0)}
    only_word = Examples(examples.store, [color], []).take(rows).inputs
    assert {name: tuple(tensor.shape) for name, tensor in only_word.items()} == {"numbers": (7, 0), "codes": (7, 1)}
    assert set(Examples(examples.store, [picture], []).take(rows).inputs) == {"grid/picture", "present/picture"}


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, ROWS),
    size=st.integers(1, 60),
    seed=st.integers(0, 5),
    kept=st.booleans(),
    shuffle=st.booleans(),
)
def test_an_epoch_holds_every_row_once_and_can_be_entered_anywhere(examples, count, size, seed, kept, shuffle):
    rows = np.random.default_rng(seed).permutation(ROWS)[:count]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "PREPARED_BYTES", 2**30 if kept else 0)
        patch.setattr(batches, "BLOCK_BYTES", 20_000)
        made = Batches(examples, rows, size=size, seed=seed, shuffle=shuffle)
        epoch = list(made.epoch(3))
        assert len(epoch) == made.steps
        seen = torch.cat([batch.rows for batch in epoch]).numpy()
        assert (np.sort(seen) == np.sort(rows)).all()
        assert shuffle or (seen == rows).all()
        sizes = [len(batch) for batch in epoch]
        assert all(each == size for each in sizes[:-1])
        assert 1 < sizes[-1] <= size + 1 or size == 1 or count == 1
        first = seed % made.steps
        for late, batch in zip(made.epoch(3, first), epoch[first:], strict=True):
            same(late, batch)
        same(epoch[-1], examples.take(epoch[-1].rows.numpy()))


def test_the_order_comes_from_seed_and_epoch_alone(examples):
    def order(seed, epoch, size=50):
        made = Batches(examples, np.arange(ROWS), size=size, seed=seed)
        return torch.cat([batch.rows for batch in made.epoch(epoch)]).tolist()

    assert order(1, 0) == order(1, 0, size=7)
    assert len({tuple(order(seed, epoch)) for seed in range(2) for epoch in range(3)}) == 6


def test_augmentation_comes_from_seed_epoch_and_step_and_leaves_the_kept_rows_alone(examples):
    rows = np.arange(ROWS)
    plain = Batches(examples, rows, size=50, seed=0)
    varied = Batches(examples, rows, size=50, seed=0, augment=True)
    first, second = list(varied.epoch(0)), list(varied.epoch(0, 2))
    same(first[2], second[0])
    for batch, other in zip(plain.epoch(0), first, strict=True):
        shift = other.inputs["grid/picture"] - batch.inputs["grid/picture"]
        assert shift.min() >= 0 and len(shift[:, 0, 0, 0].unique()) == len(batch)
        assert torch.equal(batch.inputs["numbers"], other.inputs["numbers"])
    grids = [batch.inputs["grid/picture"][0, 0, 0, 0] for batch in first]
    assert len(torch.stack(grids).unique()) == len(first)
    same(next(plain.epoch(0)), next(Batches(examples, rows, size=50, seed=0).epoch(0)))


def test_the_fields_of_a_vector_can_be_augmented_too(examples):
    size, color, picture, depth = examples.inputs

    class Shaken(type(depth)):
        def augment(self, prepared, generator):
            noise = torch.rand(len(prepared["numbers"]), 1, generator=generator)
            return {"numbers": prepared["numbers"] + noise}

    shaken = Examples(examples.store, [size, color, picture, Shaken("depth", depth.mean, False)], [])
    rows = np.arange(20)
    plain = shaken.take(rows)
    before = plain.inputs["numbers"].clone()
    varied = shaken.augment(plain, 1)
    assert torch.equal(plain.inputs["numbers"], before)
    changed = varied.inputs["numbers"] - before
    assert (changed[:, 0] == 0).all() and (changed[:, 1] > 0).all()


def test_in_order_keeps_the_order(examples, monkeypatch):
    monkeypatch.setattr(prepared, "BLOCK_BYTES", 20_000)
    rows = np.random.default_rng(0).permutation(ROWS)
    found = list(examples.in_order(rows, 30))
    assert [len(batch) for batch in found] == [30] * 6 + [23]
    assert (torch.cat([batch.rows for batch in found]).numpy() == rows).all()


def test_flat_rows_hold_everything_in_the_order_asked_for(examples, monkeypatch):
    monkeypatch.setattr(prepared, "BLOCK_BYTES", 10_000)
    rows = np.random.default_rng(0).permutation(ROWS)
    blocks = list(examples.flat(rows, [Grid(3, (6, 5))]))
    assert len(blocks) > 1
    numbers, codes, _ = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    assert numbers.shape == (ROWS, 2 + 6 * 5 * 3) and numbers.dtype == np.float32
    assert codes.shape == (ROWS, 1) and codes.dtype == np.int64
    batch = examples.take(rows[190:])
    assert (numbers[190:, 2:] == batch.inputs["grid/picture"].flatten(1).numpy()).all()
    assert (codes[190:] == batch.inputs["codes"].numpy()).all()
    coarse = np.concatenate([numbers for numbers, _, _ in examples.flat(rows, [Grid(3, (3, 5))])])
    halves = numbers[:, 2:].reshape(ROWS, 3, 3, 2, 5).mean(axis=3).reshape(ROWS, -1)
    assert coarse.shape == (ROWS, 2 + 45) and np.allclose(coarse[:, 2:], halves, atol=1e-6)


def test_seeds_are_the_same_forever_and_apart():
    assert seed_for(0, "order", 1) == 8024286156118006313
    made = {seed_for(seed, purpose, step) for seed in range(9) for purpose in ("order", "dropout") for step in range(9)}
    assert len(made) == 162
    assert all(0 <= seed < 2**63 for seed in made)
