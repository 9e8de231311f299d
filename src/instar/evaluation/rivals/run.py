"""Lets rivals learn in a process that can be ended, and measures them as the network is measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from instar.answers import measure, type_of
from instar.evaluation.rivals._arrays import arrays_of, file_of
from instar.evaluation.rivals.base import Inputs, Rival, failed, rivals
from instar.files import writing
from instar.metrics import Score
from instar.shapes import Answer, answer_as_json

# No rival learns from more rows than these, nor from more bytes of numbers; whoever gathers rows need not gather more.
MOST_ROWS, MOST_BYTES = 500_000, 2**28
_POLL = 0.02
# Where processors are shared, threads that spin while they wait for each other take ten to a hundred times as long;
# what a person has set in the environment stays.
_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class RivalExam:
    """Rows to learn from and rows to be examined on, as the network had them.

    training_truth, examined_truth: as `instar.answers.measure` takes them.
    """

    training: Inputs
    training_truth: np.ndarray
    examined: Inputs
    examined_truth: np.ndarray


@dataclass(frozen=True)
class RivalTask:
    """One target's examination: one exam, or one for every fold, whose answers are then measured together."""

    answer: Answer
    exams: Sequence[RivalExam]


@dataclass(frozen=True)
class RivalResult:
    """How a rival did.

    metrics: as `instar.answers.measure` gives them; empty where there is none, and then ``note`` says why. Beside
        metrics it says what took the place of learning from rows.
    rows: from how many rows it learned (in a fold, where there are several); examined: on how many it was examined.
    seconds: of learning and answering.
    baseline: whether it answers without having learned anything from them.
    """

    name: str
    title: str
    metrics: dict[str, Score] = field(default_factory=dict)
    rows: int = 0
    examined: int = 0
    seconds: float = 0.0
    note: str | None = None
    baseline: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "metrics": {name: score.to_json() for name, score in self.metrics.items()},
            "rows": self.rows,
            "examined": self.examined,
            "seconds": round(self.seconds, 3),
            "note": self.note,
            "baseline": self.baseline,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RivalResult:
        return cls(**{**content, "metrics": {name: Score(**score) for name, score in content["metrics"].items()}})


