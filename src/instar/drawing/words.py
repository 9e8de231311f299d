"""What a layer is called on a drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from instar.drawing.tracing import Step

_CROSS = " \N{MULTIPLICATION SIGN} "
_MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_MEANS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_TO_A_SIZE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
_SHORT = {"ReLU": "rectified", "GELU": "GELU", "SiLU": "SiLU", "ELU": "ELU", "SELU": "SELU"}


def title(step: Step) -> str:
    """A layer in a few words: ``3 × 3 convolution, stride 2``."""
    module = step.module
    if module is None:
        what, _, name = step.name.partition("/")
        return f"subwords of {name}" if what == "subwords" else name or what
    if isinstance(module, _ConvNd):
        alone = module.groups > 1 and module.groups == module.in_channels
        grouped = "" if module.groups == 1 else " of each map" if alone else f" in {module.groups} groups"
        return f"{_sizes(module.kernel_size)} convolution{grouped}{_stride(module.stride)}"
    if isinstance(module, (*_MAXIMA, *_MEANS)):
        what = "largest of" if isinstance(module, _MAXIMA) else "mean of"
        return f"{what} {_sizes(_tuple(module.kernel_size, step))}{_stride(_tuple(module.stride, step))}"
    if isinstance(module, _TO_A_SIZE):
        size = _tuple(module.output_size, step)
        return "mean over all cells" if set(size) == {1} else f"means down to {_sizes(size)}"
    if isinstance(module, nn.Linear):
        return "dense"
    if isinstance(module, nn.Embedding):
        return f"vectors of {module.num_embeddings:,} symbols"
    if isinstance(module, nn.RNNBase):
        return f"{module.mode.partition('_')[0]}{', both ways' if module.bidirectional else ''}"
    if isinstance(module, _BatchNorm | nn.LayerNorm | nn.GroupNorm):
        return "normalization"
    return _in_words(module)


def small(steps: Iterable[Step]) -> str:
    """What follows a layer and keeps its shape: ``normalization, rectified``."""
    return ", ".join(title(step) for step in steps)


def shape(step: Step) -> str:
    return _CROSS.join(f"{size:,}" for size in step.shape)


def _in_words(module: nn.Module) -> str:
    if isinstance(module, nn.Dropout):
        return f"dropout {module.p:g}"
    name = type(module).__name__
    if name in _SHORT:
        return _SHORT[name]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip("_").removesuffix("Head").removesuffix("2d")).lower()


def _tuple(size: object, step: Step) -> tuple[int, ...]:
    if isinstance(size, tuple):
        return size
    assert isinstance(size, int)
    return (size,) * (len(step.shape) - 1)


def _sizes(size: Iterable[int]) -> str:
    return _CROSS.join(map(str, size))


def _stride(stride: Iterable[int]) -> str:
    strides = tuple(stride)
    if set(strides) == {1}:
        return ""
    return f", stride {strides[0] if len(set(strides)) == 1 else _sizes(strides)}"
