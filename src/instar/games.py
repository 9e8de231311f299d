"""The whole way of a game, once: look at the environment, play and learn in rounds, examine, save; and play again."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instar.configuration import Configuration, LearnSettings
from instar.errors import InterruptionError, SettingError, UsageError
from instar.evaluation.measuring import input_columns
from instar.evaluation.report import Report
from instar.evaluation.results import TargetResult
from instar.evaluation.settings import EvaluationSettings
from instar.evaluation.verdict import written, written_interval
from instar.metrics import LEAST_ROWS, Score
from instar.model import Model, load
from instar.playing.episodes import Arena, Episode
from instar.playing.exam import examine_play, measure_play, rivals_of
from instar.playing.film import film, film_writer
from instar.playing.policies import Learned
from instar.playing.rounds import CONFIRMING_EPISODES, Played, Rounds
from instar.playing.settings import PlayingSettings
from instar.playing.students import Lesson
from instar.reporting import versions, write_report
from instar.run import Request, Run
from instar.sources.environment import PREFIX, Environment
from instar.split import SplitSettings
from instar.words import counted

if TYPE_CHECKING:
    from instar.evaluation.rivals.run import RivalResult

logger = logging.getLogger("instar")

# Settings of columns and rows, which an environment has none of.
_OF_ROWS = ("target", "no_target", "odd", "kind", "exclude", "allow_outside")

Watch = Callable[[Path], AbstractContextManager[Any]]


def learn_to_play(
    source: Environment,
    settings: Configuration,
    run: Run,
    request: Request,
    *,
    should_stop: Callable[[], bool],
    watch: Watch,
) -> tuple[Model, Report]:
    """Learn to play ``source`` in the folder of ``run``, or go on with it."""
    _refuse_settings_of_rows(settings)
    asked, playing = settings.group(LearnSettings), settings.group(PlayingSettings)
    lesson = Lesson(settings.groups, settings.training, asked.network, settings.network, asked.seed)
    with run.working(), Arena(source, playing.longest_episode) as arena:
        run.begin(request, request.fingerprint, "")
        logger.info("%s: %s", source.place, _described(arena))
        with watch(run.log):
            rounds = Rounds(arena, lesson, playing, folder=run.folder, seconds=asked.time, should_stop=should_stop)
            played = rounds.run()

        def pause() -> None:
            if should_stop():
                raise InterruptionError("Stopped; the trained network is saved", remedy="Run the same command again")

        arena.pause = pause
        began = time.monotonic()
        logger.info("The network is examined on %s.", counted(playing.exam_episodes, "reserved episode"))
        examined = examine_play(arena, played.policy, playing.exam_episodes)
        wanted = settings.group(EvaluationSettings).rivals
        rivals = rivals_of(arena, playing.exam_episodes, asked.seed) if wanted else []
        report = _report(source, settings, run, played, examined, rivals, time.monotonic() - began)
        model = _model(source, settings, played, report, run.folder)
        write_report(report, run.folder)
        model.write(run.folder)
        run.clean()
    return model, report


def _refuse_settings_of_rows(settings: Configuration) -> None:
    changed = dict.fromkeys(settings.group(SplitSettings).changed())
    changed |= {name: None for name in _OF_ROWS if name in settings.group(LearnSettings).changed()}
    if changed:
        raise SettingError(
            f"An environment has no rows and columns, to which {', '.join(changed)} would apply",
            remedy="Leave that out: what is observed is the input, and what is done the target",
        )


def _described(arena: Arena) -> str:
    seen = f"observes {counted(len(arena.observed), 'column')}"
    return f"the network {seen}, and answers {', '.join(part.name for part in arena.actions.parts)}"


def _report(
    source: Environment,
    settings: Configuration,
    run: Run,
    played: Played,
    examined: Sequence[Episode],
    rivals: Sequence[RivalResult],
    seconds: float,
) -> Report:
    student, progress = played.student, played.progress
    network = student.network.plan.principal
    first = student.targets[0]
    assert first.answer is not None
    name = ", ".join(each.name for each in student.targets)
    result = TargetResult(name, first.answer, len(examined), measure_play(examined), rivals)
    return Report(
        title=f"{source.name}: {name}",
        source=source.place,
        rows=progress.steps,
        targets=[result],
        parts={"episodes to learn from": progress.episodes, "reserved episodes for the exam": len(examined)},
        protocol="play",
        inputs=input_columns(student.inputs),
        network=network.name,
        about=f"{network.idea} ({network.paper})",
        why=f"{student.network.plan.why} It learned in {counted(progress.round, 'round')} from what went best in them "
        "(the cross-entropy method, Rubinstein 1999).",
        parameters=sum(each.numel() for each in student.network.parameters()),
        history=[json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()],
        notes=_notes(played, examined),
        timings={"training": round(progress.seconds, 3), "exam": round(seconds, 3)},
        settings=settings.changed(),
        versions=versions("gymnasium"),
        folder=str(run.folder),
    )


def _notes(played: Played, examined: Sequence[Episode]) -> list[str]:
    progress = played.progress
    notes = []
    if progress.stopped_by == "time":
        notes.append("Learning was ended by --time before the network had stopped to improve.")
    if not progress.lessons and progress.best is not None:
        notes.append(
            f"In {counted(progress.episodes, 'episode')} nothing ever went better than anything else: there was "
            "nothing to learn from. More episodes, or rewards on the way, would help."
        )
    elif progress.best is None:
        notes.append("The time was over before the first round ended: the network has hardly learned anything.")
    else:
        notes.append(
            f"The network is that of round {progress.best_round:,} of {progress.round:,}, which had the best mean "
            f"return ({progress.best:.4g}) on {CONFIRMING_EPISODES} episodes kept for choosing."
        )
    bound = progress.bound + sum(each.ended == "bound" for each in examined)
    if bound:
        notes.append(
            f"{counted(bound, 'episode')} had no end and {'was' if bound == 1 else 'were'} ended after the steps of "
            "longest_episode; what would have come later is not counted."
        )
    return notes


def _model(source: Environment, settings: Configuration, played: Played, report: Report, folder: Path) -> Model:
    student = played.student
    (result,) = report.targets
    claims = {
        "examined": "on reserved episodes",
        "source": source.place,
        "environment": source.identifier,
        "longest_episode": settings.group(PlayingSettings).longest_episode,
        "seed": settings.group(LearnSettings).seed,
        "training": dict(report.settings),
        "versions": dict(report.versions),
        "metrics": {result.name: {name: score.to_json() for name, score in result.metrics.items()}},
    }
    return Model(student.plans, student.inputs, student.targets, student.network, played.residuals, claims, folder)


@dataclass(frozen=True)
class Plays:
    """Episodes that a model played in which environment, and their metrics, which fewer than 20 lack."""

    environment: str
    episodes: Sequence[Episode]
    metrics: dict[str, Score]

    @property
    def mean_return(self) -> float:
        return sum(each.total for each in self.episodes) / len(self.episodes)

    def summary(self) -> list[str]:
        """Lines for a terminal."""
        totals = sorted(each.total for each in self.episodes)
        mean = written("mean_return", self.mean_return)
        score = self.metrics.get("mean_return")
        interval = "" if score is None else f", 95 % interval {written_interval('mean_return', score)}"
        lowest, highest = (written("mean_return", total) for total in (totals[0], totals[-1]))
        episodes = counted(len(totals), "episode")
        lines = [f"{self.environment}: mean return {mean} in {episodes}{interval}; from {lowest} to {highest}."]
        if score is None:
            lines.append(f"No interval is given: fewer than {LEAST_ROWS} episodes prove nothing.")
        return lines

    def to_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "mean_return": self.mean_return,
            "metrics": {name: score.to_json() for name, score in self.metrics.items()},
            "episodes": [
                {"seed": each.seed, "return": each.total, "steps": each.steps, "ended": each.ended}
                for each in self.episodes
            ],
        }


def play(
    model: Model | str | Path,
    *,
    episodes: int = 20,
    seed: int = 0,
    environment: str | None = None,
    video: str | Path | None = None,
) -> Plays:
    """Let a model play, always doing what it thinks best.

    Parameters
    ----------
    model: one that has learned to play, or its folder.
    episodes: how many.
    seed: which of the episodes that are never learned from; with 0 they are the first ones of the report's.
    environment: ``gym:ID`` of another environment than the one that was learned, of the same observations and
        actions.
    video: a file (.gif, .png, .webp) that gets the first episode as a moving picture.

    Raises UsageError where the model has not learned to play this.
    """
    if episodes < 1:
        raise UsageError("At least one episode has to be played", remedy="Give --episodes a number from 1 on")
    loaded = model if isinstance(model, Model) else load(model)
    write = None if video is None else film_writer(Path(video))
    source = _environment_of(loaded, environment)
    longest = _longest(loaded)
    with Arena(source, longest) as arena:
        policy = _policy(loaded, arena)
        played = examine_play(arena, policy, episodes, seed)
    if write is not None:
        with Arena(source, longest, drawn=True) as arena:
            write(film(arena, _policy(loaded, arena), played[0].seed))
    return Plays(source.place, played, measure_play(played))


def _environment_of(model: Model, given: str | None) -> Environment:
    if given is not None:
        if not Environment.recognizes(given, {}):
            raise UsageError(f"{given!r} is no environment", remedy="For example: gym:CartPole-v1")
        return Environment.open(given, {})
    learned = model.claims.get("environment")
    if not isinstance(learned, str):
        raise UsageError(
            "The model has not learned to play: it answers for examples",
            remedy="Use instar predict, or learn from an environment such as gym:CartPole-v1",
        )
    if ":" in learned:
        # A folder may come from a stranger, and nothing in it may run code.
        raise UsageError(
            f"The model was trained in {PREFIX}{learned}, for which a module has to be imported",
            remedy=f"If you trust it, say so: --environment {PREFIX}{learned}",
        )
    return Environment.open(PREFIX + learned, {})


def _longest(model: Model) -> int:
    longest = model.claims.get("longest_episode")
    known = isinstance(longest, int) and not isinstance(longest, bool) and longest > 0
    return longest if known else PlayingSettings().longest_episode  # type: ignore[return-value]


def _policy(model: Model, arena: Arena) -> Learned:
    parts = [*arena.observed, *arena.actions.parts]
    fields = [*model.inputs, *model.targets]
    if [(part.name, part.kind) for part in parts] != [(each.name, each.kind) for each in fields]:
        raise UsageError(
            f"What is observed and done in {arena.source.place} is not what the model has learned",
            remedy="Name the environment that it was trained in, with --environment",
        )
    return Learned(arena.observed, arena.actions, model.plans, (model.inputs, model.targets), model.network, {})
