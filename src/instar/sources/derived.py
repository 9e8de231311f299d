"""Sources that are made of another one, and that nothing which a person gives is opened as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instar.sources.base import Source


class DerivedSource(Source):
    """``inner`` with other columns, or other records: of its name and place, and where nothing else is said of its
    rows and as changeable."""

    def __init__(self, inner: Source) -> None:
        self.inner, self.name, self.place = inner, inner.name, inner.place

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return False

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        raise NotImplementedError("made of another source alone")

    def fingerprint(self) -> str:
        return self.inner.fingerprint()

    def locate_row(self, row: int) -> str:
        return self.inner.locate_row(row)
