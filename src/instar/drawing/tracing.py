"""What a network does, layer by layer, found by running it on tensors without content.

Nothing here knows an architecture: every module without modules of its own is a step, and so are the few functions that
join what several steps made; a step comes after those whose results reach it, through whatever is in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from instar.networks import windows
from instar.networks.assemble import Network
from instar.networks.initialization import Undrawn
from instar.networks.plans import Plan
from instar.shapes import (
    SCALES,
    Amounts,
    Anomaly,
    Answer,
    Choice,
    Continuation,
    Forecast,
    Grid,
    Mask,
    Picture,
    Several,
    Shape,
    Symbols,
    Vector,
)

# Functions that are steps of their own, and what they do in a word.
_ADDED, _JOINED = "added", "joined"
_FUNCTIONS: dict[Any, str] = {
    torch.cat: _JOINED,
    torch.stack: _JOINED,
    torch.add: _ADDED,
    Tensor.add: _ADDED,
    Tensor.__add__: _ADDED,
    Tensor.__radd__: _ADDED,
    F.scaled_dot_product_attention: "attention",
    F.interpolate: "enlarged",
}
_MERGES = frozenset({_ADDED, _JOINED})


@dataclass(eq=False)
class Step:
    """One call of a layer.

    name: where the module lies in the network, or of a function the word for it. module: None for a function.
    before: the steps whose results it takes. shape: of its result, without the batch. parameters: how many it brings,
    0 where an earlier step brought them. block: the name that the network gives to the block in which it lies, if any.
    """

    name: str
    module: nn.Module | None
    before: tuple[Step, ...]
    shape: tuple[int, ...] = ()
    parameters: int = 0
    block: str = ""


@dataclass
class Trace:
    """``inputs``: by name, what the network is given; ``steps`` in the order of their calls; ``network`` itself."""

    network: Network
    inputs: dict[str, Step]
    steps: list[Step] = field(default_factory=list)


def without_memory(inputs: Mapping[str, Shape], answers: Mapping[str, Answer], plan: Plan) -> Network:
    """The network on torch's ``meta`` device."""
    with torch.device("meta"), Undrawn():
        return Network(inputs, answers, plan)


def parameters(network: Network) -> int:
    """How many there are, but for the vectors that stand for absent inputs, which published networks do not have."""
    return sum(each.numel() for name, each in network.named_parameters() if ".absent" not in name)


def multiply_adds(network: Network, inputs: Mapping[str, Shape], answers: Mapping[str, Answer]) -> int:
    """Of one answer, and where it is written of one that is known: half of the floating-point operations of its matrix
    products and convolutions."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval().loss(_inputs(inputs, 1), _targets(answers, 1))
    return int(counter.get_total_flops()) // 2


def trace(network: Network, inputs: Mapping[str, Shape], answers: Mapping[str, Answer]) -> Trace:
    """The steps of a network that is `without_memory`, auxiliary classifiers and what is written included."""
    tensors, targets = _inputs(inputs, 2), _targets(answers, 2)
    if network.patches is not None:  # as in a training step
        place = network.patches.everywhere()[0]
        tensors = windows.at(network.patches, tensors, [place])
        targets |= {name: targets[name][place] for name in network.patches.answers}
    given = {
        name: Step(name, None, (), shape=tuple(values.shape[1:]))
        for name, values in tensors.items()
        if not name.startswith(("present/", "scale/"))
    }
    found = Trace(network, given)
    with torch.no_grad(), _Tracer(found, {name: tensors[name] for name in given}):
        network.train().loss(tensors, targets)
    return found


class _Tracer(TorchFunctionMode):
    """While it is active, every call of a layer becomes a step of the trace."""

    def __init__(self, found: Trace, given: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.found = found
        # By identity: tensors are kept, so that no other one gets the identity of one that is gone.
        self.origins: dict[int, tuple[Tensor, frozenset[Step]]] = {}
        self.within: list[Step | None] = []
        self.known: set[int] = set()
        for name, tensor in given.items():
            self.origins[id(tensor)] = (tensor, frozenset({found.inputs[name]}))
        self.handles: list[Any] = []

    def __enter__(self) -> _Tracer:
        for name, module in self.found.network.named_modules():
            if _is_layer(module):
                self.handles.append(module.register_forward_pre_hook(self._begin(name), with_kwargs=True))
                self.handles.append(module.register_forward_hook(self._end))
        super().__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        super().__exit__(*failure)
        for handle in self.handles:
            handle.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        before = self._origins((args, kwargs))
        made = _tensors(result)
        if before and made:
            word = None if any(self.within) else _FUNCTIONS.get(func)
            merges = word in _MERGES
            answered = any(step.name.startswith(("heads.", "auxiliary.")) for step in before)
            if word is not None and not (merges and (len(before) < 2 or answered)):
                before = frozenset({self._add(Step(word, None, _ordered(before, self.found.steps)), made[0])})
            for tensor in made:
                if tensor.dtype != torch.bool:  # what only says which places count is no result
                    self.origins[id(tensor)] = (tensor, before)
        return result

    def _begin(self, name: str) -> Any:
        def begin(module: nn.Module, args: Any, kwargs: Any) -> None:
            if any(isinstance(each, nn.Module) for each in args):
                self.within.append(None)  # it calls other modules, which are the layers
                return
            before = _ordered(self._origins((args, kwargs)), self.found.steps)
            self.within.append(Step(name, module, before, block=_block(self.found.network, name)))

        return begin

    def _end(self, module: nn.Module, args: Any, result: Any) -> None:
        step, made = self.within.pop(), _tensors(result)
        if (
            step is None
            or any(self.within)
            or not made
            or not step.before
            or isinstance(module, nn.Flatten | nn.Identity)
        ):
            return
        own = [each for each in module.parameters() if id(each) not in self.known]
        self.known.update(map(id, own))
        step.parameters = sum(each.numel() for each in own)
        self._add(step, made[0])
        for tensor in made:
            self.origins[id(tensor)] = (tensor, frozenset({step}))

    def _add(self, step: Step, result: Tensor) -> Step:
        step.shape = tuple(result.shape[1:])
        self.found.steps.append(step)
        return step

    def _origins(self, content: Any) -> frozenset[Step]:
        known = (self.origins.get(id(tensor)) for tensor in _tensors(content))
        return frozenset().union(*(steps for _, steps in filter(None, known)))


def _is_layer(module: nn.Module) -> bool:
    """Whether it is no more than itself: it has no modules, or alone holds what they work with."""
    children = list(module.children())
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) or not children:
        return not isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    own = list(module.parameters(recurse=False))
    return bool(own) and len(own) == len(list(module.parameters()))


def _block(network: nn.Module, name: str) -> str:
    """The innermost part of a module's name by which a dictionary of modules knows it."""
    found, inside = "", network
    for part in name.split("."):
        found = part if isinstance(inside, nn.ModuleDict) else found
        inside = getattr(inside, part)
    return found


