"""The handwritten digits from the shell, as a newcomer runs them: the whole process's time and the test accuracy.

Bar: at most 30 seconds, and a test accuracy of at least 0.98 (mean of five seeds).
"""

from __future__ import annotations

import argparse
from statistics import fmean

from benchmarks.common import heading, instar, scores, spread, table, workshop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    heading("Digits from the shell")
    seconds, accuracies, rows = [], [], []
    for seed in range(seeds):
        with workshop() as folder:
            out = folder / "model"
            done = instar(
                *("train", "example:digits", "--no-rivals", "--seed", str(seed), "--out", out), cache=folder / "cache"
            ).must_succeed()
            accuracy = scores(out)["accuracy"]
        seconds.append(done.seconds)
        accuracies.append(accuracy["value"])
        rows.append((seed, done.seconds, accuracy["value"], f"{accuracy['low']:.4f} to {accuracy['high']:.4f}"))
    table(("seed", "seconds, whole process", "test accuracy", "95 % interval"), rows)
    table(
        ("figure", "measured", "bar", "reached"),
        [
            ("seconds, median (all)", spread(seconds), "<= 30", max(seconds) <= 30),
            ("test accuracy, mean", round(fmean(accuracies), 4), ">= 0.98", fmean(accuracies) >= 0.98),
        ],
    )


if __name__ == "__main__":
    main()
