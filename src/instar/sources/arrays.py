"""What lies in memory: data frames, numpy arrays and torch tensors, pairs (inputs, target), dictionaries of columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.sources.base import Column, FileColumn, Schema, Source, sources
from instar.sources.columns import MemorySource, frame_columns, series_column
from instar.sources.references import ROWS_TO_LOOK_FOR_FILES, References

INPUT, TARGET = "input", "target"


@sources.register("memory")
class InMemory(MemorySource):
    """Frames of any library that narwhals knows, arrays, tensors, pairs (inputs, target), columns or records.

    An array or tensor alone is the column ``input``; in a pair the second is the column ``target``, and the first may
    also be a frame or a dictionary. An array of one axis is a column of cells, one of more has an array in each row.
    Columns are a dictionary of cells by name, records a list of dictionaries; what a record lacks is missing. A column
    whose cells name files, relative to the working folder, becomes a column of files.
    """

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        if isinstance(given, tuple):
            return len(given) == 2 and not any(isinstance(each, str | os.PathLike) for each in given)
        return isinstance(given, Mapping) or _is_frame(given) or _is_array(given) or _is_records(given)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        place = "the frame" if _is_frame(given) else "the arrays"
        target, nameless = None, []
        if isinstance(given, tuple):
            columns = _columns(given[0], place)
            target = TARGET
            if target in columns:
                raise SourceError(
                    f"The inputs have a column {TARGET!r} already", where=place, remedy="Leave it out, or rename it"
                )
            nameless = [INPUT] if list(columns) == [INPUT] else []
            columns[TARGET] = _column(TARGET, given[1], place)
        else:
            columns = _columns(given, place)
            nameless = [INPUT] if _is_array(given) else []
        columns |= _files(columns, nameless, place, options)
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise SourceError(
                "The columns differ in length: " + ", ".join(f"{name} has {rows}" for name, rows in lengths.items()),
                where=place,
                remedy="Give every column the same number of rows",
            )
        rows = max(lengths.values(), default=0)
        if not rows:
            raise SourceError("There are no rows", where=place)
        schema = Schema(tuple(columns), rows=rows, target=target, nameless=tuple(nameless))
        return cls("frame" if _is_frame(given) else "arrays", place, columns, schema)


def _files(
    columns: Mapping[str, Column], nameless: Sequence[str], place: str, options: Mapping[str, Any]
) -> dict[str, Column]:
    """The columns whose cells name files, relative to the working folder, as columns of files. Raises SourceError."""
    try:
        folder = Path.cwd()
    except OSError:  # it was removed, and holds no files
        return {}
    references = References(folder, bool(options.get("allow_outside")), "the working folder")
    named = options.get("files")

    def are_files(name: str, cells: pl.Series) -> bool:
        if named is None:
            return references.named_by(cells.gather_every(-(-len(cells) // ROWS_TO_LOOK_FOR_FILES) or 1))
        return name in named or (bool(named) and name in nameless)

    texts = {name: _as_text(column) for name, column in columns.items() if isinstance(column, pl.Series)}
    return {
        name: references.column(cells, lambda row: f"{place}, row {row + 1}")
        for name, cells in texts.items()
        if cells is not None and are_files(name, cells)
    }


def _as_text(column: pl.Series) -> pl.Series | None:
    """The cells of text, or of nothing but missing values, which pandas calls numbers; None for others."""
    if column.dtype == pl.String:
        return column
    known = column.fill_nan(None) if column.dtype.is_float() else column
    return known.cast(pl.String) if known.null_count() == len(known) else None


def _is_records(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(each, Mapping) for each in given)


def _is_frame(given: Any) -> bool:
    return nw.dependencies.is_into_dataframe(given) or isinstance(given, pl.LazyFrame)


def _is_array(given: Any) -> bool:
    return isinstance(given, np.ndarray | pl.Series) or _is_tensor(given) or nw.dependencies.is_into_series(given)


def _is_tensor(given: Any) -> bool:
    torch = sys.modules.get("torch")  # what is no tensor yet cannot need torch
    return torch is not None and isinstance(given, torch.Tensor)


def _columns(given: Any, place: str) -> dict[str, Column]:
    if _is_frame(given):
        return frame_columns(_to_polars(given), place)
    if isinstance(given, Mapping):
        return {str(name): _column(str(name), column, place) for name, column in given.items()}
    if _is_records(given):
        names = dict.fromkeys(name for record in given for name in record)
        return {str(name): _column(str(name), [record.get(name) for record in given], place) for name in names}
    return {INPUT: _column(INPUT, given, place)}


def _to_polars(frame: Any) -> pl.DataFrame:
    """The frame in polars, without pandas' index. Raises SourceError for columns of one name."""
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    try:
        narrow = nw.from_native(frame, eager_only=True)
        if len({str(name) for name in narrow.columns}) < len(narrow.columns):
            raise nw.exceptions.DuplicateError
        return narrow.to_polars()
    except nw.exceptions.DuplicateError as failure:
        raise SourceError("Several columns have the same name", where="the frame", remedy="Rename them") from failure
    except ImportError:  # pandas without pyarrow
        return pl.DataFrame([_series(name, narrow[name].to_list()) for name in narrow.columns])
    except Exception as failure:
        raise SourceError(
            f"The frame cannot be converted ({str(failure).splitlines()[0]})",
            where="the frame",
            remedy="Give every column cells of one type",
        ) from failure


