"""Gray against white matter in small stretches of a brain, the default network beside its rivals.

The brain is the MNI template of T1-weighted magnetic resonance images (ICBM 152 2009a, Fonov et al. 2011), whose tissue
maps say at each place how likely it is to be gray or white matter; nilearn ships them, 1 mm a voxel. A patch of 12
voxels a side is cut around a voxel that is surely of one kind, and saved as a .nii.gz with noise, a contrast and a
brightness of its own, as scanners give, so that the middle alone does not tell. Patches are cut within slabs from back
to front, which have no voxel in common, and `--group slab` keeps slabs whole: the test's are never seen in training.
"""

from __future__ import annotations

import argparse

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.brain import tissue_patches


def examine(seed: int, settings: list[str]) -> None:
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as place:
        out = place / "model"
        done = instar(
            *(
                "train",
                tissue_patches(seed),
                "--target",
                "tissue",
                "--group",
                "slab",
                "--out",
                out,
                "--seed",
                str(seed),
                *given,
            ),
            cache=place / "cache",
        ).must_succeed()
        report = read_report(out)
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
