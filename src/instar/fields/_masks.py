"""Masks as networks see them: codes of classes at each cell, as a target and as an input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from instar.fields._augmentation import warp
from instar.fields._labeling import FORMS, VOXELS, as_file, colors_of, enlarged, named, plan_palette, smallest
from instar.fields._looking import at_extent, seen_at
from instar.fields._painting import LARGEST_EXTENT
from instar.fields._pixels import as_png
from instar.fields._scan import Layout, upright
from instar.fields._scans import file_of, sight_of
from instar.fields._state import array, expect, whole, word
from instar.fields._views import arranged
from instar.fields._volumes import size_in_words
from instar.fields._voxels import OUTSIDE, Spacing, Triple, most_around
from instar.fields.base import Arrays, Field, Frame, Prepared, State
from instar.shapes import MOST_MASK_CLASSES, NO_CLASS, STRANGE_CLASS, Curves, Grid, Image, Mask, Text, View

if TYPE_CHECKING:
    import torch

LARGEST_VALUE = 2**31 - 1
# Values that lie no farther apart have a table of their codes.
LARGEST_TABLE = 1 << 16
# Numbers in a mask of any axes at most.
LARGEST_MASK = 2**28


class Coded:
    """What masks share as inputs and as targets: the ``values`` (k,) int32 of classes, ascending, and their codes.

    spacing: millimeters from one voxel to the next, of those of scans.
    """

    def __init__(
        self,
        values: np.ndarray,
        extent: tuple[int, ...],
        form: str,
        palette: list[int] | None,
        spacing: Spacing | None = None,
    ) -> None:
        self.values, self.extent, self.form, self.palette, self.spacing = values, extent, form, palette, spacing
        self.colors = colors_of(values, form, palette)

    def codes(self, content: np.ndarray, ignored: int | None) -> np.ndarray:
        """uint8 of the same shape: a code, `STRANGE_CLASS` for other values, `NO_CLASS` for the one that is ignored."""
        least, largest = int(self.values[0]), int(self.values[-1])
        if largest - least < LARGEST_TABLE:  # a look at a table is ten times as fast as a search
            table = np.full(largest - least + 3, STRANGE_CLASS, np.uint8)
            table[self.values.astype(np.int64) - (least - 1)] = np.arange(len(self.values))
            codes = table[np.clip(content.astype(np.int64), least - 1, largest + 1) - (least - 1)]
        else:
            codes = np.minimum(np.searchsorted(self.values, content), len(self.values) - 1).astype(np.uint8)
            codes[self.values[codes] != content] = STRANGE_CLASS
        if ignored is not None:
            codes[content == ignored] = NO_CLASS
        if self.form == VOXELS:
            codes[content == OUTSIDE] = NO_CLASS
        return codes

    def written(self, codes: np.ndarray, frame: Frame | None) -> tuple[str, bytes]:
        """A file with such codes, of the form of those that were learned from."""
        if self.spacing is None:
            extent = self.extent if frame is None else frame.extent
            return as_file(self.values[enlarged(codes, len(self.values), extent)], self.form, self.palette)
        own = upright(1, triple(self.extent), self.spacing)
        lies = frame if isinstance(frame, Layout) else own
        there = most_around(codes, self.spacing, lies.extent, lies.spacing, None)
        return file_of(smallest(self.values)[there][None], frame, own)

    def draw(self, codes: np.ndarray) -> View:
        if codes.ndim == 1:
            return Curves((tuple(np.where(codes < len(self.values), codes, np.nan).astype(float).tolist()),))
        table = np.full((256, 3), 255, np.uint8)
        table[: len(self.colors)] = self.colors
        shades = table[codes]
        return Image(as_png(shades if codes.ndim == 2 else arranged(shades, self.spacing or (1.0, 1.0, 1.0))))

    def show(self, arrays: Arrays, row: int) -> View:
        return self.draw(self.codes(arrays.values[row], None)) if arrays.present[row] else Text("missing")

    def describe(self) -> str:
        if self.spacing is None:
            size = f"{' x '.join(map(str, reversed(self.extent)))} cells"
        else:
            size = size_in_words(triple(self.extent), self.spacing)
        return f"masks of {size}, {len(self.values)} classes"

    def state(self, role: str) -> State:
        content = {"role": role, "extent": list(self.extent), "form": self.form, "palette": self.palette}
        lies = {} if self.spacing is None else {"spacing": list(self.spacing)}
        return {**content, **lies}, {"values": self.values}

    @classmethod
    def from_state(cls, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Coded:
        values = array(arrays, "values", np.int32, None)
        expect(1 <= len(values) <= MOST_MASK_CLASSES and bool((np.diff(values) > 0).all()), "values")
        form = word(content, "form", *FORMS)
        spacing = sight_of(content)[1] if form == VOXELS else None
        return cls(values, checked_extent(content), form, plan_palette(content), spacing)


class MaskField(Field):
    """A mask as a target: codes of the values that training rows have. ``ignored``: a value that says nothing."""

    kind = "mask"
    shape = None

    def __init__(self, name: str, coded: Coded, counts: Sequence[int], ignored: int | None) -> None:
        self.name, self.coded, self.ignored = name, coded, ignored
        self.classes = named(coded.values, coded.form)
        self.answer: Mask = Mask(tuple(counts), coded.extent)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        codes = self.truth(arrays)
        codes[codes == STRANGE_CLASS] = NO_CLASS
        return {"target": torch.from_numpy(codes)}

    def moved(self, prepared: Prepared, motion: Any) -> Prepared:
        return {"target": _moved(prepared["target"][:, None], motion)[:, 0]}

    def truth(self, arrays: Arrays) -> np.ndarray:
        codes = self.coded.codes(np.asarray(arrays.values), self.ignored)
        codes[~arrays.present] = NO_CLASS
        return codes

    def decode(self, answers: np.ndarray) -> np.ndarray:
        return answers

    def draw(self, answer: np.ndarray) -> View:
        return self.coded.draw(answer)

    def written(self, answer: np.ndarray, frame: Frame | None) -> tuple[str, bytes]:
        return self.coded.written(answer, frame)

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
        coded = Coded.from_state(content, arrays)
        counts = array(arrays, "counts", np.int64, len(coded.values))
        expect(bool((counts >= 0).all()), "counts")
        ignored = None if content["ignored"] is None else whole(content, "ignored", 0, LARGEST_VALUE)
        return cls(name, coded, counts.tolist(), ignored)


class MaskInput(Field):
    """A mask as an input: one channel for each class, 1 where it is."""

    kind = "mask"
    answer = None

    def __init__(self, name: str, coded: Coded) -> None:
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

    def moved(self, prepared: Prepared, motion: Any) -> Prepared:
        return {**prepared, "grid": _moved(prepared["grid"], motion)}

    def show(self, arrays: Arrays, row: int) -> View:
        return self.coded.show(arrays, row)

    def describe(self) -> str:
        return self.coded.describe()

    def state(self) -> State:
        return self.coded.state("input")

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> MaskInput:
        return cls(name, Coded.from_state(content, arrays))


def _moved(cells: torch.Tensor, motion: Any) -> torch.Tensor:
    """(B, channels, *extent) as the input that they belong to is moved, each cell as it was somewhere."""
    if isinstance(motion, list):
        return seen_at(cells, at_extent(motion, cells.shape[2:]))
    return warp(cells.float(), motion, mode="nearest").to(cells.dtype)


def triple(extent: tuple[int, ...]) -> Triple:
    depth, height, width = extent
    return depth, height, width


def checked_extent(content: Mapping[str, Any]) -> tuple[int, ...]:
    """The extent of a plan or a state. Raises ValueError or KeyError where it is none."""
    extent = content["extent"]
    expect(isinstance(extent, list) and 1 <= len(extent) <= 3, "extent")
    limit = LARGEST_EXTENT if len(extent) > 1 else LARGEST_MASK
    expect(all(type(size) is int and 1 <= size <= limit for size in extent), "extent")
    expect(math.prod(extent) <= LARGEST_MASK, "extent")
    return tuple(extent)
