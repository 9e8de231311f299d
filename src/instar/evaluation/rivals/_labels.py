"""Estimators that answer any number of labels at once, whatever they were made for."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import f1_score
from sklearn.utils import get_tags

from instar.shapes import ANSWERED_FROM


class LabelClassifier(BaseEstimator):
    """A classifier for each label that varies; one for all of them where it takes several labels itself.

    A label that all rows have, or none, is as probable as it is frequent, and so is one that the classifier refuses.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, matrix: Any, target: np.ndarray) -> LabelClassifier:
        """``target``: (n, labels) of 0 and 1. Raises what the classifier raises where it refuses every label."""
        self.shares_ = target.mean(axis=0)
        varying = np.flatnonzero((self.shares_ > 0) & (self.shares_ < 1))
        target = target.astype(np.int64)
        self.fitted_: list[tuple[np.ndarray, Any]] = []
        if len(varying) > 1 and get_tags(self.estimator).classifier_tags.multi_label:
            self.fitted_.append((varying, clone(self.estimator).fit(matrix, target[:, varying])))
            return self
        for label in varying.tolist():
            try:
                fitted = clone(self.estimator).fit(matrix, target[:, label])
            except ValueError:  # one row with the label may be too few to set some aside
                if label == varying.max() and not self.fitted_:
                    raise
                continue
            self.fitted_.append((np.array([label]), fitted))
        return self

    def predict_proba(self, matrix: Any) -> np.ndarray:
        """(n, labels) probabilities; of a margin the sign of its distance says which side of a half it is."""
        probabilities = np.tile(self.shares_, (matrix.shape[0], 1))
        for labels, fitted in self.fitted_:
            if not hasattr(fitted, "predict_proba"):
                probabilities[:, labels[0]] = expit(fitted.decision_function(matrix))
                continue
            given = fitted.predict_proba(matrix)
            for label, two in zip(labels, given if isinstance(given, list) else [given], strict=True):
                probabilities[:, label] = two[:, 1]
        return probabilities

    def score(self, matrix: Any, target: np.ndarray) -> float:
        """The metric that labels are judged by: macro F1."""
        answered = self.predict_proba(matrix) >= ANSWERED_FROM
        return float(f1_score(target.astype(bool), answered, average="macro", zero_division=0))
