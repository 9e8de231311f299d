"""2,000 recordings of 2 s (WAV, 16 kHz, 16 bits): decoding and log-mel spectrograms on all cores, side by side.

Ours is all that reading does: it hashes each file, decodes it, and keeps decibels as whole numbers. The others are
soundfile and torch.stft called bare, in as many threads as there are cores, with the power in the same mel bands in
decibels, and without. All have been called once before their time is taken, and they take turns.

Bar: decoding and mel at least 0.8 times as fast as soundfile and torch.stft called bare.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.common import DATA, heading, median, spread, table
from instar.fields import kinds
from instar.fields._mel import filters
from instar.sources import FileColumn, FileReference
from instar.sources.base import FILES_AT_A_TIME

COUNT, RATE, SECONDS = 2_000, 16_000, 2
WINDOW, HOP, POINTS, BANDS = 400, 160, 512, 64


def clips() -> list[Path]:
    """Vowel-like sounds: a gliding pitch with its overtones, louder and softer, in noise. Made once."""
    folder = DATA / f"clips-{COUNT}"
    if not folder.exists():
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        times = np.arange(RATE * SECONDS) / RATE
        for number in range(COUNT):
            generator = np.random.default_rng((1, number))
            pitch = generator.uniform(90, 250) * (1 + 0.2 * np.sin(2 * np.pi * generator.uniform(0.2, 2) * times))
            phase = 2 * np.pi * np.cumsum(pitch) / RATE
            sound = sum(generator.uniform(0, 1) / order * np.sin(order * phase) for order in range(1, 20))
            loudness = np.clip(np.sin(2 * np.pi * generator.uniform(0.5, 3) * times), 0, 1)
            sound = 0.2 * sound * loudness + generator.normal(0, 0.003, len(times))
            soundfile.write(making / f"{number:04}.wav", sound, RATE, subtype="PCM_16")
        making.rename(folder)
    return sorted(folder.glob("*.wav"))


def ours(files: list[Path]) -> None:
    kind = kinds["audio"]
    column = FileColumn([FileReference(file.name, path=file) for file in files])
    plan = kind.survey(column, kind.settings())
    assert (plan["rate"], plan["window"], plan["hop"], plan["bands"]) == (RATE, WINDOW, HOP, BANDS)
    for start in range(0, len(files), FILES_AT_A_TIME):  # as the store reads
        read = kind.read(column[start : start + FILES_AT_A_TIME], plan)
        assert read.present.all()


def bare(files: list[Path], *, mel: bool) -> None:
    window, weights = torch.hann_window(WINDOW), torch.from_numpy(filters(RATE, POINTS, BANDS))

    def read(file: Path) -> torch.Tensor:
        samples = torch.from_numpy(soundfile.read(file, dtype="float32")[0])
        spectrum = torch.stft(samples, POINTS, HOP, WINDOW, window, center=False, return_complex=True)
        if not mel:
            return spectrum
        power = torch.view_as_real(spectrum).square().sum(-1)
        return 10 * torch.log10((power.T @ weights).clamp_min(1e-10))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(read, files, chunksize=1):
            pass


OURS, MEL, BARE = "Instar", "soundfile + torch.stft + mel", "soundfile + torch.stft alone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)  # the threads are ours
    files = clips()
    entrants: dict[str, Callable[[list[Path]], None]] = {
        OURS: ours,
        MEL: lambda given: bare(given, mel=True),
        BARE: lambda given: bare(given, mel=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    for work in entrants.values():
        work(files[:200])
    for _ in range(repeats):
        for name, work in entrants.items():
            start = time.perf_counter()
            work(files)
            seconds[name].append(time.perf_counter() - start)
    heading("Recordings to log-mel spectrograms")
    table(
        ("program", "seconds, median (all)", "clips per second", "Instar's speed / its speed"),
        [
            (name, spread(taken), COUNT / median(taken), median(taken) / median(seconds[OURS]))
            for name, taken in seconds.items()
        ],
    )
    ratio = median(seconds[MEL]) / median(seconds[OURS])
    table(("figure", "measured", "bar", "reached"), [("speed of decoding and mel", ratio, ">= 0.8", ratio >= 0.8)])


if __name__ == "__main__":
    main()
