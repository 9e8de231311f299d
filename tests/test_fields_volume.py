"""Volumes: read one way round at one size, bounded whatever their headers announce, and damaged ones named."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from instar.errors import ColumnError, SettingError
from instar.fields import Arrays, Field, _scans, kinds
from instar.fields._scan import MOST_CHANNELS, plain
from instar.fields._views import middle_slices
from instar.fields._volumes import FARTHEST, VolumeField
from instar.fields._voxels import LONGEST_SIDE, fitting
from instar.fields.digest import MISSING, digest
from instar.fields.volume import VolumeSettings
from instar.shapes import Image, Text
from instar.sources import Column, FileColumn, FileReference

VOLUME = kinds["volume"]


def nifti(voxels: np.ndarray, affine: np.ndarray | None = None, **fields: object) -> bytes:
    """A .nii file of voxels along (left to right, back to front, feet to head) and further axes.

    ``fields`` are written into the header as they are.
    """
    stream = BytesIO()
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    image.to_stream(stream)
    content = bytearray(stream.getvalue())
    for name, value in fields.items():
        dtype, offset = nibabel.Nifti1Header.template_dtype.fields[name]
        base = dtype.base
        encoded = np.broadcast_to(np.asarray(value, base), dtype.shape).astype(base.newbyteorder("<")).tobytes()
        content[offset : offset + len(encoded)] = encoded
    return bytes(content)


def files(*contents: bytes | None) -> FileColumn:
    return FileColumn(
        [None if each is None else FileReference(f"{row}.nii", content=each) for row, each in enumerate(contents)]
    )


def survey(column: Column, **given_settings: object) -> dict:
    return VOLUME.survey(column, VolumeSettings(**given_settings))


def read(column: Column, **given_settings: object) -> Arrays:
    return VOLUME.read(column, survey(column, **given_settings))


def fit(column: Column, **given_settings: object) -> tuple[Field, Arrays]:
    chosen = VolumeSettings(**given_settings)
    plan = VOLUME.survey(column, chosen)
    arrays = VOLUME.read(column, plan)
    field = VOLUME.fit("scan", [arrays], plan, chosen, target=False)
    VOLUME.check(plan, field)
    return field, arrays


def reason(content: bytes, **plan: object) -> str:
    """Why a file cannot be read among others that can."""
    good = nifti(body())
    chosen = {**survey(files(good)), **plan}
    arrays = VOLUME.read(files(good, content), chosen)
    assert arrays.present.tolist() == [True, False] and not arrays.values[1].any()
    assert np.array_equal(arrays.digests, digest(files(good, content)))
    (problem,) = arrays.problems
    assert problem.row == 1 and problem.reason.startswith("1.nii ")
    return problem.reason


def body(extent: tuple[int, int, int] = (12, 10, 9)) -> np.ndarray:
    """int16 (width, height, depth) without any symmetry."""
    return np.random.default_rng(1).integers(-1_000, 1_000, extent).astype(np.int16)


# Orientation and spacing

ORIENTATIONS = [
    a + b + c
    for a in "LRAPIS"
    for b in "LRAPIS"
    for c in "LRAPIS"
    if len({"LR".find(a) >= 0, "LR".find(b) >= 0, "LR".find(c) >= 0}) == 2
    and sum(each in "LR" for each in (a, b, c)) == sum(each in "AP" for each in (a, b, c)) == 1
]


def written_as(voxels: np.ndarray, affine: np.ndarray, codes: str) -> bytes:
    """The same body in space, its axes written in another order and direction."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    return nifti(apply_orientation(voxels, turn), affine @ inv_ornt_aff(turn, voxels.shape))


def test_there_are_forty_eight_orientations():
    assert len(ORIENTATIONS) == 48


