"""White matter in a brain, cell by cell, on a slab that nothing was learned from.

The brain is the MNI template (see `data_sets.brain`), its T1 image with noise, a contrast and a brightness of its own
in each example, as scanners give; a mask says where white matter is the larger part of a voxel. With two axes an
example is a patch of 48 x 48 mm of a slice, in PNG; with three a block of 32 x 16 x 32 mm, in NIfTI, every other one
written from the other side. Examples lie within slabs from back to front that have no voxel in common (the template's
left and right are each other's mirror): one is the exam's, one ends the training. Both are folders side by side.
Bar: Dice of white matter of at least 0.9.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.brain import brain

# Millimeters from left to right, from back to front and from feet to head, by axes.
SIZES = {2: (48, 1, 48), 3: (32, 16, 32)}
LEAST_BRAIN, STEP = 0.5, 12
# Of the slabs from back to front: which part of the examples each is; and how many each has at most, by axes.
SLABS = (*("train",) * 3, "validation", "train", "test", *("train",) * 4)
PATCHES = {2: 130, 3: 40}
# By axes: what white matter is called in masks, which are white on black where they are pictures.
WHITE = {2: "255", 3: "1"}


def patches(folder: Path, seed: int, axes: int) -> None:
    """train/images, train/masks and so on, so many of each slab."""
    parts, generator = brain(), np.random.default_rng(seed)
    image, gray, white = (parts[name] / parts[name].max() for name in ("t1", "gm", "wm"))
    head = gray + white > LEAST_BRAIN
    front = np.flatnonzero(head.any(axis=(0, 2)))
    ends = np.linspace(front[0], front[-1] + 1, len(SLABS) + 1).astype(int)
    for slab, part in enumerate(SLABS):
        for kind in ("images", "masks"):
            (folder / part / kind).mkdir(parents=True, exist_ok=True)
        places = list(_windows(head, (int(ends[slab]), int(ends[slab + 1])), SIZES[axes]))
        for number in generator.choice(len(places), min(PATCHES[axes], len(places)), replace=False):
            window = places[number]
            seen = image[window] * generator.uniform(120, 200) + generator.uniform(0, 40)
            seen = np.clip(seen + generator.normal(0, 5, seen.shape), 0, 255).astype(np.uint8)
            for kind, cells in (("images", seen), ("masks", white[window] > 0.5)):
                _write(folder / part / kind / f"{slab}-{number:05}", cells, turned=number % 2 == 1)


def _write(path: Path, cells: np.ndarray, *, turned: bool) -> None:
    """Bytes, or what is true of a cell, as a slice in PNG or a block in NIfTI."""
    if cells.shape[1] == 1:
        shades = cells[:, 0].astype(np.uint8) * (255 if cells.dtype == bool else 1)
        Image.fromarray(shades).save(path.with_name(path.name + ".png"))
        return
    affine = np.diag([-1.0 if turned else 1.0, 1.0, 1.0, 1.0])
    voxels = (cells[::-1] if turned else cells).astype(np.uint8)
    nibabel.Nifti1Image(voxels, affine).to_filename(path.with_name(path.name + ".nii.gz"))


def _windows(head: np.ndarray, slab: tuple[int, int], size: tuple[int, int, int]) -> Iterator[tuple[slice, ...]]:
    """What shows enough of the brain, every few voxels across a slab and every one along it."""
    wide, long, tall = size
    for place in range(slab[0], slab[1] - long + 1):
        for left in range(0, head.shape[0] - wide, STEP):
            for bottom in range(0, head.shape[2] - tall, STEP):
                window = (slice(left, left + wide), slice(place, place + long), slice(bottom, bottom + tall))
                if head[window].mean() > LEAST_BRAIN:
                    yield window


def examine(seed: int, settings: list[str], axes: int) -> tuple[object, ...]:
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as folder:
        patches(folder / "brain", seed, axes)
        command = ("train", folder / "brain", "--out", folder / "model", "--seed", str(seed), *given)
        done = instar(*command, cache=folder / "cache").must_succeed()
        report = read_report(folder / "model")
    (target,) = report["targets"]
    score = next(each["metrics"]["dice"] for each in target["labels"] if each["name"] == WHITE[axes])
    rivals = {each["name"]: each["metrics"]["mean_dice"]["value"] for each in target["rivals"] if each["metrics"]}
    interval = f"{score['low']:.4f} to {score['high']:.4f}"
    mean = target["metrics"]["mean_dice"]["value"]
    others = [rivals.get(name, float("nan")) for name in ("usual_cells", "cell_forest")]
    times = report["timings"]["training"], done.seconds
    return seed, score["value"], interval, score["rows"], mean, *others, *times, score["value"] >= 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--axes", type=int, choices=sorted(SIZES), default=2, help="slices, or blocks")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading(f"White matter, cell by cell, {arguments.axes} axes")
    table(
        (
            *("seed", "Dice of white matter", "95 % interval", "rows", "mean Dice", "each cell's most frequent class"),
            *("forest, cell by cell", "seconds of training", "whole process", "reached"),
        ),
        [examine(seed, arguments.set, arguments.axes) for seed in range(arguments.seeds)],
    )


if __name__ == "__main__":
    main()
