"""A photo, a sentence and a number make one record; the network of all of them beside those of each part alone.

Photos are the 1,797 handwritten digits that scikit-learn ships, one in each record; a tenth of them is missing, and a
tenth of the sentences. What is to be answered follows from all three parts, and no part alone says much of it:

- ``sum``: low, middle or high, by the sum of the digit, of what the sentence praises, and of the number.
- ``rule``: whether the number keeps the rule that the sentence sets for it with the digit (at least, at most). Here
  each part alone says nothing at all: only together they have a meaning.

Default settings; the intervals are of the difference on the same test rows, by a paired bootstrap.
Bar: the fused network better than each part alone by its interval.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.common import DATA, heading, instar, read_report, table, workshop

PARTS = ("photo", "sentence", "number")
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
MISSING, SIDE, DRAWS = 0.1, 24, 2_000
PRAISE = {0: ("broken", "worthless"), 1: ("worn", "faded"), 2: ("decent", "usable"), 3: ("flawless", "superb")}
RULES = {True: ("at least", "no less than", "not below"), False: ("at most", "no more than", "not above")}
OPENINGS = ("{name} says", "{name} wrote to us on {day}", "According to a note by {name}", "On {day} {name} told us")
NAMES = ("Ada", "Bruno", "Clara", "Dario", "Edith", "Fritz", "Greta", "Hugo", "Irma", "Jonas", "Klara", "Lino")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CLOSINGS = ("as far as we know", "since last summer", "and nothing else was said", "if that is of any use", "today")


def _of_sums(digits: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Sentences and answers by the first law; numbers are from 0 to 9."""
    levels = generator.integers(0, 4, len(digits))
    sentences = [f"that it is {generator.choice(PRAISE[level])}" for level in levels]
    sums = digits / 9 + levels / 3 + numbers / 9
    low, high = np.quantile(sums, (1 / 3, 2 / 3))
    return sentences, np.select([sums < low, sums < high], ["low", "middle"], "high")


def _of_rules(digits: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Sentences and answers by the second law."""
    above = generator.random(len(digits)) < 0.5
    sentences = [f"that it has to be {generator.choice(RULES[bool(each)])} the digit" for each in above]
    return sentences, np.where((numbers >= digits) == above, "kept", "broken")


LAWS = {"sum": _of_sums, "rule": _of_rules}


def records(law: str) -> Path:
    """A table whose column ``photo`` names PNG files beside it. Made once."""
    folder = DATA / f"mixed-{law}"
    if folder.exists():
        return folder / "records.csv"
    generator = np.random.default_rng(0)
    images, digits = load_digits(return_X_y=True)
    numbers = generator.uniform(0, 9, len(digits))
    sentences, answers = LAWS[law](digits, numbers, generator)
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    (making / "photos").mkdir(parents=True)
    for row, image in enumerate(images):
        gray = Image.fromarray((255 * image.reshape(8, 8) / 16).astype(np.uint8))
        gray.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(making / "photos" / f"{row:04}.png")
    told = [
        f"{generator.choice(OPENINGS)} {each} {generator.choice(CLOSINGS)}.".format(
            name=generator.choice(NAMES), day=generator.choice(DAYS)
        )
        for each in sentences
    ]
    absent = generator.random((2, len(digits))) < MISSING
    parts = np.repeat(list(SHARES), [round(share * len(digits)) + 1 for share in SHARES.values()])[: len(digits)]
    pl.DataFrame(
        {
            "photo": [None if gone else f"photos/{row:04}.png" for row, gone in enumerate(absent[0])],
            "sentence": [None if gone else text for text, gone in zip(told, absent[1], strict=True)],
            "number": numbers.round(2),
            "answer": answers,
            "part": generator.permutation(parts),
        }
    ).write_csv(making / "records.csv")
    making.rename(folder)
    return folder / "records.csv"


def learn(path: Path, kept: tuple[str, ...], seed: int, settings: list[str]) -> tuple[np.ndarray, str, float]:
    """What the network of these parts answers for the test rows, which network it is, and seconds."""
    excluded = [word for part in PARTS if part not in kept for word in ("--exclude", part)]
    given = [word for setting in settings for word in ("--set", setting)]
    frame = pl.read_csv(path)
    asked = frame.filter(pl.col("part") == "test").select(*PARTS)
    with workshop() as place:
        out, new = place / "model", path.with_name(f"new-{place.name}.csv")
        done = instar(
            *("train", path, "--target", "answer", "--split", "part", "--out", out, "--no-rivals"),
            *("--seed", str(seed), *excluded, *given),
            cache=place / "cache",
        ).must_succeed()
        asked.write_csv(new)
        try:
            answered = instar("predict", out, new, "--csv", cache=place / "cache").must_succeed().stdout
        finally:
            new.unlink()
        network = read_report(out)["network"]
    return pl.read_csv(io.StringIO(answered))["prediction"].to_numpy(), network, done.seconds


def compare(law: str, seed: int, settings: list[str]) -> list[tuple[object, ...]]:
    path = records(law)
    truth = pl.read_csv(path).filter(pl.col("part") == "test")["answer"].to_numpy()
    right, rows = {}, []
    drawn = np.random.default_rng(0).integers(0, len(truth), (DRAWS, len(truth)))
    for kept in (PARTS, *((part,) for part in PARTS)):
        answers, network, seconds = learn(path, kept, seed, settings)
        right[kept] = answers == truth
        ahead = right[PARTS].astype(float) - right[kept]
        low, high = np.quantile(ahead[drawn].mean(axis=1), (0.025, 0.975))
        lead = "" if kept == PARTS else f"{ahead.mean():.3f} ({low:.3f} to {high:.3f})"
        better = "" if kept == PARTS else bool(low > 0)
        rows.append((law, seed, " + ".join(kept), network, float(right[kept].mean()), lead, better, seconds))
        print(f"- {rows[-1]}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(LAWS), help="laws separated by commas; default: all")
    parser.add_argument("--seeds", default="0", help="separated by commas")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Records of a photo, a sentence and a number")
    rows = [
        row
        for law in arguments.only.split(",")
        for seed in arguments.seeds.split(",")
        for row in compare(law, int(seed), arguments.set)
    ]
    print()
    head = ("law", "seed", "parts", "network", "accuracy", "the fused one is ahead by", "by its interval", "seconds")
    table(head, rows)
    leads = [bool(row[6]) for row in rows if row[6] != ""]
    figure = f"{sum(leads)} of {len(leads)}"
    table(("figure", "measured", "bar", "reached"), [("better than a part alone", figure, "all", all(leads))])


if __name__ == "__main__":
    main()
