"""Learning to restore pictures: what a network gets is made of what it shall answer, by taking something away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from instar.errors import ColumnError, SourceError, UsageError
from instar.sources import Chunk, Column, FileColumn, FileReference, Schema, Source
from instar.sources.columns import check_columns
from instar.sources.derived import DerivedSource
from instar.sources.paths import has_suffix
from instar.sources.slices import SCANS

# What can be taken away, and how the column is called that then remains.
GRAY, NOISE, DETAIL = "color", "clarity", "detail"
COLUMNS = {GRAY: "gray", NOISE: "noisy", DETAIL: "coarse"}
# Standard deviation of noise, of 255; and how many cells along a side become one where detail is taken away.
_NOISE, _COARSER = 25.0, 4
# As of a file that is refused as a decompression bomb.
_MAXIMUM_PIXELS = 89_478_485
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def to_restore(source: Source, what: str, target: Sequence[str]) -> Source:
    """The source with a column more: its pictures without what is to be restored; itself where that is ``none``.

    Raises UsageError, ColumnError where it is not clear which column holds the pictures.
    """
    if what == "none":
        return source
    schema = source.schema()
    pictures = list(target) or list(schema.nameless)
    if len(pictures) != 1:
        raise UsageError(
            "It is not said which column's pictures are to be restored" if not target else "One target is restored",
            where=source.place,
            remedy=f"Name one with --target; the columns are: {', '.join(schema.columns)}",
        )
    if pictures[0] not in schema.columns:
        source.targets(pictures)  # names the columns that there are
    if COLUMNS[what] in schema.columns:
        raise ColumnError(
            f"There is a column {COLUMNS[what]!r} already",
            where=source.place,
            remedy="Rename it, or leave --restore out",
        )
    return _Restored(source, what, pictures[0], alone=not target)


class _Restored(DerivedSource):
    """Another source with its pictures a second time; of one whose columns have no names, nothing else but a split."""

    def __init__(self, source: Source, what: str, pictures: str, *, alone: bool) -> None:
        super().__init__(source)
        self._what, self._pictures = what, pictures
        self._made = COLUMNS[what]
        schema = source.schema()
        kept = (pictures, *((schema.given_split,) if schema.given_split else ())) if alone else schema.columns
        self._schema = replace(schema, columns=(self._made, *kept), target=pictures, nameless=())

    def schema(self) -> Schema:
        return self._schema

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self._schema)
        asked = list(dict.fromkeys(self._pictures if name == self._made else name for name in names))
        return (self._with(chunk, names) for chunk in self.inner.chunks(asked))

    def sample(self, rows: int) -> Chunk:
        return self._with(self.inner.sample(rows), self._schema.columns)

    def fingerprint(self) -> str:
        return self.inner.fingerprint() + self._what.encode().hex()

    def _with(self, chunk: Chunk, names: Sequence[str]) -> Chunk:
        made: Mapping[str, Column] = {
            name: self._spoiled(chunk.columns[self._pictures]) if name == self._made else chunk.columns[name]
            for name in names
        }
        return Chunk(chunk.start, made)

    def _spoiled(self, column: Column) -> Column:
        if isinstance(column, FileColumn):
            return FileColumn(
                [None if file is None else _Spoiled(file.name, of=file, what=self._what) for file in column.files]
            )
        if (
            isinstance(column, pl.Series)
            or column.ndim != 4
            or column.shape[3] not in (3, 4)
            or column.dtype != np.uint8
        ):
            raise ColumnError(
                f"The column {self._pictures!r} holds no pictures that can be restored",
                where=self.place,
                remedy="Give files, or arrays of bytes (rows, height, width, 3)",
            )
        rows = [spoil(row[:, :, :3], self._what, row.tobytes()) for row in column]
        return np.stack(rows) if rows else np.zeros((0, 1, 1), np.uint8)


@dataclass(frozen=True)
class _Spoiled(FileReference):
    """A picture's file, read without something."""

    of: FileReference | None = None
    what: str = GRAY

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        from PIL import Image

        from instar.fields._pictures import PictureError, decode, header, upright_size

        assert self.of is not None
        if self.of.is_folder or has_suffix(self.of.name, SCANS):
            raise SourceError(
                "Nothing can be taken away from a scan",
                where=self.name,
                remedy="Leave --restore out, and bring scans as they are and as they should be in two folders",
            )
        content = self.of.read()
        try:
            width, height = upright_size(header(content, _MAXIMUM_PIXELS))
            picture = decode(content, height, width, 3, _MAXIMUM_PIXELS)
        except PictureError as failure:
            raise SourceError(str(failure), where=self.name) from failure
        stream = BytesIO()
        Image.fromarray(spoil(picture, self.what, content)).save(stream, "PPM")  # the quickest format without losses
        stream.seek(0)
        yield stream


def spoil(picture: np.ndarray, what: str, content: bytes) -> np.ndarray:
    """uint8 (height, width), or with 3 channels, of a picture (height, width, 3); draws come from its ``content``."""
    from instar.fields.digest import digest_bytes

    if what == GRAY:
        return np.rint(picture @ _LUMINANCE).astype(np.uint8)
    if what == NOISE:
        generator = np.random.default_rng(int(digest_bytes(content)))
        noise = generator.normal(0, _NOISE, picture.shape)
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    return _without_detail(picture)


def _without_detail(picture: np.ndarray) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    few = [max(1, -(-side // _COARSER)) for side in image.size]
    coarse: Any = image.resize((few[0], few[1]), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    return np.asarray(coarse)