@given(some.sampled_from(ORIENTATIONS), some.tuples(*[some.sampled_from([0.5, 1.0, 2.0, 3.3])] * 3))
@settings(max_examples=60, deadline=None)
def test_a_body_reads_equal_in_whatever_orientation_it_is_written(codes, spacing):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-30, 12, 5]
    whole = files(written_as(body(), affine, "RAS"), written_as(body(), affine, codes))
    arrays = read(whole)
    assert not arrays.problems
    assert np.array_equal(arrays.values[0], arrays.values[1])
    plan = survey(whole)
    assert plan["extent"] == [9, 10, 12] and np.allclose(plan["spacing"], spacing[::-1], rtol=1e-5)


def test_axes_are_depth_height_width_from_feet_to_head_back_to_front_left_to_right():
    voxels = np.zeros((12, 10, 9), np.float32)
    voxels[11, 0, 4] = 1.0  # at the right and the back
    (values,) = read(files(nifti(voxels))).values
    assert np.argwhere(values[0]).tolist() == [[4, 0, 11]]


def test_a_body_that_lies_askew_keeps_its_closest_axes():
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2.0, 2.0, 4.0])
    plan = survey(files(nifti(body(), affine)))
    assert plan["extent"] == [9, 10, 12] and np.allclose(plan["spacing"], [4, 2, 2], rtol=1e-5)


def smooth(spacing: tuple[float, float, float], size: float = 60.0) -> bytes:
    """The same smooth body in space, sampled at any spacing (width, height, depth)."""
    counts = [round(size / step) for step in spacing]
    places = np.meshgrid(
        *((np.arange(count) - (count - 1) / 2) * step for count, step in zip(counts, spacing, strict=True)),
        indexing="ij",
    )
    values = np.exp(-((places[0] - 5) ** 2 + (places[1] + 6) ** 2 + 2 * places[2] ** 2) / 300)
    return nifti(values.astype(np.float32), np.diag([*spacing, 1.0]))


def test_scans_of_other_spacings_are_brought_to_one():
    arrays = read(files(smooth((2, 2, 2)), smooth((1, 1, 1)), smooth((2, 2, 2)), smooth((2.5, 2, 4))))
    assert arrays.values.shape == (4, 1, 30, 30, 30)
    assert np.abs(arrays.values[1] - arrays.values[0]).max() < 0.02
    assert np.abs(arrays.values[3] - arrays.values[0]).max() < 0.1
    assert np.array_equal(arrays.values[0], arrays.values[2])


def test_units_of_length_are_heeded():
    microns = nifti(body(), np.diag([2_000.0, 2_000.0, 2_000.0, 1.0]), xyzt_units=3)
    assert np.allclose(survey(files(microns))["spacing"], 2)


def test_large_scans_become_as_small_as_the_size_demands_and_coarse_axes_keep_theirs():
    thick = plain(1, (30, 256, 256))
    thick = replace(thick, spacing=(5.0, 1.0, 1.0))
    extent, spacing = fitting([thick], None, (), measured=True)
    assert extent == (29, LONGEST_SIDE, LONGEST_SIDE) and np.allclose(spacing, 256 / LONGEST_SIDE)
    extent, spacing = fitting([thick], 128, (), measured=True)
    assert extent == (30, 128, 128) and spacing == (5.0, 2.0, 2.0)
    assert fitting([thick], None, (2.0,), measured=True) == ((75, 128, 128), (2.0, 2.0, 2.0))
    assert fitting([thick], 64, (5.0, 2.0, 2.0), measured=True) == ((30, 64, 64), (5.0, 2.0, 2.0))
    thin = replace(thick, extent=(5, 40, 40))
    assert fitting([thin], None, (), measured=True) == ((8, 40, 40), (5.0, 1.0, 1.0))


