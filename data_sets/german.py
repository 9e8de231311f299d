"""Sentences in English and German, made with a grammar: genders, cases, and verbs that go to the end."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl

from data_sets.fetch import DATA

PAIRS = 8_000
PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}
# English noun: German noun and gender.
NOUNS = {
    "man": ("Mann", "m"), "woman": ("Frau", "f"), "child": ("Kind", "n"), "dog": ("Hund", "m"), "cat": ("Katze", "f"),
    "horse": ("Pferd", "n"), "king": ("König", "m"), "queen": ("Königin", "f"), "girl": ("Mädchen", "n"),
    "baker": ("Bäcker", "m"), "duck": ("Ente", "f"), "sheep": ("Schaf", "n"), "judge": ("Richter", "m"),
    "nurse": ("Pflegerin", "f"), "bird": ("Vogel", "m"), "mouse": ("Maus", "f"),
}  # fmt: skip
ADJECTIVES = {
    "old": "alt", "young": "jung", "small": "klein", "big": "groß", "tired": "müde", "clever": "klug", "wild": "wild",
    "quiet": "still", "happy": "froh", "strange": "seltsam",
}  # fmt: skip
VERBS = {
    "sees": "sieht", "finds": "findet", "loves": "liebt", "hears": "hört", "seeks": "sucht", "greets": "grüßt",
    "follows": "verfolgt", "asks": "fragt", "carries": "trägt", "knows": "kennt",
}  # fmt: skip
TIMES = {"today": "heute", "often": "oft", "now": "jetzt", "always": "immer"}
SAYINGS = {"I think that": "ich glaube, dass", "she says that": "sie sagt, dass", "we hope that": "wir hoffen, dass"}
ARTICLES = {
    ("the", "subject"): {"m": "der", "f": "die", "n": "das"},
    ("the", "object"): {"m": "den", "f": "die", "n": "das"},
    ("a", "subject"): {"m": "ein", "f": "eine", "n": "ein"},
    ("a", "object"): {"m": "einen", "f": "eine", "n": "ein"},
}
ENDINGS = {
    ("the", "subject"): {"m": "e", "f": "e", "n": "e"},
    ("the", "object"): {"m": "en", "f": "e", "n": "e"},
    ("a", "subject"): {"m": "er", "f": "e", "n": "es"},
    ("a", "object"): {"m": "en", "f": "e", "n": "es"},
}


def english_german() -> Path:
    """A CSV file of ``english``, ``german`` and ``part``; no sentence of the test occurs in the training."""
    path = DATA / "english-german.csv"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        generator, pairs = random.Random(0), {}
        while len(pairs) < PAIRS:
            english, german = _sentence(generator)
            pairs[english] = german
        parts = generator.choices(list(PARTS), list(PARTS.values()), k=PAIRS)
        pl.DataFrame({"english": list(pairs), "german": list(pairs.values()), "part": parts}).write_csv(path)
    return path


def _sentence(generator: random.Random) -> tuple[str, str]:
    (someone, jemand), (other, anderen) = _phrase(generator, "subject"), _phrase(generator, "object")
    verb, german_verb = generator.choice(list(VERBS.items()))
    time, german_time = generator.choice([*TIMES.items(), ("", "")])
    saying, german_saying = generator.choice([*SAYINGS.items(), ("", "")])
    english = [saying, someone, verb, other, time]
    if saying:  # the verb goes to the end
        german = [german_saying, jemand, german_time, anderen, german_verb]
    elif time and generator.random() < 0.5:  # what comes first turns subject and verb around
        english = [time, someone, verb, other]
        german = [german_time, german_verb, jemand, anderen]
    else:
        german = [jemand, german_verb, german_time, anderen]
    return " ".join(filter(None, english)), " ".join(filter(None, german))


def _phrase(generator: random.Random, case: str) -> tuple[str, str]:
    noun, (german, gender) = generator.choice(list(NOUNS.items()))
    article = generator.choice(["the", "a"])
    adjective, stem = generator.choice([*ADJECTIVES.items(), ("", "")])
    ending = ENDINGS[article, case][gender] if stem else ""
    stem = stem[:-1] if stem.endswith("e") and ending else stem  # müde, müder
    said = "an" if article == "a" and (adjective or noun)[0] in "aeiou" else article
    words = [ARTICLES[article, case][gender], stem + ending, german]
    return " ".join(filter(None, [said, adjective, noun])), " ".join(filter(None, words))
