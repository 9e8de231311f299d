"""The command line: results on stdout, words on stderr, exit codes, and the same command goes on where it stopped."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from instar.cli import main
from instar.files import locked

QUICK = ("--no-rivals", "--epochs", "2", "--network", "linear")
Capture = pytest.CaptureFixture[str]


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one strict JSON document."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


class Here:
    """A folder in which commands are run, in this process."""

    def __init__(self, folder: Path, capture: Capture) -> None:
        self.folder, self.capture = folder, capture

    def __call__(self, *arguments: object) -> Ran:
        self.capture.readouterr()
        code = main([str(each) for each in arguments])
        out, err = self.capture.readouterr()
        return Ran(code, out, err)

    def left(self) -> list[str]:
        """What lies in the folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@pytest.fixture
def instar(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, capsys)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "iris"
    assert main(["-qq", "train", "example:iris", *QUICK, "--out", str(folder)]) == 0
    return folder


def table(path: Path, rows: int = 1_050, seed: int = 0) -> Path:
    """A table whose answer follows from its numbers."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(2, rows)).round(4)
    answer = np.where(first + second > 0, "up", "down")
    pl.DataFrame({"first": first, "second": second, "answer": answer}).write_csv(path)
    return path


def sha(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


# Learning


def test_training_prints_the_result_on_stdout_and_everything_else_on_stderr(instar: Here) -> None:
    ran = instar("train", "example:iris", *QUICK, "--out", "model")
    assert ran.code == 0
    assert "accuracy" in ran.out and "95 % interval" in ran.out
    assert "Model:   model" in ran.out and str(Path("model") / "report.html") in ran.out
    for word in ("inputs: 4", "of kind number", "3 classes", "as asked"):
        assert word in ran.err and word not in ran.out
    assert (instar.folder / "model" / "report.html").is_file()


def test_training_as_json_is_one_document_with_the_metrics(instar: Here) -> None:
    ran = instar("-q", "train", "example:iris", *QUICK, "--out", "model", "--json")
    assert ran.json["model"] == "model"
    score = ran.json["metrics"]["accuracy"]
    assert score["low"] <= score["value"] <= score["high"] and score["rows"] == 150
    assert ran.err == ""


def test_the_folder_is_named_after_source_and_settings(instar: Here) -> None:
    assert instar("-q", "train", "example:iris", *QUICK).code == 0
    (first,) = (instar.folder / "runs").iterdir()
    assert first.name.startswith("iris-")
    assert instar("-q", "train", "example:iris", *QUICK, "--seed", "1").code == 0
    assert len(list((instar.folder / "runs").iterdir())) == 2


def test_the_same_command_prints_the_stored_result_and_changes_nothing(instar: Here) -> None:
    command = ("train", "example:iris", *QUICK, "--out", "model")
    first = instar(*command)
    before = {
        path: (sha(instar.folder / "model"), path.stat().st_mtime_ns) for path in (instar.folder / "model").iterdir()
    }
    again = instar(*command)
    assert again.code == 0
    assert again.out == first.out
    assert "learned before" in again.err
    after = {
        path: (sha(instar.folder / "model"), path.stat().st_mtime_ns) for path in (instar.folder / "model").iterdir()
    }
    assert after == before
    assert instar(*command, "--json").json["metrics"]


def test_other_settings_are_refused_by_name(instar: Here) -> None:
    command = ("train", "example:iris", *QUICK, "--out", "model")
    assert instar(*command).code == 0
    ran = instar(*command, "--seed", "9", "--set", "l1=0.5")
    assert ran.code == 6
    assert "seed was the default and is 9" in ran.err and "l1 was the default and is 0.5" in ran.err
    assert "--out" in ran.err and ran.out == ""


def test_other_data_are_refused_and_a_touched_file_is_not(instar: Here) -> None:
    table(Path("data.csv"))
    command = ("train", "data.csv", "--target", "answer", *QUICK, "--out", "model")
    first = instar(*command)
    os.utime("data.csv", (1, 1))
    assert instar(*command).out == first.out
    table(Path("data.csv"), seed=1)
    ran = instar(*command)
    assert ran.code == 6 and "the examples have changed" in ran.err


def test_a_lock_keeps_a_second_process_out(instar: Here) -> None:
    with locked(instar.folder / "model"):
        ran = instar("train", "example:iris", *QUICK, "--out", "model")
    assert ran.code == 6
    assert "Another process" in ran.err and "model" in ran.err
    assert not (instar.folder / "model" / "run.json").exists()


def test_a_folder_with_something_else_in_it_is_refused_untouched(instar: Here) -> None:
    Path("model").mkdir()
    Path("model/thesis.txt").write_text("the only copy")
    ran = instar("train", "example:iris", *QUICK, "--out", "model")
    assert ran.code == 6 and "thesis.txt" in ran.err
    assert instar.left() == ["model", "model/thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("data.csv",), 3),
        (("data.csv", "--target", "answr"), 3),
        (("nowhere.csv", "--target", "answer"), 3),
        (("data.csv", "--target", "answer", "--network", "lenet"), 2),
        (("data.csv", "--target", "second", "--network", "perceptron"), 2),
        (("data.csv", "--target", "answer", "--network", "perceptron", "--set", "label_smoothing=0.1"), 2),
        (("data.csv", "--target", "answer", "--set", "epocs=3"), 2),
        (("data.csv", "--target", "answer", "--kind", "answer=image"), 3),
        (("data.csv", "--target", "answer", "--network", "mlp", "--set", "width=0"), 2),
        (("data.csv", "--target", "answer", "--set", "device=cuda"), 2),
        (("data.csv", "--target", "answer", "--exclude", "first,second"), 3),
        (("data.csv", "--target", "answer", "--exclude", "first", "--exclude", "second"), 3),
        (("data.csv", "--target", "answer", "--time-order", "answer"), 2),
        (("data.csv", "--target", "answer", "--split", "first"), 3),
        (("data.csv", "--target", "answer", "--split", "answer"), 2),
        (("data.csv", "--target", "answer", "--set", "exam_of=nowhere"), 5),
        (("data.csv", "--target", "answer", "--target", "answer"), 2),
    ],
)
def test_an_error_before_training_leaves_nothing_behind(arguments: tuple[str, ...], code: int, instar: Here) -> None:
    table(Path("data.csv"))
    ran = instar("train", *arguments, "--no-rivals", "--epochs", "2", "--out", "deep/model")
    assert ran.code == code, ran.err
    assert ran.err.startswith("Error: ") or "\nError: " in ran.err
    assert ran.out == "" and "Traceback" not in ran.err
    assert instar.left() == ["data.csv"]


def test_flags_win_over_set_and_set_wins_over_the_file(instar: Here) -> None:
    Path("settings.toml").write_text('epochs = 4\nseed = 5\nbatch = 64\nnetwork = "linear"\nrivals = false\n')
    given = ("--config", "settings.toml", "--set", "seed=6", "--set", "batch=128", "--set", "epochs=3", "--epochs", "2")
    assert instar("train", "example:iris", *given, "--out", "model").code == 0
    kept = json.loads(Path("model/run.json").read_text())["settings"]
    expected = {"epochs": 2, "seed": 6, "batch": 128, "network": "linear", "rivals": False}
    assert {name: kept[name] for name in expected} == expected


def test_dashes_and_underscores_mean_the_same_setting(instar: Here) -> None:
    assert instar("train", "example:iris", *QUICK, "--set", "weight-decay=0.1", "--out", "model").code == 0
    assert json.loads(Path("model/run.json").read_text())["settings"]["weight_decay"] == 0.1


def test_a_file_may_write_its_names_with_dashes_too(instar: Here) -> None:
    Path("settings.toml").write_text("weight-decay = 0.1\n")
    assert instar("train", "example:iris", *QUICK, "--config", "settings.toml", "--out", "model").code == 0
    assert json.loads(Path("model/run.json").read_text())["settings"]["weight_decay"] == 0.1


@pytest.mark.parametrize(
    ("content", "word"),
    [("epochs: 3", "TOML"), ("epocs = 3", "epochs"), ("epochs = -1", "epochs"), ("[training]\nepochs = 3", "training")],
)
def test_a_bad_file_of_settings_is_named(content: str, word: str, instar: Here) -> None:
    Path("settings.toml").write_text(content)
    ran = instar("train", "example:iris", "--config", "settings.toml")
    assert ran.code == 2 and word in ran.err
    assert instar("train", "example:iris", "--config", "nowhere.toml").code == 2


# Using a model


def test_evaluation(instar: Here, model: Path) -> None:
    ran = instar("evaluate", model, "example:iris")
    assert ran.code == 0 and "accuracy" in ran.out and ran.err == ""
    metrics = instar("evaluate", model, "example:iris", "--json").json["metrics"]
    assert set(metrics["accuracy"]) == {"value", "low", "high", "rows"} and metrics["accuracy"]["rows"] == 150


def test_predictions_in_every_style_are_the_same(instar: Here, model: Path) -> None:
    document = instar("predict", model, "example:iris", "--json").json
    lines = [json.loads(line) for line in instar("predict", model, "example:iris", "--json-lines").out.splitlines()]
    rows = list(csv.DictReader(io.StringIO(instar("predict", model, "example:iris", "--csv").out)))
    plain = instar("predict", model, "example:iris").out  # standard output is no terminal here
    assert len(document) == 150 and list(document[0]) == ["prediction", "confidence"]
    assert lines == document
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in document]
    assert list(csv.DictReader(io.StringIO(plain))) == rows


def test_probabilities_add_up_and_the_largest_is_the_confidence(instar: Here, model: Path) -> None:
    for row in instar("predict", model, "example:iris", "--probabilities", "--json").json:
        shares = {name: row[f"probability_{name}"] for name in ("setosa", "versicolor", "virginica")}
        assert sum(shares.values()) == pytest.approx(1)
        assert max(shares, key=shares.__getitem__) == row["prediction"]
        assert row["confidence"] == max(shares.values())


def test_a_coverage_that_is_none_is_refused(instar: Here, model: Path) -> None:
    for coverage in ("0", "1", "1.5", "-1", "nan"):
        ran = instar("predict", model, "example:iris", "--coverage", coverage)
        assert ran.code == 2 and "between 0 and 1" in ran.err and ran.out == ""


def test_prediction_from_other_content_names_what_is_missing(instar: Here, model: Path) -> None:
    table(Path("data.csv"))
    ran = instar("predict", model, "data.csv")
    assert ran.code == 3 and "sepal_length_cm" in ran.err and "first, second, answer" in ran.err
    assert instar("evaluate", model, "data.csv").code == 3


def test_inspect_shows_inputs_target_network_and_claims(instar: Here, model: Path) -> None:
    ran = instar("inspect", model)
    assert ran.code == 0
    for word in ("sepal_length_cm (number)", "species (category)", "linear", "accuracy", "Weights:"):
        assert word in ran.out
    assert instar("inspect", model, "--json").json["format"] == 1
    ran = instar("inspect", instar.folder)
    assert ran.code == 5 and "no finished model" in ran.err


# Listing


@pytest.mark.parametrize("command", ["networks", "kinds", "settings"])
def test_lists_say_something_of_everything(command: str, instar: Here) -> None:
    rows = instar(command, "--json").json
    plain = instar(command).out
    for row in rows:
        assert row["name"] in plain
        assert all(str(value).strip() for value in row.values())


def test_settings_are_found_by_a_word(instar: Here) -> None:
    names = {row["name"] for row in instar("settings", "dropout", "--json").json}
    assert "dropout" in names and "seed" not in names


def test_the_cache_is_shown_and_cleared(instar: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTAR_CACHE", str(instar.folder / "cache"))
    assert instar("cache", "--json").json == []
    assert "empty" in instar("cache").out
    table(Path("data.csv"))
    assert instar("train", "data.csv", "--target", "answer", *QUICK, "--out", "model").code == 0
    (entry,) = instar("cache", "--json").json
    assert entry["bytes"] > 0 and entry["place"].endswith("data.csv")
    assert "data" in instar("cache", "list").out
    assert instar("cache", "clear", "nothing").code == 2
    assert len(instar("cache", "clear", "--json").json["removed"]) == 1
    assert instar("cache", "--json").json == []


# Wrong words


@pytest.mark.parametrize(
    ("arguments", "meant", "code"),
    [
        (("trian", "x.csv"), "'train'", 2),
        (("train", "example:irsi"), "'iris'", 3),
        (("train", "example:iris", "--set", "drpout=1"), "'dropout'", 2),
        (("train", "example:iris", "--set", "optimizer=adm"), "'adam'", 2),
        (("train", "example:iris", "--network", "tabn"), "'tabm'", 2),
        (("train", "example:iris", "--target", "specie"), "'species'", 3),
        (("train", "example:iris", "--exclude", "sepal_lenght_cm"), "'sepal_length_cm'", 3),
        (("train", "example:iris", "--kind", "species=categry"), "'category'", 2),
        (("train", "example:iris", "--kind", "specis=category"), "'species'", 3),
        (("train", "example:iris", "--epocs", "3"), "--epochs", 2),
    ],
)
def test_a_wrong_word_gets_the_right_one(arguments: tuple[str, ...], meant: str, code: int, instar: Here) -> None:
    ran = instar(*arguments)
    assert ran.code == code, ran.err
    assert meant in ran.err and ran.out == ""
    assert instar.left() == []


@pytest.mark.parametrize("arguments", [(), ("--help",), ("train", "--help"), ("predict", "-h"), ("--version",)])
def test_help_is_a_result(arguments: tuple[str, ...], instar: Here) -> None:
    ran = instar(*arguments)
    assert ran.code == 0 and ran.out and ran.err == ""


def test_help_shows_a_dozen_settings_and_not_all(instar: Here) -> None:
    shown = instar("train", "--help").out
    assert 12 <= shown.count("  --") <= 30
    for flag in ("--target", "--out", "--network", "--time", "--seed", "--epochs", "--no-rivals", "--set", "--config"):
        assert flag in shown
    assert "--label-smoothing" not in shown


def test_missing_and_needless_arguments(instar: Here) -> None:
    for arguments in (("train",), ("predict", "model"), ("inspect",), ("inspect", "a", "b"), ("evaluate", "x")):
        ran = instar(*arguments)
        assert ran.code == 2 and ran.out == "" and ran.err.startswith("Error: ")


# What goes wrong inside


def test_a_fault_of_ours_is_one_line_and_debug_shows_it(instar: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr("sklearn.datasets.load_iris", broken)
    ran = instar("train", "example:iris")
    assert ran.code == 1 and ran.out == ""
    assert "the disk is on fire" in ran.err and "--debug" in ran.err
    assert len(ran.err.splitlines()) == 1
    ran = instar("--debug", "train", "example:iris")
    assert ran.code == 1 and "Traceback" in ran.err


def test_debug_shows_where_an_error_of_the_user_comes_from(instar: Here) -> None:
    assert "Traceback" not in instar("train", "nowhere.csv").err
    assert "Traceback" in instar("--debug", "train", "nowhere.csv").err


def test_quiet_and_loud(instar: Here) -> None:
    silent = instar("-q", "train", "example:iris", *QUICK, "--out", "quiet")
    assert silent.err == "" and silent.out
    loud = instar("-v", "train", "example:iris", *QUICK, "--out", "loud", "--seed", "3")
    normal = instar("train", "example:iris", *QUICK, "--out", "normal", "--seed", "4")
    assert len(loud.err) >= len(normal.err) > 0
    assert "Error" in instar("-qq", "train", "nowhere.csv").err


# Processes


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "instar.cli", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epoch(process: subprocess.Popen[str], log: Path) -> None:
    """Until the log tells of an epoch; an end before that is a failure."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        if log.exists() and '"epoch"' in log.read_text(encoding="utf-8"):
            return
        time.sleep(0.02)
    raise AssertionError("no epoch within two minutes")


