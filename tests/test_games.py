"""Learning to act: spaces as columns, episodes by their seeds, rounds that go on after a stop, and the exam."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import polars as pl
import pytest
from gymnasium import spaces
from PIL import Image

import instar
from instar.cli import main
from instar.errors import ContentError, FolderError, InterruptionError, SettingError, SourceError, UsageError
from instar.learn import learn
from instar.playing.episodes import COPIES, Arena, Draws, Episode, Purpose, seeds_for
from instar.playing.exam import constants, measure_play
from instar.playing.examples import elite_episodes, elite_steps, rewards_to_go
from instar.playing.policies import Chance, Constant, chances
from instar.playing.spaces import Actions, observed
from instar.sources.environment import Environment
from instar.sources.locate import locate

QUICK = {"rounds": 4, "episodes": 16, "exam_episodes": 24, "width": 16}
SIDE = 9


class Corridor(gymnasium.Env):
    """A walk of ``SIDE`` places: 1 for the end on the side that is shown at the start, and 0.01 less for each step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    act: Any = spaces.Discrete(2)
    see: Any = spaces.Box(-2.0, 2.0, (2,), np.float32)
    broken = ""

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.action_space, self.observation_space = self.act, self.see

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.goal = 1 if self.np_random.random() < 0.5 else -1
        self.place, self.count = 0, 0
        return self.seen(), {}

    def seen(self) -> Any:
        return np.array([self.place / SIDE, self.goal], np.float32)

    def direction(self, action: Any) -> float:
        return 1.0 if action else -1.0

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        assert self.action_space.contains(action), action
        self.place += self.direction(action)
        self.count += 1
        if self.broken == "raises" and self.count == 3:
            raise ZeroDivisionError("the wheel came off")
        over = abs(self.place) >= SIDE / 2 and self.broken != "endless"
        reward: Any = (1.0 if self.place * self.goal > 0 else -1.0) if over else -0.01
        if self.broken == "reward":
            reward = float("nan")
        if self.broken == "flat":
            reward = 0
        seen = self.seen()
        if self.broken == "gaps" and self.count % 2:
            seen[0] = np.nan
        return seen, reward, over, False, {}

    def render(self) -> np.ndarray:
        picture = np.zeros((20, 40, 3), np.uint8)
        picture[:, int(np.clip(20 + 2 * self.place, 0, 39))] = 255
        return picture


class Pushed(Corridor):
    """How far one goes in a step is said in two amounts."""

    act = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def direction(self, action: Any) -> float:
        return float(action[0] + action[1])


class Throttle(Corridor):
    """One amount, whose best value is 0.5; the bounds are far."""

    act = spaces.Box(-2.0, 2.0, (1,), np.float32)
    see = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def seen(self) -> Any:
        return np.zeros(1, np.float32)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        assert self.action_space.contains(action), action
        return self.seen(), 1.0 - float(action[0] - 0.5) ** 2, True, False, {}


class Shown(Corridor):
    """The side is shown in a picture."""

    see = spaces.Box(0, 255, (12, 12, 3), np.uint8)

    def seen(self) -> Any:
        picture = np.zeros((12, 12, 3), np.uint8)
        picture[:, :6] = 200 * (self.goal < 0)
        picture[:, 6:] = 200 * (self.goal > 0)
        return picture


class Mixed(Corridor):
    """Several parts of an observation, and several choices at once of which the first counts."""

    act = spaces.MultiDiscrete([2, 3])
    see = spaces.Dict(
        {
            "goal": spaces.Discrete(2, start=3),
            "place": spaces.Box(-9, 9, (), np.float64),
            "both": spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([4, 5])]),
            "many": spaces.Box(0, 1, (6, 7), np.float32),
        }
    )

    def seen(self) -> Any:
        many = np.zeros((6, 7), np.float32)
        return {"goal": 3 + (self.goal > 0), "place": self.place, "both": (np.ones(2, int), [1, 2]), "many": many}

    def direction(self, action: Any) -> float:
        return 1.0 if action[0] else -1.0


