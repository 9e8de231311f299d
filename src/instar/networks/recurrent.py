"""Recurrent networks: a state that is carried from step to step of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks._sequences import SymbolEmbedding, largest_over_steps, mean_over_steps, trimmed
from instar.networks.base import Body, Memory, network
from instar.networks.decoders import Decoder, WritingSettings
from instar.settings import Settings, setting
from instar.shapes import Grid, Symbols, Tokens

_CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_SINGLE_CELLS: dict[str, Callable[..., nn.RNNCellBase]] = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
# How many weight matrices torch lays one under another for each cell, and which of LSTM's is the forget gate's.
_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
_FORGET = 1
POOLINGS = ("last", "mean", "max", "all")


@dataclass(frozen=True)
class RecurrentSettings(Settings):
    width: int = _settings.width(64, "cells in each layer and direction")
    depth: int = _settings.depth(1, "recurrent layers, each fed by the states of the one before")
    symbol_width: int = _settings.symbol_width(64)
    bidirectional: bool = setting(
        True,
        "whether a second network reads the sequence from its end to its start",
        source="Schuster & Paliwal 1997",
    )
    pooling: str = setting(
        "max",
        "what of the states is used: that after the last step, their mean, each cell's largest, or all three",
        choices=POOLINGS,
        source="Conneau, Kiela, Schwenk, Barrault & Bordes 2017; Howard & Ruder 2018 for all",
    )
    dropout: float = _settings.dropout(0.2)


class Recurrent(Body):
    """(B, length) symbols, or (B, channels, steps), to (B, width): the states of recurrent layers, pooled.

    What fills a row after its end changes nothing: the way back begins at the row's last symbol, and only the states
    after its symbols are used.
    """

    def __init__(self, cell: str, shape: Tokens | Grid, settings: RecurrentSettings) -> None:
        super().__init__()
        self.embedding = SymbolEmbedding(shape.vocabulary, settings.symbol_width) if isinstance(shape, Tokens) else None
        incoming = settings.symbol_width if isinstance(shape, Tokens) else shape.channels
        directions = 2 if settings.bidirectional else 1
        layers = []
        for _ in range(settings.depth):
            layers.append(nn.ModuleList(_cells(cell, incoming, settings.width) for _ in range(directions)))
            incoming = directions * settings.width
        self.layers = nn.ModuleList(layers)
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        self.pooling = settings.pooling
        self.step_width = incoming
        self.width = incoming * (3 if settings.pooling == "all" else 1)

    def forward(self, content: Tensor) -> Tensor:
        return self.drop(self._pooled(*self._steps(content)))

    def read(self, content: Tensor) -> Memory:
        steps, known, _ = self._steps(content)
        return Memory(steps, torch.ones_like(steps[:, :, 0], dtype=torch.bool) if known is None else known)

    def _steps(self, content: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """The last layer's states, which of them count (None: all), and how many each row has."""
        if self.embedding is None:
            steps, known = content.transpose(1, 2), None
        else:
            tokens, known = trimmed(content)
            steps = self.embedding(tokens)
        ends = steps.new_full((len(steps),), steps.shape[1], dtype=torch.int64) if known is None else known.sum(1)
        for layer in self.layers:
            steps = self._layer(layer, self.drop(steps), ends)  # type: ignore[arg-type]
        return steps, known, ends

    def _layer(self, layer: nn.ModuleList, steps: Tensor, ends: Tensor) -> Tensor:
        states = [layer[0](steps)[0]]
        if len(layer) > 1:
            back = _backwards(ends, steps.shape[1])
            states.append(_reordered(layer[1](_reordered(steps, back))[0], back))
        return torch.cat(states, 2) if len(states) > 1 else states[0]

    def _pooled(self, steps: Tensor, known: Tensor | None, ends: Tensor) -> Tensor:
        pooled = []
        if self.pooling in ("last", "all"):
            pooled.append(self._last(steps, ends))
        if self.pooling in ("mean", "all"):
            pooled.append(mean_over_steps(steps, known))
        if self.pooling in ("max", "all"):
            pooled.append(largest_over_steps(steps, known))
        return torch.cat(pooled, 1)

    def _last(self, steps: Tensor, ends: Tensor) -> Tensor:
        """Each direction's last state: the way forth ends at a row's last step, the way back at its first."""
        width = steps.shape[2] // len(self.layers[-1])  # type: ignore[arg-type]
        forth = steps[torch.arange(len(steps), device=steps.device), ends - 1, :width]
        return torch.cat([forth, steps[:, 0, width:]], 1)


