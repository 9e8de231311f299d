"""Pictures: truths and predictions are (n, channels, *extent) in their own unit, compared row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from instar.answers._galleries import galleries
from instar.answers._similarity import signal_to_noise, squared_errors, structural_similarity
from instar.answers.base import AnswerType, Details, Exhibit
from instar.fields import Field
from instar.fields.digest import in_threads
from instar.resampling import Groups, Values
from instar.shapes import Picture


class PictureType(AnswerType[Picture]):
    task = "to-image"
    claim = (
        "Each cell of a picture is answered by the mean of what could be there; where several things could, the answer "
        "is between them and not one of them."
    )

    def main_metric(self, answer: Picture) -> str:
        return "psnr"

    def width(self, answer: Picture) -> int:
        return answer.size

    def shape(self, answer: Picture) -> tuple[int, ...]:
        return (answer.channels, *answer.extent)

    def in_own_units(self, field: Field, given: np.ndarray) -> np.ndarray:
        return np.asarray(field.decode(given))

    def known(self, answer: Picture, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return self.learnable(truth) & self.learnable(prediction)

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.asarray(np.isfinite(truth.reshape(len(truth), -1)[:, :1]).all(axis=1))

    def to_learn(self, answer: Picture, truth: np.ndarray) -> np.ndarray:
        return truth

    def measure(
        self, answer: Picture, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        reach = answer.high - answer.low
        alike = in_threads(lambda row: structural_similarity(truth[row], prediction[row], reach), range(len(truth)))
        errors = squared_errors(truth, prediction)
        columns = np.stack(
            [signal_to_noise(errors, reach), np.fromiter(alike, np.float64), errors, np.ones(len(truth))], axis=1
        )
        exact, drawn = columns.sum(axis=0), groups.resample(columns)

        def shares(sums: np.ndarray) -> np.ndarray:
            means = sums[..., :3] / sums[..., 3:]
            means[..., 2] = np.sqrt(means[..., 2])
            return means

        once, often = shares(exact), shares(drawn)
        return {name: (float(once[at]), often[:, at]) for at, name in enumerate(("psnr", "ssim", "rmse"))}

    def details(self, exhibit: Exhibit[Picture]) -> Details:
        answer, truth, prediction = exhibit.answer, exhibit.truth, exhibit.prediction
        reach = answer.high - answer.low
        errors = np.array([np.square(truth[row] - prediction[row]).mean() for row in exhibit.usable.tolist()])

        def said(row: int) -> str:
            ratio = signal_to_noise(np.array([np.square(truth[row] - prediction[row]).mean()]), reach)[0]
            return f"PSNR {ratio:.1f}, SSIM {structural_similarity(truth[row], prediction[row], reach):.2f}"

        return galleries(exhibit, errors, said)

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        there = self.learnable(given)
        rows = [row if known else None for row, known in zip(given, there, strict=True)]
        return {"prediction": pl.Series(rows, dtype=pl.Array(pl.Float32, given.shape[1:]))}
