"""Networks of dense layers: linear, perceptron, multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from instar.errors import SettingError
from instar.networks import _settings
from instar.networks._layers import hidden_layers
from instar.networks.base import Body, network
from instar.networks.embedding import RowEmbedding
from instar.networks.heads import PerceptronHead
from instar.networks.initialization import initialize_weights
from instar.settings import Settings, setting
from instar.shapes import Vector


class Row(Body):
    """The row itself, codes one-hot: what a network without hidden layers gives its head."""

    def __init__(self, shape: Vector) -> None:
        super().__init__()
        self.embedding = RowEmbedding(shape, one_hot=True)
        self.width = self.embedding.width

    def initialize(self, *inputs: Tensor | None) -> None:
        self.embedding.initialize(*inputs)

    def forward(self, numbers: Tensor | None, codes: Tensor | None) -> Tensor:
        return self.embedding(numbers, codes)


@network(
    "linear",
    paper="Legendre 1805; Cox 1958",
    idea="a weighted sum of the inputs: linear regression for amounts, logistic regression for classes",
    shapes=(Vector,),
    settings=Settings,
    limitation="A linear network weighs each input by itself: it cannot learn that one input matters only together "
    "with another (exclusive or), nor anything that rises and falls again",
    additive=True,
)
def linear(shape: Vector, settings: Settings) -> Body:
    return Row(shape)


@network(
    "perceptron",
    paper="Rosenblatt 1958",
    idea="threshold neurons that learn from each mistake: add the input where one should have fired, else take it off",
    shapes=(Vector,),
    settings=Settings,
    recipe={"optimizer": "sgd", "rate": 1.0, "momentum": 0.0, "batch": 1, "weight_decay": 0.0, "schedule": "constant"},
    limitation="A perceptron divides the examples by one straight cut, and where no such cut exists, as for exclusive "
    "or (XOR), it cannot learn them, however long it trains (Minsky & Papert 1969); a hidden layer can: "
    "use the network 'mlp'",
    head=PerceptronHead,
)
def perceptron(shape: Vector, settings: Settings) -> Body:
    return Row(shape)


@dataclass(frozen=True)
class MLPSettings(Settings):
    width: int = _settings.width(128, "neurons in each hidden layer")
    depth: int = _settings.depth(2, "hidden layers")
    widths: tuple[int, ...] = setting(
        (),
        "neurons in each hidden layer by itself, such as 64,32; in place of width and depth",
        minimum=1,
        maximum=_settings.LARGEST_WIDTH,
    )
    activation: str = _settings.activation("relu")
    dropout: float = _settings.dropout(0.0)
    normalization: str = _settings.normalization("none")
    initialization: str = _settings.initialization("auto")
    number_embedding: str = _settings.number_embedding("none")
    number_bins: int = _settings.number_bins(24)
    number_width: int = _settings.number_width(8)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.widths) > _settings.LARGEST_DEPTH:
            raise SettingError(f"Setting 'widths' can name at most {_settings.LARGEST_DEPTH} hidden layers")


class MLP(Body):
    """Dense layers with an activation after each: (B, W) and (B, C) to (B, width of the last)."""

    def __init__(self, shape: Vector, settings: MLPSettings) -> None:
        super().__init__()
        self.embedding = RowEmbedding(shape, settings.number_embedding, settings.number_bins, settings.number_width)
        widths = settings.widths or (settings.width,) * settings.depth
        self.layers = hidden_layers(
            self.embedding.width, widths, settings.activation, settings.normalization, settings.dropout
        )
        self.width = widths[-1]
        initialize_weights(self.layers, settings.initialization, settings.activation)

    def initialize(self, *inputs: Tensor | None) -> None:
        self.embedding.initialize(*inputs)

    def forward(self, numbers: Tensor | None, codes: Tensor | None) -> Tensor:
        return self.layers(self.embedding(numbers, codes))


@network(
    "mlp",
    paper="Rumelhart, Hinton & Williams 1986",
    idea="layers of neurons, each fed by all of the layer before, that learn by back-propagated errors",
    shapes=(Vector,),
    settings=MLPSettings,
    recipe={"optimizer": "adam", "rate": 1e-3},
)
def mlp(shape: Vector, settings: MLPSettings) -> Body:
    return MLP(shape, settings)
