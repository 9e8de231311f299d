"""From steps and what comes before what to an outline that can be drawn: one after another, side by side, repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from instar.drawing.tracing import Step, Trace

# The longest pattern that is looked for where layers repeat.
_LONGEST_PATTERN = 12


@dataclass(eq=False)
class Layer:
    """A step, and the small ones after it that keep its shape: normalization, activation, dropout.

    ``final``: whether nothing comes after it.
    """

    step: Step
    after: list[Step] = field(default_factory=list)
    final: bool = False

    @property
    def parameters(self) -> int:
        return self.step.parameters + sum(each.parameters for each in self.after)

    @property
    def last(self) -> Step:
        return self.after[-1] if self.after else self.step


@dataclass
class Aside:
    """Layers beside the way to the answer, from where they begin."""

    layers: Series


@dataclass
class SideBySide:
    """Branches from one layer to another; one without layers passes on what it gets.

    ``name``: what the network calls the block that they all lie in, if it has a name for it.
    """

    branches: list[Series]
    name: str = ""


@dataclass
class Repeated:
    pattern: Series
    times: int


@dataclass
class Series:
    items: list[Layer | SideBySide | Repeated | Aside]


def outline(trace: Trace) -> Series:
    """What leads from the inputs to the answers, auxiliary classifiers beside it."""
    layers, before = _layers(trace)
    answering = _reaching(layers, before, [each for each in layers if each.last.name.startswith("heads.")])
    main = [layer for layer in layers if id(layer) in answering]
    followed = {id(each) for layer in layers for each in before[id(layer)]}
    for layer in layers:
        layer.final = id(layer) not in followed
    asides: dict[int, list[Layer]] = {}
    place = {id(layer): number for number, layer in enumerate(main)}
    for layer in layers:
        if id(layer) not in answering:
            start = _start(layer, before, answering)
            if start is not None:
                asides.setdefault(id(start), []).append(layer)
    edges = {id(layer): [each for each in before[id(layer)] if id(each) in place] for layer in main}
    return _folded(_arranged(main, edges, asides, before))


def _layers(trace: Trace) -> tuple[list[Layer], dict[int, list[Layer]]]:
    """All layers in the order of their calls, the inputs first, and which come before each, by identity."""
    steps = [*trace.inputs.values(), *trace.steps]
    followers: dict[int, int] = {}
    for step in steps:
        for each in step.before:
            followers[id(each)] = followers.get(id(each), 0) + 1
    of: dict[int, Layer] = {}
    layers: list[Layer] = []
    before: dict[int, list[Layer]] = {}
    for step in steps:
        known = [each for each in step.before if id(each) in of]
        if len(known) == 1 and followers[id(known[0])] == 1 and _is_small(step, known[0]):
            of[id(step)] = of[id(known[0])]
            of[id(step)].after.append(step)
            continue
        layer = of[id(step)] = Layer(step)
        layers.append(layer)
        before[id(layer)] = list({id(of[id(each)]): of[id(each)] for each in known}.values())
    return layers, before


def _is_small(step: Step, previous: Step) -> bool:
    module = step.module
    if module is None or step.shape != previous.shape or (previous.module is None and not previous.before):
        return False
    if isinstance(module, _BatchNorm | nn.LayerNorm | nn.GroupNorm):
        return previous.module is not None  # of a sum it is rather the next layer's first
    return not list(module.parameters()) and not hasattr(module, "kernel_size")


def _reaching(layers: Sequence[Layer], before: dict[int, list[Layer]], ends: Iterable[Layer]) -> set[int]:
    """The layers from which an end is reached, by identity."""
    found: set[int] = set()
    waiting = list(ends)
    while waiting:
        layer = waiting.pop()
        if id(layer) not in found:
            found.add(id(layer))
            waiting += before[id(layer)]
    return found


def _start(layer: Layer, before: dict[int, list[Layer]], main: set[int]) -> Layer | None:
    """The layer on the way to the answer at which a layer beside it has its origin."""
    for each in before[id(layer)]:
        found = each if id(each) in main else _start(each, before, main)
        if found is not None:
            return found
    return None


Edges = dict[int, list[Layer]]


def _arranged(layers: list[Layer], edges: Edges, asides: dict[int, list[Layer]], before: Edges) -> Series:
    """Layers in a topological order as a series of those through which every way leads, and what is between them."""
    place = {id(layer): number for number, layer in enumerate(layers)}
    spans = [(place.get(id(each), -1), number) for number, layer in enumerate(layers) for each in edges[id(layer)]]
    spans += [(-1, number) for number, layer in enumerate(layers) if not edges[id(layer)]]
    followed = {start for start, _ in spans}
    spans += [(number, len(layers)) for number in range(len(layers)) if number not in followed]
    stops = [number for number in range(len(layers)) if not any(start < number < end for start, end in spans)]
    items: list[Layer | SideBySide | Repeated | Aside] = []
    for start, end in zip([-1, *stops], [*stops, len(layers)], strict=True):
        between = layers[start + 1 : end]
        if between:
            passed = (start, end) in spans
            items += _between(between, edges, asides, before, passed=passed)
        if end < len(layers):
            items.append(layers[end])
            if id(layers[end]) in asides:
                items += _beside(asides[id(layers[end])], before)
    return Series(items)


def _beside(layers: list[Layer], before: Edges) -> list[Layer | SideBySide | Repeated | Aside]:
    own = {id(layer) for layer in layers}
    edges = {id(layer): [each for each in before[id(layer)] if id(each) in own] for layer in layers}
    return [Aside(_arranged(layers, edges, {}, before))]


def _between(
    layers: list[Layer], edges: Edges, asides: dict[int, list[Layer]], before: Edges, *, passed: bool
) -> list[Layer | SideBySide | Repeated | Aside]:
    """What lies between two stops: branches, or, where they are entangled, layers in the order of their calls."""
    groups = _connected(layers, edges)
    if len(groups) == 1 and not passed:
        reduced = _reduced(layers, edges)
        if reduced == edges:
            return list(layers)
        return list(_arranged(layers, reduced, asides, before).items)
    inside = [{id(layer) for layer in group} for group in groups]
    branches = [
        _arranged(group, {id(layer): [e for e in edges[id(layer)] if id(e) in own] for layer in group}, asides, before)
        for group, own in zip(groups, inside, strict=True)
    ]
    names = {layer.step.block for layer in layers if layer.step.module is not None}
    name = names.pop() if len(names) == 1 else ""
    for item in (item for branch in branches for item in branch.items):
        if isinstance(item, SideBySide) and item.name == name:
            item.name = ""  # said once, of the outer one
    return [SideBySide([*branches, *([Series([])] if passed else [])], name)]


def _connected(layers: list[Layer], edges: Edges) -> list[list[Layer]]:
    """The layers in groups between which nothing leads."""
    group = {id(layer): number for number, layer in enumerate(layers)}
    for layer in layers:
        for each in edges[id(layer)]:
            if id(each) in group and group[id(each)] != group[id(layer)]:
                old, new = group[id(layer)], group[id(each)]
                group = {key: new if value == old else value for key, value in group.items()}
    return [[layer for layer in layers if group[id(layer)] == number] for number in dict.fromkeys(group.values())]


def _reduced(layers: list[Layer], edges: Edges) -> Edges:
    """Edges without those that only shorten a longer way."""
    above: dict[int, set[int]] = {}
    for layer in layers:
        above[id(layer)] = {id(each) for each in edges[id(layer)]}.union(
            *(above.get(id(each), set()) for each in edges[id(layer)])
        )
    own = {id(layer) for layer in layers}
    ended = {key for layer in layers for key in above[id(layer)]}
    return {
        id(layer): [
            each
            for each in edges[id(layer)]
            if not any(id(each) in above.get(id(other), set()) for other in edges[id(layer)])
        ]
        for layer in layers
        if id(layer) in own or id(layer) in ended
    }


def _folded(series: Series) -> Series:
    """The series with each pattern that repeats at once only once, and how often it comes."""
    items = [
        SideBySide([_folded(branch) for branch in item.branches], item.name)
        if isinstance(item, SideBySide)
        else Aside(_folded(item.layers))
        if isinstance(item, Aside)
        else item
        for item in series.items
    ]
    signs = [_sign(item) for item in items]
    made: list[Layer | SideBySide | Repeated | Aside] = []
    start = 0
    while start < len(items):
        length, times = (1, 1) if _is_merge(items[start]) else _pattern(signs, start)
        if times > 1:
            made.append(Repeated(_nameless(Series(items[start : start + length])), times))
        else:
            made.append(items[start])
            length = 1
        start += length * times
    return Series(made)


def _nameless(series: Series) -> Series:
    """Without the names of blocks: of a pattern each time another one would be right."""
    return Series([SideBySide(item.branches) if isinstance(item, SideBySide) else item for item in series.items])


def _is_merge(item: Layer | SideBySide | Repeated | Aside) -> bool:
    """Whether it ends what is side by side, and so begins no pattern."""
    return isinstance(item, Layer) and len(item.step.before) > 1


def _pattern(signs: list[object], start: int) -> tuple[int, int]:
    """The length of the pattern that begins here and repeats over the most items, and how often it comes."""
    best = (1, 1)
    for length in range(1, min(_LONGEST_PATTERN, (len(signs) - start) // 2) + 1):
        times = 1
        while signs[start + times * length : start + (times + 1) * length] == signs[start : start + length]:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _sign(item: Layer | SideBySide | Repeated | Aside) -> object:
    """What must be equal where two items are the same."""
    if isinstance(item, Layer):
        kinds = [repr(each.module) if each.module is not None else each.name for each in (item.step, *item.after)]
        return (*kinds, item.step.shape, item.parameters)
    if isinstance(item, SideBySide):
        return tuple(("branch", *map(_sign, branch.items)) for branch in item.branches)
    if isinstance(item, Aside):
        return ("aside", *map(_sign, item.layers.items))
    return (item.times, *map(_sign, item.pattern.items))
