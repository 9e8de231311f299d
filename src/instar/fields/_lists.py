"""Numbers that stand together in one cell: lists, lists of lists, numbers in text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from instar.fields.base import quote
from instar.sources.columns import MISSING_TEXTS

# Fewer numbers in a text without brackets are a measurement, a date or a list of codes.
LEAST_NUMBERS = 8
# Cells looked at for their width and order; of which nearly all must be alike, and so many be there.
LOOKED_AT, LEAST_ALIKE, LEAST_ROWS = 256, 0.9, 32
# Places apart that are compared, and the mean product of scaled numbers from which on they have to do with each other.
LAGS, LEAST_RELATED = 4, 0.1


class ListError(ValueError):
    """Why a cell or a row is no list of numbers, in a phrase that follows its place."""


Cell = str | Sequence[Any] | np.ndarray | ListError


def parse(cell: Cell) -> tuple[np.ndarray, bool]:
    """The numbers of a cell, float64 (outer, inner), NaN where missing; and whether the cell is a list of lists.

    A list of numbers, and text of one channel, is (1, steps). Text is JSON, or numbers with spaces or semicolons
    between them and a colon between channels; then the outer axis has the channels, and so it has in arrays, which
    are lists of a typed column. Raises ListError.
    """
    if isinstance(cell, ListError):
        raise cell
    if isinstance(cell, np.ndarray):
        return cell, False
    if isinstance(cell, str) and not cell.startswith("["):
        return _as_array([_numbers(part) for part in cell.split(":")], cell), False
    try:
        rows = json.loads(cell) if isinstance(cell, str) else list(cell)
    except (ValueError, RecursionError):
        raise ListError(f"{quote(cell)} is no list of numbers") from None
    lists = [isinstance(row, list | tuple | np.ndarray) for row in rows]
    nested = any(lists)
    if nested and not all(lists):
        raise ListError(f"{quote(cell)} has both lists and numbers in it")
    return _as_array(rows if nested else [rows], cell), nested


def is_list(cell: Cell, values: np.ndarray) -> bool:
    """Whether a cell that has these ``values`` is certainly a list, and no code or measurement."""
    return not isinstance(cell, str) or cell.startswith("[") or values.size >= LEAST_NUMBERS


def numbers_in(text: str) -> np.ndarray | None:
    """The numbers of a text that certainly is a list of them, float64 (outer, inner), else None."""
    if text[:1] not in "[+-.?N0123456789":
        return None
    try:
        values, _ = parse(text)
    except ListError:
        return None
    return values if is_list(text, values) else None


def typed_cells(column: pl.Series) -> list[Cell | None]:
    """Lists, or lists of lists, of numbers or of text, as arrays (outer, inner), float64; None where missing.

    Where one cannot be an array it is the reason instead.
    """
    outer = column.cast(pl.List(column.dtype.inner)) if isinstance(column.dtype, pl.Array) else column
    nested = isinstance(outer.dtype.inner, pl.List | pl.Array)  # type: ignore[attr-defined]
    inner = outer.explode() if nested else outer
    flat = inner.explode()
    texts = flat.cast(pl.String).str.strip_chars() if not flat.dtype.is_numeric() else None
    numbers = flat.cast(pl.Float64, strict=False)
    odd = np.zeros(0, np.int64)
    if texts is not None:
        numbers = texts.cast(pl.Float64, strict=False)
        odd = (numbers.is_null() & ~texts.fill_null("").is_in(MISSING_TEXTS)).arg_true().to_numpy()
    values = numbers.to_numpy()
    sizes = inner.list.len().fill_null(0).to_numpy().astype(np.int64)  # a list that is empty or missing leaves one null
    starts = np.concatenate([[0], np.cumsum(np.maximum(sizes, 1))])
    lists = outer.list.len().fill_null(0).to_numpy().astype(np.int64) if nested else np.ones(len(outer), np.int64)
    begins = np.concatenate([[0], np.cumsum(np.maximum(lists, 1))])
    cells: list[Cell | None] = []
    for row, missing in enumerate(outer.is_null()):
        first, last = begins[row], begins[row + 1]
        lengths = sizes[first:last]
        content = values[starts[first] : starts[first] + lengths.sum()]
        wrong = odd[np.searchsorted(odd, starts[first]) :][:1]
        if missing:
            cells.append(None)
        elif texts is not None and len(wrong) and wrong[0] < starts[last]:
            cells.append(ListError(f"{quote(texts[int(wrong[0])])} is no number"))
        elif len(set(lengths.tolist())) > 1:
            cells.append(_differ(lengths.tolist()))
        elif not len(content):
            cells.append(ListError("it has no steps"))
        else:
            cells.append(content.reshape(len(lengths), -1))
    return cells


def width_of(column: pl.Series) -> int | None:
    """How many numbers each cell of text has where nearly all are lists of equally many, else None."""
    cells = column.drop_nulls().str.strip_chars()
    cells = cells.gather_every(max(1, len(cells) // LOOKED_AT))
    if not len(cells) or not cells.str.starts_with("[").all():
        return None
    sizes = Counter(values.shape for values in map(numbers_in, cells) if values is not None)
    shape, count = sizes.most_common(1)[0] if sizes else ((0, 0), 0)
    return shape[1] if shape[0] == 1 and shape[1] >= LEAST_NUMBERS and count >= LEAST_ALIKE * len(cells) else None


def are_unordered(column: pl.Series) -> bool:
    """Whether lists of equally many numbers are a bag of features, such as an embedding, and nothing over time.

    What is above its place's average is likely so at the next places of a series, or one of its first periods; the
    neighbors of a feature know nothing of it.
    """
    width = width_of(column)
    if width is None:
        return False
    rows, _ = matrix_of(column.gather_every(max(1, len(column) // LOOKED_AT)), width)
    rows = rows[~np.isnan(rows).any(axis=1)]
    if len(rows) < LEAST_ROWS:
        return False
    spread = rows.std(axis=0)
    scaled = ((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0))[:, spread > 0]
    lags = range(1, min(LAGS, scaled.shape[1] - 1) + 1)
    return bool(lags) and max(abs(float((scaled[:, lag:] * scaled[:, :-lag]).mean())) for lag in lags) < LEAST_RELATED


def matrix_of(column: pl.Series, width: int) -> tuple[np.ndarray, dict[int, str]]:
    """float64 (n, width) of cells that are lists, NaN where one is missing or none, and why it is none, by row."""
    rows, reasons = np.full((len(column), width), np.nan), dict[int, str]()
    for number, cell in enumerate(column.str.strip_chars()):
        if cell is None or cell in MISSING_TEXTS:
            continue
        try:
            values, _ = parse(cell)
        except ListError as failure:
            reasons[number] = str(failure)
            continue
        if values.size == width:
            rows[number] = values.reshape(-1)
        else:
            reasons[number] = f"it has {values.size:,} numbers where {width:,} are expected"
    return rows, reasons


def _differ(lengths: Sequence[int]) -> ListError:
    return ListError(f"its channels have different lengths, from {min(lengths)} to {max(lengths)} steps")


def _as_array(rows: Sequence[Sequence[Any]], cell: Cell) -> np.ndarray:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise _differ(lengths)
    if lengths in ([], [0]):
        raise ListError("it has no steps")
    try:
        values = np.array(rows)
        if values.dtype.kind == "U":  # what is in quotes is a word, also where it looks like a number
            raise TypeError
        values = values.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ListError(f"{quote(cell)} holds more than numbers") from None
    if values.ndim != 2:
        raise ListError("its lists hold lists of lists")
    return values


def _numbers(text: str) -> list[float]:
    parts = text.split(";") if ";" in text else text.split()
    try:
        return list(map(float, parts))
    except ValueError:
        return [_number(part.strip()) for part in parts]


def _number(text: str) -> float:
    if text in MISSING_TEXTS:
        return np.nan
    try:
        return float(text)
    except ValueError:
        raise ListError(f"{quote(text)} is no number") from None
