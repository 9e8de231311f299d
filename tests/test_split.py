"""The exam is frozen: no row changes sides, equal inputs stay together, shares are met."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instar.errors import ColumnError, ModelError, SettingError, UsageError
from instar.split import (
    LEFT_OUT,
    TEST,
    TRAINING,
    VALIDATION,
    Exam,
    Record,
    SplitSettings,
    exam_for,
    fold_parts,
    folds,
    given_parts,
    row_keys,
    split,
)


def random_keys(rows, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, rows, dtype=np.uint64)


def parts_by_key(keys, parts):
    table = {}
    for key, part in zip(keys.tolist(), parts.tolist(), strict=True):
        assert table.setdefault(key, part) == part, "equal inputs are on two sides"
    return table


@st.composite
def changes(draw):
    """A table's keys, and the same table with rows removed, added, doubled and reordered."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    before = generator.integers(0, 2**64, draw(st.integers(30, 300)), dtype=np.uint64)
    twins = generator.choice(before, draw(st.integers(0, 10)))
    before = np.concatenate([before, twins])
    kept = before[generator.random(len(before)) < draw(st.sampled_from([0.8, 1.0]))]
    added = generator.integers(0, 2**64, draw(st.integers(0, 60)), dtype=np.uint64)
    after = generator.permutation(np.concatenate([kept, added]))
    return before, after, generator


@settings(max_examples=60, deadline=None)
@given(changes(), st.booleans())
def test_no_row_changes_sides(change, frozen_by_bands):
    before, after, generator = change
    threshold = 10 if frozen_by_bands else 10**6
    first = split(before, strata=generator.integers(0, 3, len(before)), frozen_exam_rows=threshold)
    recorded = None if frozen_by_bands else first.record
    second = split(after, strata=generator.normal(size=len(after)), recorded=recorded, frozen_exam_rows=threshold)
    old, new = parts_by_key(before, first.parts), parts_by_key(after, second.parts)
    assert all(new[key] == old[key] for key in new.keys() & old.keys())


@settings(max_examples=40, deadline=None)
@given(changes())
def test_new_rows_fall_by_their_band_whatever_else_is_there(change):
    before, after, _ = change
    record = split(before).record
    banded = parts_by_key(after, split(after, frozen_exam_rows=1).parts)
    known = set(before.tolist())
    for key, part in parts_by_key(after, split(after, recorded=record).parts).items():
        assert key in known or part == banded[key]


def test_keys_do_not_depend_on_the_order_of_columns_and_tell_columns_apart():
    a, b = random_keys(100_000, 1), random_keys(100_000, 2)
    keys = row_keys({"a": a, "b": b})
    assert (keys == row_keys({"b": b, "a": a})).all()
    assert (keys[70_000:] == row_keys({"a": a[70_000:], "b": b[70_000:]})).all()
    assert not (keys == row_keys({"a": b, "b": a})).any()
    assert len(np.unique(keys)) == len(keys)
    with pytest.raises(UsageError, match="no input column"):
        row_keys({})


def test_bands_meet_their_shares():
    parts = split(random_keys(50_000), settings=SplitSettings(test_share=0.3, validation_share=0.05)).parts
    assert abs((parts == TEST).mean() - 0.3) < 0.01
    assert abs((parts == VALIDATION).mean() - 0.05) < 0.005


def test_a_larger_test_keeps_its_rows():
    keys = random_keys(20_000)
    small, large = (split(keys, settings=SplitSettings(test_share=share)).parts for share in (0.1, 0.3))
    assert (large[small == TEST] == TEST).all()
    assert ((large == VALIDATION) == (small == VALIDATION)).all()


def test_every_class_has_its_share_of_the_test():
    classes = np.repeat([0, 1, 2], [1500, 300, 50])
    parts = split(random_keys(len(classes)), strata=classes).parts
    for name in range(3):
        mine = parts[classes == name]
        assert abs((mine == TEST).sum() - 0.2 * len(mine)) <= 1
        assert abs((mine == VALIDATION).sum() - 0.1 * len(mine)) <= 1


def test_many_tiny_classes_together_meet_the_share():
    classes = np.repeat(np.arange(500), 2)
    parts = split(random_keys(1000), strata=classes).parts
    assert abs((parts == TEST).sum() - 200) <= 1
    assert abs((parts == VALIDATION).sum() - 100) <= 1


def test_a_number_is_stratified_by_its_quantiles():
    amounts = np.random.default_rng(0).lognormal(size=2000)
    amounts[:5] = np.nan
    parts = split(random_keys(2000), strata=amounts).parts
    top = amounts >= np.nanquantile(amounts, 0.9)
    assert abs((parts[top] == TEST).mean() - 0.2) < 0.02


