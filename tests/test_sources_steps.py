"""Steps in rows or columns of their own: whatever their order, they come together as the series that they were."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

import instar
from instar.cli import main
from instar.errors import ColumnError, DataError, InstarError, SourceError, UsageError
from instar.fields import kinds
from instar.fields.series import SeriesSettings
from instar.sources import Source, long
from instar.sources.locate import locate
from instar.sources.steps import in_series, in_series_again, layout_from_json, layout_of

SERIES = kinds["series"]


def steps(rows: int = 40, seed: int = 0) -> pl.DataFrame:
    """A table of two channels, with a gap here and there; its answer is how fast the first one swings."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(rows):
        swing, age = number % 2, int(generator.integers(20, 80))
        for minute in range(int(generator.integers(12, 20))):
            if minute and generator.random() < 0.1:
                continue
            wave = np.sin(minute / (3 - 2 * swing)) + generator.normal() * 0.1
            mode = "auto" if generator.random() < 0.5 else "manual"
            found.append((f"p{number:02}", minute, round(wave, 3), minute / 4, age, ["slow", "fast"][swing], mode))
    names = ["patient", "minute", "temp", "pulse", "age", "label", "mode"]
    return pl.DataFrame(found, orient="row", schema=names)


def long_source(what: Any, **options: Any) -> Source:
    return in_series(locate(what), "patient", ["minute"], **options)


def columns_of(source: Source, names: list[str] | None = None) -> dict[str, list]:
    chunks = list(source.chunks(names))
    starts = [chunk.start for chunk in chunks]
    assert starts == np.cumsum([0, *map(len, chunks)])[:-1].tolist()
    return {name: [cell for chunk in chunks for cell in chunk.columns[name]] for name in chunks[0].columns}


def as_numbers(cells: list) -> list:
    return [[[None if cell is None else float(cell) for cell in channel] for channel in each] for each in cells]


def test_rows_become_the_series_that_they_are_steps_of(tmp_path):
    table = steps()
    table.write_csv(tmp_path / "steps.csv")
    table.write_parquet(tmp_path / "steps.parquet")
    expected: dict[str, dict[int, tuple]] = defaultdict(dict)
    for row in table.iter_rows(named=True):
        expected[row["patient"]][row["minute"]] = (row["temp"], row["pulse"])
    whole = [
        [[at.get(minute, (None, None))[channel] for minute in range(max(at) + 1)] for channel in (0, 1)]
        for at in expected.values()
    ]
    for what in (tmp_path / "steps.csv", tmp_path / "steps.parquet", table, table.to_pandas()):
        source = long_source(what)
        found = columns_of(source)
        assert list(found) == ["patient", "series", "age", "label"] == list(source.schema().columns)
        assert found["patient"] == list(expected)
        assert as_numbers(found["series"]) == whole
        assert found["label"] == ["slow", "fast"] * 20
        assert source.schema().rows == 40
        assert "1 apart" in source.schema().left_out["minute"]
        assert "'auto'" in source.schema().left_out["mode"] or "'manual'" in source.schema().left_out["mode"]
    assert long_source(tmp_path / "steps.csv").locate_row(0) == f"{tmp_path / 'steps.csv'}, line 2, patient 'p00'"


def test_the_order_of_rows_does_not_matter_and_little_memory_neither(monkeypatch):
    table = steps()
    whole = columns_of(long_source(table))
    by_name = dict(zip(whole["patient"], as_numbers(whole["series"]), strict=True))
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=1)
    for cells in (1 << 23, 500, 1):
        monkeypatch.setattr(long, "CELLS_AT_A_TIME", cells)
        for mixed in (shuffled, table):
            found = columns_of(long_source(mixed))
            assert dict(zip(found["patient"], as_numbers(found["series"]), strict=True)) == by_name
            assert found["patient"] == mixed["patient"].unique(maintain_order=True).to_list()


def test_a_table_that_lies_together_is_read_once_to_be_gathered(monkeypatch):
    monkeypatch.setattr(long, "CELLS_AT_A_TIME", 100)
    inner = locate(steps())
    source = in_series(inner, "patient", ["minute"])
    source.schema()
    readings = []
    read = inner.chunks
    monkeypatch.setattr(inner, "chunks", lambda columns=None: readings.append(columns) or read(columns))
    list(source.chunks())
    assert len(readings) == 1


