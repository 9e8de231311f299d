"""Columns of files, read in threads: what cannot be read is named, whatever its decoder does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from instar.errors import SourceError
from instar.fields.base import Problem
from instar.fields.digest import in_threads
from instar.sources import FileColumn, FileReference

Result = TypeVar("Result")


@dataclass(frozen=True)
class Unreadable:
    """Why a file could not be read, in a phrase that begins with its name."""

    reason: str


def spread(column: FileColumn, most: int) -> list[FileReference]:
    """At most ``most`` of the files that are there, from the whole of the column."""
    files = [file for file in column.files if file is not None]
    return [files[place] for place in np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).astype(int))]


def on_each(
    files: Sequence[FileReference | None],
    work: Callable[[int, FileReference], Result],
    refusal: type[Exception],
    content: str,
) -> list[Result | Unreadable | None]:
    """What ``work`` makes of every file and its row, or why it cannot; None where a row has no file.

    ``refusal`` is what it raises with a phrase that goes on from the file's name, ``content`` a word for what there
    should be.
    """

    def attempt(row: int) -> Result | Unreadable | None:
        file = files[row]
        if file is None:
            return None
        try:
            return work(row, file)
        except SourceError as failure:
            return Unreadable(str(failure))
        except refusal as failure:
            return Unreadable(f"{file.name} {failure}")
        except Exception as failure:  # decoders fail in as many ways as there are damaged files
            return Unreadable(f"{file.name} is a damaged {content} ({failure})")

    return list(in_threads(attempt, range(len(files))))


def problems_of(results: Sequence[object]) -> list[Problem]:
    """What could not be read, by row."""
    return [Problem(row, each.reason) for row, each in enumerate(results) if isinstance(each, Unreadable)]
