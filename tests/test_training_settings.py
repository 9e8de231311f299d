"""How settings are chosen, and the shapes of schedules."""

from __future__ import annotations

import subprocess
import sys

import pytest

from instar.errors import SettingError
from instar.training.optimizers import OPTIMIZERS
from instar.training.schedules import LEAST_GAIN, LEAST_LOSS, SCHEDULES, lowers_rate, rate_factor, renews_patience
from instar.training.settings import TrainingSettings, default_batch, resolve


def test_few_rows_get_as_many_steps_by_smaller_batches_and_more_epochs():
    recipe = {"batch": 16, "epochs": 30, "least_steps": 500, "schedule": "one-cycle"}
    for rows, expected in ((10, (2, 100)), (40, (2, 30)), (200, (12, 30)), (1_000, (16, 30))):
        settings = resolve({}, recipe, rows)
        assert (settings.batch, settings.epochs) == expected
        assert settings.epochs * -(-rows // settings.batch) >= 500
    said = resolve({"batch": 8, "epochs": 3}, recipe, 40)
    assert (said.batch, said.epochs) == (8, 3)


def test_a_person_wins_over_the_recipe_and_the_recipe_over_the_default() -> None:
    recipe = {"rate": 0.3, "batch": 8, "clip": 0.5}
    settings = resolve({"rate": "0.7", "width": 8, "batch": None}, recipe, 1000)
    assert (settings.rate, settings.batch, settings.clip) == (0.7, 8, 0.5)
    assert settings.l1 == TrainingSettings().l1


def test_a_person_can_put_a_recipe_back_to_the_default() -> None:
    assert resolve({"mixup": 0.0}, {"mixup": 0.2}, 1000).mixup == 0.0


def test_a_recipe_says_nothing_about_another_optimizer() -> None:
    recipe = {"optimizer": "sgd", "rate": 1.0, "momentum": 0.0, "batch": 1}
    settings = resolve({"optimizer": "adam"}, recipe, 1000)
    assert (settings.rate, settings.batch) == (OPTIMIZERS["adam"].rate, 1)
    assert resolve({"optimizer": "sgd"}, recipe, 1000).rate == 1.0


@pytest.mark.parametrize("rows", [1, 5, 100, 3_000, 100_000, 10_000_000])
def test_nothing_is_left_open(rows: int) -> None:
    for schedule in SCHEDULES:
        settings = resolve({"schedule": schedule}, {}, rows)
        open_names = {name for name, value in settings.as_json().items() if value is None}
        assert open_names == {"threads"}
        assert 1 <= settings.batch <= rows
        # A rate that falls towards the end is not cut off before it.
        assert not SCHEDULES[schedule].sized or settings.patience >= settings.epochs


def test_a_rate_for_large_batches_falls_with_the_root_of_a_smaller_one_unless_somebody_set_it() -> None:
    recipe = {"rate": 0.003, "rate_batch": 256}
    assert resolve({"batch": 64}, recipe, 100_000).rate == pytest.approx(0.0015)
    assert resolve({"batch": 1024}, recipe, 100_000).rate == 0.003
    assert resolve({"batch": 64, "rate": 0.003}, recipe, 100_000).rate == 0.003
    resolved = resolve({"batch": 64}, recipe, 100_000)
    assert resolve({"batch": 64, "rate": resolved.rate, "rate_batch": resolved.rate_batch}, {}, 100_000) == resolved


def test_the_batch_grows_with_the_rows() -> None:
    assert [default_batch(rows) for rows in (1, 1500, 8_000, 36_000, 10**7)] == [32, 32, 128, 512, 1024]


@pytest.mark.parametrize(
    ("name", "value"), [("rate", -1), ("epochs", 0), ("optimizer", "adma"), ("schedule", "cosin"), ("average", 1.0)]
)
def test_a_value_that_cannot_be_is_refused(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=name):
        resolve({name: value}, {}, 100)


SHAPES = {
    "constant": [1, 1, 1, 1, 1],
    "plateau": [1, 1, 1, 1, 1],
    "linear": [1, 0.75, 0.5, 0.25, 0],
    "cosine": [1, 0.85355, 0.5, 0.14645, 0],
    "step": [1, 1, 0.1, 0.01, 0.01],
    "exponential": [1, 0.31623, 0.1, 0.031623, 0.01],
    "one-cycle": [0.04, 0.93569, 0.81174, 0.28306, 0],
    "trapezoid": [1, 1, 1, 1, 0],
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_have_their_shapes(schedule: str) -> None:
    assert [rate_factor(schedule, step, 100) for step in (0, 25, 50, 75, 100)] == pytest.approx(
        SHAPES[schedule], abs=1e-4
    )
    assert all(0 <= rate_factor(schedule, step, 100) <= 1 for step in range(101))


def test_the_rate_rises_while_it_warms_up_and_then_follows_the_schedule() -> None:
    factors = [rate_factor("linear", step, 14, warmup=4) for step in range(14)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, *(1 - step / 10 for step in range(10))])


def test_gains_add_up_until_they_are_large_enough_to_renew_patience() -> None:
    before, renewed, small = 1.0, [], LEAST_GAIN / 2.5
    for step in range(1, 10):
        loss = 1.0 - step * small
        if renews_patience(loss, before):
            before = loss
            renewed.append(step)
    assert renewed == [3, 6, 9]
    assert renews_patience(2.0, None)
    assert not renews_patience(0.0, 0.0)


def test_halving_nearly_nothing_renews_no_patience() -> None:
    assert renews_patience(0.5 * LEAST_LOSS, 2 * LEAST_LOSS)
    assert not renews_patience(0.1 * LEAST_LOSS, LEAST_LOSS)


def test_a_plateau_falls_twice_before_patience_ends() -> None:
    assert [waits for waits in range(13) if lowers_rate(waits, 12)] == [4, 8]
    assert [waits for waits in range(2) if lowers_rate(waits, 1)] == []


def test_settings_do_not_load_torch() -> None:
    program = "import sys, instar.training.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
