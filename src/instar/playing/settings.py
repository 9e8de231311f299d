"""The settings of learning to act. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from instar.settings import Settings, setting


@dataclass(frozen=True)
class PlayingSettings(Settings):
    """How rounds are played and which episodes become examples."""

    rounds: int = setting(60, "rounds of episodes and of learning from the best, at most", minimum=1, common=True)
    starts: int = setting(8, "beginnings of episodes in a round", minimum=1, maximum=4096)
    tries: int = setting(
        8, "episodes that begin alike, of which the best become examples: what luck is in a beginning favors none",
        minimum=2, maximum=4096,
    )  # fmt: skip
    elite: float = setting(
        0.25,
        "share of the episodes that become examples",
        minimum=0.001,
        maximum=0.9,
        source="Rubinstein 1999; Mannor, Rubinstein & Gat 2003",
    )
    memory: int = setting(3, "rounds whose examples are learned from together", minimum=1, maximum=1000)
    lessons: int = setting(200, "steps of learning after a round, where epochs are not given", minimum=1)
    longest_episode: int = setting(
        10_000, "steps after which an episode is ended where the environment ends none by itself", minimum=1
    )
    exam_episodes: int = setting(100, "reserved episodes on which the network is examined", minimum=1, maximum=100_000)
