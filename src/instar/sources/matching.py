"""What a model needs of a source: all its columns, a nameless one under the name that it expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from instar.errors import ColumnError
from instar.sources.base import Chunk, Schema, Source
from instar.sources.columns import check_columns
from instar.sources.derived import DerivedSource


def match(source: Source, inputs: Sequence[str]) -> Source:
    """The source, its one nameless column renamed to the one of ``inputs`` that it lacks.

    A list of photos, for example, has the column ``file``; a model of ``example:digits`` wants ``image``. Where there
    is more than one choice, or nothing to choose, the source is given back as it is.
    """
    schema = source.schema()
    columns = frozenset(schema.columns)
    missing = [name for name in inputs if name not in columns]
    spare = [name for name in schema.nameless if name not in inputs]
    if len(missing) != 1 or len(spare) != 1:
        return source
    return _Renamed(source, spare[0], missing[0])


class _Renamed(DerivedSource):
    """Another source, with one of its columns under another name."""

    def __init__(self, source: Source, old: str, new: str) -> None:
        super().__init__(source)
        self._old, self._new = old, new

    def schema(self) -> Schema:
        schema = self.inner.schema()
        columns = tuple(self._name(name) for name in schema.columns)
        return replace(schema, columns=columns, nameless=())

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        return (self._chunk(chunk) for chunk in self.inner.chunks([self._old_name(name) for name in names]))

    def sample(self, rows: int) -> Chunk:
        return self._chunk(self.inner.sample(rows))

    def fingerprint(self) -> str:
        return self.inner.fingerprint() + self._new.encode().hex()

    def _name(self, name: str) -> str:
        return self._new if name == self._old else name

    def _old_name(self, name: str) -> str:
        return self._old if name == self._new else name

    def _chunk(self, chunk: Chunk) -> Chunk:
        return Chunk(chunk.start, {self._name(name): column for name, column in chunk.columns.items()})


def require(source: Source, names: Iterable[str], who: str) -> None:
    """Raises ColumnError where the source lacks one of the columns."""
    columns = source.schema().columns
    known = frozenset(columns)
    missing = [name for name in names if name not in known]
    if missing:
        raise ColumnError(
            f"{who} the column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}, not found here",
            where=source.place,
            remedy=f"The columns are: {', '.join(columns)}",
        )
