"""Gray against white matter in small stretches of a brain, the default network beside its rivals.

The brain is the MNI template of T1-weighted magnetic resonance images (ICBM 152 2009a, Fonov et al. 2011), whose tissue
maps say at each place how likely it is to be gray or white matter; nilearn ships them, 1 mm a voxel. A patch of 12
voxels a side is cut around a voxel that is surely of one kind, and saved as a .nii.gz with noise, a contrast and a
brightness of its own, as scanners give, so that the middle alone does not tell. Patches are cut within slabs from back
to front, which have no voxel in common, and `--group slab` keeps slabs whole: the test's are never seen in training.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np

from benchmarks.common import DATA, heading, instar, read_report, table, workshop

PACKAGE = "nilearn==0.14.1"
FILES = {part: f"mni_icbm152_{part}_tal_nlin_sym_09a_converted.nii.gz" for part in ("t1", "gm", "wm")}
SIDE, SLABS, PATCHES = 12, 10, 1_200
SURELY = 0.9


def brain() -> dict[str, np.ndarray]:
    """The T1 image and the maps of gray and white matter, (width, height, depth); fetched once."""
    folder = DATA / "brain"
    if not all((folder / name).exists() for name in FILES.values()):
        folder.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(fetch, check=True)
        (wheel,) = folder.glob("nilearn-*.whl")
        with zipfile.ZipFile(wheel) as packed:
            for name in FILES.values():
                (folder / name).write_bytes(packed.read(f"nilearn/datasets/data/{name}"))
        wheel.unlink()
    found = {part: nibabel.load(folder / name) for part, name in FILES.items()}
    return {part: np.asarray(image.dataobj, np.float32) for part, image in found.items()}


def patches(folder: Path, seed: int) -> None:
    """Scans and a metadata.csv with the slab and the tissue of each."""
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


def examine(seed: int, settings: list[str]) -> None:
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as place:
        folder, out = place / "patches", place / "model"
        folder.mkdir()
        patches(folder, seed)
        done = instar(
            *("train", folder, "--target", "tissue", "--group", "slab", "--out", out, "--seed", str(seed), *given),
            cache=place / "cache",
        ).must_succeed()
        report = read_report(out)
        shutil.rmtree(folder)
    (target,) = report["targets"]
    entrants = [(report["network"], target["metrics"], report["timings"]["training"])]
    entrants += [(each["title"], each["metrics"], each["seconds"]) for each in target["rivals"] if each["metrics"]]
    table(
        ("seed", "method", "test accuracy", "95 % interval", "test rows", "seconds of training"),
        [
            (
                *(seed, name, scores["accuracy"]["value"]),
                f"{scores['accuracy']['low']:.4f} to {scores['accuracy']['high']:.4f}",
                *(scores["accuracy"]["rows"], seconds),
            )
            for name, scores, seconds in entrants
        ],
    )
    print(f"seed {seed}: {done.seconds:.0f} s for the whole process\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Scans")
    for seed in range(arguments.seeds):
        examine(seed, arguments.set)


if __name__ == "__main__":
    main()