def _column(name: str, given: Any, place: str) -> Column:
    """One column of anything that holds values in a row. Raises SourceError."""
    if isinstance(given, FileColumn):
        return given
    if isinstance(given, pl.Series):
        return series_column(given.rename(name), place)
    if _is_tensor(given):
        tensor = given.detach().cpu()
        half = tensor.is_floating_point() and tensor.itemsize < 4  # numpy does not know bfloat16
        return array_column(name, (tensor.float() if half else tensor).numpy(), place)
    if nw.dependencies.is_into_series(given):
        given = nw.from_native(given, series_only=True).to_frame().to_native()
    if _is_frame(given):
        frame = _to_polars(given)
        if frame.width == 1:
            return series_column(frame.to_series().rename(name), place)
        return array_column(name, frame.to_numpy(), place)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        rows = [each for each in given if isinstance(each, Sequence | np.ndarray) and not isinstance(each, str | bytes)]
        if all(isinstance(word, str) for each in rows for word in each):  # lists of words are cells, as in a frame
            return series_column(_series(name, list(given)), place)
        try:
            given = np.asarray(given)
        except ValueError:  # rows of unequal lengths, or some that are missing, are lists in cells
            lists = [each.tolist() if isinstance(each, np.ndarray) else each for each in given]
            return series_column(_series(name, lists), place)
    if not isinstance(given, np.ndarray):
        raise SourceError(f"Column {name!r} cannot be a {type(given).__name__}", where=place, remedy="Give an array")
    return array_column(name, given, place)


def array_column(name: str, array: np.ndarray, place: str) -> Column:
    """An array of one axis as a series, of more as it is. Raises SourceError for one of no axes or not of numbers."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 0:
        raise SourceError(f"Array {name!r} has no rows", where=place, remedy="Give an array of one axis or more")
    if array.ndim == 1:
        if array.dtype.kind in "OS":
            return series_column(_series(name, array.tolist()), place)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return _series(name, array.tolist()) if array.dtype.kind in "cV" else pl.Series(name, array)
    if array.dtype.kind not in "biuf":
        raise SourceError(
            f"Array {name!r} holds {array.dtype.name} and not numbers", where=place, remedy="Convert it to numbers"
        )
    if 0 in array.shape[1:]:
        raise SourceError(f"Array {name!r} has the shape {array.shape}, in which rows are empty", where=place)
    return array


def _series(name: Any, cells: list[Any]) -> pl.Series:
    """Cells of any types as a series: of their own type where it is one, else of text."""
    try:
        return pl.Series(str(name), cells)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(str(name), [None if cell is None else str(cell) for cell in cells], dtype=pl.String)
