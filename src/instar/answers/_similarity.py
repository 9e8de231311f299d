"""How alike pictures are: squared differences, and structure (SSIM: Wang, Bovik, Sheikh & Simoncelli 2004)."""

from __future__ import annotations

import numpy as np

# A Gaussian window of 11 cells, and two constants that keep flat places from dividing by nothing.
_SPREAD, _REACH = 1.5, 5
_MEAN_CONSTANT, _VARIANCE_CONSTANT = 0.01, 0.03
# What equal pictures get, whose ratio has no end.
_BEST_RATIO = 100.0


def squared_errors(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The mean squared difference of each of n pictures, (n,) float64."""
    pairs = zip(truth, given, strict=True)
    return np.array([np.square(one - other, dtype=np.float64).mean() for one, other in pairs])


def signal_to_noise(errors: np.ndarray, reach: float) -> np.ndarray:
    """The peak signal-to-noise ratio in decibels, 100 at most, of mean squared errors of values in such a range."""
    least = reach**2 * 10 ** (-_BEST_RATIO / 10)
    return np.asarray(10 * np.log10(reach**2 / np.maximum(errors, least)))


def structural_similarity(truth: np.ndarray, given: np.ndarray, reach: float) -> float:
    """The mean over cells and channels of two pictures (channels, *extent) whose values ``reach`` so far.

    Cells nearer to an edge than the window reaches are left out where there are others.
    """
    from scipy.ndimage import gaussian_filter

    axes = truth.ndim - 1
    sigma = (0.0, *(_SPREAD,) * axes)

    def blurred(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, sigma, radius=(0, *(_REACH,) * axes)))

    # Around their middle, since squares of large numbers leave few digits for variances.
    middle = np.float32(truth.mean())
    one, other = truth.astype(np.float32) - middle, given.astype(np.float32) - middle
    mean_one, mean_other = blurred(one), blurred(other)
    spread_one, spread_other = blurred(one * one) - mean_one**2, blurred(other * other) - mean_other**2
    together = blurred(one * other) - mean_one * mean_other
    mean_one, mean_other = mean_one + middle, mean_other + middle
    first, second = (_MEAN_CONSTANT * reach) ** 2, (_VARIANCE_CONSTANT * reach) ** 2
    similar = (2 * mean_one * mean_other + first) * (2 * together + second)
    similar = similar / ((mean_one**2 + mean_other**2 + first) * (spread_one + spread_other + second))
    inner = tuple(slice(_REACH, -_REACH) if size > 2 * _REACH else slice(None) for size in truth.shape[1:])
    return float(similar[(slice(None), *inner)].mean(dtype=np.float64))
