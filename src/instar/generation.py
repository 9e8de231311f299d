"""Texts from nothing: a network that has learned how texts go on writes one, symbol by symbol."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from instar.errors import UsageError
from instar.fields import Field
from instar.seeds import seed_for
from instar.shapes import Continuation

if TYPE_CHECKING:
    from instar.networks.assemble import Network

logger = logging.getLogger("instar")

# Characters that are written where nobody says how many.
LENGTH = 500
# Codes of no symbol, which also stands before the first, and of every unknown one.
_NONE, _UNKNOWN = 0, 1


def writes(targets: Sequence[Field]) -> bool:
    """Whether a model of these targets can write."""
    return any(isinstance(each.answer, Continuation) for each in targets)


def writer(targets: Sequence[Field]) -> Field:
    """The target that can be written on. Raises UsageError where there is none."""
    for each in targets:
        if isinstance(each.answer, Continuation):
            return each
    raise UsageError(
        "The model has not learned how texts go on, and writes none",
        remedy="Learn it from texts: instar train corpus:FILE_OR_FOLDER",
    )


def stream(
    network: Network,
    targets: Sequence[Field],
    *,
    prompt: str = "",
    length: int = LENGTH,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[str]:
    """What the network writes after ``prompt``, piece by piece, as `instar.Model.stream` says. Raises UsageError."""
    target = writer(targets)
    for holds, what, remedy in (
        (length >= 0, f"The length is {length}, and no text is shorter than nothing", "Give the number of characters"),
        (
            0 <= temperature < math.inf,
            f"The temperature is {temperature:g}",
            "Give 0 for the likeliest symbols, or 0.8",
        ),
        (0 < top_p <= 1, f"The probability top_p is {top_p:g}", "Give a number above 0 and at most 1"),
        (seed >= 0, f"The seed is {seed}", "Give a whole number from 0 on"),
    ):
        if not holds:
            raise UsageError(what, remedy=remedy)
    codes = target.encode(prompt)
    strange = sorted({each for each in prompt if _UNKNOWN in target.encode(each)})
    if strange:
        logger.warning("The prompt has what is not known from training, and reads as unknown: %s", " ".join(strange))
    return _drawn(network, target, codes, length, temperature, top_p, seed)


def _drawn(
    network: Network, target: Field, codes: np.ndarray, length: int, temperature: float, top_p: float, seed: int
) -> Iterator[str]:
    generator = np.random.default_rng(seed_for(seed, "generate"))
    known = [_NONE, *codes.tolist()]
    state: Any = None
    asked, count = known, 0
    while count < length:
        logits, state = network.next_symbol(asked, state)
        logits[[_NONE, _UNKNOWN]] = -np.inf
        code = draw(logits, temperature, top_p, generator)
        asked = [code]
        piece: str = target.decode(np.array([[code]]))[0]
        count += len(piece)
        yield piece


def draw(logits: np.ndarray, temperature: float, top_p: float, generator: np.random.Generator) -> int:
    """A symbol's code, of logits (vocabulary,); one of them is finite."""
    if temperature == 0:
        return int(np.argmax(logits))
    shares = nucleus(softmax(logits.astype(np.float64) / temperature), top_p)
    # The first whose sum goes beyond a number below 1; the last sum may be a little less than 1.
    return int(min(np.searchsorted(np.cumsum(shares), generator.random(), side="right"), np.flatnonzero(shares)[-1]))


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max())
    return raised / raised.sum()


def nucleus(probabilities: np.ndarray, share: float) -> np.ndarray:
    """(n,) of the fewest that have ``share`` together, the likeliest and then the earliest first, made to sum to 1."""
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    kept = np.zeros_like(probabilities)
    chosen = order[(before < share) & (probabilities[order] > 0)]
    kept[chosen] = probabilities[chosen]
    return kept / kept.sum()
