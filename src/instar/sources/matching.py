"""What a model needs of a source: all its columns, a nameless one under the name that it expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from instar.errors import ColumnError
from instar.sources.base import Chunk, Schema, Source
from instar.sources.columns import check_columns


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


class _Renamed(Source):
    """Another source, with one of its columns under another name."""

    def __init__(self, source: Source, old: str, new: str) -> None:
        self._source, self._old, self._new = source, old, new
        self.name, self.place = source.name, source.place

    @classmethod
    def recognizes(cls, given: object, options: object) -> bool:
        return False

    @classmethod
    def open(cls, given: object, options: object) -> Source:
        raise NotImplementedError("made by match alone")

    def schema(self) -> Schema:
        schema = self._source.schema()
        columns = tuple(self._name(name) for name in schema.columns)
        return replace(schema, columns=columns, nameless=())

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        return (self._chunk(chunk) for chunk in self._source.chunks([self._old_name(name) for name in names]))

    def sample(self, rows: int) -> Chunk:
        return self._chunk(self._source.sample(rows))

    def fingerprint(self) -> str:
        return self._source.fingerprint() + self._new.encode().hex()

    def locate_row(self, row: int) -> str:
        return self._source.locate_row(row)

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
