"""Which network is made of what: decided from shapes, answers and what a person named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from instar.errors import UsageError
from instar.networks._sequences import are_letters
from instar.networks.base import NetworkSpecification, networks
from instar.networks.decoders import WritingSettings
from instar.networks.heads import HeadSettings
from instar.networks.plans import Part, Plan
from instar.networks.rebuilding import RebuildingSettings
from instar.patches import Patches
from instar.settings import Settings, build
from instar.shapes import (
    Anomaly,
    Answer,
    Continuation,
    Forecast,
    Grid,
    Mapped,
    Picture,
    Shape,
    Symbols,
    Tokens,
    Vector,
    aligned,
    continued_from,
    mapped_from,
)

DEFAULT_FOR_ROWS = "tabm"
DEFAULT_FOR_GRIDS = "resnet"
DEFAULT_FOR_SERIES = "inception-time"
DEFAULT_FOR_WORDS = "embedding-bag"
DEFAULT_FOR_LETTERS = "text-cnn"
DEFAULT_FOR_WRITING = "transformer"
DEFAULT_FOR_MAPS = "unet"
# What rebuilds must know where something was, which the mean over a resnet's cells no longer tells.
DEFAULT_FOR_REBUILDING = {DEFAULT_FOR_ROWS: "mlp", DEFAULT_FOR_GRIDS: "lenet"}
DEFAULT_FOR_CONTINUING = "lstm-lm"
DEFAULT_FOR_PRETRAINED = "bert"
DEFAULT_FOR_COURSES = "tabm"
# Of those that are asked step after step, for pictures and for all else.
QUICK_FOR_PICTURES, QUICK = "lenet", "mlp"


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
    for name, shape in bodies(inputs, mapped):
        chosen[name], reason = _default(name, shape)
        if _rebuilds(answers):
            chosen[name] = DEFAULT_FOR_REBUILDING.get(chosen[name], chosen[name])
        if name is not None and name == reader and networks[DEFAULT_FOR_WRITING].takes(shape):
            chosen[name] = DEFAULT_FOR_WRITING
        if _continues(answers):
            chosen[name] = DEFAULT_FOR_CONTINUING
        if name is not None and name == mapped:
            stacked = " and ".join(map(repr, aligned(inputs, name)))
            chosen[name], reason = DEFAULT_FOR_MAPS, f"{stacked}, of whose every cell something is to be said"
        reasons.append(f"{chosen[name]} for {reason}")
    learned = "" if rows is None else f", learned from {rows:,} examples"
    return chosen, "; ".join(reasons) + learned + "."


def _default(name: str | None, shape: Shape) -> tuple[str, str]:
    """The default network for a body, and for what it is, with the reason."""
    if isinstance(shape, Tokens) and shape.encoder is not None:
        return DEFAULT_FOR_PRETRAINED, f"{name!r}, with what {PurePath(shape.encoder.source).name} knows of texts"
    if isinstance(shape, Tokens):
        network = DEFAULT_FOR_LETTERS if are_letters(shape) else DEFAULT_FOR_WORDS
        return network, f"{name!r}, a sequence of up to {shape.length:,} of {shape.vocabulary:,} symbols"
    if isinstance(shape, Grid) and shape.ahead:
        history = shape.extent[0] - shape.ahead
        return DEFAULT_FOR_COURSES, f"{name!r}, {history:,} steps of history and {shape.ahead:,} ahead"
    if isinstance(shape, Grid) and min(shape.extent) >= networks[DEFAULT_FOR_GRIDS].smallest:
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
    enlarging: Mapping[str, str] | None = None,
) -> Plan:
    """Decide on bodies, settings and heads. ``enlarging``: settings of the longest extent, of inputs or of the patches
    in which they are seen, by input.

    A network that is named becomes every body that it can be; a network for Vector takes a Grid flattened, and where
    one for Grid is named, the row beside it has the default. A setting reaches every body that declares it.

    Raises UsageError where a named network does not fit, and SettingError for a setting that none of its bodies and
    heads declares.
    """
    if not any(True for _ in bodies(inputs)):
        raise UsageError("There is nothing to learn from: no input is left beside the target")
    written = tuple(answers.values())
    if any(isinstance(answer, Forecast) for answer in written) and continued_from(inputs) is None:
        raise UsageError(
            "A forecast continues a course, and there is none among the inputs",
            remedy="Have it made of a table whose rows are steps: --forecast STEPS --steps TIME",
        )
    mapped = _mapped(inputs, written)
    Patches.among(inputs, answers)  # refuses what does not fit
    chosen, why = _named(inputs, name, mapped) if name is not None else choose(inputs, rows, written)
    if mapped is not None and not networks[chosen[mapped]].maps:
        raise UsageError(
            f"The network {chosen[mapped]!r} gives no picture: it makes a few numbers of {mapped!r}, and none for each "
            "of its cells",
            remedy=f"Use the network {DEFAULT_FOR_MAPS!r}",
        )
    for input_name, shape in bodies(inputs, mapped):
        setting = (enlarging or {}).get(str(input_name))
        check_extent(input_name, shape, chosen[input_name], setting, whole=inputs.get(str(input_name)))
    if _continues(written):
        _check_continued(inputs, answers, chosen)
    groups = _groups(inputs, chosen, name, written)
    filled = build(groups, given or {})
    parts = tuple(Part(grid, network, filled[networks[network].settings]) for grid, network in chosen.items())
    writer = None
    if _writes(written):
        reader, network = _writer(inputs, chosen)
        writer = Part(reader, network, filled[networks[network].settings])
    head, writing = filled.get(HeadSettings, HeadSettings()), filled.get(WritingSettings, WritingSettings())
    rebuilding = filled.get(RebuildingSettings, RebuildingSettings())
    assert isinstance(head, HeadSettings) and isinstance(writing, WritingSettings)
    assert isinstance(rebuilding, RebuildingSettings)
    return Plan(parts, head, writing, writer, mapped, rebuilding, why)


def quick_plan(inputs: Mapping[str, Shape], answers: Mapping[str, Answer], given: Mapping[str, Any]) -> Plan:
    """`plan` where nobody named a network, and what plays asks it at every step of every episode."""
    least = networks[QUICK_FOR_PICTURES].smallest
    pictures = any(isinstance(shape, Grid) and min(shape.extent) >= least for shape in inputs.values())
    name = QUICK_FOR_PICTURES if pictures else QUICK
    chosen = plan(inputs, answers, name, given)
    return replace(chosen, why=f"{name}, which answers quickly: it is asked at every step of every episode.")


def setting_groups(
    inputs: Mapping[str, Shape], name: str | None = None, answers: Sequence[Answer] = ()
) -> tuple[type[Settings], ...]:
    """The groups of settings that `plan` takes values for."""
    mapped = _mapped(inputs, answers)
    chosen = _named(inputs, name, mapped)[0] if name is not None else choose(inputs, answers=answers)[0]
    return _groups(inputs, chosen, name, answers)


def _groups(
    inputs: Mapping[str, Shape], chosen: Mapping[str | None, str], name: str | None, answers: Sequence[Answer]
) -> tuple[type[Settings], ...]:
    own_head = name is not None and networks[name].head is not None
    groups = [networks[network].settings for network in chosen.values()]
    if not own_head and not all(
        isinstance(answer, Symbols | Picture | Anomaly | Continuation | Forecast) for answer in answers or (None,)
    ):
        groups.append(HeadSettings)
    if _rebuilds(answers):
        groups.append(RebuildingSettings)
    if _writes(answers):
        groups += [networks[_writer(inputs, chosen)[1]].settings, WritingSettings]
    return tuple(dict.fromkeys(groups))


def _writes(answers: Sequence[Answer]) -> bool:
    return any(isinstance(answer, Symbols) for answer in answers)


def _rebuilds(answers: Sequence[Answer]) -> bool:
    return any(isinstance(answer, Anomaly) for answer in answers)


def _continues(answers: Sequence[Answer]) -> bool:
    return any(isinstance(answer, Continuation) for answer in answers)


def _check_continued(
    inputs: Mapping[str, Shape], answers: Mapping[str, Answer], chosen: Mapping[str | None, str]
) -> None:
    """Raises UsageError where a sequence is not continued from itself alone, or the network cannot."""
    if list(inputs) != list(answers) or len(inputs) != 1 or not isinstance(next(iter(inputs.values())), Tokens):
        raise UsageError("A sequence is continued from itself alone, and there are other inputs or answers beside it")
    network = next(iter(chosen.values()))
    if not networks[network].continues:
        able = [name for name, each in networks.items() if each.continues]
        raise UsageError(
            f"The network {network!r} continues nothing: it looks at a sequence as a whole",
            remedy=f"Use the network {', '.join(able[:-1])} or {able[-1]}",
        )


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


def _named(inputs: Mapping[str, Shape], name: str, mapped: str | None) -> tuple[dict[str | None, str], str]:
    specification = networks[name]
    chosen: dict[str | None, str] = {}
    for input_name, shape in bodies(inputs, mapped):
        fits = specification.takes(shape) or specification.takes(flattened(shape))
        chosen[input_name] = name if fits else _default(input_name, shape)[0]
    if name not in chosen.values() and Tokens in specification.shapes:
        _check_pretrained(inputs, specification)
    if name not in chosen.values():
        raise UsageError(
            f"The network {name!r} takes {_in_words(specification)}, and there is nothing such among the inputs",
            remedy=f"Use another network, for example {next(iter(chosen.values()))!r}",
        )
    return chosen, f"{name}, as asked: {specification.idea}."


def check_extent(
    input_name: str | None,
    shape: Shape,
    network: str,
    enlarging: str | None = None,
    whole: Shape | None = None,
) -> None:
    """Raises UsageError where a grid is too small for its network.

    ``whole``: the input, of which ``shape`` is what is seen at a time. ``enlarging``: a setting of the longest extent
    of that.
    """
    specification = networks[network]
    least = specification.smallest
    if not isinstance(shape, Grid) or not specification.takes(shape) or min(shape.extent) >= least:
        return
    in_patches = isinstance(whole, Grid) and bool(whole.patch) and min(whole.extent) >= least
    what = f"the patches of {input_name!r}" if in_patches else f"those of {input_name!r}"
    # A multiple of 8 along the shortest axis is one that no rounding takes away.
    shortest = 8 * math.ceil(least / 8)
    if in_patches:
        remedy = "Have larger patches seen" + ("" if enlarging is None else f" with --set {enlarging}={shortest}")
    elif isinstance(whole, Grid) and whole.patch:
        shape, remedy = whole, "Use larger ones"
    elif enlarging is not None:
        longest = 8 * math.ceil(shortest * max(shape.extent) / min(shape.extent) / 8)
        remedy = f"Have them read larger with --set {enlarging}={longest}"
    else:
        remedy = "Use larger ones"
    other = _default(input_name, shape)[0]
    if networks[other].maps or not specification.maps:
        remedy += f", or use another network, such as {other!r}"
    raise UsageError(
        f"The network {network!r} takes grids of at least {least} cells an axis, and {what} have "
        f"{' x '.join(map(str, shape.extent))}",
        remedy=remedy,
    )


def _check_pretrained(inputs: Mapping[str, Shape], specification: NetworkSpecification) -> None:
    """Raises UsageError where a network is named that a setting goes with, or the other way round."""
    encoders = [shape.encoder for shape in inputs.values() if isinstance(shape, Tokens)]
    if specification.pretrained and encoders:
        raise UsageError(
            f"The network {specification.name!r} learns on from pretrained weights, and it is not said from which",
            remedy="Say it for the texts with --set pretrained=minilm, or leave out --network",
        )
    if any(encoders):
        raise UsageError(
            f"The network {specification.name!r} cannot take over pretrained weights",
            remedy=f"Leave out --network, which is {DEFAULT_FOR_PRETRAINED!r} then, or the setting pretrained",
        )


def _in_words(specification: NetworkSpecification) -> str:
    words = {Vector: "rows of numbers", Grid: "grids, such as pictures", Tokens: "sequences, such as texts"}
    named = [text for shape, text in words.items() if shape in specification.shapes]
    if Grid in specification.shapes and len(specification.axes) < 3:
        axes = " or ".join(map(str, specification.axes)) + (" axes" if specification.axes != (1,) else " axis")
        named = [text.replace("grids, such as pictures", f"grids of {axes}") for text in named]
    return " and ".join(named)


def bodies(inputs: Mapping[str, Shape], mapped: str | None = None) -> Iterator[tuple[str | None, Shape]]:
    """The joined Vector inputs under None, then each Grid and Tokens under its name.

    Where answers are made of the grid ``mapped``, those that are aligned with it are further channels of it. Of what is
    seen a patch at a time, a body is one for patches.
    """
    stacked = {} if mapped is None else aligned(inputs, mapped)
    row = sum((shape for shape in inputs.values() if isinstance(shape, Vector)), Vector())
    if row != Vector():
        yield None, row
    for name, shape in inputs.items():
        if name == mapped:
            yield name, replace(stacked[name].seen, channels=sum(each.channels for each in stacked.values()))
        elif not isinstance(shape, Vector) and name not in stacked:
            yield name, shape.seen if isinstance(shape, Grid) else shape


def flattened(shape: Shape) -> Shape:
    """A grid as a row; anything else as it is."""
    return Vector(shape.size) if isinstance(shape, Grid) else shape
