"""Language models: networks that follow a sequence and tell at each symbol what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from instar.networks import _settings
from instar.networks._sequences import trimmed
from instar.networks.attention import Transformer, TransformerSettings, waves
from instar.networks.base import Body, network
from instar.networks.recurrent import Recurrent, RecurrentSettings
from instar.settings import Settings, setting
from instar.shapes import Tokens


@dataclass(frozen=True)
class RecurrentLanguageSettings(Settings):
    width: int = _settings.width(256, "cells in each layer")
    depth: int = _settings.depth(1, "recurrent layers, each fed by the states of the one before")
    symbol_width: int = _settings.symbol_width(64)
    window: int = setting(
        64,
        "symbols over which errors are traced back; each such stretch of a row is learned as if it were the first, and "
        "what it learned then serves in longer ones",
        minimum=2,
        maximum=16_384,
        source="Williams & Peng 1990",
    )
    dropout: float = _settings.dropout(0.1)


class RecurrentLanguage(Recurrent):
    """(B, length) symbols to (B, width): the state after the last; or, where they are followed, after each."""

    def __init__(self, cell: str, shape: Tokens, settings: RecurrentLanguageSettings) -> None:
        one_way = RecurrentSettings(
            settings.width, settings.depth, settings.symbol_width, False, "last", settings.dropout
        )
        super().__init__(cell, shape, one_way)
        self.window = settings.window

    def follow(self, symbols: Tensor, state: Sequence[Any] | None = None) -> tuple[Tensor, Sequence[Any]]:
        rows, length = symbols.shape
        if self.training:
            symbols = F.pad(symbols, (0, -length % self.window)).view(-1, self.window)
        assert self.embedding is not None
        steps, after = self.embedding(symbols), []
        for place, layer in enumerate(self.layers):
            steps = self.drop(steps) if place else steps
            steps, own = layer[0](steps, None if state is None else state[place])  # type: ignore[index]
            after.append(own)
        return self.drop(steps).reshape(rows, -1, self.step_width or 0)[:, :length], after


_language_model = partial(
    network,
    shapes=(Tokens,),
    settings=RecurrentLanguageSettings,
    recipe={
        "optimizer": "adamw",
        "rate": 5e-3,
        "weight_decay": 0.1,
        "clip": 1.0,
        "warmup": 50,
        "schedule": "cosine",
        "batch": 4,
    },
    continues=True,
)


@_language_model(
    "rnn-lm",
    paper="Mikolov, Karafiat, Burget, Cernocky & Khudanpur 2010",
    idea="tells each symbol from a state that the symbols before it have left, and that forgets soon",
)
def rnn_lm(shape: Tokens, settings: RecurrentLanguageSettings) -> Body:
    return RecurrentLanguage("rnn", shape, settings)


@_language_model(
    "lstm-lm",
    paper="Sundermeyer, Schlueter & Ney 2012; Graves 2013",
    idea="tells each symbol from a state that gates write to, read and erase",
)
def lstm_lm(shape: Tokens, settings: RecurrentLanguageSettings) -> Body:
    return RecurrentLanguage("lstm", shape, settings)


@_language_model(
    "gru-lm",
    paper="Cho et al. 2014; Chung, Gulcehre, Cho & Bengio 2014",
    idea="tells each symbol as an LSTM does, with fewer gates",
)
def gru_lm(shape: Tokens, settings: RecurrentLanguageSettings) -> Body:
    return RecurrentLanguage("gru", shape, settings)


@dataclass(frozen=True)
class GPTSettings(Settings):
    width: int = _settings.width(128, "numbers that stand for a symbol")
    depth: int = _settings.depth(4, "blocks of attention and two dense layers")
    heads: int = setting(4, "how many places each symbol can look at at once", minimum=1, maximum=256)
    activation: str = _settings.activation("gelu")
    dropout: float = _settings.dropout(0.1)


class CausalTransformer(Transformer):
    """(B, length) symbols to (B, width): the last block at the last symbol; or, where they are followed, at each.

    It sees as many symbols as a row has; where there are more, it begins anew with the last half of them.
    """

    def __init__(self, shape: Tokens, settings: GPTSettings) -> None:
        super().__init__(
            shape,
            TransformerSettings(
                settings.width, settings.depth, settings.heads, None, settings.activation, settings.dropout
            ),
        )
        self.reach, self.kept = shape.length, max(1, shape.length // 2)

    def forward(self, content: Tensor) -> Tensor:
        tokens, known = trimmed(content)
        return self.follow(tokens)[0][torch.arange(len(tokens), device=tokens.device), known.sum(1) - 1]

    def follow(self, symbols: Tensor, state: tuple[Tensor, list[Tensor]] | None = None) -> tuple[Tensor, Any]:
        """The state: the symbols that are seen, and keys and values of each block."""
        length = symbols.shape[1]
        whole = symbols if state is None else torch.cat([state[0], symbols], 1)
        if whole.shape[1] > self.reach:
            if length > self.kept:
                first, state = self.follow(symbols[:, : self.kept], state)
                rest, state = self.follow(symbols[:, self.kept :], state)
                return torch.cat([first, rest], 1), state
            steps, state = self.follow(whole[:, -self.kept :])
            return steps[:, -length:], state
        positions = waves(whole.shape[1], self.width, symbols.device)[whole.shape[1] - length :]
        steps, after = self.drop(self.symbols(symbols) + positions), []
        for place, block in enumerate(self.blocks):
            steps, own = block.after(steps, None if state is None else state[1][place])  # type: ignore[operator]
            after.append(own)
        return self.last(steps), (whole, after)


@network(
    "gpt",
    paper="Radford, Narasimhan, Salimans & Sutskever 2018; Vaswani et al. 2017",
    idea="tells each symbol by looking at all those before it at once: a transformer's decoder alone",
    shapes=(Tokens,),
    settings=GPTSettings,
    recipe={
        "optimizer": "adamw",
        "rate": 2e-3,
        "weight_decay": 0.1,
        "clip": 1.0,
        "warmup": 100,
        "schedule": "cosine",
        "batch": 8,
    },
    continues=True,
)
def gpt(shape: Tokens, settings: GPTSettings) -> Body:
    return CausalTransformer(shape, settings)
