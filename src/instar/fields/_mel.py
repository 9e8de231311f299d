"""Log-mel spectrograms: how loud a recording is at each of several pitches, frame by frame.

Bands are triangles that overlap by half on the mel scale (Davis & Mermelstein 1980), here in the form of Slaney's
Auditory Toolbox (1998): linear up to 1,000 Hz, logarithmic from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

# Decibels are counted from here up: so far below a full-scale tone lies the noise of 16 bits.
SILENCE = 100.0
# Steps of a decibel that are kept: whole numbers of 2 bytes, which numpy makes ten times faster than short fractions.
STEPS = 100
# Sounds below are not heard, and a constant that a microphone adds is none.
LOWEST_HERTZ = 20.0
# Mels for each Hz up to the bend, and for each e-fold of the frequency above it: 27 of them make a factor of 6.4.
_MELS_OF_A_HERTZ, _BEND_HERTZ, _MELS_OF_A_FOLD = 3 / 200, 1000.0, 27 / math.log(6.4)
# Numbers transformed at a time: 112 KiB, for which a processor's cache has room, and below what an allocator asks of
# the system anew each time, which takes longer than the transform.
_NUMBERS_AT_A_TIME = 28 * 1024
_DECIBELS_OF_A_FOLD = 10 / math.log(10)


def mels(hertz: np.ndarray) -> np.ndarray:
    """Frequencies on Slaney's mel scale."""
    above = np.maximum(hertz, _BEND_HERTZ)
    return np.minimum(hertz, _BEND_HERTZ) * _MELS_OF_A_HERTZ + _MELS_OF_A_FOLD * np.log(above / _BEND_HERTZ)


def hertz(mels: np.ndarray) -> np.ndarray:
    """The frequencies at places on Slaney's mel scale."""
    bend = _BEND_HERTZ * _MELS_OF_A_HERTZ
    return np.minimum(mels, bend) / _MELS_OF_A_HERTZ * np.exp(np.maximum(mels - bend, 0.0) / _MELS_OF_A_FOLD)


def edges(rate: int, bands: int) -> np.ndarray:
    """(bands + 2,) Hz: where each band begins, has its middle and ends; they are each other's neighbors."""
    low, high = mels(np.array([LOWEST_HERTZ, rate / 2]))
    return hertz(np.linspace(low, high, bands + 2))


def filters(rate: int, points: int, bands: int) -> np.ndarray:
    """float32 (points // 2 + 1, bands): the weight of each frequency of a transform in each band, 1 in its middle."""
    frequencies = np.arange(points // 2 + 1)[:, None] * (rate / points)
    places = edges(rate, bands)
    left, middle, right = places[:-2], places[1:-1], places[2:]
    rising, falling = (frequencies - left) / (middle - left), (right - frequencies) / (right - middle)
    return np.maximum(np.minimum(rising, falling), 0.0).astype(np.float32)


@lru_cache(maxsize=32)
def _transform(rate: int, window: int, bands: int) -> tuple[int, np.ndarray, Any]:
    """Points of the Fourier transform, the Hann window (window, 1) and the filters (bands, points // 2 + 1), sparse.

    There are points enough for each band to have one: else a narrow band would hear nothing. A product with a sparse
    matrix is five times as fast as one with a dense one, and takes no threads from those that read other files.
    """
    from scipy.fft import next_fast_len
    from scipy.sparse import csr_array

    narrowest = float(np.diff(edges(rate, bands)).min())
    # Often far fewer than the next power of two, and transformed the faster.
    points = int(next_fast_len(max(window, math.ceil(rate / narrowest), 2), real=True))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(window) + 0.5) / window)
    # A full-scale tone has power 1 so.
    return points, (2 * hann / hann.sum()).astype(np.float32)[:, None], csr_array(filters(rate, points, bands).T)


@dataclass(frozen=True)
class LogMel:
    """How samples become frames.

    rate: samples in a second. window, hop: samples of a frame, and from one to the next.
    bands: pitches from `LOWEST_HERTZ` to half the rate. pool: neighboring frames whose power is averaged to one.
    """

    rate: int
    window: int
    hop: int
    bands: int
    pool: int

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """int16 (frames, bands) of float32 (n,): hundredths of a decibel above `SILENCE`, at least 0.

        The last frame is filled up with silence.
        """
        single = self.single_frames(len(samples))
        padded = np.zeros((single - 1) * self.hop + self.window, np.float32)
        padded[: len(samples)] = samples
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]
        power = self._power(windows.T)
        if self.pool > 1:
            firsts = np.arange(0, single, self.pool)
            counts = np.minimum(single - firsts, self.pool).astype(np.float32)
            power = np.add.reduceat(power, firsts, axis=1) / counts
        np.maximum(power, np.float32(10 ** (-SILENCE / 10)), out=power)
        np.log(power, out=power)
        power *= np.float32(_DECIBELS_OF_A_FOLD * STEPS)
        power += np.float32(SILENCE * STEPS)
        return np.ascontiguousarray(np.clip(power, 0, np.iinfo(np.int16).max).astype(np.int16).T)

    def _power(self, windows: np.ndarray) -> np.ndarray:
        """float32 (bands, frames) of float32 (window, frames)."""
        from scipy.fft import rfft

        points, hann, weights = _transform(self.rate, self.window, self.bands)
        frames = windows.shape[1]
        power: np.ndarray = np.empty((self.bands, frames), np.float32)
        step = max(1, _NUMBERS_AT_A_TIME // points)
        for start in range(0, frames, step):
            block = slice(start, min(start + step, frames))
            filled = np.zeros((points, block.stop - start), np.float32)
            np.multiply(windows[:, block], hann, out=filled[: self.window])
            parts = rfft(filled, axis=0, overwrite_x=True).view(np.float32)
            np.multiply(parts, parts, out=parts)
            power[:, block] = weights @ (parts[:, ::2] + parts[:, 1::2])
        return power

    def single_frames(self, samples: int) -> int:
        """How many frames there are before they are averaged, at least 1."""
        return 1 + max(0, -(-(samples - self.window) // self.hop))

    def frames(self, samples: int) -> int:
        """How many frames so many samples become."""
        return -(-self.single_frames(samples) // self.pool)


def trimmed(frames: np.ndarray, decibels: float) -> np.ndarray:
    """Frames (n, ..., bands) from the first to the last that is at most ``decibels`` below the loudest one."""
    loudness = frames.reshape(len(frames), -1).max(axis=1)
    heard = np.flatnonzero(loudness >= loudness.max() - STEPS * decibels)
    return frames[heard[0] : heard[-1] + 1]