def test_one_huge_scan_does_not_decide_the_size_and_is_cut_to_its_middle():
    small, huge = plain(1, (20, 20, 20)), plain(1, (200, 20, 20))
    assert fitting([small] * 60 + [huge], None, (), measured=True)[0] == (20, 20, 20)
    voxels = np.zeros((20, 20, 100), np.float32)
    voxels[:, :, 40:60] = 1.0
    content = [nifti(np.ones((20, 20, 20), np.float32))] * 30
    plan = survey(files(*content))
    assert VOLUME.read(files(nifti(voxels)), plan).values.all()


def test_what_lies_outside_of_a_scan_is_what_lies_at_its_surface():
    voxels = np.full((10, 10, 10), -1_000, np.int16)
    voxels[3:7, 3:7, 3:7] = 300
    content = files(nifti(voxels), nifti(np.zeros((16, 16, 16), np.int16)))
    (values, _) = read(content).values
    assert values.shape == (1, 16, 16, 16) and set(np.unique(values)) == {-1_000.0, 300.0}
    assert (values[0, 6:10, 6:10, 6:10] == 300).all() and (values == 300).sum() == 64


@given(
    some.tuples(*[some.integers(1, 20)] * 3),
    some.sampled_from([np.uint8, np.int16, np.int32, np.float32, np.float64, np.uint16]),
    some.booleans(),
    some.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]),
    some.sampled_from("<>"),
)
@settings(max_examples=60, deadline=None)
def test_every_type_size_and_version_reads_as_it_was_written(extent, dtype, packed, version, order):
    voxels = np.random.default_rng(2).integers(0, 200, extent).astype(dtype)
    header = version.header_class(endianness=order)
    image = version(voxels, np.eye(4), header)
    image.set_data_dtype(dtype)
    stream = BytesIO()
    image.to_stream(stream)
    content = gzip.compress(stream.getvalue()) if packed else stream.getvalue()
    arrays = read(files(content), volume_size=20)
    assert not arrays.problems
    values = arrays.values[0, 0]
    margins = [(got - want) // 2 for got, want in zip(values.shape, extent[::-1], strict=True)]
    inner = tuple(slice(margin, margin + want) for margin, want in zip(margins, extent[::-1], strict=True))
    assert np.array_equal(values[inner], voxels.T)


def test_scaled_values_are_what_was_meant():
    arrays = read(files(nifti(body(), scl_slope=0.5, scl_inter=-100.0)))
    assert np.array_equal(arrays.values[0, 0], body().T * np.float32(0.5) - 100)


def test_a_fourth_axis_is_channels_up_to_a_bound():
    voxels = np.random.default_rng(3).normal(size=(9, 9, 9, 4)).astype(np.float32)
    for content in (nifti(voxels), nifti(voxels[:, :, :, None])):
        arrays = read(files(content))
        assert np.array_equal(arrays.values[0], voxels.transpose(3, 2, 1, 0))
    over_time = nifti(np.zeros((9, 9, 9, MOST_CHANNELS + 1), np.int16))
    with pytest.raises(ColumnError, match=r"17 numbers in a voxel .a scan over time.*mean over time"):
        survey(files(over_time))
    assert "has 17 channels where 1 are expected" in reason(over_time)
    assert read(files(nifti(body()[..., None]))).values.shape == (1, 1, 9, 10, 12)


# Bad files

GOOD = nifti(body())
HEADER = 352


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is an empty file"),
        (b"no scan at all" * 100, "is no NIfTI file"),
        (GOOD[:200], "begins like a NIfTI file, but is marked b''"),
        (GOOD[:346], "begins like a NIfTI file, but is marked b'n+'"),
        (GOOD[:349], "a file of 349 bytes cannot hold"),
        (GOOD[:1_000], "announces 2,160 bytes of content, which a file of 1,000 bytes cannot hold"),
        (gzip.compress(GOOD[:1_000]), "ends after 648 of the 2,160 bytes of content that its header announces"),
        (gzip.compress(GOOD)[:-300], "is cut short: its gzip stream has no end"),
        (b"\x1f\x8b" + b"no gzip" * 100, "is a damaged gzip file"),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, "is a damaged gzip file (CRC check failed"),
        (GOOD[:344] + b"ni1\0" + GOOD[348:], "is a header whose voxels lie in another file (.img)"),
        (GOOD[:344] + b"xyz\0" + GOOD[348:], "is marked b'xyz' and not b'n+1'"),
        (nifti(body(), dim=[3, 0, 10, 9, 1, 1, 1, 1]), "has a wrong header: it announces 0 x 10 x 9 voxels"),
        (nifti(body(), dim=[3, 12, -10, 9, 1, 1, 1, 1]), "has a wrong header: it announces 12 x -10 x 9 voxels"),
        (nifti(body(), dim=[9, 12, 10, 9, 1, 1, 1, 1]), "has a wrong header: it announces 9 axes"),
        (nifti(body(), dim=[2, 12, 90, 1, 1, 1, 1, 1]), "has 12 x 90 voxels, and a volume has 3 axes"),
        (nifti(body(), dim=[5, 12, 10, 3, 3, 3, 1, 1]), "has 12 x 10 x 3 x 3 x 3 voxels"),
        (nifti(body(), sform_code=0, pixdim=[1, np.nan, 1, 1, 1, 1, 1, 1]), "has voxels of nan x 1 x 1 mm"),
        (nifti(body(), sform_code=0, pixdim=[1, 1, 0, 1, 1, 1, 1, 1]), "has voxels of 1 x 0 x 1 mm"),
        (nifti(body(), sform_code=0, pixdim=[1, 1, 1, -1, 1, 1, 1, 1]), "has voxels of 1 x 1 x -1 mm"),
        (nifti(body(), srow_x=[np.nan, 0, 0, 0]), "which cannot be: its header is wrong"),
        (nifti(body(), srow_x=[0, 1, 0, 0]), "which cannot be: its header is wrong"),
        (nifti(body(), srow_y=[1, 1e-9, 0, 0]), "which cannot be: its header is wrong"),
        (nifti(body(), datatype=32), "holds voxels of type complex64"),
        (nifti(body(), datatype=128), "holds voxels of type"),
        (nifti(body(), datatype=9_999), "there is no type of voxels 9999"),
        (nifti(body(), vox_offset=-5.0), "its content begins at byte -5"),
        (nifti(body(), vox_offset=np.nan), "its content begins at byte nan"),
        (nifti(body(), vox_offset=1e30), "its content begins at byte 1e+30"),
        (nifti(body(), scl_slope=2.0, scl_inter=np.inf), "has a wrong header"),
        (nifti(body(), scl_slope=1e30), "has voxels that are infinite, or beyond all bounds"),
        (nifti(np.full((9, 9, 9), np.nan, np.float32)), "has no voxel with a number"),
        (b"\0" * 128 + b"DICM" + b"\0" * 600, "is one DICOM file, and a scan is a folder"),
    ],
)
def test_a_damaged_file_is_named_with_the_reason(content, expected):
    assert expected in reason(content)


