"""Rivals: simpler methods that learn from the same rows, so that a report can say whether the network was worth it."""

from instar.evaluation.rivals.base import Inputs, Rival, rival, rivals

__all__ = ["Inputs", "Rival", "rival", "rivals"]
