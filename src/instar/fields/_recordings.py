"""Recordings to samples: headers without decoding, a bounded stretch of any file, any rate and number of channels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

# The customary suffixes of the formats that libsndfile knows by their content.
SUFFIXES = frozenset(
    {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"}
    | {".au", ".snd", ".caf", ".w64", ".rf64", ".voc"}
)
LEAST_RATE, LARGEST_RATE = 1_000, 768_000
# Samples of all channels that are decoded at a time, and the largest value that is sound: 200 dB above full scale.
_BLOCK, _LOUDEST = 1 << 20, 1e10


class RecordingError(Exception):
    """A recording that cannot be read; the message is a phrase."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself: samples in a second, and how many there are in each channel."""

    rate: int
    channels: int
    samples: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def header(stream: BinaryIO) -> Header:
    """What the file says of itself. Raises RecordingError."""
    with _opened(stream) as sound:
        return Header(sound.samplerate, sound.channels, sound.frames)


def decode(stream: BinaryIO, rate: int, channels: int, seconds: float) -> np.ndarray:
    """float32 (channels, samples): at most the first ``seconds`` of a file, at ``rate``, from -1 to 1 as a rule.

    One channel is the mean of all. More are as they come, and a recording with one has it in all of them. No more is
    decoded than what is given back, and of that a block at a time. Raises RecordingError.
    """
    import soxr

    with _opened(stream) as sound:
        if channels > 1 and sound.channels not in (1, channels):
            raise RecordingError(f"has {sound.channels} channels where {channels} are expected")
        blocks = (mixed(block.T, channels) for block in _blocks(sound, round(seconds * sound.samplerate)))
        if sound.samplerate == rate:
            parts = list(blocks)
        else:
            resampler = soxr.ResampleStream(sound.samplerate, rate, channels, dtype="float32")
            parts = [_resampled(resampler, block) for block in blocks]
            parts.append(_resampled(resampler, np.zeros((channels, 0), np.float32), last=True))
    samples = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    check(samples)
    return samples


def mixed(samples: np.ndarray, channels: int) -> np.ndarray:
    """Samples (any channels, n) as (channels, n): their mean for 1, the same one for all."""
    if len(samples) == channels:
        return samples
    return np.broadcast_to(samples.mean(axis=0, keepdims=True), (channels, samples.shape[1]))


def as_fractions(samples: np.ndarray) -> np.ndarray:
    """float32: whole numbers as shares of the largest that their type holds, unsigned ones around their middle."""
    if samples.dtype.kind not in "iu":
        return samples.astype(np.float32)
    half = float(1 << (8 * samples.itemsize - 1))
    return ((samples.astype(np.float64) - (half if samples.dtype.kind == "u" else 0.0)) / half).astype(np.float32)


def check(samples: np.ndarray) -> None:
    """Raises RecordingError where there are no samples, or some that are no sound."""
    if not samples.size:
        raise RecordingError("has no samples")
    # Not the negation, which would be false of a NaN.
    if not (samples.max() <= _LOUDEST and samples.min() >= -_LOUDEST):
        raise RecordingError("has samples that are no finite numbers, or beyond all bounds")


def _resampled(resampler: Any, block: np.ndarray, last: bool = False) -> np.ndarray:
    """The next samples (channels, m) for a block (channels, n)."""
    interleaved = block[0] if len(block) == 1 else block.T
    found = resampler.resample_chunk(np.ascontiguousarray(interleaved), last=last)
    return found.reshape(-1, len(block)).T


def _blocks(sound: Any, samples: int) -> Iterator[np.ndarray]:
    """float32 (up to a bounded size, channels), at most the first ``samples`` together; at least one block."""
    size = max(1, _BLOCK // sound.channels)
    while True:
        block = sound.read(min(size, samples), dtype="float32", always_2d=True)
        yield block
        samples -= len(block)
        if not len(block) or samples <= 0:
            return


@contextmanager
def _opened(stream: BinaryIO) -> Iterator[Any]:
    """The recording in a stream, at its beginning. Raises RecordingError, also for what fails while it is read."""
    import soundfile

    if not stream.read(1):
        raise RecordingError("is an empty file")
    stream.seek(0)
    try:
        sound = soundfile.SoundFile(stream)
    except (soundfile.LibsndfileError, TypeError) as failure:  # TypeError: a name that ends in .raw
        raise RecordingError("is no recording in a known format") from failure
    with sound:
        if not LEAST_RATE <= sound.samplerate <= LARGEST_RATE:
            raise RecordingError(
                f"has {sound.samplerate:,} samples in a second, and {LEAST_RATE:,} to {LARGEST_RATE:,} can be read"
            )
        try:
            yield sound
        except soundfile.LibsndfileError as failure:
            raise RecordingError(f"is damaged ({failure.error_string})") from failure
