"""The settings that several networks share, each declared once, so that one name means one thing everywhere.

A network chooses among them, with its own default, when it declares its group:

    @dataclass(frozen=True)
    class LeNetSettings(Settings):
        width: int = width(6, "feature maps of the first convolution")
        dropout: float = dropout(0.0)
"""

from __future__ import annotations

from typing import Any

from instar.networks.activations import ACTIVATIONS
from instar.networks.initialization import INITIALIZATIONS
from instar.settings import setting

LARGEST_WIDTH = 16_384
LARGEST_DEPTH = 128
NORMALIZATIONS = ("none", "batch", "layer")
NUMBER_EMBEDDINGS = ("auto", "none", "piecewise-linear", "periodic")


def width(default: int, meaning: str) -> Any:
    return setting(default, meaning, minimum=1, maximum=LARGEST_WIDTH)


def depth(default: int, meaning: str) -> Any:
    return setting(default, meaning, minimum=1, maximum=LARGEST_DEPTH)


def activation(default: str) -> Any:
    return setting(default, "what a neuron makes of the sum of its inputs", choices=ACTIVATIONS)


def dropout(default: float) -> Any:
    return setting(
        default,
        "share of a hidden layer's neurons that each training step leaves out",
        minimum=0,
        maximum=0.95,
        source="Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014",
    )


def normalization(default: str) -> Any:
    return setting(
        default,
        "whether a hidden layer's sums are brought to mean 0 and variance 1: over the batch, or within the layer",
        choices=NORMALIZATIONS,
        source="Ioffe & Szegedy 2015; Ba, Kiros & Hinton 2016",
    )


def initialization(default: str) -> Any:
    return setting(
        default,
        "how weights are drawn before training; auto fits the activation",
        choices=INITIALIZATIONS,
        source="LeCun 1998; Glorot & Bengio 2010; He 2015; Saxe 2014",
    )


def symbol_width(default: int) -> Any:
    return setting(default, "how many learned numbers stand for a symbol", minimum=1, maximum=LARGEST_WIDTH)


def number_embedding(default: str) -> Any:
    return setting(
        default,
        "how a number becomes several inputs: not at all, by bins of its training values, or by waves; auto takes bins "
        "where the numbers are few",
        choices=NUMBER_EMBEDDINGS,
        source="Gorishniy, Rubachev & Babenko 2022",
    )


def number_bins(default: int) -> Any:
    return setting(default, "bins of a piecewise-linear embedding, or waves of a periodic one", minimum=2, maximum=1024)


def number_width(default: int) -> Any:
    return setting(default, "how many inputs an embedded number becomes", minimum=2, maximum=1024)


def auxiliary(default: float) -> Any:
    return setting(
        default,
        "how much the losses of auxiliary classifiers, which sit halfway, count while training; 0 for none of them",
        minimum=0,
        maximum=10,
        source="Szegedy et al. 2014",
    )
