"""One pass over very many short texts, side by side: Instar's `embedding-bag`, scikit-learn's hashing and linear model.

1,000,000 texts of about ten words, made by repeating 20,000 sentences with words left out, replaced, exchanged and
misspelled; two classes. With Instar an epoch is everything from texts in its store to a trained network: taking them
apart into words, finding groups of them, shuffling, learning. scikit-learn's HashingVectorizer and SGDClassifier take
the texts in batches of 10,000 (`partial_fit`). Both with single words, and with pairs of neighboring words as well;
each in a process of its own, whose anonymous memory is sampled ten times a second, with a quarter of the texts and with
all of them.

Bars: at most 0.7 of scikit-learn's time with the same groups of words; no more memory for all texts than for a quarter,
but for the 256 MiB of prepared rows that Instar keeps.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from benchmarks.common import DATA, heading, table, workshop
from benchmarks.memory import resident

ROWS, BATCH, CHUNK = 1_000_000, 10_000, 100_000
WORDS, SENTENCES, LONGEST = 20_000, 20_000, 16
SHARE_OF_TEST = 20  # of so many rows one
BAR, KEPT = 0.7, 2**28
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))


def made_up(rows: int) -> Path:
    """A CSV of ``text`` and ``side``, written a stretch at a time."""
    path = DATA / f"texts-{rows}.csv"
    if path.exists():
        return path
    DATA.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    lengths = generator.integers(2, 10, WORDS)
    lexicon = np.array(["".join(generator.choice(LETTERS, length)) for length in lengths])
    # Few words are frequent and most are rare (Zipf 1935).
    frequency = 1 / np.arange(10, WORDS + 10)
    sentences = generator.choice(WORDS, (SENTENCES, LONGEST), p=frequency / frequency.sum())
    count = generator.integers(5, LONGEST + 1, SENTENCES)
    leaning = (generator.normal(size=WORDS)[sentences] * (np.arange(LONGEST) < count[:, None])).sum(axis=1)
    making = path.with_suffix(".making")
    with making.open("wb") as stream:
        for start in range(0, rows, CHUNK):
            number = min(CHUNK, rows - start)
            chosen = generator.integers(0, SENTENCES, number)
            sides = np.where((leaning[chosen] > 0) ^ (generator.random(number) < 0.05), "for", "against")
            texts = _perturbed(sentences[chosen], count[chosen], lexicon, generator)
            pl.DataFrame({"text": texts, "side": sides}).write_csv(stream, include_header=start == 0)
    making.rename(path)
    return path


def _perturbed(
    sentences: np.ndarray, count: np.ndarray, lexicon: np.ndarray, generator: np.random.Generator
) -> list[str]:
    """A tenth of the words is left out, a tenth replaced, two neighbors exchanged, and one in fifty misspelled."""
    codes = np.where(generator.random(sentences.shape) < 0.1, generator.integers(0, WORDS, sentences.shape), sentences)
    rows, place = np.arange(len(codes)), generator.integers(0, LONGEST - 1, len(codes))
    codes[rows, place], codes[rows, place + 1] = codes[rows, place + 1], codes[rows, place].copy()
    words = lexicon[codes].astype(object)
    misspelled = generator.random(words.shape) < 0.02
    words[misspelled] += generator.choice(LETTERS, misspelled.sum()).astype(object)
    kept = (np.arange(LONGEST) < count[:, None]) & (generator.random(words.shape) > 0.1)
    kept[:, 0] = True  # none is empty
    return [" ".join(row[there]) for row, there in zip(words, kept, strict=True)]


def instar_epoch(path: Path, groups: int, folder: Path) -> dict[str, float]:
    import torch._dynamo  # noqa: F401  # which optimizers load: that torch starts is no part of an epoch

    from instar.columns import Columns, shapes_of
    from instar.fields import kinds
    from instar.networks.planning import plan
    from instar.sources.locate import locate
    from instar.store import ColumnPlan, Store, StorePlan
    from instar.trial import Material, conduct

    start = time.perf_counter()
    source = locate(str(path))
    sample = source.sample(1000).columns
    kind_of = {"text": kinds["text"], "side": kinds["category"]}
    settings = {kind.settings: kind.settings() for kind in kind_of.values()}
    plans = {
        name: ColumnPlan(kind.name, kind.survey(sample[name], settings[kind.settings]))
        for name, kind in kind_of.items()
    }
    store = Store.build(source, StorePlan(plans))
    rows = np.arange(len(store))
    learned, asked = rows[rows % SHARE_OF_TEST > 0], rows[rows % SHARE_OF_TEST == 0]
    columns = Columns(store, ("text",), ("side",), settings)
    fitted = columns.fit(learned)
    prepared = time.perf_counter()
    network = plan(*shapes_of(*fitted), "embedding-bag", {"ngram": groups}, len(learned))
    material = Material(columns, network, {}, seed=0)
    trial = conduct(material, learned, None, folder=folder, stage="training", fitted=fitted, epochs=1)
    done = time.perf_counter()
    right = trial.answer(asked)["side"].argmax(axis=1) == trial.truth(asked)["side"]
    return {"epoch": done - prepared, "whole": done - start, "accuracy": float(right.mean())}


def sklearn_epoch(path: Path, groups: int, folder: Path) -> dict[str, float]:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    start = time.perf_counter()
    vectorizer = HashingVectorizer(ngram_range=(1, groups))
    model = SGDClassifier(loss="log_loss", random_state=0)
    seconds, right, asked = 0.0, 0, 0
    for first, texts, sides in _batches(path):
        tested = (np.arange(first, first + len(texts)) % SHARE_OF_TEST) == 0
        began = time.perf_counter()
        learned = [text for text, is_test in zip(texts, tested, strict=True) if not is_test]
        model.partial_fit(vectorizer.transform(learned), sides[~tested], ["against", "for"])
        seconds += time.perf_counter() - began
    whole = time.perf_counter() - start
    for first, texts, sides in _batches(path):
        tested = np.flatnonzero(np.arange(first, first + len(texts)) % SHARE_OF_TEST == 0)
        answers = model.predict(vectorizer.transform([texts[row] for row in tested]))
        right, asked = right + int((answers == sides[tested]).sum()), asked + len(tested)
    return {"epoch": seconds, "whole": whole, "accuracy": right / asked}


def _batches(path: Path) -> Iterator[tuple[int, list[str], np.ndarray]]:
    """The number of the first row, texts and sides, a batch after the other."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        next(reader)
        first = 0
        while batch := list(islice(reader, BATCH)):
            yield first, [text for text, _ in batch], np.array([side for _, side in batch])
            first += len(batch)


LEARNERS = {"Instar": instar_epoch, "scikit-learn": sklearn_epoch}


def measure(learner: str, groups: int, rows: int) -> dict[str, float]:
    """One epoch in a process of its own; ``memory`` is the peak of its anonymous bytes."""
    made_up(rows)  # before anything is measured
    with workshop() as folder:
        arguments = [f"--rows={rows}", f"--groups={groups}", f"--learner={learner}", f"--folder={folder}"]
        child = psutil.Popen(
            [sys.executable, "-m", "benchmarks.fast_text", *arguments],
            env={**os.environ, "INSTAR_CACHE": str(folder / "cache")},
            stdout=subprocess.PIPE,
            text=True,
        )
        highest = 0
        while child.poll() is None:
            highest = max(highest, resident(child)[0])
            time.sleep(0.1)
        if child.returncode:
            raise SystemExit(f"{learner} failed with exit code {child.returncode}")
        return {**json.loads(child.stdout.read().splitlines()[-1]), "memory": highest}


def report(found: dict[tuple[str, int, int], dict[str, float]], rows: int) -> None:
    lines = [
        (learner, groups, count, *(each[name] for name in ("epoch", "whole", "accuracy")), each["memory"] / 2**20)
        for (learner, groups, count), each in found.items()
    ]
    head = ("learner", "words in a group", "texts", "seconds of the epoch", "with reading", "accuracy", "peak MiB")
    table(head, lines)
    bars = []
    for groups in sorted({groups for _, groups, _ in found}):
        ratio = found["Instar", groups, rows]["epoch"] / found["scikit-learn", groups, rows]["epoch"]
        bars.append((f"at most {BAR} x scikit-learn, groups of up to {groups}", ratio, ratio <= BAR))
        counts = sorted(count for learner, size, count in found if (learner, size) == ("Instar", groups))
        growth = found["Instar", groups, rows]["memory"] - found["Instar", groups, counts[0]]["memory"]
        bars.append(
            (f"MiB more for all texts than for a quarter, groups of up to {groups}", growth / 2**20, growth <= KEPT)
        )
    table(("bar", "found", "reached"), bars)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--groups", type=int, help="only groups of up to so many words")
    parser.add_argument("--learner", choices=tuple(LEARNERS), help="print this one's figures as JSON, in this process")
    parser.add_argument("--folder", type=Path, help="where that one may write")
    options = parser.parse_args()
    if options.learner:
        print(json.dumps(LEARNERS[options.learner](made_up(options.rows), options.groups, options.folder)))
        return
    heading("One pass over short texts")
    found = {
        (learner, groups, rows): measure(learner, groups, rows)
        for groups in ((options.groups,) if options.groups else (1, 2))
        for rows in (options.rows // 4, options.rows)
        for learner in LEARNERS
    }
    report(found, options.rows)


if __name__ == "__main__":
    main()
