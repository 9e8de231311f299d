"""The steps that are learned from: columns in memory, as a store has them on disk, and what is chosen to be in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from instar.fields import Arrays

# Of what is to be expected: how many trees, from how many steps a leaf, and how many numbers a cut looks through.
TREES, LEAST_LEAF, TREE_FEATURES = 30, 20, 16


@dataclass(frozen=True)
class StepColumn:
    """One column of steps."""

    whole: Arrays

    def arrays(self, rows: np.ndarray | slice) -> Arrays:
        """The rows (int64, or a slice) in their order."""
        return self.whole.rows(rows)


class PlayedSteps:
    """Columns of equal length; what `instar.batches.Examples` needs of a store."""

    def __init__(self, columns: Mapping[str, Arrays]) -> None:
        self.columns = {name: StepColumn(arrays) for name, arrays in columns.items()}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).whole)

    def column(self, name: str) -> StepColumn:
        return self.columns[name]

    def take(self, rows: np.ndarray) -> PlayedSteps:
        """Some of the steps (int64)."""
        return PlayedSteps({name: column.arrays(rows) for name, column in self.columns.items()})

    def tensors(self) -> dict[str, np.ndarray]:
        """What `from_tensors` takes."""
        return {
            f"{part}/{name}": getattr(column.whole, part)
            for name, column in self.columns.items()
            for part in ("values", "present")
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> PlayedSteps:
        names = [name.removeprefix("values/") for name in tensors if name.startswith("values/")]
        return cls({name: in_memory(tensors[f"values/{name}"], tensors[f"present/{name}"]) for name in names})

    @classmethod
    def together(cls, parts: Sequence[PlayedSteps]) -> PlayedSteps:
        """The parts one after another."""
        joined = {}
        for name in parts[0].columns:
            columns = [part.columns[name].whole for part in parts]
            joined[name] = in_memory(
                *(np.concatenate([getattr(c, of) for c in columns]) for of in ("values", "present"))
            )
        return cls(joined)


def in_memory(values: np.ndarray, present: np.ndarray) -> Arrays:
    """Read content without digests, which only tell rows of a source apart."""
    return Arrays(values, present, np.zeros(len(present), np.uint64))


def elite_episodes(totals: np.ndarray, share: float) -> np.ndarray:
    """How far each episode is ahead of the mean, (episodes,), and minus infinity where it is none of the best.

    None of the best is who is not at least half as far ahead as the best: where one episode reaches what others do
    not, it is the example, and not those that failed at less cost.
    """
    ahead = totals - totals.mean()
    return _best(ahead, max(float(np.quantile(ahead, 1 - share)), float(ahead.max()) / 2))


def elite_steps(features: np.ndarray, episode: np.ndarray, to_go: np.ndarray, share: float, seed: int) -> np.ndarray:
    """How much better it went from each step on than was to be expected there; minus infinity for all but the best.

    What is to be expected is learned by trees (Geurts, Ernst & Wehenkel 2006) from what came in the other half of the
    episodes, so that no step is its own measure.

    features: (n, width) of what was observed, and when; episode: (n,) which it was; to_go: (n,) `rewards_to_go`.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    ahead = np.zeros(len(to_go))
    most = min(TREE_FEATURES, features.shape[1])
    for half in (0, 1):
        known, asked = episode % 2 == half, episode % 2 != half
        trees = ExtraTreesRegressor(TREES, min_samples_leaf=LEAST_LEAF, max_features=most, random_state=seed, n_jobs=1)
        trees.fit(features[known], to_go[known])
        ahead[asked] = to_go[asked] - trees.predict(features[asked])
    return _best(ahead, float(np.quantile(ahead, 1 - share)))


def _best(ahead: np.ndarray, least: float) -> np.ndarray:
    return np.where((ahead >= least) & (ahead > 0), ahead, -np.inf)


def rewards_to_go(rewards: Sequence[float], discount: float) -> np.ndarray:
    """At each step the sum of what is still to come, a reward k steps later times ``discount`` to the k."""
    from scipy.signal import lfilter

    summed: np.ndarray = lfilter([1.0], [1.0, -discount], np.asarray(rewards, np.float64)[::-1])[::-1]
    return summed
