"""White matter in slices of a brain, cell by cell, on a slab that nothing was learned from.

The brain is the MNI template (see `data_sets.brain`). A patch of 48 x 48 mm is cut from a slice of its T1 image, with
noise, a contrast and a brightness of its own, as scanners give; its mask says where white matter is the larger part of
a voxel. Patches lie within slabs from back to front that have no voxel in common (the template's left and right are
each other's mirror): one is the exam's, one ends the training. Both are folders side by side.
Bar: Dice of white matter of at least 0.9.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.brain import brain

SIDE, LEAST_BRAIN = 48, 0.5
# Of the slabs from back to front: which part of the examples each is.
SLABS = (*("train",) * 3, "validation", "train", "test", *("train",) * 4)
PATCHES = 130


def patches(folder: Path, seed: int) -> None:
    """train/images, train/masks and so on, ``PATCHES`` of each slab."""
    parts, generator = brain(), np.random.default_rng(seed)
    image, gray, white = (parts[name] / parts[name].max() for name in ("t1", "gm", "wm"))
    head = gray + white > LEAST_BRAIN
    front = np.flatnonzero(head.any(axis=(0, 2)))
    ends = np.linspace(front[0], front[-1] + 1, len(SLABS) + 1).astype(int)
    for slab, part in enumerate(SLABS):
        for kind in ("images", "masks"):
            (folder / part / kind).mkdir(parents=True, exist_ok=True)
        places = [
            (place, *corner) for place in range(ends[slab], ends[slab + 1]) for corner in _corners(head[:, place])
        ]
        for number in generator.choice(len(places), min(PATCHES, len(places)), replace=False):
            place, left, bottom = places[number]
            window = (slice(left, left + SIDE), place, slice(bottom, bottom + SIDE))
            seen = image[window] * generator.uniform(120, 200) + generator.uniform(0, 40)
            seen = np.clip(seen + generator.normal(0, 5, seen.shape), 0, 255).astype(np.uint8)
            truth = np.where(white[window] > 0.5, 255, 0).astype(np.uint8)
            name = f"{slab}-{number:05}.png"
            Image.fromarray(seen).save(folder / part / "images" / name)
            Image.fromarray(truth).save(folder / part / "masks" / name)


def _corners(head: np.ndarray) -> list[tuple[int, int]]:
    """Where a patch of a slice that shows enough of the brain begins, every 12 voxels."""
    return [
        (left, bottom)
        for left in range(0, head.shape[0] - SIDE, 12)
        for bottom in range(0, head.shape[1] - SIDE, 12)
        if head[left : left + SIDE, bottom : bottom + SIDE].mean() > LEAST_BRAIN
    ]


def examine(seed: int, settings: list[str]) -> tuple[object, ...]:
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as folder:
        patches(folder / "brain", seed)
        command = ("train", folder / "brain", "--out", folder / "model", "--seed", str(seed), *given)
        done = instar(*command, cache=folder / "cache").must_succeed()
        report = read_report(folder / "model")
    (target,) = report["targets"]
    score = next(each["metrics"]["dice"] for each in target["labels"] if each["name"] == "255")
    rivals = {each["name"]: each["metrics"]["mean_dice"]["value"] for each in target["rivals"] if each["metrics"]}
    interval = f"{score['low']:.4f} to {score['high']:.4f}"
    mean = target["metrics"]["mean_dice"]["value"]
    others = [rivals.get(name, float("nan")) for name in ("usual_cells", "cell_forest")]
    times = report["timings"]["training"], done.seconds
    return seed, score["value"], interval, score["rows"], mean, *others, *times, score["value"] >= 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("White matter, cell by cell")
    table(
        (
            *("seed", "Dice of white matter", "95 % interval", "rows", "mean Dice", "each cell's most frequent class"),
            *("forest, cell by cell", "seconds of training", "whole process", "reached"),
        ),
        [examine(seed, arguments.set) for seed in range(arguments.seeds)],
    )


if __name__ == "__main__":
    main()
