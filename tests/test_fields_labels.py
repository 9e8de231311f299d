"""Labels: which cells are several labels at once, how they are read and written, and where rare and unknown ones go."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from instar.errors import ColumnError
from instar.fields import Arrays, Field, kinds
from instar.fields.digest import digest
from instar.fields.labels import LIST, SEPARATORS, LabelsSettings
from instar.shapes import Several
from instar.sources import FileColumn

LABELS = kinds["labels"]


def read(cells: list, separator: str = "semicolon") -> Arrays:
    return LABELS.read(pl.Series(cells, dtype=pl.String), {"separator": separator})


def words_of(arrays: Arrays) -> list[list[str] | None]:
    known = zip(range(len(arrays)), arrays.present, strict=True)
    return [[arrays.texts[value] for value in arrays.of_row(row).tolist()] if there else None for row, there in known]


def fit(cells: list, *, target: bool = False, separator: str = "semicolon", **settings: object) -> Field:
    plan = {"separator": separator}
    return LABELS.fit("x", [read(cells, separator)], plan, LabelsSettings(**settings), target=target)


def drawn(separator: str, rows: int = 200) -> pl.Series:
    generator = np.random.default_rng(0)
    words = np.array(["Drama", "International Movies", "Comedies", "Sci-Fi & Fantasy", "Thrillers"])
    return pl.Series([separator.join(generator.permutation(words)[: generator.integers(1, 4)]) for _ in range(rows)])


# --- reading ---------------------------------------------------------------------------------------------------------


def test_an_empty_cell_is_missing_and_an_empty_list_has_no_label():
    arrays = read(["a;b", "", None, "NA", "[]", ";", " b ; a;;b", "none;c"])
    assert words_of(arrays) == [["a", "b"], None, None, None, [], [], ["b", "a"], ["c"]]
    assert arrays.lengths.tolist() == [2, 0, 0, 0, 0, 0, 2, 1] and not arrays.problems
    listed = read(['["a", "b"]', "[]", None, "[null]", '["b", "b"]'], LIST)
    assert words_of(listed) == [["a", "b"], [], None, [], ["b"]]


def test_lists_are_read_as_json_and_python_write_them():
    cells = ['["a", 3, true]', "['a', 'it\\'s']", "lone", '["3.0"]', "['\\d']"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = read(cells, LIST)
    assert words_of(arrays) == [["a", "3", "True"], ["a", "it's"], ["lone"], ["3"], ["\\d"]]


@pytest.mark.parametrize(
    "cell", ['["a"', "[1, [2]]", '[{"a": 1}]', "[" * 100_000, "[" * 3_000 + "]" * 3_000, f'["{"z" * 300}"]', "[a]"]
)
def test_what_is_no_list_of_labels_is_named(cell):
    arrays = read(['["a"]', cell], LIST)
    assert words_of(arrays) == [["a"], None]
    assert [problem.row for problem in arrays.problems] == [1] and len(arrays.problems[0].reason) < 150


def test_a_label_longer_than_labels_are_is_named_with_its_row():
    arrays = read(["a;b", "a;" + "long " * 60])
    assert words_of(arrays) == [["a", "b"], None]
    assert arrays.problems[0].row == 1 and "longer than a label" in arrays.problems[0].reason


def test_halves_of_characters_are_no_letters():
    assert words_of(read(['["\\ud800x"]'], LIST)) == [["?x"]]


def test_labels_are_equal_as_cells_are():
    arrays = read(["1;TRUE", "1.0;true", "01"])
    assert arrays.values[0] == arrays.values[2] and arrays.values[1] == arrays.values[3]
    column = pl.Series(["1;TRUE", "1.0;true", "01"])
    assert np.array_equal(arrays.digests, digest(column)), "the row's digest is that of its cell"


@given(some.lists(some.lists(some.sampled_from(["a", "b", "c d", "ü"]), max_size=4, unique=True), max_size=12))
def test_every_way_of_writing_says_the_same(rows):
    expected = [sorted(row) for row in rows]
    for name, mark in SEPARATORS.items():
        if name != "space":
            arrays = read([mark.join(row) or "[]" for row in rows], name)
            assert [sorted(row) for row in words_of(arrays)] == expected
    nested = LABELS.read(pl.Series(rows, dtype=pl.List(pl.String)), {"separator": LIST})
    assert [sorted(row) for row in words_of(nested)] == expected


@pytest.mark.parametrize("column", [FileColumn([None]), np.zeros((3, 2))], ids=["files", "arrays"])
def test_another_form_of_column_is_refused(column):
    with pytest.raises(ColumnError, match="cannot be read as labels"):
        LABELS.read(column, {"separator": "semicolon"})


# --- recognizing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "|", ",", ", ", "; "])
def test_words_that_come_back_in_many_cells_are_labels(separator):
    sure = {name: kind.sniff(drawn(separator)) for name, kind in kinds.items()}
    assert max(sure, key=sure.__getitem__) == "labels" and sure["labels"] > 0.9
    assert SEPARATORS[LABELS.survey(drawn(separator), LabelsSettings())["separator"]] == separator.strip()


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(['["a", "b"]', '["c"]', "[]"] * 20),
        pl.Series(["['a', 'b']", "['c']"] * 20),
        pl.Series([["a", "b"], ["c"], [], None] * 20),
    ],
    ids=["JSON", "Python", "nested"],
)
def test_lists_of_words_are_labels(column):
    sure = {name: kind.sniff(column) for name, kind in kinds.items()}
    assert max(sure, key=sure.__getitem__) == "labels"
    assert LABELS.survey(column, LabelsSettings()) == {"separator": LIST}


@pytest.mark.parametrize(
    "cells",
    [
        ["3;4", "5;6", "7;8"] * 30,
        ["3,4", "5,6", "1,25"] * 30,
        ["$1,200", "$900", "$1,350", "$2,000"] * 30,
        ["Boston, MA", "Austin, TX", "Salem, MA", "Waco, TX", "Salem, OR"] * 20,
        ["Divorced, with kids", "Single, no kids", "Married, with kids", "Married, no kids", "Unknown"] * 20,
        [f"I liked part {place}; the rest, not so much, really" for place in range(100)],
        [f"Braund, Mr. Owen {place}" for place in range(100)],
        ["red", "green", "blue"] * 30,
        ["[Music] hello", "[Music] bye"] * 30,
        ["[0.5, 1.5]", "[0.25, 1.5]"] * 30,
        ["[1, 1, 2]", "[2, 2, 2]"] * 30,
        ["12.5;48.1", "13.4;52.5"] * 30,
        ["May 12, 2020", "June 1, 2021", "May 1, 2021"] * 30,
        [None] * 30,
    ],
)
def test_what_others_know_better_is_left_to_them(cells):
    column = pl.Series(cells, dtype=pl.String)
    assert LABELS.sniff(column) == LABELS.sniff(column, target=True) == 0


@pytest.mark.parametrize("column", [pl.Series([1, 2]), np.zeros((3, 4)), FileColumn([None]), pl.Series([True])])
def test_what_are_no_words_is_never_labels(column):
    assert LABELS.sniff(column) == 0


def test_a_separator_can_be_named():
    assert LABELS.survey(pl.Series(["a/b"]), LabelsSettings(label_separator="slash")) == {"separator": "slash"}
    assert LABELS.survey(pl.Series(["a"]), LabelsSettings()) == {"separator": "semicolon"}


# --- as an input -----------------------------------------------------------------------------------------------------


def test_each_label_has_a_place_and_rare_unknown_and_missing_ones_share_theirs():
    field = fit(["red;round", "red", "round", "red;rare", None, "[]"])
    assert field.texts == ("red", "round") and field.shape.width == 4
    prepared = field.prepare(read(["round;red", "rare", "new;red", None, "[]"]))["numbers"]
    assert prepared.tolist() == [[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_what_no_training_row_shows_has_no_place():
    field = fit(["a;b", "a", "b"])
    assert field.shape.width == 2
    assert field.prepare(read(["c", None]))["numbers"].tolist() == [[0, 0], [0, 0]]
    assert fit(["x", "y", "z"]).describe() == "labels of which none comes back"
    assert fit(["[]", ";"]).shape.width == 1, "a field is never without a place"


def test_only_the_most_frequent_of_many_labels_are_kept():
    cells = [f"w{place}" for place in range(50) for _ in range(place + 1)]
    field = fit(cells, label_limit=3)
    assert field.texts == ("w49", "w48", "w47") and field.shape.width == 4
    aim = fit(cells, target=True, label_limit=3)
    assert aim.answer.labels == 3 and "47 rarer ones that are not learned" in aim.describe()


# --- as a target -----------------------------------------------------------------------------------------------------


def test_a_target_counts_its_labels_and_writes_answers_as_the_column_does():
    field = fit(["b;a", "b", None, "[]"], target=True)
    assert field.classes == ("a", "b") and field.answer == Several((1, 2), 3)
    shares = np.array([[0.5, 0.9], [0.2, 0.5], [0.49, 0.1]])
    assert field.decode(shares).tolist() == ["a;b", "b", "[]"]
    listed = fit(['["ü", "b"]', '["b"]', "[]"], target=True, separator=LIST)
    assert listed.decode(shares).tolist() == ['["b", "ü"]', '["ü"]', "[]"]
    assert words_of(LABELS.read(pl.Series(listed.decode(shares)), {"separator": LIST})) == [["b", "ü"], ["ü"], []]


def test_numbered_labels_are_in_their_order():
    assert fit(["10;9", "2"], target=True).classes == ("2", "9", "10")


def test_the_truth_tells_how_many_labels_were_never_learned():
    field = fit(["a;b", "a", "b"], target=True)
    truth = field.truth(read(["a", "b;new;other", None, "[]"]))
    assert truth[[0, 1, 3]].tolist() == [[1, 0, 0], [0, 1, 2], [0, 0, 0]] and np.isnan(truth[2]).all()


@pytest.mark.parametrize("cells", [["a;b", "b;a"], ["[]", ";"]])
def test_a_target_that_never_varies_is_refused(cells):
    with pytest.raises(ColumnError, match="in every row: there is nothing to learn"):
        fit(cells, target=True)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("classes", []),
        ("classes", ["a", "a"]),
        ("classes", ["a", ""]),
        ("classes", ["a", "b" * 10_000]),
        ("classes", [1, 2]),
        ("counts", [1]),
        ("counts", [1, 4]),
        ("counts", [1, -1]),
        ("counts", [True, 1]),
        ("rows", -1),
        ("rows", 1 << 70),
        ("separator", "tab"),
        ("others", "many"),
    ],
)
def test_a_hostile_target_is_refused(part, value):
    content, arrays = fit(["a;b", "b", "[]"], target=True).state()
    with pytest.raises((ValueError, KeyError)):
        LABELS.restore("x", {**content, part: value}, arrays)


def test_a_hostile_input_and_plan_are_refused():
    field = fit(["a;b", "b;c", "a"])
    content, arrays = field.state()
    for bad in ({"unknown": 1}, {"texts": ["a"] * 2}, {"texts": []}, {"texts": ["a"] * 100_000}):
        with pytest.raises((ValueError, KeyError)):
            LABELS.restore("x", {**content, **bad}, arrays)
    with pytest.raises(ValueError):
        LABELS.restore("x", {**content, "texts": [], "unknown": False}, {"digests": arrays["digests"][:0]})
    with pytest.raises(ValueError):
        LABELS.restore("x", content, {"digests": arrays["digests"][[0, 0]]})
    for plan in ({}, {"separator": "tab"}, {"separator": ["bar"]}):
        with pytest.raises((ValueError, KeyError)):
            LABELS.check(plan, field)
    target = fit(["a;b", "b"], target=True)
    LABELS.check({"separator": "semicolon"}, target)
    with pytest.raises(ValueError):
        LABELS.check({"separator": "bar"}, target)
