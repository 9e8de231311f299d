"""The small frozen types that everything else speaks in: three shapes in, a closed set of answers out.

Networks know these and never kinds. A shape says what a prepared input looks like as tensors (B is the batch):

======== ================================================================================
shape     tensors
======== ================================================================================
Vector    ``numbers`` (B, width) float32 and ``codes`` (B, len(cardinalities)) int64
Grid      (B, channels, *extent) float32, and ``present`` (B,) bool; where steps are
          ahead also ``scale`` (B, channels, 3) float32: level, spread and seasonal
          error of each channel's own history, in its own unit
Tokens    (B, length) int32, 0 after a row's end, ``present`` (B,) bool, and where there
          are subwords (B, subwords) int32, 0 after the last one
======== ================================================================================

and an answer what a target looks like, and what a head gives back:

======== ========================================== =========================================
answer    target                                     head's answer
======== ========================================== =========================================
Choice    (B,) int64, -1 where missing                (B, classes) float32 probabilities
Several   (B, labels) float32 of 0 and 1, NaN in the  (B, labels) float32 probabilities
          whole row where missing
Amounts   (B, width) float32, NaN where missing       (B, width) float32, in the field's scale
Symbols   (B, length) int32 codes, 0 after a row's     (B, length) int32 codes, 0 after a row's end
          end, -1 in the whole row where missing
Picture   (B, channels, *extent) float32, NaN in the  (B, channels, *extent) float32, in the
          whole row where missing                     field's scale
Mask      (B, *extent) uint8 codes, `NO_CLASS` where  (B, *extent) uint8 codes
          missing or of no class that is known
Anomaly   (B, 0) float32: there is nothing to know    (B, parts) float32, how odd each input is, NaN
                                                      where it is missing
Continuation  as of Symbols                           (B, 3) float32: by how many nats each
                                                      symbol was a surprise, in all; how many
                                                      symbols, and characters, there were
Forecast  (B, steps) float32, less the level of the   (B, steps + 3) float32: the steps
          row's own history and by its spread, NaN    in their own unit, then the `scale`
          where missing                               of the row
======== ========================================== =========================================

The truth by which answers are examined is a target in the column's own terms: codes (n,), of which `UNKNOWN_CLASS` is
a class that nobody could have answered; (n, labels + 1) float64 of 0 and 1 for each label, the last column how many
labels the row has beside these, which nobody could have answered either; amounts (n, width) float64 as they were read;
texts (n,) in numpy's type of fixed width, `NO_TEXT` where missing; pictures (n, channels, *extent) float32 in their own
unit, NaN where missing; masks (n, *extent) uint8, of whose codes `NO_CLASS` says nothing and `STRANGE_CLASS` is a
class that nobody could have answered; forecasts (n, steps + 3) float64, laid out as a head's answer; and of a
continuation, which is told from the input that it continues, only
whether there is one, (n, 1) float64, 1 or NaN.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

# Codes of a truth that are no class's: there is no answer, and there is one of a class that was never learned.
NO_ANSWER, UNKNOWN_CLASS = -1, -2
# A label is answered where its probability is at least this.
ANSWERED_FROM = 0.5
# What stands for no text at all where texts are answers; Unicode keeps it free of any meaning.
NO_TEXT = "\ufdd0"
# Codes of a cell of a mask that are no class's, as those of a Choice; and how many classes leave room for them.
NO_CLASS, STRANGE_CLASS = 255, 254
MOST_MASK_CLASSES = 254
# What stands after the steps of a forecast: level, spread and seasonal error of the row's own history.
SCALES = 3


@dataclass(frozen=True)
class Vector:
    """A flat row: ``width`` numbers, and one code per entry of ``cardinalities``.

    A code lies in ``range(cardinality)``; 0 is the place of missing values and 1 that of unseen ones. ``whole``:
    whether all of it says one thing, so that a part gives the rest away, as the sine of a date's month does the cosine.
    """

    width: int = 0
    cardinalities: tuple[int, ...] = ()
    whole: bool = False

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.width + other.width, self.cardinalities + other.cardinalities)


@dataclass(frozen=True)
class Grid:
    """Numbers with neighbors along 1, 2 or 3 axes: ``channels`` numbers at each cell of ``extent``.

    ``timed``: whether the last of several axes is a course, such as time; a single axis always is one. ``ahead``: how
    many of the last steps of a single axis lie in the future, of which only what is known in advance is there.
    ``patch``: where a network sees no more than a part at a time, the extent of that.
    """

    channels: int
    extent: tuple[int, ...]
    timed: bool = False
    ahead: int = 0
    patch: tuple[int, ...] = ()

    @property
    def seen(self) -> Grid:
        """What a network sees of it at a time."""
        return replace(self, extent=self.patch, patch=()) if self.patch else self

    @property
    def is_course(self) -> bool:
        """Whether it tells how ``size // extent[-1]`` numbers go on along the last axis."""
        return self.timed or len(self.extent) == 1

    @property
    def size(self) -> int:
        """How many numbers one example holds."""
        return self.channels * math.prod(self.extent)


