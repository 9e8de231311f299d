"""Dates: every common way to write one, the order of day and month, and the calendar as a network sees it."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from instar.errors import ColumnError
from instar.fields import Arrays, Field, kinds
from instar.settings import Settings
from instar.sources import Column, FileColumn

DATE = kinds["date"]
DAYS = some.dates(datetime.date(1900, 1, 1), datetime.date(2100, 12, 31))


def read(column: Column) -> Arrays:
    return DATE.read(column, DATE.survey(column, Settings()))


def fit(column: Column) -> tuple[Field, Arrays]:
    plan = DATE.survey(column, Settings())
    arrays = DATE.read(column, plan)
    return DATE.fit("x", [arrays], plan, Settings(), target=False), arrays


def seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2020-02-29", "2020-02-29"),
        (" 2020/2/9 ", "2020-02-09"),
        ("2020-01-31T12:30", "2020-01-31 12:30"),
        ("2020-01-31 12:30:15.5", "2020-01-31 12:30:15.5"),
        ("2020-01-31T12:00:00Z", "2020-01-31 12:00"),
        ("2020-01-31T12:00:00+02:00", "2020-01-31 10:00"),
        ("2020-01-31 00:30 -0530", "2020-01-31 06:00"),
        ("31.12.1999", "1999-12-31"),
        ("31/12/1999 11:05 PM", "1999-12-31 23:05"),
        ("12/31/1999", "1999-12-31"),
        ("13.1.03", "2003-01-13"),
        ("13.1.71", "1971-01-13"),
        ("3 January 2020", "2020-01-03"),
        ("Jan 3, 2020", "2020-01-03"),
        ("Fri, 3 Jan 2020 12:00 AM", "2020-01-03"),
        ("1-FEB-2020", "2020-02-01"),
        ("0099-12-31", "0099-12-31"),
    ],
)
def test_dates_are_read_as_people_write_them(cell, expected):
    arrays = read(pl.Series([cell]))
    assert arrays.values.tolist() == [seconds(expected)] and not arrays.problems


@pytest.mark.parametrize("cell", ["2020-02-30", "2020-13-01", "32.1.2020", "2020-01-01 25:00", "soon", "1 Foo 2020"])
def test_what_is_no_date_is_a_problem(cell):
    arrays = DATE.read(pl.Series(["2020-01-01", cell, "NA"]), {"order": "day"})
    assert [(each.row, each.reason) for each in arrays.problems] == [(1, f"{cell!r} is no date")]
    assert arrays.present.tolist() == [True, False, False]


@given(some.lists(DAYS, min_size=1), some.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d %b %Y", "%B %d, %Y"]))
def test_all_days_are_read_in_all_forms(days, form):
    column = pl.Series([day.strftime(form) for day in days])
    arrays = DATE.read(column, {"order": "day"})
    assert np.array_equal(arrays.values, read(pl.Series(days)).values)


@given(some.lists(some.datetimes(datetime.datetime(1, 1, 1)), min_size=1))
def test_typed_times_and_their_text_are_the_same(moments):
    typed = read(pl.Series(moments, dtype=pl.Datetime("us"))).values
    assert np.allclose(typed, read(pl.Series([str(moment) for moment in moments])).values, atol=1e-4)


def test_the_sample_decides_whether_the_day_or_the_month_comes_first():
    assert DATE.survey(pl.Series(["3/4/2020", "3/25/2020"]), Settings()) == {"order": "month", "certain": True}
    assert DATE.survey(pl.Series(["3/4/2020", "25/3/2020"]), Settings()) == {"order": "day", "certain": True}
    assert DATE.survey(pl.Series(["3/4/2020"]), Settings()) == {"order": "month", "certain": False}
    assert DATE.survey(pl.Series(["3.4.2020"]), Settings()) == {"order": "day", "certain": False}
    assert DATE.survey(pl.Series(["2020-03-04"]), Settings()) == {"order": "day", "certain": True}
    field, _ = fit(pl.Series(["3/4/2020", "5/6/2020"]))
    assert "month is read first" in field.describe()


def test_zones_of_typed_columns_become_universal_time():
    berlin = pl.Series([datetime.datetime(2020, 7, 1, 14)]).dt.replace_time_zone("Europe/Berlin")
    assert read(berlin).values.tolist() == [seconds("2020-07-01 12:00")]


def test_parts_that_never_vary_are_left_out():
    assert fit(pl.Series(["2020-01-01", "2020-01-02"]))[0].parts == ("day of month", "weekday")
    assert fit(pl.Series(["2020-01-01 10:00", "2020-01-01 11:00"]))[0].parts == ("time of day",)
    assert fit(pl.Series(["2020-01-01"] * 3))[0].shape.width == 1


def test_the_calendar_is_a_circle():
    field, arrays = fit(pl.Series([datetime.date(2021, 1, 1) + datetime.timedelta(day) for day in range(730)]))
    numbers = field.prepare(arrays)["numbers"].double()
    assert field.parts == ("month", "day of month", "weekday")
    assert torch.allclose(numbers[:, 1:].unflatten(1, (3, 2)).square().sum(2), torch.ones(730, 3).double())
    month = numbers[:, 1:3]
    december, january, july = month[364], month[365], month[365 + 181]
    assert (december - january).norm() < 0.6 < 1.9 < (july - january).norm()
    weekday = numbers[:, 5:7]
    assert torch.allclose(weekday[0], weekday[7]) and not torch.allclose(weekday[0], weekday[1])
    assert (numbers[:, 0].diff() > 0).all()


def test_a_missing_date_has_an_indicator_and_no_place_in_time():
    field, arrays = fit(pl.Series(["2020-01-01", None, "2021-06-05"]))
    numbers = field.prepare(arrays)["numbers"]
    assert numbers[:, -1].tolist() == [0, 1, 0] and not numbers[1, :-1].any()


def test_sniffing_tells_dates_from_numbers_and_words():
    def surest(column: pl.Series) -> str:
        return max(kinds, key=lambda name: kinds[name].sniff(column))

    assert surest(pl.Series(["2020-01-01", "2020-01-02"])) == "date"
    assert surest(pl.Series(["3/4/20", "12/31/20"] * 20)) == "date"
    assert surest(pl.Series([f"202001{day:02}" for day in range(1, 29)])) == "date"
    assert surest(pl.Series([20200100 + day for day in range(1, 29)])) == "date"
    assert surest(pl.Series([12345678 + 1111 * place for place in range(30)])) == "number"
    assert surest(pl.Series(["20200101"] * 3 + ["20209999"] * 30)) == "number"
    assert surest(pl.Series([1999, 2000, 2001] * 20)) == "number"
    assert surest(pl.Series(["may", "june"] * 20)) == "category"
    assert DATE.sniff(pl.Series(["2020-01-01"]), target=True) == 0


@pytest.mark.parametrize("column", [FileColumn([None]), np.zeros((3, 2))], ids=["files", "arrays"])
def test_another_form_of_column_is_refused(column):
    with pytest.raises(ColumnError):
        DATE.read(column, {"order": "day"})
