"""Arrays in .npy files, written a block at a time and mapped: only rivals hold in memory what they learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from mmap import mmap
from pathlib import Path

import numpy as np

from instar.evaluation.rivals.base import Inputs
from instar.files import writing

# Of numbers and of codes, in files: what estimators take, four bytes each.
DTYPES = (np.dtype("<f4"), np.dtype("<i4"))


def write_inputs(
    folder: Path,
    name: str,
    rows: int,
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    cardinalities: Sequence[int] = (),
) -> Inputs:
    """The ``blocks`` of numbers (n, width) and codes (n, codes), ``rows`` rows in all, as mapped files in ``folder``.

    They are written and not mapped for writing, since a full disk then ends the process. Raises FolderError.
    """
    remaining = iter(blocks)
    first = next(remaining, None)
    if first is None:
        return Inputs(np.zeros((0, 0), DTYPES[0]), np.zeros((0, 0), DTYPES[1]), tuple(cardinalities))
    paths = [folder / f"{name}-{part}.npy" for part in ("numbers", "codes")]
    with writing(folder), ExitStack() as opened:
        streams = [opened.enter_context(path.open("wb")) for path in paths]
        for stream, dtype, array in zip(streams, DTYPES, first, strict=True):
            header = {"descr": dtype.str, "fortran_order": False, "shape": (rows, array.shape[1])}
            np.lib.format.write_array_header_1_0(stream, header)
        for block in chain([first], remaining):
            for stream, dtype, array in zip(streams, DTYPES, block, strict=True):
                stream.write(np.ascontiguousarray(array, dtype).data)
    return Inputs(read_array(paths[0]), read_array(paths[1]), tuple(cardinalities))


def read_array(path: Path) -> np.ndarray:
    """The array in a file, mapped where there is something to map."""
    array = np.load(path, mmap_mode=None if _is_empty(path) else "r", allow_pickle=False)
    assert isinstance(array, np.ndarray)
    return array


def _is_empty(path: Path) -> bool:
    """Whether the array has no cells, which no system can map."""
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
    return 0 in shape


def file_of(folder: Path, name: str, array: np.ndarray) -> str:
    """The path of a file with the array: the one that it is mapped from, or a new one in ``folder``."""
    # The base of a part of a mapped array is the array, and that of the whole is the mapping itself.
    if isinstance(array, np.memmap) and isinstance(array.base, mmap) and str(array.filename).endswith(".npy"):
        return str(array.filename)
    path = folder / f"{name}.npy"
    np.save(path, array, allow_pickle=False)
    return str(path)