def test_infinite_voxels_are_refused_and_those_without_a_number_are_outside():
    voxels = np.arange(1_000, dtype=np.float32).reshape(10, 10, 10)
    voxels[0] = -5.0
    voxels[4:6, 4:6, 4:6] = np.nan
    (values,) = read(files(nifti(voxels))).values
    assert np.isfinite(values).all()
    holes = np.isnan(voxels.T)
    assert len(np.unique(values[0][holes])) == 1
    assert np.allclose(values[0][~holes], voxels.T[~holes], atol=1e-3)
    voxels[2, 2, 2] = np.inf
    assert "has voxels that are infinite" in reason(nifti(voxels))


@given(some.binary(max_size=400), some.integers(0, 351))
@settings(max_examples=150, deadline=None)
def test_any_damage_to_a_header_is_a_problem_or_a_volume(noise, place):
    content = GOOD[:place] + noise + GOOD[place + len(noise) :]
    plan = survey(files(GOOD))
    arrays = VOLUME.read(files(GOOD, content), plan)
    assert arrays.present[0] and np.isfinite(arrays.values).all()
    assert len(arrays.problems) == (not arrays.present[1])


def test_a_bomb_is_refused_by_its_header_and_never_unpacked_beyond_what_it_announces():
    huge = nifti(body(), dim=[3, 2_000, 2_000, 2_000, 1, 1, 1, 1])
    zeros = gzip.compress(huge + b"\0" * (16 << 20), 1)
    honest = gzip.compress(GOOD + b"\0" * (16 << 20), 1)
    plan = survey(files(GOOD))
    VOLUME.read(files(GOOD), plan)  # imports take memory too
    tracemalloc.start()
    arrays = VOLUME.read(files(zeros, honest), plan)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert arrays.present.tolist() == [False, True]
    assert "announces 8,000,000,000 voxels, more than the 134,217,728 of maximum_voxels" in arrays.problems[0].reason
    assert "which a file of" in reason(gzip.compress(huge), maximum_voxels=1 << 40)
    assert "more than the 2,000 of maximum_voxels" in reason(nifti(body((13, 13, 13))), maximum_voxels=2_000)


