"""What is odd is said, and what is not odd is not."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from instar.fields import kinds
from instar.findings import constant_columns, giveaways, look, unfit_columns
from instar.prepared import Examples
from instar.sources import Chunk, FileColumn, FileReference
from instar.split import row_keys
from instar.store import ColumnPlan, Store, StorePlan
from standins import MemorySource

ROWS = 1000
GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.normal(size=ROWS)
BETTER = np.where(NOISE + GENERATOR.normal(size=ROWS) > 0, "yes", "no")


def numbers_read(columns, words=()):
    """A store of the columns: numbers, but ``words`` as categories."""
    source = MemorySource(columns)
    plans = {}
    for name, column in columns.items():
        kind = kinds["category" if name in words else "number"]
        plans[name] = ColumnPlan(kind.name, kind.survey(column, kind.settings()))
    return source, Store.build(source, StorePlan(plans))


def fitted(store, name, *, target=False):
    column = store.column(name)
    kind = kinds[column.kind]
    return kind.fit(name, column.chunks(np.arange(len(store))), column.plan, kind.settings(), target=target)


def seen(columns, targets, words=()):
    """The sentences of `look` over a table."""
    source, store = numbers_read(columns, words)
    inputs = [name for name in columns if name not in targets]
    keys = row_keys({name: store.column(name).digests for name in inputs})
    fields = [fitted(store, name, target=True) for name in targets]
    return [str(each) for each in look(store, inputs, fields, np.arange(len(store)), keys, source.locate_row)]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path))


IDENTIFIERS = {
    "PassengerId": range(500, 500 + ROWS),
    "customer_id": GENERATOR.permutation(10**6)[:ROWS],
    "uuid": [f"{number:x}" + "-x" for number in GENERATOR.integers(0, 2**62, ROWS)],
    "": range(ROWS),
    "counted": [str(number) for number in range(ROWS)],
    "every tenth": range(0, 10 * ROWS, 10),
    "backwards": range(ROWS, 0, -1),
}
CONTENT = {
    "price": NOISE,
    "population": np.sort(GENERATOR.permutation(10**6)[:ROWS]),
    "refractive index": NOISE,
    "year": range(1000, 1000 + ROWS),
    "liquid": ["wet", "dry"] * (ROWS // 2),
    "id": ["a", "b"] * (ROWS // 2),
    "day": [str(date(2020, 1, 1) + timedelta(number)) for number in range(ROWS)],
    "born": [date(2020, 1, 1) + timedelta(number) for number in range(ROWS)],
    "path": [f"photos/{number}.jpg" for number in range(ROWS)],
    "valid": GENERATOR.permutation(ROWS),
}


def test_identifiers_are_told_from_content():
    columns = {name: pl.Series(list(cells)) for name, cells in {**CONTENT, **IDENTIFIERS, "id": CONTENT["id"]}.items()}
    assert set(unfit_columns(Chunk(0, columns), columns)) == set(IDENTIFIERS)


def test_only_the_named_columns_are_judged_and_few_cells_prove_nothing():
    columns = {"id": pl.Series(range(50)), "nothing": pl.Series([None, "NA"] * 25)}
    assert unfit_columns(Chunk(0, columns), ["nothing"]) == {"nothing": "it has no value"}
    assert unfit_columns(Chunk(0, {"id": pl.Series(range(10))}), ["id"]) == {}


def test_pictures_and_matrices_are_content():
    columns = {
        "id": FileColumn([FileReference(str(number)) for number in range(50)]),
        "index": np.arange(100).reshape(50, 2),
    }
    assert unfit_columns(Chunk(0, columns), columns) == {}


def test_constants_are_found_in_the_whole_and_not_in_a_sample():
    cells = [1.0] * (10_000 + 1)
    nothing = pl.Series([None] * (10_000 + 2), dtype=pl.String)
    columns = {"same": pl.Series([*cells, 1.0]), "nearly": pl.Series([*cells, 2.0]), "none": nothing}
    _, store = numbers_read(columns, ["none"])
    assert constant_columns(store, columns) == {"same": "it has the same value in every row", "none": "it has no value"}


def test_a_clean_table_has_no_findings():
    assert seen({"a": pl.Series(NOISE), "b": pl.Series(BETTER)}, ["b"], ["b"]) == []


def test_missing_and_unreadable_values_are_named():
    cells = [str(number) for number in range(ROWS)]
    cells[7] = "many"
    sparse = pl.Series([None if row % 4 else 1.0 + row for row in range(ROWS)])
    nearly = pl.Series([None if row == 5 else 2.0 + row for row in range(ROWS)])
    answers = [None if row < 30 else float(row) for row in range(ROWS)]
    found = seen({"a": pl.Series(cells), "nearly": nearly, "sparse": sparse, "y": pl.Series(answers)}, ["y"])
    assert any("Column 'a' has one value that cannot be read" in each and "memory, row 8" in each for each in found)
    assert "Values are missing: 'sparse' in 75 %, 'a' in 0.10 %, 'nearly' in 0.10 % of the rows." in found
    assert "Column 'y' has no answer in 3 % of the rows." in found
    assert len(found) == 3


def test_of_many_columns_with_missing_values_the_worst_are_named():
    columns = {
        f"c{many}": pl.Series([None if row < many else 1.5 + row for row in range(ROWS)]) for many in range(0, 500, 50)
    }
    (found,) = seen({**columns, "y": pl.Series(NOISE)}, ["y"])
    assert found.startswith("Values are missing: 'c450' in 45 %, 'c400' in 40 %")
    assert found.endswith("'c200' in 20 % of the rows, and 3 more columns in fewer.")


def test_repeated_and_contradicting_rows_are_counted():
    numbers, answers = NOISE.copy(), BETTER.copy()
    numbers[:10], answers[:10] = numbers[10:20], answers[10:20]
    answers[:4] = np.where(answers[:4] == "yes", "no", "yes")
    found = seen({"a": pl.Series(numbers), "b": pl.Series(answers)}, ["b"], ["b"])
    assert found == [
        "20 of 1,000 rows have the same inputs as another row.",
        "Column 'b' has different answers to the same inputs in 8 rows, which nothing can learn to tell.",
    ]


def test_rare_and_dominant_classes_are_named():
    classes = ["common"] * 980 + ["some"] * 12 + ["rare"] * 5 + ["odd"] * 3
    found = seen({"a": pl.Series(NOISE), "b": pl.Series(classes)}, ["b"], ["b"])
    assert found[0].startswith("Column 'b' has 2 classes with fewer than 10 training rows ('odd', 'rare').")
    assert found[1].startswith("Column 'b' is 'common' in 98 % of the training rows.")


def test_a_copy_of_the_target_is_named():
    found = seen({"a": pl.Series(NOISE), "b": pl.Series(BETTER), "c": pl.Series(BETTER)}, ["b"], ["b", "c"])
    assert found == ["Column 'c' repeats the target 'b' in 100 % of the rows. Leave it out: --exclude c."]


def test_columns_that_give_the_answer_away_are_measured_on_held_out_rows():
    amount = np.exp(NOISE)
    codes = np.where(BETTER == "yes", GENERATOR.integers(0, 5, ROWS), GENERATOR.integers(5, 9, ROWS)).astype(str)
    columns = {
        "noise": pl.Series(NOISE[::-1].copy()),
        "tax": pl.Series(amount * 0.2),
        "ward": pl.Series([f"w{code}" for code in codes]),
        "amount": pl.Series(amount),
        "better": pl.Series(BETTER),
    }
    _, store = numbers_read(columns, ["ward", "better"])
    inputs = [fitted(store, name) for name in ("noise", "tax", "ward")]
    targets = [fitted(store, name, target=True) for name in ("amount", "better")]
    training, held_out = np.arange(700), np.arange(700, 1000)
    found = giveaways(Examples(store, inputs, targets), training, held_out)
    assert [(each.column, each.what.split(" alone predicts ")[-1][:20]) for each in found] == [
        ("tax", "alone predicts 'amou"),
        ("ward", "alone predicts 'bett"),
    ]
    assert "accuracy 1.000" in str(found[1]) and "--exclude ward" in str(found[1])
    assert giveaways(Examples(store, inputs[1:2], targets), training, held_out) == []


def test_chance_and_the_majority_are_no_giveaway():
    classes = np.where(np.arange(ROWS) % 200 == 0, "rare", "common")
    columns = {"a": pl.Series(NOISE), "b": pl.Series(NOISE[::-1].copy()), "c": pl.Series(classes)}
    _, store = numbers_read(columns, ["c"])
    examples = Examples(store, [fitted(store, name) for name in "ab"], [fitted(store, "c", target=True)])
    assert giveaways(examples, np.arange(700), np.arange(700, 1000)) == []
