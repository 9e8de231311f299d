"""Categories: which cells are one class, how classes are ordered and named, and where rare and unseen ones go."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from instar.errors import ColumnError
from instar.fields import Arrays, Field, kinds
from instar.fields._statistics import Counter
from instar.fields.category import CategorySettings
from instar.sources import Column, FileColumn

CATEGORY = kinds["category"]


def read(column: Column) -> Arrays:
    return CATEGORY.read(column, {})


def fit(column: Column, *, target: bool = False, **settings: object) -> Field:
    return CATEGORY.fit("x", [read(column)], {}, CategorySettings(**settings), target=target)


def codes(field: Field, column: Column) -> list[int]:
    return field.prepare(read(column))["codes"][:, 0].tolist()


def test_missing_unseen_and_rare_values_have_places_of_their_own():
    field = fit(pl.Series(["red", "red", "blue", "blue", "red", "rare", None]))
    assert field.shape.cardinalities == (4,)
    assert codes(field, pl.Series(["red", "blue", "rare", "new", None, "NA", " red "])) == [2, 3, 1, 1, 0, 0, 2]
    assert fit(pl.Series(["a", "b", "a", "c"]), minimum_count=1).shape.cardinalities == (5,)


def test_only_the_most_frequent_of_many_categories_are_kept():
    column = pl.Series([f"w{place}" for place in range(100) for _ in range(place + 1)])
    field = fit(column, maximum_categories=3)
    assert field.texts == ("w99", "w98", "w97")
    assert codes(field, pl.Series(["w99", "w97", "w96"])) == [2, 4, 1]


@pytest.mark.parametrize(
    ("column", "classes"),
    [
        (pl.Series([10, 2, 1]), (1, 2, 10)),
        (pl.Series(["10", "2", "1.0", "1"]), (1.0, 2.0, 10.0)),
        (pl.Series(["10", "2", "1"]), (1, 2, 10)),
        (pl.Series([2.0, 1.5]), (1.5, 2.0)),
        (pl.Series([True, False, None]), (False, True)),
        (pl.Series(["True", "False"]), (False, True)),
        (pl.Series(["b", "a", "10"]), ("10", "a", "b")),
        (pl.Series(["007", "7 ", "8"]), ("007", "8")),
        (pl.Series(["yes", "no"]), ("no", "yes")),
        (np.array([1, 0, 1]), (0, 1)),
        (np.array([[1], [0]]), (0, 1)),
    ],
)
def test_classes_are_in_order_and_of_the_type_they_were_written_in(column, classes):
    field = fit(column, target=True)
    assert field.classes == classes
    assert [type(label) for label in field.classes] == [type(label) for label in classes]
    decoded = field.decode(np.eye(len(classes)))
    assert decoded.tolist() == list(classes)


def test_a_label_is_the_same_in_a_text_file_and_in_a_frame():
    field = fit(pl.Series(["0", "1", "1"]), target=True)
    for column in (pl.Series([0, 1]), pl.Series([0.0, 1.0]), pl.Series([" 0", "1.0"]), np.array([0, 1], np.uint8)):
        assert field.prepare(read(column))["target"].tolist() == [0, 1]


def test_missing_and_unseen_classes_are_minus_one():
    field = fit(pl.Series(["a", "b", "b"]), target=True)
    assert field.answer.counts == (1, 2)
    assert field.prepare(read(pl.Series(["b", None, "c", "a"])))["target"].tolist() == [1, -1, -1, 0]


def test_the_truth_tells_a_class_that_was_never_learned_from_none():
    field = fit(pl.Series(["a", "b", "b"]), target=True)
    assert field.truth(read(pl.Series(["b", None, "c", "a"]))).tolist() == [1, -1, -2, 0]
    assert field.recounted([read(pl.Series(["b", None, "c", "b"]))]).answer.counts == (0, 2)


@pytest.mark.parametrize(
    ("cells", "message"),
    [(["a", "a"], "one class only, 'a'"), ([f"name {place}" for place in range(60)], "identifier")],
)
def test_targets_that_cannot_be_learned_are_refused(cells, message):
    with pytest.raises(ColumnError, match=message):
        fit(pl.Series(cells), target=True)


@pytest.mark.parametrize("column", [FileColumn([None]), np.zeros((3, 2))], ids=["files", "arrays"])
def test_another_form_of_column_is_refused(column):
    with pytest.raises(ColumnError):
        read(column)


@given(some.lists(some.sampled_from(["a", "b", "c", "1", " 1", "1.0", "", "NA"]), min_size=1))
def test_every_word_is_spelled_and_told_from_every_other(cells):
    arrays = read(pl.Series(cells))
    assert set(arrays.texts) == set(arrays.values[arrays.present].tolist())
    meant = [None if not cell.strip() or cell == "NA" else "1" if "1" in cell else cell for cell in cells]
    spelled = [arrays.texts.get(int(value)) for value in arrays.values]
    assert [text if text is None or "1" not in text else "1" for text in spelled] == meant


def test_sniffing_as_an_input():
    generator = np.random.default_rng(0)
    few = pl.Series(generator.choice(["red", "green", "blue"], 200))
    identifiers = pl.Series([f"customer number {place}" for place in range(200)])
    assert CATEGORY.sniff(few) > 0.7
    assert CATEGORY.sniff(identifiers) <= 0.1
    assert CATEGORY.sniff(pl.Series([True, False])) > 0.9
    assert CATEGORY.sniff(pl.Series(["yes", "no", None])) > 0.9
    for numbers in (pl.Series([1, 2, 3] * 50), pl.Series(["1", "2", "3"] * 50)):
        assert CATEGORY.sniff(numbers) < kinds["number"].sniff(numbers)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 1] * 3, True),
        (["0", "1"] * 3, True),
        ([1.0, 2.0, float("nan")] * 20, True),
        (list(range(10)) * 5, True),
        (list(range(10)), False),
        (list(range(21)) * 50, False),
        ([0.5, 1.5] * 50, False),
        (["$5", "$7", "$1,000"] * 20, False),
    ],
)
def test_a_target_of_few_whole_numbers_is_one_of_classes(values, classes):
    column = pl.Series(values)
    assert (CATEGORY.sniff(column, target=True) > kinds["number"].sniff(column, target=True)) == classes


def test_frequent_values_keep_their_count_where_rare_ones_do_not_fit():
    generator = np.random.default_rng(0)
    counter = Counter(limit=1_000)
    for _ in range(50):
        counter.add(
            np.concatenate(
                [np.repeat(np.arange(5, dtype=np.uint64), 100), generator.integers(5, 2**60, 9_000).astype(np.uint64)]
            )
        )
    values, counts = counter.most_common()
    assert sorted(values[:5].tolist()) == [0, 1, 2, 3, 4] and counts[:5].tolist() == [5_000] * 5
    assert len(values) <= 1_000
