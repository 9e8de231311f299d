"""Calls that cannot be carried out as they are put: typing errors in commands, settings, values and names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.bad_cases.base import USAGE, Case, photos, train, write_csv
from benchmarks.bad_cases.use import model

# A training that fails before its length matters: a flag would win over the same setting given another way.
FIRST = ("train", "data.csv", "--target", "answer", "--no-rivals", "--network", "linear")


def _table(folder: Path) -> None:
    write_csv(folder / "data.csv")


def usage() -> Iterator[Case]:
    for wrong, meant in {"trian": "train", "predcit": "predict", "inspct": "inspect", "xyz": "train"}.items():
        yield Case(f"command/{wrong}", (wrong, "data.csv"), USAGE, (wrong, meant))
    yield Case("command/train-alone", ("train",), USAGE, ("source",))
    yield Case("command/predict-alone", ("predict",), USAGE, ("model",))
    yield Case("command/inspect-two", ("inspect", "a", "b"), USAGE, ("b",))
    yield Case("command/cache-eat", ("cache", "eat"), USAGE, ("eat", "clear"))
    yield Case("command/cache-clear-unknown", ("cache", "clear", "nothing"), USAGE, ("nothing",))
    for flag in ("--trget", "--epocs", "--colour", "-z"):
        yield Case(f"flag/{flag}", train("data.csv", flag, "3"), USAGE, (flag,), _table)
    yield Case("flag/no-value", ("train", "data.csv", "--target"), USAGE, ("target",), _table)
    yield from _settings()
    yield from _files()


def _settings() -> Iterator[Case]:
    names = {
        "epocs": "epochs",
        "drpout": "dropout",
        "learning-rate": "rate",
        "optimiser": "optimizer",
        "": "setting|name",
    }
    for wrong, meant in names.items():
        yield Case(f"setting/{wrong}", train("data.csv", "--set", f"{wrong}=1"), USAGE, (meant,), _table)
    for number, text in enumerate(("epochs", "epochs:3", "=3")):
        yield Case(f"setting/form-{number}", train("data.csv", "--set", text), USAGE, ("set|name",), _table)
    values = {
        "epochs": ["0", "-3", "many", "2.5", "", "1e99x"],
        "rate": ["-1", "nan", "fast", "inf"],
        "test_share": ["1.5", "-0.1", "half"],
        "seed": ["-1", "x", "1e30"],
        "clip": ["-1", "none-at-all"],
        "nesterov": ["perhaps"],
        "threads": ["0", "100000"],
        "folds": ["1", "1000"],
        "time": ["5 parsecs", "-3", "soon"],
        "device": ["toaster"],
        "optimizer": ["adamm", "sdg"],
        "schedule": ["cosin"],
    }
    for name, wrong in values.items():
        for value in wrong:
            arguments = (*FIRST, "--out", "model", "--set", f"{name}={value}")
            yield Case(f"value/{name}={value}", arguments, USAGE, (name,), _table)
    for name in ("resnett", "MLP", "gpt-4", ""):
        arguments = ("train", "data.csv", "--target", "answer", "--network", name, "--out", "model")
        yield Case(f"network/{name or 'empty'}", arguments, USAGE, ("network",), _table)
    lenet = ("train", "data.csv", "--target", "answer", "--network", "lenet", "--out", "model", "--no-rivals")
    yield Case("network/lenet-for-a-table", lenet, USAGE, ("lenet",), _table)
    big = ("train", "photos", "--network", "lenet", "--set", "width=99999999", "--out", "model", "--no-rivals")
    yield Case("network/too-wide", big, USAGE, ("width",), lambda folder: photos(folder / "photos") and None)
    for wrong in ("age=numbr", "age", "=number", "agee=number", "answer=image"):
        yield Case(f"kind/{wrong}", train("data.csv", "--kind", wrong), (2, 3), ("kind|column",), _table)
    yield Case("seed/flag", train("data.csv", "--seed", "seven"), USAGE, ("seed",), _table)
    yield Case(
        "shares/all-is-test",
        train("data.csv", "--test-share", "0.9", "--validation-share", "0.9"),
        USAGE,
        ("share",),
        _table,
    )


def _files() -> Iterator[Case]:
    contents = {
        "no-toml": "epochs: 3\n",
        "cut": 'optimizer = "ad',
        "unknown": "epocs = 3\n",
        "value": "epochs = -3\n",
        "type": "epochs = [1, 2]\n",
        "table": "[training]\nepochs = 3\n",
        "date": "rate = 2020-01-01\n",
    }
    for what, content in contents.items():

        def make(folder: Path, content: str = content) -> None:
            _table(folder)
            (folder / "settings.toml").write_text(content)

        arguments = (*FIRST, "--out", "model", "--config", "settings.toml")
        yield Case(f"config/{what}", arguments, USAGE, (r"settings\.toml|epoc|rate|training",), make)

    def encoded(folder: Path) -> None:
        _table(folder)
        (folder / "settings.toml").write_bytes(b'optimizer = "\xff"')

    yield Case("config/encoding", train("data.csv", "--config", "settings.toml"), USAGE, (r"settings\.toml",), encoded)
    yield Case("config/nowhere", train("data.csv", "--config", "nowhere.toml"), USAGE, (r"nowhere\.toml",), _table)
    yield Case("config/folder", train("data.csv", "--config", "."), USAGE, (r"\.",), _table)
    yield Case("evaluate/one-argument", ("evaluate", "given"), USAGE, ("source",), model("table"))
