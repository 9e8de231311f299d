"""Heads: from a body's features to an answer, and from answer and target to a loss.

Each loss is divided by the loss of the best constant answer, so that several targets weigh the same. Missing targets
are left out, and a row's ``weight`` (B,) counts it so many times. Where the body is an ensemble, every member has
output weights of its own; a training step's loss is the mean of the members' losses, so that each learns by itself,
and the answer is the mean of the members' answers (Gorishniy, Kotelnikov & Babenko 2025).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.errors import UsageError
from instar.networks.base import Head
from instar.settings import Settings, setting
from instar.shapes import Amounts, Answer, Choice, Several

_LEAST = 1e-12


@dataclass(frozen=True)
class HeadSettings(Settings):
    class_weights: str = setting(
        "none",
        "whether rare classes weigh more in the loss: balanced weighs each class, and whether a label is there or not, "
        "by the inverse of its frequency",
        choices=("none", "balanced"),
        source="King & Zeng 2001",
    )
    label_smoothing: float = setting(
        0.0,
        "share of a target that is spread over all classes, or over having a label and not having it",
        minimum=0,
        maximum=0.9,
        source="Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2016",
    )


class MemberLinear(nn.Module):
    """A dense layer for each member of an ensemble: (B, members, width) to (B, members, outputs)."""

    decayed = ("weight",)

    def __init__(self, members: int, width: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(members, width, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, outputs))

    def forward(self, features: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[:, None], features.transpose(0, 1), self.weight).transpose(0, 1)


def output_layer(width: int, members: int | None, outputs: int) -> nn.Linear | MemberLinear:
    """A dense layer from features of such a width, its thresholds at 0."""
    if members is not None:
        return MemberLinear(members, width, outputs)
    layer = nn.Linear(width, outputs)
    nn.init.zeros_(layer.bias)
    return layer


class ChoiceHead(Head):
    """Cross entropy over softmax probabilities; features to logits (B, classes) or (B, members, classes).

    A target is (B,) int64, -1 where missing, or soft, (B, classes), where examples are mixed: a row's sum is then how
    much of it is known.
    """

    def __init__(self, width: int, members: int | None, answer: Choice, settings: HeadSettings) -> None:
        super().__init__()
        self.classes = answer.classes
        self.smoothing = settings.label_smoothing
        counts, classes = answer.counts, answer.classes
        self.class_weights = None
        if settings.class_weights == "balanced":
            # Their mean over the training rows is 1, so that a batch's loss is divided by its rows and not its luck.
            # A class without rows has no frequency, and an ordinary weight.
            evenly = sum(counts) / max(1, classes - counts.count(0))
            self.class_weights = [evenly / count if count else 1.0 for count in counts]
        # A class without rows is as likely as if it had one: never impossible, since it is known to exist.
        weights = self.class_weights or [1.0] * classes
        expected = [max(count, 1) * weight for count, weight in zip(counts, weights, strict=True)]
        prior = [share / sum(expected) for share in expected]
        self.constant_loss = -sum(share * math.log(share) for share in prior) or 1.0
        self.output = output_layer(width, members, classes)
        with torch.no_grad():
            # The first loss is then the constant answer's, and no step is spent on learning the classes' frequencies.
            self.output.bias.copy_(torch.tensor([math.log(share) for share in prior]).expand_as(self.output.bias))

    def forward(self, features: Tensor) -> Tensor:
        return self.output(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        smoothing = self.smoothing if self.training else 0.0
        if outputs.dim() == 3 and not self.training:
            outputs = self._log_probabilities(outputs)
        if outputs.dim() == 3:
            members = outputs.shape[1]
            outputs, target = outputs.flatten(0, 1), target.repeat_interleave(members, 0)
            weight = None if weight is None else weight.repeat_interleave(members, 0)
        class_weights = None if self.class_weights is None else outputs.new_tensor(self.class_weights)
        if target.dim() == 2:
            losses, known = self._soft_losses(outputs, target, class_weights, smoothing)
        else:
            # Without weights the sum is taken inside, since each small operation counts in a small network's step.
            losses = F.cross_entropy(
                outputs,
                target,
                class_weights,
                ignore_index=-1,
                reduction="sum" if weight is None else "none",
                label_smoothing=smoothing,
            )
            known = target >= 0
        if weight is not None:
            losses, known = losses * weight, known * weight
        total = losses.sum() if losses.dim() else losses
        return total / known.sum().clamp(min=_LEAST).mul(self.constant_loss)

    def _soft_losses(
        self, outputs: Tensor, target: Tensor, class_weights: Tensor | None, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Each row's loss (B,), and how much of its target is known (B,)."""
        target = target.nan_to_num()
        known = target.sum(1)
        target = target * (1 - smoothing) + known[:, None] * (smoothing / self.classes)
        target = target if class_weights is None else target * class_weights
        return -(target * F.log_softmax(outputs, 1)).sum(1), known

    @staticmethod
    def _log_probabilities(outputs: Tensor) -> Tensor:
        """Of the mean of the members' probabilities: (B, members, classes) to (B, classes)."""
        return outputs.log_softmax(2).logsumexp(1) - math.log(outputs.shape[1])

    def answer(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1) if outputs.dim() == 2 else outputs.softmax(2).mean(1)

    def soften(self, target: Tensor) -> Tensor:
        return _one_hot(target, self.classes)


