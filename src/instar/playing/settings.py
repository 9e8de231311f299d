"""The settings of learning to act. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from instar.settings import Settings, setting


@dataclass(frozen=True)
class PlayingSettings(Settings):
    """How rounds are played and which episodes become examples."""

    rounds: int = setting(60, "rounds of episodes and of learning from the best, at most", minimum=1, common=True)
    episodes: int = setting(32, "episodes of a round", minimum=2, maximum=100_000)
    examples: str = setting(
        "steps",
        "what becomes examples: the steps after which it went better than was to be expected there, or the episodes "
        "that went best, whole",
        choices=("steps", "episodes"),
        source="episodes: Rubinstein 1999; steps: Wang, Novikov, Zolna et al. 2020",
    )
    elite: float = setting(
        0.25,
        "share of the steps, or of the episodes, that become examples",
        minimum=0.001,
        maximum=0.9,
        source="Rubinstein 1999",
    )
    discounts: tuple[float, ...] = setting(
        (0.95, 0.99),
        "what a reward counts a step before it comes, where steps are compared: a short and a long view, of which each "
        "finds an equal share of the examples",
        minimum=0.0,
        maximum=1.0,
    )
    memory: int = setting(3, "rounds whose examples are learned from together", minimum=1, maximum=1000)
    lessons: int = setting(300, "steps of learning after a round, where epochs are not given", minimum=1)
    longest_episode: int = setting(
        10_000, "steps after which an episode is ended where the environment ends none by itself", minimum=1
    )
    exam_episodes: int = setting(100, "reserved episodes on which the network is examined", minimum=1, maximum=100_000)
