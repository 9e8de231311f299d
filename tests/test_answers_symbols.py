"""Texts as answers: how they are measured, written and searched for."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
import torch

from instar.answers import Exhibit, measure, type_of
from instar.networks import assemble
from instar.networks.base import Memory
from instar.networks.decoders import Decoder
from instar.shapes import NO_TEXT, Amounts, Choice, Grid, Symbols, Tokens, Vector

TRUE = [
    "the cat sat on the mat",
    "Three of us went home early.",
    "it rains",
    "no one knew what to say, and so we all kept quiet",
] * 6
SAID = [
    "the cat sat on a mat",
    "Three of us went home.",
    "it rains",
    "nobody knew what we should say and we all kept quiet",
] * 6
ANSWER = Symbols(50, 40, 3.0)


def test_bleu_and_chrf_are_those_of_the_reference_implementation():
    scores = measure(ANSWER, np.array(TRUE), np.array(SAID), resamples=20)
    assert list(scores) == ["exact_match", "chrf", "bleu"]
    assert scores["exact_match"].value == 0.25 and scores["exact_match"].rows == 24
    assert scores["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(SAID, [TRUE]).score / 100)
    assert scores["chrf"].value == pytest.approx(sacrebleu.corpus_chrf(SAID, [TRUE]).score / 100)
    assert all(score.low < score.value < score.high for score in scores.values())


def test_rows_without_a_text_are_left_out_and_too_few_have_no_score():
    holed, unread = np.array([*TRUE, "x", NO_TEXT]), np.array([*SAID, NO_TEXT, "y"])
    assert measure(ANSWER, holed, unread) == measure(ANSWER, np.array(TRUE), np.array(SAID))
    assert measure(ANSWER, np.array(TRUE[:19]), np.array(SAID[:19])) == {}


def test_texts_too_short_for_groups_of_four_words_have_no_bleu():
    words = np.array(["one", "two words"] * 10)
    scores = measure(ANSWER, words, words)
    assert "bleu" not in scores and scores["exact_match"].value == scores["chrf"].value == 1
    assert scores["exact_match"].low < 1


def test_short_answers_are_judged_as_a_whole_and_long_ones_by_their_letters():
    assert type_of(ANSWER).main_metric(Symbols(50, 10, 3.0)) == "exact_match"
    assert type_of(ANSWER).main_metric(Symbols(50, 100, 3.0)) == "chrf"


def test_the_worst_mistakes_are_those_farthest_from_the_truth():
    said = np.array(["the cat", "", "xyz", "the cat sat"])
    truth = np.array(["the cat"] * 4)
    exhibit = Exhibit(ANSWER, truth, said, np.arange(4), show=lambda row: (f"line {row}", {}))
    assert [(each.place, each.answer) for each in type_of(ANSWER).details(exhibit).mistakes] == [
        ("line 1", ""),
        ("line 2", "xyz"),
        ("line 3", "the cat sat"),
    ]


SHAPES = {
    "text": {"text": Tokens(30, 12)},
    "text and row": {"text": Tokens(30, 12), "row": Vector(3, (4,))},
    "series": {"curve": Grid(2, (40,))},
    "row": {"row": Vector(3, (4,))},
    "picture": {"picture": Grid(1, (8, 8))},
}


def inputs_of(shapes, rows):
    generator = torch.Generator().manual_seed(1)
    given = {}
    for name, shape in shapes.items():
        if isinstance(shape, Vector):
            given["numbers"] = torch.randn(rows, shape.width, generator=generator)
            given["codes"] = torch.randint(2, 4, (rows, 1), generator=generator)
            continue
        given[f"present/{name}"] = torch.arange(rows) % 3 > 0
        if isinstance(shape, Tokens):
            tokens = torch.randint(2, 30, (rows, shape.length), generator=generator, dtype=torch.int32)
            lengths = torch.randint(1, shape.length + 1, (rows, 1), generator=generator)
            given[f"tokens/{name}"] = tokens * (torch.arange(shape.length) < lengths)
        else:
            given[f"grid/{name}"] = torch.randn(rows, shape.channels, *shape.extent, generator=generator)
    return given


def network_for(shapes, name, beams=1):
    torch.manual_seed(0)
    return assemble(SHAPES[shapes], {"said": Symbols(20, 9, 2.0)}, name, {"beams": beams}).eval()


CASES = [
    *(("text", name) for name in ("transformer", "lstm", "gru", "rnn", "text-cnn", None)),
    *((shapes, None) for shapes in SHAPES if shapes != "text"),
    ("text and row", "lstm"),
    ("row", "mlp"),
]


@pytest.mark.parametrize(("shapes", "name"), CASES)
def test_symbols_come_one_by_one_as_they_come_together(shapes, name):
    network = network_for(shapes, name)
    given = inputs_of(SHAPES[shapes], 5)
    (head,) = network.heads
    assert isinstance(head, Decoder)
    with torch.no_grad():
        memory = network(given)["said"]
        assert isinstance(memory, Memory)
        symbols = torch.randint(2, 20, (5, 9), generator=torch.Generator().manual_seed(2))
        before = torch.nn.functional.pad(symbols[:, :-1], (1, 0))
        together = head.logits(memory, before)
        state = head.begin(memory)
        for place in range(9):
            alone, state = head.step(memory, state, before[:, place])
            assert torch.allclose(alone, together[:, place], atol=1e-4)


@pytest.mark.parametrize("name", ["transformer", "gru"])
def test_more_beams_find_sequences_at_least_as_likely(name):
    given = inputs_of(SHAPES["text"], 40)
    found = []
    for beams in (1, 4):
        network = network_for("text", name, beams)
        with torch.no_grad():
            # Peaked as a trained network's, so that there is something to find.
            network.heads[0].output.weight.mul_(2)
            written = network.answer(given)["said"]
            memory = network(given)["said"]
            assert written.shape == (40, 9) and written.dtype == torch.int32
            assert not (written == 1).any(), "never an unknown symbol"
            assert not ((written[:, :-1] == 0) & (written[:, 1:] > 0)).any()
            symbols = written.long()
            likely = network.heads[0].logits(memory, torch.nn.functional.pad(symbols[:, :-1], (1, 0))).log_softmax(2)
            counted = torch.arange(9) <= (symbols != 0).sum(1, keepdim=True)
            each = (likely.gather(2, symbols[:, :, None])[:, :, 0] * counted).sum(1)
            found.append((each / counted.sum(1) ** 0.6).mean().item())
    assert found[1] > found[0]


def test_a_missing_text_and_a_row_of_no_weight_change_nothing():
    network = network_for("text", "transformer")
    given, target = inputs_of(SHAPES["text"], 4), torch.randint(2, 20, (4, 9), dtype=torch.int32)
    few = {name: tensor[:2] for name, tensor in given.items()}
    target[2] = -1
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    with torch.no_grad():
        loss = network.loss(given, {"said": target}, weight)
        assert torch.allclose(loss, network.loss(few, {"said": target[:2]}))


def test_the_loss_of_knowing_frequencies_alone_is_one():
    """Two symbols and the end, each as frequent: entropy log 3; a head that says just that has loss 1."""
    torch.manual_seed(0)
    network = assemble(SHAPES["text"], {"said": Symbols(4, 2, float(np.log(3)))}, "transformer").eval()
    with torch.no_grad():
        network.heads[0].output.weight.zero_()
        network.heads[0].output.bias.copy_(torch.tensor([0.0, -1e9, 0.0, 0.0]))
        target = torch.tensor([[2, 0], [3, 0]], dtype=torch.int32)
        assert network.loss(inputs_of(SHAPES["text"], 2), {"said": target}).item() == pytest.approx(1)


def test_classes_numbers_and_texts_are_answered_by_one_network():
    answers = {"class": Choice((3, 5)), "said": Symbols(20, 9, 2.0), "much": Amounts(1)}
    for name in ("transformer", None):
        network = assemble(SHAPES["text and row"], answers, name).eval()
        answered = network.answer(inputs_of(SHAPES["text and row"], 3))
        assert {target: tuple(values.shape) for target, values in answered.items()} == {
            "class": (3, 2),
            "said": (3, 9),
            "much": (3, 1),
        }
