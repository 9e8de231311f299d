"""Numbers: how text is read, what is refused, how it is scaled, and that answers come back in the column's units."""

from __future__ import annotations

import itertools
import json

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as some

from instar.errors import ColumnError
from instar.fields import Arrays, Field, kinds
from instar.fields.number import NumberSettings
from instar.sources import Column, FileColumn

NUMBER = kinds["number"]


def read(column: Column) -> Arrays:
    return NUMBER.read(column, NUMBER.survey(column, NumberSettings()))


def fit(column: Column, *, target: bool = False, **settings: object) -> tuple[Field, Arrays]:
    given_settings = NumberSettings(**settings)
    plan = NUMBER.survey(column, given_settings)
    arrays = NUMBER.read(column, plan)
    return NUMBER.fit("x", [arrays], plan, given_settings, target=target), arrays


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", " 2.5 ", "1e3", "-.5"], [1, 2.5, 1000, -0.5]),
        (["1,234", "5", "12,345,678.5"], [1234, 5, 12345678.5]),
        (["1,5", "2,25"], [1.5, 2.25]),
        (["1,234", "1,5"], [1.234, 1.5]),
        (["1.234,5", "7"], [1234.5, 7]),
        (["1.234", "2.5"], [1.234, 2.5]),
        (["1 234,5", "2\u202f000"], [1234.5, 2000]),
        (["1'000.5"], [1000.5]),
        (["$1,200.50", "-$5", "$ 7", "$-8"], [1200.5, -5, 7, -8]),
        (["12 %", "3.5%"], [12, 3.5]),
        (["5 EUR", "€7,50"], [5, 7.5]),
    ],
)
def test_numbers_are_read_as_the_column_writes_them(cells, values):
    arrays = read(pl.Series(cells))
    assert arrays.values.tolist() == values and not arrays.problems


