"""An outline as SVG: from top to bottom, in the colors of the report, light or dark.

Boxes know their size and where the way through them runs, and are put below or beside each other; nothing is measured
by a browser, so widths of texts are estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from textwrap import wrap

from torch import nn
from torch.nn.modules.conv import _ConvNd

from instar.drawing.outline import Aside, Layer, Repeated, Series, SideBySide
from instar.drawing.words import shape, small, title

# In pixels. A letter's width is that of a wide sans serif, so that no text is wider than estimated.
_LETTER, _SMALL_LETTER = 7.3, 6.3
_LINE, _PAD, _GAP, _BETWEEN = 17, 9, 20, 16
_MARGIN, _HEAD_LETTERS = 28, 64

_STYLE = """
.instar-body { background: var(--paper); font-family: ui-sans-serif, system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
rect.paper { fill: var(--paper); } text { fill: var(--ink); font-size: 12.5px; text-anchor: middle; }
text.small { fill: var(--soft); font-size: 11px; } text.left { text-anchor: start; }
text.title { font-size: 22px; font-weight: 650; text-anchor: start; } text.strong { font-weight: 600; }
text.times { fill: var(--accent); font-size: 16px; font-weight: 700; text-anchor: start; }
rect.layer { fill: var(--card); stroke: var(--soft); stroke-opacity: 0.6; }
rect.convolution { fill: rgb(var(--accent-parts) / 0.13); stroke: var(--accent); stroke-opacity: 0.6; }
rect.dense { fill: rgb(var(--warm-parts) / 0.13); stroke: var(--warm); stroke-opacity: 0.6; }
rect.group { fill: var(--soft); fill-opacity: 0.07; }
rect.repeated { fill: none; stroke: var(--accent); stroke-width: 1.5; }
rect.aside { fill: none; stroke: var(--soft); stroke-dasharray: 5 4; }
path { fill: none; stroke: var(--soft); } path.aside { stroke-dasharray: 5 4; }
path.tip { fill: var(--soft); stroke: none; }
"""


@dataclass
class _Box:
    """Something ``width`` x ``height`` whose way in and out runs at ``axis``; ``parts`` are drawn from (0, 0)."""

    width: float
    height: float
    axis: float
    parts: list[str] = field(default_factory=list)
    children: list[tuple[float, float, _Box]] = field(default_factory=list)

    def drawn(self, x: float = 0.0, y: float = 0.0) -> list[str]:
        inner = [*self.parts]
        for left, top, child in self.children:
            inner += child.drawn(left, top)
        return [f'<g transform="translate({x:.1f} {y:.1f})">', *inner, "</g>"] if x or y else inner


def as_svg(series: Series, heading: str, lines: Sequence[str], targets: Sequence[str]) -> str:
    """The whole drawing. ``lines`` are said under the heading, ``targets`` name the heads in their order."""
    body = _series(series, targets)
    said = [part for line in lines for part in wrap(line, max(_HEAD_LETTERS, int(body.width / _SMALL_LETTER)))]
    top = _MARGIN + 34 + _LINE * len(said) + 12
    longest = max((len(line) for line in said), default=0)
    width = max(body.width, _SMALL_LETTER * longest, 12.5 * len(heading)) + 2 * _MARGIN
    height = top + body.height + _MARGIN
    head = [f'<text class="title" x="{_MARGIN}" y="{_MARGIN + 18}">{escape(heading)}</text>']
    head += [
        f'<text class="small left" x="{_MARGIN}" y="{_MARGIN + 40 + _LINE * number}">{escape(line)}</text>'
        for number, line in enumerate(said)
    ]
    colors = files("instar.evaluation").joinpath("colors.css").read_text(encoding="utf-8")
    parts = body.drawn((width - body.width) / 2, top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="instar-body" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(heading)}">\n'
        f'<style>{colors}{_STYLE}</style>\n<rect class="paper" width="100%" height="100%"/>\n'
        + "\n".join([*head, *parts])
        + "\n</svg>\n"
    )


def _series(series: Series, targets: Sequence[str]) -> _Box:
    """One below the other, ways in one line; what is aside stands to the right of what follows it."""
    boxes: list[tuple[_Box, _Box | None]] = []
    beside: _Box | None = None
    for item in series.items:
        if isinstance(item, Aside):
            beside = _framed(_series(item.layers, targets), "aside", "only while training")
            continue
        boxes.append((_item(item, targets), beside))
        beside = None
    if beside is not None:
        boxes.append((_Box(0, 0, 0), beside))
    if not boxes:
        return _Box(20, 0, 10)
    axis = max(box.axis for box, _ in boxes)
    made, y, width = _Box(0, 0, axis), 0.0, 0.0
    for number, (box, aside) in enumerate(boxes):
        if number:
            made.parts.append(_arrow(axis, y, y + _GAP))
            y += _GAP
        made.children.append((axis - box.axis, y, box))
        right = axis - box.axis + box.width
        height = box.height
        if aside is not None:
            right += _BETWEEN
            made.parts.append(_path(f"M{axis:.1f} {y - _GAP / 2:.1f} H{right + aside.axis:.1f} V{y:.1f}", "aside"))
            made.children.append((right, y, aside))
            right += aside.width
            height = max(height, aside.height)
            if height > box.height and number + 1 < len(boxes):
                made.parts.append(_path(f"M{axis:.1f} {y + box.height:.1f} V{y + height:.1f}"))
        y, width = y + height, max(width, right)
    made.width, made.height = width, y
    return made


def _item(item: Layer | SideBySide | Repeated, targets: Sequence[str]) -> _Box:
    if isinstance(item, Layer):
        return _layer(item, targets)
    if isinstance(item, SideBySide):
        return _side_by_side([_series(branch, targets) for branch in item.branches], item.name)
    return _framed(_series(item.pattern, targets), "repeated", f"\N{MULTIPLICATION SIGN} {item.times}")


def _layer(layer: Layer, targets: Sequence[str]) -> _Box:
    """A box with what the layer is, what follows it, and the shape and parameters that it gives."""
    step = layer.step
    notes = [small(layer.after)] if layer.after else []
    if layer.final and step.name.startswith("heads."):
        notes.append(f"answer: {targets[int(step.name.split('.')[1])]}")
    counted = f"{layer.parameters:,} parameters" if layer.parameters else ""
    lines = [part for note in (*notes, shape(step), counted) if note for part in wrap(note, 32)]
    first = title(step)
    width = max(_LETTER * len(first), *(_SMALL_LETTER * len(line) for line in lines)) + 2 * _PAD
    height = _LINE * (1 + len(lines)) + _PAD
    kind = "convolution" if isinstance(step.module, _ConvNd) else "dense" if isinstance(step.module, nn.Linear) else ""
    parts = [_rect(width, height, "layer", 6)]
    if kind:
        parts.append(_rect(width, height, kind, 6))
    parts.append(f'<text class="strong" x="{width / 2:.1f}" y="{_LINE}">{escape(first)}</text>')
    parts += [
        f'<text class="small" x="{width / 2:.1f}" y="{_LINE * (number + 2) - 1}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    return _Box(width, height, width / 2, parts)


def _side_by_side(branches: Sequence[_Box], name: str) -> _Box:
    """Branches from one point to another, on a ground of their own. Where one is empty the longest runs straight."""
    lefts, x = [], float(_PAD)
    for branch in branches:
        lefts.append(x)
        x += branch.width + _BETWEEN
    width = x - _BETWEEN + _PAD
    tallest = max(branch.height for branch in branches)
    height = tallest + 2 * _GAP
    axes = [left + branch.axis for left, branch in zip(lefts, branches, strict=True)]
    straight = next(axis for axis, branch in zip(axes, branches, strict=True) if branch.height == tallest)
    axis = straight if any(not branch.height for branch in branches) else width / 2
    made = _Box(width, height, axis, [_rect(width, height, "group", 10)])
    if name:
        made.parts.append(f'<text class="small left" x="{_PAD}" y="{height - 6}">{escape(name)}</text>')
    for left, own, branch in zip(lefts, axes, branches, strict=True):
        end = _GAP + branch.height
        if branch.height:
            made.parts.append(_path(f"M{axis:.1f} 0 V6 H{own:.1f} V{_GAP}"))
            made.parts.append(_tip(own, _GAP))
            made.parts.append(_path(f"M{own:.1f} {end:.1f} V{height - 6:.1f} H{axis:.1f} V{height:.1f}"))
        else:
            made.parts.append(_path(f"M{axis:.1f} 0 V6 H{own:.1f} V{height - 6:.1f} H{axis:.1f} V{height:.1f}"))
        made.children.append((left, _GAP, branch))
    return made


def _framed(box: _Box, kind: str, said: str) -> _Box:
    """A frame around it, and at its right upper corner what is said of it."""
    top = _LINE + 6
    letters = len(said) * (_SMALL_LETTER if kind == "aside" else 10)
    axis = box.axis + _PAD
    # The way in must not run through what is said.
    start = max(axis + 10, box.width + 2 * _PAD - letters - 8)
    width = max(box.width + 2 * _PAD, start + letters + 8)
    height = box.height + top + _PAD
    style = "small left" if kind == "aside" else "times"
    parts = [
        _rect(width, height, kind, 10),
        f'<text class="{style}" x="{start:.1f}" y="{_LINE}">{escape(said)}</text>',
        _path(f"M{axis:.1f} 0 V{top}"),
    ]
    if kind != "aside":
        parts.append(_path(f"M{axis:.1f} {top + box.height:.1f} V{height:.1f}"))
    return _Box(width, height, axis, parts, [(_PAD, top, box)])


def _rect(width: float, height: float, kind: str, radius: int) -> str:
    return f'<rect class="{kind}" width="{width:.1f}" height="{height:.1f}" rx="{radius}"/>'


def _path(way: str, kind: str = "") -> str:
    return f'<path class="{kind}" d="{way}"/>' if kind else f'<path d="{way}"/>'


def _tip(x: float, y: float) -> str:
    return _path(f"M{x - 4:.1f} {y - 6:.1f} h8 l-4 6 z", "tip")


def _arrow(x: float, start: float, end: float) -> str:
    return _path(f"M{x:.1f} {start:.1f} V{end - 4:.1f}") + _tip(x, end)
