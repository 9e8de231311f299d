"""Which source reads what a person gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instar.errors import SourceError
from instar.sources.base import Source, sources
from instar.sources.paths import as_path, existing, reading


def locate(
    given: Any,
    *,
    target: Sequence[str] = (),
    allow_outside: bool = False,
    files: Sequence[str] | None = None,
    alone: bool = False,
) -> Source:
    """Open what was given: a path, a list of files, ``example:NAME``, a frame, arrays; a Source is given back.

    Parameters
    ----------
    target: the names that a person gave as targets; an IDX source takes its labels' file from here.
    allow_outside: whether a table may name files outside its own folder, or a frame outside the working one.
    files: the columns whose cells name files, as a model knows them; where it is not said, the source looks at cells.
    alone: whether a file that is named is all that is meant, and not also the test set beside it.

    Raises SourceError where it does not exist, is empty, cannot be read, or no source reads such a thing.
    """
    if isinstance(given, Source):
        return given
    options = {
        "target": tuple(target),
        "allow_outside": allow_outside,
        "files": None if files is None else tuple(files),
        "alone": alone,
    }
    for source in sorted(sources.values(), key=lambda source: -source.precedence):
        if source.recognizes(given, options):
            return source.open(given, options)
    if isinstance(given, list | tuple) and not given:
        raise SourceError("There are no rows", where="the list")
    if as_path(given) is None:
        raise SourceError(
            f"Examples cannot be read from an object of type {type(given).__name__}",
            remedy="Give a path, a data frame, arrays, a dictionary of columns, a list of records or files, or a pair "
            "(inputs, target)",
        )
    path = existing(given)
    with reading(path), path.open("rb"):
        known = sorted({suffix for source in sources.values() for suffix in source.suffixes})
        raise SourceError(
            "No source reads a file of this name",
            where=str(given),
            remedy=f"Save it as one of {', '.join(known)}; or give a folder of files, or example:NAME",
        )
