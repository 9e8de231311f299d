"""Types of answers: how each is measured, shown and handed over, a file each."""

from instar.answers.base import AnswerType, Details, Exhibit, LabelResult, Mistake, Show
from instar.answers.examining import measure, type_of

__all__ = ["AnswerType", "Details", "Exhibit", "LabelResult", "Mistake", "Show", "measure", "type_of"]
