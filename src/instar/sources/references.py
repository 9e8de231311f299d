"""Cells that name files: relative to a folder, their table's, and never outside it unless that is allowed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from instar.errors import SourceError
from instar.sources.base import FileColumn, FileReference
from instar.sources.slices import files_of, holds_slices

# Of a table's rows so many are looked at to find columns that name files, and of their cells so many are tried.
ROWS_TO_LOOK_FOR_FILES, _TRIED = 1000, 64


class References:
    """Turns a table's cells into files.

    Parameters
    ----------
    folder: what relative paths are relative to; ``called``: what an error calls it.
    allow_outside: whether a cell may name a file outside ``folder``, by ``..``, an absolute path or a symbolic link.
    """

    def __init__(self, folder: Path, allow_outside: bool, called: str = "the table's folder") -> None:
        self.folder, self.allow_outside, self.called = folder, allow_outside, called
        self._root = os.path.realpath(folder)
        self._inside: dict[str, bool] = {}

    def named_by(self, sample: pl.Series) -> bool:
        """Whether the cells of a column name files: at least half of a few that are tried do."""
        if sample.dtype != pl.String:
            return False
        cells = sample.drop_nulls().unique(maintain_order=True)
        cells = cells.gather_every(max(1, -(-len(cells) // _TRIED)))
        found = sum(self._is_file(cell) for cell in cells)
        return found > 0 and 2 * found >= len(cells)

    def column(self, cells: pl.Series, locate: Callable[[int], str]) -> FileColumn:
        """The files that ``cells`` name; None where a cell is empty.

        A file that is missing is found so when it is read. Raises SourceError for one outside the folder, with what
        ``locate`` says of its row in ``cells``.
        """
        return FileColumn([self._file(cell, row, locate) if cell else None for row, cell in enumerate(cells)])

    def _file(self, cell: str, row: int, locate: Callable[[int], str]) -> FileReference:
        path = self.folder / cell
        if not self.allow_outside and not self._lies_inside(path):
            raise SourceError(
                f"{cell!r} lies outside {self.called}",
                where=locate(row),
                remedy="Move the file into the folder, leave out the column, or allow it with --allow-outside "
                "(in Python: allow_outside=True)",
            )
        return FileReference(cell, path=path)

    def _lies_inside(self, path: Path) -> bool:
        """Whether the file that ``path`` leads to, or each in a folder, lies in the folder, symbolic links followed."""
        try:
            if path.is_dir() and not all(self._is_within(os.path.realpath(path / name)) for name in files_of(path)):
                return False
            if path.name in ("", ".", "..") or path.is_symlink():
                return self._is_within(os.path.realpath(path))
            parent = str(path.parent)
            if parent not in self._inside:
                self._inside[parent] = self._is_within(os.path.realpath(parent))
        except (OSError, ValueError):
            return False
        return self._inside[parent]

    def _is_within(self, real: str) -> bool:
        return real == self._root or real.startswith(self._root.rstrip(os.sep) + os.sep)

    def _is_file(self, cell: str) -> bool:
        try:
            path = self.folder / cell
            return bool(cell) and (path.is_file() or holds_slices(path))
        except (OSError, ValueError):
            return False
