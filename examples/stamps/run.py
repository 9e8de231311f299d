"""Stamps: animal, food, plant or vehicle?

A folder each of the stamps of Tux Paint, hundreds of drawings and photographs, from Debian's package
tuxpaint-stamps-default (GPL-2+ and free licenses, each named there). So few pictures are examined in folds: each by a
network that never saw it.

The figure is the share of right answers over all of them; most are animals, which a guess without looking would say.
"""

from PIL import Image

import instar
from data_sets.stamps import stamps_in_folders
from examples.gallery import WRONG, Shown, best_rival, sheet


def run() -> Shown:
    model = instar.train(stamps_in_folders(), image_size=32, folds=3, epochs=30)
    result = model.report.targets[0]
    rival, score = best_rival(model)

    rows = []
    for mistake in result.details.mistakes:
        rows.append((Image.open(mistake.place), f"{mistake.answer}?", WRONG))
    return Shown(
        f"{result.score.value:.0%} right",
        f"{rival} {score:.0%}",
        sheet([rows[:6], rows[6:12]]),
        [model],
    )
