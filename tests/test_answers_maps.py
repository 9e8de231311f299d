"""Pictures and masks as answers: measured as their papers say, and shown."""

import numpy as np
import pytest

from instar.answers import Exhibit, measure, type_of
from instar.answers._similarity import structural_similarity
from instar.shapes import NO_CLASS, STRANGE_CLASS, Image, Mask, Picture

PICTURE = Picture(2, (20, 17), 0.0, 255.0)
MASK = Mask((100, 50, 20), (6, 7))


def pictures(rows=30, noise=20.0):
    generator = np.random.default_rng(3)
    truth = generator.uniform(0, 255, (rows, 2, 20, 17)).astype(np.float32)
    return truth, (truth + generator.normal(0, noise, truth.shape)).astype(np.float32)


def masks(rows=30):
    generator = np.random.default_rng(4)
    truth = generator.integers(0, 3, (rows, 6, 7)).astype(np.uint8)
    return truth, np.where(generator.random(truth.shape) < 0.7, truth, generator.integers(0, 3, truth.shape)).astype(
        np.uint8
    )


def test_the_ratio_and_the_error_are_those_of_the_definition():
    truth, given = pictures()
    scores = measure(PICTURE, truth, given)
    errors = np.square(truth - given).mean(axis=(1, 2, 3))
    assert scores["psnr"].value == pytest.approx(np.mean(10 * np.log10(255**2 / errors)), rel=1e-5)
    assert scores["rmse"].value == pytest.approx(np.sqrt(errors.mean()), rel=1e-5)
    assert scores["psnr"].low < scores["psnr"].value < scores["psnr"].high and scores["psnr"].rows == 30
    assert next(iter(scores)) == "psnr" == type_of(PICTURE).main_metric(PICTURE)


def brute_similarity(one, other, reach):
    """Wang et al. 2004, window by window."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    found = []
    for down in range(one.shape[0] - 10):
        for across in range(one.shape[1] - 10):
            a, b = (each[down : down + 11, across : across + 11].astype(float) for each in (one, other))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            both = (window * (a - mean_a) * (b - mean_b)).sum()
            first, second = (0.01 * reach) ** 2, (0.03 * reach) ** 2
            similar = (2 * mean_a * mean_b + first) * (2 * both + second)
            found.append(similar / ((mean_a**2 + mean_b**2 + first) * (var_a + var_b + second)))
    return np.mean(found)


def test_structural_similarity_is_that_of_the_paper():
    truth, given = pictures(noise=60.0)
    expected = np.mean([brute_similarity(truth[0, channel], given[0, channel], 255.0) for channel in range(2)])
    assert structural_similarity(truth[0], given[0], 255.0) == pytest.approx(expected, rel=1e-3)
    assert structural_similarity(truth[0], truth[0], 255.0) == pytest.approx(1, abs=1e-5)
    assert -1 <= structural_similarity(truth[0][:, :4], given[0][:, :4], 255.0) <= 1, "smaller than a window"


def test_a_perfect_answer_has_a_bounded_ratio():
    truth, _ = pictures()
    scores = measure(PICTURE, truth, truth)
    assert scores["psnr"].value == pytest.approx(100) and scores["ssim"].value == pytest.approx(1, abs=1e-5)


def test_rows_without_truth_or_answer_are_left_out():
    truth, given = pictures()
    some = measure(PICTURE, truth[2:], given[2:])
    truth[0], given[1] = np.nan, np.nan
    assert measure(PICTURE, truth, given) == some
    codes, said = masks()
    some = measure(MASK, codes[2:], said[2:])
    codes[0], said[1] = NO_CLASS, NO_CLASS
    assert measure(MASK, codes, said) == some


def test_overlaps_are_counted_over_all_cells_class_by_class():
    truth, given = masks()
    scores = measure(MASK, truth, given)
    overlaps, dice = [], []
    for code in range(3):
        hit, true, said = ((truth == code) & (given == code)).sum(), (truth == code).sum(), (given == code).sum()
        overlaps.append(hit / (true + said - hit))
        dice.append(2 * hit / (true + said))
    assert scores["mean_iou"].value == pytest.approx(np.mean(overlaps))
    assert scores["mean_dice"].value == pytest.approx(np.mean(dice))
    assert scores["cell_accuracy"].value == pytest.approx((truth == given).mean())
    assert scores["mean_iou"].low < scores["mean_iou"].value < scores["mean_iou"].high


def test_cells_that_say_nothing_do_not_count_and_strange_ones_are_wrong():
    truth, given = masks()
    truth[:, 0] = NO_CLASS
    changed = given.copy()
    changed[:, 0] = 2
    assert measure(MASK, truth, changed) == measure(MASK, truth, given)
    strange = truth.copy()
    strange[:, 1] = STRANGE_CLASS
    known = truth.copy()
    known[:, 1] = NO_CLASS
    assert measure(MASK, strange, given)["cell_accuracy"].value < measure(MASK, known, given)["cell_accuracy"].value


def exhibit(answer, truth, given, classes=()):
    kind = type_of(answer)
    usable = np.flatnonzero(kind.known(answer, truth, given))
    return kind.details(
        Exhibit(
            answer,
            truth,
            given,
            usable,
            classes,
            show=lambda row: (f"row {row}", {}),
            draw=lambda value: Image(b"png", str(value.shape)),
        )
    )


def test_the_worst_rows_and_some_as_most_are_shown_with_truth_and_answer():
    truth, given = pictures()
    given[17] += 150
    details = exhibit(PICTURE, truth, given)
    assert details.mistakes[0].place == "row 17" and set(details.mistakes[0].drawn) == {"truth", "answer"}
    assert "PSNR" in details.mistakes[0].answer
    assert not {each.place for each in details.typical} & {each.place for each in details.mistakes}
    assert len(details.typical) == 6
    assert type(details).from_json(details.to_json()).mistakes[0].answer == details.mistakes[0].answer


def test_each_class_of_a_mask_is_scored_by_itself():
    truth, given = masks()
    given[5] = (truth[5] + 1) % 3
    details = exhibit(MASK, truth, given, ("sky", "road", "car"))
    assert details.mistakes[0].place == "row 5"
    assert [each.name for each in details.labels] == ["sky", "road", "car"]
    mean = np.mean([each.metrics["dice"].value for each in details.labels])
    assert mean == pytest.approx(measure(MASK, truth, given)["mean_dice"].value)