@pytest.fixture(scope="module", autouse=True)
def environments() -> Iterator[None]:
    before = dict(gymnasium.registry)
    for kind in (Corridor, Pushed, Throttle, Shown, Mixed):
        gymnasium.register(f"{kind.__name__}-v0", kind, max_episode_steps=40)
    for broken in ("raises", "reward", "gaps", "endless", "flat"):
        limit = None if broken == "endless" else 40
        gymnasium.register(
            f"Broken-{broken}-v0", type(broken, (Corridor,), {"broken": broken}), max_episode_steps=limit
        )
    gymnasium.register("Alone-v0", type("Alone", (Corridor,), {"act": spaces.Discrete(1)}))
    gymnasium.register("Worded-v0", type("Worded", (Corridor,), {"see": spaces.Text(5)}))
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.fixture(scope="module")
def model(environments: None, tmp_path_factory: pytest.TempPathFactory) -> instar.Model:
    return instar.train("gym:Corridor-v0", out=tmp_path_factory.mktemp("games") / "corridor", **QUICK)


def sha(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def arena(name: str, longest: int = 50) -> Arena:
    source = locate(f"gym:{name}")
    assert isinstance(source, Environment)
    return Arena(source, longest)


@pytest.mark.parametrize(
    ("name", "examples"),
    [("Corridor-v0", "steps"), ("Corridor-v0", "episodes"), ("Shown-v0", "steps"), ("Mixed-v0", "steps")],
)
def test_choices_are_learned_from_numbers_pictures_and_codes(name, examples, tmp_path):
    given = {**QUICK, "lessons": 60, "threads": 1, "examples": examples}
    model = instar.train(f"gym:{name}", out=tmp_path / "run", **given)
    report = model.report
    assert report.protocol == "play"
    assert report.metrics["mean_return"].value > 0.9
    assert report.metrics["mean_return"].rows == 24
    chance, constant = (each.metrics["mean_return"].value for each in report.targets[0].rivals)
    assert chance < 0.7 and constant < 0.7
    assert instar.play(tmp_path / "run", episodes=24).metrics == report.targets[0].metrics


def test_amounts_are_learned_with_their_spread(tmp_path):
    model = instar.train("gym:Pushed-v0", out=tmp_path / "two", **QUICK)
    assert model.report.metrics["mean_return"].value > 0.75
    frame = model.predict(pl.DataFrame({"observation_0": [0.0, 0.0], "observation_1": [1.0, -1.0]}))
    forward, back = frame["prediction_0"] + frame["prediction_1"]
    assert forward > 0.2 and back < -0.2
    one = instar.train("gym:Throttle-v0", out=tmp_path / "one", **{**QUICK, "rounds": 8})
    frame = one.predict(pl.DataFrame({"observation": [0.0]}))
    assert frame["prediction"][0] == pytest.approx(0.5, abs=0.3)
    assert 0.05 < frame["high"][0] - frame["low"][0] < 4, "how far the best strayed is what the range says"


def test_the_folder_is_an_ordinary_model(model, tmp_path, capsys):
    folder = model.folder
    table = tmp_path / "seen.csv"
    pl.DataFrame({"observation_0": [0.0, 0.2], "observation_1": [1.0, -1.0]}).write_csv(table)
    assert instar.load(folder).predict(table)["prediction"].to_list() == [1, 0]
    assert main(["inspect", str(folder)]) == 0
    assert "on reserved episodes" in capsys.readouterr().out
    page = (folder / "report.html").read_text()
    assert "reserved for the exam" in page and "The best constant action" in page and "instar play" in page
    card = (folder / "README.md").read_text()
    assert "reinforcement-learning" in card and "instar.play" in card
    assert not (folder / "checkpoint").exists()


def test_a_round_is_a_line_of_the_log(model):
    lines = [json.loads(line) for line in (model.folder / "metrics.jsonl").read_text().splitlines()]
    rounds = [line for line in lines if line["event"] == "round"]
    assert [line["round"] for line in rounds] == list(range(1, len(rounds) + 1))
    assert rounds[-1]["mean_return"] > rounds[0]["mean_return"]
    assert {"elite_threshold", "chosen_return", "episodes", "steps", "seconds", "best"} <= set(rounds[0])


@pytest.fixture(scope="module")
def whole(environments: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("Corridor-v0", "Pushed-v0"):
        learn(f"gym:{name}", {**QUICK, "rounds": 3, "out": str(folder / name)})
    return folder


@pytest.mark.parametrize("name", ["Corridor-v0", "Pushed-v0"])
@pytest.mark.parametrize(("asked", "how"), [(30, "stop"), (130, "kill"), (240, "stop"), (300, "kill"), (380, "kill")])
def test_what_was_stopped_or_killed_goes_on_and_ends_with_the_same_bits(name, asked, how, whole, tmp_path):
    given = {**QUICK, "rounds": 3}
    count = 0

    def stop() -> bool:
        nonlocal count
        count += 1
        if count == asked and how == "kill":
            raise KeyboardInterrupt  # after which nothing is saved
        return count == asked

    with pytest.raises((InterruptionError, KeyboardInterrupt)):
        learn(f"gym:{name}", {**given, "out": str(tmp_path / "stopped")}, should_stop=stop)
    learn(f"gym:{name}", {**given, "out": str(tmp_path / "stopped")})
    assert sha(whole / name) == sha(tmp_path / "stopped")
    kept = []
    for folder in (whole / name, tmp_path / "stopped"):
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        kept.append([line["mean_return"] for line in lines if line["event"] == "round"])
    assert kept[0] == kept[1]


def test_the_same_command_gives_the_result_and_other_settings_are_refused(model):
    again = instar.train("gym:Corridor-v0", out=model.folder, **QUICK)
    assert again.claims["metrics"] == model.claims["metrics"]
    with pytest.raises(FolderError, match="episodes was 16 and is 17"):
        instar.train("gym:Corridor-v0", out=model.folder, **{**QUICK, "episodes": 17})


def test_time_ends_with_the_best_network_so_far(tmp_path):
    model = instar.train("gym:Corridor-v0", out=tmp_path / "run", **{**QUICK, "time": 0})
    assert any("before the first round ended" in note for note in model.report.notes)
    assert len(instar.play(model, episodes=2).episodes) == 2


def test_settings_of_rows_are_refused(tmp_path):
    for setting in ({"target": "action"}, {"exclude": "observation_0"}, {"group": "x"}):
        with pytest.raises(SettingError, match=next(iter(setting))):
            instar.train("gym:Corridor-v0", out=tmp_path / "run", **setting)
    assert not (tmp_path / "run").exists()


def test_wrong_ids_are_named_with_the_closest(capsys):
    with pytest.raises(SourceError, match=r"Did you mean 'CartPole-v1'"):
        locate("gym:CartPol-v1")
    for wrong in ("gym:", "gym:a b", "gym:CartPole-v77", "gym:Nobody/CartPole-v1"):
        with pytest.raises(SourceError):
            locate(wrong)
    with pytest.raises(SourceError, match="no_such_module"):
        locate("gym:no_such_module:Thing-v0")
    assert main(["train", "gym:CartPol-v1"]) == 3


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(SourceError, match=r"pip install 'instar\[games\]'"):
        locate("gym:CartPole-v1")


def test_what_cannot_be_observed_or_done_is_refused(tmp_path):
    with pytest.raises(SourceError, match="Text"):
        instar.train("gym:Worded-v0", out=tmp_path / "run", **QUICK)
    with pytest.raises(SourceError, match="only one thing to do"):
        instar.train("gym:Alone-v0", out=tmp_path / "run", **QUICK)
    with pytest.raises(SourceError, match="Box"):
        Actions(spaces.Box(0, 255, (2,), np.uint8), "here")
    assert not (tmp_path / "run").exists()


def test_an_environment_has_no_rows(model):
    with pytest.raises(SourceError, match="instar play"):
        model.predict("gym:Corridor-v0")


@pytest.mark.parametrize(("broken", "said"), [("raises", "the wheel came off"), ("reward", "no finite number")])
def test_an_environment_that_fails_is_named_with_seed_and_step(broken, said, tmp_path):
    with pytest.raises(ContentError, match=said) as caught:
        instar.train(f"gym:Broken-{broken}-v0", out=tmp_path / "run", **QUICK)
    assert "seed" in str(caught.value) and "step" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_gaps_in_observations_are_missing_values(tmp_path):
    model = instar.train("gym:Broken-gaps-v0", out=tmp_path / "run", **QUICK)
    assert model.report.metrics["mean_return"].value > 0.9
    assert "missing at times" in model.inputs[0].describe()


def test_where_nothing_goes_better_than_anything_else_it_is_said(tmp_path):
    model = instar.train("gym:Broken-flat-v0", out=tmp_path / "run", **QUICK)
    assert any("nothing to learn from" in note for note in model.report.notes)
    assert model.report.metrics["mean_return"].value == 0


def test_an_endless_episode_is_ended_and_said(tmp_path):
    model = instar.train("gym:Broken-endless-v0", out=tmp_path / "run", longest_episode=15, **QUICK)
    assert any("had no end" in note for note in model.report.notes)
    assert {each.ended for each in instar.play(model, episodes=3).episodes} == {"bound"}


def test_playing_is_repeated_by_its_seed(model):
    one, again, other = (instar.play(model, episodes=5, seed=seed).to_json() for seed in (3, 3, 4))
    assert one == again
    assert [each["seed"] for each in one["episodes"]] != [each["seed"] for each in other["episodes"]]
    assert one["metrics"] == {}, "fewer than 20 episodes prove nothing"


def test_the_command_plays(model, tmp_path, capsys):
    film = tmp_path / "film.gif"
    assert main(["play", str(model.folder), "--episodes", "21", "--video", str(film), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["environment"] == "gym:Corridor-v0" and len(content["episodes"]) == 21
    assert content["metrics"]["mean_return"]["rows"] == 21
    with Image.open(film) as pictures:
        assert pictures.size == (40, 20)
        assert pictures.n_frames >= 2
    assert main(["play", str(model.folder), "--video", str(tmp_path / "film.mp4")]) == 2
    assert main(["play", str(model.folder), "--episodes", "0"]) == 2
    assert ".gif" in capsys.readouterr().err


def test_only_what_was_learned_is_played(model, tmp_path):
    with pytest.raises(UsageError, match="is not what the model has learned"):
        instar.play(model, environment="gym:Throttle-v0")
    with pytest.raises(UsageError, match="no environment"):
        instar.play(model, environment="houses.csv")
    table = instar.train(
        {"a": [0.5, 1.5, 4.0, 2.0] * 10, "b": [0, 1] * 20}, "b", out=tmp_path / "table", rivals=False, epochs=1
    )
    with pytest.raises(UsageError, match="has not learned to play"):
        instar.play(table)


def test_a_folder_does_not_decide_what_is_imported(model, tmp_path):
    strange = instar.load(model.save(tmp_path / "strange"))
    strange.claims["environment"] = "antigravity:Corridor-v0"
    with pytest.raises(UsageError, match="If you trust it"):
        instar.play(strange)
    assert "antigravity" not in sys.modules


def test_purposes_share_no_seeds():
    drawn = {purpose: set(seeds_for(purpose, seed, 500)) for seed in (0, 1) for purpose in Purpose}
    everything = [seed for seeds in drawn.values() for seed in seeds]
    assert len(set(everything)) == len(everything)
    assert max(everything) < 2**31


def test_episodes_do_not_depend_on_those_beside_them():
    with arena("Corridor-v0") as many, arena("Corridor-v0") as one:
        seeds = list(range(COPIES + 3))
        whole = many.play(Constant([1]), seeds)
        assert [each.total for each in whole] == [one.play(Constant([1]), [seed])[0].total for seed in seeds]
        assert {each.ended for each in whole} == {"terminated"}
        assert [each.total for each in many.play(Chance(many.actions), seeds, luck=5)] == [
            each.total for each in many.play(Chance(many.actions), seeds, luck=5)
        ]


def test_draws_are_normal_and_hold_as_long_as_asked():
    draws = Draws(1, np.repeat([0.0, 0.9], 2000), 1)
    steps = np.stack([draws.next()[:, 0] for _ in range(4)])
    assert np.abs(steps.std(axis=1) - 1).max() < 0.06
    new, held = (np.corrcoef(steps[0, part], steps[1, part])[0, 1] for part in (slice(2000), slice(2000, None)))
    assert abs(new) < 0.07 and held == pytest.approx(0.9, abs=0.03)


def test_chance_takes_every_action_alike():
    actions = Actions(spaces.MultiDiscrete([3, 4]), "here")
    drawn = np.random.default_rng(0).standard_normal((6000, chances(actions)))
    three, four = Chance(actions)({}, drawn)
    assert np.abs(np.bincount(three) / 6000 - 1 / 3).max() < 0.03
    assert np.abs(np.bincount(four) / 6000 - 1 / 4).max() < 0.03
    box = Actions(spaces.Box(np.float32([-1, 0]), np.float32([3, np.inf])), "here")
    (amounts,) = Chance(box)({}, drawn)
    assert amounts[:, 0].min() > -1 and amounts[:, 0].max() < 3 and amounts[:, 0].mean() == pytest.approx(1, abs=0.1)
    assert amounts[:, 1].min() == 0 and np.isfinite(amounts).all()


def test_the_best_episodes_are_those_far_ahead():
    totals = np.array([1.0, 2.0, 1.0, 2.0, 1.0, 1.0])
    assert np.flatnonzero(np.isfinite(elite_episodes(totals, 0.25))).tolist() == [1, 3]
    assert not np.isfinite(elite_episodes(np.ones(8), 0.25)).any()
    rare = np.array([-50.0, -30.0, -40.0, 70.0])
    assert np.flatnonzero(np.isfinite(elite_episodes(rare, 0.5))).tolist() == [3], "not who failed at less cost"


def test_the_best_steps_are_those_after_which_it_went_better_than_expected():
    generator = np.random.default_rng(0)
    seen, lucky = generator.normal(size=(2000, 2)), generator.random(2000) < 0.2
    to_go = 20 * seen[:, 0] + 30 * lucky + generator.normal(size=2000)
    ahead = elite_steps(seen.astype(np.float32), np.arange(2000) // 50, to_go, 0.2, 0)
    chosen = np.isfinite(ahead)
    assert 300 < chosen.sum() <= 400
    assert lucky[chosen].mean() > 0.8, "and not those where all goes well"
    assert abs(seen[chosen, 0].mean()) < 0.2
    again = elite_steps(seen.astype(np.float32), np.arange(2000) // 50, to_go, 0.2, 0)
    assert np.array_equal(ahead, again)
    assert not np.isfinite(elite_steps(seen.astype(np.float32), np.arange(2000) // 50, np.ones(2000), 0.2, 0)).any()


def test_a_reward_counts_for_less_the_later_it_comes():
    assert rewards_to_go([0.0, 0.0, 8.0, 1.0], 0.5).tolist() == [2.125, 4.25, 8.5, 1.0]
    assert rewards_to_go([1.0, 2.0], 0.0).tolist() == [1.0, 2.0]


def test_a_long_episode_keeps_steps_from_its_beginning_to_its_end():
    episode = Episode(0, most=10)
    for step in range(1000):
        episode.keep({"a": step})
        episode.rewards.append(0.0)
    kept = episode.cells["a"]
    assert kept == episode.kept
    assert 5 <= len(kept) <= 10 and kept[0] == 0 and kept[-1] > 800
    assert len(set(np.diff(kept))) == 1


def test_constant_actions_are_all_that_there_are_or_some_of_them():
    assert constants(Actions(spaces.Discrete(3, start=5), "here").parts, 0) == [[5], [6], [7]]
    assert len(constants(Actions(spaces.MultiBinary(40), "here").parts, 0)) == 32
    amounts = constants(Actions(spaces.Box(-1, 3, (2,)), "here").parts, 0)
    assert len(amounts) == 9 and {tuple(each[0]) for each in amounts} >= {(-1.0, 3.0), (1.0, 1.0)}


def test_scores_of_play_have_intervals():
    episodes = [Episode(0, rewards=[float(number), 0.0]) for number in range(40)]
    score = measure_play(episodes)["mean_return"]
    assert score.value == 19.5 and score.low < 19.5 < score.high and score.rows == 40
    assert measure_play(episodes[:19]) == {}


def test_spaces_become_columns_of_their_kinds():
    parts = {part.name: part for part in observed(Mixed.see, "here")}
    kinds = {name: part.kind for name, part in parts.items()}
    assert kinds == {
        "observation_goal": "category",
        "observation_place": "number",
        "observation_both_0_0": "number",
        "observation_both_0_1": "number",
        "observation_both_1_0": "category",
        "observation_both_1_1": "category",
        "observation_many": "number",
    }
    assert parts["observation_goal"].codes == (3, 4)
    (first,) = observed(spaces.Box(0, 255, (3, 20, 30), np.uint8), "here")
    assert first.take(np.zeros((3, 20, 30), np.uint8)).shape == (20, 30, 3)
