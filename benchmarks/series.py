"""Four series of the archives of UEA and UCR (Bagnall et al. 2018) from the package `aeon`, the default network.

The test is the one that the archives give. Bars: test accuracies of at least 0.97 (JapaneseVowels: 12 channels, 7 to 29
steps), 0.96 (ItalyPowerDemand: 24 steps, 67 rows), 0.93 (OSULeaf: 427 steps) and 0.97 (BasicMotions: 6 channels, 40
rows), each within 5 minutes for the whole process.
"""

from __future__ import annotations

import argparse

from benchmarks.common import heading, instar, read_report, scores, table, workshop
from data_sets.series import archive

BARS = {"JapaneseVowels": 0.97, "ItalyPowerDemand": 0.96, "OSULeaf": 0.93, "BasicMotions": 0.97}
SECONDS = 300


def examine(name: str, seed: int, settings: list[str]) -> tuple[object, ...]:
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as folder:
        out = folder / "model"
        done = instar(
            *("train", archive(name), "--out", out, "--seed", str(seed), "--no-rivals", *given), cache=folder / "cache"
        ).must_succeed()
        report, score = read_report(out), scores(out)["accuracy"]
    interval = f"{score['low']:.4f} to {score['high']:.4f}"
    reached = score["value"] >= BARS[name] and done.seconds <= SECONDS
    network, training = report["network"], report["timings"]["training"]
    return name, seed, network, score["value"], interval, score["rows"], training, done.seconds, BARS[name], reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(BARS), help="names separated by commas; default: all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Series over time")
    rows = [examine(name, seed, arguments.set) for name in arguments.only.split(",") for seed in range(arguments.seeds)]
    table(
        (
            *("series", "seed", "network", "test accuracy", "95 % interval", "test rows"),
            *("seconds of training", "whole process", "bar", "reached"),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
