"""Frames at the edge: what Instar answers comes back in the caller's own type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import polars as pl


def frame_like(given: Any, columns: Mapping[str, Any]) -> Any:
    """A frame of ``columns``, of the same library as ``given`` if that is a frame, else a polars frame.

    A pandas frame keeps its index where each of its rows has an answer.
    """
    frame = nw.from_native(given, pass_through=True)
    answer = pl.DataFrame(dict(columns))
    if not isinstance(frame, nw.DataFrame | nw.LazyFrame) or frame.implementation.is_polars():
        return answer
    series = {name: answer[name].to_list() for name in answer.columns}
    native = nw.from_dict(series, backend=frame.implementation).to_native()
    if frame.implementation.is_pandas_like() and len(answer) == len(given):
        native.index = given.index
    return native
