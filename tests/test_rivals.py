"""Rivals learn in a process that can be ended, do what they should on known data, and never raise."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets

from instar.errors import UsageError
from instar.evaluation.rivals import Inputs, rival, rivals
from instar.evaluation.rivals._arrays import file_of, write_inputs
from instar.evaluation.rivals.encoding import DENSE_COLUMNS, MOST_COLUMNS, Encoder
from instar.evaluation.rivals.run import RivalExam, RivalTask, affordable_rows, run_rivals
from instar.shapes import Amounts, Choice, Several


def inputs(numbers, codes=None, cardinalities=()):
    codes = np.empty((len(numbers), 0), np.int64) if codes is None else codes
    return Inputs(np.asarray(numbers, np.float32), codes, cardinalities)


def exam(numbers, truth, parts=5, part=0, **kinds):
    order = np.random.default_rng(0).permutation(len(numbers)) % parts
    everything, truth = inputs(numbers, **kinds), np.asarray(truth)
    learned, asked = np.flatnonzero(order != part), np.flatnonzero(order == part)
    return RivalExam(everything.take(learned), truth[learned], everything.take(asked), truth[asked])


def by_name(results):
    return {result.name: result for result in results}


@pytest.fixture(scope="module")
def digits():
    data = datasets.load_digits()
    answer = Choice(tuple(np.bincount(data.target).tolist()))
    names = ["svm", "linear", "majority", "neighbors", "forest"]
    return by_name(run_rivals(RivalTask(answer, [exam(data.data / 16, data.target)]), time_limit=300, names=names))


def test_rivals_are_as_good_as_they_are_known_to_be_on_digits(digits):
    assert digits["majority"].metrics["accuracy"].value < 0.15
    for name in ("linear", "neighbors", "forest", "svm"):
        result = digits[name]
        assert result.metrics["accuracy"].value > 0.95 and result.note is None
        assert result.rows + result.examined == 1797 and result.seconds > 0


def test_only_the_machine_without_probabilities_has_no_log_loss(digits):
    assert {name for name, result in digits.items() if "log_loss" not in result.metrics} == {"svm"}


def test_all_rivals_on_folds_of_iris_are_measured_together():
    data = datasets.load_iris()
    answer = Choice((50, 50, 50))
    task = RivalTask(answer, [exam(data.data, data.target, parts=3, part=part) for part in range(3)])
    results = by_name(run_rivals(task, time_limit=300))
    meant = {name for name, each in rivals.items() if Choice in each.answers and each.suits(inputs(data.data))}
    assert set(results) == meant and "features" not in meant
    for name, result in results.items():
        assert result.examined == 150 and result.rows == 100
        assert result.metrics["accuracy"].value > (0.9 if name != "majority" else 0.0)


def test_amounts_with_categories_missing_truths_and_two_outputs():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 6, (600, 1))
    numbers = generator.normal(size=(600, 2))
    truth = np.stack([numbers[:, 0] + 3 * (codes[:, 0] % 2), numbers[:, 1]], axis=1)
    truth[::50] = np.nan
    task = RivalTask(Amounts(2), [exam(numbers, truth, codes=codes, cardinalities=(6,))])
    results = by_name(run_rivals(task, time_limit=300, names=["mean", "linear", "boosting", "tree", "svm"]))
    assert abs(results["mean"].metrics["r2"].value) < 0.1
    assert results["linear"].metrics["r2"].value > 0.99
    assert all(results[name].metrics["r2"].value > 0.85 for name in ("boosting", "tree", "svm"))


def test_all_rivals_answer_several_labels_of_which_some_never_vary():
    rows = 3_000
    numbers = np.random.default_rng(0).normal(size=(rows, 3))
    has = np.stack([numbers[:, 0] > 0, numbers[:, 1] > 1, numbers[:, 2] > 9, numbers[:, 2] < 9], axis=1)
    has[0, 2] = True  # too few to set one aside
    truth = np.hstack([has, np.zeros((rows, 1))])
    truth[::50] = np.nan
    answer = Several(tuple(has.sum(axis=0).tolist()), rows)
    results = by_name(run_rivals(RivalTask(answer, [exam(numbers, truth)]), time_limit=300))
    assert set(results) == {
        name for name, each in rivals.items() if Several in each.answers and each.suits(inputs(numbers))
    }
    assert results["frequent_labels"].baseline and results["frequent_labels"].metrics["label_recall"].value < 0.9
    for name, result in results.items():
        assert result.note is None, (name, result.note)
        if name != "frequent_labels":
            assert result.metrics["micro_f1"].value > 0.9 and result.metrics["mean_average_precision"].value > 0.9, name


def test_what_is_out_of_time_says_so():
    numbers = np.random.default_rng(0).normal(size=(30_000, 30))
    task = RivalTask(Amounts(), [exam(numbers, numbers[:, :1] ** 2)])
    results = run_rivals(task, time_limit=0.3, names=["forest", "svm"])
    assert [result.name for result in results] == ["forest", "svm"]
    assert all(not result.metrics and "time for rivals" in result.note for result in results)


def test_a_rival_that_fails_is_reported_and_the_others_go_on():
    one_class = RivalTask(Choice((160, 0)), [exam(np.arange(200.0)[:, None], np.zeros(200, int))])
    results = by_name(run_rivals(one_class, time_limit=300, names=["linear", "majority", "tree"]))
    assert "failed" in results["linear"].note and not results["linear"].metrics
    assert results["majority"].metrics["accuracy"].value == results["tree"].metrics["accuracy"].value == 1


def test_a_rival_that_cannot_say_whether_it_suits_is_reported_and_the_others_go_on():
    @rival("undecided", title="undecided", paper="-", idea="-", cost=1, suits=lambda inputs: inputs.height > 1)
    def undecided(inputs, answer, seed):
        return []

    try:
        task = RivalTask(Choice((100, 100)), [exam(np.arange(200.0)[:, None], np.arange(200) % 2)])
        results = by_name(run_rivals(task, time_limit=300, names=["undecided", "majority"]))
    finally:
        del rivals._entries["undecided"]
    assert "failed (AttributeError" in results["undecided"].note and not results["undecided"].metrics
    assert results["majority"].metrics


def test_stopping_ends_it_and_nothing_is_left(tmp_path):
    task = RivalTask(Choice((3, 3)), [exam(np.arange(60.0)[:, None], np.arange(60) % 2)])
    results = run_rivals(task, time_limit=300, names=["tree"], should_stop=lambda: True, folder=tmp_path)
    assert results[0].note == "it was stopped" and not list(tmp_path.iterdir())


def test_unknown_rival():
    with pytest.raises(UsageError, match="forest"):
        run_rivals(RivalTask(Amounts(), []), time_limit=1, names=["forrest"])


def test_wide_categories_become_sparse_and_the_widest_frequencies():
    generator = np.random.default_rng(0)
    cardinalities = (3, DENSE_COLUMNS, MOST_COLUMNS)
    codes = np.stack([generator.integers(0, size, 100) for size in cardinalities], axis=1)
    given = inputs(generator.normal(size=(100, 2)), codes, cardinalities)
    matrix = Encoder("one-hot", given)(given)
    assert matrix.shape == (100, 2 + 1 + 3 + DENSE_COLUMNS)
    assert (matrix[:, 3:].sum(axis=1) == 2).all()
    assert Encoder("ordinal", given)(given).shape == (100, 5)
    small = Encoder("one-hot", inputs(np.ones((4, 1)), np.array([[0], [1], [1], [2]]), (3,)))
    assert small(inputs([[np.nan]], np.array([[1]]), (3,))).tolist() == [[0, 0, 1, 0]]


def test_rows_that_are_gathered_stay_within_memory():
    assert affordable_rows(20) == 500_000
    assert 2**27 < affordable_rows(96 * 96 * 3) * 96 * 96 * 3 * 4 <= 2**28


def test_inputs_are_mapped_from_files_and_handed_over_without_a_copy(tmp_path):
    generator = np.random.default_rng(0)
    numbers, codes = generator.normal(size=(90, 3)), generator.integers(0, 4, (90, 1))
    none = np.zeros((90, 0), np.int32)
    blocks = ([part[start : start + 25] for part in (numbers, codes, none)] for start in range(0, 90, 25))
    written = write_inputs(tmp_path, "learned", 90, blocks, (4,))
    for mapped, given, dtype in ((written.numbers, numbers, np.float32), (written.codes, codes, np.int32)):
        assert isinstance(mapped, np.memmap) and not mapped.flags.writeable and mapped.dtype == dtype
        assert np.array_equal(mapped, given.astype(dtype))
        assert file_of(tmp_path, "again", mapped) == str(mapped.filename)
        assert np.array_equal(np.load(file_of(tmp_path, "part", mapped[5:])), given[5:].astype(dtype))
    empty = write_inputs(tmp_path, "empty", 2, [(np.zeros((2, 3)), np.zeros((2, 0), np.int64), none[:2])])
    assert empty.codes.shape == (2, 0) and len(write_inputs(tmp_path, "none", 0, [])) == 0
    truth = np.where(np.arange(90) % 9 == 0, -1, codes[:, 0] % 2)
    task = RivalTask(Choice((40, 40)), [RivalExam(written, truth, written, truth)])
    result = by_name(run_rivals(task, time_limit=300, names=["tree"], folder=tmp_path))["tree"]
    assert result.rows == 80 and result.metrics["accuracy"].value > 0.95
    assert not [each for each in tmp_path.iterdir() if each.is_dir()]


def test_the_worker_starts_without_torch():
    code = "import sys, instar.evaluation.rivals._worker, instar.evaluation.rivals as r; list(r.rivals); "
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)
