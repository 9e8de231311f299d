"""What is odd in the data, said in sentences before training and again in the report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from instar.fields import Field
from instar.fields.digest import MISSING, digest, parse_numbers
from instar.keys import repeated_share, run_starts
from instar.shapes import Amounts, Choice, Several
from instar.sources import Chunk, FileColumn
from instar.store import Store, StoredColumn
from instar.words import percent

if TYPE_CHECKING:
    import polars as pl

    from instar.prepared import Examples

# Fewer cells than this that are all different prove nothing.
TELLING_CELLS = 20
# Of so many columns it is said how much of them is missing, those with the most first.
LISTED_COLUMNS = 6
# With fewer rows than this a class has one or two in the test, and its score is chance.
RARE_ROWS = 10
# From here on "always the largest class" looks like a good score.
DOMINANT_SHARE = 0.9
# A column alone that does this well, and leaves a tenth of the majority's errors, is the answer in other words.
GIVEAWAY_SCORE, GIVEAWAY_ERRORS = 0.99, 0.1
# Rows that a tree per column is grown on: enough for a score to two digits; fewer where there are many columns.
TREE_ROWS, ALL_TREES_ROWS, LEAST_TREE_ROWS = 20_000, 4_000_000, 1_000
# Fewer examined rows than this cannot show a score of 0.99.
LEAST_HELD_OUT = 50
# A field of more numbers than a date's parts is a whole table or picture, and no column.
MOST_PARTS = 32

# So many columns that are numbered may be a series.
LEAST_NUMBERED = 20
_NUMBERED = re.compile(r"(.*?)(\d{1,9})")

_IDENTIFIER_PARTS = {"id", "ids", "uuid", "guid", "identifier", "rowname", "rownames", "rowid", "rownum"}
_IDENTIFIER_NAMES = {"", "index", "row", "key", "no", "nr", "number", "unnamed 0"}
# Numbers that count on in time are a trend, which new rows continue.
_TIME_PARTS = {"year", "month", "week", "day", "date", "hour", "minute", "time", "timestamp"}


@dataclass(frozen=True)
class Finding:
    """Something odd. ``what`` completes the sentence "Column 'age' ..." where there is a ``column``."""

    column: str | None
    what: str
    remedy: str | None = None

    def __str__(self) -> str:
        subject = f"Column {self.column!r} " if self.column is not None else ""
        return f"{subject}{self.what}." + (f" {self.remedy}." if self.remedy else "")


def unfit_columns(sample: Chunk, names: Iterable[str]) -> dict[str, str]:
    """Columns that no network should learn from, each with the reason, as a sample of the source shows them.

    Those are columns without any value, numbers that count the rows, and what is called an identifier and is all
    different. Words that are all different may be dates or paths: that is for the kinds to say.
    """
    reasons = {}
    for name in names:
        column = sample.columns[name]
        if isinstance(column, FileColumn | np.ndarray) or column.dtype.is_nested():
            continue
        digests = digest(column)
        present = digests != MISSING
        if not present.any():
            reasons[name] = "it has no value"
        elif present.sum() >= TELLING_CELLS and len(np.unique(digests[present])) == present.sum():
            reason = _identifies(name, column)
            if reason:
                reasons[name] = reason
    return reasons


def _identifies(name: str, column: pl.Series) -> str | None:
    """Why a column of different values is an identifier, if it is one."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    parts = re.sub(r"[^a-z0-9]+", " ", parts).strip()
    words = set(parts.split())
    numbers = parse_numbers(column).to_numpy()
    known = np.isfinite(numbers)
    whole = bool((numbers[known] == np.floor(numbers[known])).all())
    called = bool(words & _IDENTIFIER_PARTS) or parts in _IDENTIFIER_NAMES
    if called and whole:
        return "it is called an identifier, and its values are all different"
    if known.all() and whole and not words & _TIME_PARTS:
        stride = (numbers[-1] - numbers[0]) / (len(numbers) - 1)
        if np.abs(numbers - np.linspace(numbers[0], numbers[-1], len(numbers))).max() <= abs(stride):
            return "it counts the rows"
    return None


def constant_columns(store: Store, names: Iterable[str]) -> dict[str, str]:
    """Columns that have one value in all rows, or none, each with the reason. A sample cannot show that."""
    reasons = {}
    for name in names:
        column = store.column(name)
        digests = column.digests
        step = 1 << 16  # nearly every column differs within the first block
        if all((digests[start : start + step] == digests[0]).all() for start in range(0, len(digests), step)):
            reasons[name] = "it has the same value in every row" if column.present[0] else "it has no value"
        elif not column.present.any():
            reasons[name] = "it has no value that can be read"
    return reasons


