"""Driving: from what the camera sees to the angle of the wheel.

2,400 frames of 30 drives along roads that bend, under other skies and light, drawn with a known law
(`data_sets/road.py`): the wheel turns towards the middle of the road ahead. `group="drive"` keeps a drive together:
those of the exam were never seen. A frame must not be mirrored or turned to have more of them, for that would change
its answer.

The figure is by how many degrees the answers are wrong on average; always going straight ahead is the rival to beat.
"""

import numpy as np

import instar
from data_sets.road import angle_of, frame, road
from examples.gallery import OTHERS, OURS, Shown, best_rival, canvas


def run() -> Shown:
    folder = road()
    model = instar.train(folder, target="angle", group="drive", augmentation=False, epochs=15)
    scores = {each.title: each.metrics["mae"].value for each in model.report.targets[0].ranked()}
    rival = best_rival(model)[0]
    straight = max(scores.values())

    # Four roads that nobody has driven on.
    generator = np.random.default_rng(1)
    states = generator.normal(0, (0.8, 0.3, 0.3), (4, 3))
    frames = [frame(generator, *state, light) for state, light in zip(states, (1.1, 0.9, 0.7, 0.5), strict=True)]
    answers = model.predict(np.stack([np.asarray(each) for each in frames]))["prediction"]
    drawing, plots = canvas(7.6, 1.45, columns=4)
    for axes, picture, state, answer in zip(plots, frames, states, answers, strict=True):
        axes.imshow(picture, interpolation="bilinear")
        truth = angle_of(*state)
        for angle, color, width in ((truth, OTHERS, 6), (answer, OURS, 2.5)):
            axes.plot([32, 32 + angle * 0.9], [39, 18], color=color, linewidth=width, solid_capstyle="round")
        axes.set_title(f"{answer:+.1f}°, true {truth:+.1f}°", fontsize=9)
        axes.axis("off")
        axes.set(xlim=(0, 63), ylim=(39, 0))
    return Shown(
        f"{model.report.metrics['mae'].value:.1f}° wrong on average",
        f"{rival} {scores[rival]:.1f}°, always the same angle {straight:.1f}°",
        drawing,
        [model],
    )
