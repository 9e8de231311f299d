"""Texts from texts with a known law: number words to digits and back, and a story whose question takes reasoning.

``words`` and ``digits``: "three hundred and five" and 305, numbers below 100,000, none of the exam's is learned from.
``story``: "Jack is 12 years old. Jane is 10. Kate is older than Jane, and younger than Jack. How old is Kate?" with
other orders and sentences that do not matter; names of the exam's people occur in no story that is learned from. Names
that were never seen are no known words, so stories are read in parts of words (`symbols=bpe`).

Bars: at least 0.99 of the answers right, letter for letter.
"""

from __future__ import annotations

import argparse

from benchmarks.common import heading, instar, read_report, scores, table, workshop
from data_sets.writing import asked_and_answered

BAR = 0.99


def examine(name: str, seed: int, settings: list[str]) -> tuple[object, ...]:
    own = ["symbols=bpe"] if name == "story" else []
    given = [word for setting in (*own, *settings) for word in ("--set", setting)]
    with workshop() as folder:
        path, out = asked_and_answered(name), folder / "model"
        done = instar(
            *("train", path, "--target", "answer", "--kind", "answer=text", "--kind", "asked=text", "--split", "part"),
            *("--out", out, "--seed", str(seed), "--no-rivals", *given),
            cache=folder / "cache",
        ).must_succeed()
        report, score = read_report(out), scores(out)["exact_match"]
    interval = f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"
    training = report["timings"]["training"]
    return name, seed, report["network"], score["rows"], interval, training, done.seconds, score["value"] >= BAR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="words,digits,story", help="names separated by commas; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Texts from texts")
    table(
        ("asked", "seed", "network", "test rows", "exact match", "seconds of training", "whole process", ">= 0.99"),
        [examine(name, arguments.seed, arguments.set) for name in arguments.only.split(",")],
    )


if __name__ == "__main__":
    main()