def look(
    store: Store,
    inputs: Sequence[str],
    targets: Sequence[Field],
    rows: np.ndarray,
    keys: np.ndarray,
    locate: Callable[[int], str],
) -> list[Finding]:
    """What the content of ``rows`` (int64) shows without learning anything.

    ``keys`` (len(rows),) are the rows' keys, ``locate`` says where a row is (`Source.locate_row`).
    """
    findings = []
    missing: dict[str, float] = {}
    for name in (*inputs, *(field.name for field in targets)):
        column = store.column(name)
        findings += _unreadable(column, locate)
        share = 1.0 - float(column.present[rows].mean())
        if share and name in inputs:
            missing[name] = share
        elif share:
            findings.append(Finding(name, f"has no answer in {percent(share)} of the rows"))
    findings += _missing(missing) + _numbered(store, inputs)
    findings += _copies(store, inputs, targets, rows)
    findings += _repeats([store.column(field.name) for field in targets], rows, keys)
    for field in targets:
        findings += _classes(field) + _labels(field)
    return findings


def _missing(shares: Mapping[str, float]) -> list[Finding]:
    """One sentence about all inputs with missing values, from the shares of rows in which they are missing."""
    if not shares:
        return []
    most = sorted(shares, key=lambda name: -shares[name])[:LISTED_COLUMNS]
    listed = ", ".join(f"{name!r} in {percent(shares[name])}" for name in most)
    others = f", and {len(shares) - len(most):,} more columns in fewer" if len(shares) > len(most) else ""
    return [Finding(None, f"Values are missing: {listed} of the rows{others}")]


def _numbered(store: Store, inputs: Sequence[str]) -> list[Finding]:
    """Many columns of numbers whose names are numbered, one after another: steps in time, perhaps, but also pixels."""
    findings, run = [], list[str]()
    for name in [*inputs, ""]:
        before = _NUMBERED.fullmatch(run[-1]) if run else None
        here = _NUMBERED.fullmatch(name)
        if before and here and here[1] == before[1] and int(here[2]) == int(before[2]) + 1:
            run.append(name)
            continue
        if len(run) >= LEAST_NUMBERED:
            what = f"{len(run):,} columns, {run[0]!r} to {run[-1]!r}, are numbered like the steps of a series"
            remedy = f"If they are steps in time, learn them as a series: --steps {run[0]}..{run[-1]}"
            findings.append(Finding(None, what, remedy))
        run = [name] if here and store.column(name).values.dtype.kind == "f" else []
    return findings


def _unreadable(column: StoredColumn, locate: Callable[[int], str]) -> list[Finding]:
    if not column.problem_count:
        return []
    first = column.problems[0]
    count = "one value" if column.problem_count == 1 else f"{column.problem_count:,} values"
    what = f"has {count} that cannot be read and that count as missing (first {locate(first.row)}: {first.reason})"
    return [Finding(column.name, what, "Correct them if they matter")]


def _copies(store: Store, inputs: Sequence[str], targets: Sequence[Field], rows: np.ndarray) -> list[Finding]:
    """Inputs that are a target once more, nearly everywhere."""
    findings = []
    for field in targets:
        answers = store.column(field.name).digests[rows]
        for name in inputs:
            share = float((store.column(name).digests[rows] == answers).mean())
            if name != field.name and share >= GIVEAWAY_SCORE:
                what = f"repeats the target {field.name!r} in {percent(share)} of the rows"
                findings.append(Finding(name, what, f"Leave it out: --exclude {name}"))
    return findings


def _repeats(targets: Sequence[StoredColumn], rows: np.ndarray, keys: np.ndarray) -> list[Finding]:
    """Rows with equal inputs, and among them those with different answers."""
    count = round(repeated_share(keys) * len(keys))
    if not count:
        return []
    findings = [Finding(None, f"{count:,} of {len(keys):,} rows have the same inputs as another row")]
    order = np.argsort(keys)
    first = np.flatnonzero(run_starts(keys[order]))
    sizes = np.diff(first, append=len(keys))
    for column in targets:
        answers = column.digests[rows[order]]
        differ = np.minimum.reduceat(answers, first) != np.maximum.reduceat(answers, first)
        contradicting = int(sizes[differ].sum())
        if contradicting:
            what = (
                f"has different answers to the same inputs in {contradicting:,} rows, which nothing can learn to tell"
            )
            findings.append(Finding(column.name, what))
    return findings