@given(some.lists(some.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_what_computers_write_is_read_exactly(values):
    arrays = read(pl.Series([repr(value) for value in values]))
    assert arrays.values.tolist() == values and arrays.present.all()


def test_words_and_infinities_are_problems_and_missing_tokens_are_not():
    column = pl.Series(["1", "NA", "about 5", "inf", "", "2", "3", "4", None])
    arrays = NUMBER.read(column, {"width": None, "writing": {}})
    assert [(each.row, each.reason) for each in arrays.problems] == [
        (2, "'about 5' is no finite number"),
        (3, "'inf' is no finite number"),
    ]
    assert arrays.present.tolist() == [True, False, False, False, False, True, True, True, False]
    assert [each.row for each in read(pl.Series([1.0, float("inf"), float("nan")])).problems] == [1]


def test_a_matrix_is_one_field():
    field, arrays = fit(np.array([[1.0, 5, np.nan], [2, 5, 1], [3, 5, np.inf], [np.nan, np.nan, np.nan]]))
    assert [each.row for each in arrays.problems] == [2]
    assert arrays.present.tolist() == [True, True, True, False]
    assert field.shape.width == 6
    numbers = field.prepare(arrays)["numbers"]
    assert numbers[:, 1].tolist() == [0, 0, 0, 0]
    assert numbers[:, 3:].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    "column", [np.zeros((2, 4)), pl.Series([1.0]), FileColumn([None])], ids=["width", "cells", "files"]
)
def test_another_form_than_expected_is_refused(column):
    with pytest.raises(ColumnError):
        NUMBER.read(column, {"width": 3, "single": False})


def test_robust_scaling_centers_the_middle_half_and_bounds_what_lies_far():
    field, arrays = fit(pl.Series([*range(101), 10**9]))
    numbers = field.prepare(arrays)["numbers"][:, 0]
    assert abs(numbers[50]) < 0.02 and abs(numbers[75] - numbers[25] - 1) < 0.05
    assert numbers.abs().max() <= 3.0
    assert (numbers.diff() > 0).all()


def test_standard_scaling_has_mean_0_and_variance_1():
    column = pl.Series(np.random.default_rng(0).normal(50, 7, 5_000))
    field, arrays = fit(column, scaling="standard")
    numbers = field.prepare(arrays)["numbers"]
    assert abs(numbers.mean()) < 1e-4 and abs(numbers.std() - 1) < 1e-3


def test_quantile_scaling_makes_any_distribution_normal():
    column = pl.Series(np.random.default_rng(0).lognormal(0, 3, 20_000))
    field, arrays = fit(column, scaling="quantile")
    numbers = field.prepare(arrays)["numbers"][:, 0]
    expected = torch.special.ndtri(torch.tensor([0.1, 0.5, 0.9]))
    assert torch.allclose(numbers.quantile(torch.tensor([0.1, 0.5, 0.9])), expected, atol=0.02)


@pytest.mark.parametrize("scaling", ["robust", "standard", "quantile"])
@pytest.mark.parametrize(
    "values",
    [
        [1e300, -1e300, 5.0, 1.7e308, -1.7e308],
        [3.0, 3.0, 3.0],
        [5e-324, 0.0, 1.0],
        [0.0] * 99 + [1.0],
        [1e15, 1e15 + 1],
        [7.0],
        [2.0, None],
    ],
)
def test_extreme_columns_are_finite_numbers(values, scaling):
    field, arrays = fit(pl.Series(values, dtype=pl.Float64), scaling=scaling)
    assert field.prepare(arrays)["numbers"].isfinite().all()
    far = NUMBER.read(pl.Series([1.7e308, -1.7e308, None, 0.0]), {"width": None, "writing": {}})
    assert field.prepare(far)["numbers"].isfinite().all()


def test_an_indicator_says_what_was_missing_only_where_training_rows_had_gaps():
    assert fit(pl.Series([1.0, 2.0]))[0].shape.width == 1
    field, arrays = fit(pl.Series([1.0, None, 2.0]))
    assert field.prepare(arrays)["numbers"][:, 1].tolist() == [0, 1, 0]
    assert field.prepare(arrays)["numbers"][1, 0] == 0


# A third of 2³¹ cannot be averaged exactly, so that a constant column seemed to vary.
@example([715827882.8410718] * 3, [1])
@given(some.lists(some.floats(-1e9, 1e9), min_size=2, max_size=40), some.lists(some.integers(1, 39), max_size=5))
def test_statistics_do_not_depend_on_how_rows_are_cut_into_chunks(values, cuts):
    arrays = NUMBER.read(pl.Series(values), {"width": None, "writing": {}})
    edges = [0, *sorted(cut for cut in cuts if cut < len(values)), len(values)]
    parts = [
        Arrays(arrays.values[start:stop], arrays.present[start:stop], arrays.digests[start:stop])
        for start, stop in itertools.pairwise(edges)
    ]
    plan = {"width": None, "writing": {}}
    one, many = (NUMBER.fit("x", chunks, plan, NumberSettings(), target=True) for chunks in ([arrays], parts))
    assert np.allclose(one.center, many.center, rtol=1e-9, atol=1e-6)
    assert np.allclose(one.scale, many.scale, rtol=1e-6, atol=1e-6)
    assert one.low == many.low == min(values) and one.high == many.high == max(values)


def test_millions_of_rows_are_fitted_from_a_fair_sample():
    generator = np.random.default_rng(1)
    plan = {"width": None, "writing": {}}
    rows = [np.sort(generator.normal(size=100_000)) + start for start in range(10)]
    chunks = (Arrays(each, np.ones(len(each), bool), np.zeros(len(each), np.uint64)) for each in rows)
    field = NUMBER.fit("x", chunks, plan, NumberSettings(), target=False)
    lower, middle, upper = np.quantile(np.concatenate(rows), [0.25, 0.5, 0.75])
    assert abs(field.center[0] - middle) < 0.05
    assert abs(1 / field.factor[0] - (upper - lower)) < 0.1


def test_amounts_are_scaled_and_come_back_in_their_units():
    column = pl.Series(np.random.default_rng(0).normal(1000, 50, 300))
    field, arrays = fit(column, target=True)
    target = field.prepare(arrays)["target"]
    assert abs(target.mean()) < 1e-5 and abs(target.std(correction=0) - 1) < 1e-5
    assert np.allclose(field.decode(target.numpy())[:, 0], column)


def test_a_skewed_target_may_be_learned_on_a_logarithmic_scale():
    prices = pl.Series(np.random.default_rng(0).lognormal(5, 1.5, 500))
    assert not fit(prices, target=True)[0].logarithmic
    field, arrays = fit(prices, target=True, target_scale="auto")
    assert field.logarithmic
    assert np.allclose(field.decode(field.prepare(arrays)["target"].numpy())[:, 0], prices, rtol=1e-5)
    assert np.isfinite(field.decode(np.array([[500.0], [-500.0]]))).all()
    assert not fit(pl.Series(np.linspace(10, 20, 50)), target=True, target_scale="auto")[0].logarithmic


def test_a_logarithmic_scale_needs_positive_amounts():
    with pytest.raises(ColumnError, match="not positive"):
        fit(pl.Series([1.0, 0.0]), target=True, target_scale="log")


def test_amounts_beyond_reckoning_are_refused():
    with pytest.raises(ColumnError, match="too large"):
        fit(pl.Series([1e300, -1e300, 1.0]), target=True)


def test_sniffing_tells_numbers_from_words_and_codes():
    assert NUMBER.sniff(pl.Series(["1", "2.5", "x"] + ["3"] * 30)) > 0.8
    assert NUMBER.sniff(pl.Series(["one", "two", "3"])) < 0.3
    assert NUMBER.sniff(pl.Series(["00501", "10001", "90210"])) < kinds["category"].sniff(
        pl.Series(["00501", "10001", "90210"])
    )
    assert NUMBER.sniff(pl.Series(["$5", "$1,000"])) > 0.8


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_truth_is_the_amount_as_it_was_read(scale):
    """Learning needs it scaled, rounded to float32, and bounded; an examination does not."""
    learned = np.random.default_rng(0).lognormal(size=300)
    field, _ = fit(pl.Series(learned), target=True, target_scale=scale)
    far = np.array([learned.min() / 1e6, 1e9 * learned.std(), 0.1, np.nan])
    truth = field.truth(read(pl.Series(far).fill_nan(None)))
    assert np.array_equal(truth[:, 0], far, equal_nan=True)


def test_lists_of_features_are_rows_of_numbers_and_waves_are_none():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 30)).round(4)
    waves = np.sin(np.arange(30) / 4 + generator.normal(size=(200, 1))) + generator.normal(size=(200, 30)) / 2
    cells = [json.dumps(row.tolist()) for row in features]
    for rows, expected in ((cells, "number"), ([json.dumps(row.tolist()) for row in waves], "series")):
        sure = {name: kind.sniff(pl.Series(rows)) for name, kind in kinds.items()}
        assert max(sure, key=sure.__getitem__) == expected
    column = pl.Series([*cells[:3], None, "[1, 2]", '[1, "x"]'])
    plan = NUMBER.survey(pl.Series(cells), NUMBER.settings())
    arrays = NUMBER.read(column, plan)
    assert np.array_equal(arrays.values[:3], features[:3])
    assert arrays.present.tolist() == [True] * 3 + [False] * 3
    assert np.array_equal(arrays.digests[:3], NUMBER.read(features[:3], plan).digests)
    assert [problem.row for problem in arrays.problems] == [4, 5]
    assert "2 numbers where 30 are expected" in arrays.problems[0].reason