def test_stratified_rows_are_near_their_bands():
    keys = random_keys(5000)
    stratified = split(keys, strata=np.arange(5000) % 4).parts
    banded = split(keys, frozen_exam_rows=1).parts
    assert (stratified == banded).mean() > 0.95


def test_a_stratified_split_does_not_depend_on_the_order_of_rows():
    keys, classes = random_keys(2000), np.arange(2000) % 7
    order = np.random.default_rng(3).permutation(2000)
    first, second = split(keys, strata=classes), split(keys[order], strata=classes[order])
    assert (first.parts[order] == second.parts).all()
    assert (first.record.arrays["units"] == second.record.arrays["units"]).all()


def test_a_record_freezes_the_shares_too():
    keys = random_keys(2000)
    first = split(keys)
    second = split(keys, recorded=first.record, settings=SplitSettings(test_share=0.5))
    assert (first.parts == second.parts).all()


def test_a_table_that_repeats_its_inputs_counts_occurrences_and_says_so():
    keys = np.tile(random_keys(4), 500)
    result = split(keys, strata=np.arange(2000) % 2)
    assert abs((result.parts == TEST).mean() - 0.2) < 0.01
    assert "same inputs" in result.notes[0]
    longer = np.concatenate([keys, keys[:100]])
    assert (split(longer, recorded=result.record).parts[:2000] == result.parts).all()
    assert len(np.unique(folds(keys, 5))) == 5


def test_what_was_not_repeated_at_first_is_never_counted():
    keys = random_keys(1500)
    first = split(keys)
    doubled = split(np.concatenate([keys, keys, keys]), recorded=first.record)
    assert (doubled.parts.reshape(3, -1) == first.parts).all()


@pytest.mark.parametrize("threshold", [1, 10**6])
def test_groups_stay_together_and_equal_inputs_give_way_to_the_exam(threshold):
    generator = np.random.default_rng(5)
    groups = generator.choice(random_keys(150, 9), 3000)
    keys = random_keys(3000, 4)
    keys[:200] = keys[200:400]
    result = split(keys, groups=groups, strata=np.arange(3000) % 2, frozen_exam_rows=threshold)
    in_use = result.parts != LEFT_OUT
    parts_by_key(keys[in_use], result.parts[in_use])
    parts_by_key(groups[in_use], result.parts[in_use])
    assert 0 < (~in_use).sum() <= 200
    assert any("Left out of training" in note for note in result.notes)
    test_groups = np.unique(groups[result.parts == TEST])
    assert not ((result.parts == LEFT_OUT) & np.isin(groups, test_groups)).any(), "a row of the exam was lost"


def test_groups_never_change_sides_when_rows_come_and_go():
    groups = np.random.default_rng(5).choice(random_keys(60, 9), 2000)
    first = split(random_keys(2000), groups=groups, strata=np.arange(2000) % 3)
    more = np.concatenate([groups[500:], random_keys(500, 8)])
    second = split(random_keys(2000, 1), groups=more, recorded=first.record)
    old, new = parts_by_key(groups, first.parts), parts_by_key(more, second.parts)
    assert all(new[group] == old[group] for group in new.keys() & old.keys())


