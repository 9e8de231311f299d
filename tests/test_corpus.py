"""Long texts: cut into passages, learned, measured in bits, and continued."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import instar
from instar.cli import main
from instar.errors import SettingError, SourceError, UsageError
from instar.evaluation.rivals.continuing import Groups
from instar.fields import kinds
from instar.generation import draw, nucleus, softmax
from instar.networks import assemble, networks
from instar.shapes import Continuation, Tokens
from instar.sources.corpus import LENGTH, PASSAGE, _whole_characters
from instar.sources.locate import locate
from instar.training.schedules import rate_factor

WORDS = ("the cat sat. ", "a dog ran\n", "über die Straße, ", "\tnobody came! ")
LANGUAGE_MODELS = [name for name, each in networks.items() if each.continues]


def text_of(size: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(WORDS, size))


def passages(path: object) -> list[str]:
    chunks = locate(f"corpus:{path}").chunks()
    return [passage for chunk in chunks for passage in chunk.columns[PASSAGE]]


def test_nothing_of_a_text_is_lost_and_every_passage_is_found_again(tmp_path: Path) -> None:
    texts = {"b/deep.txt": text_of(300, 1), "a.md": text_of(200, 2), "c.txt.gz": text_of(400, 3)}
    (tmp_path / "b").mkdir()
    for name, text in texts.items():
        content = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    found = passages(tmp_path)
    assert "".join(found) == "".join(texts[name] for name in sorted(texts))
    assert {len(passage) for passage in found if len(passage) != LENGTH} <= {
        len(text) % LENGTH for text in texts.values()
    }
    source = locate(f"corpus:{tmp_path}")
    line = texts["a.md"][:LENGTH].count("\n") + 1
    assert source.locate_row(1) == f"{tmp_path / 'a.md'}, from line {line}"
    before = source.fingerprint()
    (tmp_path / "a.md").write_text("other")
    assert locate(f"corpus:{tmp_path}").fingerprint() != before


@given(st.text(max_size=20))
def test_no_character_is_cut_in_two(text: str) -> None:
    content = text.encode("utf-8", "replace")
    for end in range(1, len(content) + 1):
        whole = _whole_characters(content[:end])
        assert end - whole < 4
        content[:whole].decode()


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("first\nStra\xdfe\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"line 2.*0xDF"):
        passages(tmp_path)
    (tmp_path / "latin.txt").rename(tmp_path / "latin.bin")
    with pytest.raises(SourceError, match="no text file in the folder"):
        locate(f"corpus:{tmp_path}")
    with pytest.raises(SourceError, match="no such file"):
        locate("corpus:nowhere.txt")


@pytest.mark.parametrize("symbols", ["characters", "bpe"])
def test_a_passage_comes_back_letter_by_letter(symbols: str) -> None:
    kind, column = kinds["passage"], pl.Series([text_of(60, seed)[:LENGTH] for seed in range(40)])
    settings = kind.settings(symbols=symbols, vocabulary=60)  # type: ignore[call-arg]
    arrays = kind.read(column, kind.survey(column, settings))
    field = kind.fit("p", [arrays], {}, settings, target=True)
    assert field.decode(field.prepare(arrays)["target"].numpy()) == column.to_list()
    answer = field.answer
    assert isinstance(answer, Continuation) and bool(answer.characters) == (symbols == "bpe")
    assert field.encode("Ω").tolist() == [1]
    with pytest.raises(SettingError, match="characters or bpe"):
        kind.fit("p", [arrays], {}, kind.settings(symbols="words"), target=True)  # type: ignore[call-arg]


@given(st.lists(st.integers(2, 6), max_size=6), st.integers(0, 3))
def test_probabilities_of_an_n_gram_model_sum_to_one(before: list[int], seed: int) -> None:
    rows = np.random.default_rng(seed).choice([2, 3, 4], (30, 12), p=[0.6, 0.3, 0.1])
    rows[::3, 7:] = 0
    likely = Groups(Continuation(7, 12, 1.0), 4).fit(rows, np.ones(30)).probabilities(before)
    assert likely.sum() == pytest.approx(1) and (likely[1:] > 0).all()


def test_an_n_gram_model_learns_what_follows() -> None:
    rows = np.tile([2, 3, 4, 5], (60, 6))
    answer = Continuation(6, 24, 1.0)
    learned, blind = (Groups(answer, longest).fit(rows, np.ones(60)).predict(rows[:2]) for longest in (6, 1))
    assert learned[0, 0] < 0.5 * blind[0, 0] and blind[0].tolist()[1:] == [24, 24]
    assert blind[0, 0] / 24 == pytest.approx(math.log(4), rel=0.02)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=12), st.floats(0.01, 1))
def test_a_nucleus_is_the_fewest_that_have_the_share(weights: list[float], share: float) -> None:
    probabilities = np.array(weights) / sum(weights)
    kept = nucleus(probabilities, share)
    chosen = kept > 0
    assert kept.sum() == pytest.approx(1)
    assert probabilities[chosen].sum() >= share - 1e-9
    assert probabilities[chosen].sum() - probabilities[chosen].min() < share
    assert not (~chosen).any() or probabilities[chosen].min() >= probabilities[~chosen].max()


def test_symbols_are_drawn_as_often_as_they_are_likely() -> None:
    logits, generator = np.log([0.5, 0.3, 0.2]), np.random.default_rng(0)
    drawn = np.bincount([draw(logits, 1.0, 1.0, generator) for _ in range(4_000)], minlength=3) / 4_000
    assert np.abs(drawn - [0.5, 0.3, 0.2]).max() < 0.03
    assert {draw(logits, 1.0, 0.7, generator) for _ in range(200)} == {0, 1}
    assert draw(logits, 0.0, 1.0, generator) == 0
    assert softmax(logits / 0.5)[0] > 0.6


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_what_is_followed_in_parts_is_what_is_followed_at_once(name: str) -> None:
    torch.manual_seed(0)
    shape, answer = Tokens(9, 24), Continuation(9, 24, 2.0)
    network = assemble({"p": shape}, {"p": answer}, name, {"width": 16}).eval()
    symbols = torch.randint(2, 9, (3, 12))
    body = network.continued.body
    with torch.no_grad():
        whole, _ = body.follow(symbols)
        first, state = body.follow(symbols[:, :5])
        second, state = body.follow(symbols[:, 5:6], state)
        third, _ = body.follow(symbols[:, 6:], state)
        changed, _ = body.follow(torch.cat([symbols[:, :8], symbols[:, 8:].flip(1)], 1))
    torch.testing.assert_close(torch.cat([first, second, third], 1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(changed[:, :8], whole[:, :8], atol=1e-5, rtol=1e-5)
    tokens = torch.nn.functional.pad(symbols, (0, 12)).int()
    given_inputs = {"tokens/p": tokens, "present/p": torch.ones(3, dtype=torch.bool)}
    with torch.no_grad():
        nats, count, characters = network.answer(given_inputs)["p"].T
        loss = network.loss(given_inputs, {"p": tokens})
    assert count.tolist() == characters.tolist() == [12, 12, 12]
    assert loss.item() == pytest.approx(nats.sum().item() / 36 / 2.0, rel=1e-5)


def test_a_transformer_writes_beyond_what_it_sees_at_once() -> None:
    torch.manual_seed(0)
    body = assemble({"p": Tokens(9, 8)}, {"p": Continuation(9, 8, 2.0)}, "gpt", {"width": 16}).eval().continued.body
    symbols = torch.randint(2, 9, (2, 21))
    with torch.no_grad():
        steps, state = body.follow(symbols)
        assert steps.shape == (2, 21, 16) and state[0].shape[1] <= 8
        one, _ = body.follow(symbols[:, :1], state)
        again, _ = body.follow(torch.cat([state[0], symbols[:, :1]], 1)[:, -4 if state[0].shape[1] == 8 else 0 :])
    torch.testing.assert_close(one[:, 0], again[:, -1], atol=1e-5, rtol=1e-5)


def test_a_network_that_cannot_continue_is_refused_with_those_that_can() -> None:
    with pytest.raises(UsageError, match=r"continues nothing.*lstm-lm"):
        assemble({"p": Tokens(9, 24)}, {"p": Continuation(9, 24, 2.0)}, "text-cnn")
    with pytest.raises(UsageError, match="from itself alone"):
        assemble({"p": Tokens(9, 24), "q": Tokens(9, 24)}, {"p": Continuation(9, 24, 2.0)})


def test_a_rate_falls_with_what_ends_sooner() -> None:
    assert rate_factor("linear", 10, 100, spent=0.5) == 0.5
    assert rate_factor("linear", 80, 100, spent=0.5) == pytest.approx(0.2)
    assert rate_factor("plateau", 10, 100, spent=0.5) == 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[instar.Model, dict[str, list[str]]]:
    generator = np.random.default_rng(0)
    source = {"line": ["".join(generator.choice(WORDS, 3)) for _ in range(1_100)]}
    out = tmp_path_factory.mktemp("lm") / "run"
    model = instar.train(source, "line", kind=["line=passage"], out=out, epochs=4, width=48, batch=16, rival_time=60)
    return model, source


def test_a_language_model_knows_far_more_than_frequencies(trained: tuple[instar.Model, dict[str, list[str]]]) -> None:
    model, source = trained
    report = model.report
    assert report is not None
    result = report.targets[0]
    baseline = next(rival for rival in result.rivals if rival.baseline)
    assert len(set(report.samples)) == 3 and "What it writes" in report.html()
    ngrams = next(rival for rival in result.rivals if not rival.baseline)
    bits = result.metrics["bits_per_character"].value
    assert bits < 0.5 * baseline.metrics["bits_per_character"].value
    assert ngrams.metrics["bits_per_character"].value < 0.4 * baseline.metrics["bits_per_character"].value
    assert result.metrics["perplexity"].value == pytest.approx(2**bits, rel=1e-6)
    frame = instar.load(model.folder).predict({"line": [source["line"][0], "zzzzqqqq"]})
    assert frame["bits_per_character"][0] < 2 < frame["bits_per_character"][1]
    assert model.evaluate(source).metrics["bits_per_character"].rows == 1_100


def test_the_same_seed_writes_the_same_text(
    trained: tuple[instar.Model, dict[str, list[str]]], caplog: pytest.LogCaptureFixture
) -> None:
    model, _ = trained
    once = model.generate("the c", length=60, seed=3)
    assert (
        once
        == instar.load(model.folder).generate("the c", length=60, seed=3)
        == "".join(model.stream("the c", length=60, seed=3))
    )
    assert len(once) == 60 and once != model.generate("the c", length=60, seed=4)
    assert model.generate("the c", length=6, temperature=0).startswith("at sat")
    assert model.generate(length=0) == ""
    model.generate("Ω", length=1)
    assert "Ω" in caplog.text
    for wrong in ({"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"length": -1}, {"seed": -1}):
        with pytest.raises(UsageError):
            model.generate(**wrong)


def test_a_text_goes_through_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text(text_of(500), encoding="utf-8")

    def done(*words: str) -> str:
        assert main(words) == 0
        return capsys.readouterr().out

    learned = done("train", "corpus:story.txt", "--out", "model", "--epochs", "2", "--set", "width=16")
    assert "instar generate model" in learned
    written = done("generate", "model", "--prompt", "the ", "--length", "30", "--top-p", "0.9", "--temperature", "0.5")
    assert written.startswith("the ") and len(written) == 4 + 30 + 1
    assert json.loads(done("generate", "model", "--json", "--length", "3"))["length"] == 3
    assert "bits_per_character" in done("predict", "model", "corpus:story.txt", "--csv")
