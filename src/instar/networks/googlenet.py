"""Inception: convolutions of several sizes side by side, behind cheap ones of single cells. GoogLeNet and its heirs."""

from __future__ import annotations

from dataclasses import dataclass

from instar.networks import _settings
from instar.networks._tables import (
    AtMost,
    Auxiliary,
    Branches,
    Convolution,
    Dense,
    Dropout,
    Largest,
    Mean,
    MeanOfAll,
    ResponseNormalization,
    Table,
    TableBody,
    photo_network,
)
from instar.networks.base import Body, Example
from instar.settings import Settings
from instar.shapes import Grid

# What suits networks with batch normalization, and what those without need.
_NORMALIZED = {
    "optimizer": "adamw",
    "rate": 3e-3,
    "weight_decay": 0.05,
    "batch": 64,
    "schedule": "one-cycle",
    "epochs": 20,
}
_PLAIN = {**_NORMALIZED, "rate": 3e-4, "warmup": 50}


def _inception(single: int, reduced3: int, three: int, reduced5: int, five: int, pooled: int) -> Branches:
    """The columns of GoogLeNet's table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj."""
    return Branches(
        (
            (Convolution(single),),
            (Convolution(reduced3), Convolution(three, 3)),
            (Convolution(reduced5), Convolution(five, 5)),
            (Largest(3), Convolution(pooled)),
        )
    )


def _classifier(*layers: Convolution | Mean | MeanOfAll | AtMost | Dense | Dropout) -> Auxiliary:
    return Auxiliary((Mean(5, 3, 0), Convolution(128), *layers))


_DENSE_CLASSIFIER = _classifier(AtMost(4), Dense(1024), Dropout(0.7))

GOOGLENET: Table = {
    "conv1": Convolution(64, 7, 2),
    "pool1": Largest(3, 2),
    "norm1": ResponseNormalization(),
    "conv2 reduce": Convolution(64),
    "conv2": Convolution(192, 3),
    "norm2": ResponseNormalization(),
    "pool2": Largest(3, 2),
    "3a": _inception(64, 96, 128, 16, 32, 32),
    "3b": _inception(128, 128, 192, 32, 96, 64),
    "pool3": Largest(3, 2),
    "4a": _inception(192, 96, 208, 16, 48, 64),
    "classifier 1": _DENSE_CLASSIFIER,
    "4b": _inception(160, 112, 224, 24, 64, 64),
    "4c": _inception(128, 128, 256, 24, 64, 64),
    "4d": _inception(112, 144, 288, 32, 64, 64),
    "classifier 2": _DENSE_CLASSIFIER,
    "4e": _inception(256, 160, 320, 32, 128, 128),
    "pool4": Largest(3, 2),
    "5a": _inception(256, 160, 320, 32, 128, 128),
    "5b": _inception(384, 192, 384, 48, 128, 128),
    "pool5": MeanOfAll(),
    "dropout": Dropout(),
}


@dataclass(frozen=True)
class GoogLeNetSettings(Settings):
    dropout: float = _settings.dropout(0.4)
    auxiliary: float = _settings.auxiliary(0.3)
    initialization: str = _settings.initialization("auto")


@photo_network(
    "googlenet",
    GOOGLENET,
    paper="Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke & Rabinovich 2014",
    idea="modules of convolutions of 1, 3 and 5 cells side by side, each behind one of single cells that narrows; two "
    "classifiers sit halfway while it learns",
    settings=GoogLeNetSettings,
    recipe=_PLAIN,
    top5_error=6.7,
)
def googlenet(shape: Grid, settings: GoogLeNetSettings) -> Body:
    """The paper's table 1, and the response normalization of its figure 3. The first convolution is an ordinary one.

    (The table's 2.7K weights are those of a separable one, which the text does not tell of.)
    """
    return TableBody(
        shape,
        GOOGLENET,
        dropout=settings.dropout,
        auxiliary=settings.auxiliary,
        initialization=settings.initialization,
    )


def _twice(
    single: int, reduced3: int, three: int, reduced33: int, twice: int, pool: Mean | Largest, pooled: int
) -> Branches:
    """The columns of BN-Inception's figure 5: 5 x 5 convolutions have become two of 3 x 3."""
    return Branches(
        (
            (Convolution(single),),
            (Convolution(reduced3), Convolution(three, 3)),
            (Convolution(reduced33), Convolution(twice, 3), Convolution(twice, 3)),
            (pool, Convolution(pooled)),
        )
    )


def _halving(reduced3: int, three: int, reduced33: int, twice: int) -> Branches:
    """Modules of stride 2, whose pooled maps pass through as they are."""
    return Branches(
        (
            (Convolution(reduced3), Convolution(three, 3, 2)),
            (Convolution(reduced33), Convolution(twice, 3), Convolution(twice, 3, 2)),
            (Largest(3, 2),),
        )
    )