def test_a_survey_goes_on_without_damaged_files_and_needs_one_that_is_sound():
    assert survey(files(b"", None, GOOD)) == survey(files(GOOD))
    with pytest.raises(ColumnError, match=r"None of the scans can be read: 0\.nii is an empty file"):
        survey(files(b"", b"nothing"))


# Arrays


def test_arrays_have_rows_perhaps_channels_and_three_axes():
    volumes = np.random.default_rng(4).normal(size=(5, 9, 10, 11)).astype(np.float32)
    arrays = read(volumes)
    assert np.allclose(arrays.values[:, 0], volumes, atol=1e-5) and arrays.present.all()
    two = np.random.default_rng(4).normal(size=(5, 2, 9, 10, 11))
    assert np.allclose(read(two).values, two, atol=1e-5)
    assert np.allclose(read(np.moveaxis(two, 1, 4)).values, two, atol=1e-5), "channels last"
    assert read(np.zeros((3, 64, 64, 96), np.uint8)).values.shape == (3, 1, 32, 32, 48)
    for wrong in (np.zeros((3, 9, 9)), np.zeros((3, 9, 9, 9, 9, 9)), pl.Series([1.0])):
        with pytest.raises(ColumnError, match="cannot be read as volumes"):
            survey(wrong)


def test_arrays_with_infinite_voxels_are_problems_and_other_channels_an_error():
    volumes = np.zeros((3, 9, 9, 9))
    volumes[1, 4, 4, 4] = np.inf
    arrays = read(volumes)
    assert arrays.present.tolist() == [True, False, True]
    assert arrays.problems[0].reason == "the volume has voxels that are infinite, or beyond all bounds"
    plan = survey(volumes)
    with pytest.raises(ColumnError, match="have 2 channels where 1 are expected"):
        VOLUME.read(np.zeros((3, 2, 9, 9, 9)), plan)
    with pytest.raises(ColumnError, match="These are files, and the model was trained on arrays"):
        VOLUME.read(files(GOOD), plan)
    with pytest.raises(ColumnError, match="do not say how large a voxel is"):
        VOLUME.read(volumes, survey(files(GOOD)))


@pytest.mark.parametrize(
    ("shape", "best"),
    [
        ((4, 16, 16, 16), "volume"),
        ((4, 1, 16, 16, 16), "volume"),
        ((4, 16, 16, 16, 3), "volume"),
        ((4, 28, 28), "image"),
        ((4, 3, 32, 32), "image"),
        ((4, 32, 32, 3), "image"),
        ((4, 2, 100), "series"),
    ],
)
def test_arrays_are_told_from_pictures_and_series(shape, best):
    sure = {name: kind.sniff(np.random.default_rng(0).normal(size=shape)) for name, kind in kinds.items()}
    assert max(sure, key=sure.__getitem__) == best


