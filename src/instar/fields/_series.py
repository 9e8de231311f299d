"""Series as cells and as arrays: which axis has the steps, how many channels there are, where a series ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from instar.errors import ColumnError
from instar.fields._lists import Cell, ListError, parse, typed_cells
from instar.fields.digest import words

# Cells looked at for channels and lengths.
SURVEYED_CELLS = 512
# Where so many rows have one size the others may be wrong.
SAME_SHARE = 0.9


def cells_of(column: pl.Series) -> list[Cell | None]:
    """The cells: text, or lists of a typed column; None where missing. Raises ColumnError for single numbers."""
    if isinstance(column.dtype, pl.List | pl.Array):
        return typed_cells(column)
    if column.dtype in (pl.String, pl.Null):
        return words(column).to_list()
    raise ColumnError(
        f"A column of {column.dtype} cannot be read as series",
        remedy="Write each series into one cell, as [1.5, 2, 3], or give an array of one series a row",
    )


def steps_come_first(outer: Sequence[int], inner: Sequence[int], layout: str) -> bool:
    """Whether the outer axis of rows with these sizes is that of the steps, where ``layout`` leaves it open.

    The axis whose size changes from row to row is the steps'; where neither does, but for a few rows, which may be
    wrong, it is the longer one.
    """
    if layout != "auto" or not outer:
        return layout == "steps"
    (outer_size, outer_rows), (inner_size, inner_rows) = (Counter(sizes).most_common(1)[0] for sizes in (outer, inner))
    if min(outer_rows, inner_rows) >= SAME_SHARE * len(outer):
        return outer_size > inner_size
    return outer_rows < inner_rows


def as_steps(values: np.ndarray, channels: int, maximum_steps: int) -> np.ndarray:
    """One series (steps, channels) as float32, without the steps at its end that no channel has. Raises ListError.

    Arrays and tables pad a shorter series with missing values at its end: these are none of it.
    """
    if values.shape[1] != channels:
        raise ListError(f"it has {_channels(values.shape[1])} where {channels} are expected")
    if len(values) > maximum_steps:
        raise ListError(f"it has {len(values):,} steps, more than the {maximum_steps:,} of maximum_steps")
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    infinite = np.isinf(single)
    if infinite.any():
        step = int(infinite.any(axis=1).argmax())
        raise ListError(f"its step {step + 1} holds {values[step][infinite[step]][0]:g}, which is no number to use")
    known = np.flatnonzero(~np.isnan(single).all(axis=1))
    return single[: known[-1] + 1 if len(known) else 0]


def _channels(count: int) -> str:
    return f"{count} channel" + ("" if count == 1 else "s")


def spread(cells: list[Cell | None], most: int) -> list[Cell]:
    """At most ``most`` of the cells that are there, from the whole of the column."""
    known = [cell for cell in cells if cell is not None]
    return [known[place] for place in np.unique(np.linspace(0, len(known) - 1, min(most, len(known))).astype(int))]


def understood(cells: list[Cell]) -> tuple[list[np.ndarray], list[bool], str]:
    """The numbers of the cells that are series, which of them are lists of lists, and why the last other is none."""
    values, nested, reason = [], [], ""
    for cell in cells:
        try:
            numbers, lists = parse(cell)
        except ListError as failure:
            reason = str(failure)
        else:
            values.append(numbers)
            nested.append(lists)
    return values, nested, reason


def survey_cells(cells: list[Cell | None], layout: str) -> tuple[int, int, bool]:
    """Channels, most steps, and whether lists of lists have the steps outside."""
    values, nested, reason = understood(spread(cells, SURVEYED_CELLS))
    if not values:
        raise ColumnError(
            "None of the series can be read" + (f": {reason}" if reason else ""),
            remedy="Write them as [1.5, 2, 3], one in each cell",
        )
    lists = [each.shape for each, is_nested in zip(values, nested, strict=True) if is_nested]
    first = steps_come_first([outer for outer, _ in lists], [inner for _, inner in lists], layout)
    sizes = [
        each.shape[::-1] if is_nested and first else each.shape for each, is_nested in zip(values, nested, strict=True)
    ]
    channels = Counter(channels for channels, _ in sizes).most_common(1)[0][0]
    return channels, max(steps for _, steps in sizes), first
