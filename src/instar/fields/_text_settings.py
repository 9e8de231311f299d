"""What can be said of how texts are read, and the bounds of what a model folder may say."""

from __future__ import annotations

from dataclasses import dataclass

from instar.fields._symbols import LARGEST_VOCABULARY, WAYS, Parts, Words
from instar.pretrained import CONFIGURATION, HUB, KNOWN, VOCABULARY, WEIGHTS
from instar.settings import Settings, setting

# The share of training texts that fit into the length, and the longest that it becomes by itself.
WHOLE_TEXTS, LONGEST = 0.98, 512
# A pretrained encoder takes as long for a step as a whole small network for a text, and most have seen few longer ones.
LONGEST_PRETRAINED = 128
# Groups of letters serve where words are met too seldom to be learned, and cost much time where texts are many or long.
SHORTEST_SUBWORD, LONGEST_SUBWORD, LARGEST_SUBWORD = 2, 5, 8
MOST_TEXTS, MOST_SUBWORDS = 100_000, 1_024
LARGEST_LENGTH, LARGEST_TEXT = 16_384, 1 << 20


@dataclass(frozen=True)
class TextSettings(Settings):
    """What a text is taken apart into, and how much of it is read."""

    pretrained: str = setting(
        "none",
        "an encoder that has read other texts before, to learn on from what it knows: its vocabulary and its network; "
        f"{', '.join(KNOWN)} (English), a folder with {CONFIGURATION}, {VOCABULARY} and {WEIGHTS}, or {HUB}OWNER/NAME",
        source="Devlin, Chang, Lee & Toutanova 2019; Wang et al. 2020; Reimers & Gurevych 2019",
    )
    symbols: str = setting(
        "auto",
        "what a text is a sequence of; bpe are parts of words; auto takes characters for scripts without spaces and "
        "for very short texts, parts where many words are rare, and else words",
        choices=("auto", *WAYS),
        source="Sennrich, Haddow & Birch 2016 for bpe",
    )
    vocabulary: int | None = setting(
        None,
        f"most symbols with a place of their own, the most frequent ones; nothing said: {Words.customary:,} words or "
        f"characters, {Parts.customary:,} parts of words",
        minimum=1,
        maximum=LARGEST_VOCABULARY,
    )
    minimum_uses: int = setting(
        2,
        "times that a symbol occurs in training texts for a place of its own; rarer ones train the unknown",
        minimum=1,
    )
    text_length: int | None = setting(
        None,
        f"most symbols of a text; what follows is not seen; nothing said: as many as {WHOLE_TEXTS:.0%} of the training "
        f"texts have, at most {LONGEST}, or {LONGEST_PRETRAINED} with pretrained",
        minimum=1,
        maximum=LARGEST_LENGTH,
    )
    text_bytes: int = setting(16_384, "bytes of a text beyond which it is not read", minimum=16, maximum=LARGEST_TEXT)
    subwords: int | None = setting(
        None,
        "longest group of letters within a word, its begin and end counted, by which a network that uses them "
        f"(embedding-bag) also tells what a word is akin to; 0 for none; nothing said: {LONGEST_SUBWORD} for up to "
        f"{MOST_TEXTS:,} texts that are not taken apart into characters",
        minimum=0,
        maximum=LARGEST_SUBWORD,
        source="Bojanowski, Grave, Joulin & Mikolov 2017",
    )
    lowercase: bool = setting(True, "whether capital letters are taken for small ones")
