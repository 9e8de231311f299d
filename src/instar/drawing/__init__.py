"""Networks as drawings: what they are made of, with shapes and parameters, found by running them without content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instar.model import Model


def draw(what: str | Path | Model, *, size: int | None = None, **settings: Any) -> str:
    """A network or a model as SVG: its layers from top to bottom, with the shapes that they give and their parameters.

    Layers that repeat are drawn once, and what only learns beside the answer (auxiliary classifiers) stands aside.

    Parameters
    ----------
    what: the name of a network, the folder of a model, or a model.
    size: of a network's input: cells along each axis of a picture or series, symbols of a text, numbers of a row;
        where nobody says, what is usual for the network.
    settings: of the network, by name.

    Returns the text of an SVG file, which follows the reader's light or dark colors.

    Raises UsageError where there is no such network or model, or its input is too small; ModelError, SettingError.
    """
    from instar.drawing.outline import outline
    from instar.drawing.subjects import subject
    from instar.drawing.svg import as_svg
    from instar.drawing.tracing import multiply_adds, parameters, trace, without_memory

    found = subject(what, size, settings)
    network = without_memory(found.inputs, found.answers, found.plan)
    multiplied = multiply_adds(network, found.inputs, found.answers)
    lines = [found.words, f"{parameters(network):,} parameters, {multiplied:,} multiply-adds for one answer"]
    return as_svg(outline(trace(network, found.inputs, found.answers)), found.title, lines, tuple(found.answers))