@dataclass(frozen=True)
class Encoder:
    """A transformer that was trained elsewhere: how large it is, and ``source``, where its weights come from.

    ``depth`` blocks with ``heads`` each, ``width`` numbers for a step, ``inner`` in a block's hidden layer, and learned
    vectors for the first ``positions`` steps.
    """

    source: str
    depth: int
    width: int
    heads: int
    inner: int
    positions: int


@dataclass(frozen=True)
class Tokens:
    """A sequence of symbols: codes in ``range(vocabulary)``, at most ``length`` of them in a row.

    Code 0 is no symbol and fills what is left of a shorter row, 1 stands for every symbol that was never learned.
    ``subwords``: how many hashes from 1 to 2**31 - 1 of what its symbols are made of come with a row at most.
    ``encoder``: whose vocabulary it is, if it is that of a pretrained network.
    """

    vocabulary: int
    length: int
    subwords: int = 0
    encoder: Encoder | None = None


Shape = Vector | Grid | Tokens


@dataclass(frozen=True)
class Choice:
    """One class out of ``classes``; ``counts`` are their numbers of training rows, for priors and class weights.

    A count is 0 where a class is known of other rows than those that are learned from.
    """

    counts: tuple[int, ...]

    @property
    def classes(self) -> int:
        return len(self.counts)


@dataclass(frozen=True)
class Several:
    """Any number of ``labels`` at once; ``counts`` are the training rows with each of them, out of ``rows``.

    A count is 0 where a label is known of other rows than those that are learned from.
    """

    counts: tuple[int, ...]
    rows: int

    @property
    def labels(self) -> int:
        return len(self.counts)


@dataclass(frozen=True)
class Amounts:
    """``width`` numbers, scaled by their field to mean 0 and variance 1 on training rows."""

    width: int = 1


@dataclass(frozen=True)
class Symbols:
    """A sequence of at most ``length`` symbols, codes in ``range(vocabulary)``; 0 is its end, 1 an unknown symbol.

    ``entropy`` is that of the symbols of training rows and their ends, in nats: the loss of whoever knows nothing else.
    """

    vocabulary: int
    length: int
    entropy: float


@dataclass(frozen=True)
class Picture:
    """``channels`` numbers at each cell of ``extent``, scaled by their field to mean 0 and variance 1 on training rows.

    low, high: between which values they lie in their own unit.
    """

    channels: int
    extent: tuple[int, ...]
    low: float
    high: float

    @property
    def size(self) -> int:
        """How many numbers one answer holds."""
        return self.channels * math.prod(self.extent)


@dataclass(frozen=True)
class Mask:
    """One class out of ``classes`` at each cell of ``extent``; ``counts`` are the classes' cells in training rows."""

    counts: tuple[int, ...]
    extent: tuple[int, ...]

    @property
    def classes(self) -> int:
        return len(self.counts)

    @property
    def size(self) -> int:
        """How many codes one answer holds."""
        return math.prod(self.extent)


