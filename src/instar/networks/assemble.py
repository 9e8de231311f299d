"""Bodies and heads put together: from shapes, answers and settings to one network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from instar.errors import ModelError, SettingError, UsageError
from instar.networks._sequences import are_letters
from instar.networks.base import Body, Head, Inputs, Memory, NetworkSpecification, networks
from instar.networks.decoders import WritingSettings
from instar.networks.heads import HeadSettings, make_head
from instar.networks.maps import make_map_head
from instar.settings import Settings, build
from instar.shapes import Answer, Grid, Mapped, Picture, Shape, Symbols, Tokens, Vector, mapped_from

DEFAULT_FOR_ROWS = "tabm"
DEFAULT_FOR_GRIDS = "resnet"
DEFAULT_FOR_SERIES = "inception-time"
DEFAULT_FOR_WORDS = "embedding-bag"
DEFAULT_FOR_LETTERS = "text-cnn"
DEFAULT_FOR_WRITING = "transformer"
DEFAULT_FOR_MAPS = "unet"
_SMALLEST_PICTURE = 8
# Features that a hidden layer makes of those of several bodies.
FUSED = 128


@dataclass(frozen=True)
class Part:
    """One body of a network: which network it is, and all its settings with their values.

    ``input`` names the Grid or Tokens that it takes, and is None for the body of all Vector inputs together.
    """

    input: str | None
    network: str
    settings: Settings


@dataclass(frozen=True)
class Plan:
    """Everything that, beside shapes and answers, decides what a network is; a model folder holds it as JSON.

    ``writer``: where an answer is written, the network whose decoder writes it, and the input that it reads step by
    step; without such an input it is written from the features of all. ``mapped``: where an answer is a picture or a
    mask, the input of which it is made. ``why`` is a sentence for the person about what was chosen.
    """

    parts: tuple[Part, ...]
    head: HeadSettings
    writing: WritingSettings = field(default_factory=WritingSettings)
    writer: Part | None = None
    mapped: str | None = None
    why: str = ""

    @property
    def principal(self) -> NetworkSpecification:
        """The network that decides the recipe and the head: the first that has an input of its own, else the row's.

        Where an answer is made of one input, it is that one's.
        """
        own = [part for part in self.parts if part.input is not None and self.mapped in (None, part.input)]
        part = own[0] if own else self.parts[0]
        return networks[part.network]

    def as_json(self) -> dict[str, Any]:
        return {
            "parts": [_part_as_json(part) for part in self.parts],
            "head": self.head.as_json(),
            "writing": self.writing.as_json(),
            "writer": None if self.writer is None else _part_as_json(self.writer),
            "mapped": self.mapped,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, content: Any) -> Plan:
        """The plan that `as_json` gave. Raises ModelError where it is none, and names a network that is not here."""
        try:
            parts = tuple(_part_from_json(each) for each in content["parts"])
            if not parts:
                raise ValueError("no parts")
            head, writing = _filled(HeadSettings, content["head"]), _filled(WritingSettings, content["writing"])
            writer = None if content["writer"] is None else _part_from_json(content["writer"])
            mapped = None if content["mapped"] is None else str(content["mapped"])
            return cls(parts, head, writing, writer, mapped, str(content["why"]))
        except UsageError as failure:
            raise ModelError(
                f"The model's network cannot be built here ({failure.what})",
                remedy="Install the plug-in or the version of Instar that it was made with",
            ) from failure
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as failure:
            raise ModelError("The model's network is not described as it should be") from failure


def _part_as_json(part: Part) -> dict[str, Any]:
    return {"input": part.input, "network": part.network, "settings": part.settings.as_json()}


def _part_from_json(content: Any) -> Part:
    network = str(content["network"])
    given = None if content["input"] is None else str(content["input"])
    return Part(given, network, _filled(networks[network].settings, content["settings"]))


def _filled(group: type[Settings], given: Mapping[str, Any]) -> Any:
    return build([group], dict(given))[group]


def choose(
    inputs: Mapping[str, Shape], rows: int | None = None, answers: Sequence[Answer] = ()
) -> tuple[dict[str | None, str], str]:
    """The default network for each body, and a sentence that says what was chosen and why.

    Bodies are named as in `Part`. ``rows`` is the number of training rows, for the sentence. Where one of the
    ``answers`` is written, what it is read from has a network that can write; where one is a picture or a mask, what it
    is made of has a network that answers cell by cell.
    """
    chosen: dict[str | None, str] = {}
    reasons = []
    reader = _longest(inputs) if _writes(answers) else None
    mapped = _mapped(inputs, answers)
    for name, shape in _bodies(inputs):
        chosen[name], reason = _default(name, shape)
        if name is not None and name == reader:
            chosen[name] = DEFAULT_FOR_WRITING
        if name is not None and name == mapped:
            chosen[name], reason = DEFAULT_FOR_MAPS, f"{name!r}, of whose every cell something is to be said"
        reasons.append(f"{chosen[name]} for {reason}")
    learned = "" if rows is None else f", learned from {rows:,} examples"
    return chosen, "; ".join(reasons) + learned + "."


def _default(name: str | None, shape: Shape) -> tuple[str, str]:
    """The default network for a body, and for what it is, with the reason."""
    if isinstance(shape, Tokens):
        network = DEFAULT_FOR_LETTERS if are_letters(shape) else DEFAULT_FOR_WORDS
        return network, f"{name!r}, a sequence of up to {shape.length:,} of {shape.vocabulary:,} symbols"
    if isinstance(shape, Grid) and min(shape.extent) >= _SMALLEST_PICTURE:
        if len(shape.extent) == 1:
            channels = "" if shape.channels == 1 else f" of {shape.channels:,} numbers each"
            return DEFAULT_FOR_SERIES, f"{name!r}, a series of {shape.extent[0]:,} steps{channels}"
        size = "x".join(map(str, shape.extent))
        return DEFAULT_FOR_GRIDS, f"{name!r}, since neighboring cells of {size} belong together"
    what = "the row's numbers and categories" if name is None else f"{name!r}, too small for convolutions"
    return DEFAULT_FOR_ROWS, what


def plan(
    inputs: Mapping[str, Shape],
    answers: Mapping[str, Answer],
    name: str | None = None,
    given: Mapping[str, Any] | None = None,
    rows: int | None = None,
) -> Plan:
    """Decide on bodies, settings and heads.

    A network that is named becomes every body that it can be; a network for Vector takes a Grid flattened, and where
    one for Grid is named, the row beside it has the default. A setting reaches every body that declares it.

    Raises UsageError where a named network does not fit, and SettingError for a setting that none of its bodies and
    heads declares.
    """
    if not any(True for _ in _bodies(inputs)):
        raise UsageError("There is nothing to learn from: no input is left beside the target")
    written = tuple(answers.values())
    mapped = _mapped(inputs, written)
    chosen, why = _named(inputs, name) if name is not None else choose(inputs, rows, written)
    if mapped is not None and not networks[chosen[mapped]].maps:
        raise UsageError(
            f"The network {chosen[mapped]!r} gives no picture: it makes a few numbers of {mapped!r}, and none for each "
            "of its cells",
            remedy=f"Use the network {DEFAULT_FOR_MAPS!r}",
        )
    groups = _groups(inputs, chosen, name, written)
    filled = build(groups, given or {})
    parts = tuple(Part(grid, network, filled[networks[network].settings]) for grid, network in chosen.items())
    writer = None
    if _writes(written):
        reader, network = _writer(inputs, chosen)
        writer = Part(reader, network, filled[networks[network].settings])
    head, writing = filled.get(HeadSettings, HeadSettings()), filled.get(WritingSettings, WritingSettings())
    assert isinstance(head, HeadSettings) and isinstance(writing, WritingSettings)
    return Plan(parts, head, writing, writer, mapped, why)


def setting_groups(
    inputs: Mapping[str, Shape], name: str | None = None, answers: Sequence[Answer] = ()
) -> tuple[type[Settings], ...]:
    """The groups of settings that `plan` takes values for."""
    chosen = _named(inputs, name)[0] if name is not None else choose(inputs, answers=answers)[0]
    return _groups(inputs, chosen, name, answers)


def _groups(
    inputs: Mapping[str, Shape], chosen: Mapping[str | None, str], name: str | None, answers: Sequence[Answer]
) -> tuple[type[Settings], ...]:
    own_head = name is not None and networks[name].head is not None
    groups = [networks[network].settings for network in chosen.values()]
    if not own_head and not all(isinstance(answer, Symbols | Picture) for answer in answers or (None,)):
        groups.append(HeadSettings)
    if _writes(answers):
        groups += [networks[_writer(inputs, chosen)[1]].settings, WritingSettings]
    return tuple(dict.fromkeys(groups))


def _writes(answers: Sequence[Answer]) -> bool:
    return any(isinstance(answer, Symbols) for answer in answers)


def _mapped(inputs: Mapping[str, Shape], answers: Sequence[Answer]) -> str | None:
    """The input of which pictures and masks are made, where there are such answers. Raises UsageError."""
    asked = [answer for answer in answers if isinstance(answer, Mapped)]
    made_of = {mapped_from(inputs, answer) for answer in asked}
    if None in made_of or len(made_of) > 1:
        axes = " or ".join(sorted({str(len(answer.extent)) for answer in asked}))
        raise UsageError(
            f"An answer with something for each cell of {axes} axes is made of one input that has such cells too, and "
            f"there {'is none' if None in made_of else 'are several'}",
            remedy="Add the pictures, volumes or series that the answers belong to"
            if None in made_of
            else "Learn such targets one at a time",
        )
    return made_of.pop() if made_of else None


def _writer(inputs: Mapping[str, Shape], chosen: Mapping[str | None, str]) -> tuple[str | None, str]:
    """The input that a written answer is read from step by step, if there is one, and the network that writes."""
    reader = _longest(inputs)
    if reader is not None and networks[chosen[reader]].decoder is not None:
        return reader, chosen[reader]
    return None, DEFAULT_FOR_WRITING


def _longest(inputs: Mapping[str, Shape]) -> str | None:
    """The longest sequence among the inputs, or else the longest series."""
    lengths = {name: shape.length for name, shape in inputs.items() if isinstance(shape, Tokens)} or {
        name: shape.extent[0] for name, shape in inputs.items() if isinstance(shape, Grid) and len(shape.extent) == 1
    }
    return max(lengths, key=lambda name: lengths[name], default=None)


def _named(inputs: Mapping[str, Shape], name: str) -> tuple[dict[str | None, str], str]:
    specification = networks[name]
    chosen: dict[str | None, str] = {}
    for input_name, shape in _bodies(inputs):
        fits = specification.takes(shape) or specification.takes(_flattened(shape))
        chosen[input_name] = name if fits else _default(input_name, shape)[0]
    if name not in chosen.values():
        raise UsageError(
            f"The network {name!r} takes {_in_words(specification)}, and there is nothing such among the inputs",
            remedy=f"Use another network, for example {next(iter(chosen.values()))!r}",
        )
    return chosen, f"{name}, as asked: {specification.idea}."


def _in_words(specification: NetworkSpecification) -> str:
    words = {Vector: "rows of numbers", Grid: "grids, such as pictures", Tokens: "sequences, such as texts"}
    named = [text for shape, text in words.items() if shape in specification.shapes]
    if Grid in specification.shapes and len(specification.axes) < 3:
        axes = " or ".join(map(str, specification.axes)) + (" axes" if specification.axes != (1,) else " axis")
        named = [text.replace("grids, such as pictures", f"grids of {axes}") for text in named]
    return " and ".join(named)


def _bodies(inputs: Mapping[str, Shape]) -> Iterator[tuple[str | None, Shape]]:
    """The joined Vector inputs under None, then each Grid and Tokens under its name."""
    row = sum((shape for shape in inputs.values() if isinstance(shape, Vector)), Vector())
    if row != Vector():
        yield None, row
    for name, shape in inputs.items():
        if not isinstance(shape, Vector):
            yield name, shape


def _flattened(shape: Shape) -> Shape:
    """A grid as a row; anything else as it is."""
    return Vector(shape.size) if isinstance(shape, Grid) else shape


class _RowPart(nn.Module):
    """The body of all Vector inputs together."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body

    def initialize(self, inputs: Inputs) -> None:
        self.body.initialize(inputs.get("numbers"), inputs.get("codes"))

    def forward(self, inputs: Inputs) -> Tensor:
        return self.body(inputs.get("numbers"), inputs.get("codes"))