def _ordered(before: Iterable[Step], steps: list[Step]) -> tuple[Step, ...]:
    places = {id(step): place for place, step in enumerate(steps)}
    return tuple(sorted(before, key=lambda step: places.get(id(step), -1)))


def _tensors(content: Any) -> list[Tensor]:
    return [each for each in tree_leaves(content) if isinstance(each, Tensor)]


def _inputs(inputs: Mapping[str, Shape], rows: int) -> dict[str, Tensor]:
    """Prepared tensors without content, as `Network` takes them."""
    made: dict[str, Tensor] = {}
    row = sum((shape for shape in inputs.values() if isinstance(shape, Vector)), Vector())
    with torch.device("meta"):
        if row.width:
            made["numbers"] = torch.zeros(rows, row.width)
        if row.cardinalities:
            made["codes"] = torch.zeros(rows, len(row.cardinalities), dtype=torch.int64)
        for name, shape in inputs.items():
            if isinstance(shape, Vector):
                continue
            made[f"present/{name}"] = torch.ones(rows, dtype=torch.bool)
            if isinstance(shape, Grid):
                made[f"grid/{name}"] = torch.zeros(rows, shape.channels, *shape.extent)
                if shape.ahead:
                    made[f"scale/{name}"] = torch.zeros(rows, shape.channels, SCALES)
            else:
                made[f"tokens/{name}"] = torch.zeros(rows, shape.length, dtype=torch.int32)
                if shape.subwords:
                    made[f"subwords/{name}"] = torch.zeros(rows, shape.subwords, dtype=torch.int32)
    return made


# The shape of a row's target, and its type, as `instar.shapes` says what each is.
_TARGETS: dict[type[Answer], Callable[[Any], tuple[tuple[int, ...], torch.dtype]]] = {
    Choice: lambda answer: ((), torch.int64),
    Several: lambda answer: ((answer.labels,), torch.float32),
    Amounts: lambda answer: ((answer.width,), torch.float32),
    Symbols: lambda answer: ((answer.length,), torch.int32),
    Picture: lambda answer: ((answer.channels, *answer.extent), torch.float32),
    Mask: lambda answer: (answer.extent, torch.uint8),
    Anomaly: lambda answer: ((0,), torch.float32),
    Continuation: lambda answer: ((answer.length,), torch.int32),
    Forecast: lambda answer: ((answer.steps,), torch.float32),
}


def _targets(answers: Mapping[str, Answer], rows: int) -> dict[str, Tensor]:
    """Targets without content."""
    forms = {name: _TARGETS[type(answer)](answer) for name, answer in answers.items()}
    return {name: torch.zeros(rows, *shape, dtype=kind, device="meta") for name, (shape, kind) in forms.items()}
