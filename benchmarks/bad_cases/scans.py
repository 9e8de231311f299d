"""Bad scans: bombs, wrong headers, cut and disguised files, scans over time, slices that are missing or mixed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np

from benchmarks.bad_cases.base import DATA, FINE, Case, encoded, picture, train

SCANS = train("scans", target=None)
SIDE = 10


def voxels(label: int, number: int, side: int = SIDE) -> np.ndarray:
    """int16 (side, side, side): brighter in its middle or not, by its class."""
    noise = np.random.default_rng((label, number)).normal(0, 20, (side, side, side))
    noise[side // 3 : -side // 3, side // 3 : -side // 3, side // 3 : -side // 3] += 100 * label
    return noise.astype(np.int16)


def written(values: np.ndarray, spacing: float = 2.0) -> bytearray:
    stream = BytesIO()
    nibabel.Nifti1Image(values, np.diag([spacing, spacing, spacing, 1.0])).to_stream(stream)
    return bytearray(stream.getvalue())


def scans(folder: Path, each: int = 30) -> Path:
    """A good folder of scans per class."""
    for label, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            (folder / name / f"{number:03}.nii.gz").write_bytes(gzip.compress(bytes(written(voxels(label, number))), 1))
    return folder


def _changed(offset: int, content: bytes) -> bytes:
    changed = written(voxels(0, 1))
    changed[offset : offset + len(content)] = content
    return bytes(changed)


def spoilt_files() -> dict[str, bytes]:
    """Files that are no scan that can be read, by name. The offsets are those of the NIfTI-1 header."""
    good = bytes(written(voxels(0, 1)))
    packed = gzip.compress(good)
    sizes, dim, code, magic, offset, form = 40, "<i2", 70, 344, 108, 254
    huge = _changed(sizes, np.array([3, 30_000, 30_000, 30_000], dim).tobytes())
    without_matrix = bytearray(_changed(form, b"\0\0"))
    without_matrix[76:92] = np.array([1, np.nan, 0, -2], "<f4").tobytes()
    return {
        "empty.nii.gz": b"",
        "text.nii.gz": b"This is a text that somebody called a scan.\n" * 20,
        "page.nii": b"<!doctype html><title>404 Not Found</title>" * 20,
        "picture.nii": encoded(picture(0, 1, 64)) * 3,
        "noise.nii.gz": b"\x1f\x8b" + np.random.default_rng(0).bytes(2_000),
        "cut.nii": good[:900],
        "cut-header.nii": good[:200],
        "cut.nii.gz": packed[: len(packed) // 2],
        "cut-inside.nii.gz": gzip.compress(good[:900]),
        "wrong-sum.nii.gz": packed[:-8] + bytes(8),
        "bomb.nii.gz": gzip.compress(huge + bytes(32 << 20), 1),
        "bomb-in-bomb.nii.gz": gzip.compress(gzip.compress(huge)),
        "claims-more.nii.gz": gzip.compress(_changed(sizes, np.array([3, 500, 500, 500], dim).tobytes())),
        "no-voxels.nii": _changed(sizes, np.array([3, 10, 0, 10], dim).tobytes()),
        "negative.nii": _changed(sizes, np.array([3, 10, -10, 10], dim).tobytes()),
        "no-axes.nii": _changed(sizes, np.array([0, 10, 10, 10], dim).tobytes()),
        "two-axes.nii": _changed(sizes, np.array([2, 10, 10, 1], dim).tobytes()),
        "no-spacing.nii": bytes(without_matrix),
        "no-matrix.nii": _changed(280, bytes(16)),
        "unknown-type.nii": _changed(code, np.array([999], dim).tobytes()),
        "complex.nii": _changed(code, np.array([32], dim).tobytes()),
        "colors.nii": _changed(code, np.array([128], dim).tobytes()),
        "other-magic.nii": _changed(magic, b"n+9\0"),
        "two-files.nii": _changed(magic, b"ni1\0"),
        "far-content.nii": _changed(offset, np.array([1e30], "<f4").tobytes()),
        "over-time.nii.gz": gzip.compress(bytes(written(np.zeros((10, 10, 10, 40), np.int16)))),
        "no-number.nii": bytes(written(np.full((10, 10, 10), np.nan, np.float32))),
        "infinite.nii": bytes(written(np.where(voxels(0, 1) > 40, np.inf, 0).astype(np.float32))),
        "one-slice.dcm": bytes(128) + b"DICM" + bytes(2_000),
    }


def volumes() -> Iterator[Case]:
    """One bad file among good ones is said and survived, many end the run."""
    for name, content in spoilt_files().items():

        def one(folder: Path, name: str = name, content: bytes = content) -> None:
            (scans(folder / "scans") / "dark" / name).write_bytes(content)

        def many(folder: Path, name: str = name, content: bytes = content) -> None:
            scans(folder / "scans", each=6)
            for number in range(6):
                (folder / "scans" / "dark" / f"{number}-{name}").write_bytes(content)

        yield Case(f"scan/one/{name}", SCANS, FINE, (name.replace(".", r"\."),), one)
        yield Case(f"scan/many/{name}", SCANS, DATA, (r"scans",), many)

    def slices(folder: Path) -> None:
        place = scans(folder / "scans") / "dark" / "slices"
        place.mkdir()
        (place / "1.dcm").write_bytes(bytes(128) + b"DICM" + bytes(2_000))

    yield Case("scan/one/slices", SCANS, (*FINE, *DATA), (r"slices|pydicom",), slices)
