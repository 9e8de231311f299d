"""Games: what went well is the example.

A pole on a cart, balanced by pushing left or right, and a car in a valley whose engine is too weak for the hill, which
has to swing (CartPole-v1 and MountainCarContinuous-v0 of Gymnasium, MIT license). Instar plays rounds, learns from the
steps that went better than was to be expected, and plays again.

The figures are mean returns in 100 episodes that were never learned from; 475 and 90 count as solved.
"""

from pathlib import Path

import instar
from examples.gallery import Shown


def run() -> Shown:
    pole = instar.train("gym:CartPole-v1", time="2m")
    car = instar.train("gym:MountainCarContinuous-v0", time="2m")
    film = Path("pole.gif")
    instar.play(car, episodes=1, video=film)

    reached = [model.report.metrics["mean_return"].value for model in (pole, car)]
    rivals = [
        {each.name: each.metrics["mean_return"].value for each in model.report.targets[0].ranked()}
        for model in (pole, car)
    ]
    return Shown(
        f"{reached[0]:.0f} of 500 with the pole, {reached[1]:.0f} of 100 with the car",
        f"by chance {rivals[0]['chance']:.0f} and {rivals[1]['chance']:.0f}",
        film,
        [pole, car],
    )
