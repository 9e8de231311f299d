"""A brain and where it is gray and white matter, 1 mm a voxel: the MNI template that `nilearn` ships.

Of T1-weighted magnetic resonance images (ICBM 152 2009a, Fonov et al. 2011; free to use, copy and distribute).
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np

from data_sets.fetch import DATA, making, wheel

PACKAGE = "nilearn==0.14.1"
FILES = {part: f"mni_icbm152_{part}_tal_nlin_sym_09a_converted.nii.gz" for part in ("t1", "gm", "wm")}
SIDE, SLABS, PATCHES = 12, 10, 1_200
SURELY = 0.9


def brain() -> dict[str, np.ndarray]:
    """The T1 image and the maps of gray and white matter, (width, height, depth)."""
    folder = DATA / "brain"
    if not all((folder / name).exists() for name in FILES.values()):
        folder.mkdir(parents=True, exist_ok=True)
        with wheel(PACKAGE) as content:
            for name in FILES.values():
                shutil.copy(content / "nilearn/datasets/data" / name, folder / name)
    found = {part: nibabel.load(folder / name) for part, name in FILES.items()}
    return {part: np.asarray(image.dataobj, np.float32) for part, image in found.items()}


def tissue_patches(seed: int = 0) -> Path:
    """Scans of ``SIDE`` voxels a side and a metadata.csv: ``file_name``, ``slab``, ``tissue``.

    Each is cut around a voxel that is surely gray or surely white matter, and has noise, a contrast and a brightness of
    its own, as scanners give. Slabs lie from back to front and have no voxel in common.
    """
    place = DATA / f"tissue-patches-{seed}"
    if not place.exists():
        with making(place) as folder:
            _write_patches(folder, seed)
    return place


def _write_patches(folder: Path, seed: int) -> None:
    parts, generator = brain(), np.random.default_rng(seed)
    image, gray, white = (parts[name] / parts[name].max() for name in ("t1", "gm", "wm"))
    half = SIDE // 2
    kinds = {"gray": gray > SURELY * gray.max(), "white": white > SURELY * white.max()}
    # What is large enough around a voxel to be cut lies in one slab alone.
    inside = np.zeros(image.shape, bool)
    inside[half:-half, half:-half, half:-half] = True
    front = np.flatnonzero((gray + white > 0.5).any(axis=(0, 2)))
    ends = np.linspace(front[0], front[-1] + 1, SLABS + 1).astype(int)
    rows = []
    for slab in range(SLABS):
        within = inside.copy()
        within[:, : ends[slab] + half] = False
        within[:, max(ends[slab + 1] - half + 1, 0) :] = False
        for tissue, certain in kinds.items():
            places = np.argwhere(certain & within)
            for number, place in enumerate(
                generator.choice(places, min(len(places), PATCHES // SLABS // 2), replace=False)
            ):
                cut = image[tuple(slice(each - half, each + half) for each in place)]
                seen = generator.uniform(50, 800) * (
                    cut + generator.uniform(0, 0.5) + generator.normal(0, 0.05, cut.shape)
                )
                name = f"{slab:02}-{tissue}-{number:03}.nii.gz"
                nibabel.Nifti1Image(seen.astype(np.int16), np.eye(4)).to_filename(folder / name)
                rows.append((name, f"slab {slab}", tissue))
    with (folder / "metadata.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file_name", "slab", "tissue"), *rows])