# What a network sees


def test_values_are_cut_at_percentiles_and_scaled_by_the_training_voxels():
    volumes = np.random.default_rng(5).normal(40, 8, (20, 12, 12, 12))
    volumes[3, 2, 2, 2] = 1e6  # a piece of metal
    field, arrays = fit(volumes)
    grid = field.prepare(arrays)["grid"]
    assert abs(float(grid.mean())) < 0.02 and abs(float(grid.std()) - 1) < 0.02
    assert float(grid.abs().max()) < 3.5
    assert not field.sight.own


def test_a_window_is_all_that_is_seen():
    volumes = np.random.default_rng(5).uniform(-1_000, 3_000, (10, 10, 10, 10))
    field, arrays = fit(volumes, volume_window=(-100, 300))
    grid = field.prepare(arrays)["grid"][:, 0]
    outside = torch.from_numpy((volumes < -100) | (volumes > 300))
    assert len(grid[outside].unique()) == 2 and grid[outside].min() == grid.min()
    for wrong in ((1.0,), (5.0, 2.0), (1.0, 1.0), (1.0, 2.0, 3.0)):
        with pytest.raises(SettingError, match="volume_window"):
            survey(volumes, volume_window=wrong)
    with pytest.raises(SettingError, match="volume_spacing"):
        survey(volumes, volume_spacing=(1.0, 2.0))


def test_volumes_in_units_of_their_own_are_each_scaled_by_themselves():
    generator = np.random.default_rng(6)
    volumes = generator.normal(0, 1, (30, 10, 10, 10)) * np.geomspace(1, 100, 30)[:, None, None, None] + 7
    field, arrays = fit(volumes)
    assert field.sight.own and "own mean" in field.describe()
    grid = field.prepare(arrays)["grid"]
    assert np.allclose(grid.std(dim=(1, 2, 3, 4)), 1, atol=0.05)
    again, arrays = fit(volumes, volume_scale="all")
    assert float(again.prepare(arrays)["grid"][0].std()) < 0.2
    empty, arrays = fit(np.concatenate([volumes, np.full((1, 10, 10, 10), 7.0)]), volume_scale="own")
    assert not empty.prepare(arrays)["grid"][-1].any()
    assert float(empty.prepare(arrays)["grid"].abs().max()) <= FARTHEST


def test_volumes_that_hardly_vary_are_prepared_as_numbers():
    field, arrays = fit(np.full((4, 9, 9, 9), 3.0))
    assert not field.prepare(arrays)["grid"].any()
    rare = np.zeros((4, 20, 20, 20))
    rare[0, 3, 3, 3] = 1.0
    assert torch.isfinite(fit(rare)[0].prepare(fit(rare)[1])["grid"]).all()


def moved(field: Field, arrays: Arrays, seed: int = 0) -> torch.Tensor:
    return field.augment(field.prepare(arrays), torch.Generator().manual_seed(seed))["grid"]


STILL = {"volume_shift": 0.0, "volume_gain": 0.0, "volume_offset": 0.0}


