"""AlexNet: the network with which the learning of features beat their design, on photos of a thousand kinds."""

from __future__ import annotations

from dataclasses import dataclass

from instar.networks import _settings
from instar.networks._tables import (
    AtMost,
    Convolution,
    Dense,
    Dropout,
    Largest,
    ResponseNormalization,
    Table,
    TableBody,
    photo_network,
)
from instar.networks.base import Body
from instar.settings import Settings
from instar.shapes import Grid

# The paper's five convolutions and two dense layers; the third is the head. Each half of the maps of those in groups
# was on a GPU of its own. With a margin of 2 cells the first gives the paper's 55 x 55 from 224 x 224.
ALEXNET: Table = {
    "convolution 1": Convolution(96, 11, 4, 2),
    "response 1": ResponseNormalization(),
    "pool 1": Largest(3, 2, 0),
    "convolution 2": Convolution(256, 5, groups=2),
    "response 2": ResponseNormalization(),
    "pool 2": Largest(3, 2, 0),
    "convolution 3": Convolution(384, 3),
    "convolution 4": Convolution(384, 3, groups=2),
    "convolution 5": Convolution(256, 3, groups=2),
    "pool 5": Largest(3, 2, 0),
    "most": AtMost(6),
    "dropout 6": Dropout(),
    "dense 6": Dense(4096),
    "dropout 7": Dropout(),
    "dense 7": Dense(4096),
}


@dataclass(frozen=True)
class AlexNetSettings(Settings):
    dropout: float = _settings.dropout(0.5)
    initialization: str = _settings.initialization("auto")


@photo_network(
    "alexnet",
    ALEXNET,
    paper="Krizhevsky, Sutskever & Hinton 2012",
    idea="five rectified convolutions and two wide dense layers with dropout, learned from a million photos",
    settings=AlexNetSettings,
    recipe={
        "optimizer": "adamw",
        "rate": 3e-4,
        "weight_decay": 0.01,
        "batch": 64,
        "schedule": "one-cycle",
        "epochs": 20,
    },
    top5_error=16.4,
)
def alexnet(shape: Grid, settings: AlexNetSettings) -> Body:
    """The two towers of the paper as grouped convolutions.

    Of pictures larger than the paper's the last maps are brought down to its 6 x 6 cells.
    """
    return TableBody(shape, ALEXNET, dropout=settings.dropout, initialization=settings.initialization)
