"""The course of the training, from the lines of its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from instar.evaluation.plots import Line, line_plot

Entry = Mapping[str, Any]
_MAIN_STAGE = "train"


def learning_curves(history: Sequence[Entry]) -> str:
    """Plots of the losses and of the learning rate over epochs; empty where nothing was logged."""
    rounds = [entry for entry in history if entry.get("event") == "round"]
    if rounds:
        return _returns(rounds)
    stages = list(dict.fromkeys(entry.get("stage", _MAIN_STAGE) for entry in history))
    ordered = sorted(stages, key=lambda stage: stage == _MAIN_STAGE)  # the saved network is drawn over the others
    losses, rates, best = [], [], None
    for stage in ordered:
        entries = [entry for entry in history if entry.get("stage", _MAIN_STAGE) == stage]
        steps = next((entry["steps"] for entry in entries if entry.get("event") == "start"), None)
        whole = len(stages) == 1 or stage == _MAIN_STAGE
        labels = ("training loss", "validation loss", "rate") if whole else ("", "", "")
        losses.append(Line(labels[0], "one" if whole else "faint", _series(entries, "loss", steps)))
        validation = _series(entries, "validation_loss", steps)
        other_label = "validation, other trainings" if not whole and stage == ordered[0] else labels[1]
        losses.append(Line(other_label, "two" if whole else "two thin", validation))
        if whole:
            rates.append(Line("", "one", _series(entries, "rate", steps)))
            ends = [entry for entry in entries if entry.get("event") == "end"]
            best = ends[-1].get("best_epoch") if ends and validation else None
    kept = [line for line in losses if line.style != "faint"]
    drawn = [
        line_plot(kept, x="epoch", y="loss", mark=best, title="Training and validation loss over the epochs"),
        line_plot(rates, x="epoch", y="learning rate", title="The learning rate over the epochs"),
    ]
    figures = [f"<figure>{plot}</figure>" for plot in drawn if plot]
    note = f'<p class="note">The dashed line marks epoch {best}, whose weights were kept.</p>' if best else ""
    return f'<div class="figures">{"".join(figures)}</div>{note}' if figures else ""


def _returns(rounds: Sequence[Entry]) -> str:
    """What was reached in each round of a game: by chance around what was known, and by the network it then had."""
    curves = {"mean return, with chance": "mean_return", "by the round's network": "chosen_return"}
    lines = []
    for (label, name), style in zip(curves.items(), ("one", "two"), strict=True):
        points = [(float(each["round"]), float(each[name])) for each in rounds if each.get(name) is not None]
        lines.append(Line(label, style, points))
    plot = line_plot(lines, x="round", y="mean return", title="The mean return over the rounds")
    return f'<div class="figures"><figure>{plot}</figure></div>' if plot else ""


def _series(entries: Sequence[Entry], name: str, steps: int | None) -> list[tuple[float, float]]:
    """(epoch, value) at every evaluation; within long epochs there are several."""
    points: list[tuple[float, float]] = []
    for entry in entries:
        value = entry.get(name)
        if entry.get("event") != "epoch" or not isinstance(value, int | float):
            continue
        epoch = entry["step"] / steps if steps and "step" in entry else entry.get("epoch", len(points) + 1)
        points.append((float(epoch), float(value)))
    return points
