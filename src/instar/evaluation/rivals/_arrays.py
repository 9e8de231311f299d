"""Arrays in .npy files, written a block at a time and mapped: only rivals hold in memory what they learn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from mmap import mmap
from pathlib import Path

import numpy as np

from instar.evaluation.rivals.base import Inputs
from instar.files import writing
from instar.shapes import Grid, Tokens

# Of numbers, codes and tokens, in files: what estimators take, four bytes each.
PARTS = {"numbers": np.dtype("<f4"), "codes": np.dtype("<i4"), "tokens": np.dtype("<i4")}


def write_inputs(
    folder: Path,
    name: str,
    rows: int,
    blocks: Iterable[Sequence[np.ndarray]],
    cardinalities: Sequence[int] = (),
    sequences: Sequence[Tokens] = (),
    grids: Sequence[Grid] = (),
) -> Inputs:
    """The ``blocks`` of numbers, codes and tokens (n, width), ``rows`` rows in all, as mapped files in ``folder``.

    They are written and not mapped for writing, since a full disk then ends the process. Raises FolderError.
    """
    remaining = iter(blocks)
    first = next(remaining, None)
    if first is None:
        first = [np.zeros((0, 0))] * len(PARTS)
    paths = [folder / f"{name}-{part}.npy" for part in PARTS]
    with writing(folder), ExitStack() as opened:
        streams = [opened.enter_context(path.open("wb")) for path in paths]
        for stream, dtype, array in zip(streams, PARTS.values(), first, strict=True):
            header = {"descr": dtype.str, "fortran_order": False, "shape": (rows, array.shape[1])}
            np.lib.format.write_array_header_1_0(stream, header)
        for block in chain([first], remaining):
            for stream, dtype, array in zip(streams, PARTS.values(), block, strict=True):
                stream.write(np.ascontiguousarray(array, dtype).data)
    numbers, codes, tokens = map(read_array, paths)
    return Inputs(numbers, codes, tuple(cardinalities), tokens, tuple(sequences), tuple(grids))


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


def arrays_of(inputs: Inputs, part: str) -> dict[str, np.ndarray]:
    """Inputs as arrays whose names begin with ``part``: content, and what its columns are."""
    tokens = np.zeros((len(inputs), 0), np.int32) if inputs.tokens is None else inputs.tokens
    axes = max((len(grid.extent) for grid in inputs.grids), default=0)
    # Rows as long as that of the most axes; no axis is 0 long.
    grids = [
        [grid.channels, grid.timed, grid.ahead, *grid.extent] + [0] * (axes - len(grid.extent)) for grid in inputs.grids
    ]
    sequences = [[shape.vocabulary, shape.length] for shape in inputs.sequences]
    return {
        f"{part}-numbers": inputs.numbers,
        f"{part}-codes": inputs.codes,
        f"{part}-tokens": tokens,
        f"{part}-cardinalities": np.array(inputs.cardinalities, np.int64),
        f"{part}-sequences": np.array(sequences, np.int64).reshape(-1, 2),
        f"{part}-grids": np.array(grids, np.int64).reshape(-1, 3 + axes),
    }


def inputs_of(arrays: Mapping[str, np.ndarray], part: str) -> Inputs:
    """The inputs whose `arrays_of` these are."""
    numbers, codes, tokens, cardinalities, sequences, grids = (
        arrays[f"{part}-{name}"] for name in ("numbers", "codes", "tokens", "cardinalities", "sequences", "grids")
    )
    return Inputs(
        numbers,
        codes,
        tuple(cardinalities.tolist()),
        tokens,
        tuple(Tokens(*row) for row in sequences.tolist()),
        tuple(
            Grid(channels, tuple(filter(None, extent)), bool(timed), ahead)
            for channels, timed, ahead, *extent in grids.tolist()
        ),
    )
