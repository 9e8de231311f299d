"""Masks: a class at each cell of a picture, in files of gray, palette or colors, or at each cell of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from PIL import Image as Pillow

from instar.errors import ColumnError
from instar.fields._augmentation import warp
from instar.fields._files import on_each, problems_of
from instar.fields._labeling import (
    BYTES,
    COLORS,
    FORMS,
    NUMBERS,
    PALETTE,
    as_file,
    colors_of,
    enlarged,
    named,
    nearest,
    palette_of,
    plan_palette,
    probe,
    read_mask,
)
from instar.fields._painting import LARGEST_EXTENT, file_extents
from instar.fields._pictures import PictureError
from instar.fields._pixels import as_png, fitting_extent
from instar.fields._state import array, expect, whole, word
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, no_values
from instar.fields.digest import MISSING, digest, digest_bytes
from instar.fields.image import ImageSettings
from instar.settings import Settings
from instar.shapes import MOST_MASK_CLASSES, NO_CLASS, STRANGE_CLASS, Curves, Grid, Image, Mask, Text, View
from instar.sources import Column, FileColumn, FileReference

if TYPE_CHECKING:
    import torch

# Files with no more different values than these are masks where an answer is looked for; else they are pictures.
FEW_VALUES = 32
# Gray files whose values are all below this are nearly black, and rather classes than shades.
DARKEST = 16
# So many classes become channels of their own where a mask is an input.
MOST_INPUT_CLASSES = 64
LARGEST_VALUE = 2**31 - 1
# Numbers in a mask of any axes at most.
LARGEST_MASK = 2**28


class _Coded:
    """What masks share as inputs and as targets: the ``values`` (k,) int32 of classes, ascending, and their codes."""

    def __init__(self, values: np.ndarray, extent: tuple[int, ...], form: str, palette: list[int] | None) -> None:
        self.values, self.extent, self.form, self.palette = values, extent, form, palette
        self.colors = colors_of(values, form, palette)

    def codes(self, content: np.ndarray, ignored: int | None) -> np.ndarray:
        """uint8 of the same shape: a code, `STRANGE_CLASS` for other values, `NO_CLASS` for the one that is ignored."""
        places = np.searchsorted(self.values, content)
        codes = np.minimum(places, len(self.values) - 1).astype(np.uint8)
        codes[self.values[codes] != content] = STRANGE_CLASS
        if ignored is not None:
            codes[content == ignored] = NO_CLASS
        return codes

    def draw(self, codes: np.ndarray) -> View:
        if codes.ndim == 1:
            return Curves((tuple(np.where(codes < len(self.values), codes, np.nan).astype(float).tolist()),))
        if codes.ndim == 3:
            codes = codes[len(codes) // 2]
        table = np.full((256, 3), 255, np.uint8)
        table[: len(self.colors)] = self.colors
        return Image(as_png(table[codes]))

    def show(self, arrays: Arrays, row: int) -> View:
        return self.draw(self.codes(arrays.values[row], None)) if arrays.present[row] else Text("missing")

    def describe(self) -> str:
        size = " x ".join(map(str, reversed(self.extent)))
        return f"masks of {size} cells, {len(self.values)} classes"

    def state(self, role: str) -> State:
        content = {"role": role, "extent": list(self.extent), "form": self.form, "palette": self.palette}
        return content, {"values": self.values}

    @classmethod
    def from_state(cls, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Coded:
        values = array(arrays, "values", np.int32, None)
        expect(1 <= len(values) <= MOST_MASK_CLASSES and bool((np.diff(values) > 0).all()), "values")
        return cls(values, _extent(content), word(content, "form", *FORMS), plan_palette(content))


class MaskField(Field):
    """A mask as a target: codes of the values that training rows have. ``ignored``: a value that says nothing."""

    kind = "mask"
    shape = None

    def __init__(self, name: str, coded: _Coded, counts: Sequence[int], ignored: int | None) -> None:
        self.name, self.coded, self.ignored = name, coded, ignored
        self.classes = named(coded.values, coded.form)
        self.answer: Mask = Mask(tuple(counts), coded.extent)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        codes = self.truth(arrays)
        codes[codes == STRANGE_CLASS] = NO_CLASS
        return {"target": torch.from_numpy(codes)}

    def moved(self, prepared: Prepared, motion: Any) -> Prepared:
        import torch

        if isinstance(motion, list):
            return {"target": _picked(prepared["target"], motion)}
        cells = prepared["target"][:, None].float()
        return {"target": warp(cells, motion, mode="nearest")[:, 0].to(torch.uint8)}

    def truth(self, arrays: Arrays) -> np.ndarray:
        codes = self.coded.codes(np.asarray(arrays.values), self.ignored)
        codes[~arrays.present] = NO_CLASS
        return codes

    def decode(self, answers: np.ndarray) -> np.ndarray:
        return answers

    def draw(self, answer: np.ndarray) -> View:
        return self.coded.draw(answer)

    def written(self, answer: np.ndarray, extent: tuple[int, ...] | None) -> tuple[str, bytes]:
        coded = self.coded
        codes = enlarged(answer, len(coded.values), extent or coded.extent)
        return as_file(coded.values[codes], coded.form, coded.palette)

    def recounted(self, chunks: Iterable[Arrays]) -> Field:
        counts = np.zeros(256, np.int64)
        for chunk in chunks:
            counts += np.bincount(self.truth(chunk).reshape(-1), minlength=256)
        return MaskField(self.name, self.coded, counts[: len(self.coded.values)].tolist(), self.ignored)

    def show(self, arrays: Arrays, row: int) -> View:
        return self.coded.show(arrays, row)

    def describe(self) -> str:
        return self.coded.describe()

    def state(self) -> State:
        content, arrays = self.coded.state("target")
        return {**content, "ignored": self.ignored}, {**arrays, "counts": np.array(self.answer.counts, np.int64)}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> MaskField:
        coded = _Coded.from_state(content, arrays)
        counts = array(arrays, "counts", np.int64, len(coded.values))
        expect(bool((counts >= 0).all()), "counts")
        ignored = None if content["ignored"] is None else whole(content, "ignored", 0, LARGEST_VALUE)
        return cls(name, coded, counts.tolist(), ignored)


def _picked(codes: torch.Tensor, places: list[torch.Tensor]) -> torch.Tensor:
    """Codes (B, *extent), of each example those at its ``places`` (B, size) along each axis of what it belongs to."""
    import torch

    for axis, chosen in enumerate(places, start=1):
        size, own = chosen.shape[1], codes.shape[axis]
        of_mine = ((torch.arange(own) + 0.5) * size / own).long()
        mine = ((chosen[:, of_mine] + 0.5) * own / size).long()
        shape = [len(codes), *(own if each == axis else 1 for each in range(1, codes.dim()))]
        codes = codes.gather(axis, mine.view(shape).expand(codes.shape))
    return codes


class MaskInput(Field):
    """A mask as an input: one channel for each class, 1 where it is."""

    kind = "mask"
    answer = None

    def __init__(self, name: str, coded: _Coded) -> None:
        self.name, self.coded = name, coded
        self.shape: Grid = Grid(len(coded.values), coded.extent)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        codes = torch.from_numpy(self.coded.codes(np.asarray(arrays.values), None))
        present = torch.from_numpy(np.array(arrays.present))
        classes = torch.arange(self.shape.channels).view(-1, *(1,) * len(self.coded.extent))
        grid = (codes[:, None] == classes).float()
        grid[~present] = 0.0
        return {"grid": grid, "present": present}

    def show(self, arrays: Arrays, row: int) -> View:
        return self.coded.show(arrays, row)

    def describe(self) -> str:
        return self.coded.describe()

    def state(self) -> State:
        return self.coded.state("input")

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> MaskInput:
        return cls(name, _Coded.from_state(content, arrays))


class MaskKind(Kind):
    name = "mask"
    meaning = "a class at each cell of a picture, in files of gray, palette or colors, or as arrays of whole numbers"
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
        if isinstance(column, np.ndarray):
            if column.ndim != 1 + len(extent):
                raise ColumnError(
                    f"Masks have {column.ndim - 1} axes where {len(extent)} are expected",
                    remedy="Give masks like those that were learned from",
                )
            _refuse_wide(column)
            for row, mask in enumerate(column):
                values[row] = nearest(mask, extent)
            return Arrays(values, np.ones(len(column), bool), digest(column))
        assert isinstance(column, FileColumn)
        digests = np.full(len(column), MISSING, np.uint64)

        def read(row: int, file: FileReference) -> None:
            content = file.read()
            digests[row] = digest_bytes(content)
            values[row] = read_mask(content, form, extent[0], extent[1], plan["maximum_pixels"])

        problems = problems_of(on_each(column.files, read, PictureError, "mask"))
        present = np.array([file is not None for file in column.files], bool)
        present[[problem.row for problem in problems]] = False
        return Arrays(values, present, digests, problems=problems)

    def extents(self, column: Column) -> list[tuple[int, ...] | None]:
        if isinstance(column, np.ndarray):
            return [column.shape[1:]] * len(column)
        return file_extents(column) if isinstance(column, FileColumn) else super().extents(column)

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
            _refuse_many(name, len(counts), MOST_MASK_CLASSES if target else MOST_INPUT_CLASSES)
        ignored = settings.mask_ignore if target else None
        counts.pop(ignored, None)  # type: ignore[arg-type]
        if not rows or not counts:
            raise no_values(name)
        values = np.array(sorted(counts), np.int32)
        coded = _Coded(values, tuple(plan["extent"]), plan["form"], plan["palette"])
        if not target:
            return MaskInput(name, coded)
        return MaskField(name, coded, [counts[value] for value in values.tolist()], ignored)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        is_target = word(content, "role", "input", "target") == "target"
        return (MaskField if is_target else MaskInput).from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, MaskField | MaskInput)
        expect(_extent(plan) == field.coded.extent and plan["form"] == field.coded.form, "extent")
        expect(plan_palette(plan) == field.coded.palette, "palette")
        expect(plan["form"] == NUMBERS or len(field.coded.extent) == 2, "axes")
        whole(plan, "maximum_pixels", 1, 1 << 40)


def _refuse(column: Column) -> None:
    """Raises ColumnError for what holds no masks."""
    wrong = isinstance(column, pl.Series) or (
        isinstance(column, np.ndarray) and (column.dtype.kind not in "bui" or not 2 <= column.ndim <= 4)
    )
    if wrong:
        raise ColumnError(
            "Only files, or arrays of whole numbers of 1 to 3 axes a row, can be read as masks",
            remedy="Give a file for each row, such as a PNG whose gray values are classes",
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


def _type(form: str) -> np.dtype[Any]:
    return np.dtype(np.uint8 if form in (BYTES, PALETTE) else np.int32)


def _extent(content: Mapping[str, Any]) -> tuple[int, ...]:
    extent = content["extent"]
    expect(isinstance(extent, list) and 1 <= len(extent) <= 3, "extent")
    limit = LARGEST_EXTENT if len(extent) > 1 else LARGEST_MASK
    expect(all(type(size) is int and 1 <= size <= limit for size in extent), "extent")
    expect(math.prod(extent) <= LARGEST_MASK, "extent")
    return tuple(extent)


kinds.register(MaskKind.name)(MaskKind())
