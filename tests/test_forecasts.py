"""Forecasts: windows cut out of series, an exam that lies later than what is learned, and what comes next."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import instar
from instar.answers import measure
from instar.errors import ColumnError, SettingError, SourceError, UsageError
from instar.evaluation.rivals.base import Inputs
from instar.evaluation.rivals.forecasting import LaggedRidge, SeasonalNaive
from instar.fields._window_scale import scale_of
from instar.learn import learn
from instar.shapes import Forecast, Grid
from instar.sources.clock import Clock, find_season
from instar.sources.locate import locate
from instar.sources.steps import in_windows
from instar.sources.window_table import ForecastSettings
from instar.sources.windows import WindowSource
from instar.split import LEFT_OUT, TEST, TRAINING, VALIDATION, SplitSettings, split
from interruption import learned_twice

DAY = 86_400.0
MONTHS = [f"{2000 + month // 12}-{month % 12 + 1:02}-01" for month in range(200)]
WAVE = np.array([0, 2, 5, 9, 7, 3, 1, -2, -6, -8, -5, -2.0])


def shops(months: int = 96, count: int = 3, ahead: int = 0) -> pl.DataFrame:
    """Monthly sales with a season and a trend that differ by shop, and promotions that are known ``ahead`` of them."""
    generator = np.random.default_rng(0)
    rows = []
    for shop in range(count):
        promo = generator.integers(0, 2, months + ahead)
        for month in range(months + ahead):
            level = 10.0**shop * (40 + month / 4 + WAVE[month % 12] + 6 * promo[month] + generator.normal(0, 0.3))
            sales = level if month < months else None
            rows.append({"shop": f"s{shop}", "month": MONTHS[month], "sales": sales, "promo": int(promo[month])})
    return pl.DataFrame(rows, schema_overrides={"sales": pl.Float64})


def windows(frame, ahead, *, steps=("month",), series="shop", target=("sales",), excluded=(), **said):
    return in_windows(locate(frame), ForecastSettings(forecast=ahead, **said), series, steps, target, excluded)


def cells(source: WindowSource) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(dict(chunk.columns)) for chunk in source.chunks()])


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(4, 25), min_size=1, max_size=4),
    ahead=st.integers(1, 3),
    history=st.integers(2, 5),
    order=st.randoms(use_true_random=False),
)
def test_every_step_lands_where_it_should_and_no_input_holds_the_future(sizes, ahead, history, order):
    if max(sizes) < ahead + history:
        sizes = [*sizes, ahead + history]
    rows = [
        {"shop": f"s{shop}", "day": day, "sales": 1000.0 * shop + day**2, "promo": 7.0 * day, "seen": -1.0 * day}
        for shop, size in enumerate(sizes)
        for day in range(size)
    ]
    order.shuffle(rows)
    source = windows(pl.DataFrame(rows), ahead, steps=("day",), known=("promo",), history=history, season=1)
    found = cells(source)
    possible = [max(0, size - ahead - history + 1) for size in sizes]
    assert len(found) == sum(possible) == source.schema().rows
    for row in found.iter_rows(named=True):
        shop = int(row["shop"][1:]) if len(sizes) > 1 else 0
        first = int(row["first step"])
        days = np.arange(first - history, first + ahead)
        window, target = row["window"], row["sales"]
        sales, seen, promo = window["steps"]
        truth = (1000.0 * shop + days**2).tolist()
        assert sales == [*truth[:history], *[None] * ahead] and seen == [*(-days[:history]).tolist(), *[None] * ahead]
        assert promo == (7.0 * days).tolist() and window["known"] == 1 and window["ahead"] == ahead
        assert target["steps"] == [truth] and row["day"] == days[history:].tolist() and row["last step"] == days[-1]
    where = source.locate_row(len(found) - 1)
    assert "from step" in where and ("shop" in where)


def test_what_was_learned_from_ends_before_what_examines_it():
    begins = np.repeat(np.arange(100.0), 2)
    divided = split(
        np.arange(200, dtype=np.uint64), order=begins, until=begins + 9, settings=SplitSettings(validation_share=0.2)
    )
    ends = {part: (begins + 9)[divided.parts == part].max() for part in (TRAINING, VALIDATION)}
    test, validation = (begins[divided.parts == part].min() for part in (TEST, VALIDATION))
    assert ends[TRAINING] < validation and ends[VALIDATION] < test == 80 and (divided.parts == LEFT_OUT).sum() == 36
    assert any("reaching over a cut-off" in note for note in divided.notes)
    again = split(np.arange(200, dtype=np.uint64), order=begins, until=begins + 9, recorded=divided.record)
    assert np.array_equal(again.parts, divided.parts)


def test_errors_are_measured_against_repeating_a_season():
    history = np.array([[[1.0, 2, 4, 2, 4, 5]]])
    level, spread, error = scale_of(history, 2)[0, 0]
    assert (level, error) == (4.5, (3 + 0 + 0 + 3) / 4) and spread == pytest.approx(history.std())
    assert scale_of(np.full((1, 1, 4), 7.0), 1)[0, 0].tolist() == [7, 7, 0]
    assert scale_of(np.full((1, 1, 4), np.nan), 1)[0, 0].tolist() == [0, 1, 0]
    truth = np.tile([10.0, np.nan, 4.0, 1.0, 2.0], (20, 1))
    truth[:, 1] = [12.0] * 10 + [np.nan] * 10
    given = np.tile([11.0, 9.0, 4.0, 1.0, 2.0], (20, 1))
    scores = measure(Forecast(2, 0, 1, 1.0), truth, given)
    assert list(scores) == ["mase", "smape", "mae"]
    assert scores["mae"].value == pytest.approx((2 + 1) / 2) and scores["mase"].value == pytest.approx((1 + 0.5) / 2)
    assert scores["smape"].value == pytest.approx(((2 / 21 + 6 / 21) / 2 + 2 / 21) / 2)


def test_rivals_begin_with_the_last_season_and_learn_what_differs():
    generator = np.random.default_rng(0)
    grid = Grid(2, (10,), ahead=3)
    course = generator.normal(size=(60, 2, 10)).astype(np.float32)
    inputs = Inputs(np.hstack([np.ones((60, 1), np.float32), course.reshape(60, -1)]), np.zeros((60, 0)), grids=(grid,))
    answer = Forecast(3, 1, 2, 1.0)
    naive = SeasonalNaive(inputs, answer).predict(inputs.numbers)
    assert np.allclose(naive, course[:, 1, [5, 6, 5]])
    truth = naive + course[:, 0, 7:]
    truth[0, 1] = np.nan
    ridge = LaggedRidge(inputs, answer, 1e-3).fit(inputs.numbers, truth)
    assert ridge.score(inputs.numbers, truth) > -0.1


def test_the_calendar_goes_on_and_seasons_are_found():
    ends = np.array(["2024-01-31", "2024-02-29", "2024-03-31"], "datetime64[s]").astype(np.float64)
    clock = Clock.of(True, 31 * DAY, ends)
    assert clock.written(clock.after(ends[-1], np.array([1, 11]))).cast(pl.String).to_list() == [
        "2024-04-30",
        "2025-02-28",
    ]
    assert clock.season == 12 and Clock(True, 1800.0).season == 48 and Clock(True, DAY).season == 7
    assert Clock(False, 1.0).season is None and Clock(True, 365.25 * DAY, 12).season == 1
    generator = np.random.default_rng(0)
    wave = np.sin(np.arange(300) * 2 * np.pi / 9) + generator.normal(0, 0.1, 300)
    assert find_season([wave], None) == 9 and find_season([generator.normal(size=300).cumsum()], 12) == 1
    assert find_season([wave], 7) == 1 and find_season([wave], 9) == 9


@pytest.mark.parametrize(
    ("frame", "said", "message"),
    [
        (shops(20), {"ahead": 19}, "longest series has 20 steps.*--forecast"),
        (shops(40).with_columns(sales=pl.lit("many")), {}, "sales 'many' is no number"),
        (pl.concat([shops(40), shops(1)]), {}, "two rows of the time"),
        (shops(40), {"known": ("price",)}, "no column called 'price'"),
        (shops(40), {"target": ("sale",)}, "no column called 'sale'"),
        (shops(40), {"target": ()}, "not said which column is to be forecast.*--target"),
        (shops(40), {"known": ("sales",)}, "cannot be --known too"),
        (shops(40), {"steps": ("sales..promo",)}, "row for each step"),
        (
            shops(12).with_columns(month=pl.Series([f"2000-01-{1 + day**2 % 28:02}" for day in range(12)] * 3)),
            {},
            "uneven distances|two rows",
        ),
    ],
)
def test_what_cannot_be_forecast_is_said_with_its_place_and_a_remedy(frame, said, message):
    given = {"ahead": 4, **said}
    with pytest.raises((SourceError, ColumnError, UsageError), match=f"(?s){message}"):
        list(windows(frame, given.pop("ahead"), **given).chunks())


def test_settings_of_forecasts_mean_nothing_alone():
    with pytest.raises(UsageError, match="--forecast STEPS"):
        learn(shops(), {"target": "sales", "season": 12})
    with pytest.raises(UsageError, match="divided by time, and not by --group"):
        learn(shops(), {"target": "sales", "forecast": 3, "steps": "month", "series": "shop", "group": "shop"})
    with pytest.raises(SettingError):
        learn(shops(), {"target": "sales", "forecast": 0})


QUICK = {
    "batch": 32,
    "network": "mlp",
    "target": "sales",
    "forecast": 6,
    "steps": "month",
    "series": "shop",
    "known": "promo",
    "seed": 1,
    "threads": 1,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    short = pl.DataFrame([{"shop": "new", "month": MONTHS[0], "sales": 5.0, "promo": 0}])
    return instar.train(
        pl.concat([shops(), short.cast(shops(1).schema)]),
        out=tmp_path_factory.mktemp("m") / "run",
        rivals=False,
        epochs=40,
        **QUICK,
    )


def test_shops_of_any_size_are_forecast_better_than_by_repeating_a_season(model):
    report = model.report
    assert report.metrics["mase"]["value"] < 0.5 and report.metrics["smape"]["value"] < 0.05
    notes = " ".join([*report.notes, *report.findings])
    assert (
        "a season of 12" in notes
        and "Windows overlap" in notes
        and "1 of 4 series ('new')" in notes
        and "reaching over a cut-off" in notes
    )
    assert "Ranges for 'sales'" in notes
    page = (model.folder / "report.html").read_text()
    assert page.count("history and truth, answer") == 18


def test_what_comes_next_is_one_row_for_each_step(model):
    frame = instar.load(model.folder).predict(shops(96, ahead=6))
    assert frame.columns == ["shop", "month", "prediction", "low", "high"] and len(frame) == 18
    assert frame["month"].cast(pl.String).to_list()[:6] == MONTHS[96:102]
    known = shops(96, ahead=6).filter(pl.col("sales").is_null())
    level = 40 + np.arange(96, 102) / 4 + WAVE[np.arange(96, 102) % 12]
    truth = np.concatenate([10.0**shop * (level + 6 * known["promo"].to_numpy()[6 * shop :][:6]) for shop in range(3)])
    assert np.abs(frame["prediction"].to_numpy() / truth - 1).max() < 0.1
    assert (frame["low"] < frame["prediction"]).all() and (frame["prediction"] < frame["high"]).all()
    with pytest.raises(SourceError, match=r"'promo' is to be known in advance.*at month 2008-01-01.*Add rows"):
        model.predict(shops(96))
    assert model.evaluate(shops(120)).metrics["mase"]["value"] < 1
    assert (
        "the last 36, to forecast 6, with 'promo'"
        in json.loads((model.folder / "instar.json").read_text())["layout"]["described"]
    )


def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path):
    given = {**QUICK, "rivals": False, "epochs": 3}
    learned_twice(shops(60), given, tmp_path, stop_at=6)


def test_a_plain_table_of_several_targets_is_one_series_in_the_order_of_its_rows(tmp_path):
    steps = np.arange(150)
    table = {"hot": 20 + np.sin(steps * 2 * np.pi / 8), "cold": 5 - np.sin(steps * 2 * np.pi / 8), "other": steps % 3}
    model = instar.train(
        table, ["hot", "cold"], forecast=3, out=tmp_path / "run", rivals=False, epochs=2, threads=1, network="gru"
    )
    frame = instar.load(model.folder).predict(table)
    assert frame["step"].to_list() == [1, 2, 3] and {"hot_prediction", "cold_low"} <= set(frame.columns)
    assert np.allclose(frame["hot_prediction"], 20 + np.sin(np.arange(150, 153) * 2 * np.pi / 8), atol=0.2)
    assert model.report.metrics["hot"]["mase"]["rows"] >= 20
