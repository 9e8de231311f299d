"""What a kind and a field are. A new kind is one new file beside this one, or in a plug-in.

The life of a column:

    sniff ── which kind is it? ──► survey ── what `read` must know (a picture's size), from headers
      read ── content to arrays, costly, once, no statistics fitted on rows ──► the store
      fit ── on training rows only ──► Field, frozen
      Field.prepare ── arrays to tensors, cheap, at every gather ──► network
      Field.decode ── a network's answer to values ; Field.show ── a value to a View
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from instar.errors import ColumnError
from instar.fields._ragged import gather, starts_of
from instar.registry import Registry
from instar.settings import Settings
from instar.shapes import Answer, Shape, View
from instar.sources import Column

if TYPE_CHECKING:
    import torch

State = tuple[dict[str, Any], dict[str, np.ndarray]]
Prepared = dict[str, "torch.Tensor"]


@dataclass(frozen=True)
class Frame:
    """Into what an answer with something for each cell is written: that of what it is made of, as it came.

    extent: how many cells that has along the axes of a Grid. Where its files say more, such as where in space their
    cells lie, a frame of its kind's own holds that.
    """

    extent: tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """A value that could not be read: its row within the chunk, and why, in a phrase that quotes the content."""

    row: int
    reason: str


@dataclass(frozen=True)
class Arrays:
    """What `read` makes of n values; every array has n rows, a fixed dtype and fixed further axes.

    values: (n, ...) the content; anything where absent. Where there are ``lengths``, (their sum, ...): the content of
        the rows one after another, nothing where absent.
    present: (n,) bool, False where the value is missing or could not be read.
    digests: (n,) uint64, a hash of the content as it came, the same for equal content whatever the kind, the
        settings, the machine and the version; `instar.fields.digest` makes it.
    texts: for kinds whose values stand for words: what each new number in ``values`` stands for.
    problems: what could not be read.
    lengths: None, or (n,) int64, how long each row is, where they differ (`instar.fields._ragged`).
    """

    values: np.ndarray
    present: np.ndarray
    digests: np.ndarray
    texts: Mapping[int, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.present)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each row starts in ``values``, and where the last ends: (n + 1,) int64. Only of rows with lengths."""
        assert self.lengths is not None
        return starts_of(self.lengths)

    def rows(self, rows: slice | np.ndarray) -> Arrays:
        """Some of the rows, without their problems."""
        if self.lengths is None:
            return Arrays(self.values[rows], self.present[rows], self.digests[rows], self.texts)
        values, lengths = gather(self.values, self.starts, rows)
        return Arrays(values, self.present[rows], self.digests[rows], self.texts, lengths=lengths)

    def without(self, problems: Sequence[Problem]) -> Arrays:
        """The same, but for the rows that have these problems, which are absent."""
        known = {each.row for each in self.problems}
        new = [each for each in problems if each.row not in known]
        present = self.present.copy()
        present[[each.row for each in new]] = False
        return replace(self, present=present, problems=[*self.problems, *new])

    def of_row(self, row: int) -> np.ndarray:
        """The content of one row, (length, ...) where rows have lengths."""
        return self.values[row] if self.lengths is None else self.values[self.starts[row] : self.starts[row + 1]]


class Field(ABC):
    """One fitted field of the record, frozen. It is an input, a target, or (in a correction) both.

    ``name`` is the column's; ``shape`` says what `prepare` gives a network, ``answer`` what a head must answer; one
    of the two is None. ``classes`` are the labels of a Choice, in the order of its codes, or those of Several.
    """

    kind: ClassVar[str]
    name: str
    shape: Shape | None
    answer: Answer | None
    classes: Sequence[Any] | None = None
    advice: str = ""

    @abstractmethod
    def prepare(self, arrays: Arrays) -> Prepared:
        """Apply what was fitted. Cheap: it runs at every gather.

        An input of shape Vector gives ``numbers`` (n, width) float32 and/or ``codes`` (n, codes) int64; of shape Grid
        ``grid`` (n, channels, *extent) float32 and ``present`` (n,) bool; of shape Tokens ``tokens`` (n, length) int32,
        ``present`` and, if it has them, ``subwords`` (n, subwords) int32; a target gives ``target`` as `instar.shapes`
        says.
        """

    def augment(self, prepared: Prepared, generator: torch.Generator) -> Prepared:
        """A varied copy of a training batch, every draw from ``generator``; nothing is varied by default."""
        return prepared

    def motion(self, rows: int, generator: torch.Generator) -> Any | None:
        """How `augment` moves the cells of so many rows with such a generator, for what is moved alike; or None.

        Maps (rows, 2, 3) as `instar.fields._augmentation` has them, or of each axis which cells are seen, a list of
        (rows, size) int64.
        """
        return None

    def moved(self, prepared: Prepared, motion: Any) -> Prepared:
        """What is prepared moved as the input to which it belongs, cell by cell. Only of pictures and masks."""
        return prepared

    def leading(self) -> Field:
        """The same input where something is to be said of each of its cells."""
        return self

    def decode(self, answers: np.ndarray) -> Sequence[Any] | np.ndarray:
        """Values, in the column's own terms, of a head's answers. Only of a target.

        Probabilities (n, classes) give n labels, and those of several labels n cells as the column writes them; amounts
        (n, width) give amounts (n, width) in the column's units; pictures and masks stay arrays of their shape.
        """
        raise TypeError(f"a field of kind {self.kind} is no target")

    def encode(self, text: str) -> np.ndarray:
        """Codes, int32 (symbols,), of a text to continue. Only of a target that is continued."""
        raise TypeError(f"a field of kind {self.kind} continues no text")

    def draw(self, answer: np.ndarray) -> View:
        """One picture or mask, of those that `decode` and `truth` give. Only of such targets."""
        raise TypeError(f"a field of kind {self.kind} answers no pictures")

    def written(self, answer: np.ndarray, frame: Frame | None) -> tuple[str, bytes]:
        """The suffix and the content of a file with such an answer, in the frame of what it is made of, if it is known.

        Else it is written as large as the network gives it.
        """
        raise TypeError(f"a field of kind {self.kind} answers no pictures")

    def truth(self, arrays: Arrays) -> np.ndarray:
        """The right answers as they were read, by which a head's are examined. Only of a target.

        Codes (n,) int64, `instar.shapes.NO_ANSWER` where missing and `UNKNOWN_CLASS` where the class is none of
        ``classes``; 0 or 1 for each of several labels and how many others there are, (n, labels + 1) float64; amounts
        (n, width) float64 in the column's units; NaN where missing; texts, pictures and masks as `instar.shapes` says.
        """
        raise TypeError(f"a field of kind {self.kind} is no target")

    def recounted(self, chunks: Iterable[Arrays]) -> Field:
        """The same classes with the counts of these rows, 0 where none has a class. Only of a target with classes."""
        raise TypeError(f"a field of kind {self.kind} has no classes")

    def asked_of(self, inputs: Sequence[Field]) -> Field:
        """The same target where these are the inputs, for one that asks something of them. Only of a target."""
        return self

    @abstractmethod
    def show(self, arrays: Arrays, row: int) -> View:
        """One read value as a View, so that no page or report needs code per kind."""

    @abstractmethod
    def state(self) -> State:
        """Everything fitted, as JSON and arrays."""

    @classmethod
    @abstractmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        """The field whose `state` this is. Raises ValueError or KeyError where it is none: the folder is hostile."""

    def describe(self) -> str:
        """What the field found, in a phrase for the report: ``12 classes, the largest 'red'``."""
        return ""


class Kind(ABC):
    """One kind of content. Kinds have no state; the registry holds one instance of each.

    ``reads_files``: whether its content always lies in files, so that cells of such a column name them.
    ``extent_setting``: the setting of its longest extent, for a kind of grids that are read at any size;
    ``patch_setting``: that of the longest extent of a patch, where they are seen in patches.
    ``modality``: Hugging Face's word for its content, as in ``image-classification``, if there is one.
    ``unanswered``: whether it is the kind of a target whose right answers nobody knows or learns from; its column only
        says what a person knows for the exam, and is never an input.
    ``answers_itself``: whether a target of this kind is answered from itself alone, and is the only input too.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    settings: ClassVar[type[Settings]] = Settings
    can_be_target: ClassVar[bool] = False
    unanswered: ClassVar[bool] = False
    reads_files: ClassVar[bool] = False
    modality: ClassVar[str | None] = None
    extent_setting: ClassVar[str | None] = None
    patch_setting: ClassVar[str | None] = None
    answers_itself: ClassVar[bool] = False

    @abstractmethod
    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """How sure it is, from 0 to 1, that a column of which ``sample`` is spread over the whole is of this kind."""

    @abstractmethod
    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        """A tiny honest column of this kind, for contract tests and examples, some values missing."""

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        """What `read` has to know, as JSON, from headers alone (a picture's size, a recording's rate)."""
        return {}

    @abstractmethod
    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """Content to arrays. ``plan`` is what `survey` gave. Reads each row alone, with nothing fitted on others."""

    def glance(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """What `read` gives of content that is used at once and kept nowhere; its digests may be left at 0.

        For a kind whose digests cost more than the rest: something that is played asks at every step.
        """
        return self.read(column, plan)

    def names_files(self, plan: Mapping[str, Any]) -> bool:
        """Whether the cells of a column for which `survey` gave this plan name files."""
        return self.reads_files

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        """How many bytes `read` makes of a row where that is much; so many rows are read together as fit in memory."""
        return 0

    def frames(self, column: Column) -> Sequence[Frame | None]:
        """Into what answers are written that are made of each row's content, cell by cell, where that is known."""
        return [None] * len(column)

    def within(self, plan: Mapping[str, Any], inputs: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
        """The plan of a target, once those of the ``inputs`` are known, each with its kind.

        For content that belongs to that of an input, cell by cell, and must be read as that is.
        """
        return dict(plan)

    def misplaced(self, column: Column, plan: Mapping[str, Any], beside: Mapping[str, Column]) -> list[Problem]:
        """The rows whose content does not lie where that of the columns ``beside`` lies, to which it belongs."""
        return []

    @abstractmethod
    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        """Learn from training rows, in bounded memory. ``texts`` of every chunk hold all words of the column."""

    @abstractmethod
    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        """The fitted field whose `state` this is."""

    def check(self, plan: Mapping[str, Any], field: Field) -> None:  # noqa: B027
        """Raises ValueError or KeyError where `survey` cannot have given this plan, or `fit` this field for it.

        Both may come from a hostile folder, and a plan decides how much memory `read` takes.
        """


def no_values(name: str) -> ColumnError:
    """What to raise where not one training row has a value."""
    return ColumnError(
        f"Column {name!r} has no values that can be read in the rows to learn from",
        remedy="Leave the column out with --exclude, or fill it",
    )


def quote(content: object) -> str:
    """A cell's content for a message, cut where it is long."""
    text = str(content)
    return repr(text if len(text) <= 40 else text[:39] + "…")


kinds: Registry[Kind] = Registry("kind", "instar.fields")