@given(some.lists(some.tuples(some.integers(0, 3), some.integers(0, 6)), min_size=2, unique=True), some.randoms())
def test_whatever_lacks_is_a_gap_and_nothing_is_lost(pairs, random):
    rows = [(f"s{case}", at * 0.5, case * 10.0 + at) for case, at in pairs]
    shuffled = random.sample(rows, len(rows))
    table = pl.DataFrame(shuffled, orient="row", schema=["patient", "minute", "value"])
    try:
        found = columns_of(long_source(table))
    except ColumnError as failure:
        assert "No column of numbers changes" in str(failure)
        assert len({case for case, _ in pairs}) == len(pairs)
        return
    there = {
        name: [cell for cell in each[0] if cell is not None]
        for name, each in zip(found["patient"], as_numbers(found["series"]), strict=True)
    }
    for name, cells in there.items():
        assert cells == [value for who, _, value in sorted(rows) if who == name]


def test_dates_count_and_uneven_times_are_taken_in_order():
    hours = ["2024-05-01 00:00", "2024-05-01 01:00", "2024-05-01T03:00:00Z"]
    table = {"patient": ["a"] * 3 + ["b"] * 3, "minute": hours * 2, "value": [1.0, 2, 4, 5, 6, 8]}
    source = long_source(table)
    assert as_numbers(columns_of(source)["series"]) == [[[1, 2, None, 4]], [[5, 6, None, 8]]]
    assert "1:00:00 apart" in source.schema().left_out["minute"]
    uneven = {"patient": ["a"] * 5, "minute": [0.0, 1.0, 2.7, 4.1, 10.5], "value": [1.0, 2, 3, 4, 5]}
    source = long_source(uneven)
    assert as_numbers(columns_of(source)["series"]) == [[[1, 2, 3, 4, 5]]]
    assert "uneven" in source.schema().left_out["minute"]


def test_a_wrong_time_does_not_make_a_series_of_gaps():
    table = {"patient": ["a"] * 4 + ["b"] * 3, "minute": [0, 1, 2, 10**9, 0, 1, 3], "value": [1, 2, 3, 4, 5, 6, 7]}
    assert as_numbers(columns_of(long_source(table))["series"]) == [[[1, 2, 3, 4]], [[5, 6, None, 7]]]


