"""Which column is of which kind, on the columns that people have and programs stumble over."""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from instar.configuration import Configuration
from instar.errors import ColumnError, UsageError
from instar.recognition import Recognition, Roles, recognize
from instar.sources.locate import locate

ROWS = 200
DRAW = random.Random(0)
DAYS = [datetime.datetime(2019, 1, 1) + datetime.timedelta(days=DRAW.randrange(1_500)) for _ in range(ROWS)]
TARGET = [DRAW.choice(["yes", "no"]) for _ in range(ROWS)]


def recognized(
    given: Any, targets: Sequence[str] = ("answer",), overrides: Mapping[str, str] | None = None, **roles: Any
) -> Recognition:
    source = locate(given)
    return recognize(
        source.sample(10_000),
        source.schema(),
        Roles(tuple(targets), **roles),
        place=source.place,
        overrides=overrides or {},
        settings=Configuration.of({}).groups,
    )


def written(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """A CSV of the columns, a constant-free companion, and the answer."""
    steady = [f"{DRAW.random():.4f}" for _ in range(ROWS)]
    pl.DataFrame({**columns, "companion": steady, "answer": TARGET}, strict=False).write_csv(path)
    return path


def cells(make: Any) -> list[str]:
    return [make(row) for row in range(ROWS)]


COLUMNS: dict[str, tuple[list[str], str]] = {
    "whole numbers": (cells(lambda row: str(DRAW.randrange(1_000))), "number"),
    "few whole numbers": (cells(lambda row: str(DRAW.randrange(1, 5))), "number"),
    "negative fractions": (cells(lambda row: f"{DRAW.gauss(0, 3):.3f}"), "number"),
    "exponents": (cells(lambda row: f"{DRAW.random() * 1e9:.3e}"), "number"),
    "thousands separators": (cells(lambda row: f"{DRAW.randrange(1_000, 9_000_000):,}"), "number"),
    "decimal commas": (cells(lambda row: f"{DRAW.random() * 100:.2f}".replace(".", ",")), "number"),
    "numbers with gaps": (cells(lambda row: "" if row % 3 else str(DRAW.randrange(1_000))), "number"),
    "numbers and NA": (cells(lambda row: "NA" if row % 4 == 0 else f"{DRAW.random():.3f}"), "number"),
    "years": (cells(lambda row: str(DRAW.randrange(1950, 2024))), "number"),
    "zip codes": (cells(lambda row: f"{DRAW.choice([501, 2134, 10001, 60601, 94105, 7030]):05d}"), "category"),
    "codes with zeros": (cells(lambda row: f"{DRAW.randrange(40):03d}"), "category"),
    "yes or no": (cells(lambda row: DRAW.choice(["yes", "no"])), "category"),
    "true or false": (cells(lambda row: DRAW.choice(["True", "False"])), "category"),
    "y or n with gaps": (cells(lambda row: DRAW.choice(["Y", "N", ""])), "category"),
    "words": (cells(lambda row: DRAW.choice(["ash", "birch", "cedar"])), "category"),
    "words with numbers": (cells(lambda row: DRAW.choice(["3 rooms", "4 rooms", "5 rooms"])), "category"),
    "grades": (cells(lambda row: DRAW.choice(["A", "B", "B+", "C"])), "category"),
    "many words": (cells(lambda row: f"street {DRAW.randrange(60)}"), "category"),
    "sentences": (
        cells(lambda row: f"It was {DRAW.choice(['good', 'bad'])} that {DRAW.getrandbits(20)} came!"),
        "text",
    ),
    "ISO days": ([day.date().isoformat() for day in DAYS], "date"),
    "ISO moments": ([day.isoformat() for day in DAYS], "date"),
    "moments with a space": ([day.strftime("%Y-%m-%d %H:%M:%S") for day in DAYS], "date"),
    "American days": ([day.strftime("%m/%d/%Y") for day in DAYS], "date"),
    "German days": ([day.strftime("%d.%m.%Y") for day in DAYS], "date"),
    "compact days": ([day.strftime("%Y%m%d") for day in DAYS], "date"),
    "days with gaps": ([day.date().isoformat() if place % 5 else "" for place, day in enumerate(DAYS)], "date"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_of_the_kind_that_a_person_would_say(name: str, tmp_path: Path) -> None:
    content, kind = COLUMNS[name]
    found = recognized(written(tmp_path / "data.csv", {name: content}))
    assert found.dropped.get(name) is None
    assert found.plans[name].kind == kind
    assert found.inputs == (name, "companion"), "in the order of the table"


@pytest.mark.parametrize("name", COLUMNS)
def test_what_a_column_is_does_not_depend_on_the_order_of_rows(name: str, tmp_path: Path) -> None:
    content, kind = COLUMNS[name]
    shuffled = DRAW.sample(content, len(content))
    for order in (shuffled, sorted(content), sorted(content, reverse=True)):
        assert recognized(written(tmp_path / "data.csv", {name: order})).plans[name].kind == kind


LEFT_OUT: dict[str, tuple[str, list[str], str]] = {
    "a counter": ("nth", cells(lambda row: str(row + 1)), "counts the rows"),
    "a counter by tens": ("step", cells(lambda row: str(10 * row)), "counts the rows"),
    "an identifier": ("customer_id", cells(lambda row: str(7_000_000 + row * 7919 % 9973)), "identifier"),
    "an identifier in camels": ("orderID", cells(lambda row: str(row * 7919 % 9973)), "identifier"),
    "a uuid": ("uuid", cells(lambda row: f"{DRAW.getrandbits(128):032x}"), "identifier|no kind"),
    "names of people": ("name", cells(lambda row: f"Person {DRAW.getrandbits(60):x}"), "no kind"),
    "codes in a row": ("notes", cells(lambda row: " ".join(f"w{DRAW.getrandbits(20)}" for _ in range(6))), "no kind"),
    "nothing": ("empty", [""] * ROWS, "no value"),
    "nothing by name": ("empty", ["NA"] * ROWS, "no value"),
}


@pytest.mark.parametrize("which", LEFT_OUT)
def test_what_nothing_can_be_learned_from_is_left_out_with_the_reason(which: str, tmp_path: Path) -> None:
    name, content, reason = LEFT_OUT[which]
    found = recognized(written(tmp_path / "data.csv", {name: content}))
    assert name not in found.inputs
    assert re.search(reason, found.dropped[name]), found.dropped[name]


def test_numbers_that_are_all_different_are_no_identifier(tmp_path: Path) -> None:
    """Measures with many digits never repeat; nor do amounts, nor a day that counts on in time."""
    columns = {
        "weight": cells(lambda row: f"{DRAW.gauss(70, 9):.6f}"),
        "income": cells(lambda row: str(20_000 + row * 7919 % 99_991)),
        "year": cells(lambda row: str(1_800 + row)),
        "width": cells(lambda row: f"{DRAW.random():.9f}"),
    }
    found = recognized(written(tmp_path / "data.csv", columns))
    assert found.inputs == ("weight", "income", "year", "width", "companion")


def test_a_column_that_is_mostly_missing_is_still_one(tmp_path: Path) -> None:
    content = cells(lambda row: str(DRAW.randrange(90)) if row % 20 == 0 else "")
    assert recognized(written(tmp_path / "data.csv", {"rare": content})).plans["rare"].kind == "number"


def test_a_kind_that_is_only_told_late_in_the_table_is_seen(tmp_path: Path) -> None:
    """Kinds are decided on a sample of the whole, not on the first rows."""
    rows = 30_000
    generator = np.random.default_rng(0)
    numbers = generator.integers(0, 50, rows)
    late = [str(number) if row < rows // 2 else f"grade {number}" for row, number in enumerate(numbers)]
    table = pl.DataFrame({"late": late, "companion": generator.normal(size=rows), "answer": numbers % 2})
    table.write_csv(tmp_path / "data.csv")
    assert recognized(tmp_path / "data.csv").plans["late"].kind == "category"


# Targets


TARGETS: dict[str, tuple[list[str], str]] = {
    "two words": (cells(lambda row: DRAW.choice(["died", "lived"])), "category"),
    "zero or one": (cells(lambda row: str(DRAW.randrange(2))), "category"),
    "one or two": (cells(lambda row: f"{DRAW.randrange(1, 3)}.0"), "category"),
    "true or false": (cells(lambda row: DRAW.choice(["TRUE", "FALSE"])), "category"),
    "three classes by number": (cells(lambda row: str(DRAW.randrange(3))), "category"),
    "ten digits": (cells(lambda row: str(row * 7 % 10)), "category"),
    "whole prices": (cells(lambda row: str(DRAW.randrange(9_000))), "number"),
    "prices with separators": (cells(lambda row: f"{DRAW.randrange(1_000, 900_000):,}"), "number"),
    "few fractions": (cells(lambda row: DRAW.choice(["0.5", "1.5", "2.5"])), "number"),
    "counts to a hundred": (cells(lambda row: str(DRAW.randrange(100))), "number"),
    "zip codes": (cells(lambda row: DRAW.choice(["02134", "10001", "60601"])), "category"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_classes_or_a_number_as_a_person_would_say(name: str, tmp_path: Path) -> None:
    content, kind = TARGETS[name]
    found = recognized(written(tmp_path / "data.csv", {"outcome": content}), targets=("outcome",))
    assert found.plans["outcome"].kind == kind and "outcome" not in found.inputs


def test_several_targets_are_each_of_their_own_kind(tmp_path: Path) -> None:
    columns = {name: TARGETS[name][0] for name in ("two words", "whole prices")}
    found = recognized(written(tmp_path / "data.csv", columns), targets=("whole prices", "two words"))
    assert [found.plans[name].kind for name in ("whole prices", "two words")] == ["number", "category"]
    assert found.inputs == ("companion", "answer")


# In memory, with types


def test_typed_columns_keep_their_types() -> None:
    generator = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "flag": generator.integers(0, 2, ROWS).astype(bool),
            "day": [day.date() for day in DAYS],
            "moment": DAYS,
            "amount": generator.normal(size=ROWS).astype(np.float32),
            "level": pl.Series(generator.choice(["low", "high", "top"], ROWS)).cast(pl.Categorical),
            "answer": TARGET,
        }
    )
    kinds = {"flag": "category", "day": "date", "moment": "date", "amount": "number", "level": "category"}
    for given in (frame, frame.to_pandas(), frame.to_arrow()):
        found = recognized(given)
        assert {name: found.plans[name].kind for name in kinds} == kinds


def test_arrays_are_pictures_or_numbers_by_their_form() -> None:
    generator = np.random.default_rng(0)
    given = {
        "small": generator.normal(size=(ROWS, 5)),
        "grey": generator.integers(0, 256, (ROWS, 9, 9)).astype(np.uint8),
        "color": generator.integers(0, 256, (ROWS, 9, 9, 3)).astype(np.uint8),
        "answer": TARGET,
    }
    found = recognized(given)
    assert [found.plans[name].kind for name in ("small", "grey", "color")] == ["number", "image", "image"]


# Pictures


def test_a_column_of_paths_to_pictures_is_one_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(20):
        Image.new("RGB", (8, 8), (number * 10, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    photos = cells(lambda row: f"photos/{row % 20}.png")
    found = recognized(written(tmp_path / "data.csv", {"photo": photos, "label": cells(lambda row: f"l{row % 5}")}))
    assert found.plans["photo"].kind == "image" and found.plans["label"].kind == "category"


# What a person says


def test_a_named_kind_brings_back_what_would_be_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {"customer_id": cells(lambda row: str(row * 7919 % 9973))})
    assert "customer_id" in recognized(path).dropped
    found = recognized(path, overrides={"customer_id": "number"})
    assert found.plans["customer_id"].kind == "number" and "customer_id" in found.inputs


def test_excluded_groups_and_splits_are_not_learned_from(tmp_path: Path) -> None:
    path = written(
        tmp_path / "data.csv",
        {"household": cells(lambda row: f"h{row % 40}"), "secret": cells(lambda row: str(row % 7))},
    )
    found = recognized(path, exclude=("secret",), group="household")
    assert found.inputs == ("companion",)
    assert found.dropped == {"secret": "you excluded it"} and "household" in found.plans


@pytest.mark.parametrize(
    "roles", [{"exclude": ("compnion",)}, {"group": "compnion"}, {"time_order": "compnion"}], ids=str
)
def test_a_wrong_column_gets_the_right_one(roles: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {})
    with pytest.raises(ColumnError, match="'compnion'") as caught:
        recognized(path, **roles)
    assert "'companion'" in str(caught.value) and "data.csv" in str(caught.value)
    with pytest.raises(ColumnError, match="'answer'"):
        recognized(path, targets=("anser",))
    with pytest.raises(ColumnError, match="'companion'"):
        recognized(path, overrides={"compnion": "number"})


def test_roles_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "data.csv", {})
    with pytest.raises(UsageError, match="both target and excluded"):
        recognized(path, exclude=("answer",))
    with pytest.raises(UsageError, match="twice"):
        recognized(path, targets=("answer", "answer"))
    with pytest.raises(UsageError, match="'category'"):
        recognized(path, overrides={"companion": "catgory"})


def test_where_nothing_is_left_every_column_has_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    pl.DataFrame({"id": range(ROWS), "empty": [None] * ROWS, "answer": TARGET}).write_csv(path)
    with pytest.raises(ColumnError, match="No column is left to learn from") as caught:
        recognized(path)
    message = str(caught.value)
    assert "id: " in message and "empty: it has no value" in message and "--kind" in message


def test_a_recording_is_no_target_yet(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="cannot be a target"):
        recognized({"x": np.arange(ROWS) % 7, "answer": np.zeros((ROWS, 800))}, overrides={"answer": "audio"})


def test_arrays_of_few_whole_numbers_are_masks_and_others_pictures_where_they_are_answers() -> None:
    generator = np.random.default_rng(0)
    photos = generator.integers(0, 256, (ROWS, 8, 8, 3), dtype=np.uint8)
    answers = {"mask": photos[..., 0] // 128, "image": photos[..., 1:2]}
    for kind, answer in answers.items():
        found = recognized({"photo": photos, "answer": answer})
        assert found.plans["answer"].kind == kind and found.plans["photo"].kind == "image"


@pytest.mark.parametrize("role", ["group", "time_order", "given_split"])
def test_the_answer_cannot_divide_the_rows(role: str) -> None:
    with pytest.raises(UsageError, match="both target and"):
        Roles(("answer",), **{role: "answer"}).check(["first", "answer"], "data.csv")


def test_a_kind_that_a_column_cannot_be_is_refused_with_the_columns_name() -> None:
    with pytest.raises(ColumnError, match="cannot be read as pictures") as caught:
        recognized({"first": list(range(ROWS)), "answer": TARGET}, overrides={"first": "image"})
    assert "column 'first'" in str(caught.value)
