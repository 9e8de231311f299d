"""Which row is which: test, validation, training, or a fold. Numpy alone; ``--seed`` has no part in it.

A row's key hashes its inputs' content. The lowest band of the keys is the test, the highest the validation, all
between is training, so a row's part depends on nothing but itself, and equal inputs are never on two sides.
"""

from instar.keys import row_keys
from instar.parts import LEFT_OUT, TEST, TRAINING, VALIDATION
from instar.split.divide import Split, split
from instar.split.folds import fold_parts, folds
from instar.split.given import given_parts
from instar.split.record import Record
from instar.split.settings import Exam, SplitSettings, exam_for

__all__ = [
    "LEFT_OUT",
    "TEST",
    "TRAINING",
    "VALIDATION",
    "Exam",
    "Record",
    "Split",
    "SplitSettings",
    "exam_for",
    "fold_parts",
    "folds",
    "given_parts",
    "row_keys",
    "split",
]
