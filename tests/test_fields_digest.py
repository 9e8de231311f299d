"""One content has one digest, whatever the column's type; different contents have different ones."""

from __future__ import annotations

import datetime
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from instar.fields.digest import MISSING, MISSING_TEXTS, digest, digest_bytes, mix, parse_numbers, words
from instar.sources import FileColumn, FileReference

FLOATS = some.floats(allow_nan=False, allow_infinity=False)


@given(some.lists(some.integers(-(2**53), 2**53)))
def test_whole_numbers_are_the_same_in_every_type(values):
    expected = digest(pl.Series(values, dtype=pl.Int64))
    assert np.array_equal(expected, digest(pl.Series(values, dtype=pl.Float64)))
    assert np.array_equal(expected, digest(pl.Series([str(value) for value in values], dtype=pl.String)))
    assert np.array_equal(expected, digest(pl.Series([f" {value}.0\t" for value in values], dtype=pl.String)))


@given(some.lists(FLOATS))
def test_numbers_are_the_same_as_text(values):
    expected = digest(pl.Series(values, dtype=pl.Float64))
    assert np.array_equal(expected, digest(pl.Series([repr(value) for value in values], dtype=pl.String)))


@given(some.lists(FLOATS, unique_by=lambda value: value + 0.0))
def test_different_numbers_differ(values):
    assert len(set(digest(pl.Series(values, dtype=pl.Float64)).tolist())) == len({value + 0.0 for value in values})


@given(some.lists(some.text()))
def test_text_is_the_same_with_space_around_it_and_alone(values):
    whole = digest(pl.Series(values, dtype=pl.String))
    for value, expected in zip(values, whole, strict=True):
        assert digest(pl.Series([f"\n {value} "]))[0] == expected
    assert np.array_equal(digest(pl.Series(values, dtype=pl.String).cast(pl.Categorical)), whole)


@given(some.lists(some.from_regex(r"[b-z]{1,6}", fullmatch=True), unique=True))
def test_different_words_differ(values):
    values = [value for value in values if value not in MISSING_TEXTS and parse_numbers(pl.Series([value]))[0] is None]
    assert len(set(digest(pl.Series(values, dtype=pl.String)).tolist())) == len(values)


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([None], dtype=pl.Null),
        pl.Series([None], dtype=pl.Int64),
        pl.Series([float("nan")]),
        pl.Series([None], dtype=pl.Date),
        *(pl.Series([text]) for text in MISSING_TEXTS),
        pl.Series(["  NA "]),
        FileColumn([None]),
    ],
)
def test_what_is_missing_is_one_constant(column):
    assert digest(column).tolist() == [int(MISSING)]


def test_names_that_look_like_missing_tokens_are_not_missing():
    assert words(pl.Series(["Na", "NONE", "--", "0", "nothing"])).null_count() == 0


def test_truth_values_are_words():
    assert np.array_equal(digest(pl.Series([True, False])), digest(pl.Series(["True", "FALSE"])))
    assert np.array_equal(digest(pl.Series([True, False])), digest(pl.Series(["true", "false"])))
    assert digest(pl.Series([True]))[0] != digest(pl.Series([1]))[0]


@given(some.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)))
def test_dates_are_their_iso_text(moment):
    expected = digest(pl.Series([moment], dtype=pl.Datetime("us")))
    assert np.array_equal(expected, digest(pl.Series([moment.isoformat()])))
    assert np.array_equal(expected, digest(pl.Series([str(moment)])))
    assert np.array_equal(
        digest(pl.Series([moment.date()])), digest(pl.Series([moment.date()]).cast(pl.Datetime("us")))
    )


def test_a_zone_is_turned_into_universal_time():
    berlin = pl.Series([datetime.datetime(2020, 7, 1, 14)]).dt.replace_time_zone("Europe/Berlin")
    assert digest(berlin)[0] == digest(pl.Series(["2020-07-01 12:00:00+00:00"]))[0]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float32, np.float64])
def test_rows_of_arrays_are_their_shape_and_values(dtype):
    rows = np.array([[[1, 2], [3, 4]], [[1, 2], [3, 4]], [[0, 2], [3, 4]]])
    found = digest(rows.astype(dtype))
    assert np.array_equal(found, digest(rows))
    assert found[0] == found[1] != found[2]
    assert digest(rows.reshape(3, 4).astype(dtype))[0] != found[0]


def test_rows_of_fractions_do_not_tell_signs_of_zero_and_kinds_of_nan():
    rows = np.array([[0.5, 0.0, np.nan], [0.5, -0.0, -np.nan]])
    assert len(set(digest(rows).tolist())) == 1
    assert len(set(digest(np.array([[1e300], [-1e300], [256.0], [np.inf], [-1.0]])).tolist())) == 5


@given(some.lists(some.lists(FLOATS, min_size=8, max_size=8), min_size=1, max_size=3))
def test_a_row_of_numbers_is_the_same_in_an_array_a_list_and_a_text(channels):
    expected = digest(np.array([channels]))
    assert digest(pl.Series([json.dumps(channels)])) == expected
    assert digest(pl.Series([channels])) == expected
    assert digest(pl.Series([[[repr(value) for value in each] for each in channels]])) == expected
    assert digest(pl.Series([":".join(";".join(map(repr, each)) for each in channels)])) == expected
    # A gap at the end, and axes of one, are how an array pads a row, and none of its content.
    padded = np.full((1, 1, len(channels), 10), np.nan)
    padded[0, 0, :, :8] = channels
    assert digest(padded) == expected


def test_lists_that_are_not_of_numbers_and_short_codes_are_texts():
    texts = ["1;2", "01:05", "1:05", "555 1234", "[1, 'a']", "[1, [2]]", "[]", "[[1, 2], [3]]"]
    assert digest(pl.Series(texts)).tolist() == [digest_bytes(text.encode()) for text in texts]
    assert digest(pl.Series(["[1, 2]"])) == digest(pl.Series(["[1,2.0]"])) != digest(pl.Series(["[2, 1]"]))
    assert digest(np.array([[np.nan, np.nan]])).tolist() == [int(MISSING)]


def test_files_are_their_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"content")
    column = FileColumn(
        [FileReference("a", path=path), FileReference("b", content=b"content"), FileReference("c", path=tmp_path / "c")]
    )
    assert digest(column).tolist() == [digest_bytes(b"content")] * 2 + [int(MISSING)]


def test_digests_are_frozen():
    """These figures are in people's recorded splits: they may never change."""
    column = pl.Series(["3", "red", " Grün ", "2020-01-02", None])
    assert digest(column).tolist() == FROZEN
    assert digest(np.array([[1, 2, 3]], np.uint8)).tolist() == FROZEN_ROW
    assert digest(np.array([[0.5, 2, 3]])).tolist() == FROZEN_FRACTIONS


def test_mixing_is_a_bijection_that_keeps_its_argument():
    values = np.arange(10_000, dtype=np.uint64)
    mixed = mix(values)
    assert len(np.unique(mixed)) == 10_000 and values[1] == 1
    # SplitMix64's finalizer of its first state with seed 0, as its authors' program prints it.
    assert mix(np.array([0x9E3779B97F4A7C15], np.uint64))[0] == 0xE220A8397B1DCDAF


FROZEN = [13172885898860647350, 11765665226422741261, 1920887761003170516, 6187124717098492375, 11177191256514160710]
FROZEN_ROW = [1313077574162890888]
FROZEN_FRACTIONS = [15801206090618295340]
