"""Episodes: copies of an environment are played side by side, so that a policy is asked for all of them at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from instar.errors import ContentError, InstarError
from instar.playing.policies import Policy, chances
from instar.playing.spaces import Actions, Part, observed
from instar.seeds import seed_for
from instar.sources.environment import Environment

if TYPE_CHECKING:
    import gymnasium

# Copies that are played at the same time, and bytes that the kept steps of a round may take.
COPIES, KEPT_BYTES = 64, 256 * 2**20
# Seeds of environments are whole numbers below 2**31; each purpose has a quarter of them.
_QUARTER = 2**29


class Purpose(IntEnum):
    """What an episode is played for; no two purposes share a seed."""

    LEARNING = 0
    CHOOSING = 1
    EXAM = 2


def seeds_for(purpose: Purpose, seed: int, count: int, stage: int = 0) -> list[int]:
    """The seeds of ``count`` episodes."""
    return [purpose * _QUARTER + seed_for(seed, "episode", stage, number) % _QUARTER for number in range(count)]


@dataclass
class Episode:
    """One episode from its seed to its end.

    total: the sum of its rewards; steps: how many it had; ended: ``terminated`` where the environment came to an end,
    ``truncated`` where it was cut off by the environment's limit, ``bound`` by ours.
    rewards: of all steps. cells: by column what was observed and done at the steps that are kept, at most ``most`` of
        them, evenly spread; ``kept``: which steps these are.
    """

    seed: int
    most: int = 0
    rewards: list[float] = field(default_factory=list)
    ended: str = ""
    cells: dict[str, list[Any]] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)
    _stride: int = 1

    @property
    def total(self) -> float:
        return sum(self.rewards)

    @property
    def steps(self) -> int:
        return len(self.rewards)

    def keep(self, cells: dict[str, Any]) -> None:
        if not self.most or self.steps % self._stride:
            return
        for name, cell in cells.items():
            self.cells.setdefault(name, []).append(cell)
        self.kept.append(self.steps)
        if len(self.kept) > self.most:
            self._stride *= 2
            self.cells = {name: kept[::2] for name, kept in self.cells.items()}
            self.kept = self.kept[::2]


class Draws:
    """Normal draws for so many episodes, each like the one before as far as the episode's ``holds`` (B,) say.

    holds: from 0, where every draw is new, to just below 1; the correlation of neighboring draws.
    """

    def __init__(self, seed: int, holds: np.ndarray, width: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._holds = holds[:, None]
        self._state = self._generator.standard_normal((len(holds), width))

    def next(self) -> np.ndarray:
        """Draws of the next step, (B, width)."""
        drawn, fresh = self._state, self._generator.standard_normal(self._state.shape)
        self._state = self._holds * drawn + np.sqrt(1 - self._holds**2) * fresh
        return drawn


class Arena:
    """Copies of one environment.

    longest: steps after which an episode is ended where the environment has no limit of its own.
    drawn: whether the copies give pictures of themselves.
    pause: called between steps; it may raise to end the play.
    """

    def __init__(self, source: Environment, longest: int, *, drawn: bool = False) -> None:
        self.source, self.drawn = source, drawn
        self.pause: Callable[[], None] = lambda: None
        self.longest = longest if source.longest is None else source.longest
        self._copies: list[gymnasium.Env[Any, Any]] = [source.make(drawn=drawn)]
        self.observed: list[Part] = observed(self._copies[0].observation_space, source.place)
        self.actions = Actions(self._copies[0].action_space, source.place)
        self.chances = chances(self.actions)

    @property
    def pictures_a_second(self) -> float:
        """As the environment says, 30 where it does not."""
        rate = self._copies[0].metadata.get("render_fps")
        return float(rate) if rate else 30.0

    def close(self) -> None:
        for copy in self._copies:
            copy.close()
        self._copies = []

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def play(
        self, policy: Policy, seeds: Sequence[int], *, luck: int | None = None, holds: np.ndarray | None = None,
        keep: bool = False, look: Callable[[Any], None] | None = None,
    ) -> list[Episode]:  # fmt: skip
        """An episode for each seed.

        luck: the seed of all chance in what the policy does; None for a policy that leaves nothing to chance.
        holds: how long chance holds in each episode (`Draws`). keep: whether steps are kept.
        look: gets the picture of each step of a single episode.
        """
        episodes = []
        for first in range(0, len(seeds), COPIES):
            part = slice(first, first + COPIES)
            draws = None
            if luck is not None:
                held = np.zeros(len(seeds[part])) if holds is None else holds[part]
                draws = Draws(seed_for(luck, "draws", first), held, self.chances)
            most = self._kept_steps(len(seeds)) if keep else 0
            episodes += self._play(policy, [Episode(seed, most) for seed in seeds[part]], draws, look)
        return episodes

    def _kept_steps(self, episodes: int) -> int:
        cells = self._start(self._copies[0], Episode(0)).values()
        size = sum(cell.nbytes if isinstance(cell, np.ndarray) else 8 for cell in cells)
        return max(1, KEPT_BYTES // (size * episodes))

    def _play(
        self, policy: Policy, episodes: list[Episode], draws: Draws | None, look: Callable[[Any], None] | None
    ) -> list[Episode]:
        while len(self._copies) < len(episodes):
            self._copies.append(self.source.make(drawn=self.drawn))
        cells = [self._start(copy, each) for copy, each in zip(self._copies, episodes, strict=False)]
        playing = list(range(len(episodes)))
        while playing:
            self.pause()
            if look is not None:
                look(self._copies[0].render())
            columns = {part.name: [cells[at][part.name] for at in playing] for part in self.observed}
            drawn = None if draws is None else draws.next()[playing]
            values = policy(columns, drawn)
            going_on = []
            for place, at in enumerate(playing):
                episode, chosen = episodes[at], [each[place] for each in values]
                done = {part.name: _cell(value) for part, value in zip(self.actions.parts, chosen, strict=True)}
                episode.keep({**cells[at], **done})
                seen = self._step(self._copies[at], episode, self.actions.action(chosen))
                if seen is not None:
                    cells[at] = seen
                    going_on.append(at)
            playing = going_on
        return episodes

    def _start(self, copy: gymnasium.Env[Any, Any], episode: Episode) -> dict[str, Any]:
        with self._named(episode):
            return self._look(copy.reset(seed=episode.seed)[0])

    def _step(self, copy: gymnasium.Env[Any, Any], episode: Episode, action: Any) -> dict[str, Any] | None:
        """What is seen after a step, as cells; None where the episode is over."""
        with self._named(episode):
            seen, reward, terminated, truncated, _ = copy.step(action)
            if not math.isfinite(reward):
                raise ValueError(f"the reward {reward!r} is no finite number")
            episode.rewards.append(float(reward))
            if terminated or truncated or episode.steps >= self.longest:
                episode.ended = "terminated" if terminated else "truncated" if truncated else "bound"
                return None
            return self._look(seen)

    def _look(self, seen: Any) -> dict[str, Any]:
        return {part.name: part.take(seen) for part in self.observed}

    @contextmanager
    def _named(self, episode: Episode) -> Iterator[None]:
        """Whatever a stranger's environment raises, with the place."""
        try:
            yield
        except InstarError:
            raise
        except Exception as failure:
            raise ContentError(
                f"The environment failed ({type(failure).__name__}: {failure})",
                where=f"{self.source.place}, episode of seed {episode.seed}, step {episode.steps + 1}",
                remedy="Mend the environment; its episodes are repeated by their seeds",
            ) from failure


def _cell(value: Any) -> Any:
    """What was done, as a column's cell: a code or an amount, or several amounts."""
    return value if np.ndim(value) and len(value) > 1 else np.asarray(value).reshape(-1)[0].item()