def test_a_volume_is_seen_in_patches_where_somebody_says_so_or_its_voxels_are_answered():
    volumes = np.random.default_rng(5).normal(size=(4, 12, 60, 4))
    field, arrays = fit(volumes, volume_size=60, volume_patch=10)
    assert field.shape.extent == (12, 60, 8) and field.shape.patch == (10, 10, 8)
    assert "patches of 10 x 10 x 8" in field.describe() and field.leading() is field
    assert field.prepare(arrays)["grid"].shape == (4, 1, 12, 60, 8)
    whole, _ = fit(volumes, volume_size=60)
    assert whole.shape.patch == () and whole.leading().shape.patch == (12, LONGEST_SIDE, 8)
    assert fit(volumes[:, :, :40], volume_size=60)[0].leading().shape.patch == ()
    for each in (field, whole, whole.leading()):
        assert VolumeField.from_state(each.name, *each.state()).shape == each.shape
    patch = {"grid": torch.arange(1000.0).view(1, 1, 10, 10, 10), "present": torch.ones(1, dtype=torch.bool)}
    still, _ = fit(volumes, volume_size=60, volume_patch=10, volume_shift=0.5, volume_gain=0.0, volume_offset=0.0)
    assert torch.equal(still.augment(patch, torch.Generator().manual_seed(0))["grid"], patch["grid"])


def test_who_reads_large_scans_coarsely_is_told_so_unless_they_asked_for_it():
    large = files(nifti(body((60, 20, 20))))
    (field, _), (asked, _) = fit(large), fit(large, volume_size=LONGEST_SIDE)
    assert f"{LONGEST_SIDE} voxels along its longest side, of 60" in field.advice and "volume_size=60" in field.advice
    assert field.leading().advice == field.advice
    assert asked.advice == fit(large, volume_size=60)[0].advice == fit(files(nifti(body())))[0].advice == ""


def test_nobody_is_advised_to_read_scans_larger_than_they_can_be_read(monkeypatch):
    field, _ = fit(files(nifti(body((600, 10, 10)))))
    assert "of 600 that" in field.advice and field.advice.endswith("volume_size=512")
    large = files(nifti(body((100, 20, 20))))
    monkeypatch.setattr(_scans, "LARGEST_GRID", 11_000)
    advised = int(fit(large)[0].advice.rsplit("=", 1)[1])
    assert max(survey(large, volume_size=advised)["extent"]) == advised > LONGEST_SIDE
    with pytest.raises(ColumnError, match="too large"):
        survey(large, volume_size=advised + 1)


def test_nothing_is_mirrored_unless_asked():
    volumes = np.random.default_rng(7).normal(size=(16, 9, 9, 9))
    field, arrays = fit(volumes, **STILL)
    grid = field.prepare(arrays)["grid"]
    assert torch.equal(moved(field, arrays), grid)
    sides, _ = fit(volumes, volume_flip="sides", **STILL)
    mirrored = [bool(torch.equal(one, other.flip(3))) for one, other in zip(moved(sides, arrays), grid, strict=True)]
    same = [bool(torch.equal(one, other)) for one, other in zip(moved(sides, arrays), grid, strict=True)]
    assert any(mirrored) and any(same) and all(a != b for a, b in zip(mirrored, same, strict=True))
    every, _ = fit(np.repeat(volumes[:1], 60, axis=0), volume_flip="all", **STILL)
    one = every.prepare(arrays.rows(np.zeros(60, np.int64)))
    varied = every.augment(one, torch.Generator().manual_seed(0))["grid"]
    assert len(varied.unique(dim=0)) == 8


def test_shifts_and_contrasts_stay_within_what_was_asked():
    volumes = np.random.default_rng(8).normal(size=(30, 10, 10, 10))
    field, arrays = fit(volumes, volume_shift=0.1, volume_gain=0.0, volume_offset=0.0)
    grid, shifted = field.prepare(arrays)["grid"], moved(field, arrays)
    assert not torch.equal(grid, shifted)
    inner = grid[:, 0, 4, 4, 4]
    for row, value in enumerate(inner):
        place = np.argwhere(np.isclose(shifted[row, 0], value))
        assert len(place) and np.abs(place - 4).max() <= 1
    field, arrays = fit(volumes, volume_shift=0.0, volume_gain=0.2, volume_offset=0.3)
    grid, varied = field.prepare(arrays)["grid"].flatten(1), moved(field, arrays).flatten(1)
    gains = varied.std(1) / grid.std(1)
    assert 0.8 <= gains.min() < 0.95 and 1.05 < gains.max() <= 1.2
    offsets = (varied - gains[:, None] * grid).mean(1)
    assert offsets.abs().max() <= 0.3 + 1e-5 and offsets.std() > 0.1
    still, _ = fit(volumes, volume_augmentation=False)
    assert torch.equal(moved(still, arrays), still.prepare(arrays)["grid"])


