"""Bad recordings: cut, disguised, silent, endless, of no samples, at odd rates; and folders of them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.bad_cases.base import DATA, FINE, Case, encoded, picture, train

SOUNDS = train("sounds", target=None)
RATE = 8_000


def tone(label: int, number: int, rate: int = RATE, channels: int = 1, seconds: float = 0.25) -> np.ndarray:
    """(n, channels): a deep tone or a high one by its class, in noise."""
    generator = np.random.default_rng((label, number))
    times = np.arange(round(rate * seconds)) / rate
    pitch = (300, 1_500)[label] * generator.uniform(0.9, 1.1)
    sound = 0.3 * np.sin(2 * np.pi * pitch * times) + generator.normal(0, 0.02, len(times))
    return np.repeat(sound[:, None], channels, axis=1)


def written(samples: np.ndarray, rate: int = RATE, form: str = "WAV", subtype: str | None = None) -> bytes:
    stream = BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=subtype)
    return stream.getvalue()


def sounds(folder: Path, each: int = 30) -> Path:
    """A good folder of recordings per class."""
    for label, name in enumerate(("deep", "high")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            (folder / name / f"{number:03}.wav").write_bytes(written(tone(label, number)))
    return folder


def _header(rate: int = RATE, channels: int = 1, bits: int = 16, form: int = 1, size: int = 0) -> bytes:
    """What a WAV file begins with, with ``size`` bytes of samples to come."""
    frame = channels * bits // 8
    told = struct.pack("<HHIIHH", form, channels, rate, min(rate * frame, 2**32 - 1), min(frame, 65_535), bits)
    riff = b"RIFF" + struct.pack("<I", min(36 + size, 2**32 - 1)) + b"WAVE"
    return riff + b"fmt " + struct.pack("<I", len(told)) + told + b"data" + struct.pack("<I", size)


def spoilt_files() -> dict[str, bytes]:
    """Files that are no recording that can be read, by name."""
    good = tone(0, 1)
    wav, flac, ogg = written(good), written(good, form="FLAC"), written(good, form="OGG")
    return {
        "empty.wav": b"",
        "cut-header.wav": wav[:30],
        "no-samples.wav": _header(),
        "text.wav": b"This is a text that somebody called a recording.\n" * 20,
        "page.mp3": b"<!doctype html><title>404 Not Found</title>" * 20,
        "picture.ogg": encoded(picture(0, 1, 64)) * 3,
        "video.wav": b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + b"\0\0\3\xe8mdat" + bytes(range(256)) * 40,
        "video-avi.wav": b"RIFF\0\x40\0\0AVI LIST\xc0\0\0\0hdrlavih\x38\0\0\0" + bytes(range(256)) * 40,
        "video-matroska.flac": b"\x1aE\xdf\xa3\x93B\x82\x88matroska" + bytes(range(256)) * 40,
        "noise.wav": b"RIFF\xff\xff\xff\x7fWAVEfmt " + bytes(range(256)),
        "noise.mp3": np.random.default_rng(0).bytes(20_000).replace(b"\xff", b"\0"),
        "cut.flac": flac[: len(flac) // 2],
        "cut-header.ogg": ogg[:100],
        "spoilt.flac": flac[: len(flac) // 3] + bytes(len(flac) * 2 // 3),
        "not-a-number.wav": written(np.full((2_000, 1), np.nan), subtype="FLOAT"),
        "infinite.wav": written(np.full((2_000, 1), np.inf), subtype="FLOAT"),
        "no-rate.wav": _header(rate=0, size=4_000) + bytes(4_000),
        "highest-rate.wav": _header(rate=2**32 - 1, size=4_000) + bytes(4_000),
        "lowest-rate.wav": _header(rate=1, size=4_000) + bytes(4_000),
        "no-channels.wav": _header(channels=0, size=4_000) + bytes(4_000),
        "most-channels.wav": _header(channels=65_535, size=4_000) + bytes(4_000),
        "unknown-coding.wav": _header(form=0x1234, size=4_000) + bytes(4_000),
    }


def odd_files() -> dict[str, bytes]:
    """Unusual recordings that can be read all the same, by name."""
    good = tone(0, 1)
    return {
        "silence.wav": written(np.zeros((2_000, 1))),
        "one-sample.wav": written(good[:1]),
        "constant.wav": written(np.full((2_000, 1), 0.5)),
        "cut.wav": written(good)[:1_500],
        "too-little-for-its-header.wav": _header(size=2**31) + bytes(4_000),
        "loudest.wav": written(1e5 * good, subtype="FLOAT"),
        "96-khz-8-channels.wav": written(tone(0, 1, 96_000, 8), 96_000, subtype="PCM_24"),
        "1-khz.wav": written(tone(0, 1, 1_000), 1_000),
        "other.flac": written(good, form="FLAC"),
        "other.ogg": written(good, form="OGG"),
        "other.mp3": written(good, form="MP3"),
        "other-by-its-name.mp3": written(good, form="FLAC"),
    }


def recordings() -> Iterator[Case]:
    yield from _one_among_many()
    yield from _nothing_else()
    yield from _endless()


def _one_among_many() -> Iterator[Case]:
    for name, content in {**spoilt_files(), **odd_files()}.items():

        def make(folder: Path, name: str = name, content: bytes = content) -> None:
            (sounds(folder / "sounds") / "deep" / name).write_bytes(content)

        told = (name.replace(".", r"\."),) if name in spoilt_files() else ()
        yield Case(f"audio/one/{name}", SOUNDS, FINE, told, make)
    for name, create in {
        "dangling.wav": lambda path: path.symlink_to("nowhere.wav"),
        "pipe.wav": os.mkfifo,
        "endless.wav": lambda path: path.symlink_to("/dev/zero"),
    }.items():

        def make_odd(folder: Path, name: str = name, create: Callable[[Path], None] = create) -> None:
            create(sounds(folder / "sounds") / "deep" / name)

        yield Case(f"audio/one/{name}", SOUNDS, (0, 3), (name.replace(".", r"\."),), make_odd)


def _nothing_else() -> Iterator[Case]:
    """Where every file is bad, or most are, the run stops before it wastes an hour."""
    for name, content in {**spoilt_files(), "silence.wav": odd_files()["silence.wav"]}.items():

        def make(folder: Path, name: str = name, content: bytes = content) -> None:
            for label in ("deep", "high"):
                (folder / "sounds" / label).mkdir(parents=True)
                for number in range(30):
                    (folder / "sounds" / label / f"{number}-{name}").write_bytes(content)

        yield Case(f"audio/all/{name}", SOUNDS, DATA, ("sounds|deep/|high/",), make)

    def half(folder: Path) -> None:
        for path in (sounds(folder / "sounds") / "deep").iterdir():
            path.write_bytes(path.read_bytes()[:30])

    yield Case("audio/half-cut", SOUNDS, DATA, ("sounds",), half)

    def silent(folder: Path) -> None:
        for path in (sounds(folder / "sounds") / "deep").iterdir():
            path.write_bytes(written(np.zeros((1_000 + int(path.stem), 1))))

    yield Case("audio/a-class-of-silence", SOUNDS, (0, 3), (), silent)


def _endless() -> Iterator[Case]:
    """Ten hours are 550 MiB that take no place on the disk; of them as much is read as of the others."""

    def ten_hours(path: Path) -> None:
        size = 2 * RATE * 36_000
        path.write_bytes(_header(size=size))
        os.truncate(path, 44 + size)

    def one(folder: Path) -> None:
        ten_hours(sounds(folder / "sounds") / "deep" / "hours.wav")

    yield Case("audio/one/ten-hours", SOUNDS, FINE, (), one)

    def some(folder: Path) -> None:
        for number in range(5):
            ten_hours(sounds(folder / "sounds") / "deep" / f"hours-{number}.wav")

    yield Case("audio/one-in-twelve-ten-hours", SOUNDS, FINE, (), some)
    seconds = (*SOUNDS, "--set", "audio_seconds=36000")
    yield Case("audio/ten-hours-wanted", seconds, (2,), ("audio_seconds",), one)
    channels = (*SOUNDS, "--set", "audio_channels=2")

    def three(folder: Path) -> None:
        (sounds(folder / "sounds") / "deep" / "three.wav").write_bytes(written(tone(0, 1, channels=3)))

    yield Case("audio/one/three-channels-for-two", channels, FINE, (r"three\.wav", "3 channels"), three)