class _InputPart(nn.Module):
    """The body of one Grid or Tokens; a learned vector stands for what is absent.

    A grid is flattened where the body takes a Vector. ``sources`` are the names of the prepared tensors.
    """

    def __init__(
        self, name: str, sources: tuple[str, ...], body: Body, *, flatten: bool, reads: bool, maps: bool
    ) -> None:
        super().__init__()
        self.body, self.name, self.sources, self.flatten = body, name, sources, flatten
        self.absent = nn.Parameter(torch.zeros(body.width))
        if reads:
            self.absent_step = nn.Parameter(torch.zeros(body.step_width or 0))
        if maps:
            self.absent_cell = nn.Parameter(torch.zeros(body.map_width or 0))

    def _tensors(self, contents: Iterable[Tensor]) -> tuple[Tensor | None, ...]:
        return (*(content.flatten(1) for content in contents), None) if self.flatten else tuple(contents)

    def initialize(self, inputs: Inputs) -> None:
        present = inputs[f"present/{self.name}"]
        if present.any():
            self.body.initialize(*self._tensors(inputs[source][present] for source in self.sources))

    def forward(self, inputs: Inputs) -> Tensor:
        return self._or_absent(
            self.body(*self._tensors(inputs[source] for source in self.sources)), inputs, self.absent
        )

    def read(self, inputs: Inputs) -> Memory:
        """The steps of the content, and learned ones for what is absent."""
        memory = self.body.read(inputs[self.sources[0]])
        return Memory(self._or_absent(memory.steps, inputs, self.absent_step), memory.known)

    def map(self, inputs: Inputs, condition: Tensor | None) -> Tensor:
        """Maps of the grid, and learned ones, the same in every cell, for what is absent."""
        maps = self.body.map(inputs[self.sources[0]], condition)
        return self._or_absent(maps, inputs, self.absent_cell.view(-1, *(1,) * (maps.dim() - 2)))

    def _or_absent(self, features: Tensor, inputs: Inputs, absent: Tensor) -> Tensor:
        present = inputs[f"present/{self.name}"]
        return torch.where(present.view(-1, *(1,) * (features.dim() - 1)), features, absent)