def test_an_excluded_column_is_no_channel(tmp_path):
    source = long_source(steps(), excluded=["pulse", "mode"])
    assert layout_of(source).channels == ("temp",)
    assert {"pulse", "mode"} <= set(source.schema().columns)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"minute": [0, 1, 1, 0]}, SourceError, "line 4: patient 'a' has two rows of the time 1.*Leave one"),
        ({"minute": [0, None, 1, 0]}, SourceError, "line 3: .*does not say when it was.*leave the row out"),
        ({"minute": [0, "soon", 1, 0]}, SourceError, "line 3: minute 'soon' is no number"),
        ({"minute": ["soon", 1, 2, 0]}, SourceError, "line 2: minute 'soon' is neither a number nor a date"),
        ({"patient": ["a", "a", " ", "b"]}, SourceError, "line 4: .*to which series.*no 'patient'"),
        ({"value": [1, 1, 1, 1]}, ColumnError, "No column of numbers changes from step to step of a 'patient'"),
        ({"value": ["x", "y", "z", "x"]}, ColumnError, "No column of numbers changes.*'value' holds 'x'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_a_remedy(tmp_path, change, error, words):
    table = {"patient": ["a", "a", "a", "b"], "minute": [0, 1, 2, 0], "value": [1, 2, 3, 4], "label": list("xxxy")}
    columns = {
        name: pl.Series([None if cell is None else str(cell) for cell in cells])
        for name, cells in {**table, **change}.items()
    }
    pl.DataFrame(columns).write_csv(tmp_path / "a.csv")
    with pytest.raises(error, match=f"(?s){words}") as caught:
        columns_of(long_source(tmp_path / "a.csv"))
    assert str(tmp_path / "a.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("series", "times", "error", "words"),
    [
        ("patiet", ["minute"], ColumnError, "no column called 'patiet'.*Did you mean 'patient'"),
        ("patient", ["minutes"], ColumnError, "Did you mean 'minute'"),
        ("patient", [], UsageError, "not said which column has the times.*--steps"),
        ("patient", ["patient"], UsageError, "both"),
        (None, ["minute"], UsageError, "--series.*--steps FIRST..LAST"),
    ],
)
def test_wrong_names_are_refused_with_the_right_ones(series, times, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        in_series(locate(steps()), series, times).schema()


def test_a_target_that_changes_is_refused():
    with pytest.raises(ColumnError, match="'temp' changes from step to step"):
        long_source(steps()).targets(["temp"])


def test_a_cell_that_is_no_number_costs_its_series_alone():
    table = steps().with_columns(pl.col("temp").cast(pl.String))
    table = table.with_columns(
        pl.when(pl.int_range(len(table)) == 3).then(pl.lit("12 C")).otherwise("temp").alias("temp")
    )
    source = long_source(table)
    column = source.sample(100).columns["series"]
    arrays = SERIES.read(column, SERIES.survey(column, SeriesSettings()))
    assert [(problem.row, problem.reason) for problem in arrays.problems] == [(0, "'12 C' is no number")]
    assert arrays.present.tolist() == [False] + [True] * 39


def test_few_steps_are_a_series_all_the_same():
    table = pl.DataFrame({"patient": [f"a{row // 2}" for row in range(60)], "minute": [0, 1] * 30, "value": range(60)})
    column = long_source(table).sample(100).columns["series"]
    sure = {name: kind.sniff(column) for name, kind in kinds.items()}
    assert max(sure, key=sure.__getitem__) == "series"
    assert SERIES.survey(column, SeriesSettings())["channels"] == 1


def test_a_second_table_is_read_as_the_first_was(tmp_path):
    first = long_source(steps())
    layout = layout_from_json(json.loads(json.dumps(first.layout.as_json())))
    assert layout == first.layout
    # Nothing changes from step to step here, and half of the steps lack: it is known all the same what is what.
    second = pl.DataFrame({"minute": [4, 0], "patient": ["x", "x"], "pulse": [1, 1], "temp": [2, 2]})
    again = in_series_again(locate(second), layout, ["series"])
    assert as_numbers(columns_of(again)["series"]) == [[[2, None, None, None, 2], [1, None, None, None, 1]]]
    with pytest.raises(ColumnError, match="no column called 'temp'"):
        in_series_again(locate(second.drop("temp")), layout, ["series"])
    ready = locate({"series": [[1.0, 2.0]], "age": [3]})
    assert in_series_again(ready, layout, ["series", "age"]) is ready
    for wrong in (
        {"series": 1},
        {"series": "a", "steps": "a", "channels": ["b"], "field": "s", "pace": None},
        {},
        {"steps": {"a": []}},
        [],
    ):
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            layout_from_json(wrong)


def test_the_fingerprint_changes_with_what_was_asked():
    table = steps()
    prints = [
        locate(table).fingerprint(),
        long_source(table).fingerprint(),
        long_source(table, excluded=["pulse"]).fingerprint(),
        in_series(locate(table), "label", ["minute"]).fingerprint(),
        in_series_again(locate(table), long_source(table).layout, ["series"]).fingerprint(),
    ]
    assert len(set(prints)) == len(prints) and prints[1] == long_source(table).fingerprint()


def wide(rows: int = 60) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    fast = np.arange(rows) % 2
    waves = np.sin(np.arange(24) / (3 - 2 * fast[:, None])) + generator.normal(size=(rows, 24)) * 0.1
    columns = {f"t{step}": waves[:, step].round(3) for step in range(24)}
    return pl.DataFrame(
        {"name": [f"n{row}" for row in range(rows)], **columns, "label": [["slow", "fast"][each] for each in fast]}
    )


def test_columns_become_the_series_whose_steps_they_are(tmp_path):
    table = wide()
    table.write_csv(tmp_path / "wide.csv")
    for what in (table, tmp_path / "wide.csv"):
        source = in_series(locate(what), None, ["t0..t23"])
        assert source.schema().columns == ("name", "t", "label")
        found = columns_of(source, ["label", "t"])
        assert as_numbers(found["t"]) == [[list(row)] for row in table.select(f"t{step}" for step in range(24)).rows()]
        assert found["label"] == table["label"].to_list()
    two = in_series(locate(table.rename({"t0": "a..b"})), None, ["a..b..t9", "t10..t23"])
    assert two.schema().columns == ("name", "series", "t", "label")
    again = in_series_again(
        locate(table.select(reversed(table.columns))), layout_from_json(source.layout.as_json()), ["t"]
    )
    assert as_numbers(columns_of(again, ["t"])["t"]) == as_numbers(found["t"])


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        (["t0..t99"], "no column called 't99'.*Did you mean"),
        (["t9..t3"], "'t3' stands before 't9'"),
        (["t3..t3"], "it is one column"),
        (["t0..t5", "t5..t9"], "'t5' is in two ranges"),
    ],
)
def test_ranges_that_are_none_are_refused(ranges, words):
    with pytest.raises(InstarError, match=words):
        in_series(locate(wide()), None, ranges)


