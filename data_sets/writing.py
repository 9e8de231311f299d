"""Texts from texts with a known law: number words and digits, and a story whose question takes reasoning."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from data_sets.fetch import DATA

ROWS, NUMBERS = 12_000, 100_000
STORIES = 30_000
PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}
ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# Names are put together from syllables: so many, and the exam has so many of them for itself.
SYLLABLES = [consonant + vowel for consonant in "bdfghjklmnprstvwz" for vowel in "aeiou"]
ENDINGS = ("", "n", "r", "s", "l", "th", "ck")
NAMES, NAMES_OF_THE_EXAM = 4_000, 1_000


def asked_and_answered(name: str) -> Path:
    """A CSV file of ``asked``, ``answer`` and ``part``, of ``words``, ``digits`` or ``story``."""
    path = DATA / "written" / f"{name}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = random.Random(0)
        rows = stories(generator) if name == "story" else numbers(generator, name == "words")
        pl.DataFrame(list(rows), schema=["asked", "answer", "part"], orient="row").write_csv(path)
    return path


def in_words(number: int) -> str:
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    if number < 1000:
        return f"{ONES[number // 100]} hundred" + (f" and {in_words(number % 100)}" if number % 100 else "")
    rest = number % 1000
    joint = "" if not rest else " and " if rest < 100 else " "
    return f"{in_words(number // 1000)} thousand{joint}{in_words(rest) if rest else ''}"


def numbers(generator: random.Random, forth: bool) -> Iterator[tuple[str, str, str]]:
    drawn = generator.sample(range(NUMBERS), ROWS)
    for number, part in zip(drawn, parts(generator, ROWS), strict=True):
        pair = (in_words(number), str(number))
        yield (*(pair if forth else pair[::-1]), part)


def stories(generator: random.Random) -> Iterator[tuple[str, str, str]]:
    names = made_up(generator)
    for part in parts(generator, STORIES):
        known = names[:NAMES_OF_THE_EXAM] if part == "test" else names[NAMES_OF_THE_EXAM:]
        yield (*story(generator, known), part)


def made_up(generator: random.Random) -> list[str]:
    """Different names in any order."""
    names: dict[str, None] = {}
    while len(names) < NAMES:
        syllables = generator.choices(SYLLABLES, k=generator.choice((2, 2, 3)))
        names["".join(syllables).capitalize() + generator.choice(ENDINGS)] = None
    return list(names)


def story(generator: random.Random, names: list[str]) -> tuple[str, str]:
    older, younger, asked, other, idle = generator.sample(names, 5)
    age = generator.randint(6, 60)
    facts = [f"{older} is {age + 1}{old(generator)}.", f"{younger} is {age - 1}{old(generator)}."]
    if generator.random() < 0.7:
        facts.append(f"{other} is {generator.randint(5, 62)}{old(generator)}.")
    if generator.random() < 0.4:
        facts.append(f"{idle} likes {generator.choice(['soup', 'music', 'trains', 'the sea'])}.")
    generator.shuffle(facts)
    law = generator.choice(
        [
            f"{asked} is older than {younger}, and younger than {older}.",
            f"{asked} is younger than {older}, and older than {younger}.",
            f"{asked} is older than {younger}. {asked} is younger than {older}.",
            f"{older} is older than {asked}, and {asked} is older than {younger}.",
        ]
    )
    return f"{' '.join(facts)} {law} How old is {asked}?", str(age)


def old(generator: random.Random) -> str:
    return generator.choice([" years old", ""])


def parts(generator: random.Random, rows: int) -> list[str]:
    return generator.choices(list(PARTS), list(PARTS.values()), k=rows)
