"""Folders that are one example: the slices of a scan, each in a DICOM file of its own."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = (".dcm", ".dicom", ".ima")
# Those of scans in one file.
SCANS = (".nii", ".nii.gz")
# What stands behind the 128 free bytes at the beginning of every DICOM file; many have a name without a suffix.
PREAMBLE, MAGIC = 128, b"DICM"
# Files without a telling name whose beginnings are looked at.
_TRIED = 3


def begins_like_slice(begin: bytes) -> bool:
    """Whether a file with these first bytes is in DICOM's format."""
    return begin[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def holds_slices(folder: Path | str) -> bool:
    """Whether most of the files in a folder itself are DICOM's, and so the folder is one example. A file holds none."""
    slices, others, nameless = 0, 0, []
    try:
        for name in files_of(folder):
            suffix = Path(name).suffix
            if not suffix or suffix[1:].isdigit():
                nameless.append(name)
            elif suffix.lower() in SUFFIXES:
                slices += 1
            else:
                others += 1
        tried = nameless[:: -(-len(nameless) // _TRIED) or 1]
        if tried and 2 * sum(_is_slice(Path(folder) / name) for name in tried) > len(tried):
            slices += len(nameless)
        else:
            others += len(nameless)
    except OSError:
        return False
    return slices > others


def _is_slice(path: Path) -> bool:
    with path.open("rb") as stream:
        return begins_like_slice(stream.read(PREAMBLE + len(MAGIC)))


def files_of(folder: Path | str) -> list[str]:
    """The names of the files in a folder, by name, without hidden ones. Raises OSError."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
