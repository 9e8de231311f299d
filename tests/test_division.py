"""The split as a person meets it: by a column of words, or as another model's rows were divided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import instar
from instar.configuration import Configuration
from instar.division import TEST, TRAINING, VALIDATION, Division, Exam, divide
from instar.errors import ColumnError, DataError, InstarError, ModelError, UsageError
from instar.learn import learn, recognize_columns
from instar.run import Run
from instar.sources.locate import locate
from instar.split import Record, SplitSettings
from instar.store import Store, StorePlan

QUICK: dict[str, Any] = {"target": "side", "network": "linear", "epochs": 2, "rivals": False}


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    """A table with a column ``name`` by which a test, and nothing else, knows its rows again."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(2, rows))
    return pl.DataFrame(
        {
            "name": [f"{seed}-{row}" for row in range(rows)],
            "first": first,
            "second": second.round(1),
            "house": generator.integers(0, 40, rows).astype(str),
            "day": generator.integers(0, 3000, rows),
            "side": np.where(first + second > 0, "up", "down"),
        }
    )


def divided(table: pl.DataFrame, frozen: Record | None = None, **given: Any) -> tuple[Division, dict[str, int]]:
    """The division of a table, and each row's part by its name."""
    source, asked = locate(table), Configuration.of({**QUICK, "exclude": ["name"], **given})
    recognition = recognize_columns(source, asked, frozen)
    store = Store.build(source, StorePlan(recognition.plans))
    division = divide(
        store,
        recognition.inputs,
        recognition.roles,
        asked.group(SplitSettings),
        source=source,
        recorded=frozen,
    )
    names = table["name"].gather(division.rows).to_list()
    return division, dict(zip(names, division.parts.tolist(), strict=True))


def through_a_folder(record: Record | None, folder: Path) -> Record:
    Run(folder).freeze(record)
    frozen = Run(folder).frozen()
    assert frozen is not None
    return frozen


@settings(max_examples=12)
@given(
    st.integers(0, 10_000),
    st.sampled_from([{}, {"group": "house"}, {"time_order": "day"}, {"split": "given"}, {"split": "half"}]),
    st.sampled_from([{}, {"exclude": ["name", "second"]}, {"kind": ["second=category"]}, {"target": "second"}]),
)
def test_no_row_changes_sides_between_two_models(
    tmp_path_factory: pytest.TempPathFactory, seed: int, by: dict[str, Any], other: dict[str, Any]
) -> None:
    generator = np.random.default_rng(seed)
    table = frame(1_100, seed).with_columns(
        pl.Series("given", generator.choice(["train", "val", "test"], 1_100)),
        pl.Series("half", generator.choice(["Training", "TEST", ""], 1_100)),
    )
    first, before = divided(table, **by)
    frozen = through_a_folder(first.record, tmp_path_factory.mktemp("model"))
    more = frame(int(generator.integers(0, 400)), seed + 1).with_columns(
        pl.lit("validation").alias("given"), pl.lit("validation").alias("half")
    )
    kept = table.sample(int(generator.integers(100, 1_100)), seed=seed)
    changed = pl.concat([kept, more]).sample(fraction=1, shuffle=True, seed=seed).with_columns(extra=pl.lit("x"))
    second, after = divided(changed, frozen, exam_of="the first", **other)
    assert second.exam is Exam.SEPARATE
    both = before.keys() & after.keys()
    assert len(both) == len(kept)
    # By time a later row with equal inputs may come, and then the earlier one is left out of training.
    assert {name for name in both if before[name] != after[name]} == set()
    assert set(after.values()) >= {TRAINING, VALIDATION, TEST}


def test_rows_that_arrived_since_fall_by_the_same_rule_for_every_model() -> None:
    first, _ = divided(frame(1_100))
    grown = pl.concat([frame(1_100), frame(5_000, 1)])
    _, second = divided(grown, first.record, exam_of="the first")
    _, third = divided(grown.reverse(), first.record, exam_of="the first", exclude=["name", "first"])
    assert second == third
    assert 0.18 < np.mean([part == TEST for part in second.values()]) < 0.22


def test_another_way_to_divide_than_the_exam_was_made_by_is_refused() -> None:
    table = frame(1_100)
    record = divided(table, group="house")[0].record
    for asked in ({"group": "second"}, {"time_order": "day"}, {"test_share": 0.5}):
        with pytest.raises(UsageError, match="exam_of"):
            divided(table, record, exam_of="the first", **asked)
    division, _ = divided(table, record, exam_of="the first", group="house", test_share=0.2)
    assert any("as they were for the model in the first" in note for note in division.notes)
    with pytest.raises(ColumnError, match="no column called 'house'"):
        divided(table.drop("house"), record, exam_of="the first")


def test_a_column_says_the_split_and_is_no_input() -> None:
    words = ["train", "Training ", "VAL", "valid", "validation", "dev", "test", "Testing", None, ""]
    table = frame(1_000).with_columns(pl.Series("part", words * 100))
    _, parts = divided(table, split="part")
    expected = [TRAINING] * 2 + [VALIDATION] * 4 + [TEST] * 2 + [TRAINING] * 2
    assert list(parts.values()) == expected * 100
    assert "part" not in recognize_columns(locate(table), Configuration.of({**QUICK, "split": "part"}), None).inputs
    assert divided(table.head(30), split="part")[0].exam is Exam.SEPARATE


