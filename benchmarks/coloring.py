"""Colors for gray stamps: those of Tux Paint (Debian's tuxpaint-stamps-default), hundreds of drawings and photographs.

Bar: a PSNR whose 95 % interval lies above what each cell's mean color reaches. The report shows gray, true and given
colors side by side.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.stamps import stamps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    parser.add_argument("--keep", type=Path, help="a new folder for the model and its report")
    arguments = parser.parse_args()
    heading("Colors for gray stamps")
    given = [word for setting in arguments.set for word in ("--set", setting)]
    rows = []
    for seed in range(arguments.seeds):
        with workshop() as folder:
            out = folder / "model" if arguments.keep is None else arguments.keep
            command = ("train", stamps(), "--restore", "color", "--out", out, "--seed", str(seed), *given)
            done = instar(*command, cache=folder / "cache").must_succeed()
            report = read_report(out)
        (target,) = report["targets"]
        score, likeness = target["metrics"]["psnr"], target["metrics"]["ssim"]["value"]
        rivals = {each["name"]: each["metrics"]["psnr"]["value"] for each in target["rivals"] if each["metrics"]}
        interval = f"{score['low']:.2f} to {score['high']:.2f}"
        training = report["timings"]["training"]
        others = [rivals.get(name, float("nan")) for name in ("usual_cells", "linear_filter", "cell_forest")]
        reached = score["low"] > rivals["usual_cells"]
        rows.append((seed, score["value"], interval, likeness, score["rows"], *others, training, done.seconds, reached))
    table(
        (
            *("seed", "PSNR", "95 % interval", "SSIM", "rows", "mean color of each cell", "linear filter"),
            *("forest, cell by cell", "seconds of training", "whole process", "reached"),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