@pytest.mark.parametrize("rows", [600, 21_000])
@pytest.mark.parametrize("seed", range(5))
def test_three_groups_are_one_for_each_part_and_the_deviation_is_said(rows, seed):
    patients = random_keys(3, seed)
    groups = np.repeat(patients, rows // 3)
    result = split(random_keys(rows), groups=groups, strata=np.arange(rows) % 2)
    parts_by_key(groups, result.parts)
    assert {int(part) for part in result.parts} == {TRAINING, VALIDATION, TEST}
    assert result.notes == (
        "The test part has 33 % of the rows where 20 % were asked: the rows of a group stay together.",
        "The validation part has 33 % of the rows where 10 % were asked: the rows of a group stay together.",
    )


def test_two_groups_leave_no_validation_and_one_group_no_exam():
    groups = np.repeat(random_keys(2), [9000, 6000])
    result = split(random_keys(15_000), groups=groups)
    assert [(result.parts == part).sum() for part in (TRAINING, VALIDATION, TEST)] == [9000, 0, 6000]
    assert any("No row is in the validation part" in note for note in result.notes)
    with pytest.raises(ColumnError, match="one group"):
        split(random_keys(15_000), groups=np.zeros(15_000, np.uint64))
    nothing_asked = SplitSettings(test_share=0, validation_share=0)
    assert not split(random_keys(100), groups=np.zeros(100, np.uint64), settings=nothing_asked).parts.any()


@settings(max_examples=60)
@given(st.lists(st.integers(1, 400), min_size=3, max_size=40), st.integers(0, 1000))
def test_no_wanted_part_is_empty_however_large_the_groups_are(sizes, seed):
    groups = np.repeat(random_keys(len(sizes), seed), sizes)
    order = np.random.default_rng(seed).permutation(len(groups))
    strata = np.arange(len(groups)) % 3
    result = split(random_keys(len(groups)), groups=groups, strata=strata)
    parts_by_key(groups, result.parts)
    assert len(set(result.parts.tolist())) == 3
    largest = max(sizes)
    for part, share in ((TEST, 0.2), (VALIDATION, 0.1)):
        assert abs((result.parts == part).sum() - share * len(groups)) <= largest
    again = split(random_keys(len(groups))[order], groups=groups[order], strata=strata[order])
    assert (again.parts == result.parts[order]).all()


def test_twenty_groups_meet_shares_and_classes_however_many_rows():
    generator = np.random.default_rng(2)
    groups = generator.choice(random_keys(20, 9), 30_000)
    classes = (generator.random(30_000) < 0.1).astype(int)
    parts = split(random_keys(30_000), groups=groups, strata=classes).parts
    for rows in (np.ones(30_000, bool), classes == 1):
        assert abs((parts[rows] == TEST).mean() - 0.2) < 0.03
        assert abs((parts[rows] == VALIDATION).mean() - 0.1) < 0.03


def test_a_few_large_groups_never_change_sides_when_rows_come_and_go():
    generator = np.random.default_rng(5)
    groups = generator.choice(random_keys(6, 9), 12_000)
    first = split(random_keys(12_000), groups=groups, strata=np.arange(12_000) % 3)
    more = generator.permutation(np.concatenate([groups[8000:], np.repeat(random_keys(4, 8), 5000)]))
    second = split(random_keys(len(more), 1), groups=more, recorded=first.record)
    old, new = parts_by_key(groups, first.parts), parts_by_key(more, second.parts)
    assert all(new[group] == old[group] for group in new.keys() & old.keys())
    assert len(first.record.arrays["units"]) == 6


def test_the_latest_rows_are_the_exam_and_the_cut_off_is_frozen():
    moments = np.random.default_rng(1).permutation(2000)
    result = split(random_keys(2000), order=moments)
    assert moments[result.parts == TEST].min() > moments[result.parts == VALIDATION].max()
    assert moments[result.parts == VALIDATION].min() > moments[result.parts == TRAINING].max()
    assert [(result.parts == part).sum() for part in (TRAINING, VALIDATION, TEST)] == [1400, 200, 400]
    later = np.concatenate([moments, np.arange(2000, 4000)])
    again = split(random_keys(4000), order=later, recorded=result.record)
    assert (again.parts[:2000] == result.parts).all()
    assert (again.parts[2000:] == TEST).all()


def test_rows_of_one_moment_are_on_one_side():
    years = np.repeat([2001, 2002, 2003, 2004], [500, 300, 250, 50]).astype(float)
    result = split(random_keys(1100), order=years)
    assert set(years[result.parts == TEST]) == {2003, 2004}
    parts_by_key(years.astype(np.uint64), result.parts)
    with pytest.raises(ColumnError, match="same time"):
        split(random_keys(1100), order=np.ones(1100))


def test_rows_without_a_time_are_the_earliest():
    moments = np.where(np.arange(1000) % 10 == 0, np.nan, np.arange(1000.0))
    result = split(random_keys(1000), order=moments)
    assert (result.parts[::10] == TRAINING).all()
    assert (result.parts == TEST).sum() == 200
    assert any("as the earliest: 100 rows" in note for note in result.notes)


def test_a_later_twin_stays_in_the_exam_and_the_earlier_is_left_out():
    keys = random_keys(1000)
    keys[:30] = keys[-30:]
    result = split(keys, order=np.arange(1000))
    assert (result.parts[:30] == LEFT_OUT).all()
    assert (result.parts[-30:] == TEST).all()


def test_groups_do_not_cross_the_cut_off():
    groups = np.random.default_rng(5).choice(random_keys(300, 9), 1000)
    result = split(random_keys(1000), order=np.arange(1000), groups=groups)
    in_use = result.parts != LEFT_OUT
    parts_by_key(groups[in_use], result.parts[in_use])


def test_a_given_split_is_respected_and_completed():
    words = ["train"] * 800 + ["Test "] * 200
    said = given_parts(words)
    keys = random_keys(1000)
    result = split(keys, given=said, strata=np.arange(1000) % 2)
    assert (result.parts[800:] == TEST).all()
    assert (result.parts[:800] == VALIDATION).sum() == 80
    again = split(keys[::-1], given=said[::-1], recorded=result.record)
    assert (again.parts[::-1] == result.parts).all()
    whole = split(keys, given=given_parts(["train", "val", "test", None] * 250))
    assert (whole.parts == np.tile([TRAINING, VALIDATION, TEST, TRAINING], 250)).all()
    with pytest.raises(ColumnError, match="row 2"):
        given_parts(["train", "exam"])


def test_what_a_given_split_lacked_at_first_is_taken_from_its_training_later_too():
    keys = random_keys(1000)
    first = split(keys, given=given_parts(["train"] * 800 + ["test"] * 200))
    more = given_parts(["train"] * 800 + ["test"] * 200 + ["validation"] * 50)
    second = split(np.append(keys, random_keys(50, 7)), given=more, recorded=first.record)
    assert (second.parts[:1000] == first.parts).all()
    assert (second.parts[1000:] == VALIDATION).all()


def test_a_record_that_is_none_is_refused():
    keys = random_keys(300)
    record = split(keys).record
    units, parts = record.arrays["units"], record.arrays["parts"]
    for content, arrays in (
        ({}, record.arrays),
        ({**record.content, "test_share": "much"}, record.arrays),
        ({**record.content, "test_share": 7}, record.arrays),
        (record.content, {"units": units}),
        (record.content, {"units": units[::-1], "parts": parts}),
        (record.content, {"units": units, "parts": parts[:-1]}),
        (record.content, {"units": units, "parts": parts + 3}),
    ):
        with pytest.raises(ModelError, match="record of the split"):
            split(keys, recorded=Record(content, arrays))
    with pytest.raises(ModelError):
        split(keys, order=keys, recorded=Record({**record.content, "test_from": "noon"}))
    with pytest.raises(ModelError):
        split(keys, given=keys * 0, recorded=Record({**record.content, "completed": 3}))


def test_equal_inputs_across_a_given_split_are_counted():
    keys = random_keys(1000)
    keys[:7] = keys[990:997]
    result = split(keys, given=given_parts(["train"] * 700 + ["validation"] * 100 + ["test"] * 200))
    assert (result.parts == np.repeat([0, 1, 2], [700, 100, 200])).all()
    assert "7 rows" in result.notes[0]


def test_folds_cover_every_row_once_and_are_stratified():
    keys, classes = random_keys(300), np.repeat([0, 1], [250, 50])
    keys[:20] = keys[20:40]
    fold = folds(keys, 5, strata=classes)
    parts_by_key(keys, fold)
    for number in range(5):
        assert 8 <= (classes[fold == number] == 1).sum() <= 12
        parts = fold_parts(keys, fold, number, strata=classes)
        assert ((parts == TEST) == (fold == number)).all()
        parts_by_key(keys, parts)
        assert 20 <= (parts == VALIDATION).sum() <= 27
    order = np.random.default_rng(0).permutation(300)
    assert (folds(keys[order], 5, strata=classes[order]) == fold[order]).all()


def test_folds_keep_groups_together():
    groups = np.random.default_rng(5).choice(random_keys(40, 9), 300)
    keys = random_keys(300)
    fold = folds(keys, 4, groups=groups)
    parts_by_key(groups, fold)
    parts = fold_parts(keys, fold, 2, groups=groups)
    parts_by_key(groups, parts)
    with pytest.raises(UsageError, match="2 different groups cannot make 5 folds"):
        folds(keys, 5, groups=groups > 2**63)


def test_how_tables_are_examined():
    assert exam_for(19) is Exam.NONE
    assert exam_for(999) is Exam.FOLDS
    assert exam_for(1000) is Exam.SEPARATE
    assert exam_for(200, ordered=True) is exam_for(10, given=True) is Exam.SEPARATE


def test_shares_must_leave_something_to_train_on():
    with pytest.raises(SettingError, match="at most"):
        SplitSettings(test_share=0.9, validation_share=0.2)


def test_the_smallest_tables_are_split():
    for rows in range(4):
        assert len(split(random_keys(rows)).parts) == rows
    assert (split(random_keys(100), settings=SplitSettings(test_share=0, validation_share=0)).parts == TRAINING).all()
