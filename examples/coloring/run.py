"""Colors for gray pictures.

480 stamps of Tux Paint, and 44 more for the picture, from Debian's package tuxpaint-stamps-default (GPL-2+ and free
licenses, each named there). Given are only the colored pictures: `restore="color"` takes the color away and learns to
give it back, cell by cell.

The figure is how near the answers come to the true colors (PSNR, in decibels, more is better). So few pictures teach
what is often brown and what seldom has a color; a wrong color costs as much as none, so who leaves the gray as it is,
as the linear filter does, comes nearly as near.
"""

from tempfile import TemporaryDirectory

from PIL import Image

import instar
from data_sets.stamps import stamps_to_color
from examples.gallery import OTHERS, Shown, best_rival, sheet


def run() -> Shown:
    known, new = stamps_to_color()
    model = instar.train(known, restore="color", image_size=48, width=16, epochs=12, folds=2)
    rival, score = best_rival(model)
    mean = min(each.metrics["psnr"].value for each in model.report.targets[0].ranked())

    files = sorted(new.iterdir())[::5][:9]
    with TemporaryDirectory() as folder:
        painted = model.predict([str(file) for file in files], out=f"{folder}/painted")["prediction"]
        colored = [Image.open(file).convert("RGB") for file in painted]
    rows = [
        [(Image.open(file).convert("L"), "", OTHERS) for file in files],
        [(picture, "", OTHERS) for picture in colored],
        [(Image.open(file), "", OTHERS) for file in files],
    ]
    return Shown(
        f"{model.report.metrics['psnr'].value:.1f} dB",
        f"{rival} {score:.1f} dB, the mean color of each cell {mean:.1f} dB",
        sheet(rows, names=["gray", "Instar", "true"]),
        [model],
    )