class SeveralHead(Head):
    """Cross entropy of each label by itself; features to logits (B, labels) or (B, members, labels).

    A target is (B, labels) from 0 to 1, so that examples can be mixed, and NaN in the rows in which it is missing.
    """

    def __init__(self, width: int, members: int | None, answer: Several, settings: HeadSettings) -> None:
        super().__init__()
        self.smoothing = settings.label_smoothing
        # A label that no row has, or every row, is as likely as if there were one row that is otherwise.
        rows = max(answer.rows, 2)
        prior = [min(max(count, 1), rows - 1) / rows for count in answer.counts]
        self.weights: list[tuple[float, float]] | None = None
        if settings.class_weights == "balanced":
            # Of having the label and of not having it; their mean over the training rows is 1. What never varies has
            # an ordinary weight.
            varies = [0 < count < rows for count in answer.counts]
            self.weights = [
                (0.5 / share, 0.5 / (1 - share)) if each else (1.0, 1.0)
                for share, each in zip(prior, varies, strict=True)
            ]
            prior = [0.5 if each else share for share, each in zip(prior, varies, strict=True)]
        self.constant_loss = -sum(share * math.log(share) + (1 - share) * math.log1p(-share) for share in prior)
        self.output = output_layer(width, members, answer.labels)
        with torch.no_grad():
            log_odds = torch.tensor([math.log(share / (1 - share)) for share in prior])
            self.output.bias.copy_(log_odds.expand_as(self.output.bias))

    def forward(self, features: Tensor) -> Tensor:
        return self.output(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        known = (~target[:, 0].isnan()).to(outputs.dtype)
        known = known if weight is None else known * weight
        target = target.nan_to_num()
        if self.training and self.smoothing:
            target = target * (1 - self.smoothing) + self.smoothing / 2
        having, lacking = (F.logsigmoid(outputs), F.logsigmoid(-outputs))
        if outputs.dim() == 3 and not self.training:
            members = math.log(outputs.shape[1])
            having, lacking = having.logsumexp(1) - members, lacking.logsumexp(1) - members
        elif outputs.dim() == 3:
            target = target[:, None]
        if self.weights is not None:
            weights = outputs.new_tensor(self.weights)
            having, lacking = having * weights[:, 0], lacking * weights[:, 1]
        losses = -(target * having + (1 - target) * lacking).sum(-1)
        losses = losses.mean(1) if losses.dim() == 2 else losses
        return (losses * known).sum() / known.sum().clamp(min=_LEAST).mul(self.constant_loss)

    def answer(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid() if outputs.dim() == 2 else outputs.sigmoid().mean(1)

    def soften(self, target: Tensor) -> Tensor:
        return target


class AmountsHead(Head):
    """Squared error; features to (B, width) or (B, members, width). A target is (B, width), NaN where missing.

    Its field has scaled the target to variance 1 on training rows, which is the loss of the constant answer.
    """

    def __init__(self, width: int, members: int | None, answer: Amounts) -> None:
        super().__init__()
        self.output = output_layer(width, members, answer.width)

    def forward(self, features: Tensor) -> Tensor:
        return self.output(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        known = ~target.isnan()
        target = target.nan_to_num()
        if outputs.dim() == 3:
            outputs = outputs if self.training else outputs.mean(1, keepdim=True)
            squares = (outputs - target[:, None]).square().mean(1)
        else:
            squares = (outputs - target).square()
        counted = known.to(squares.dtype) if weight is None else known * weight[:, None]
        return (squares * counted).sum() / counted.sum().clamp(min=_LEAST)

    def answer(self, outputs: Tensor) -> Tensor:
        return outputs if outputs.dim() == 2 else outputs.mean(1)

    def soften(self, target: Tensor) -> Tensor:
        return target


class PerceptronHead(Head):
    """Threshold neurons that learn by the perceptron's rule (Rosenblatt 1958): (B, width) to sums (B, neurons).

    One neuron decides between two classes; of more classes each has one, and the largest sum wins. The threshold is a
    weight like the others, on an input that is always -1 (Werbos 1974), and all weights begin at 0.

    The criterion counts only wrongly answered rows: -t * sum for one neuron, where t is -1 or 1, and the winner's sum
    less the right class's for several (Kesler's construction; Duda & Hart 1973). Its gradient step at rate 1 and batch
    1 is the rule itself: add the input to the neuron that should have fired, take it from the one that should not. In
    eval mode the loss is the share of wrong answers over that of the best constant one.
    """

    decayed = ("weight",)

    def __init__(self, width: int, answer: Answer) -> None:
        super().__init__()
        if not isinstance(answer, Choice):
            several = isinstance(answer, Several)
            raise UsageError(
                f"A perceptron answers yes or no and cannot {'name several labels' if several else 'give an amount'}",
                remedy=f"For {'labels' if several else 'a number'} use the network 'linear' or another one",
            )
        self.classes = answer.classes
        self.constant_loss = 1 - max(answer.counts) / max(sum(answer.counts), 1) or 1.0
        self.weight = nn.Parameter(torch.zeros(1 if answer.classes == 2 else answer.classes, width + 1))

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(torch.cat([features, features.new_full((len(features), 1), -1.0)], 1), self.weight)

    def _winner(self, sums: Tensor) -> Tensor:
        return sums.argmax(1) if sums.shape[1] > 1 else (sums[:, 0] > 0).long()

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        if target.dim() == 2:
            soft = target.nan_to_num()
            target = torch.where(soft.sum(1) > 0, soft.argmax(1), -1)
        known = (target >= 0).to(outputs.dtype)
        known = known if weight is None else known * weight
        winner, truth = self._winner(outputs), target.clamp(min=0)
        if not self.training:
            wrong = (winner != truth) * known
            return wrong.sum() / (known.sum().clamp(min=_LEAST) * self.constant_loss)
        if outputs.shape[1] == 1:
            # The difference is 0 where the answer is right, and else -2, 0 or 2: also at a sum of 0 it has a gradient.
            losses = outputs[:, 0] * (winner - truth)
        else:
            losses = (outputs.gather(1, winner[:, None]) - outputs.gather(1, truth[:, None]))[:, 0]
        return (losses * known).sum() / known.sum().clamp(min=_LEAST)

    def answer(self, outputs: Tensor) -> Tensor:
        return _one_hot(self._winner(outputs), self.classes)

    def soften(self, target: Tensor) -> Tensor:
        return _one_hot(target, self.classes)


def _one_hot(target: Tensor, classes: int) -> Tensor:
    """(B,) int64 to (B, classes) float32; a row of zeros where the target is missing."""
    return (target[:, None] == torch.arange(classes, device=target.device)).float()


def make_head(answer: Answer, width: int, members: int | None, settings: HeadSettings) -> Head:
    """The ordinary head for an answer."""
    if isinstance(answer, Choice):
        return ChoiceHead(width, members, answer, settings)
    if isinstance(answer, Several):
        return SeveralHead(width, members, answer, settings)
    assert isinstance(answer, Amounts)  # what is written has a decoder
    return AmountsHead(width, members, answer)