def _classes(field: Field) -> list[Finding]:
    """Classes of a target that are rare among its training rows, or that outnumber all others."""
    if not isinstance(field.answer, Choice):
        return []
    counts = np.array(field.answer.counts)
    findings = []
    rare = np.flatnonzero(counts < RARE_ROWS)
    if len(rare):
        names = ", ".join(repr(name) for name in _names(field, rare[:3])) + (", ..." if len(rare) > 3 else "")
        classes = "one class" if len(rare) == 1 else f"{len(rare):,} classes"
        what = f"has {classes} with fewer than {RARE_ROWS} training rows ({names})"
        findings.append(Finding(field.name, what, "Add examples of them, or join them into one class"))
    largest, share = counts.argmax(), counts.max() / max(1, counts.sum())
    if share >= DOMINANT_SHARE:
        what = f"is {_names(field, np.array([largest]))[0]!r} in {percent(share)} of the training rows"
        findings.append(Finding(field.name, what, "Judge by the balanced accuracy: the plain one says little here"))
    return findings


def _labels(field: Field) -> list[Finding]:
    """Labels of a target that few of its training rows have."""
    if not isinstance(field.answer, Several):
        return []
    counted = zip(field.classes or (), field.answer.counts, strict=True)
    rare = [str(label) for label, count in counted if count < RARE_ROWS]
    if not rare:
        return []
    names = ", ".join(map(repr, rare[:3])) + (", ..." if len(rare) > 3 else "")
    labels = "one label" if len(rare) == 1 else f"{len(rare):,} labels"
    what = f"has {labels} with fewer than {RARE_ROWS} training rows ({names})"
    return [Finding(field.name, what, "Add examples of them, or set label_limit to leave the rarest out")]


def _names(field: Field, classes: np.ndarray) -> list[str]:
    assert isinstance(field.answer, Choice)
    certain = np.zeros((len(classes), field.answer.classes), np.float32)
    certain[np.arange(len(classes)), classes] = 1
    return [str(value) for value in field.decode(certain)]


def giveaways(examples: Examples, training: np.ndarray, held_out: np.ndarray, seed: int = 0) -> list[Finding]:
    """Inputs that predict a target almost perfectly alone, as a small tree measures on rows that it did not see.

    ``training`` and ``held_out`` are row numbers (int64), of which a sample is used. A single input is never one.
    """
    # A tree writes no text and paints no picture.
    told = [field for field in examples.targets if isinstance(field.answer, Choice | Several | Amounts)]
    if len(examples.inputs) < 2 or not examples.places or not told:
        return []
    generator = np.random.default_rng(seed)
    bound = int(np.clip(ALL_TREES_ROWS // len(examples.places), LEAST_TREE_ROWS, TREE_ROWS))
    training, held_out = (
        np.sort(generator.choice(rows, bound, replace=False)) if len(rows) > bound else rows
        for rows in (training, held_out)
    )
    vectors = examples.vectors(told)
    learned, examined = vectors.take(training), vectors.take(held_out)
    findings = []
    for field in told:
        truth = [batch.targets[field.name].numpy() for batch in (learned, examined)]
        for name, places in vectors.places.items():
            if sum(place.stop - place.start for place in places.values()) > MOST_PARTS:
                continue
            content = [
                np.concatenate([batch.inputs[part][:, place].numpy() for part, place in places.items()], axis=1)
                for batch in (learned, examined)
            ]
            score = _tree_score(content, truth, isinstance(field.answer, Choice))
            if score is not None:
                what = f"alone predicts {field.name!r} almost perfectly ({score} on rows not learned from)"
                remedy = f"If it is known only once the answer is, leave it out: --exclude {name}"
                findings.append(Finding(name, what, remedy))
    return findings


def _tree_score(content: list[np.ndarray], truth: list[np.ndarray], choice: bool) -> str | None:
    """The score in words where a tree on one column is nearly perfect, else None."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    known = [answers >= 0 if choice else np.isfinite(answers).all(axis=1) for answers in truth]
    content = [values[rows] for values, rows in zip(content, known, strict=True)]
    truth = [answers[rows] for answers, rows in zip(truth, known, strict=True)]
    if len(content[0]) < LEAST_HELD_OUT or len(content[1]) < LEAST_HELD_OUT:
        return None
    tree = (DecisionTreeClassifier if choice else DecisionTreeRegressor)(min_samples_leaf=2, random_state=0)
    answers = tree.fit(content[0], truth[0]).predict(content[1]).reshape(truth[1].shape)
    if choice:
        majority = np.bincount(truth[0]).argmax()
        errors, naive = float((answers != truth[1]).mean()), float((truth[1] != majority).mean())
        found = 1 - errors >= GIVEAWAY_SCORE and errors <= GIVEAWAY_ERRORS * naive and naive > 0
        return f"accuracy {1 - errors:.3f}" if found else None
    residual = float(np.square(answers - truth[1]).sum())
    spread = float(np.square(truth[1] - truth[1].mean(axis=0)).sum())
    explained = 1 - residual / spread if spread else 0.0
    return f"R² {explained:.3f}" if explained >= GIVEAWAY_SCORE else None
