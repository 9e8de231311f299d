"""What a person can say of the split, and how a table of a certain size is examined."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from instar.errors import SettingError
from instar.settings import Settings, setting
from instar.words import percent

# A separate test of fewer than 200 rows has an interval wider than +- 5 points: folds examine every row instead.
SEPARATE_EXAM_ROWS = 1_000
# Five folds of fewer than four rows: whatever was printed would be chance.
SCORED_ROWS = 20


@dataclass(frozen=True)
class SplitSettings(Settings):
    """How examples are divided."""

    test_share: float = setting(0.2, "share of the rows that are the exam, never trained on", minimum=0, maximum=0.9)
    validation_share: float = setting(0.1, "share of the rows that decide when to stop", minimum=0, maximum=0.9)
    group: str | None = setting(
        None, "column whose equal values stay on one side of the split (a patient, a house)", common=True
    )
    time_order: str | None = setting(None, "column by which the latest rows become the exam", common=True)
    split: str | None = setting(None, "column that says train, validation or test of each row", common=True)
    exam_of: str | None = setting(
        None, "folder of a model: the rows that examined it examine this one too, whatever rows came since"
    )
    folds: int = setting(5, "folds that examine tables of fewer than 1,000 rows", minimum=2, maximum=50)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.test_share + self.validation_share > 0.95:
            raise SettingError(
                f"Test and validation take {percent(self.test_share + self.validation_share)} of the rows",
                remedy="Make test_share and validation_share at most 0.95 together",
            )


class Exam(Enum):
    """How a trained network is examined."""

    SEPARATE = "separate"
    FOLDS = "folds"
    NONE = "none"


def exam_for(rows: int, *, given: bool = False, ordered: bool = False) -> Exam:
    """How ``rows`` examples are examined. A given split, or one by time, is separate however small the table."""
    if rows < SCORED_ROWS and not given:
        return Exam.NONE
    return Exam.SEPARATE if given or ordered or rows >= SEPARATE_EXAM_ROWS else Exam.FOLDS
