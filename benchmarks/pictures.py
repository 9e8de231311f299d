"""10,000 JPEG pictures of 256x256 to 96x96, the same LeNet, ten epochs from files, whole process, side by side.

8,000 pictures train, 1,000 validate after every epoch, 1,000 are the test at the end; batches of 64, Adam at 0.001, no
augmentation. Ours starts with an empty cache, so that its time includes the one reading of all files.

Bar: at most 0.4 times Keras 3 (torch backend), at most 0.5 times a PyTorch Dataset and DataLoader with 2 workers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import Run, competitors_python, heading, instar, median, run, scores, spread, table, workshop
from benchmarks.picture_data import pictures

SIZE, EPOCHS, BATCH = 96, 10, 64
COMPETITORS = Path(__file__).parent / "competitors"
KERAS = {"keras": "keras", "tensorflow": "tensorflow-cpu"}
OURS, TORCH = "Instar", "PyTorch Dataset/DataLoader, 2 workers"
# Its other way to read, grain, took twice as long as this one on 2026-11-21 (261.7 s against 122 s).
KERAS_TF = "Keras 3 on torch, tf.data (its default)"
PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}
SETTINGS = {
    "image_size": SIZE,
    "epochs": EPOCHS,
    "patience": EPOCHS,
    "batch": BATCH,
    "activation": "relu",
    "optimizer": "adam",
    "rate": 0.001,
    "augmentation": "no",
}


def ours(folder: Path) -> tuple[Run, float]:
    with workshop() as place:
        out = place / "model"
        given = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        done = instar(
            *("train", folder, "--network", "lenet", "--no-rivals", "--out", out, *given), cache=place / "cache"
        ).must_succeed()
        return done, scores(out)["accuracy"]["value"]


def competitor(python: Path, program: str, *arguments: object) -> tuple[Run, float]:
    done = run([python, COMPETITORS / program, *arguments], environment={"TF_CPP_MIN_LOG_LEVEL": "3"}).must_succeed()
    return done, float(done.stdout.split()[-1])


def contenders(folder: Path, epochs: int) -> dict[str, Callable[[], tuple[Run, float]]]:
    python = competitors_python(KERAS)
    given = (folder, SIZE, epochs, BATCH)
    return {
        OURS: lambda: ours(folder),
        TORCH: lambda: competitor(python, "torch_pictures.py", *given),
        KERAS_TF: lambda: competitor(python, "keras_pictures.py", *given),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    entrants = contenders(pictures("pictures", 10_000, 256, PARTS), EPOCHS)
    heading("Pictures from files")
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    accuracy: dict[str, list[float]] = {name: [] for name in entrants}
    for _ in range(repeats):
        for name, work in entrants.items():
            done, score = work()
            seconds[name].append(done.seconds)
            accuracy[name].append(score)
    own = median(seconds[OURS])
    table(
        ("program", "seconds, median (all)", "Instar's time / its time", "test accuracy, median"),
        [(name, spread(taken), own / median(taken), median(accuracy[name])) for name, taken in seconds.items()],
    )
    keras = median(seconds[KERAS_TF])
    table(
        ("figure", "measured", "bar", "reached"),
        [
            ("against Keras 3", own / keras, "<= 0.4", own <= 0.4 * keras),
            ("against PyTorch", own / median(seconds[TORCH]), "<= 0.5", own <= 0.5 * median(seconds[TORCH])),
        ],
    )


if __name__ == "__main__":
    main()