def test_a_step_that_is_the_target_or_no_number_is_refused():
    source = in_series(locate(wide()), None, ["t0..label"])
    with pytest.raises(ColumnError, match="'label' is a step"):
        source.targets(["label"])
    dates = pl.DataFrame({"a": [1.0], "b": [None], "c": pl.Series(["2024-05-01"]).str.to_date()})
    with pytest.raises(DataError, match="'c' holds no numbers"):
        list(in_series(locate(dates), None, ["a..c"]).chunks())


def test_a_long_table_is_learned_predicted_and_evaluated(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    steps(120).sample(fraction=1.0, shuffle=True, seed=1).write_csv("steps.csv")
    steps(30, seed=5).write_parquet("new.parquet")
    told = ["--series", "patient", "--steps", "minute", "--target", "label", "--network", "mlp", "--no-rivals"]
    assert main(["train", "steps.csv", *told, "--epochs", "6", "--out", "model"]) == 0
    assert "Column 'mode' is left out: it changes from step to step" in capsys.readouterr().err
    assert main(["predict", "model", "new.parquet", "--csv", "--where"]) == 0
    predicted = pl.read_csv(capsys.readouterr().out.encode())
    assert predicted.columns == ["where", "patient", "prediction", "confidence"]
    assert predicted["patient"].to_list() == [f"p{row:02}" for row in range(30)]
    assert main(["evaluate", "model", "new.parquet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 30
    assert main(["inspect", "model"]) == 0
    assert "'series' from rows of 'temp', 'pulse'" in capsys.readouterr().out
    pandas = steps(30, seed=5).to_pandas()
    model = instar.load("model")
    frame = model.predict(pandas)
    assert type(frame) is type(pandas) and frame["prediction"].tolist() == predicted["prediction"].to_list()
    assert model.evaluate(pandas).metrics["accuracy"].rows == 30
    assert main(["predict", "model", "steps.csv"]) == 0
    capsys.readouterr()
    pl.DataFrame({"patient": ["a"], "minute": [1]}).write_csv("other.csv")
    assert main(["predict", "model", "other.csv"]) == 3
    assert "There is no column called 'temp'" in capsys.readouterr().err


def test_numbered_columns_are_said_to_look_like_a_series_and_become_one_when_asked(tmp_path):
    table = wide(120)
    plain = instar.train(table, "label", network="linear", epochs=1, rivals=False, out=tmp_path / "plain")
    assert any("--steps t0..t23" in finding for finding in plain.report.findings)
    model = instar.train(
        table, "label", steps="t0..t23", network="mlp", epochs=1, rivals=False, out=tmp_path / "series"
    )
    assert [field.kind for field in model.inputs if field.name == "t"] == ["series"]
    assert not any("--steps" in finding for finding in model.report.findings)
    loaded = instar.load(tmp_path / "series")
    assert loaded.predict(table.drop("label"))["prediction"].to_list() == model.predict(table)["prediction"].to_list()


def test_nan_in_a_column_that_is_the_same_elsewhere_is_missing():
    table = steps(6).with_columns(age=pl.col("age").cast(pl.Float64))
    holed = table.with_columns(age=pl.when(pl.col("minute") == 0).then(float("nan")).otherwise(pl.col("age")))
    whole, found = (columns_of(long_source(each), ["age"])["age"] for each in (table, holed))
    assert found == whole
