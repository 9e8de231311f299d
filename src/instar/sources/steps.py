"""Tables whose records are no rows: series that have their steps in rows, or in columns, of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instar.errors import UsageError
from instar.sources.base import Source
from instar.sources.long import LongSource, LongTable
from instar.sources.wide import RANGE, WideSource, WideTable, find_ranges
from instar.sources.window_table import WindowTable
from instar.sources.windows import WindowSource

Layout = LongTable | WideTable | WindowTable


def in_series(source: Source, series: str | None, steps: Sequence[str], excluded: Sequence[str] = ()) -> Source:
    """The source with its steps brought together as a person said; itself where nothing was said.

    Parameters
    ----------
    series: the column that says to which series a row belongs, where each row is a step.
    steps: then the column of the steps' times; else ranges ``FIRST..LAST`` of columns that are the steps of a series.
    excluded: columns that shall not be learned from.

    Raises UsageError, ColumnError, SourceError.
    """
    columns = source.schema().columns if series is not None or steps else ()
    if series is not None:
        if len(steps) != 1:
            raise UsageError(
                f"Of the series in {series!r} it is {'said twice' if steps else 'not said'} which column has the times",
                where=source.place,
                remedy=f"Name it with --steps; the columns are: {', '.join(columns)}",
            )
        return LongSource(source, LongTable(series, steps[0]), excluded)
    if not steps:
        return source
    single = next((text for text in steps if RANGE not in text), None)
    if single is not None:
        raise UsageError(
            f"The steps {single!r} are no range of columns, and it is not said to which series a row belongs",
            where=source.place,
            remedy="Name the column that says it with --series where each row is a step, or the first and the last "
            f"column of the steps: --steps FIRST{RANGE}LAST; the columns are: {', '.join(columns)}",
        )
    return WideSource(source, find_ranges(source, steps))


def in_series_again(source: Source, layout: Layout | None, needed: Sequence[str], *, answered: bool = False) -> Source:
    """Another source in the same way; itself where it has the columns ``needed`` already, or names of none.

    answered: whether what is asked is known, and answers are to be compared with it; else it is what comes next.
    Raises ColumnError where it has other columns.
    """
    if isinstance(layout, WindowTable):
        return WindowSource(source, layout, latest=not answered)
    schema = source.schema()
    if layout is None or schema.nameless or set(needed) <= set(schema.columns):
        return source
    return LongSource(source, layout) if isinstance(layout, LongTable) else WideSource(source, layout)


def layout_of(source: Source) -> Layout | None:
    """How steps were brought together, if they were."""
    return source.layout if isinstance(source, LongSource | WideSource | WindowSource) else None


def layout_from_json(content: Any) -> Layout | None:
    """What `layout.as_json` gave, or None. Raises ValueError or KeyError where it is something else."""
    if content is None:
        return None
    if "ahead" in content:
        return WindowTable.from_json(content)
    return LongTable.from_json(content) if "series" in content else WideTable.from_json(content)
