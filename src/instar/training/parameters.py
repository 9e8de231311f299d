"""All of a network's trainable numbers in one buffer, so that what is done to each of them is one operation.

A small network's step is bound by the number of operations and not by their size: the optimizer, the norm of the
gradient, clipping, decay, averaging and snapshots each touch one tensor here instead of one per parameter.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn

# Every parameter starts at a multiple of 64 bytes, as it would in memory of its own: kernels may take another path,
# and round otherwise, where memory is not aligned.
_ALIGNMENT = 16


class FlatParameters:
    """The trainable parameters of a network, laid out one after another, and their gradients beside them.

    weights: (n,) float32, the parameters are windows into it; ``weights.grad`` is ``gradient``.
    gradient: (n,) float32, backward passes add to it.
    decayed: (d,) the part of ``weights`` that regularizers of the weights apply to (no biases, no norms).
    matrices: the weights of hidden linear and convolutional layers as matrices, the first part of ``weights``.
    others: the part of ``weights`` after them.
    buffers: the network's other tensors by name (running statistics, for example); they are its own, not copies.
        Parameters that never learn are not among them: nothing changes them.
    layout: hex digits that differ for networks whose parameters are laid out otherwise.

    The network must not be moved or replaced in parts until `release`.
    """

    def __init__(self, network: nn.Module) -> None:
        trained = {name: each for name, each in network.named_parameters() if each.requires_grad}
        decayed = {id(each) for each in decayed_parameters(network)}
        hidden = {id(each) for each in hidden_matrices(network)} & decayed
        # False sorts first: matrices, then what else is decayed, then the rest.
        self._trained = dict(
            sorted(trained.items(), key=lambda item: (id(item[1]) not in hidden, id(item[1]) not in decayed))
        )
        starts, size = [], 0
        for each in self._trained.values():
            starts.append(size)
            size += math.ceil(each.numel() / _ALIGNMENT) * _ALIGNMENT
        device = next(iter(self._trained.values())).device if self._trained else None
        weights = torch.zeros(size, device=device)
        self.gradient = torch.zeros(size, device=device)
        self.matrices: list[Tensor] = []
        channels_last = has_convolutions(network)
        end_of_matrices = end_of_decayed = 0
        for each, start in zip(self._trained.values(), starts, strict=True):
            window = _window(weights, start, each.shape, channels_last)
            window.copy_(each.detach())
            each.data = window
            each.grad = _window(self.gradient, start, each.shape, channels_last)
            end = start + math.ceil(each.numel() / _ALIGNMENT) * _ALIGNMENT
            if id(each) in hidden:
                rows, columns = len(each), each.numel() // len(each)
                self.matrices.append(_leaf(weights, self.gradient, start, (rows, columns)))
                end_of_matrices = end
            if id(each) in decayed:
                end_of_decayed = end
        self.weights = _leaf(weights, self.gradient, 0, (size,))
        self.decayed = weights[:end_of_decayed]
        self.others = _leaf(weights, self.gradient, end_of_matrices, (size - end_of_matrices,))
        own = {id(each) for each in self._trained.values()}
        self.buffers = {
            name: each
            for name, each in network.state_dict(keep_vars=True).items()
            if id(each) not in own and not isinstance(each, nn.Parameter)
        }
        described = [(name, tuple(each.shape)) for name, each in self._trained.items()]
        self.layout = hashlib.sha256(repr((described, sorted(self.buffers), channels_last)).encode()).hexdigest()[:16]

    def release(self) -> None:
        """Give each parameter memory of its own again, in the usual order, and no gradient."""
        for each in self._trained.values():
            each.data = each.detach().clone(memory_format=torch.contiguous_format)
            each.grad = None


def decayed_parameters(network: nn.Module) -> list[nn.Parameter]:
    """What decay applies to: what the network says itself, or else every parameter of two or more axes."""
    say = getattr(network, "decayed_parameters", None)
    if say is not None:
        return list(say())
    return [each for each in network.parameters() if each.ndim >= 2]


def hidden_matrices(network: nn.Module) -> list[Tensor]:
    """The weights of linear and convolutional layers without those of the heads (Jordan et al. 2024)."""
    heads = {id(each) for name, each in network.named_parameters() if name.startswith("heads.")}
    layers = [each for each in network.modules() if isinstance(each, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    return [layer.weight for layer in layers if id(layer.weight) not in heads and min(layer.weight.shape[:2]) > 1]


def has_convolutions(network: nn.Module) -> bool:
    """Whether pictures should lie in memory with the channel last, which is about three times faster."""
    return any(isinstance(each, nn.Conv2d) for each in network.modules())


def _window(buffer: Tensor, start: int, shape: torch.Size, channels_last: bool) -> Tensor:
    part = buffer[start : start + math.prod(shape)]
    if channels_last and len(shape) == 4:
        out, channels, height, width = shape
        return part.view(out, height, width, channels).permute(0, 3, 1, 2)
    return part.view(shape)


def _leaf(weights: Tensor, gradient: Tensor, start: int, shape: tuple[int, ...]) -> Tensor:
    """A part of the weights that an optimizer takes for a parameter; apart from the others for autograd."""
    end = start + math.prod(shape)
    leaf = weights.data[start:end].view(shape).requires_grad_(True)
    leaf.grad = gradient[start:end].view(shape)
    return leaf