LONG = ("train", "data.csv", "--target", "answer", "--no-rivals", "--network", "mlp", "--epochs", "8")
SLOW_STEPS = ("--set", "batch=4", "--set", "width=16", "--patience", "1000")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of `LONG` where nothing stops it."""
    folder = tmp_path_factory.mktemp("whole")
    source = table(folder / "data.csv")
    command = ["train" if each == "train" else str(source) if each == "data.csv" else each for each in LONG]
    assert main(["-qq", *command, *SLOW_STEPS, "--out", str(folder / "whole")]) == 0
    return sha(folder / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_ends_with_the_same_bits(
    number: signal.Signals, instar: Here, whole: str
) -> None:
    table(Path("data.csv"))
    process = start(instar.folder, *LONG, *SLOW_STEPS, "--out", "stopped")
    wait_for_epoch(process, instar.folder / "stopped" / "metrics.jsonl")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert out == "" and "Traceback" not in err
    assert "goes on" in err
    assert not (instar.folder / "stopped" / "model.safetensors").exists()
    again = instar(*LONG, *SLOW_STEPS, "--out", "stopped")
    assert again.code == 0 and re.search("Going on where it was stopped: (trial|train), ", again.err)
    assert sha(instar.folder / "stopped") == whole
    events = [json.loads(line)["event"] for line in Path("stopped/metrics.jsonl").read_text().splitlines()]
    assert "resume" in events


def test_a_killed_run_goes_on_to_the_same_bits(instar: Here, whole: str) -> None:
    table(Path("data.csv"))
    process = start(instar.folder, *LONG, *SLOW_STEPS, "--out", "killed")
    wait_for_epoch(process, instar.folder / "killed" / "metrics.jsonl")
    process.kill()
    process.communicate()
    assert instar("-q", *LONG, *SLOW_STEPS, "--out", "killed").code == 0
    assert sha(instar.folder / "killed") == whole
    assert not [name for name in instar.left() if name.endswith(".part")]


HEAVY = ("torch", "polars", "numpy", "sklearn", "pandas", "PIL")


def imports(*arguments: str, folder: Path) -> set[str]:
    """Which heavy libraries a command imports."""
    code = (
        "import sys\nfrom instar.cli import main\ncode = main(sys.argv[1:])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert not imports(*arguments, folder=tmp_path) - {"numpy", "polars"}


def test_inspect_and_cache_never_import_torch(model: Path, tmp_path: Path) -> None:
    for arguments in (("inspect", str(model)), ("inspect", str(model), "--json"), ("cache",), ("cache", "clear")):
        assert "torch" not in imports(*arguments, folder=tmp_path)


def test_a_reader_that_goes_away_is_no_error(model: Path, tmp_path: Path) -> None:
    table(tmp_path / "data.csv", rows=150)
    wide = pl.read_csv(tmp_path / "data.csv").with_columns(
        *(
            pl.col("first").alias(name)
            for name in ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")
        )
    )
    pl.concat([wide] * 50).write_csv(tmp_path / "data.csv")
    command = (
        f'"{sys.executable}" -m instar.cli predict "{model}" data.csv --json-lines | head -1; exit ${{PIPESTATUS[0]}}'
    )
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_predictions_say_where_their_examples_are(instar: Here, model: Path) -> None:
    rows = instar("predict", model, "example:iris", "--where", "--json").json
    assert list(rows[0]) == ["where", "prediction", "confidence"]
    assert len({row["where"] for row in rows}) == 150


def test_a_measurement_does_not_claim_that_rows_were_new(instar: Here, model: Path) -> None:
    assert "had not seen" not in instar("evaluate", model, "example:iris").out
