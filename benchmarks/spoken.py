"""Five words spoken by 40 voices at four speeds (eSpeak NG, from the package `espeakng-loader`), told apart.

Voices are eSpeak's variants, each with one of its English accents. Every voice is examined by a network that never
heard it (`--group voice`; so few recordings are examined in folds), with default settings. What the defaults are chosen
by is another set, `--part development`: 40 other voices and five other words.

Bar: accuracy at least 0.97.
"""

from __future__ import annotations

import argparse

from benchmarks.common import heading, instar, read_report, scores, table, workshop
from data_sets.spoken import WORDS, spoken_words

BAR = 0.97


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(WORDS), default="exam")
    parser.add_argument("--seeds", default="0", help="separated by commas")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    folder = spoken_words(arguments.part)
    given = [word for setting in arguments.set for word in ("--set", setting)]
    rows = []
    heading(f"Spoken words, {arguments.part}")
    for seed in arguments.seeds.split(","):
        with workshop() as place:
            out = place / "model"
            done = instar(
                *("train", folder, "--target", "word", "--group", "voice", "--out", out, "--no-rivals"),
                *("--seed", seed, *given),
                cache=place / "cache",
            ).must_succeed()
            report, accuracy = read_report(out), scores(out)["accuracy"]
        interval = f"{accuracy['value']:.4f} ({accuracy['low']:.4f} to {accuracy['high']:.4f})"
        rows.append((seed, report["network"], accuracy["rows"], interval, accuracy["value"] >= BAR, done.seconds))
    table(("seed", "network", "rows examined", "accuracy", f">= {BAR}", "seconds, whole process"), rows)


if __name__ == "__main__":
    main()
