"""Every error that a user can meet: what went wrong, where, and what to do.

    InstarError                 exit code 1
    ├── UsageError              2   the call cannot be carried out as it was put
    │   └── SettingError        2   a setting's name or value
    ├── DataError               3   the examples, or a part of them, cannot be used
    │   ├── SourceError         3   a source cannot be opened or understood
    │   ├── ColumnError         3   a column is missing, empty, or of another kind than expected
    │   └── ContentError        3   too many values cannot be read
    ├── DivergenceError         4   training left the numbers that a computer can hold
    ├── ModelError              5   a model folder is damaged, foreign, newer, or not one at all
    ├── FolderError             6   a folder cannot be written, is full, in use, or holds another run
    └── InterruptionError       130 a signal ended the work; what was done is saved (143 for SIGTERM)

Messages are complete sentences without a traceback; ``str(error)`` is what the command line prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else text + "."


# Control characters, line and paragraph separators, marks that turn the direction of text, and halves of characters.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text in one line, with every character that would command a terminal written as its escape.

    Names of columns, labels and paths come from strangers: a color, a moved cursor or a forged line must not.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


class InstarError(Exception):
    """The root of all errors that Instar raises on purpose.

    Parameters
    ----------
    what: what went wrong, one sentence without the final full stop.
    where: the file, row or column, as precisely as it is known.
    remedy: what the person can do about it, one sentence without the final full stop.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        sentences = [_sentence(f"{where}: {what}" if where else what)]
        if remedy:
            sentences.append(_sentence(remedy))
        super().__init__(printable(" ".join(sentences)))


class UsageError(InstarError):
    """The call cannot be carried out as it was put."""

    exit_code = 2


class SettingError(UsageError):
    """A setting has an unknown name or a value that it cannot take."""


class DataError(InstarError):
    """The examples, or a part of them, cannot be used."""

    exit_code = 3


class SourceError(DataError):
    """A source of examples cannot be opened or understood."""


class ColumnError(DataError):
    """A column is missing, empty, or of another kind than expected."""


class ContentError(DataError):
    """More values than can be tolerated could not be read."""


class DivergenceError(InstarError):
    """Training produced numbers that are not finite."""

    exit_code = 4


class ModelError(InstarError):
    """A folder is not a model that this version can load safely."""

    exit_code = 5


class FolderError(InstarError):
    """A folder cannot be written, is full, is in use, or holds another run."""

    exit_code = 6


class InterruptionError(InstarError):
    """A signal asked to stop; the state is saved and the same command goes on from there."""

    exit_code = 130

    def __init__(self, what: str, *, exit_code: int = 130, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.exit_code = exit_code


# Names that a message lists at most.
LISTED = 40


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy for a wrong name: the closest known names, or the first of them where none is close."""
    names = sorted(known)
    return _closest(name, names) or f"Known: {_listed(names)}."


def no_column(name: str, columns: Iterable[str], place: str) -> ColumnError:
    """What to raise where a source, which is at ``place``, has ``columns`` and not this one."""
    columns = list(columns)
    remedy = " ".join(filter(None, (_closest(name, columns), f"The columns are: {_listed(columns)}")))
    return ColumnError(f"There is no column called {name!r}", where=place, remedy=remedy)


def _listed(names: list[str]) -> str:
    """As many of the names as anyone reads."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more if names else "none"


def _closest(name: str, names: list[str]) -> str:
    """The names that may have been meant, as a question; empty where none is close."""
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    return "Did you mean " + " or ".join(repr(other) for other in close) + "?" if close else ""
