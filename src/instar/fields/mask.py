"""Masks: a class at each cell of a picture or a scan, in files of their own, or at each cell of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
from PIL import Image as Pillow

from instar.cells import at_extent
from instar.errors import ColumnError, SourceError
from instar.fields import _scans
from instar.fields._files import Unreadable, on_each, problems_of, spread
from instar.fields._labeling import BYTES, COLORS, NUMBERS, PALETTE, VOXELS, palette_of, plan_palette, probe, read_mask
from instar.fields._masks import Coded, MaskField, MaskInput, checked_extent
from instar.fields._painting import file_frames
from instar.fields._pictures import PictureError
from instar.fields._pixels import fitting_extent
from instar.fields._scan import ScanError
from instar.fields._state import expect, whole, word
from instar.fields._voxels import OUTSIDE
from instar.fields.base import Arrays, Field, Frame, Kind, Problem, kinds, no_values
from instar.fields.digest import MISSING, digest, digest_bytes
from instar.fields.image import ImageSettings
from instar.fields.volume import VolumeSettings
from instar.settings import Settings
from instar.shapes import MOST_MASK_CLASSES
from instar.sources import Column, FileColumn, FileReference

# Files with no more different values than these are masks where an answer is looked for; else they are pictures.
FEW_VALUES = 32
# Gray files whose values are all below this are nearly black, and rather classes than shades.
DARKEST = 16
# So many classes become channels of their own where a mask is an input.
MOST_INPUT_CLASSES = 64
# Scans whose voxels are all looked at for what they are.
PROBED_SCANS = 4


class MaskKind(Kind):
    name = "mask"
    meaning = "a class at each cell of a picture or a scan, in PNG or NIfTI files, or as arrays of whole numbers"
    settings = ImageSettings
    can_be_target = True
    reads_files = True
    modality = "image"

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """Pictures of few values are masks where an answer is looked for, and else pictures, unless nearly black."""
        if isinstance(sample, pl.Series):
            return 0.0
        if isinstance(sample, np.ndarray):
            few = target and 3 <= sample.ndim <= 4 and sample.dtype.kind in "bui" and sample.shape[-1] > 4
            return 0.96 if few and len(np.unique(sample[:64])) <= FEW_VALUES else 0.0
        if _holds_scans(sample):
            return 0.97 if target and _are_classes(sample) else 0.0
        probes = probe(sample, ImageSettings().maximum_pixels)
        files = sum(file is not None for file in sample.files)
        if not probes or 2 * len(probes) < min(files, 2):
            return 0.0
        values = np.unique(np.concatenate([each for _, _, each, _ in probes]))
        forms = {form for _, form, _, _ in probes}
        if target:
            return 0.96 if len(values) <= FEW_VALUES and len(forms) == 1 else 0.0
        dark = forms == {BYTES} and 2 <= len(values) <= DARKEST and values.max() < DARKEST
        return 0.96 if dark else 0.0

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        files: list[FileReference | None] = []
        for row in range(rows):
            values = np.repeat(np.repeat(generator.integers(0, 3, (3, 4), dtype=np.uint8), 4, 0), 4, 1)
            stream = BytesIO()
            Pillow.fromarray(values).save(stream, "PNG")
            files.append(None if row % 19 == 7 else FileReference(f"{row}.png", content=stream.getvalue()))
        return FileColumn(files)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, ImageSettings)
        _refuse(sample)
        common = {"maximum_pixels": settings.maximum_pixels, "palette": None}
        if isinstance(sample, np.ndarray):
            extent = list(sample.shape[1:])
            if len(extent) == 2:
                extent = list(fitting_extent([(extent[1], extent[0])], settings.image_size))
            return {"extent": extent, "form": NUMBERS, **common}
        assert isinstance(sample, FileColumn)
        if _holds_scans(sample):
            return {**_scans.surveyed(sample, None, (), VolumeSettings().maximum_voxels), "form": VOXELS, **common}
        probes = probe(sample, settings.maximum_pixels)
        forms = {form for _, form, _, _ in probes}
        if not forms:
            raise ColumnError("None of the masks can be read", remedy="Check that they are PNG files and not damaged")
        joint = BYTES if forms <= {BYTES, PALETTE} else NUMBERS if forms <= {BYTES, NUMBERS} else COLORS
        form = forms.pop() if len(forms) == 1 else joint
        extent = list(fitting_extent([size for size, *_ in probes], settings.image_size))
        return {"extent": extent, "form": form, **common, "palette": palette_of(probes)}

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        return math.prod(plan["extent"]) * _type(plan["form"]).itemsize

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint8, or int32 where they are colors or any numbers, (n, *extent), 0 where absent."""
        _refuse(column)
        extent, form = tuple(plan["extent"]), plan["form"]
        values = np.zeros((len(column), *extent), _type(form))
        if form == VOXELS:
            results, digests = _scans.classes(column, plan)
            for row, each in enumerate(results):
                if isinstance(each, np.ndarray):
                    values[row] = each
            return _as_arrays(values, results, digests)
        if isinstance(column, np.ndarray):
            if column.ndim != 1 + len(extent):
                raise ColumnError(
                    f"Masks have {column.ndim - 1} axes where {len(extent)} are expected",
                    remedy="Give masks like those that were learned from",
                )
            _refuse_wide(column)
            for row, mask in enumerate(column):
                values[row] = at_extent(mask, extent)
            return Arrays(values, np.ones(len(column), bool), digest(column))
        assert isinstance(column, FileColumn)
        digests = np.full(len(column), MISSING, np.uint64)

        def read(row: int, file: FileReference) -> bool:
            content = file.read()
            digests[row] = digest_bytes(content)
            values[row] = read_mask(content, form, extent[0], extent[1], plan["maximum_pixels"])
            return True

        return _as_arrays(values, on_each(column.files, read, PictureError, "mask"), digests)

    def within(self, plan: Mapping[str, Any], inputs: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
        if plan["form"] == VOXELS:
            return _scans.within(plan, inputs)
        name = _scans.led_by(inputs, measured=False) if len(plan["extent"]) == 3 else None
        return {**plan, "extent": plan["extent"] if name is None else inputs[name][1]["extent"]}

    def misplaced(self, column: Column, plan: Mapping[str, Any], beside: Mapping[str, Column]) -> list[Problem]:
        return _scans.misplaced(column, plan, beside)

    def frames(self, column: Column) -> Sequence[Frame | None]:
        if isinstance(column, np.ndarray):
            return [Frame(column.shape[1:])] * len(column)
        if isinstance(column, FileColumn):
            return _scans.frames(column) if _holds_scans(column) else file_frames(column)
        return super().frames(column)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, ImageSettings)
        counts: dict[int, int] = {}
        rows = 0
        for chunk in chunks:
            rows += int(chunk.present.sum())
            found, cells = np.unique(chunk.values[chunk.present], return_counts=True)
            for value, count in zip(found.tolist(), cells.tolist(), strict=True):
                counts[value] = counts.get(value, 0) + count
            if plan["form"] == VOXELS:
                counts.pop(OUTSIDE, None)
            _refuse_many(name, len(counts), MOST_MASK_CLASSES if target else MOST_INPUT_CLASSES)
        ignored = settings.mask_ignore if target else None
        counts.pop(ignored, None)  # type: ignore[arg-type]
        if not rows or not counts:
            raise no_values(name)
        values = np.array(sorted(counts), np.int32)
        spacing = _scans.sight_of(plan)[1] if plan["form"] == VOXELS else None
        coded = Coded(values, tuple(plan["extent"]), plan["form"], plan["palette"], spacing)
        if not target:
            return MaskInput(name, coded)
        return MaskField(name, coded, [counts[value] for value in values.tolist()], ignored)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        is_target = word(content, "role", "input", "target") == "target"
        return (MaskField if is_target else MaskInput).from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, MaskField | MaskInput)
        coded = field.coded
        expect(checked_extent(plan) == coded.extent and plan["form"] == coded.form, "extent")
        expect(plan_palette(plan) == coded.palette, "palette")
        expect(plan["form"] in (NUMBERS, VOXELS) or len(coded.extent) == 2, "axes")
        whole(plan, "maximum_pixels", 1, 1 << 40)
        if plan["form"] == VOXELS:
            expect(_scans.sight_of(plan) == (coded.extent, coded.spacing) and plan["measured"] is True, "spacing")
            whole(plan, "maximum_voxels", 1, 1 << 32)