def _cells(cell: str, incoming: int, width: int) -> nn.RNNBase:
    """One layer in one direction: recurrent weights keep lengths (Saxe, McClelland & Ganguli 2014; Le, Jaitly & Hinton
    2015), and an LSTM begins by remembering (forget gates' thresholds 1: Jozefowicz, Zaremba & Sutskever 2015)."""
    layer = _CELLS[cell](incoming, width, batch_first=True)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            for part, gate in enumerate(parameter.chunk(_GATES[cell])):
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(gate)
                elif name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(gate)
                else:
                    remembers = cell == "lstm" and name.startswith("bias_ih") and part == _FORGET
                    nn.init.constant_(gate, 1.0 if remembers else 0.0)
    return layer


def _backwards(ends: Tensor, length: int) -> Tensor:
    """(B, length) int64: the steps of each row from its end to its start, then what fills it."""
    places = torch.arange(length, device=ends.device)
    back = ends[:, None] - 1 - places
    return torch.where(back >= 0, back, places)


def _reordered(steps: Tensor, order: Tensor) -> Tensor:
    return steps.gather(1, order[:, :, None].expand_as(steps))


class RecurrentDecoder(Decoder):
    """A recurrent cell that at each step looks at what it needs of the memory (Bahdanau, Cho & Bengio 2015).

    The state begins as a layer of the memory's mean.
    """

    decayed: ClassVar[tuple[str, ...]] = ("attention",)

    def __init__(
        self, cell: str, settings: RecurrentSettings, memory: int, answer: Symbols, writing: WritingSettings
    ) -> None:
        super().__init__(answer, writing)
        width = settings.width * (2 if settings.bidirectional else 1)
        self.symbols = nn.Embedding(answer.vocabulary, width)
        self.first = nn.Linear(memory, width)
        self.cell = _SINGLE_CELLS[cell](width + memory, width)
        self.ask, self.offer = nn.Linear(width, width), nn.Linear(memory, width, bias=False)
        self.attention = nn.Parameter(torch.zeros(width).uniform_(-(width**-0.5), width**-0.5))
        self.join = nn.Linear(2 * width + memory, width)
        self.output = nn.Linear(width, answer.vocabulary)
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))

    def begin(self, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden state and cell (B, width), and what attention compares, (B, length, width), computed once."""
        counted = memory.known[:, :, None].to(memory.steps.dtype)
        mean = (memory.steps * counted).sum(1) / counted.sum(1).clamp(min=1)
        hidden = torch.tanh(self.first(mean))
        return hidden, torch.zeros_like(hidden), self.offer(memory.steps)

    def step(self, memory: Memory, state: Any, symbol: Tensor) -> tuple[Tensor, Any]:
        written, state = self._turn(memory, state, self.drop(self.symbols(symbol)))
        return self.output(written), state

    def _turn(self, memory: Memory, state: Any, symbol: Tensor) -> tuple[Tensor, Any]:
        hidden, cell, offered = state
        scores = torch.tanh(offered + self.ask(hidden)[:, None]) @ self.attention
        shares = scores.masked_fill(~memory.known, -torch.inf).softmax(1)
        seen = torch.bmm(shares[:, None], memory.steps)[:, 0]
        given = torch.cat([symbol, seen], 1)
        if isinstance(self.cell, nn.LSTMCell):
            hidden, cell = self.cell(given, (hidden, cell))
        else:
            hidden = self.cell(given, hidden)
        return self.drop(torch.tanh(self.join(torch.cat([hidden, given], 1)))), (hidden, cell, offered)

    def logits(self, memory: Memory, before: Tensor) -> Tensor:
        state, symbols = self.begin(memory), self.drop(self.symbols(before))
        written = []
        for place in range(before.shape[1]):
            one, state = self._turn(memory, state, symbols[:, place])
            written.append(one)
        return self.output(torch.stack(written, 1))

    def pick(self, state: Any, rows: Tensor) -> Any:
        return tuple(part[rows] for part in state)


_recurrent = partial(
    network,
    shapes=(Tokens, Grid),
    axes=(1,),
    settings=RecurrentSettings,
    recipe={"optimizer": "adamw", "rate": 2e-3, "weight_decay": 0.1, "clip": 1.0},
)


@_recurrent(
    "rnn",
    paper="Elman 1990",
    idea="a state that each step mixes with what comes next, and that forgets soon",
    decoder=partial(RecurrentDecoder, "rnn"),
)
def rnn(shape: Tokens | Grid, settings: RecurrentSettings) -> Body:
    return Recurrent("rnn", shape, settings)


@_recurrent(
    "lstm",
    paper="Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000",
    idea="a state that gates write to, read and erase, so that it is kept over many steps",
    decoder=partial(RecurrentDecoder, "lstm"),
)
def lstm(shape: Tokens | Grid, settings: RecurrentSettings) -> Body:
    return Recurrent("lstm", shape, settings)


@_recurrent(
    "gru",
    paper="Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk & Bengio 2014",
    idea="an LSTM with fewer gates: what is written replaces what is forgotten",
    decoder=partial(RecurrentDecoder, "gru"),
)
def gru(shape: Tokens | Grid, settings: RecurrentSettings) -> Body:
    return Recurrent("gru", shape, settings)