def affordable_rows(width: int) -> int:
    """How many rows of ``width`` prepared numbers, codes and symbols rivals can learn from at most."""
    return max(1, min(MOST_ROWS, MOST_BYTES // (4 * max(width, 1))))


def run_rivals(
    task: RivalTask,
    *,
    time_limit: float,
    names: Sequence[str] | None = None,
    seed: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
    folder: Path | None = None,
) -> list[RivalResult]:
    """Every rival that takes the answer, the cheap ones first. A rival that fails is reported and never raises.

    Parameters
    ----------
    time_limit: seconds for all of them together. Each gets at most one and a half times its even share of what is
        left, so that one that does not end leaves time for the others.
    names: which; all that there are by default. Raises UsageError for one that there is not.
    should_stop: asked again and again; where it says yes, the rest is ended.
    folder: where the rows lie while rivals learn, in a temporary folder that is then removed. Raises FolderError where
        that cannot be written.
    """
    chosen = [rivals[name] for name in (rivals if names is None else names)]
    chosen, absent = _sorted_out([each for each in chosen if isinstance(task.answer, each.answers)], task.exams)
    place = folder or Path(tempfile.gettempdir())
    with writing(place), tempfile.TemporaryDirectory(prefix=".rivals-", dir=folder) as temporary:
        match = _Match(Path(temporary), task.answer, task.exams, seed)
        match.write()
        results = match.play(chosen, time_limit, should_stop)
    return results + absent


def _sorted_out(chosen: Sequence[Rival], exams: Sequence[RivalExam]) -> tuple[list[Rival], list[RivalResult]]:
    """The rivals that can compete, cheap ones first, and why others cannot; who is not meant for it is left out."""
    able, absent = [], []
    for each in chosen:
        try:
            suits = all(each.suits(exam.training) for exam in exams)
        except Exception as failure:
            absent.append(_absent(each, failed(failure)))
            continue
        if suits and _is_blind(each, exams):
            absent.append(_absent(each, "it takes no sequences of symbols, and there is nothing else"))
        elif suits:
            able.append(each)
    return sorted(able, key=lambda each: each.cost), absent


def _is_blind(one: Rival, exams: Sequence[RivalExam]) -> bool:
    """Whether there is nothing that the rival looks at, although it should."""
    if one.baseline or one.sequences is not None:
        return False
    inputs = [exam.training for exam in exams]
    return any(each.sequences and not each.numbers.shape[1] + each.codes.shape[1] for each in inputs)


class _Match:
    """The rows of a task, written to a folder, and the process that works on them."""

    def __init__(self, folder: Path, answer: Answer, exams: Sequence[RivalExam], seed: int) -> None:
        self.folder, self.answer, self.exams, self.seed = folder, answer, exams, seed
        self.files: list[dict[str, str]] = []

    def write(self) -> None:
        kind = type_of(self.answer)
        for index, exam in enumerate(self.exams):
            truth = np.asarray(exam.training_truth)
            arrays = {
                **arrays_of(exam.training, "t"),
                **arrays_of(exam.examined, "e"),
                "t-rows": np.flatnonzero(kind.learnable(truth)),
                "t-truth": kind.to_learn(self.answer, truth),
            }
            # What lies in a file already, as large inputs do, is read from there.
            files = {name: file_of(self.folder, f"{index}-{name}", array) for name, array in arrays.items()}
            self.files.append(files)

    def play(self, chosen: Sequence[Rival], time_limit: float, should_stop: Callable[[], bool]) -> list[RivalResult]:
        results: list[RivalResult] = []
        end = time.monotonic() + time_limit
        while len(results) < len(chosen) and not should_stop():
            if time.monotonic() >= end:
                break
            with self.worker(chosen[len(results) :]) as process:
                while len(results) < len(chosen):
                    now, left = time.monotonic(), len(chosen) - len(results)
                    limit = min(end, now + max(0.0, end - now) * min(1.0, 1.5 / left))
                    one = chosen[len(results)]
                    reason = self.wait(process, one.name, limit, should_stop)
                    results.append(self.result(one) if reason is None else _absent(one, reason, time.monotonic() - now))
                    if reason is not None:
                        break
        over = "it was stopped" if should_stop() else "it was not run, because the time for rivals was used up"
        return results + [_absent(each, over) for each in chosen[len(results) :]]

    @contextmanager
    def worker(self, chosen: Sequence[Rival]) -> Iterator[subprocess.Popen[bytes]]:
        """A process that lets the ``chosen`` compete, ended with the block together with what it started."""
        task = {
            "rivals": [each.name for each in chosen],
            "exams": self.files,
            "answer": answer_as_json(self.answer),
            "seed": self.seed,
        }
        (self.folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        # -P keeps the current folder, where anything may lie, out of the module path; ours is handed over.
        search = os.pathsep.join(part for part in sys.path if part)
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "instar.evaluation.rivals._worker", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**_THREADS, **os.environ, "PYTHONPATH": search},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)

    def wait(
        self, process: subprocess.Popen[bytes], name: str, limit: float, should_stop: Callable[[], bool]
    ) -> str | None:
        """None when the rival's result is there, or the reason why there will be none."""
        began = time.monotonic()
        done = self.folder / f"{name}.json"
        while not done.exists():
            status = process.poll()
            if status is not None and not done.exists():
                killed = -signal.SIGKILL if os.name == "posix" else None
                return "the system ended it, probably for lack of memory" if status == killed else "its process broke"
            if time.monotonic() >= limit:
                return f"it was ended after {time.monotonic() - began:.0f} s, its share of the time for rivals"
            if should_stop():
                return "it was stopped"
            time.sleep(_POLL)
        return None

    def result(self, one: Rival) -> RivalResult:
        left = json.loads((self.folder / f"{one.name}.json").read_text(encoding="utf-8"))
        if left["failure"]:
            return _absent(one, left["failure"], left["seconds"])
        truths, predictions = [], []
        for index, exam in enumerate(self.exams):
            rows = np.load(self.folder / f"{one.name}-{index}-rows.npy", allow_pickle=False)
            truths.append(np.asarray(exam.examined_truth)[rows])
            predictions.append(np.load(self.folder / f"{one.name}-{index}-prediction.npy", allow_pickle=False))
        truth = np.concatenate(truths)
        prediction = type_of(self.answer).from_learned(self.answer, truth, np.concatenate(predictions))
        metrics = measure(self.answer, truth, prediction, seed=self.seed, probabilities=left["probabilities"])
        examined = next((score.rows for score in metrics.values()), len(truth))
        note = None if metrics else type_of(self.answer).unscored
        return RivalResult(one.name, one.title, metrics, left["rows"], examined, left["seconds"], note, one.baseline)


def _absent(one: Rival, reason: str, seconds: float = 0.0) -> RivalResult:
    return RivalResult(one.name, one.title, seconds=seconds, note=reason, baseline=one.baseline)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and the ones it started."""
    if process.stdin is not None:
        process.stdin.close()
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
    else:
        process.kill()
    process.wait()