def _holds_scans(column: FileColumn) -> bool:
    files = spread(column, PROBED_SCANS)
    return bool(files) and 2 * sum(map(_scans.looks_like_scan, files)) > len(files)


def _are_classes(column: FileColumn) -> bool:
    """Whether the voxels of some scans, as far as they can be read, have few values, all of them whole."""
    values: set[float] = set()
    for file in spread(column, PROBED_SCANS):
        try:
            values |= set(_scans.values_in(file, VolumeSettings().maximum_voxels).tolist())
        except (ScanError, SourceError):
            continue
    return 0 < len(values) <= FEW_VALUES and all(value == int(value) for value in values if math.isfinite(value))


def _refuse(column: Column) -> None:
    """Raises ColumnError for what holds no masks."""
    wrong = isinstance(column, pl.Series) or (
        isinstance(column, np.ndarray) and (column.dtype.kind not in "bui" or not 2 <= column.ndim <= 4)
    )
    if wrong:
        raise ColumnError(
            "Only files, or arrays of whole numbers of 1 to 3 axes a row, can be read as masks",
            remedy="Give a file for each row, such as a PNG whose gray values are classes, or NIfTI beside scans",
        )


def _refuse_wide(column: np.ndarray) -> None:
    limits = np.iinfo(np.int32)
    if column.size and not limits.min <= int(column.min()) <= int(column.max()) <= limits.max:
        raise ColumnError(
            "The masks have whole numbers beyond what 32 bits hold",
            remedy="Number the classes from 0 on",
        )


def _refuse_many(name: str, classes: int, most: int) -> None:
    if classes > most:
        raise ColumnError(
            f"The masks of {name!r} have {classes:,} different values, more than the {most} classes that there can be",
            remedy=f"If they are pictures, say so with --kind {name}=image; masks must be saved without losses (PNG)",
        )


def _as_arrays(values: np.ndarray, results: Sequence[Any], digests: np.ndarray) -> Arrays:
    """``results``: of each row what was read, None or why it cannot be."""
    present = np.array([not (each is None or isinstance(each, Unreadable)) for each in results], bool)
    return Arrays(values, present, digests, problems=problems_of(results))


def _type(form: str) -> np.dtype[Any]:
    return np.dtype(np.uint8 if form in (BYTES, PALETTE) else np.int32)


kinds.register(MaskKind.name)(MaskKind())
