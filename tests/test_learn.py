"""`instar.train` as somebody uses it in Python: what goes in, what comes out, and what a second call does."""

from __future__ import annotations

import hashlib
import json
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import instar
from instar.errors import ColumnError, FolderError, InterruptionError, SettingError, UsageError
from instar.learn import learn

QUICK: Mapping[str, Any] = {"network": "linear", "epochs": 2, "rivals": False}
ROWS = 1_050  # enough for rows to be set apart; fewer are examined by folds
FEW = 200


def columns(rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    """Numbers and words from which a class and a number follow."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(2, rows))
    color = generator.choice(["blue", "green", "red"], rows)
    return {
        "first": first,
        "second": second,
        "color": color.tolist(),
        "side": np.where(first + second > 0, "up", "down").tolist(),
        "size": 3 * first - second + (color == "red") * 2.0,
    }


def frame(rows: int = ROWS, seed: int = 0) -> pl.DataFrame:
    return pl.DataFrame(columns(rows, seed))


def pictures(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 8 x 8 bytes with a bright upper or lower half."""
    generator = np.random.default_rng(0)
    upper = generator.integers(0, 2, rows)
    images = generator.integers(0, 60, (rows, 8, 8))
    images[upper == 1, :4] += 150
    images[upper == 0, 4:] += 150
    return images.astype(np.uint8), upper


def sha(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> instar.Model:
    """A model of a class, from 1,050 rows."""
    return instar.train(frame().drop("size"), "side", out=tmp_path_factory.mktemp("sides") / "model", **QUICK)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> instar.Model:
    """A model of a number, from 1,050 rows."""
    folder = tmp_path_factory.mktemp("sizes") / "model"
    return instar.train(frame().drop("side"), "size", out=folder, **{**QUICK, "epochs": 30})


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> instar.Model:
    """A model of a class and of a number at once."""
    return instar.train(frame(), ["side", "size"], out=tmp_path_factory.mktemp("both") / "model", **QUICK)


# What goes in


def as_tensors(table: pl.DataFrame) -> Any:
    x = torch.tensor(table.select("first", "second").rows(), dtype=torch.float64)
    return x, torch.tensor((table["side"] == "up").to_list())


def as_arrays(table: pl.DataFrame) -> Any:
    return table.select("first", "second").to_numpy(), table["side"].to_numpy()


WAYS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda table: table,
    "lazy polars": lambda table: table.lazy(),
    "pandas": lambda table: table.to_pandas(),
    "arrow": lambda table: table.to_arrow(),
    "dictionary": lambda table: table.to_dict(as_series=False),
    "dictionary of arrays": lambda table: {name: table[name].to_numpy() for name in table.columns},
    "dictionary of tensors": lambda table: {
        "first": torch.tensor(table["first"].to_list(), dtype=torch.float64),
        "second": torch.tensor(table["second"].to_list(), dtype=torch.float64),
        "side": table["side"].to_list(),
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_table_in_every_form_gives_the_same_network(way: str, tmp_path: Path) -> None:
    table = frame().select("first", "second", "side")
    expected = instar.train(table, "side", out=tmp_path / "expected", **QUICK)
    model = instar.train(WAYS[way](table), target="side", out=tmp_path / "model", **QUICK)
    assert sha(tmp_path / "model") == sha(tmp_path / "expected")
    new = frame(20, seed=1)
    np.testing.assert_array_equal(model.predict_proba(WAYS[way](new)), expected.predict_proba(new))


@pytest.mark.parametrize(("way", "classes"), [(as_arrays, ["down", "up"]), (as_tensors, [False, True])])
def test_pairs_need_no_name_of_a_target(way: Callable[[pl.DataFrame], Any], classes: list[Any], tmp_path: Path) -> None:
    model = instar.train(way(frame()), out=tmp_path / "model", **QUICK)
    assert list(model.classes) == classes
    inputs, answers = way(frame(50, seed=1))
    given = model.predict(inputs)
    assert given.columns == ["prediction", "confidence"] and given.height == 50
    assert model.evaluate((inputs, answers)).metrics["accuracy"].rows == 50


def test_pictures_as_arrays_and_as_tensors_are_the_same(tmp_path: Path) -> None:
    images, upper = pictures()
    by_array = instar.train((images, upper), out=tmp_path / "array", network="lenet", epochs=1, rivals=False)
    tensors = torch.from_numpy(images), torch.from_numpy(upper)
    instar.train(tensors, out=tmp_path / "tensor", network="lenet", epochs=1, rivals=False)
    assert sha(tmp_path / "array") == sha(tmp_path / "tensor")
    assert [each.kind for each in by_array.inputs] == ["image"]
    probabilities = by_array.predict_proba(images[:7])
    assert probabilities.shape == (7, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_a_path_may_be_a_path_or_text(tmp_path: Path) -> None:
    table = frame().select("first", "second", "side")
    table.write_csv(tmp_path / "data.csv")
    instar.train(tmp_path / "data.csv", "side", out=str(tmp_path / "first"), **QUICK)
    instar.train(str(tmp_path / "data.csv"), ["side"], out=tmp_path / "second", **QUICK)
    instar.train(table, ("side",), out=tmp_path / "third", **QUICK)
    assert len({sha(tmp_path / name) for name in ("first", "second", "third")}) == 1


def test_a_lone_class_column_is_learned_where_few_rows_are_examined_by_folds(tmp_path: Path) -> None:
    model = instar.train(frame(FEW).drop("size"), "side", out=tmp_path / "model", **QUICK)
    facts = json.loads((tmp_path / "model" / "report.json").read_text())
    assert facts["metrics"]["accuracy"]["rows"] == FEW, "folds examine every row"
    assert "folds" in model.claims["examined"]


def test_no_target_lists_the_columns() -> None:
    with pytest.raises(ColumnError, match="first, second, color, side, size"):
        instar.train(frame(), **QUICK)


def test_something_that_holds_no_examples_is_refused_in_words() -> None:
    with pytest.raises(instar.InstarError, match="int"):
        instar.train(7, "side")


# What comes out


def test_a_class_is_predicted_with_its_confidence(sides: instar.Model) -> None:
    new = frame(40, seed=1)
    given = sides.predict(new)
    assert given.columns == ["prediction", "confidence"]
    assert set(given["prediction"]) <= {"up", "down"}
    probabilities = sides.predict_proba(new)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert list(sides.classes) == ["down", "up"]
    assert given["prediction"].to_list() == [sides.classes[place] for place in probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(given["confidence"].to_numpy(), probabilities.max(axis=1))


def test_a_number_is_predicted_with_an_interval_of_its_coverage(sizes: instar.Model) -> None:
    new = frame(2_000, seed=1)
    wide, narrow = sizes.predict(new), sizes.predict(new, coverage=0.5)
    assert wide.columns == ["prediction", "low", "high"]
    assert ((wide["low"] < wide["prediction"]) & (wide["prediction"] < wide["high"])).all()
    truth = new["size"]
    assert 0.84 < ((wide["low"] <= truth) & (truth <= wide["high"])).mean() < 0.96
    assert 0.40 < ((narrow["low"] <= truth) & (truth <= narrow["high"])).mean() < 0.60
    with pytest.raises(UsageError, match="no classes"):
        sizes.predict_proba(new)
    assert sizes.classes is None


def test_several_targets_are_prefixed_by_their_names(both: instar.Model) -> None:
    new = frame(30, seed=1).drop("side", "size")
    given = both.predict(new)
    assert given.columns == ["side_prediction", "side_confidence", "size_prediction", "size_low", "size_high"]
    assert list(both.classes["side"]) == ["down", "up"] and both.classes["size"] is None
    probabilities = both.predict_proba(new)
    assert list(probabilities) == ["side"] and probabilities["side"].shape == (30, 2)
    report = both.evaluate(frame(300, seed=1))
    assert {each.name for each in report.targets} == {"side", "size"}


@pytest.mark.parametrize(
    ("convert", "kind"),
    [
        (lambda table: table, pl.DataFrame),
        (lambda table: table.to_pandas(), pd.DataFrame),
        (lambda table: table.to_arrow(), pa.Table),
        (lambda table: table.to_dict(as_series=False), pl.DataFrame),
    ],
)
def test_predictions_come_in_the_type_of_frame_that_was_given(
    convert: Callable[[pl.DataFrame], Any], kind: type, sides: instar.Model
) -> None:
    new = frame(25, seed=1)
    given = sides.predict(convert(new))
    assert isinstance(given, kind)
    expected = sides.predict(new)
    same = pl.from_arrow(given) if kind is pa.Table else pl.DataFrame(given)
    assert same.to_dicts() == expected.to_dicts()


def test_a_pandas_index_stays_with_its_rows(sides: instar.Model) -> None:
    new = frame(10, seed=1).to_pandas().set_index(pd.Index([f"row {number}" for number in range(10)]))
    given = sides.predict(new.iloc[::-1])
    assert list(given.index) == [f"row {number}" for number in reversed(range(10))]
    alone = sides.predict(new)
    assert given.loc["row 3", "prediction"] == alone.loc["row 3", "prediction"]


def test_a_row_gets_the_same_answer_whatever_stands_beside_it(both: instar.Model) -> None:
    new = frame(60, seed=1)
    whole = both.predict(new)
    for part in (new[17:18], new[10:30], new.reverse()[42:43]):
        start = new["first"].to_list().index(part["first"][0])
        expected = whole[start : start + part.height]
        for name, column in both.predict(part).to_dict().items():
            if column.dtype.is_numeric():
                np.testing.assert_allclose(column.to_numpy(), expected[name].to_numpy(), rtol=1e-5, atol=1e-6)
            else:
                assert column.to_list() == expected[name].to_list()


def test_an_evaluation_has_its_metrics_by_name(sides: instar.Model, sizes: instar.Model) -> None:
    new = frame(400, seed=1)
    for model, names in (
        (sides, ["accuracy", "balanced_accuracy", "roc_auc", "average_precision", "log_loss"]),
        (sizes, ["r2", "mae", "rmse"]),
    ):
        metrics = model.evaluate(new).metrics
        assert isinstance(metrics, dict)
        for name in names:
            score = metrics[name]
            assert score.low <= score.value <= score.high and score.rows == 400
    right = (sides.predict(new)["prediction"] == new["side"]).mean()
    assert sides.evaluate(new).metrics["accuracy"].value == pytest.approx(right)
    error = (sizes.predict(new)["prediction"] - new["size"]).abs().mean()
    assert sizes.evaluate(new).metrics["mae"].value == pytest.approx(error, rel=1e-6)


def test_evaluation_needs_the_answers(sides: instar.Model) -> None:
    with pytest.raises(ColumnError, match="'side'"):
        sides.evaluate(frame(50).drop("side"))


def test_a_notebook_shows_the_model_and_escapes_what_others_wrote(sides: instar.Model, tmp_path: Path) -> None:
    shown = sides._repr_html_()
    assert "<table>" in shown and "accuracy" in shown and "95 % interval" in shown
    table = frame().select("first", "second", pl.col("side").alias("<script>alert(1)</script>"))
    model = instar.train(table, "<script>alert(1)</script>", out=tmp_path / "model", **QUICK)
    assert "<script>" not in model._repr_html_() and "&lt;script&gt;" in model._repr_html_()


def test_the_network_is_an_ordinary_module(sides: instar.Model) -> None:
    assert isinstance(sides.network, torch.nn.Module)
    assert not sides.network.training
    assert sum(each.numel() for each in sides.network.parameters()) > 0
    assert all(torch.isfinite(each).all() for each in sides.network.state_dict().values())


def test_a_model_saved_elsewhere_answers_the_same(both: instar.Model, tmp_path: Path) -> None:
    new = frame(50, seed=1)
    saved = both.save(tmp_path / "deep" / "copy")
    loaded = instar.load(saved)
    assert loaded.predict(new).equals(both.predict(new))
    assert loaded.classes == both.classes
    again = instar.load(both.folder)
    assert again.predict(new).equals(both.predict(new))
    with pytest.raises(FolderError, match="not empty"):
        both.save(saved)


def test_what_the_model_claims_is_what_the_report_says(sides: instar.Model) -> None:
    facts = json.loads((Path(sides.folder) / "report.json").read_text())
    assert sides.claims["metrics"]["side"]["accuracy"] == facts["metrics"]["accuracy"]
    assert instar.load(sides.folder).claims == json.loads(json.dumps(sides.claims))


# The same call again


def state_of(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_call_again_gives_the_finished_model_and_touches_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    call: dict[str, Any] = {"target": "side", "out": tmp_path / "model", **QUICK}
    first = instar.train(frame(), **call)
    before = state_of(tmp_path / "model")
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="instar"):
        again = instar.train(frame(), **call)
    assert state_of(tmp_path / "model") == before
    assert "learned before" in caplog.text
    assert again.predict(frame(20, seed=1)).equals(first.predict(frame(20, seed=1)))
    # Where it computes is no part of the question; nor is another way to write the same value.
    instar.train(frame(), **{**call, "threads": 1, "epochs": "2", "rivals": "no"})
    assert state_of(tmp_path / "model") == before


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path: Path) -> None:
    instar.train(frame(), "side", out=tmp_path / "model", **QUICK)
    before = state_of(tmp_path / "model")
    for other, words in (
        ({"seed": 3}, ["seed", "3"]),
        ({"epochs": 3}, ["epochs was 2 and is 3"]),
        ({"network": "mlp"}, ["network was linear and is mlp"]),
        ({"exclude": "color"}, ["exclude", "color"]),
    ):
        with pytest.raises(FolderError) as caught:
            instar.train(frame(), "side", out=tmp_path / "model", **{**QUICK, **other})
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert str(tmp_path / "model") in str(caught.value)
    with pytest.raises(FolderError, match="target"):
        instar.train(frame(), "size", out=tmp_path / "model", **QUICK)
    assert state_of(tmp_path / "model") == before


def test_other_examples_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    call: dict[str, Any] = {"target": "side", "out": tmp_path / "model", **QUICK}
    instar.train(frame(), **call)
    before = state_of(tmp_path / "model")
    one_cell = frame().with_columns(first=pl.when(pl.int_range(pl.len()) == 700).then(0.5).otherwise("first"))
    for other in (frame(seed=1), frame()[:-1], one_cell, frame(ROWS + 1)):
        with pytest.raises(FolderError, match="the examples have changed"):
            instar.train(other, **call)
    assert state_of(tmp_path / "model") == before


def test_without_a_folder_another_question_gets_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [
        instar.train(frame(), target, **{**QUICK, **more}).folder
        for target, more in (("side", {}), ("size", {}), ("side", {"seed": 1}), ("side", {}))
    ]
    assert folders[0] == folders[3]
    assert len(set(folders)) == 3 and all(folder.parent == Path("runs") for folder in folders)
    assert instar.train(frame(seed=1), "side", **QUICK).folder not in folders


# Interrupted


class StopAt:
    """Says yes at the question of this number; or raises what Ctrl-C raises."""

    def __init__(self, number: int, *, by_signal: bool = False) -> None:
        self.left, self.by_signal = number, by_signal

    def __call__(self) -> bool:
        self.left -= 1
        if self.left == 0 and self.by_signal:
            signal.raise_signal(signal.SIGINT)
        return self.left <= 0


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """A process in the background is born deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


LONGER = {"network": "mlp", "width": 8, "epochs": 3, "batch": 64, "dropout": 0.2, "rivals": False}
SOURCES: dict[str, tuple[Any, dict[str, Any]]] = {
    "rows set apart": (frame().drop("size"), {**LONGER, "target": "side"}),
    "folds": (frame(FEW).drop("size"), {**LONGER, "batch": 16, "target": "side"}),
    "several targets by folds": (frame(FEW), {**LONGER, "batch": 16, "target": ["size", "side"]}),
    "pictures": (pictures(), {"network": "lenet", "epochs": 1, "batch": 32, "rivals": False, "mixup": 0.2}),
    "pictures by folds": (pictures(40), {"network": "lenet", "epochs": 1, "batch": 8, "rivals": False, "erase": 0.3}),
}


@pytest.mark.parametrize(
    ("name", "by_signal"), [*((name, False) for name in SOURCES), ("rows set apart", True), ("folds", True)]
)
def test_an_interrupted_training_goes_on_to_the_same_bits(
    name: str, by_signal: bool, tmp_path: Path, heeds_interrupts: None
) -> None:
    source, settings = SOURCES[name]
    learn(source, {**settings, "out": str(tmp_path / "whole")})
    stops, interruption = 0, KeyboardInterrupt if by_signal else InterruptionError
    for number in (3, 8, 15, 22):  # questions are asked before every step, and a few before training
        try:
            given = {**settings, "out": str(tmp_path / "stopped")}
            learn(source, given, should_stop=StopAt(number, by_signal=by_signal))
            break
        except interruption:
            stops += 1
            assert not (tmp_path / "stopped" / "instar.json").exists(), "an unfinished run is no model"
    assert stops >= 3
    call = {name: value for name, value in settings.items() if name != "target"}
    model = instar.train(source, settings.get("target"), out=tmp_path / "stopped", **call)
    assert sha(tmp_path / "stopped") == sha(tmp_path / "whole")
    assert instar.load(tmp_path / "stopped").claims["metrics"] == instar.load(tmp_path / "whole").claims["metrics"]
    assert model.folder == tmp_path / "stopped"
    assert not (tmp_path / "stopped" / "checkpoint").exists()
    if not by_signal:
        events = [
            json.loads(line)["event"] for line in (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()
        ]
        assert "resume" in events


def test_a_stop_before_training_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InterruptionError, match="same command again"):
        learn(frame(), {"target": "side", "out": str(tmp_path / "deep" / "model"), **QUICK}, should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_refuses_other_settings_and_other_rows(tmp_path: Path) -> None:
    source, settings = SOURCES["rows set apart"]
    given = {**settings, "out": str(tmp_path / "stopped")}
    with pytest.raises(InterruptionError):
        learn(source, given, should_stop=StopAt(20))
    before = state_of(tmp_path / "stopped")
    with pytest.raises(FolderError, match="seed"):
        learn(source, {**given, "seed": 5})
    with pytest.raises(FolderError, match="changed"):
        learn(source[:-1], given)
    with pytest.raises(FolderError, match="another order"):
        learn(source.reverse(), given)
    assert state_of(tmp_path / "stopped") == before


def test_time_ends_early_with_a_model_and_says_so(tmp_path: Path) -> None:
    for name, source in (("exam", frame()), ("folds", frame(FEW))):
        folder = tmp_path / name
        settings = {**QUICK, "epochs": 100_000, "patience": 100_000, "time": "0.05s"}
        model, report = learn(source, {"target": "side", "out": str(folder), **settings})
        assert any("--time" in note for note in report.notes), report.notes
        assert model.predict(frame(5)).height == 5
        assert "--time" in (folder / "report.html").read_text()
        untouched = state_of(folder)
        instar.train(source, "side", out=folder, **settings)
        assert state_of(folder) == untouched


def test_no_time_at_all_is_still_a_model(tmp_path: Path) -> None:
    model = instar.train(frame(), "side", out=tmp_path / "model", time=0, rivals=False)
    assert model.predict_proba(frame(5)).shape == (5, 2)
    assert any("has learned nothing" in note for note in model.report.notes)


# What a person says of the columns


def test_excluded_columns_are_neither_learned_nor_needed(tmp_path: Path) -> None:
    model, report = learn(
        frame(), {"target": "side", "exclude": ("size", "color"), "out": str(tmp_path / "m"), **QUICK}
    )
    assert [each.name for each in model.inputs] == ["first", "second"]
    assert any("'size' is left out: you excluded it" in finding for finding in report.findings)
    assert model.predict(frame(5).select("first", "second")).height == 5


def test_a_column_whose_name_has_a_comma_is_excluded_by_its_name(tmp_path: Path) -> None:
    table = frame().rename({"color": "color, mixed"})
    model = instar.train(table, "side", exclude="color, mixed", out=tmp_path / "model", **QUICK)
    assert "color, mixed" not in [each.name for each in model.inputs]


def test_a_named_kind_wins_over_what_was_recognized(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    code = generator.integers(1, 5, ROWS)
    table = pl.DataFrame({"code": code, "other": generator.normal(size=ROWS), "answer": code % 2 * 1.5})
    by_itself = instar.train(table, "answer", out=tmp_path / "first", **QUICK)
    told = instar.train(table, "answer", kind="code=category", out=tmp_path / "second", **QUICK)
    assert {each.name: each.kind for each in by_itself.inputs}["code"] == "number"
    assert {each.name: each.kind for each in told.inputs}["code"] == "category"
    for wrong, kind in (("code", SettingError), ("cod=category", ColumnError), ("code=categry", UsageError)):
        with pytest.raises(kind, match=r"KIND|'code'|'category'"):
            instar.train(table, "answer", kind=wrong, out=tmp_path / "third", **QUICK)
    assert not (tmp_path / "third").exists()


def test_a_number_as_target_may_be_learned_as_classes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    level = generator.integers(0, 30, ROWS)
    table = pl.DataFrame({"first": level + generator.normal(size=ROWS), "level": level})
    assert instar.train(table, "level", out=tmp_path / "number", **QUICK).classes is None
    model = instar.train(table, "level", kind="level=category", out=tmp_path / "category", **QUICK)
    assert list(model.classes) == list(range(30)), "classes stand in the order of their values, as numbers"


def test_another_seed_is_another_network_on_the_same_exam(tmp_path: Path) -> None:
    reports = []
    for seed in (0, 1):
        _, report = learn(frame(), {"target": "side", "out": str(tmp_path / str(seed)), "seed": seed, **LONGER})
        reports.append(report)
    assert sha(tmp_path / "0") != sha(tmp_path / "1")
    assert reports[0].parts == reports[1].parts
    records = [(tmp_path / str(seed) / "split.safetensors").read_bytes() for seed in (0, 1)]
    assert records[0] == records[1]


def test_the_caller_s_generators_and_data_stay_as_they_are(tmp_path: Path) -> None:
    images, upper = pictures()
    kept = images.copy()
    np.random.seed(5)  # noqa: NPY002 - the caller's own global generator
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    drawn = torch.get_rng_state()
    instar.train((images, upper), out=tmp_path / "model", network="lenet", epochs=1, rivals=False)
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), drawn)


def test_nothing_is_written_outside_the_folder_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    instar.train(frame(), "side", out=tmp_path / "there", **QUICK)
    assert list((tmp_path / "here").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "there").iterdir() if not path.name.startswith(".")) == [
        "README.md",
        "instar.json",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "report.json",
        "run.json",
        "split.safetensors",
    ]


def test_a_column_that_gives_the_answer_away_is_said_to_whoever_uses_python(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = np.random.default_rng(0).normal(size=300)
    frame = pl.DataFrame({"noise": first[::-1], "leak": 2 * first, "price": first})
    model = instar.train(frame, "price", out=tmp_path / "run", epochs=1, rivals=False, network="linear")
    assert any(each.levelname == "WARNING" and "'leak' alone predicts" in each.message for each in caplog.records)
    assert model.report is not None and any("'leak'" in each for each in model.report.findings)
    assert "alone predicts" in model._repr_html_()