def test_absent_volumes_stay_empty_when_varied():
    field, arrays = fit(files(*([GOOD] * 5), None), volume_noise=0.5)
    assert arrays.digests[5] == MISSING
    assert not moved(field, arrays)[5].any()


def test_the_middle_slices_are_shown_upright_and_in_true_proportions():
    voxels = np.zeros((40, 40, 10), np.float32)
    voxels[:, 30:, :] = 1.0  # the front
    voxels[:, :10, 8:] = 0.5  # the back of the head
    field, arrays = fit(files(nifti(voxels, np.diag([1.0, 1.0, 4.0, 1.0]))))
    view = field.show(arrays, 0)
    assert isinstance(view, Image) and view.text.startswith("10 x 40 x 40 voxels of 1 to 4 mm")
    picture = middle_slices(arrays.values[0, 0], (4.0, 1.0, 1.0))[..., 0]
    assert picture.shape == (260, 260) and not picture[128:132].any() and not picture[132:, 128:].any()
    front, side, above = picture[:128, :128], picture[:128, 132:], picture[132:, :128]
    assert above[:20].min() > 200 and above[-20:].max() < 50, "the front is at the top"
    assert not front.any(), "the middle plane from front to back is empty"
    assert side[:, -20:].min() > 200, "the front is at the right, seen from the right side of the body"
    assert 100 < side[5, 5] < 150 and side[-5, 5] == 0, "the head is at the top"
    assert field.show(read(files(None, GOOD)), 0) == Text("missing")


def test_a_hostile_plan_is_refused():
    field, _ = fit(files(GOOD))
    plan = survey(files(GOOD))
    VOLUME.check(plan, field)
    for wrong in (
        {"extent": [9, 10, 1 << 40]},
        {"extent": [9, 10, 13]},
        {"extent": "abc"},
        {"spacing": [0.0, 1.0, 1.0]},
        {"spacing": [float("nan"), 1.0, 1.0]},
        {"channels": 2},
        {"measured": 1},
        {"maximum_voxels": 1 << 60},
    ):
        with pytest.raises((ValueError, KeyError, TypeError)):
            VOLUME.check({**plan, **wrong}, field)


def test_nothing_but_the_header_is_needed_to_plan(tmp_path: Path):
    path = tmp_path / "large.nii"
    header = nifti(body(), dim=[3, 400, 400, 300, 1, 1, 1, 1])[:HEADER]
    path.write_bytes(header)
    with path.open("r+b") as stream:
        stream.truncate(HEADER + 2 * 400 * 400 * 300)  # a hole, which takes no space
    plan = survey(FileColumn([FileReference("large.nii", path=path)]))
    assert plan["extent"] == [36, 48, 48]
    assert struct.unpack("<h", header[42:44]) == (400,)


def test_flat_arrays_fill_their_grid_from_edge_to_edge():
    """So that an answer for each voxel is made of what the voxel's own place shows."""
    flat = np.broadcast_to(np.arange(1, 5, dtype=np.float32)[None, :, None, None], (3, 4, 16, 16)).copy()
    kind = kinds["volume"]
    plan = kind.survey(flat, kind.settings())
    values = kind.read(flat, plan).values[0, 0]
    assert values.shape == (8, 16, 16)
    depths = values.mean(axis=(1, 2), dtype=np.float64)
    assert (
        (np.diff(depths) >= 0).all()
        and depths[0] == pytest.approx(1, abs=0.2)
        and depths[-1] == pytest.approx(4, abs=0.2)
    )