BN_INCEPTION: Table = {
    "conv1": Convolution(64, 7, 2, depthwise=8),
    "pool1": Largest(3, 2),
    "conv2 reduce": Convolution(64),
    "conv2": Convolution(192, 3),
    "pool2": Largest(3, 2),
    "3a": _twice(64, 64, 64, 64, 96, Mean(3), 32),
    "3b": _twice(64, 64, 96, 64, 96, Mean(3), 64),
    "3c": _halving(128, 160, 64, 96),
    "4a": _twice(224, 64, 96, 96, 128, Mean(3), 128),
    "4b": _twice(192, 96, 128, 96, 128, Mean(3), 128),
    "4c": _twice(160, 128, 160, 128, 160, Mean(3), 96),
    "4d": _twice(96, 128, 192, 160, 192, Mean(3), 96),
    "4e": _halving(128, 192, 192, 256),
    "5a": _twice(352, 192, 320, 160, 224, Mean(3), 128),
    "5b": _twice(352, 192, 320, 192, 224, Largest(3), 128),
    "pool5": MeanOfAll(),
    "dropout": Dropout(),
}


@dataclass(frozen=True)
class BNInceptionSettings(Settings):
    dropout: float = _settings.dropout(0.0)
    initialization: str = _settings.initialization("auto")


@photo_network(
    "bn-inception",
    BN_INCEPTION,
    paper="Ioffe & Szegedy 2015",
    idea="GoogLeNet with every layer's sums brought to mean 0 and variance 1 over the batch: the same in a "
    "fourteenth of the steps",
    settings=BNInceptionSettings,
    recipe=_NORMALIZED,
    top5_error=4.9,
)
def bn_inception(shape: Grid, settings: BNInceptionSettings) -> Body:
    """The paper's figure 5, with the separable first convolution that its text tells of."""
    return TableBody(
        shape, BN_INCEPTION, normalized=1e-3, dropout=settings.dropout, initialization=settings.initialization
    )


def _cells35(pooled: int) -> Branches:
    """Figure 5 of the paper, on 35 x 35 cells."""
    return Branches(
        (
            (Convolution(64),),
            (Convolution(48), Convolution(64, 5)),
            (Convolution(64), Convolution(96, 3), Convolution(96, 3)),
            (Mean(3), Convolution(pooled)),
        )
    )


def _cells17(narrow: int) -> Branches:
    """Figure 6, on 17 x 17 cells: 7 x 7 convolutions as pairs of 1 x 7 and 7 x 1."""
    flat, tall = (1, 7), (7, 1)
    return Branches(
        (
            (Convolution(192),),
            (Convolution(narrow), Convolution(narrow, flat), Convolution(192, tall)),
            (
                Convolution(narrow),
                *(Convolution(narrow, tall), Convolution(narrow, flat)),
                *(Convolution(narrow, tall), Convolution(192, flat)),
            ),
            (Mean(3), Convolution(192)),
        )
    )


_SPREAD = Branches(((Convolution(384, (1, 3)),), (Convolution(384, (3, 1)),)))
# Figure 7, on 8 x 8 cells.
_CELLS8 = Branches(
    (
        (Convolution(320),),
        (Convolution(384), _SPREAD),
        (Convolution(448), Convolution(384, 3), _SPREAD),
        (Mean(3), Convolution(192)),
    )
)

INCEPTION_V3: Table = {
    "conv1": Convolution(32, 3, 2, 0),
    "conv2": Convolution(32, 3, 1, 0),
    "conv3": Convolution(64, 3),
    "pool3": Largest(3, 2, 0),
    "conv4": Convolution(80),
    "conv5": Convolution(192, 3, 1, 0),
    "pool5": Largest(3, 2, 0),
    "5a": _cells35(32),
    "5b": _cells35(64),
    "5c": _cells35(64),
    "6a": Branches(
        (
            (Convolution(384, 3, 2, 0),),
            (Convolution(64), Convolution(96, 3), Convolution(96, 3, 2, 0)),
            (Largest(3, 2, 0),),
        )
    ),
    "6b": _cells17(128),
    "6c": _cells17(160),
    "6d": _cells17(160),
    "6e": _cells17(192),
    "classifier": _classifier(Convolution(768, 5, 1, 0), MeanOfAll()),
    "7a": Branches(
        (
            (Convolution(192), Convolution(320, 3, 2, 0)),
            (Convolution(192), Convolution(192, (1, 7)), Convolution(192, (7, 1)), Convolution(192, 3, 2, 0)),
            (Largest(3, 2, 0),),
        )
    ),
    "7b": _CELLS8,
    "7c": _CELLS8,
    "pool": MeanOfAll(),
    "dropout": Dropout(),
}


@dataclass(frozen=True)
class InceptionV3Settings(Settings):
    dropout: float = _settings.dropout(0.2)
    auxiliary: float = _settings.auxiliary(0.3)
    initialization: str = _settings.initialization("auto")


@photo_network(
    "inception-v3",
    INCEPTION_V3,
    paper="Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2015",
    idea="Inception with large convolutions taken apart into small and flat ones, for more depth at the same cost",
    settings=InceptionV3Settings,
    recipe=_NORMALIZED,
    example=Example(Grid(3, (299, 299)), 1000),
    top5_error=3.5,
)
def inception_v3(shape: Grid, settings: InceptionV3Settings) -> Body:
    """The network that the authors released for the paper's table 1, whose numbers of maps the paper leaves open."""
    return TableBody(
        shape,
        INCEPTION_V3,
        normalized=1e-3,
        dropout=settings.dropout,
        auxiliary=settings.auxiliary,
        initialization=settings.initialization,
    )
