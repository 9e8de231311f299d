"""Words said by eSpeak NG (GPL-3), from the package `espeakng-loader`: 40 voices, four speeds.

Voices are eSpeak's variants, each with one of its English accents.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import polars as pl
import soundfile

from data_sets.fetch import DATA, making, wheel

PACKAGE = "espeakng-loader==0.2.4"
WORDS = {
    "exam": ("yes", "no", "stop", "go", "left"),
    "development": ("one", "two", "three", "four", "five"),
}
ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029")
SPEEDS = (120, 160, 200, 240)
VOICES = 40
# Of espeak-ng/speak_lib.h: give the samples to a function and return when all are made; the rate as a parameter;
# positions count characters; text is UTF-8.
SYNCHRONOUS, RATE, CHARACTERS, UTF_8 = 2, 1, 1, 1
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Speaker:
    """eSpeak NG in this process; there can be one."""

    def __init__(self, package: Path) -> None:
        self.library = ctypes.CDLL(str(package / "libespeak-ng.so"))
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, str(package).encode(), 0)
        if self.rate <= 0:
            raise SystemExit("eSpeak NG could not be started")
        self.heard: list[np.ndarray] = []
        self._callback = CALLBACK(self._hear)
        self.library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _: int | None) -> int:
        if samples and count > 0:
            self.heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, word: str, voice: str, speed: int) -> np.ndarray:
        """int16 (n,)."""
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f"eSpeak NG has no voice {voice}")
        self.library.espeak_SetParameter(RATE, speed, 0)
        self.heard = []
        text = word.encode() + b"\0"
        self.library.espeak_Synth(text, len(text), 0, CHARACTERS, 0, UTF_8, None, None)
        return np.concatenate(self.heard)


def voices(speaker: Speaker, package: Path) -> list[str]:
    """All voices that differ, shuffled: what is a copy of another one by its sound is left out."""
    variants = sorted(path.name for path in (package / "espeak-ng-data/voices/!v").iterdir())
    different: dict[bytes, str] = {}
    for variant in variants:
        different.setdefault(speaker.say("seven", f"en-us+{variant}", 160).tobytes(), variant)
    shuffled = np.random.default_rng(0).permutation(list(different.values()))
    return [f"{ACCENTS[number % len(ACCENTS)]}+{variant}" for number, variant in enumerate(shuffled)]


def spoken_words(part: str = "exam") -> Path:
    """A folder of WAV files in a folder per word, with `metadata.csv`: ``file_name``, ``voice``, ``word``.

    ``development`` has other words and other voices, by which settings may be chosen.
    """
    place = DATA / f"spoken-{part}"
    if place.exists():
        return place
    with wheel(PACKAGE) as content, making(place) as folder:
        package = content / "espeakng_loader"
        speaker = Speaker(package)
        known = voices(speaker, package)
        chosen = known[:VOICES] if part == "exam" else known[VOICES : 2 * VOICES]
        assert len(chosen) == VOICES, f"only {len(known)} voices differ"
        rows = []
        for word in WORDS[part]:
            (folder / word).mkdir()
            for number, voice in enumerate(chosen):
                for speed in SPEEDS:
                    name = f"{word}/{number:02}-{speed}.wav"
                    soundfile.write(folder / name, speaker.say(word, voice, speed), speaker.rate)
                    rows.append((name, voice, word))
        pl.DataFrame(rows, schema=["file_name", "voice", "word"], orient="row").write_csv(folder / "metadata.csv")
    return place
