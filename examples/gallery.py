"""What an example hands over, and how all of them draw: one look for bars, curves and sheets of pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import instar

OURS, OTHERS, RIGHT, WRONG = "#d9480f", "#8a94a0", "#2b8a3e", "#c92a2a"
# A picture has the most colors with which it has fewer bytes.
COLORS, LARGEST = (128, 64, 32, 16), 60_000
# Pictures of a film, and how long each stands, in milliseconds.
FRAMES, STANDING = 48, 120
plt.rcParams |= {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#adb5bd",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Shown:
    """An example's result.

    figure: how good it is, in a phrase that begins with the number; rival: what others get, likewise.
    picture: a drawing, or a file (a moving picture).
    models: all that were trained, for the time that it took.
    """

    figure: str
    rival: str
    picture: Figure | Path
    models: Sequence[instar.Model]


def best_rival(model: instar.Model, target: int = 0) -> tuple[str, float]:
    """The title of the report's best rival and its score in the report's main metric."""
    result = model.report.targets[target]
    rival = result.ranked()[0]
    return rival.title, rival.metrics[result.main].value


def with_rivals(model: instar.Model, target: int = 0, metric: str | None = None) -> dict[str, float]:
    """The scores of the network and all of its rivals in a metric (default: the main one), by title; the best first."""
    result = model.report.targets[target]
    name = metric or result.main
    found = {each.title: each.metrics[name].value for each in result.ranked() if name in each.metrics}
    return dict(sorted({"Instar": result.metrics[name].value, **found}.items(), key=lambda pair: -pair[1]))


def canvas(width: float = 6.4, height: float = 3.2, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty drawing, inches, with so many plots side by side."""
    drawing, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)
    return drawing, list(axes[0])


def bars(axes: Axes, values: Mapping[str, float], *, ours: Sequence[str] = ("Instar",), form: str = "{:.1%}") -> None:
    """Horizontal bars with their values, those named ``ours`` in color, the first on top."""
    names = list(values)[::-1]
    widths = [values[name] for name in names]
    drawn = axes.barh(names, widths, color=[OURS if name in ours else OTHERS for name in names], height=0.7)
    axes.bar_label(drawn, [form.format(width) for width in widths], padding=3, fontsize=9)
    axes.set_xlim(min(0, *widths) * 1.2, max(widths) * 1.18)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)


def sheet(
    rows: Sequence[Sequence[tuple[Image.Image, str, str]]], *, names: Sequence[str] = (), side: float = 0.9
) -> Figure:
    """Rows of pictures with a caption and its color; ``names`` stand at the left of the rows."""
    columns = max(map(len, rows))
    drawing, axes = plt.subplots(
        len(rows), columns, figsize=(columns * side, len(rows) * (side + 0.2)), layout="constrained", squeeze=False
    )
    for place, line in enumerate(axes):
        for cell in line:
            cell.axis("off")
        for cell, (picture, caption, color) in zip(line, rows[place], strict=False):
            cell.imshow(picture, cmap="gray", interpolation="lanczos")
            cell.set_title(caption, color=color, fontsize=9, pad=2)
        if names:
            line[0].text(-0.12, 0.5, names[place], transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    return drawing


def write_picture(picture: Figure | Path, folder: Path) -> Path:
    """The picture in an example's folder, in few colors, so that it is small."""
    for old in folder.glob("picture.*"):
        old.unlink()
    if isinstance(picture, Path):
        return _shortened(picture, folder / f"picture{picture.suffix}")
    buffer = io.BytesIO()
    picture.savefig(buffer)
    plt.close(picture)
    path, image = folder / "picture.png", Image.open(buffer).convert("RGB")
    for colors in COLORS:
        image.quantize(colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LARGEST:
            break
    return path


def _shortened(film: Path, path: Path) -> Path:
    """The film in fewer pictures."""
    with Image.open(film) as opened:
        chosen = range(0, opened.n_frames, -(-opened.n_frames // FRAMES))
        frames = [opened.seek(number) or opened.convert("L").quantize(8) for number in chosen]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=STANDING, loop=0, optimize=True)
    film.unlink()
    return path
