"""Small things in large scans: seen whole at fewer voxels, and in patches at all of them.

A scan, made from a seed, has 64 voxels of 1 mm a side: clouds of several sizes, a few large bright balls, noise, and
four to twelve specks, as bright as the balls and 2 to 5 voxels across, as lesions and vessels are. The mask says where
specks are. Dice is that of specks in the scans of the test, where these have their own voxels: what `predict` writes
beside the files of the masks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel
import numpy as np

from benchmarks.common import heading, instar, read_report, table, workshop

SIDE, SPECKS, BALLS = 64, (4, 13), (1, 4)
SCANS = {"train": 60, "validation": 20, "test": 24}
# The settings of each way of seeing a scan.
WAYS = {
    "whole, 48 a side (default)": (),
    "whole, 64 a side": ("volume_size=64", "volume_patch=64"),
    "patches of 48": ("volume_size=64",),
    "patches of 32": ("volume_size=64", "volume_patch=32"),
}


def scan(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values float32 and where specks are, bool, (64, 64, 64) each."""
    values = generator.normal(0, 0.3, (SIDE,) * 3)
    for size in (4, 8, 16, 32):
        clouds = generator.normal(0, 0.3, (SIDE // size + 1,) * 3)
        for axis in range(3):
            clouds = _stretched(clouds, axis)
        values += clouds
    balls, specks = (np.zeros((SIDE,) * 3, bool) for _ in range(2))
    for cells, number, least, most in ((balls, BALLS, 5.0, 9.0), (specks, SPECKS, 1.0, 2.5)):
        for _ in range(generator.integers(*number)):
            cells |= _ball(generator.uniform(3, SIDE - 3, 3), generator.uniform(least, most))
    specks &= ~balls
    values[balls | specks] += 1.5
    return values.astype(np.float32), specks


def _stretched(cells: np.ndarray, axis: int) -> np.ndarray:
    """As many cells along an axis as a scan has, between those that there are."""
    places = np.linspace(0, cells.shape[axis] - 1, SIDE)
    below = np.minimum(places.astype(int), cells.shape[axis] - 2)
    share = (places - below).reshape([-1 if each == axis else 1 for each in range(3)])
    return cells.take(below, axis) * (1 - share) + cells.take(below + 1, axis) * share


def _ball(middle: np.ndarray, radius: float) -> np.ndarray:
    deep, high, wide = np.ogrid[:SIDE, :SIDE, :SIDE]
    return (deep - middle[0]) ** 2 + (high - middle[1]) ** 2 + (wide - middle[2]) ** 2 <= radius**2


def write(folder: Path, seed: int) -> None:
    """train/images, train/masks and so on."""
    generator = np.random.default_rng(seed)
    for part, count in SCANS.items():
        for number in range(count):
            values, specks = scan(generator)
            for kind, cells in (("images", values), ("masks", specks.astype(np.uint8))):
                path = folder / part / kind / f"{number:03}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                nibabel.Nifti1Image(cells, np.eye(4)).to_filename(path)


def dice(answers: Path, masks: Path) -> float:
    both = total = 0
    for path in sorted(masks.iterdir()):
        said, right = (np.asarray(nibabel.load(each).dataobj) == 1 for each in (answers / path.name, path))
        both, total = both + int((said & right).sum()), total + int(said.sum() + right.sum())
    return 2 * both / total


def examine(way: str, seed: int, settings: list[str]) -> tuple[object, ...]:
    given = [word for setting in (*WAYS[way], *settings) for word in ("--set", setting)]
    with workshop() as folder:
        write(folder / "scans", seed)
        command = ("train", folder / "scans", "--out", folder / "model", "--seed", str(seed), "--no-rivals", *given)
        done = instar(*command, cache=folder / "cache").must_succeed()
        training = read_report(folder / "model")["timings"]["training"]
        asked = ("predict", folder / "model", folder / "scans/test/images", "--out", folder / "answers")
        answered = instar(*asked, cache=folder / "cache").must_succeed()
        score = dice(folder / "answers", folder / "scans/test/masks")
    return way, seed, score, training, done.seconds, answered.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--ways", type=int, nargs="*", default=range(len(WAYS)), help="of seeing a scan, from 0 on")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Small things in large scans")
    table(
        ("a scan is seen", "seed", "Dice of specks", "seconds of training", "whole process", "predict"),
        [
            examine(way, seed, arguments.set)
            for way in [list(WAYS)[number] for number in arguments.ways]
            for seed in range(arguments.seeds)
        ],
    )


if __name__ == "__main__":
    main()