class _Fusion(nn.Module):
    """Several bodies' features, (B, width) or (B, members, width), and `FUSED` more that a hidden layer makes of them.

    Of the features alone a head could only add up what each input says, and never learn that one decides what another
    means. The hidden layer sees every body's features in the same scale.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths, self.width = list(widths), sum(widths) + FUSED
        self.scales = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        self.hidden = nn.Linear(sum(widths), FUSED)

    def forward(self, features: Tensor) -> Tensor:
        parts = features.split(self.widths, -1)
        scaled = [scale(part) for scale, part in zip(self.scales, parts, strict=True)]
        return torch.cat([features, functional.gelu(self.hidden(torch.cat(scaled, -1)))], -1)


class Network(nn.Module):
    """Bodies, their features side by side, fused where there are several, and a head for each target.

    Inputs are prepared tensors by name: ``numbers`` (B, W) float32, ``codes`` (B, C) int64, ``grid/NAME``
    (B, channels, *extent) float32, ``tokens/NAME`` (B, length) int32, ``subwords/NAME`` (B, subwords) int32 and
    ``present/NAME`` (B,) bool; targets are those of `instar.shapes` by target.
    Built on ``torch.device("meta")`` it takes no memory, and `load_state_dict` with ``assign=True`` fills it.
    """

    def __init__(self, inputs: Mapping[str, Shape], answers: Mapping[str, Answer], plan: Plan) -> None:
        super().__init__()
        shapes = dict(_bodies(inputs))
        if [part.input for part in plan.parts] != list(shapes):
            raise UsageError("The network was planned for other inputs than these")
        self.plan = plan
        reader = None if plan.writer is None else plan.writer.input
        parts = [
            _part(
                part,
                shapes[part.input],
                reads=part.input == reader is not None,
                maps=part.input == plan.mapped is not None,
            )
            for part in plan.parts
        ]
        self.parts = nn.ModuleList(parts)
        members = {part.body.members for part in parts} - {None}
        if len(members) > 1:
            raise SettingError("Networks with different numbers of members cannot be joined")
        self.members: int | None = next(iter(members), None)
        widths = [part.body.width for part in parts]
        width = sum(widths)
        self.targets = tuple(answers)
        own = plan.principal.head
        if own is not None and self.members is not None:
            raise UsageError(f"The network {plan.principal.name!r} cannot be joined with an ensemble")
        self.reader = None if reader is None else list(shapes).index(reader)
        step_width, beside = width, 0
        if self.reader is not None:
            body = parts[self.reader].body
            if body.step_width is None:
                raise UsageError(f"The network {plan.parts[self.reader].network!r} has no steps to write from")
            step_width, beside = body.step_width, width - body.width
        self.beside = nn.Linear(beside, step_width) if beside else None
        apart = len(parts) == 1 or own is not None or any(networks[part.network].additive for part in plan.parts)
        read = not all(isinstance(answer, Symbols | Mapped) for answer in answers.values())
        self.fusion = _Fusion(widths) if read and not apart else None
        fused = width if self.fusion is None else self.fusion.width
        self.features = fused * (self.members or 1)
        self.mapped = None if plan.mapped is None else list(shapes).index(plan.mapped)
        self.conditioning: nn.Linear | None = None
        if self.mapped is not None:
            body, shape = parts[self.mapped].body, shapes[plan.mapped]
            if body.map_width is None or not isinstance(shape, Grid):
                raise UsageError(f"The network {plan.parts[self.mapped].network!r} gives no picture")
            self.features += body.map_width * math.prod(shape.extent)
            if width > body.width:
                self.conditioning = nn.Linear(width - body.width, body.condition_width)
                # At first nothing beside the grid matters, so that the network begins as one without it.
                nn.init.zeros_(self.conditioning.weight)
                nn.init.zeros_(self.conditioning.bias)
        self.heads: nn.ModuleList = nn.ModuleList(
            _written(answer, step_width, plan)
            if isinstance(answer, Symbols)
            else _cell_by_cell(answer, parts, self.mapped, plan)
            if isinstance(answer, Mapped)
            else make_head(answer, fused, self.members, plan.head)
            if own is None
            else own(width, answer)
            for answer in answers.values()
        )

    def _features(self, inputs: Inputs) -> dict[str, Any]:
        """What heads need: ``vector``, (B, width) or (B, members, width), ``steps``, a `Memory`, and ``map``."""
        needed = {head.needs for head in self.heads}
        offered: dict[str, Any] = {}
        if "steps" in needed:
            offered["steps"] = self._memory(inputs)
        if "map" in needed:
            offered["map"] = self._map(inputs)
        if "vector" in needed:
            joined = self._joined([part(inputs) for part in self.parts])
            offered["vector"] = joined if self.fusion is None else self.fusion(joined)
        return offered

    def _joined(self, features: list[Tensor]) -> Tensor:
        if len(features) == 1:
            return features[0]
        if self.members is not None:
            features = [each if each.dim() == 3 else each[:, None].expand(-1, self.members, -1) for each in features]
        return torch.cat(features, -1)

    def _memory(self, inputs: Inputs) -> Memory:
        """The steps of the input that is read, and after them those of all others: one, or one for each member."""
        if self.reader is None:
            return _as_steps(self._joined([part(inputs) for part in self.parts]))
        memory: Memory = self.parts[self.reader].read(inputs)  # type: ignore[operator]
        if self.beside is None:
            return memory
        others = [part(inputs) for place, part in enumerate(self.parts) if place != self.reader]
        beside = _as_steps(self.beside(self._joined(others)))
        return Memory(torch.cat([memory.steps, beside.steps], 1), torch.cat([memory.known, beside.known], 1))

    def _map(self, inputs: Inputs) -> Tensor:
        """(B, map_width, *extent) of the input that answers are made of, by what all others say."""
        condition = None
        if self.conditioning is not None:
            others = self._joined([part(inputs) for place, part in enumerate(self.parts) if place != self.mapped])
            condition = self.conditioning(others if others.dim() == 2 else others.mean(1))
        maps: Tensor = self.parts[self.mapped].map(inputs, condition)  # type: ignore[operator, index]
        return maps

    def _outputs(self, inputs: Inputs) -> Iterator[tuple[str, Head, Any]]:
        """Each target with its head, and the head's raw outputs."""
        features = self._features(inputs)
        for target, head in self._named_heads():
            yield target, head, head(features[head.needs])

    def _named_heads(self) -> Iterator[tuple[str, Head]]:
        return zip(self.targets, self.heads, strict=True)  # type: ignore[arg-type]

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Each target's raw outputs: (B, outputs), or (B, members, outputs); a `Memory` for what is written."""
        return {target: outputs for target, _, outputs in self._outputs(inputs)}

    def loss(self, inputs: Inputs, targets: Mapping[str, Tensor], weight: Tensor | None = None) -> Tensor:
        """The mean of the targets' losses, a scalar; about 1 for the best constant answer.

        ``weight`` (B,) counts each row so many times. In eval mode it is the loss of `answer`, without label smoothing:
        what early stopping watches.
        """
        losses = [head.loss(outputs, targets[target], weight) for target, head, outputs in self._outputs(inputs)]
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean()

    def answer(self, inputs: Inputs) -> dict[str, Tensor]:
        """Each target's answer in eval mode, probabilities or amounts in its field's scale, as `instar.shapes` says."""
        return {target: head.answer(outputs) for target, head, outputs in self._outputs(inputs)}

    def soften(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Targets of which weighted sums make sense and which `loss` takes too, for mixing examples."""
        return {target: head.soften(targets[target]) for target, head in self._named_heads()}

    def initialize(self, inputs: Inputs) -> None:
        """Set what depends on the data (bin edges, say) from prepared training rows, once, before training."""
        for part in self.parts:
            part.initialize(inputs)  # type: ignore[operator]

    @property
    def stochastic(self) -> bool:
        """Whether a training step draws random numbers."""
        return any(isinstance(module, _DropoutNd) and module.p > 0 for module in self.modules())

    def decayed_parameters(self) -> list[nn.Parameter]:
        """The weights that weight decay may shrink: of dense, convolutional and recurrent layers.

        Not thresholds and scales, nor vectors that stand for symbols and categories: a rare one would fade away.

        A layer of its own kind names them in ``decayed``.
        """
        return list(
            itertools.chain.from_iterable(
                (getattr(module, name) for name in _decayed_names(module)) for module in self.modules()
            )
        )


def _as_steps(features: Tensor) -> Memory:
    """(B, width) as one step, (B, members, width) as a step for each member."""
    steps = features if features.dim() == 3 else features[:, None]
    return Memory(steps, torch.ones_like(steps[:, :, 0], dtype=torch.bool))


def _written(answer: Symbols, step_width: int, plan: Plan) -> Head:
    writer = plan.writer
    decoder = None if writer is None else networks[writer.network].decoder
    if writer is None or decoder is None:
        raise UsageError("The network was planned for other answers than these")
    return decoder(writer.settings, step_width, answer, plan.writing)


def _cell_by_cell(answer: Mapped, parts: Sequence[_RowPart | _InputPart], mapped: int | None, plan: Plan) -> Head:
    width = None if mapped is None else parts[mapped].body.map_width
    if width is None:
        raise UsageError("The network was planned for other answers than these")
    return make_map_head(answer, width, plan.head)


def _decayed_names(module: nn.Module) -> tuple[str, ...]:
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return tuple(name for name, _ in module.named_parameters() if name.startswith("weight"))
    return getattr(module, "decayed", ("weight",) if isinstance(module, nn.Linear | _ConvNd) else ())


def _part(part: Part, shape: Shape, *, reads: bool, maps: bool) -> _RowPart | _InputPart:
    specification = networks[part.network]
    flatten = not specification.takes(shape)
    if flatten:
        shape = _flattened(shape)
        if not specification.takes(shape):
            raise UsageError(f"The network {part.network!r} does not take this input")
    body = specification.build(shape, part.settings)
    if part.input is None:
        return _RowPart(body)
    names = ["tokens"] if isinstance(shape, Tokens) else ["grid"]
    if isinstance(shape, Tokens) and shape.subwords and body.takes_subwords:
        names += ["subwords"]
    return _InputPart(
        part.input, tuple(f"{name}/{part.input}" for name in names), body, flatten=flatten, reads=reads, maps=maps
    )


def assemble(
    inputs: Mapping[str, Shape],
    answers: Mapping[str, Answer],
    name: str | None = None,
    given: Mapping[str, Any] | None = None,
    rows: int | None = None,
) -> Network:
    """The network that `plan` decides on, its weights drawn from torch's global generator, which the caller seeds."""
    return Network(inputs, answers, plan(inputs, answers, name, given, rows))