@dataclass(frozen=True)
class Anomaly:
    """How unlike the rows that were learned from a row is, which no row says: of each of ``parts``, the inputs, how
    badly a network rebuilds it from ``width`` numbers, 1 being as badly as who always answers the same.

    false_alarms: the share of rows like those learned from that are called odd.
    """

    parts: tuple[str, ...]
    width: int
    false_alarms: float


@dataclass(frozen=True)
class Continuation:
    """Each symbol of the input of the same name, from those before it; codes as of `Tokens`.

    ``entropy`` is that of the symbols of training rows, in nats: the loss of whoever knows nothing else.
    ``characters``: of how many each symbol consists, by its code; empty where each is one.
    """

    vocabulary: int
    length: int
    entropy: float
    characters: tuple[int, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """The next ``steps`` of one channel of the course that is an input.

    channel: which of its channels that is. season: after how many steps things come again, 1 if they do not.
    naive: the mean absolute error, by the rows' own spread, of repeating the last season, on training rows: the loss of
        whoever knows nothing else.
    """

    steps: int
    channel: int
    season: int
    naive: float

    @property
    def width(self) -> int:
        """How many numbers one answer holds."""
        return self.steps + SCALES

    def last_season(self, history: int) -> list[int]:
        """Which steps of a ``history`` of so many are repeated as the answer."""
        season = min(self.season, history)
        return [history - season + step % season for step in range(self.steps)]


Answer = Choice | Several | Amounts | Symbols | Picture | Mask | Anomaly | Continuation | Forecast
# Answers with something for each cell of a grid.
Mapped = Picture | Mask

_ANSWERS: dict[str, Any] = {each.__name__.lower(): each for each in typing.get_args(Answer)}


def mapped_from(inputs: Mapping[str, Shape], answer: Mapped) -> str | None:
    """The input of which such an answer is made, cell by cell: the largest grid of as many axes, if there is one.

    The largest by its cells; of equal ones the first that is seen in patches, or else the first.
    """
    cells = {
        name: (math.prod(shape.extent), bool(shape.patch))
        for name, shape in inputs.items()
        if isinstance(shape, Grid) and len(shape.extent) == len(answer.extent)
    }
    return max(cells, key=lambda name: cells[name], default=None)


def continued_from(inputs: Mapping[str, Shape]) -> str | None:
    """The input whose course a forecast continues, if there is one."""
    return next((name for name, shape in inputs.items() if isinstance(shape, Grid) and shape.ahead), None)


def aligned(inputs: Mapping[str, Shape], leader: str) -> dict[str, Grid]:
    """The grids whose cells are those of the ``leader``, which is the first: others of the same extent follow it."""
    grids = {name: shape for name, shape in inputs.items() if isinstance(shape, Grid)}
    first = grids.pop(leader)
    return {leader: first, **{name: shape for name, shape in grids.items() if shape.extent == first.extent}}


def answer_as_json(answer: Answer) -> dict[str, Any]:
    """What `answer_from_json` takes."""
    return {"type": type(answer).__name__.lower(), **asdict(answer)}


def answer_from_json(content: Mapping[str, Any]) -> Answer:
    """The answer that `answer_as_json` gave. Raises KeyError, TypeError."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    answer: Answer = _ANSWERS[content["type"]](**{name: value for name, value in values.items() if name != "type"})
    return answer


@dataclass(frozen=True)
class Text:
    """A value that is shown as words."""

    text: str


@dataclass(frozen=True)
class Image:
    """A value that is shown as a picture: ``png`` is the encoded file."""

    png: bytes
    text: str = ""


@dataclass(frozen=True)
class Curves:
    """A value that is shown as curves over one axis: the numbers of each at even distances, NaN where one has a gap."""

    curves: tuple[tuple[float, ...], ...]
    text: str = ""


View = Text | Image | Curves
