"""Time per epoch of the same multilayer perceptron, side by side: Instar, scikit-learn, plain PyTorch, Keras 3.

32 numbers in, two hidden layers of 64, two classes, batches of 128, Adam, 100,000 rows in memory; float32. Each epoch
is everything that it takes, the shuffling and gathering of rows, and with Instar the log and the checkpoints as well.
All of them in one process, in turn, each with as many threads as it takes by itself.

Bars: at most scikit-learn's MLPClassifier; at most a plain PyTorch loop that gathers from tensors; at most a quarter of
Keras 3 with the torch backend.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import nn

from benchmarks.common import DATA, competitors_python, heading, median, spread, table, workshop
from instar.batches import Batches
from instar.fields import Field, kinds
from instar.networks import assemble
from instar.prepared import Examples
from instar.sources.locate import locate
from instar.store import ColumnPlan, Store, StorePlan
from instar.training.loop import train
from instar.training.settings import resolve

ROWS, NUMBERS, HIDDEN, BATCH, RATE = 100_000, 32, 64, 128, 1e-3
Learner = Callable[[np.ndarray, np.ndarray, int], float]


def made_up(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (rows, 32) float32 and classes (rows,) that a small network can learn."""
    generator = np.random.default_rng(0)
    numbers = generator.standard_normal((rows, NUMBERS), dtype=np.float32)
    return numbers, (numbers[:, 0] * numbers[:, 1] + numbers[:, 2] > 0).astype(np.int64)


def fitted(numbers: np.ndarray, classes: np.ndarray) -> Examples:
    """The examples on Instar's own way: source, store, fields."""
    columns = {f"x{index}": numbers[:, index] for index in range(numbers.shape[1])} | {"class": classes}
    source = locate(pl.DataFrame(columns))
    sample = source.sample(1000).columns
    kind_of = {name: kinds["category" if name == "class" else "number"] for name in columns}
    plans = {name: ColumnPlan(kind.name, kind.survey(sample[name], kind.settings())) for name, kind in kind_of.items()}
    store = Store.build(source, StorePlan(plans))
    rows = np.arange(len(store))

    def fit(name: str) -> Field:
        kind, chunks = kind_of[name], store.column(name).chunks(rows)
        return kind.fit(name, chunks, plans[name].plan, kind.settings(), target=name == "class")

    fields = [fit(name) for name in columns]
    return Examples(store, fields[:-1], fields[-1:])


def instar_learner(numbers: np.ndarray, classes: np.ndarray) -> Learner:
    examples = fitted(numbers, classes)

    def learn(numbers: np.ndarray, classes: np.ndarray, epochs: int) -> float:
        shapes = {each.name: each.shape for each in examples.inputs}
        answers = {each.name: each.answer for each in examples.targets}
        network = assemble(shapes, answers, "mlp", {"width": HIDDEN, "depth": 2})
        settings = resolve({"batch": BATCH, "optimizer": "adam", "rate": RATE}, {}, ROWS)
        batches = Batches(examples, np.arange(len(numbers)), size=BATCH, seed=0)
        with tempfile.TemporaryDirectory(dir=DATA) as folder:
            start = time.perf_counter()
            train(network, batches, None, settings, folder=Path(folder), seed=0, epochs=epochs)
            return (time.perf_counter() - start) / epochs

    return learn


def sklearn_learner(numbers: np.ndarray, classes: np.ndarray, epochs: int) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        (HIDDEN, HIDDEN), batch_size=BATCH, learning_rate_init=RATE, max_iter=epochs, random_state=0
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(numbers, classes)
    return (time.perf_counter() - start) / epochs


def plain_learner(threads: int) -> Learner:
    def learn(numbers: np.ndarray, classes: np.ndarray, epochs: int) -> float:
        layers = [nn.Linear(NUMBERS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2)]
        network = nn.Sequential(*layers)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        inputs, targets = torch.from_numpy(numbers), torch.from_numpy(classes)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        start = time.perf_counter()
        for _ in range(epochs):
            order = torch.randperm(len(inputs))
            for first in range(0, len(inputs), BATCH):
                rows = order[first : first + BATCH]
                loss = nn.functional.cross_entropy(network(inputs[rows]), targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        seconds = (time.perf_counter() - start) / epochs
        torch.set_num_threads(before)
        return seconds

    return learn


def keras_learner(numbers: np.ndarray, classes: np.ndarray, epochs: int) -> float:
    import keras

    network = keras.Sequential(
        [keras.layers.Dense(HIDDEN, "relu"), keras.layers.Dense(HIDDEN, "relu"), keras.layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer=keras.optimizers.Adam(RATE), loss=loss)
    network.fit(numbers[:BATCH], classes[:BATCH], batch_size=BATCH, epochs=1, verbose=0)
    start = time.perf_counter()
    network.fit(numbers, classes, batch_size=BATCH, epochs=epochs, verbose=0)
    return (time.perf_counter() - start) / epochs


def measure(rows: int, epochs: int, repeats: int) -> dict[str, list[float]]:
    """Seconds per epoch of each learner, in turn; the first, in which everything warms up, is not counted."""
    numbers, classes = made_up(rows)
    learners: dict[str, Learner] = {
        "Instar": instar_learner(numbers, classes),
        "scikit-learn MLPClassifier": sklearn_learner,
    }
    for threads in sorted({1, os.cpu_count() or 1}):
        learners[f"plain PyTorch, threads: {threads}"] = plain_learner(threads)
    if importlib.util.find_spec("keras"):
        learners["Keras 3, torch backend"] = keras_learner
    seconds: dict[str, list[float]] = {name: [] for name in learners}
    for repeat in range(repeats + 1):
        for name, learn in learners.items():
            taken = learn(numbers, classes, epochs)
            if repeat:
                seconds[name].append(taken)
    return seconds


def report(seconds: dict[str, list[float]]) -> None:
    own = median(seconds["Instar"])
    rows = [(name, spread(taken), own / median(taken)) for name, taken in seconds.items()]
    table(("learner", "seconds per epoch, median (range)", "Instar's share of it"), rows)
    bars = {"scikit-learn": 1.0, "plain PyTorch": 1.0, "Keras": 0.25}
    reached = []
    for start, bar in bars.items():
        shares = [share for name, _, share in rows if name.startswith(start)]
        if shares:
            reached.append((f"at most {bar:g} x {start}", max(shares), max(shares) <= bar))
    table(("bar", "share", "reached"), reached)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--epochs", type=int, default=3, help="in each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-keras", action="store_true", help="leave out Keras, which else is installed beside")
    parser.add_argument("--measure", action="store_true", help="print the figures as JSON, in this interpreter")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.rows, options.epochs, options.repeats)))
        return
    heading("Time per epoch of a multilayer perceptron")
    python = Path(sys.executable) if options.no_keras else competitors_python({"keras": "keras"})
    arguments = [f"--{name}={getattr(options, name)}" for name in ("rows", "epochs", "repeats")]
    with workshop() as folder:
        environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(folder), "INSTAR_CACHE": str(folder)}
        command = [str(python), "-m", "benchmarks.mlp_epoch", "--measure", *arguments]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    report(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
