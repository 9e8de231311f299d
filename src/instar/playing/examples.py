"""The steps that are learned from: columns in memory, as a store has them on disk, and what is chosen to be in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from instar.fields import Arrays
from instar.playing.episodes import Episode


@dataclass(frozen=True)
class StepColumn:
    """One column of steps."""

    whole: Arrays

    def arrays(self, rows: np.ndarray | slice) -> Arrays:
        """The rows (int64, or a slice) in their order."""
        return self.whole.rows(rows)


class Steps:
    """Columns of equal length; what `instar.batches.Examples` needs of a store."""

    def __init__(self, columns: Mapping[str, Arrays]) -> None:
        self.columns = {name: StepColumn(arrays) for name, arrays in columns.items()}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).whole)

    def column(self, name: str) -> StepColumn:
        return self.columns[name]

    def tensors(self) -> dict[str, np.ndarray]:
        """What `from_tensors` takes."""
        return {
            f"{part}/{name}": getattr(column.whole, part)
            for name, column in self.columns.items()
            for part in ("values", "present")
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Steps:
        names = [name.removeprefix("values/") for name in tensors if name.startswith("values/")]
        return cls({name: in_memory(tensors[f"values/{name}"], tensors[f"present/{name}"]) for name in names})

    @classmethod
    def together(cls, parts: Sequence[Steps]) -> Steps:
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


def elite(episodes: Sequence[Episode], tries: int, share: float) -> tuple[list[int], float | None]:
    """Which episodes went best, the best first, and the least total among them.

    ``tries`` episodes after one another began alike: each is compared with the others of its beginning, so that an
    easy beginning makes nobody one of the best. Nobody is who is not at least half as far ahead as the best: where one
    episode reaches what others do not, it is the example, and not those that failed at less cost. None where all
    episodes of each beginning went alike.
    """
    totals = np.array([each.total for each in episodes]).reshape(-1, tries)
    ahead = (totals - totals.mean(axis=1, keepdims=True)).reshape(-1)
    least = max(float(np.quantile(ahead, 1 - share)), ahead.max() / 2)
    chosen = [int(at) for at in np.argsort(-ahead, kind="stable") if ahead[at] >= least and ahead[at] > 0]
    return chosen, min((episodes[at].total for at in chosen), default=None)
