"""Masks and volumes that belong to scans: read as these are, and written so that they lie on them."""

from __future__ import annotations

import gzip
import json
from io import BytesIO

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from instar.errors import ColumnError
from instar.fields import kinds
from instar.fields._nifti import header
from instar.fields._scan import turned, turned_back, upright
from instar.fields._voxels import OUTSIDE
from instar.fields.volume import VolumeSettings
from instar.shapes import NO_CLASS, Image
from instar.sources import FileColumn, FileReference

MASK, VOLUME = kinds["mask"], kinds["volume"]
AXES = [a + b + c for a in "LR" for b in "AP" for c in "IS"]
ORIENTATIONS = [
    codes[i] + codes[j] + codes[k] for codes in AXES for i, j, k in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0))
]


def nifti(voxels, affine=None, codes="RAS", packed=False):
    """A NIfTI file of a body whose axes run to the right, the front and the top, written in another orientation."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0]) if affine is None else affine
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    stream = BytesIO()
    placed = affine @ inv_ornt_aff(turn, voxels.shape[:3])
    nibabel.Nifti1Image(apply_orientation(voxels, turn), placed).to_stream(stream)
    return gzip.compress(stream.getvalue()) if packed else stream.getvalue()


def files(*contents, name="scan"):
    return FileColumn([FileReference(f"{name}{row}.nii", content=each) for row, each in enumerate(contents)])


def loaded(content):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def body(seed=0, extent=(11, 9, 10), classes=3):
    return np.random.default_rng(seed).integers(0, classes, extent).astype(np.int16)


def life(masks, scans, target=True, **given_settings):
    """A field of masks, fitted beside their scans; what was read, and what does not lie where it should."""
    plan = MASK.survey(masks, MASK.settings())
    beside = VOLUME.survey(scans, VolumeSettings(**given_settings))
    plan = json.loads(json.dumps(MASK.within(plan, {"scan": ("volume", beside)})))
    arrays = MASK.read(masks, plan)
    problems = MASK.misplaced(masks, plan, {"scan": scans})
    field = MASK.fit("mask", [arrays], plan, MASK.settings(), target=target)
    MASK.check(plan, field)
    return field, arrays, problems


@given(some.sampled_from(ORIENTATIONS), some.sampled_from(ORIENTATIONS), some.integers(0, 99), some.floats(-40, 40))
@settings(max_examples=40, deadline=None)
def test_a_mask_lies_on_its_scan_in_whatever_orientation_either_is_written(codes, others, seed, angle):
    truth, turn = body(seed), np.radians(angle)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[:3, :3] = (
        np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]) @ affine[:3, :3]
    )
    affine[:3, 3] = [-30, 12, 5]
    scan, mask = nifti(truth.astype(np.float32), affine, codes, packed=True), nifti(truth * 7, affine, others)
    field, arrays, problems = life(files(mask), files(scan))
    assert not problems and not arrays.problems and field.classes == ["0", "7", "14"]
    (frame,) = VOLUME.frames(files(scan))
    suffix, content = field.written(field.truth(arrays)[0], frame)
    written, original = loaded(content), nibabel.Nifti1Image.from_bytes(gzip.decompress(scan))
    assert suffix == ".nii.gz" and written.get_data_dtype() == np.uint8
    assert np.allclose(written.affine, original.affine, atol=1e-4)
    # Near half a turn the quaternion's first number is the root of a small difference of float32.
    assert np.allclose(written.get_qform(), original.affine, atol=1e-2)
    assert np.array_equal(np.asarray(written.dataobj), np.asarray(original.dataobj) * 7)


def test_turning_back_undoes_turning():
    for codes in ORIENTATIONS:
        layout = header(BytesIO(nifti(body(), codes=codes))).layout
        stored = np.arange(2 * 990).reshape(2, *(np.array(layout.extent)[np.argsort(layout.order)]))
        assert np.array_equal(turned_back(turned(stored, layout), layout), stored)


def ball(side, radius=0.3, middle=0.5):
    places = (np.indices((side,) * 3) + 0.5) / side - middle
    return ((places**2).sum(0) < radius**2).astype(np.int16)


def test_a_large_mask_is_shrunk_without_values_that_were_not_there_and_grown_again():
    large, affine = ball(96) * 5, np.eye(4)
    scans = files(nifti(large.astype(np.float32), affine))
    field, arrays, _ = life(files(nifti(large, affine)), scans)
    assert arrays.values.shape == (1, 48, 48, 48) and set(np.unique(arrays.values)) == {0, 5}
    _, content = field.written(field.truth(arrays)[0], VOLUME.frames(scans)[0])
    grown = np.asarray(loaded(content).dataobj)
    assert grown.shape == large.shape
    assert 2 * ((grown == 5) & (large == 5)).sum() / ((grown == 5).sum() + (large == 5).sum()) > 0.98
    assert isinstance(field.draw(field.truth(arrays)[0]), Image)


def test_masks_and_scans_of_several_sizes_stay_aligned_and_beyond_a_mask_nothing_is_known():
    small, wide = ball(20), ball(32, radius=0.3 * 20 / 32)
    column = files(nifti(small), nifti(wide), name="mask")
    scans = files(nifti(small.astype(np.float32)), nifti(wide.astype(np.float32)))
    field, arrays, problems = life(column, scans)
    seen = VOLUME.read(scans, VOLUME.survey(scans, VolumeSettings())).values[:, 0]
    truth = field.truth(arrays)
    assert not problems and np.array_equal(truth[1], seen[1])
    outside = arrays.values[0] == OUTSIDE
    assert outside.any() and (truth[0][outside] == NO_CLASS).all()
    assert np.array_equal(truth[0][~outside], seen[0][~outside])
    assert sum(field.answer.counts) == (truth != NO_CLASS).sum()


def test_a_mask_over_the_same_space_may_have_larger_voxels_and_one_elsewhere_is_refused_with_the_reason():
    fine, coarse = ball(20), ball(10)
    half_a_voxel = np.diag([4.0, 4.0, 4.0, 1.0])
    half_a_voxel[:3, 3] = 1.0
    shifted = np.diag([2.0, 2.0, 2.0, 1.0])
    shifted[:3, 3] = 6.0
    masks = files(nifti(fine), nifti(coarse, half_a_voxel), nifti(fine, shifted), nifti(fine[:15]), name="mask")
    field, arrays, problems = life(masks, files(*[nifti(fine.astype(np.float32))] * 4))
    assert [each.row for each in problems] == [2, 3]
    assert "mask2.nii lies elsewhere than scan2.nii" in problems[0].reason
    assert "5 to 45" in problems[0].reason and "-1 to 39" in problems[0].reason and "affine" in problems[0].reason
    assert (field.truth(arrays)[1] == fine.transpose(2, 1, 0)).mean() > 0.95


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (nifti(body().astype(np.float32) + 0.5), r"voxels such as \d?\.5, and classes are whole numbers"),
        (nifti(np.full((9, 9, 9), np.nan, np.float32)), "whole numbers"),
        (nifti(np.full((9, 9, 9), np.inf, np.float32)), "whole numbers"),
        (nifti(body(extent=(9, 9, 9, 4))), "has 4 numbers in a voxel, and a mask has one"),
        (nifti(body().astype(np.float64) * 1e12), "32 bits"),
        (b"no scan", "is no NIfTI file"),
    ],
    ids=["fractions", "nothing", "infinite", "four axes", "too large", "no scan"],
)
def test_what_holds_no_classes_is_named_with_the_reason(content, expected):
    good = nifti(body())
    masks = files(good, content, name="mask")
    _, arrays, _ = life(masks, files(good, good))
    assert arrays.present.tolist() == [True, False]
    (problem,) = arrays.problems
    with pytest.raises(AssertionError, match=expected):
        raise AssertionError(problem.reason)
    assert problem.row == 1 and problem.reason.startswith("mask1.nii")


def test_a_mask_is_bounded_as_its_scan_is():
    good = nifti(body())
    masks = files(good, nifti(np.zeros((40, 40, 40), np.uint8)), name="mask")
    _, arrays, _ = life(masks, files(good, good), maximum_voxels=1_000)
    assert "64,000 voxels, more than the 1,000 of maximum_voxels" in arrays.problems[0].reason


def test_few_whole_values_are_a_mask_where_an_answer_is_looked_for_and_others_a_volume():
    classes, map_of = files(*[nifti(body(row)) for row in range(4)]), files(nifti(body() / np.float32(7)))
    many = files(nifti(np.arange(990, dtype=np.int16).reshape(11, 9, 10)))
    assert MASK.sniff(classes, target=True) > VOLUME.sniff(classes, target=True) > 0.9
    assert MASK.sniff(map_of, target=True) == MASK.sniff(many, target=True) == MASK.sniff(classes) == 0
    assert VOLUME.sniff(map_of, target=True) > kinds["image"].sniff(map_of, target=True)


def test_arrays_are_no_masks_of_scans_in_files():
    column = files(nifti(body()))
    plan = MASK.survey(column, MASK.settings())
    with pytest.raises(ColumnError, match="do not say how large a voxel is"):
        MASK.read(np.zeros((2, 9, 9, 9), np.uint8), plan)


@given(some.sampled_from(ORIENTATIONS), some.booleans())
@settings(max_examples=20, deadline=None)
def test_a_volume_as_an_answer_lies_on_its_scan(codes, several):
    extent = (11, 9, 10, 2) if several else (11, 9, 10)
    values = np.random.default_rng(1).normal(3, 2, extent).astype(np.float32)
    column = files(nifti(values, codes=codes))
    plan = VOLUME.survey(column, VolumeSettings())
    arrays = VOLUME.read(column, plan)
    field = VOLUME.fit("map", [arrays], plan, VolumeSettings(), target=True)
    decoded = field.decode(field.prepare(arrays)["target"].numpy())
    _, content = field.written(decoded[0], VOLUME.frames(column)[0])
    written, original = loaded(content), nibabel.Nifti1Image.from_bytes(column.files[0].content)
    assert written.get_data_dtype() == np.float32 and np.allclose(written.affine, original.affine, atol=1e-4)
    assert np.allclose(np.asarray(written.dataobj), np.asarray(original.dataobj), atol=1e-4)
    _, alone = field.written(decoded[0], None)
    assert nibabel.aff2axcodes(loaded(alone).affine) == ("R", "A", "S")


def test_a_smooth_answer_is_smooth_on_a_finer_scan():
    coarse = np.add.outer(np.add.outer(np.arange(12.0), np.arange(12.0)), np.arange(12.0)).astype(np.float32)
    column = files(nifti(coarse, np.diag([4.0, 4.0, 4.0, 1.0])))
    plan = VOLUME.survey(column, VolumeSettings())
    arrays = VOLUME.read(column, plan)
    field = VOLUME.fit("map", [arrays], plan, VolumeSettings(), target=True)
    finer = nifti(np.zeros((24, 24, 24), np.float32))
    _, content = field.written(field.truth(arrays)[0], VOLUME.frames(files(finer))[0])
    steps = np.diff(np.asarray(loaded(content).dataobj)[2:-2, 12, 12])
    assert np.allclose(steps, 0.5, atol=1e-3)


def test_a_grid_that_is_nobody_s_scan_has_its_middle_at_the_origin():
    layout = upright(1, (3, 4, 5), (3.0, 2.0, 1.0))
    assert np.allclose(layout.corners.mean(0), 0) and np.allclose(np.ptp(layout.corners, axis=0), (5, 8, 9))
