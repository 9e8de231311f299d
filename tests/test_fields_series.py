"""Series: every way to write them gives the same numbers, lengths and gaps are kept, and what is no series is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import instar
from instar.answers import Details, Mistake
from instar.errors import ColumnError
from instar.evaluation.panels import mistakes_panel
from instar.evaluation.results import TargetResult
from instar.fields import Arrays, kinds
from instar.fields._series import parse
from instar.fields._steps import averaged, interpolated
from instar.fields.series import SeriesField, SeriesSettings
from instar.learn import learn
from instar.shapes import Choice, Curves, Grid, Text
from instar.sources import Column, FileColumn
from instar.sources.locate import locate

SERIES = kinds["series"]
NAN = float("nan")


def cells(*content: object) -> pl.Series:
    """Cells of text: what is no text as JSON."""
    texts = [each if each is None or isinstance(each, str) else json.dumps(each) for each in content]
    return pl.Series(texts, dtype=pl.String)


def read(column: Column, learned: Column | None = None, **given_settings: object) -> Arrays:
    plan = SERIES.survey(column if learned is None else learned, SeriesSettings(**given_settings))
    return SERIES.read(column, json.loads(json.dumps(plan)))


def fit(column: Column, **given_settings: object) -> tuple[SeriesField, Arrays]:
    settings = SeriesSettings(**given_settings)
    plan = SERIES.survey(column, settings)
    arrays = SERIES.read(column, plan)
    field = SERIES.fit("signal", [arrays], plan, settings, target=False)
    SERIES.check(plan, field)
    return field, arrays


def grid(column: Column, **given_settings: object) -> np.ndarray:
    field, arrays = fit(column, **given_settings)
    return field.prepare(arrays)["grid"].numpy()


# Reading


@pytest.mark.parametrize(
    "column",
    [
        cells([[1, 2, 3], [4, 5, 6.5]]),
        cells("1 2 3 : 4 5 6.5"),
        cells("1;2;3:4;5;6.5"),
        pl.Series([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]]]),
        np.array([[[1, 2, 3], [4, 5, 6.5]]]),
        np.array([[[1, 2, 3], [4, 5, 6.5]]], np.float32),
    ],
    ids=["json", "spaces", "semicolons", "lists", "float64", "float32"],
)
def test_every_way_to_write_a_series_gives_the_same_steps(column):
    arrays = read(column)
    assert arrays.values.dtype == np.float32
    assert arrays.values.tolist() == [[1, 4], [2, 5], [3, 6.5]]
    assert arrays.lengths.tolist() == [3] and not arrays.problems


def test_one_channel_needs_no_list_of_lists():
    for column in (cells([1, 2, 3], [4, 5]), cells("1 2 3", "4;5"), np.array([[1, 2, 3], [4, 5, NAN]])):
        arrays = read(column)
        assert arrays.values.tolist() == [[1], [2], [3], [4], [5]]
        assert arrays.lengths.tolist() == [3, 2]


def test_missing_steps_stay_and_a_missing_end_is_none():
    arrays = read(cells("?;2;NaN;4;;;", [None, 2, None, 4], "NA", None, [None, None]))
    assert arrays.lengths.tolist() == [4, 4, 0, 0, 0]
    assert np.array_equal(arrays.values[:, 0], [NAN, 2, NAN, 4] * 2, equal_nan=True)
    assert arrays.present.tolist() == [True, True, False, False, False] and not arrays.problems


def test_a_large_number_of_channels_is_kept_apart():
    wide = np.random.default_rng(0).normal(size=(4, 40, 50)).astype(np.float32)
    arrays = read(wide)
    assert arrays.values.shape == (200, 40)
    assert np.array_equal(arrays.of_row(2), wide[2].T)


@pytest.mark.parametrize(
    ("column", "channels"),
    [
        (np.zeros((3, 2, 50)) + 1, 2),
        (np.zeros((3, 50, 2)) + 1, 2),
        (cells([[1, 2, 3]] * 2, [[1, 2]] * 2), 2),
        (cells([[1, 2]] * 3, [[1, 2]] * 7), 2),
        (cells([[1, 2, 3]] * 5, [[1, 2, 3]] * 2), 3),
    ],
    ids=["channels first", "steps first", "lists of channels", "lists of steps", "few steps outside"],
)
def test_the_axis_of_the_steps_is_the_one_that_differs_or_the_longer_one(column, channels):
    assert read(column).values.shape[1] == channels


@pytest.mark.parametrize("turned", [False, True])
def test_a_row_with_other_channels_is_named_and_does_not_turn_the_others(turned):
    good, bad = np.ones((2, 4)), np.ones((1, 4))
    cells = [json.dumps((each.T if turned else each).tolist()) for each in (*[good] * 9, bad)]
    arrays = read(pl.Series(cells))
    assert arrays.values.shape == (36, 2) and arrays.present.tolist() == [True] * 9 + [False]
    assert [(each.row, "1 channel where 2" in each.reason) for each in arrays.problems] == [(9, True)]


def test_the_layout_can_be_said():
    assert read(np.ones((2, 3, 5)), series_layout="steps").values.shape == (6, 5)
    assert read(np.ones((2, 5, 3)), series_layout="channels").values.shape == (6, 5)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ([[1, 2], [3, 4]], "2 channels where 1 are expected"),
        ("1 2 : 3 4", "2 channels where 1"),
        ([[1, 2], [3]], "different lengths, from 1 to 2 steps"),
        ("1 2 x 4", "'x' is no number"),
        ("hello there", "'hello' is no number"),
        ("[1, 2", "no list of numbers"),
        ("[" * 5000, "no list of numbers"),
        ([1, "two"], "more than numbers"),
        (["1", "2"], "more than numbers"),
        ([1, [2]], "both lists and numbers"),
        ([[[1]]], "lists of lists"),
        ([], "no steps"),
        ([[], []], "no steps"),
        ("1 inf 3", "step 2 holds inf"),
        ([1, 2, -1e39], "step 3 holds -1e+39"),
        ([0] * 11, "11 steps, more than the 10 of maximum_steps"),
    ],
)
def test_what_is_no_series_is_a_problem_with_its_reason_and_costs_no_other_row(cell, reason):
    arrays = read(cells([1, 2, 3], cell, [4, 5, 6]), learned=cells([1, 2, 3]), maximum_steps=10)
    (problem,) = arrays.problems
    assert problem.row == 1 and reason in problem.reason
    assert arrays.lengths.tolist() == [3, 0, 3]
    assert arrays.present.tolist() == [True, False, True]


def test_rows_of_an_array_with_other_channels_are_problems():
    arrays = read(np.ones((2, 4, 50)), learned=np.ones((2, 3, 50)))
    assert [problem.reason for problem in arrays.problems] == ["it has 4 channels where 3 are expected"] * 2


@pytest.mark.parametrize(
    "column", [FileColumn([None]), pl.Series([1.0, 2.0]), np.ones((2, 2, 2, 2)), cells("a", "b")], ids=str
)
def test_columns_that_cannot_be_series_are_refused(column):
    with pytest.raises(ColumnError, match="read"):
        SERIES.survey(column, SeriesSettings())


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (np.zeros((9, 3, 40), np.float32), "series"),
        (np.zeros((9, 100, 3)), "series"),
        (np.zeros((9, 12, 14)) + [NAN] * 14, "series"),
        (np.zeros((9, 8, 8)), "image"),
        (np.zeros((9, 28, 20), np.float32), "image"),
        (np.zeros((9, 4, 40), np.uint8), "image"),
        (np.zeros((9, 30)), "number"),
        (cells(*[[0.5, 1, 2, 3, 4, 5, 6, row] for row in range(30)]), "series"),
        (cells(*[f"1 2 3 4 5 6 7 {row}" for row in range(30)]), "series"),
        (cells(*[f"2024-01-{row:02}" for row in range(1, 30)]), "date"),
        (cells(*[f"{row} 3" for row in range(30)]), "other"),
    ],
)
def test_series_are_told_from_pictures_numbers_and_words(column, kind):
    sure = {name: each.sniff(column) for name, each in kinds.items()}
    if kind == "other":
        assert sure["series"] == 0
    else:
        assert max(sure, key=sure.__getitem__) == kind
    assert SERIES.sniff(column, target=True) == 0


numbers = some.floats(-1e6, 1e6, width=32)


@given(some.lists(some.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=4))
def test_text_and_lists_come_back_as_they_were_written(channels):
    expected = np.array(channels)
    for cell in (json.dumps(channels), ":".join(";".join(map(repr, each)) for each in channels), channels):
        values, _ = parse(cell)
        assert np.array_equal(values, expected)


def test_lists_of_unequal_lengths_come_through_the_library(tmp_path):
    signal = [[1.5, 2, 3, 4, 5, 6, 7, 8], None, [1, 2, 3, 4, 5, 6, 7, 8, 9]]
    frame = pl.DataFrame({"signal": signal}, strict=False)
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.ndjson")
    for given_source in ({"signal": signal}, frame, tmp_path / "a.parquet", tmp_path / "a.ndjson"):
        arrays = read(locate(given_source).sample(9).columns["signal"])
        assert arrays.lengths.tolist() == [8, 0, 9] and arrays.values[0, 0] == 1.5


# Fitting and preparing


def test_channels_are_scaled_by_their_training_rows():
    generator = np.random.default_rng(0)
    signal = generator.normal([[[5.0], [-300.0]]], [[[2.0], [40.0]]], (50, 2, 20))
    field, arrays = fit(signal)
    prepared = field.prepare(arrays)["grid"].numpy()
    assert field.shape == Grid(2, (20,))
    assert np.allclose(prepared.mean(axis=(0, 2)), 0, atol=1e-6) and np.allclose(prepared.std(axis=(0, 2)), 1)
    assert field.describe() == "series of 2 channels and 20 steps"


def test_series_at_levels_of_their_own_are_scaled_by_themselves():
    generator = np.random.default_rng(0)
    level = generator.normal(0, 100, (50, 1, 1))
    signal = generator.normal(level, 1.0, (50, 1, 20))
    field, arrays = fit(signal)
    prepared = field.prepare(arrays)["grid"].numpy()
    assert np.allclose(prepared.mean(axis=2), 0, atol=1e-4) and np.allclose(prepared.std(axis=2), 1, atol=1e-4)
    assert "own mean and spread" in field.describe()
    common = grid(signal, series_scale="channel")
    assert prepared.std() == pytest.approx(1, abs=1e-3) and common.std(axis=2).max() < 0.1
    assert np.allclose(grid(generator.normal(size=(9, 1, 20)), series_scale="example").mean(axis=2), 0, atol=1e-6)


def test_a_constant_series_is_zero_and_no_blaze_of_rounding():
    assert not grid(np.full((5, 1, 10), 0.1)).any()
    mixed = np.concatenate([np.full((1, 1, 10), 1e6 + 0.1), np.arange(10.0)[None, None]])
    assert not grid(mixed, series_scale="example")[0].any()


def test_shorter_series_end_with_zeros_and_a_channel_says_where_they_end():
    prepared = grid(cells([1, 2, 3, 4, 5], [5, 4, 3]))
    assert prepared.shape == (2, 2, 5)
    assert prepared[:, 1].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert not prepared[1, 0, 3:].any() and prepared[1, 0, 0] == prepared[0, 0, 4]
    assert grid(cells([1, 2, 3], [3, 2, 1])).shape == (2, 1, 3)


def test_gaps_lie_on_the_line_between_their_neighbors():
    field, arrays = fit(cells([[0, None, None, 3, 4], [1, 1, 1, 1, 2]], [[None, 1, 2, None, 9], [None] * 5]))
    raw = field.prepare(arrays)["grid"].numpy()[:, :2] * field.scale[:, None] + field.mean[:, None]
    assert np.allclose(raw[0, 0], [0, 1, 2, 3, 4], atol=1e-5)
    assert np.allclose(raw[1, 0], [1, 1, 2, 5.5, 9], atol=1e-5)
    assert np.allclose(raw[1, 1], field.mean[1]), "a channel of which nothing is known is the average"
    content = field.prepare(arrays)["grid"].numpy()[:, 2]
    assert content.tolist() == [[1, 0.5, 0.5, 1, 1], [0, 0.5, 0.5, 0, 0.5]]


gaps = some.lists(some.lists(some.one_of(some.just(NAN), numbers), min_size=1, max_size=6), min_size=1, max_size=5)


@given(gaps)
def test_gaps_of_a_series_are_filled_as_if_it_were_alone(rows):
    values = np.concatenate(rows)[:, None]
    together = interpolated(values, np.array([len(row) for row in rows]))
    alone = [interpolated(np.array(row)[:, None], np.array([len(row)])) for row in rows]
    assert np.array_equal(together, np.concatenate(alone), equal_nan=True)
    for row, filled in zip(rows, alone, strict=True):
        known = ~np.isnan(row)
        assert np.array_equal(filled[known, 0], np.array(row)[known])
        assert np.isfinite(filled).all() == known.any()


@given(some.lists(numbers, min_size=1, max_size=40), some.integers(1, 60))
def test_averages_of_stretches_keep_the_mean(steps, count):
    shorter = averaged(np.array(steps)[:, None], count)
    assert shorter.shape == (count, 1)
    assert np.isclose(shorter.mean(), np.mean(steps), rtol=1e-6, atol=1e-6 * max(1, np.abs(steps).max()))


def test_long_series_are_resampled_at_one_rate_or_cut():
    ramps = [list(range(200)), list(range(100)), *([list(range(200))] * 9)]
    field, arrays = fit(cells(*ramps), series_length=50)
    raw = field.prepare(arrays)["grid"].numpy() * np.append(field.scale, 1)[:, None] + np.append(field.mean, 0)[:, None]
    assert np.allclose(raw[0, 0], np.arange(50) * 4 + 1.5, atol=1e-3)
    assert np.allclose(raw[1, 0, :25], np.arange(25) * 4 + 1.5, atol=1e-3) and not raw[1, 1, 25:].any()
    assert "100 to 200 steps, seen as 50" in field.describe()
    field, arrays = fit(cells(*ramps), series_length=50, series_fit="cut")
    raw = field.prepare(arrays)["grid"].numpy()[:, 0] * field.scale + field.mean
    assert np.allclose(raw, np.arange(50), atol=1e-3)


def test_one_series_far_longer_than_the_others_does_not_decide_the_length():
    ramps = [list(range(20 + row % 3)) for row in range(60)]
    field, arrays = fit(cells(*ramps, list(range(1000))))
    assert field.shape.extent == (22,)
    raw = field.prepare(arrays)["grid"].numpy()[-1, 0] * field.scale + field.mean
    assert (np.diff(raw) > 40).all(), "the whole of it is seen"
    assert fit(cells(*ramps, list(range(30))))[0].shape.extent == (30,)
    assert fit(np.ones((3, 1, 5000)), series_limit=256)[0].shape.extent == (256,)


def test_augmentation_varies_the_content_and_takes_its_mark_along():
    column = cells(*[[float(value) for value in range(1, 1 + length)] for length in (20, 12, 20)], None)
    field, arrays = fit(column, series_noise=0.1, series_gain=0.2, series_shift=0.3)
    prepared = field.prepare(arrays)
    varied = field.augment(prepared, torch.Generator().manual_seed(1))["grid"]
    assert not torch.equal(varied, prepared["grid"])
    assert not varied[:, 0][varied[:, 1] == 0].any(), "nothing where there is no content"
    assert set(varied[:, 1].unique().tolist()) == {0.0, 1.0} and not varied[3].any()
    plain, arrays = fit(column)
    same = plain.prepare(arrays)
    assert plain.augment(same, torch.Generator()) is same


def test_a_series_is_shown_as_curves_with_words_for_who_cannot_see_them():
    field, arrays = fit(cells([[1, 2, None, 4], [5, 6, 7, 8]], None))
    view = field.show(arrays, 0)
    assert isinstance(view, Curves)
    assert view.curves[1] == (5, 6, 7, 8) and np.isnan(view.curves[0][2])
    assert view.text == "2 channels and 4 steps, beginning with 1, 2, missing, 4"
    assert field.show(arrays, 1) == Text("missing")
    long, arrays = fit(np.random.default_rng(0).normal(size=(2, 20, 5000)))
    shown = long.show(arrays, 0)
    assert len(shown.curves) <= 6 and len(shown.curves[0]) <= 240


def test_the_report_draws_the_series_that_were_mistaken():
    mistake = Mistake("line 3", {"signal": Curves(((1.0, NAN, 2.0, 3.0), (0.0,) * 4), "<b>")}, "a", "b", 0.9)
    page = mistakes_panel(TargetResult("answer", Choice((1, 1)), 20, {}, details=Details([mistake])))
    assert page.count("<polyline") == 3 and "<b>" not in page.split("<figcaption>")[0]
    nothing = Mistake("line 4", {"signal": Curves(((NAN,),), "")}, "a", "b", 0.9)
    assert "<figure" in mistakes_panel(TargetResult("answer", Choice((1, 1)), 20, {}, details=Details([nothing])))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("preparation", {"length": 0}),
        ("preparation", {"length": 1 << 40}),
        ("preparation", {"length": True}),
        ("preparation", {"rate": 0}),
        ("preparation", {"rate": 2.0}),
        ("preparation", {"rate": NAN}),
        ("preparation", {"cut": 1}),
        ("preparation", {"flagged": "yes"}),
        ("preparation", {"shortest": 9}),
        ("variation", {"noise": -1}),
        ("variation", {"shift": float("inf")}),
    ],
)
def test_a_state_out_of_bounds_is_refused(part, change):
    field, _ = fit(cells([1, 2, 3], [1, 2, 4]))
    content, arrays = field.state()
    with pytest.raises(ValueError, match="malformed"):
        SERIES.restore("signal", {**content, part: {**content[part], **change}}, arrays)
    with pytest.raises(ValueError, match="malformed"):
        SERIES.restore("signal", content, {**arrays, "scale": np.zeros(1)})


def test_a_state_that_would_take_all_memory_is_refused():
    field, _ = fit(cells([1, 2, 3], [1, 2, 4]), series_length=1 << 16)
    content, _ = field.state()
    wide = np.ones(1 << 15)
    with pytest.raises(ValueError, match="malformed"):
        SERIES.restore("signal", content, {"mean": wide, "scale": wide})
    with pytest.raises(ColumnError, match="too wide"):
        SERIES.survey(np.broadcast_to(np.float32(1), (1, 1 << 17, 1 << 17)), SeriesSettings())


@pytest.mark.parametrize("change", [{"channels": 2}, {"maximum_steps": 0}, {"steps": 0}, {"steps_first": 1}])
def test_a_plan_that_the_field_cannot_have_is_refused(change):
    column = cells([1, 2, 3], [1, 2, 4])
    field, _ = fit(column)
    plan = SERIES.survey(column, SeriesSettings())
    with pytest.raises(ValueError, match="malformed"):
        SERIES.check({**plan, **change}, field)


# The whole way


def waves(rows: int, seed: int) -> dict:
    """Sine and square waves of 24 to 40 steps, with noise, some steps missing; three parts given."""
    generator = np.random.default_rng(seed)
    signal, shape = [], []
    for row in range(rows):
        steps = np.arange(int(generator.integers(24, 41)))
        wave = np.sin(steps * generator.uniform(0.3, 0.6) + generator.uniform(0, 6))
        wave = wave if row % 2 else np.sign(wave)
        noisy = wave + 0.1 * generator.normal(size=len(steps))
        noisy[generator.random(len(steps)) < 0.03] = NAN
        signal.append(noisy.tolist())
        shape.append("sine" if row % 2 else "square")
    parts = ["test" if row % 5 == 0 else "validation" if row % 5 == 1 else "train" for row in range(rows)]
    return {"signal": signal, "shape": shape, "part": parts}


def test_sine_and_square_waves_of_different_lengths_are_told_apart(tmp_path: Path) -> None:
    source = waves(200, 0)
    given_settings = {"target": "shape", "split": "part", "out": str(tmp_path / "run"), "epochs": 10, "rivals": False}
    model = learn(source, given_settings)[0]
    assert "signal" in [each.name for each in model.inputs]
    new = waves(60, 1)
    answers = instar.load(tmp_path / "run").predict(new)["prediction"].to_list()
    assert np.mean(np.array(answers) == np.array(new["shape"])) >= 0.95
    assert model.evaluate(new).metrics["accuracy"].value >= 0.95
