"""Looking at what a person named: does it exist, can it be read, what may it be called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from stat import S_ISDIR
from typing import Any

from instar.errors import SourceError, did_you_mean
from instar.sources.slices import files_of


def as_path(given: Any) -> Path | None:
    """What was given as a path, or None where it cannot be one."""
    if not isinstance(given, str | os.PathLike):
        return None
    path = Path(os.fsdecode(given)) if str(given) else None
    return path.expanduser() if path is not None and str(path).startswith("~") else path


def has_suffix(given: Any, suffixes: Sequence[str]) -> bool:
    """Whether a path ends in one of ``suffixes`` (lower case, with their dot), and is not a folder."""
    path = as_path(given)
    return path is not None and path.name.lower().endswith(tuple(suffixes)) and not path.is_dir()


def existing_file(given: Any) -> Path:
    """The path of a file that can be read and has content. Raises SourceError."""
    path = existing(given)
    if path.is_dir():
        raise SourceError("This is a folder, and a file is needed", where=str(given))
    if not path.is_file():
        raise SourceError("This is no regular file", where=str(given), remedy="Save the examples in a file first")
    with reading(path), path.open("rb") as stream:
        if not stream.read(1):
            raise SourceError(
                "The file is empty", where=str(given), remedy="Check that it was saved or downloaded completely"
            )
    return path


def existing(given: Any) -> Path:
    """The path of what was given. Raises SourceError, with similar names from the same folder, if there is none."""
    path = as_path(given)
    if path is None:
        raise SourceError(f"A path is needed, and this is {given!r}")
    try:
        if path.exists():
            return path
        folder = path.parent
        siblings = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    except (OSError, ValueError) as failure:
        raise SourceError(f"It cannot be looked at ({reason(failure)})", where=str(given)) from failure
    if not folder.is_dir():
        raise SourceError("The folder does not exist", where=str(folder), remedy="Check the path")
    guess = did_you_mean(path.name, [name for name in siblings if not name.startswith(".")])
    raise SourceError(
        "There is no such file or folder",
        where=str(given),
        remedy=guess if guess.startswith("Did") else "Check the path; example sets are written example:NAME",
    )


def reason(failure: Exception) -> str:
    """The operating system's words, or the exception's own."""
    return getattr(failure, "strerror", None) or str(failure) or type(failure).__name__


@contextmanager
def reading(place: Path | str) -> Iterator[None]:
    """Turn the operating system's refusals to read into a SourceError that names the place."""
    try:
        yield
    except OSError as failure:
        remedy = "Check its permissions" if isinstance(failure, PermissionError) else None
        raise SourceError(f"It cannot be read ({reason(failure)})", where=str(place), remedy=remedy) from failure


def plain_name(path: Path) -> str:
    """A path's own name without suffixes, fit for a folder's name."""
    name = path.name or path.resolve().name
    if not path.is_dir():
        name = name.split(".")[0] or name.strip(".")
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "examples"


def without_suffix(path: PurePath) -> PurePath:
    """A file's path without the suffix of its name: of ``scan.nii.gz`` both, since what is packed has two."""
    packed = path.suffix.lower() == ".gz" and path.with_suffix("").suffix
    return (path.with_suffix("") if packed else path).with_suffix("")


def stamp(path: Path) -> str:
    """A file's path, size and time of change: what tells without reading that it may have changed.

    Of a folder that is one example, those of all files in it.
    """
    with reading(path):
        found = path.stat()
        if S_ISDIR(found.st_mode):
            return f"{path.absolute()}\0" + "".join(stamp(path / name) for name in files_of(path))
        return f"{path.absolute()}\0{found.st_size}\0{found.st_mtime_ns}\0"
