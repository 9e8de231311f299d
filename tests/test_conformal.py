"""Conformal intervals hold the truth as often as they say."""

import numpy as np
import pytest

from instar.conformal import KEPT, half_width, held, shortfall, sorted_residuals


@pytest.mark.parametrize("rows", [50, 999, 30_000])
@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_new_rows_lie_inside_as_often_as_asked(rows, coverage):
    generator = np.random.default_rng(rows)
    covered = []
    for _ in range(200 if rows < 1000 else 20):
        noise = generator.standard_t(3, size=(rows + 2000, 1))
        half = half_width(sorted_residuals(noise[:rows], np.zeros((rows, 1))), coverage)
        covered.append((np.abs(noise[rows:]) <= half).mean())
    assert coverage - 0.01 < np.mean(covered) < coverage + 0.025


def test_the_rank_has_the_finite_sample_correction():
    residuals = sorted_residuals(np.arange(9.0, 0.0, -1), np.zeros(9))
    assert half_width(residuals, 0.9) == 9  # ceil(10 * 0.9)
    assert half_width(residuals, 0.5) == 5
    assert shortfall(residuals, 0.9) is None


def test_many_rows_are_kept_as_a_thousand_and_never_too_narrow():
    truth = np.random.default_rng(0).normal(size=(12_345, 2))
    residuals = sorted_residuals(truth, np.zeros_like(truth))
    assert residuals.shape == (KEPT, 2)
    for coverage in (0.1, 0.333, 0.9, 0.999):
        exact = np.sort(np.abs(truth), axis=0)[int(np.ceil(12_346 * coverage)) - 1]
        assert (half_width(residuals, coverage) >= exact).all()
        assert ((np.abs(truth) <= half_width(residuals, coverage)).mean(axis=0) < coverage + 0.003).all()


def test_rows_inside_are_counted_among_those_whose_truth_is_known():
    residuals = sorted_residuals(np.arange(1.0, 10.0), np.zeros(9))
    assert held(np.array([5.0, -9.0, 9.5, np.nan]), np.zeros(4), residuals, 0.9) == (2, 3)
    assert held(np.array([[5.0, 1.0], [5.0, 12.0]]), np.zeros((2, 2)), np.repeat(residuals[:, None], 2, 1), 0.9) == (
        1,
        2,
    )


def test_few_rows_give_the_widest_and_say_so():
    residuals = sorted_residuals(np.array([[1.0], [np.nan], [3.0]]), np.zeros((3, 1)))
    assert len(residuals) == 2 and half_width(residuals, 0.9) == 3
    assert shortfall(residuals, 0.9).startswith("2 examined rows") and "67 %" in shortfall(residuals, 0.9)
    assert np.isnan(half_width(sorted_residuals(np.empty((0, 1)), np.empty((0, 1))), 0.9)).all()
