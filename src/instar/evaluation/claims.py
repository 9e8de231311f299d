"""What the scores of a report may claim, and what they may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instar.answers import type_of
from instar.metrics import LEAST_ROWS

if TYPE_CHECKING:
    from instar.evaluation.report import Report
    from instar.evaluation.results import TargetResult

_NAMED = 5


def claims(report: Report) -> list[str]:
    """Sentences for whoever decides by the report."""
    sentences = [_about_protocol(report)]
    if report.protocol == "play":
        sentences.append(
            "The 95 % intervals say how far a score could move with other episodes. They do not cover another "
            "environment than this, nor another version of it."
        )
        return sentences
    if any(result.metrics for result in report.targets):
        sentences.append(
            "The 95 % intervals say how far a score could move with other examined rows. They do not cover examples of "
            "another time, place or device than these."
        )
    sentences += [sentence for result in report.targets for sentence in _about_classes(result)]
    sentences += dict.fromkeys(type_of(result.answer).claim for result in report.targets)
    if not any(type_of(result.answer).tells_unlike for result in report.targets):
        sentences.append("An input unlike anything in the training is still answered; nothing warns of it.")
    return sentences


def _about_protocol(report: Report) -> str:
    if report.protocol == "folds":
        return (
            "The score is the procedure's: each row was examined by a network that had learned from other rows. The "
            "network that is saved learned from all of them and can be expected to do about as well."
        )
    if report.protocol == "none":
        return "Nothing was examined, so nothing is known of how good the network is."
    if report.protocol == "play":
        return (
            "The score is that of the saved network, which always did what it thought best, in episodes whose seeds "
            "were reserved for the exam: nothing was learned from them or chosen by them."
        )
    if report.protocol == "elsewhere":
        return "The score holds for rows like the ones examined here, if the network has not learned from them."
    return (
        "The score is that of the saved network on rows that were set apart before anything was fitted or chosen, and "
        "that no later training will see."
    )


def _about_classes(result: TargetResult) -> list[str]:
    if not result.metrics:
        return []
    # The row of classes that were never learned comes last, and has no name here.
    rows = [sum(row) for row in result.details.confusion or ()] or [each.rows for each in result.details.labels]
    few = [label for label, count in zip(result.classes, rows, strict=False) if count < LEAST_ROWS]
    if not few:
        return []
    named = ", ".join(few[:_NAMED]) + (f" and {len(few) - _NAMED} more" if len(few) > _NAMED else "")
    noun = type_of(result.answer).part[len(few) > 1]
    return [f"Little is known about the {noun} {named} of {result.name}: fewer than {LEAST_ROWS} rows were examined."]
