"""What a course is like, in a few numbers (the idea: Christ, Braun, Neuffer & Kempa-Liehr 2018, tsfresh)."""

from __future__ import annotations

import math

import numpy as np

# From the least to the greatest value.
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
# Lowest frequencies, from one wave in the whole series on.
FREQUENCIES = 8
# Numbers that stand for each number that goes along a course.
FEATURES = len(QUANTILES) + FREQUENCIES + 6
# Cells that are looked at together, for memory.
BLOCK_CELLS = 2**21


def features(courses: np.ndarray) -> np.ndarray:
    """(n, channels * cells * FEATURES) float32 of courses (n, channels, *cells, steps), such as series."""
    rows, channels, steps = len(courses), math.prod(courses.shape[1:-1]), courses.shape[-1]
    series = courses.reshape(rows, channels, steps)
    size = max(1, BLOCK_CELLS // max(1, channels * steps))
    described = np.zeros((rows, channels * FEATURES), np.float32)
    for start in range(0, rows, size):
        block = np.nan_to_num(series[start : start + size].astype(np.float64))
        described[start : start + size] = _features(block).reshape(len(block), -1)
    return described


def _features(series: np.ndarray) -> np.ndarray:
    """(n, channels, FEATURES) float64."""
    steps = series.shape[2]
    mean = series.mean(axis=2, keepdims=True)
    centered = series - mean
    ranked = np.sort(series, axis=2)[:, :, [round(share * (steps - 1)) for share in QUANTILES]]
    # Of a series of one step nothing can be said about its course.
    change = np.diff(series, axis=2) if steps > 1 else np.zeros_like(series)
    time = np.arange(steps) - (steps - 1) / 2
    slope = centered @ time / max(1.0, float(time @ time))
    crossings = np.diff(centered > 0, axis=2).sum(axis=2)
    energies = np.zeros((*series.shape[:2], FREQUENCIES))
    waves = np.abs(np.fft.rfft(centered, axis=2)[:, :, 1 : 1 + FREQUENCIES]) / steps
    energies[:, :, : waves.shape[2]] = np.log(np.square(waves) + 1e-8)
    spread = centered.std(axis=2)
    single = [mean[:, :, 0], spread, slope, crossings, change.std(axis=2), np.abs(change).mean(axis=2)]
    return np.concatenate([np.stack(single, axis=2), ranked, energies], axis=2)
