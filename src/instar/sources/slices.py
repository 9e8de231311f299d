"""Folders that are one example: the slices of a scan, each in a DICOM file of its own."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = (".dcm", ".dicom", ".ima")
# What stands behind the 128 free bytes at the beginning of every DICOM file; many have a name without a suffix.
PREAMBLE, MAGIC = 128, b"DICM"
# Files without a telling name whose beginnings are looked at.
_TRIED = 3


def begins_like_slice(begin: bytes) -> bool:
    """Whether a file with these first bytes is in DICOM's format."""
    return begin[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def holds_slices(folder: Path | str) -> bool:
    """Whether DICOM files lie in a folder itself, and so the folder is one example. A file holds none."""
    tried = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                    return True
                suffix = Path(entry.name).suffix
                if tried < _TRIED and (not suffix or suffix[1:].isdigit()) and entry.is_file():
                    tried += 1
                    with Path(entry.path).open("rb") as stream:
                        if begins_like_slice(stream.read(PREAMBLE + len(MAGIC))):
                            return True
    except OSError:
        return False
    return False


def files_of(folder: Path | str) -> list[str]:
    """The names of the files in a folder, by name, without hidden ones. Raises OSError."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
