"""Bodies and heads put together to one network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from instar.errors import UsageError
from instar.networks import windows
from instar.networks.base import Head, Inputs, Seen, networks
from instar.networks.continuation import ContinuationHead
from instar.networks.forecasts import Course, ForecastHead
from instar.networks.heads import make_head
from instar.networks.maps import MapHead, make_map_head
from instar.networks.parts import (
    Auxiliary,
    Fusion,
    InputPart,
    Maps,
    Steps,
    build_parts,
    joined,
    members_of,
    side_by_side,
)
from instar.networks.planning import plan
from instar.networks.plans import Plan
from instar.networks.rebuilding import Rebuilding
from instar.patches import Patches
from instar.shapes import Anomaly, Answer, Continuation, Forecast, Grid, Mapped, Shape, Symbols, Tokens, continued_from

# Rows that are answered at a time, enough to keep the processor busy; and numbers, as inputs and features together,
# that these rows may be at most: what a convolution makes of more no longer fits in the processor's cache.
ROWS_AT_A_TIME, NUMBERS_AT_A_TIME = 512, 2 * 2**20
# About so many numbers stand for a symbol inside a network.
SYMBOL_NUMBERS = 64


class Network(nn.Module):
    """Bodies, their features side by side, fused where there are several, and a head for each target.

    Inputs are prepared tensors by name: ``numbers`` (B, W) float32, ``codes`` (B, C) int64, ``grid/NAME``
    (B, channels, *extent) float32, ``scale/NAME`` (B, channels, 3) float32, ``tokens/NAME`` (B, length) int32,
    ``subwords/NAME`` (B, subwords) int32 and
    ``present/NAME`` (B,) bool; targets are those of `instar.shapes` by target.
    Built on ``torch.device("meta")`` it takes no memory, and `load_state_dict` with ``assign=True`` fills it.
    """

    def __init__(self, inputs: Mapping[str, Shape], answers: Mapping[str, Answer], plan: Plan) -> None:
        super().__init__()
        self.plan, self.targets = plan, tuple(answers)
        self.patches = Patches.among(inputs, answers)
        self.shapes = {name: self._seen(name, shape) for name, shape in inputs.items()}
        built = build_parts(plan, inputs)
        places, parts = list(built), list(built.values())
        self.parts, self.members = nn.ModuleList(parts), members_of(parts)
        self.own_head = plan.principal.head
        if self.own_head is not None and self.members is not None:
            raise UsageError(f"The network {plan.principal.name!r} cannot be joined with an ensemble")
        widths = [part.body.width for part in parts]
        read = not all(isinstance(answer, Symbols | Mapped | Continuation) for answer in answers.values())
        apart = self.own_head is not None or any(networks[part.network].additive for part in plan.parts)
        self.fusion = Fusion(widths) if read and len(parts) > 1 and not apart else None
        self.width = sum(widths) if self.fusion is None else self.fusion.width
        self.steps: Steps | None = None
        if plan.writer is not None:
            reader = None if plan.writer.input is None else places.index(plan.writer.input)
            self.steps = Steps(parts, reader, self.members)
        self.maps: Maps | None = None
        if plan.mapped is not None:
            cells = math.prod(self.shapes[plan.mapped].extent)  # type: ignore[union-attr]
            self.maps = Maps(parts, places.index(plan.mapped), cells, self.members)
        self.course = continued_from(inputs)
        self.heads: nn.ModuleList = nn.ModuleList(self._head(target, answer) for target, answer in answers.items())
        read_by = {target: answers[target] for target, head in self._named_heads() if head.needs == "vector"}
        self.auxiliary = nn.ModuleList(
            Auxiliary(
                part.name,
                part.body.auxiliary_weight,
                {target: make_head(answer, width, None, plan.head) for target, answer in read_by.items()},
            )
            for part in parts
            for width in part.body.auxiliary_widths
            if isinstance(part, InputPart) and read_by
        )

    @property
    def features(self) -> int:
        """How many numbers stand for an example before the heads."""
        return self.width * (self.members or 1) + (0 if self.maps is None else self.maps.numbers)

    @property
    def continued(self) -> InputPart:
        """The part whose content is continued, where there is such an answer: then it is the only one."""
        return self.parts[0]  # type: ignore[return-value]

    def rows_at_a_time(self, shapes: Iterable[Shape] | None = None) -> int:
        """How many rows are given to it together, of inputs of such shapes; nothing said: of what it sees at a time."""
        numbers = self.features
        for shape in self.shapes.values() if shapes is None else shapes:
            if isinstance(shape, Grid):
                numbers += shape.size
            elif isinstance(shape, Tokens):
                numbers += shape.length * SYMBOL_NUMBERS
        return max(1, min(ROWS_AT_A_TIME, NUMBERS_AT_A_TIME // numbers))

    def _seen(self, name: str, shape: Shape) -> Shape:
        """What of an input is seen at a time."""
        if self.patches is not None and name in self.patches.grids and isinstance(shape, Grid):
            return replace(shape, extent=self.patches.patch, patch=())
        return shape

    def _head(self, target: str, answer: Answer) -> Head:
        """The head for an answer. Raises UsageError where the plan offers nothing for it."""
        plan = self.plan
        if isinstance(answer, Symbols):
            decoder = None if plan.writer is None else networks[plan.writer.network].decoder
            if self.steps is not None and plan.writer is not None and decoder is not None:
                return decoder(plan.writer.settings, self.steps.width, answer, plan.writing)
        elif isinstance(answer, Continuation):
            if plan.principal.continues:
                return ContinuationHead(self.continued.body.step_width or 0, answer)
        elif isinstance(answer, Mapped):
            if self.maps is not None:
                return self._map_head(self.maps.width, target, answer)
        elif isinstance(answer, Anomaly):
            if list(answer.parts) == list(self.shapes):
                return Rebuilding(self.width, self.shapes, answer, self.plan.rebuilding)
        elif isinstance(answer, Forecast) and self.own_head is None:
            shape = None if self.course is None else self.shapes[self.course]
            if isinstance(shape, Grid):
                return ForecastHead(self.width, self.members, answer, shape)
        elif self.own_head is not None:
            return self.own_head(self.width, answer)
        else:
            return make_head(answer, self.width, self.members, plan.head)
        raise UsageError("The network was planned for other answers than these")

    def _map_head(self, width: int, target: str, answer: Mapped) -> Head:
        if self.patches is None or target not in self.patches.answers:
            return make_map_head(answer, width, self.plan.head)
        return make_map_head(self.patches.seen(answer), width, self.plan.head, in_patches=True)

    def _vector(self, inputs: Inputs) -> Tensor:
        """(B, width), or (B, members, width)."""
        vector = joined(self.parts, inputs, self.members)
        return vector if self.fusion is None else self.fusion(vector)

    def _mean_vector(self, inputs: Inputs) -> Tensor:
        vector = self._vector(inputs)
        return vector if vector.dim() == 2 else vector.mean(1)

    def _features(self, inputs: Inputs) -> dict[str, Any]:
        """What heads need: ``vector``, (B, width) or (B, members, width), ``steps``, ``map``, ``course``, ``inputs``.

        And ``auxiliary`` while training: what each auxiliary classifier is given, (B, width).
        """
        needed = {head.needs for head in self.heads}
        offered: dict[str, Any] = {}
        if self.steps is not None and "steps" in needed:
            offered["steps"] = self.steps(self.parts, inputs)
        if self.maps is not None and "map" in needed:
            offered["map"] = self.maps(self.parts, inputs)
        if "followed" in needed:
            offered["followed"] = self.continued.followed(inputs)
        if {"vector", "course"} & needed:
            if self.training and len(self.auxiliary):
                seen = [part.with_auxiliary(inputs) for part in self.parts]  # type: ignore[operator]
                vector = side_by_side([features for features, _ in seen], self.members)
                offered["auxiliary"] = [features for _, early in seen for features in early]
                offered["vector"] = vector if self.fusion is None else self.fusion(vector)
            else:
                offered["vector"] = self._vector(inputs)
        if "inputs" in needed:
            offered["inputs"] = Seen(inputs, self._mean_vector)
        if "course" in needed:
            grid, scale = (inputs[f"{part}/{self.course}"] for part in ("grid", "scale"))
            offered["course"] = Course(offered["vector"], grid, scale)
        return offered

    def _outputs(self, inputs: Inputs) -> tuple[dict[str, Any], Sequence[Tensor]]:
        """Each target's raw outputs, and while training what each auxiliary classifier is given."""
        if self.patches is not None and windows.exceeded(self.patches, inputs):
            return windows.joined(self.patches, inputs, self, self.rows_at_a_time()), ()
        features = self._features(inputs)
        outputs = {target: head(features[head.needs]) for target, head in self._named_heads()}
        return outputs, features.get("auxiliary", ())

    def _named_heads(self) -> Iterator[tuple[str, Head]]:
        return zip(self.targets, self.heads, strict=True)  # type: ignore[arg-type]

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Each target's raw outputs: (B, outputs), or (B, members, outputs); a `Memory` for what is written.

        Grids of which a patch is seen at a time are a patch while training, and else may be whole.
        """
        return self._outputs(inputs)[0]

    def loss(self, inputs: Inputs, targets: Mapping[str, Tensor], weight: Tensor | None = None) -> Tensor:
        """The mean of the targets' losses, a scalar; about 1 for the best constant answer.

        ``weight`` (B,) counts each row so many times. While training, the losses of auxiliary classifiers are added. In
        eval mode it is the loss of `answer`, without label smoothing. Early stopping watches that; where the network
        sees patches, that of patches drawn as those are that it learns from, and it is for these that 1 is the best
        constant answer's: whole grids, in which rare classes are rarer, have a lower one.
        """
        outputs, auxiliary = self._outputs(inputs)
        losses = [head.loss(outputs[target], targets[target], weight) for target, head in self._named_heads()]
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).mean()
        for classifier, early in zip(self.auxiliary, auxiliary, strict=False):
            loss = loss + classifier.loss(early, inputs, targets, weight)  # type: ignore[operator]
        return loss

    def answer(self, inputs: Inputs) -> dict[str, Tensor]:
        """Each target's answer in eval mode, probabilities or amounts in its field's scale, as `instar.shapes` says."""
        outputs = self(inputs)
        return {target: head.answer(outputs[target]) for target, head in self._named_heads()}

    def embed(self, inputs: Inputs) -> dict[str, Tensor]:
        """The few numbers that stand for each row, (B, width), by target whose head has such."""
        if self.patches is not None and windows.exceeded(self.patches, inputs):
            return windows.joined(self.patches, inputs, self.embed, self.rows_at_a_time())
        seen = Seen(inputs, self._mean_vector)
        return {target: head.embed(seen) for target, head in self._named_heads() if head.needs == "inputs"}

    @torch.inference_mode()
    def next_symbol(self, symbols: Sequence[int], state: Any = None) -> tuple[np.ndarray, Any]:
        """Logits (vocabulary,) of what follows ``symbols``, where a sequence is continued, and the state after them.

        0 stands before the first symbol; ``state``: after those before, None at the beginning.
        """
        head = self.heads[0]
        assert isinstance(head, ContinuationHead) and not self.training
        steps, state = self.continued.body.follow(torch.tensor([symbols], device=head.output.weight.device), state)
        return head.output(steps[0, -1]).cpu().numpy(), state

    def soften(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Targets of which weighted sums make sense and which `loss` takes too, for mixing examples."""
        return {target: head.soften(targets[target]) for target, head in self._named_heads()}

    def initialize(self, inputs: Inputs, targets: Mapping[str, Tensor]) -> None:
        """Set what depends on the data (bin edges, say) from prepared training rows, once, before training."""
        for part in self.parts:
            part.initialize(inputs)  # type: ignore[operator]
        for target, head in self._named_heads():
            head.initialize(inputs)
            if isinstance(head, MapHead) and self.maps is not None:
                grid, present = self.maps.grid(self.parts, inputs)
                head.begin(grid, targets[target][present])

    @property
    def has_fixed(self) -> bool:
        """Whether `fixed` would spare an epoch anything; a head that varies inputs needs the bodies every time."""
        asked = any(head.needs == "inputs" for _, head in self._named_heads())
        return not asked and any(part.body.has_fixed for part in self.parts)  # type: ignore[union-attr]

    @torch.no_grad()
    def fixed(self, inputs: Inputs) -> dict[str, Tensor]:
        """The inputs with what of them no training changes, which need not be made again in every epoch."""
        made = dict(inputs)
        for part in self.parts:
            made |= part.fixed(inputs)  # type: ignore[operator]
        return made

    @property
    def stochastic(self) -> bool:
        """Whether a training step draws random numbers."""
        drops = any(isinstance(module, _DropoutNd) and module.p > 0 for module in self.modules())
        return drops or any(head.draws for _, head in self._named_heads())

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


def _decayed_names(module: nn.Module) -> tuple[str, ...]:
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return tuple(name for name, _ in module.named_parameters() if name.startswith("weight"))
    return getattr(module, "decayed", ("weight",) if isinstance(module, nn.Linear | _ConvNd) else ())


def assemble(
    inputs: Mapping[str, Shape],
    answers: Mapping[str, Answer],
    name: str | None = None,
    given: Mapping[str, Any] | None = None,
    rows: int | None = None,
) -> Network:
    """The network that `plan` decides on, its weights drawn from torch's global generator, which the caller seeds."""
    return Network(inputs, answers, plan(inputs, answers, name, given, rows))
