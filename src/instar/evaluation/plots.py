"""Plots as inline SVG, drawn by hand: crisp at any size, and in the colors of the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

WIDTH, HEIGHT = 380, 250
# The side of a plot that stands in the place of a picture.
SMALL = 138
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 12, 12, 40


@dataclass(frozen=True)
class Line:
    """A curve: its label (empty: not named), style class of the page, and points."""

    label: str
    style: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def line_plot(lines: Sequence[Line], *, x: str, y: str, mark: float | None = None, title: str) -> str:
    """Curves over a common axis; ``mark`` draws a vertical line. Empty where there are no two points to join."""
    lines = [Line(line.label, line.style, _thinned(line.points)) for line in lines if len(line.points) > 1]
    if not lines:
        return ""
    everything = [point for line in lines for point in line.points]
    across, up = _scales([point[0] for point in everything], [*(point[1] for point in everything), 0.0])
    parts = _axes(across, up, x, y)
    named = [line for line in lines if line.label]
    if mark is not None:
        at, top = across(mark), _TOP + 16 * len(named)  # clear of the names
        parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{HEIGHT - _BOTTOM}"/>')
    for line in lines:
        path = " ".join(f"{across(one):.1f},{up(other):.1f}" for one, other in line.points)
        parts.append(f'<polyline class="curve {line.style}" points="{path}"/>')
    for place, line in enumerate(named):
        y_at = _TOP + 8 + 16 * place
        parts.append(
            f'<line class="curve {line.style}" x1="{WIDTH - 138}" x2="{WIDTH - 118}" y1="{y_at}" y2="{y_at}"/>'
        )
        parts.append(f'<text class="key" x="{WIDTH - 112}" y="{y_at + 4}">{escape(line.label)}</text>')
    return _svg(parts, title)


def scatter_plot(pairs: Sequence[tuple[float, float]], *, x: str, y: str, title: str) -> str:
    """Points (x, y) on equal axes with the diagonal on which they agree."""
    finite = [pair for pair in pairs if math.isfinite(pair[0]) and math.isfinite(pair[1])]
    if len(finite) < 2:
        return ""
    both = [value for pair in finite for value in pair]
    across, up = _scales(both, both)
    parts = _axes(across, up, x, y)
    low, high = across.low, across.high
    ends = (across(low), up(low), across(high), up(high))
    parts.append('<line class="diagonal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*ends))
    radius = 3.2 if len(finite) < 200 else 2.4
    parts += [
        f'<circle class="dot" cx="{across(one):.1f}" cy="{up(other):.1f}" r="{radius}"/>' for one, other in finite
    ]
    return _svg(parts, title)


def curves_plot(curves: Sequence[Sequence[float]], *, title: str) -> str:
    """A small plot without axes of curves on one scale, a gap where a value is NaN; a dot where one stands alone."""
    known = [value for curve in curves for value in curve if math.isfinite(value)]
    if not known:
        return ""
    across = _Scale(0, max(1, *(len(curve) - 1 for curve in curves)), 3, SMALL - 3)
    up = _Scale(*_padded(known), SMALL - 3, 3)
    parts = []
    for place, curve in enumerate(curves):
        style = "curve " + ("one" if place == 0 else "two" if place == 1 else "thin " + ("one", "two")[place % 2])
        for stretch in _stretches(curve):
            path = " ".join(f"{across(step):.1f},{up(value):.1f}" for step, value in stretch)
            parts.append(f'<polyline class="{style}" points="{path}{" " + path if len(stretch) == 1 else ""}"/>')
    return _svg(parts, title, SMALL, SMALL)


def _stretches(curve: Sequence[float]) -> Iterator[list[tuple[int, float]]]:
    """The stretches of a curve without gaps, as steps and values."""
    for known, points in groupby(enumerate(curve), lambda point: math.isfinite(point[1])):
        if known:
            yield list(points)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within low..high, about ``count`` of them."""
    raw = (high - low) / max(count, 1)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number for an axis: ``0.25``, ``120``, ``12k``, ``3.5M``."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):.4g}{sign}"
    return f"{value:.4g}"


def _scales(xs: Iterable[float], ys: Iterable[float]) -> tuple[_Scale, _Scale]:
    return (
        _Scale(*_padded(xs), _LEFT, WIDTH - _RIGHT),
        _Scale(*_padded(ys), HEIGHT - _BOTTOM, _TOP),
    )


def _padded(values: Iterable[float]) -> tuple[float, float]:
    values = list(values)
    low, high = min(values), max(values)
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    return low if low == 0 else low - 0.03 * (high - low), high + 0.03 * (high - low)


def _axes(across: _Scale, up: _Scale, x: str, y: str) -> list[str]:
    parts = []
    for tick in ticks(up.low, up.high, 5):
        at = up(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in ticks(across.low, across.high, 5):
        at = across(tick)
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{short(tick)}</text>'
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x)}</text>')
    height = (_TOP + HEIGHT - _BOTTOM) / 2
    turned = f'transform="rotate(-90 10 {height})"'
    parts.append(f'<text class="label" x="10" y="{height}" text-anchor="middle" {turned}>{escape(y)}</text>')
    return parts


def _thinned(points: Sequence[tuple[float, float]], most: int = 400) -> list[tuple[float, float]]:
    step = -(-len(points) // most)
    kept = list(points[::step])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _svg(parts: Sequence[str], title: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )
