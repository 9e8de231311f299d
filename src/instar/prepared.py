"""Fitted fields over a store: rows are gathered, prepared, cut to patches and augmented as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from instar.fields import Arrays, Field, Prepared
from instar.patches import Patches
from instar.seeds import seed_for
from instar.shapes import Grid, Mapped, Mask, Vector, aligned, mapped_from

# A block that is gathered at once: large enough that the cost of calls vanishes, small beside everything else.
BLOCK_BYTES = 32 * 2**20
# Patches of each row that is looked at again and again: more, and the loss would be less a matter of chance; but
# looking at all that a row has would take longer than learning from a patch of each.
WATCHED_PATCHES = 8
# What a field of another shape than Vector prepares, each under a name of its own.
PARTS = ("grid", "scale", "tokens", "subwords", "present")


class ReadColumn(Protocol):
    """One column of read content."""

    def arrays(self, rows: np.ndarray | slice) -> Arrays:
        """The rows (int64, or a slice) in their order."""
        ...


class Contents(Protocol):
    """Columns of read content: a `Store`, or what is kept in memory alone."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> ReadColumn: ...


@dataclass(frozen=True)
class Batch:
    """B examples: ``inputs`` as `prepare_inputs` gives them, ``targets`` by name, ``weight`` (B,) or None.

    ``rows`` (B,) int64 are their numbers in the store. The tensors may be views of a larger block: nobody changes
    them in place.
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    weight: Tensor | None
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def joined(cls, rows: int, parts: Iterable[Batch]) -> Batch:
        """The examples of several batches without weights, one after another: so many rows, of which none are twice
        in memory where the parts are made one at a time."""
        whole: Batch | None = None
        first = 0
        for part in parts:
            if whole is None:
                whole = part._each(lambda tensor: tensor.new_empty((rows, *tensor.shape[1:])))
            stop = first + len(part)
            for mine, theirs in ((whole.inputs, part.inputs), (whole.targets, part.targets)):
                for name, tensor in theirs.items():
                    mine[name][first:stop] = tensor
            whole.rows[first:stop] = part.rows
            first = stop
        assert whole is not None and first == rows
        return whole

    def __getitem__(self, part: slice | Tensor) -> Batch:
        """Some of the examples: views for a slice, copies for int64 positions."""
        return self._each(lambda tensor: tensor[part] if isinstance(part, slice) else tensor.index_select(0, part))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            {name: change(tensor) for name, tensor in self.inputs.items()},
            {name: change(tensor) for name, tensor in self.targets.items()},
            None if self.weight is None else change(self.weight),
            change(self.rows),
        )

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    @property
    def bytes(self) -> int:
        tensors = [*self.inputs.values(), *self.targets.values(), self.rows]
        return sum(tensor.element_size() * tensor.numel() for tensor in tensors)


def prepare_inputs(fields: Sequence[Field], arrays: Mapping[str, Arrays]) -> dict[str, Tensor]:
    """A network's inputs for B rows.

    Where any field is of shape Vector: ``numbers`` (B, W) float32 and ``codes`` (B, C) int64, all of them joined in
    the order of the fields (W or C may be 0). For each field of shape Grid: ``grid/NAME`` (B, channels, *extent)
    float32 and ``present/NAME`` (B,) bool; of shape Tokens ``tokens/NAME`` (B, length) int32,
    ``present/NAME``, and where there are subwords ``subwords/NAME`` (B, subwords) int32.
    """
    numbers, codes = [], []
    others: Prepared = {}
    vectors = False
    rows = 0
    for field in fields:
        read = arrays[field.name]
        rows = len(read)
        prepared = field.prepare(read)
        if isinstance(field.shape, Vector):
            vectors = True
            numbers += [prepared["numbers"]] if field.shape.width else []
            codes += [prepared["codes"]] if field.shape.cardinalities else []
        else:
            others |= {f"{part}/{field.name}": tensor for part, tensor in prepared.items()}
    if not vectors:
        return others
    return {
        "numbers": torch.cat(numbers, 1) if numbers else torch.zeros(rows, 0),
        "codes": torch.cat(codes, 1) if codes else torch.zeros(rows, 0, dtype=torch.int64),
        **others,
    }


class Examples:
    """The examples of a store as fitted fields see them.

    ``fix`` adds to prepared inputs what a network makes of them once and for all (`Network.fixed`).
    """

    def __init__(
        self,
        store: Contents,
        inputs: Sequence[Field],
        targets: Sequence[Field],
        fix: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ) -> None:
        self.store, self.inputs, self.targets, self.fix = store, tuple(inputs), tuple(targets), fix
        self.places = _places(self.inputs)

    def __len__(self) -> int:
        return len(self.store)

    def take(self, rows: np.ndarray) -> Batch:
        """The prepared rows (int64), in the order asked for; nothing is augmented."""
        rows = np.asarray(rows, np.int64)
        names = dict.fromkeys(field.name for field in (*self.inputs, *self.targets))
        if (rows[1:] > rows[:-1]).all():
            arrays = {name: self.store.column(name).arrays(rows) for name in names}
        else:
            # In the order of the rows neighbors share pages of the mapped files, which are then read once; and what
            # was read is put back in its place before it is prepared, since it is smaller then.
            order = np.argsort(rows, kind="stable")
            back = np.empty_like(order)
            back[order] = np.arange(len(order))
            arrays = {name: self.store.column(name).arrays(rows[order]).rows(back) for name in names}
        inputs = prepare_inputs(self.inputs, arrays)
        return Batch(
            inputs if self.fix is None else self.fix(inputs),
            {field.name: field.prepare(arrays[field.name])["target"] for field in self.targets},
            None,
            torch.from_numpy(rows),
        )

    def in_order(self, rows: np.ndarray, size: int) -> Iterator[Batch]:
        """Batches of ``size`` rows in the order given, the last one smaller: for evaluation."""
        block = size * max(1, self.block_rows // size)
        for start in range(0, len(rows), block):
            batch = self.take(rows[start : start + block])
            for first in range(0, len(batch), size):
                yield batch[first : first + size]

    def flat(self, rows: np.ndarray, grids: Sequence[Grid]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """As rivals take the rows, a block after the other: ``numbers`` (n, W) float32, flattened grids included,
        ``codes`` (n, C) int64 and ``tokens`` (n, sum of lengths) int32; grids and tokens in the order of the fields.

        ``grids``: what the inputs' grids are averaged to, neighboring cells together.
        """
        for batch in self.in_order(np.asarray(rows, np.int64), self.block_rows):
            inputs, none = batch.inputs, torch.zeros(len(batch), 0)
            whole = [tensor for name, tensor in inputs.items() if name.startswith("grid/")]
            cells = [_averaged(tensor, grid).flatten(1) for tensor, grid in zip(whole, grids, strict=True)]
            tokens = [tensor for name, tensor in inputs.items() if name.startswith("tokens/")]
            yield (
                torch.cat([inputs.get("numbers", none), *cells], 1).numpy(),
                inputs.get("codes", none.long()).numpy(),
                torch.cat([none.int(), *tokens], 1).numpy(),
            )

    def vectors(self, targets: Sequence[Field]) -> Examples:
        """The same examples with inputs of shape Vector only, and some of the targets."""
        return Examples(self.store, [field for field in self.inputs if field.name in self.places], targets)

    @cached_property
    def patches(self) -> Patches | None:
        """What a network sees a patch at a time."""
        shapes = {field.name: field.shape for field in self.inputs if field.shape is not None}
        return Patches.among(shapes, {each.name: each.answer for each in self.targets if each.answer is not None})

    def cut(
        self, rows: np.ndarray, seeds: Sequence[Sequence[int]], take: Callable[[np.ndarray], Batch] | None = None
    ) -> Batch:
        """Patches of the rows (int64), of each row one for each of its ``seeds``, with which its place is drawn.

        ``take`` gives rows whole, of which no more are held at a time than a block has.
        """
        few, whole = self.block_rows, take or self.take
        stretches = (slice(start, start + few) for start in range(0, len(rows), few))
        parts = (self._cut(whole(rows[stretch]), seeds[stretch]) for stretch in stretches)
        return Batch.joined(sum(map(len, seeds)), parts)

    def _cut(self, batch: Batch, seeds: Sequence[Sequence[int]]) -> Batch:
        patches = self.patches
        assert patches is not None
        masks = (each for each in self.targets if each.name in patches.answers and isinstance(each.answer, Mask))
        target = next(masks, None)
        drawn = [(row, np.random.default_rng(seed)) for row, its in enumerate(seeds) for seed in its]
        if target is None:
            places = [patches.anywhere(generator) for _, generator in drawn]
        else:
            codes, classes = batch.targets[target.name].numpy(), len(target.classes or ())
            places = [patches.anywhere(generator, codes[row], classes) for row, generator in drawn]
        numbers = [row for row, _ in drawn]

        def cut(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
            return {
                name: torch.stack([tensor[row][place] for row, place in zip(numbers, places, strict=True)])
                if name in names
                else tensor[numbers]
                for name, tensor in tensors.items()
            }

        grids = [f"grid/{name}" for name in patches.grids]
        return Batch(cut(batch.inputs, grids), cut(batch.targets, patches.answers), None, batch.rows[numbers])

    def watched(self, rows: np.ndarray, seed: int, most: int) -> Batch:
        """The rows (int64) as they are looked at again and again: whole, or up to `WATCHED_PATCHES` patches of each, as
        many as take ``most`` bytes together, and at least one."""
        if self.patches is None:
            return Batch.joined(len(rows), self.in_order(rows, self.block_rows))
        each = min(WATCHED_PATCHES, max(1, most // (self.seen_bytes * len(rows))))
        seeds = [[watched_seed(seed, place, number) for number in range(each)] for place in range(len(rows))]
        return self.cut(rows, seeds)

    def augment(self, batch: Batch, seed: int) -> Batch:
        """A varied copy of a training batch, its inputs varied by their fields.

        Every field draws from a generator of the same seed, so that aligned grids are varied alike; pictures and masks
        that are answers are moved as the input that they are made of, and so are masks beside it.
        """
        inputs = dict(batch.inputs)
        for field in self.inputs:
            if type(field).augment is Field.augment:
                continue
            varied = field.augment(self._of(field, inputs), torch.Generator().manual_seed(seed))
            if isinstance(field.shape, Vector):
                for name, tensor in varied.items():
                    inputs[name] = inputs[name].clone()
                    inputs[name][:, self.places[field.name][name]] = tensor
            else:
                inputs.update({f"{name}/{field.name}": tensor for name, tensor in varied.items()})
        targets = dict(batch.targets)
        for target, leader in self.led.items():
            motion = leader.motion(len(batch), torch.Generator().manual_seed(seed))
            if motion is not None:
                targets[target.name] = target.moved({"target": targets[target.name]}, motion)["target"]
                for beside in self._still(leader):
                    name = f"grid/{beside.name}"
                    inputs[name] = beside.moved({"grid": batch.inputs[name]}, motion)["grid"]
        return replace(batch, inputs=inputs, targets=targets)

    def _still(self, leader: Field) -> list[Field]:
        """The inputs that are aligned with that of which answers are made, and that do not vary by themselves."""
        fields = {field.name: field for field in self.inputs if type(field).augment is Field.augment}
        shapes = {field.name: field.shape for field in self.inputs if field.shape is not None}
        return [fields[name] for name in aligned(shapes, leader.name) if name in fields]

    @cached_property
    def led(self) -> dict[Field, Field]:
        """The targets that are moved as an input is, each with that input: of aligned ones one that varies."""
        fields = {field.name: field for field in self.inputs}
        shapes = {field.name: field.shape for field in self.inputs if field.shape is not None}
        led = {}
        for target in self.targets:
            name = mapped_from(shapes, target.answer) if isinstance(target.answer, Mapped) else None
            if name is not None:
                beside = [fields[each] for each in aligned(shapes, name)]
                led[target] = next((each for each in beside if type(each).augment is not Field.augment), beside[0])
        return led

    def _of(self, field: Field, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What ``field`` prepared, out of joined inputs."""
        if isinstance(field.shape, Vector):
            return {name: inputs[name][:, place] for name, place in self.places[field.name].items()}
        return {part: inputs[f"{part}/{field.name}"] for part in PARTS if f"{part}/{field.name}" in inputs}

    @cached_property
    def row_bytes(self) -> int:
        """How many bytes a prepared row takes."""
        return max(1, self.take(np.arange(min(1, len(self.store)))).bytes)

    @cached_property
    def seen_bytes(self) -> int:
        """How many bytes of a prepared row a network sees at a time."""
        if self.patches is None or not len(self.store):
            return self.row_bytes
        return self.cut(np.zeros(1, np.int64), [[0]]).bytes

    @property
    def block_rows(self) -> int:
        return max(1, BLOCK_BYTES // self.row_bytes)


def watched_seed(seed: int, place: int, number: int = 0) -> int:
    """With which a patch of the row at that place is drawn that is the same in every epoch."""
    return seed_for(seed, "watched", place, number)


def _averaged(grid: Tensor, shape: Grid) -> Tensor:
    """(n, channels, *extent of ``shape``) of a finer grid."""
    if grid.shape[2:] == shape.extent:
        return grid
    functional = torch.nn.functional
    pools = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)
    pool: Callable[[Tensor, tuple[int, ...]], Tensor] = pools[len(shape.extent) - 1]  # type: ignore[assignment]
    return pool(grid, shape.extent)


def _places(fields: Sequence[Field]) -> dict[str, dict[str, slice]]:
    """Which columns of the joined ``numbers`` and ``codes`` are each Vector field's."""
    places = {}
    total = Vector()
    for field in fields:
        if isinstance(field.shape, Vector):
            after = total + field.shape
            columns = {
                "numbers": slice(total.width, after.width),
                "codes": slice(len(total.cardinalities), len(after.cardinalities)),
            }
            places[field.name] = {name: place for name, place in columns.items() if place.stop > place.start}
            total = after
    return places
