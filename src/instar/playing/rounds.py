"""Rounds: play, take what went best as examples, learn to act as was done there, and play again.

This is the cross-entropy method (Rubinstein 1999), with a network for what actions are drawn from. The best are whole
episodes, or steps after which it went better than was to be expected (the binary filter of critic-regularized
regression, Wang et al. 2020). A round learns through the one loop of `instar.training`. What is known between play and
learning, and between rounds, is written down, so that a run goes on after a kill at any moment and ends with the same
bits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from instar.answering import answers_for, truths_for
from instar.batches import Batches
from instar.conformal import sorted_residuals
from instar.errors import InterruptionError
from instar.playing.episodes import Arena, Episode, Purpose, seeds_for
from instar.playing.examples import PlayedSteps, elite_episodes, elite_steps, rewards_to_go
from instar.playing.ledger import Ledger, Progress, State, stage_of
from instar.playing.policies import Chance, Learned, Policy
from instar.playing.settings import PlayingSettings
from instar.playing.students import Lesson, Student
from instar.prepared import Examples
from instar.seeds import seed_for
from instar.training.loop import train
from instar.training.settings import resolve

logger = logging.getLogger("instar")

# How long chance holds in an episode: the correlation of neighboring draws, and how often each is taken at first. Where
# chance does not hold nothing far is ever reached, where it does nothing is ever balanced; which serves is learned.
HOLDS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
_AT_FIRST = (0.5, *(0.5 / 6,) * 6)
# How fast the best change how often each is drawn, and the share of episodes that draw evenly.
_CHANGE, _EVEN = 0.5, 0.1
# Episodes by which networks are chosen, and all of them for one that the first speak for: few do not show what fails
# once in a while. They are never learned from, and are not those of the exam.
CHOOSING_EPISODES, CONFIRMING_EPISODES = 20, 100
# Rounds without a better network after which it ends, where patience is not given.
WAITING = 15
# Rows of a step of learning, where the batch is not given: what was done by chance is a noisy example.
BATCH, MOST_EPOCHS = 128, 100
# No amount strays less than this share of how it varied in the first round, else nothing new is ever tried.
LEAST_SPREAD = 0.05


class _TimeIsOverError(Exception):
    """Ends a play of which nothing is used any more."""


@dataclass(frozen=True)
class Played:
    """The best network of all rounds, how it came about, and how far the best episodes strayed from its answers.

    residuals: sorted, by part of the action that is an amount (`instar.conformal`).
    """

    student: Student
    policy: Learned
    progress: Progress
    residuals: Mapping[str, np.ndarray]


class Rounds:
    """A game that is learned in ``folder``, or gone on with.

    seconds: of play and learning, interruptions left out, after which it ends with the best network so far.
    """

    def __init__(
        self,
        arena: Arena,
        lesson: Lesson,
        settings: PlayingSettings,
        *,
        folder: Path,
        seconds: float | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.arena, self.lesson, self.settings, self.folder = arena, lesson, settings, folder
        self.seconds, self.should_stop = seconds, should_stop
        self.ledger = Ledger(folder, {"environment": arena.source.identifier, "seed": lesson.seed})
        self.progress = Progress(holds=list(_AT_FIRST))
        self.student: Student | None = None
        self.best: Mapping[str, torch.Tensor] = {}
        self.examples: list[PlayedSteps] = []
        self._begun = time.monotonic()

    def run(self) -> Played:
        """Raises InterruptionError where somebody asked to stop, DataError where the environment fails."""
        self._take_up()
        self.arena.pause = self._pause
        progress = self.progress
        while not progress.stopped_by:
            try:
                if not progress.learning:
                    self._play()
                self._learn()
                self._choose()
            except _TimeIsOverError:
                progress.stopped_by = "time"
            self._finish_round()
        self.arena.pause = lambda: None
        return self._played()

    def _take_up(self) -> None:
        """Go on from what was written down, if anything was."""
        found = self.ledger.read()
        if found is None:
            return
        self.progress, self.best, self.examples = found.progress, found.best, list(found.examples)
        self.student = Student.restore(self.arena, self.lesson, *found.fields)
        self.student.network.load_state_dict(found.weights)
        self._begun = time.monotonic() - self.progress.seconds
        if not self.progress.stopped_by:
            logger.info("Going on where it was stopped: round %s.", f"{self.progress.round:,}")

    def _pause(self) -> None:
        if self.should_stop():
            raise InterruptionError(
                "Stopped; all rounds before are saved", remedy="Run the same command again to go on"
            )
        # The first round is played whatever the time: without it there is nothing to build a network for.
        if self.student is not None and self.seconds is not None and time.monotonic() - self._begun >= self.seconds:
            raise _TimeIsOverError

    def _play(self) -> None:
        """Play a round by chance around what is known, and add what went best to the examples."""
        progress, settings, seed = self.progress, self.settings, self.lesson.seed
        seeds = seeds_for(Purpose.LEARNING, seed, settings.episodes, progress.round)
        drawn = np.random.default_rng(seed_for(seed, "holds", progress.round))
        held = drawn.choice(len(HOLDS), len(seeds), p=_normalized(progress.holds))
        policy: Policy = Chance(self.arena.actions) if self.student is None else self._policy()
        episodes = self.arena.play(
            policy, seeds, luck=seed_for(seed, "luck", progress.round), holds=np.take(HOLDS, held), keep=True
        )
        if self.student is None:
            self.student = Student.admit(self.arena, self.lesson, episodes)
            progress.spread = {name: scale.tolist() for name, scale in self.student.scales().items()}
        steps = self.student.steps(self.arena, episodes)
        episode = np.repeat(np.arange(len(episodes)), [len(each.kept) for each in episodes])
        ahead = self._ahead(episodes, steps, episode)
        chosen = np.flatnonzero(np.isfinite(ahead))
        if len(chosen):
            self.examples = [*self.examples, steps.take(chosen)][-settings.memory :]
            progress.holds = _served(progress.holds, held[episode], held[episode[chosen]])
        progress.threshold = float(ahead[chosen].min()) if len(chosen) else None
        progress.mean = float(np.mean([each.total for each in episodes]))
        progress.episodes += len(episodes)
        progress.steps += sum(each.steps for each in episodes)
        progress.bound += sum(each.ended == "bound" for each in episodes)
        progress.learning, progress.learns = True, bool(len(chosen))
        self._write()

    def _ahead(self, episodes: Sequence[Episode], steps: PlayedSteps, episode: np.ndarray) -> np.ndarray:
        """How far ahead the steps that become examples are, and minus infinity for the others; ``episode``: of each."""
        settings = self.settings
        if settings.examples == "episodes":
            return elite_episodes(np.array([each.total for each in episodes]), settings.elite)[episode]
        # When a step is tells how much can still come, where episodes are cut off.
        times = np.concatenate([each.kept for each in episodes]).astype(np.float32)
        seen = self._student().seen(steps)
        features, share = np.column_stack([seen, times]), settings.elite / len(settings.discounts)
        ahead = []
        for view, discount in enumerate(settings.discounts):
            to_go = np.concatenate([rewards_to_go(each.rewards, discount)[each.kept] for each in episodes])
            seed = seed_for(self.lesson.seed, "trees", self.progress.round, view) % 2**32
            ahead.append(elite_steps(features, episode, to_go, share, seed))
        best: np.ndarray = np.max(ahead, axis=0)
        return best

    def _learn(self) -> None:
        """Learn to act as in the examples. Nothing is learned from a round in which all went alike."""
        if not self.progress.learns:
            return
        student, seed = self._student(), self.lesson.seed
        network = student.network
        examples, rows = self._examples()
        settings = resolve({"batch": BATCH, **self.lesson.training}, network.plan.principal.recipe, len(rows))
        assert settings.batch is not None  # `resolve` leaves nothing open
        batches = Batches(examples, rows, size=settings.batch, seed=seed_for(seed, "lesson", self.progress.round))
        outcome = train(
            network,
            batches,
            None,
            settings,
            folder=self.folder,
            seed=seed,
            epochs=self.lesson.training.get("epochs") or self._epochs(batches.steps),
            seconds=None if self.seconds is None else max(0.0, self.seconds - self.progress.seconds),
            should_stop=self.should_stop,
            stage=stage_of(self.progress.round),
        )
        least = {name: LEAST_SPREAD * scale for name, scale in student.scales().items()}
        self.progress.spread = {
            name: np.maximum(np.sqrt((away**2).mean(axis=0)), least[name]).tolist()
            for name, away in self._strayed().items()
        }
        self.progress.lessons += 1
        if outcome.stopped_by == "time":
            raise _TimeIsOverError

    def _epochs(self, steps: int) -> int:
        """How often a round's examples are gone through, where that is not given: few are not learned by heart."""
        return min(MOST_EPOCHS, max(1, round(self.settings.lessons / steps)))

    def _choose(self) -> None:
        """Keep the weights where they play better than those before, with nothing left to chance."""
        progress = self.progress
        if not progress.learns and progress.best is not None:
            progress.waits += progress.lessons > 0  # who has never met a reward has to go on looking
            return
        policy, seeds = self._policy(), seeds_for(Purpose.CHOOSING, self.lesson.seed, CONFIRMING_EPISODES)
        totals = [each.total for each in self.arena.play(policy, seeds[:CHOOSING_EPISODES])]
        if progress.best is None or np.mean(totals) > progress.best:
            totals += [each.total for each in self.arena.play(policy, seeds[CHOOSING_EPISODES:])]
        progress.chosen = float(np.mean(totals))
        if progress.best is None or progress.chosen > progress.best:
            progress.best, progress.best_round, progress.waits = progress.chosen, progress.round, 0
            self.best = _copied(self._student().network.state_dict())
        else:
            progress.waits += 1

    def _finish_round(self) -> None:
        """Write down what the round brought, and whether it was the last."""
        progress, lesson = self.progress, self.ledger.lesson(self.progress.round)
        progress.seconds = time.monotonic() - self._begun
        if not progress.stopped_by:
            self.ledger.say("round", **progress.line())
            if progress.waits >= (self.lesson.training.get("patience") or WAITING):
                progress.stopped_by = "patience"
            elif progress.round >= self.settings.rounds:
                progress.stopped_by = "rounds"
            else:
                progress.round += 1
        progress.learning = progress.learns = False
        self._write()
        lesson.unlink(missing_ok=True)

    def _write(self) -> None:
        student = self._student()
        self.progress.seconds = time.monotonic() - self._begun
        weights = student.network.state_dict()
        self.ledger.write(State(self.progress, student.declare(), weights, self.best, self.examples))

    def _policy(self) -> Learned:
        spread = {name: np.asarray(each) for name, each in self.progress.spread.items()}
        return self._student().learned(self.arena, spread)

    def _student(self) -> Student:
        assert self.student is not None  # admitted in the first round
        return self.student

    def _examples(self) -> tuple[Examples, np.ndarray]:
        student, steps = self._student(), PlayedSteps.together(self.examples)
        return Examples(steps, student.inputs, student.targets), np.arange(len(steps))

    def _strayed(self) -> dict[str, np.ndarray]:
        """How far the amounts of the examples lie from the network's answers, (n, width), by part of the action."""
        student, amounts = self._student(), self._student().scales()
        if not self.examples or not amounts:
            return {}
        examples, rows = self._examples()
        truth, given = truths_for(examples, rows), answers_for(student.network, examples, rows)
        return {name: truth[name] - given[name] for name in amounts}

    def _played(self) -> Played:
        student = self._student()
        if self.best:
            student.network.load_state_dict(self.best)
        student.network.eval()
        nothing = {name: np.empty((0, len(scale))) for name, scale in student.scales().items()}
        strayed = nothing | self._strayed()
        residuals = {name: sorted_residuals(away, np.zeros_like(away)) for name, away in strayed.items()}
        return Played(student, self._policy(), self.progress, residuals)


def _normalized(shares: Sequence[float]) -> np.ndarray:
    """The shares, a part of them even."""
    even = np.full(len(shares), _EVEN / len(shares))
    mixed: np.ndarray = even + (1 - _EVEN) * np.asarray(shares) / np.sum(shares)
    return mixed / mixed.sum()


def _served(holds: Sequence[float], drawn: np.ndarray, chosen: np.ndarray) -> list[float]:
    """How often chance is to hold how long, after what was ``drawn`` for steps, and for those that were ``chosen``."""
    taken, best = (np.bincount(each, minlength=len(holds)) for each in (drawn, chosen))
    served = _normalized(holds) * best / np.maximum(taken, 1)
    return ((1 - _CHANGE) * np.asarray(holds) + _CHANGE * served / served.sum()).tolist()


def _copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in tensors.items()}
