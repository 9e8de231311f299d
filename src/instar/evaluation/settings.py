"""The settings of the examination."""

from __future__ import annotations

from dataclasses import dataclass

from instar.settings import Duration, Settings, setting


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """How the trained network is examined."""

    rivals: bool = setting(True, "compare the network with simpler methods on the same rows", common=True)
    rival_time: Duration = setting(
        Duration("3m"), "longest time for all rivals of a target together; what is not done then is ended", minimum=0
    )
