"""Heads that write: from the steps that an encoder read to a sequence of symbols, one after another.

Code 0, the end of a sequence, also stands for its beginning. While learning, each symbol is predicted from the true
ones before it (teacher forcing: Williams & Zipser 1989); an answer is written from the symbols that were written.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from instar.networks.base import Head, Memory
from instar.settings import Settings, setting
from instar.shapes import Symbols

_LEAST = 1e-12
_MISSING, _UNKNOWN = -1, 1
# How much a longer sequence is favored, since each further symbol makes it less likely (Wu et al. 2016).
_LENGTH_POWER = 0.6


@dataclass(frozen=True)
class WritingSettings(Settings):
    beams: int = setting(
        1,
        "sequences that are followed at once while an answer is written, of which the likeliest is given; 1 takes the "
        "likeliest symbol each time",
        minimum=1,
        maximum=64,
        source="Graves 2012; Sutskever, Vinyals & Le 2014",
    )
    symbol_smoothing: float = setting(
        0.0,
        "share of a written symbol's target that is spread over all symbols",
        minimum=0,
        maximum=0.9,
        source="Vaswani et al. 2017",
    )


class Decoder(Head):
    """What all decoders share: the loss of true sequences, and writing new ones.

    A target is (B, length) int32, 0 after a row's end and -1 in the whole row where it is missing. The end itself is
    learned where a row has room for it.
    """

    needs: ClassVar[str] = "steps"

    def __init__(self, answer: Symbols, settings: WritingSettings) -> None:
        super().__init__()
        self.vocabulary, self.length = answer.vocabulary, answer.length
        self.constant_loss = answer.entropy or 1.0
        self.beams, self.smoothing = settings.beams, settings.symbol_smoothing

    @abstractmethod
    def logits(self, memory: Memory, before: Tensor) -> Tensor:
        """(B, length, vocabulary) of the symbol after each of ``before`` (B, length)."""

    @abstractmethod
    def begin(self, memory: Memory) -> Any:
        """The state before the first symbol."""

    @abstractmethod
    def step(self, memory: Memory, state: Any, symbol: Tensor) -> tuple[Tensor, Any]:
        """Logits (B, vocabulary) of what follows ``symbol`` (B,), and the state after it."""

    @abstractmethod
    def pick(self, state: Any, rows: Tensor) -> Any:
        """The state of some rows (int64)."""

    def forward(self, features: Memory) -> Memory:
        return features

    def loss(self, outputs: Memory, target: Tensor, weight: Tensor | None = None) -> Tensor:  # type: ignore[override]
        symbols, counted = target.clamp(min=0).long(), (target[:, 0] != _MISSING).to(outputs.steps.dtype)
        counted = counted if weight is None else counted * weight
        ends = (symbols != 0).sum(1)
        used = self.length if ends.is_meta else min(int(ends.max()) + 1, self.length)
        symbols = symbols[:, :used]
        learned = (torch.arange(used, device=ends.device) <= ends[:, None]) * counted[:, None]
        logits = self.logits(outputs, F.pad(symbols[:, :-1], (1, 0)))
        smoothing = self.smoothing if self.training else 0.0
        losses = F.cross_entropy(logits.flatten(0, 1), symbols.flatten(), reduction="none", label_smoothing=smoothing)
        return (losses * learned.flatten()).sum() / learned.sum().clamp(min=_LEAST).mul(self.constant_loss)

    def answer(self, outputs: Memory) -> Tensor:  # type: ignore[override]
        return self._greedy(outputs) if self.beams == 1 else self._search(outputs)

    def soften(self, target: Tensor) -> Tensor:
        return target

    def _greedy(self, memory: Memory) -> Tensor:
        rows = len(memory.steps)
        written = memory.steps.new_zeros((rows, self.length), dtype=torch.int32)
        symbol, state = written.new_zeros(rows, dtype=torch.int64), self.begin(memory)
        going = torch.ones_like(symbol, dtype=torch.bool)
        for place in range(self.length):
            logits, state = self.step(memory, state, symbol)
            logits[:, _UNKNOWN] = -torch.inf
            symbol = logits.argmax(1) * going
            written[:, place] = symbol
            going = symbol != 0
            if not going.any():
                break
        return written

    def _search(self, memory: Memory) -> Tensor:
        """Beam search: of all continuations of ``beams`` sequences a row, as many are followed further."""
        rows, beams = len(memory.steps), self.beams
        each = torch.arange(rows, device=memory.steps.device).repeat_interleave(beams)
        memory, first = memory[each], torch.arange(0, rows * beams, beams, device=each.device)[:, None]
        state, symbol = self.begin(memory), torch.zeros_like(each)
        written = symbol.new_zeros((rows * beams, self.length))
        # At first all are the same, and only one is followed.
        scores = memory.steps.new_full((rows, beams), -torch.inf)
        scores[:, 0] = 0.0
        lengths, going = torch.zeros_like(each), torch.ones_like(each, dtype=torch.bool)
        for place in range(self.length):
            logits, state = self.step(memory, state, symbol)
            logits[:, _UNKNOWN] = -torch.inf
            likely = logits.log_softmax(1)
            # A sequence that has ended goes on with its end, at no cost.
            likely = torch.where(
                going[:, None],
                likely,
                torch.where(torch.arange(self.vocabulary, device=likely.device) == 0, 0.0, -torch.inf),
            )
            grown = (lengths + going).view(rows, beams, 1).clamp(min=1) ** _LENGTH_POWER
            total = scores[:, :, None] + likely.view(rows, beams, -1)
            chosen = (total / grown).flatten(1).topk(beams, 1).indices
            scores = total.flatten(1).gather(1, chosen)
            source = (first + chosen // self.vocabulary).flatten()
            symbol = (chosen % self.vocabulary).flatten()
            written, state = written[source], self.pick(state, source)
            lengths, going = lengths[source] + going[source], going[source] & (symbol != 0)
            written[:, place] = symbol
            if not going.any():
                break
        best = (scores / lengths.view(rows, beams).clamp(min=1) ** _LENGTH_POWER).argmax(1)
        return written[first[:, 0] + best].int()
