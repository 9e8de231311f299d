"""Residual networks as they were published; `resnet` is the smaller, later one that suits pictures of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from instar.networks import _settings
from instar.networks._tables import Convolution, Dropout, Largest, MeanOfAll, Sum, Table, TableBody, photo_network
from instar.networks.base import Body
from instar.settings import Settings
from instar.shapes import Grid

_EPSILON = 1e-5


def _pair(maps: int, stride: int) -> Sum:
    """The building block of the paper's figure 5, left."""
    return Sum((Convolution(maps, 3, stride), Convolution(maps, 3, active=False)))


def _bottleneck(maps: int, stride: int) -> Sum:
    """Figure 5, right."""
    return Sum((Convolution(maps, 1, stride), Convolution(maps, 3), Convolution(4 * maps, active=False)))


def _table(block: Callable[[int, int], Sum], counts: tuple[int, int, int, int]) -> Table:
    """Table 1: four stages of so many blocks, each but the first at half the extent of the one before."""
    stages = {
        f"conv{stage + 2}_{number + 1}": block(64 * 2**stage, 2 if stage and not number else 1)
        for stage, count in enumerate(counts)
        for number in range(count)
    }
    return {
        "conv1": Convolution(64, 7, 2),
        "pool1": Largest(3, 2),
        **stages,
        "pool5": MeanOfAll(),
        "dropout": Dropout(),
    }


RESNET_18 = _table(_pair, (2, 2, 2, 2))
RESNET_50 = _table(_bottleneck, (3, 4, 6, 3))


@dataclass(frozen=True)
class PublishedResNetSettings(Settings):
    dropout: float = _settings.dropout(0.0)
    initialization: str = _settings.initialization("auto")


_RECIPE = {
    "optimizer": "adamw",
    "rate": 3e-3,
    "weight_decay": 0.05,
    "batch": 64,
    "schedule": "one-cycle",
    "epochs": 20,
}


def _build(shape: Grid, table: Table, settings: PublishedResNetSettings) -> Body:
    return TableBody(
        shape, table, normalized=_EPSILON, dropout=settings.dropout, initialization=settings.initialization
    )


@photo_network(
    "resnet-18",
    RESNET_18,
    paper="He, Zhang, Ren & Sun 2015",
    idea="pairs of convolutions that each add to what they were given, so that more layers do no harm",
    settings=PublishedResNetSettings,
    recipe=_RECIPE,
)
def resnet_18(shape: Grid, settings: PublishedResNetSettings) -> Body:
    return _build(shape, RESNET_18, settings)


@photo_network(
    "resnet-50",
    RESNET_50,
    paper="He, Zhang, Ren & Sun 2015",
    idea="resnet-18 with sixteen blocks of three convolutions, of which the middle one sees a quarter of the maps",
    settings=PublishedResNetSettings,
    recipe=_RECIPE,
    top5_error=5.3,
)
def resnet_50(shape: Grid, settings: PublishedResNetSettings) -> Body:
    """As in the paper, the first convolution of a block has its stride."""
    return _build(shape, RESNET_50, settings)
