"""Convolutions over symbols: which short phrases are there, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from instar.errors import SettingError
from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks._sequences import SymbolEmbedding, are_letters, trimmed
from instar.networks.activations import ACTIVATIONS
from instar.networks.base import Body, network
from instar.networks.initialization import initialize_weights
from instar.settings import Settings, setting
from instar.shapes import Tokens

_MOST_WINDOWS = 16
# The paper's, for words; letters mean something in longer groups.
_OF_WORDS, _OF_LETTERS = (3, 4, 5), (4, 8, 12)


def _listed(windows: tuple[int, ...]) -> str:
    return ",".join(map(str, windows))


@dataclass(frozen=True)
class TextCNNSettings(Settings):
    width: int = _settings.width(100, "phrases of each length that are looked for")
    symbol_width: int = _settings.symbol_width(64)
    windows: tuple[int, ...] = setting(
        (),
        "lengths of the phrases that are looked for, in symbols; nothing said: "
        f"{_listed(_OF_WORDS)} of words, {_listed(_OF_LETTERS)} of letters",
        minimum=1,
        maximum=64,
    )
    activation: str = _settings.activation("relu")
    dropout: float = _settings.dropout(0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.windows) > _MOST_WINDOWS:
            raise SettingError(f"Setting 'windows' names at most {_MOST_WINDOWS} lengths")


class TextCNN(Body):
    """(B, length) to (B, width * windows): how well each learned phrase fits where it fits best.

    Phrases may stand out over a row's start and end, so that a row may be shorter than they are; what fills a row
    after its end changes nothing.
    """

    def __init__(self, shape: Tokens, settings: TextCNNSettings) -> None:
        super().__init__()
        # More numbers than there are symbols tell no more of them apart.
        symbol_width = min(settings.symbol_width, shape.vocabulary)
        self.embedding = SymbolEmbedding(shape.vocabulary, symbol_width)
        self.sizes = settings.windows or (_OF_LETTERS if are_letters(shape) else _OF_WORDS)
        self.windows = nn.ModuleList(
            nn.Conv1d(symbol_width, settings.width, size, padding=size - 1) for size in self.sizes
        )
        self.activation = ACTIVATIONS[settings.activation]()
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        self.width = settings.width * len(self.sizes)
        initialize_weights(self.windows, "auto", settings.activation)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens, known = trimmed(tokens)
        symbols, ends = self.embedding(tokens).transpose(1, 2), known.sum(1)
        fits = [_best(window(symbols), ends + size - 1) for window, size in zip(self.windows, self.sizes, strict=True)]
        return self.drop(self.activation(torch.cat(fits, 1)))


def _best(sums: Tensor, ends: Tensor) -> Tensor:
    """(B, maps, places) to (B, maps): the largest of the places before each row's end (B,)."""
    beyond = torch.arange(sums.shape[2], device=sums.device) >= ends[:, None]
    return sums.masked_fill(beyond[:, None], -torch.inf).amax(2)


@network(
    "text-cnn",
    paper="Kim 2014",
    idea="convolutions of several lengths over learned vectors of symbols, each by its largest value",
    shapes=(Tokens,),
    settings=TextCNNSettings,
    recipe={"optimizer": "adamw", "rate": 1e-3, "weight_decay": 0.1},
)
def text_cnn(shape: Tokens, settings: TextCNNSettings) -> Body:
    return TextCNN(shape, settings)