@pytest.mark.parametrize("word", ["exam", "0", "trian"])
def test_a_wrong_word_names_its_line(tmp_path: Path, word: str) -> None:
    words = ["train"] * 300 + ["test"] * 100 + [word] + ["validation"] * 98 + ["zzz"]
    table = frame(500).with_columns(pl.Series("part", words), pl.Series("note", ["two\nlines"] + ["one"] * 499))
    table.write_csv(tmp_path / "data.csv")
    with pytest.raises(ColumnError, match=f"data.csv, line 403: .*'{word}'.*train, validation or test"):
        instar.train(tmp_path / "data.csv", split="part", out=tmp_path / "model", **QUICK)
    assert not (tmp_path / "model").exists()


def test_numbers_and_nothing_at_all_are_no_words_for_a_part() -> None:
    table = frame(1_000)
    with pytest.raises(ColumnError, match="The split of a row is '"):
        divided(table.with_columns(pl.Series("part", [0, 1] * 500)), split="part")
    with pytest.raises(ColumnError, match="'true'"):
        divided(table.with_columns(pl.Series("part", [True, False] * 500)), split="part")
    with pytest.raises(DataError, match="files"):
        divided(table.with_columns(pl.Series("part", [b"train"] * 1_000)), split="part")


def test_a_split_is_not_also_the_target_or_by_time() -> None:
    table = frame(1_000).with_columns(pl.Series("part", ["train", "test"] * 500))
    for asked in ({"split": "side"}, {"split": "part", "time_order": "day"}):
        with pytest.raises(UsageError):
            divided(table, **asked)
    with pytest.raises(ColumnError, match=r"no column called 'prt'.*'part'"):
        divided(table, split="prt")


def test_a_second_model_is_examined_on_the_rows_of_the_first(tmp_path: Path) -> None:
    table = frame(1_200).drop("name", "house", "day")
    first = tmp_path / "first"
    instar.train(table, out=first, **QUICK)
    grown = pl.concat([table, frame(100, 1).select(table.columns)]).reverse()
    asked = {**QUICK, "network": "mlp", "exam_of": str(first), "exclude": ["second"], "out": str(tmp_path / "second")}
    model, report = learn(grown, asked)
    assert any(str(first) in note for note in report.notes)
    before, after = Run(first).frozen(), Run(tmp_path / "second").frozen()
    assert before is not None and after is not None
    assert before.content == after.content and before.arrays.keys() == after.arrays.keys()
    assert all((before.arrays[name] == after.arrays[name]).all() for name in before.arrays)
    assert instar.train(grown, **{**asked, "exam_of": first}).folder == model.folder, "the same command goes on"


def test_an_exam_that_is_none_is_refused(tmp_path: Path) -> None:
    def refused(words: str, error: type[InstarError], **given: Any) -> None:
        with pytest.raises(error, match=words):
            instar.train(frame(1_100), out=tmp_path / "model", **QUICK, **given)
        assert not (tmp_path / "model").exists()

    refused("no such model folder", ModelError, exam_of=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused("no finished model", ModelError, exam_of=tmp_path / "empty")
    instar.train(frame(200), out=tmp_path / "folds", **QUICK)
    refused("examined by folds", ModelError, exam_of=tmp_path / "folds")
    instar.train(frame(1_100), out=tmp_path / "all", test_share=0, **QUICK)
    refused("not examined on rows set apart", ModelError, exam_of=tmp_path / "all")
    instar.train(frame(1_100).with_columns(third=pl.col("day") + 1), out=tmp_path / "more", **QUICK)
    refused("tells rows apart by the column 'third'", ColumnError, exam_of=tmp_path / "more")


@pytest.mark.parametrize("content", [{}, {"keys": []}, {"keys": [1]}, {"by": None}, {"by": {"group": 3}}])
def test_a_record_from_a_stranger_is_checked(content: dict[str, Any]) -> None:
    table = frame(1_100)
    record = divided(table)[0].record
    assert record is not None
    spoiled = record.with_content(**content) if content else Record({}, record.arrays)
    with pytest.raises(ModelError, match="record of the split"):
        divided(table, spoiled, exam_of="the first")


@pytest.mark.parametrize(
    ("name", "target", "inputs"),
    [
        ("digits", "category", "image"),
        ("iris", "category", "number"),
        ("wine", "category", "number"),
        ("breast_cancer", "category", "number"),
        ("diabetes", "number", "number"),
        ("xor", "category", "number"),
    ],
)
def test_the_kinds_of_example_sets_are_recognized_like_those_of_any_other(name: str, target: str, inputs: str) -> None:
    found = recognize_columns(locate(f"example:{name}"), Configuration.of({}), None)
    assert {found.plans[each].kind for each in found.roles.targets} == {target}
    assert {found.plans[each].kind for each in found.inputs} == {inputs}
    assert not found.dropped
