"""Every registered kind goes through its whole life: recognized, surveyed, read, fitted, prepared, stored, shown."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from instar.fields import Arrays, Field, Kind, kinds
from instar.fields.digest import digest
from instar.shapes import (
    NO_CLASS,
    NO_TEXT,
    Amounts,
    Anomaly,
    Choice,
    Continuation,
    Curves,
    Forecast,
    Grid,
    Image,
    Mask,
    Picture,
    Several,
    Symbols,
    Text,
    Tokens,
    Vector,
)
from instar.sources import Column, FileColumn, FileReference
from instar.sources.base import take

# What nobody knows the answers of is no input, and there for every row.
INPUTS = [name for name, kind in kinds.items() if not kind.unanswered]
ROLES = [(name, False) for name in INPUTS] + [(name, True) for name, kind in kinds.items() if kind.can_be_target]


def column_of(kind: Kind) -> Column:
    return kind.sample(np.random.default_rng(5), rows=200)


def read(kind: Kind) -> tuple[Arrays, dict]:
    column = column_of(kind)
    plan = json.loads(json.dumps(kind.survey(column, kind.settings())))
    return kind.read(column, plan), plan


def fit(kind: Kind, target: bool) -> tuple[Field, Arrays]:
    arrays, plan = read(kind)
    return kind.fit("column", [arrays], plan, kind.settings(), target=target), arrays


def part(arrays: Arrays, rows: np.ndarray) -> Arrays:
    return arrays.rows(rows)


@pytest.mark.parametrize("name", INPUTS)
def test_a_kind_is_surest_of_its_own_sample(name):
    column = column_of(kinds[name])
    sure = {other: kind.sniff(column) for other, kind in kinds.items()}
    assert all(0 <= confidence <= 1 for confidence in sure.values())
    assert max(sure, key=sure.__getitem__) == name
    assert sum(confidence == sure[name] for confidence in sure.values()) == 1


@pytest.mark.parametrize("name", kinds)
def test_a_sample_is_the_same_for_the_same_generator(name):
    assert np.array_equal(digest(column_of(kinds[name])), digest(column_of(kinds[name])))


@pytest.mark.parametrize("name", kinds)
def test_reading_gives_arrays_of_equal_length_with_the_content_s_digests(name):
    kind = kinds[name]
    arrays, _ = read(kind)
    assert len(arrays) == len(arrays.present) == len(arrays.digests) == 200
    assert len(arrays.values) == (200 if arrays.lengths is None else arrays.lengths.sum())
    assert arrays.present.dtype == bool and 0 < arrays.present.sum() < 200 + kind.unanswered
    assert arrays.digests.dtype == np.uint64
    assert np.array_equal(arrays.digests, digest(column_of(kind)))
    assert not arrays.problems


@pytest.mark.parametrize("name", kinds)
def test_each_row_is_read_alone(name):
    kind = kinds[name]
    whole, plan = read(kind)
    rows = np.array([60, 3, 111])
    some = kind.read(take(column_of(kind), rows), plan)
    assert np.array_equal(some.values, whole.rows(rows).values, equal_nan=some.values.dtype.kind == "f")
    assert np.array_equal(some.present, whole.present[rows])
    assert some.values.dtype == whole.values.dtype


@pytest.mark.parametrize(("name", "target"), ROLES)
def test_prepared_tensors_have_the_shape_that_the_field_declares(name, target):  # noqa: C901 - a case each
    field, arrays = fit(kinds[name], target)
    prepared = field.prepare(arrays)
    assert (field.shape is None) == target and (field.answer is None) == (not target)
    assert all(tensor.is_floating_point() is False or tensor.dtype == torch.float32 for tensor in prepared.values())
    match field.shape or field.answer:
        case Vector(width, cardinalities):
            declared = {"numbers": width, "codes": cardinalities}
            assert set(prepared) == {part for part, has in declared.items() if has}
            if width:
                assert prepared["numbers"].shape == (200, width) and prepared["numbers"].isfinite().all()
            if cardinalities:
                codes = prepared["codes"]
                assert codes.shape == (200, len(cardinalities)) and codes.dtype == torch.int64
                assert (codes >= 0).all() and (codes < torch.tensor(cardinalities)).all()
        case Grid(channels, extent):
            assert prepared["grid"].shape == (200, channels, *extent) and prepared["grid"].isfinite().all()
            assert torch.equal(prepared["present"], torch.from_numpy(arrays.present))
            assert not prepared["grid"][~prepared["present"]].any()
        case Tokens(vocabulary, length):
            tokens = prepared["tokens"]
            assert tokens.shape == (200, length) and tokens.dtype == torch.int32
            assert (tokens >= 0).all() and (tokens < vocabulary).all()
            assert torch.equal(prepared["present"], torch.from_numpy(arrays.present))
            assert not tokens[~prepared["present"]].any()
            assert not ((tokens[:, :-1] == 0) & (tokens[:, 1:] > 0)).any(), "0 only after a row's end"
        case Choice(counts):
            target_codes = prepared["target"]
            assert target_codes.shape == (200,) and target_codes.dtype == torch.int64
            known = target_codes[target_codes >= 0]
            assert torch.bincount(known, minlength=len(counts)).tolist() == list(counts)
            assert torch.equal(target_codes == -1, torch.from_numpy(~arrays.present))
        case Several(counts, rows):
            labels = prepared["target"]
            assert labels.shape == (200, len(counts)) and rows == arrays.present.sum()
            assert torch.equal(labels.isnan().all(1), torch.from_numpy(~arrays.present))
            assert labels.nansum(0).tolist() == list(counts)
            assert set(labels[arrays.present].flatten().tolist()) == {0, 1}
        case Symbols(vocabulary, length, entropy):
            written = prepared["target"]
            assert written.shape == (200, length) and written.dtype == torch.int32 and entropy > 0
            assert torch.equal((written == -1).all(1), torch.from_numpy(~arrays.present))
            there = written[torch.from_numpy(arrays.present)]
            assert (there >= 0).all() and (there < vocabulary).all() and (there[:, 0] > 0).all()
            assert not ((there[:, :-1] == 0) & (there[:, 1:] > 0)).any(), "0 only after a row's end"
        case Continuation(vocabulary, length, entropy, characters):
            told = prepared["target"]
            assert told.shape == (200, length) and told.dtype == torch.int32 and entropy > 0
            assert torch.equal((told == -1).all(1), torch.from_numpy(~arrays.present))
            itself = fit(kinds[name], False)[0].prepare(arrays)["tokens"]
            assert torch.equal(told.clamp(min=0), itself), "it is told from the input itself"
            assert (itself < vocabulary).all() and len(characters) in (0, vocabulary)
        case Picture(channels, extent, low, high):
            painted = prepared["target"]
            assert painted.shape == (200, channels, *extent) and painted.dtype == torch.float32 and low < high
            assert torch.equal(painted.isnan().flatten(1).all(1), torch.from_numpy(~arrays.present))
            there = painted[torch.from_numpy(arrays.present)]
            assert there.isfinite().all() and abs(there.mean()) < 0.05 and abs(there.std() - 1) < 0.05
        case Mask(counts, extent):
            codes = prepared["target"]
            assert codes.shape == (200, *extent) and codes.dtype == torch.uint8
            assert torch.equal((codes == NO_CLASS).flatten(1).all(1), torch.from_numpy(~arrays.present))
            assert torch.bincount(codes[codes != NO_CLASS].long(), minlength=len(counts)).tolist() == list(counts)
        case Forecast(steps):
            ahead = prepared["target"]
            assert ahead.shape == (200, steps)
            assert torch.equal(ahead.isnan().all(1), torch.from_numpy(~arrays.present))
        case Amounts() | Anomaly() as answer:
            # Of how odd a row is nothing is known to learn from.
            assert prepared["target"].shape == (200, answer.width if isinstance(answer, Amounts) else 0)
            assert torch.equal(prepared["target"].isnan().any(1), torch.from_numpy(~arrays.present))


@pytest.mark.parametrize(("name", "target"), ROLES)
def test_one_row_is_prepared_as_among_others(name, target):
    field, arrays = fit(kinds[name], target)
    whole = field.prepare(arrays)
    for rows in (np.array([7]), np.array([150, 2])):
        alone = field.prepare(part(arrays, rows))
        assert alone.keys() == whole.keys()
        for key, tensor in alone.items():
            assert torch.equal(tensor.nan_to_num(9.0), whole[key][torch.from_numpy(rows)].nan_to_num(9.0))


@pytest.mark.parametrize(("name", "target"), ROLES)
def test_no_rows_and_only_missing_rows_are_prepared(name, target):
    field, arrays = fit(kinds[name], target)
    assert all(len(tensor) == 0 for tensor in field.prepare(part(arrays, np.empty(0, np.int64))).values())
    missing = part(arrays, np.flatnonzero(~arrays.present)[:2])
    assert all(len(tensor) == len(missing) for tensor in field.prepare(missing).values())


@pytest.mark.parametrize(("name", "target"), ROLES)
def test_a_field_comes_back_from_its_state_exactly(name, target):
    kind = kinds[name]
    field, arrays = fit(kind, target)
    content, stored = field.state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in stored.values())
    again = kind.restore("column", json.loads(json.dumps(content, allow_nan=False)), stored)
    assert type(again) is type(field)
    assert (again.shape, again.answer, again.describe()) == (field.shape, field.answer, field.describe())
    for key, tensor in field.prepare(arrays).items():
        assert torch.equal(again.prepare(arrays)[key].nan_to_num(9.0), tensor.nan_to_num(9.0))
    content_again, stored_again = again.state()
    assert content_again == content
    assert all(np.array_equal(stored_again[key], array) for key, array in stored.items())


@pytest.mark.parametrize(("name", "target"), ROLES)
def test_a_malformed_state_is_refused(name, target):
    kind = kinds[name]
    content, stored = fit(kind, target)[0].state()
    for key in content:
        with pytest.raises((ValueError, KeyError)):
            kind.restore("column", {**content, key: {"not": "this"}}, stored)
    for key, array in stored.items():
        for bad in (array.reshape(*array.shape, 1), array.astype(np.complex128)):
            with pytest.raises((ValueError, KeyError)):
                kind.restore("column", content, {**stored, key: bad})
        with pytest.raises((ValueError, KeyError)):
            kind.restore("column", content, {other: each for other, each in stored.items() if other != key})


@pytest.mark.parametrize("name", [name for name in kinds if kinds[name].can_be_target and not kinds[name].unanswered])
def test_what_a_perfect_head_answers_decodes_to_the_column_s_own_values(name):
    kind = kinds[name]
    field, arrays = fit(kind, True)
    target = field.prepare(arrays)["target"][torch.from_numpy(arrays.present)]
    if isinstance(field.answer, Picture | Mask):
        truth = field.truth(arrays)[arrays.present]
        assert np.allclose(field.decode(target.numpy()), truth, atol=1e-3)
        frames = [frame for frame in kind.frames(column_of(kind)) if frame is not None]
        suffix, content = field.written(truth[0], frames[0])
        again = kind.read(FileColumn([FileReference("again" + suffix, content=content)]), read(kind)[1])
        assert np.array_equal(again.values[0], arrays.values[arrays.present][0])
        return
    if isinstance(field.answer, Forecast):
        truth = field.truth(arrays)
        assert np.array_equal(field.decode(truth), truth[:, : field.answer.steps], equal_nan=True)
        level, spread = truth[arrays.present][:, [-3]], truth[arrays.present][:, [-2]]
        assert np.allclose(target.numpy() * spread + level, field.decode(truth)[arrays.present], rtol=1e-4)
        return
    if isinstance(field.answer, Choice):
        decoded = field.decode(np.eye(field.answer.classes)[target.numpy()])
    else:
        decoded = field.decode(target.double().numpy())
    column = [value for value in column_of(kind) if value is not None]
    if isinstance(field.answer, Choice | Several | Symbols | Continuation):
        assert list(decoded) == column
    else:
        assert np.allclose(decoded[:, 0], column, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name, target in ROLES if target])
def test_the_truth_is_what_was_read(name):
    field, arrays = fit(kinds[name], True)
    truth = field.truth(arrays)
    if isinstance(field.answer, Choice):
        assert truth.tolist() == field.prepare(arrays)["target"].tolist()
        half = part(arrays, np.arange(0, 200, 2))
        fewer = field.recounted([half])
        codes = field.truth(half)
        assert fewer.classes == field.classes
        assert fewer.answer == Choice(tuple(np.bincount(codes[codes >= 0], minlength=len(field.classes)).tolist()))
        none = field.recounted([])
        again = kinds[name].restore("column", *none.state())
        assert sum(again.answer.counts) == 0 and again.answer == none.answer and again.describe()
    elif isinstance(field.answer, Several):
        assert truth.dtype == np.float64 and truth.shape == (200, field.answer.labels + 1)
        assert np.array_equal(truth[:, :-1], field.prepare(arrays)["target"].double().numpy(), equal_nan=True)
        assert not truth[arrays.present, -1].any(), "no label that was not learned"
        half = part(arrays, np.arange(0, 200, 2))
        fewer = field.recounted([half])
        assert fewer.classes == field.classes
        counts = np.nansum(field.truth(half), axis=0).astype(int)
        assert fewer.answer == Several(tuple(counts[:-1].tolist()), int(half.present.sum()))
        none = field.recounted([])
        again = kinds[name].restore("column", *none.state())
        assert again.answer == none.answer == Several((0,) * field.answer.labels, 0) and again.describe()
    elif isinstance(field.answer, Symbols):
        assert truth.dtype.kind == "U" and truth.shape == (200,)
        assert (truth[~arrays.present] == NO_TEXT).all() and not (truth[arrays.present] == NO_TEXT).any()
    elif isinstance(field.answer, Continuation):
        assert np.array_equal(truth, np.where(arrays.present, 1.0, np.nan)[:, None], equal_nan=True)
    elif isinstance(field.answer, Picture):
        assert truth.dtype == np.float32 and truth.shape == (200, field.answer.channels, *field.answer.extent)
        assert np.isnan(truth[~arrays.present]).all()
        assert truth[arrays.present].min() >= field.answer.low and truth[arrays.present].max() <= field.answer.high
    elif isinstance(field.answer, Anomaly):
        said = np.array([value is not None for value in column_of(kinds[name])])
        assert np.array_equal(np.isnan(truth), ~said)
        assert set(truth[said]) == {0, 1} and truth[said].mean() < 0.5
    elif isinstance(field.answer, Mask):
        assert np.array_equal(truth, field.prepare(arrays)["target"].numpy())
        fewer = field.recounted([part(arrays, np.arange(0, 200, 2))])
        assert fewer.classes == field.classes and 0 < sum(fewer.answer.counts) < sum(field.answer.counts)
    elif isinstance(field.answer, Forecast):
        steps = field.answer.steps
        assert truth.dtype == np.float64 and truth.shape == (200, field.answer.width)
        assert np.array_equal(truth[arrays.present][:, :steps], arrays.values[arrays.present][:, 1, -steps:])
        assert np.isnan(truth[~arrays.present]).all()
    else:
        assert truth.dtype == np.float64 and truth.shape == (200, field.answer.width)
        assert np.array_equal(truth[arrays.present], arrays.values[arrays.present].reshape(-1, field.answer.width))
        assert np.isnan(truth[~arrays.present]).all()


@pytest.mark.parametrize(("name", "target"), ROLES)
def test_a_value_is_shown_and_a_field_described(name, target):
    field, arrays = fit(kinds[name], target)
    there = arrays.present if not kinds[name].unanswered else ~np.isnan(field.truth(arrays))
    present, missing = np.flatnonzero(there)[0], np.flatnonzero(~there)[0]
    view = field.show(arrays, int(present))
    assert isinstance(view, Text | Image | Curves)
    assert view.png.startswith(b"\x89PNG") if isinstance(view, Image) else view.text
    assert field.show(arrays, int(missing)) == Text("missing")
    assert field.describe() and not field.describe().endswith(".")


@pytest.mark.parametrize("name", [name for name, target in ROLES if target])
def test_an_answer_that_is_a_picture_can_be_drawn_and_moved(name):
    field, arrays = fit(kinds[name], True)
    if not isinstance(field.answer, Picture | Mask):
        pytest.skip("no picture")
    prepared = field.prepare(arrays)
    assert isinstance(field.draw(field.truth(arrays)[0]), Image | Curves)
    if len(field.answer.extent) == 3:
        same = [torch.arange(size).repeat(200, 1) for size in field.answer.extent]
        mirror = [*same[:-1], same[-1].flip(1)]
    else:
        same = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).repeat(200, 1, 1)
        mirror = same * torch.tensor([-1.0, 1, 1]).view(1, 1, 3)
    there = torch.from_numpy(arrays.present)
    kept = field.moved(prepared, same)["target"]
    assert torch.allclose(kept[there].float(), prepared["target"][there].float(), atol=1e-4)
    mirrored = field.moved(prepared, mirror)["target"]
    assert torch.allclose(mirrored[there].float(), prepared["target"][there].flip(-1).float(), atol=1e-4)


@pytest.mark.parametrize("name", [name for name, target in ROLES if not target])
def test_augmentation_repeats_with_its_generator_and_keeps_shapes(name):
    field, arrays = fit(kinds[name], False)
    prepared = field.prepare(arrays)
    before = {key: tensor.clone() for key, tensor in prepared.items()}
    once, twice = (field.augment(prepared, torch.Generator().manual_seed(3)) for _ in range(2))
    for key, tensor in prepared.items():
        assert torch.equal(tensor, before[key])
        assert torch.equal(once[key], twice[key])
        assert once[key].shape == tensor.shape and once[key].dtype == tensor.dtype


@pytest.mark.parametrize(("name", "target"), [(name, target) for name, target in ROLES if not kinds[name].unanswered])
def test_a_column_without_values_is_an_error_that_names_it(name, target):
    from instar.errors import ColumnError

    kind = kinds[name]
    arrays, plan = read(kind)
    empty = part(arrays, np.flatnonzero(~arrays.present))
    for chunks in ([empty], []):
        with pytest.raises(ColumnError, match="'column' has no values"):
            kind.fit("column", chunks, plan, kind.settings(), target=target)
