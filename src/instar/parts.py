"""The parts of a split, and the words by which tables and folders call them. Knows nothing else."""

from __future__ import annotations

TRAINING, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, 3

# The first word of each is the one that sources write.
WORDS = {
    TRAINING: ("train", "training"),
    VALIDATION: ("validation", "valid", "val", "dev"),
    TEST: ("test", "testing"),
}
# As reports call them.
NAMES = {TRAINING: "training", VALIDATION: "validation", TEST: "test"}

_PART_OF = {word: part for part, words in WORDS.items() for word in words}


def part_called(word: str) -> int | None:
    """The part that ``word`` means, however it is capitalized, or None."""
    return _PART_OF.get(word.strip().lower())
