"""Tables whose records are no rows: series, whose steps lie in rows or columns of their own, or windows into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instar.errors import UsageError
from instar.sources.base import Source
from instar.sources.long import LongSource, LongTable
from instar.sources.wide import RANGE, WideSource, WideTable, find_ranges
from instar.sources.window_table import ForecastSettings, WindowTable
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


def in_windows(
    source: Source,
    settings: ForecastSettings,
    series: str | None,
    steps: Sequence[str],
    target: Sequence[str],
    excluded: Sequence[str],
) -> Source:
    """The source cut into windows as a person said. Raises UsageError, ColumnError, SourceError."""
    assert settings.forecast is not None
    columns = source.schema().columns
    if not target:
        raise UsageError(
            "It is not said which column is to be forecast",
            where=source.place,
            remedy=f"Name it with --target; the columns are: {', '.join(columns)}",
        )
    if len(steps) > 1 or any(RANGE in name and name not in columns for name in steps):
        raise UsageError(
            "A forecast needs a row for each step, and one column that says when it was",
            where=source.place,
            remedy="Name it with --steps TIME, or leave --steps out to take rows in their order",
        )
    known = _named(settings.known, columns)
    for role, names in (("--known", known), ("--series", (series,)), ("--steps", steps)):
        for name in {*names} & {*target}:
            raise UsageError(f"The column {name!r} is to be forecast, and cannot be {role} too", where=source.place)
    for name in {*known} & {series, *steps, *excluded}:
        raise UsageError(f"The column {name!r} has another role, and cannot be --known too", where=source.place)
    if settings.history is not None and settings.season is not None and settings.history < settings.season:
        raise UsageError(f"A history of {settings.history:,} steps is shorter than the season of {settings.season:,}")
    table = WindowTable(
        series,
        steps[0] if steps else None,
        tuple(dict.fromkeys(target)),
        known,
        settings.forecast,
        settings.history,
        settings.season,
    )
    return WindowSource(source, table, excluded=excluded)


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


def _named(given: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Columns by name, also where several are joined by commas."""
    names = [name for each in given for name in ([each] if each in columns else map(str.strip, each.split(",")))]
    return tuple(dict.fromkeys(names))
