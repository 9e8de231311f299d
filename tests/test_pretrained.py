"""Learning on from what an encoder knows: its vocabulary, its weights, and texts that are learned from with it."""

from __future__ import annotations

import json
import shutil
import sys
from importlib import invalidate_caches

import numpy as np
import polars as pl
import pytest
import torch

import encoders
import instar
from instar.errors import InstarError, InterruptionError, ModelError, SettingError, UsageError
from instar.fields import kinds
from instar.fields._ragged import padded
from instar.fields._wordpieces import WordPieces
from instar.learn import learn
from instar.networks import assemble, plan
from instar.pretrained import KNOWN, read_encoder, read_weights
from instar.shapes import Amounts, Tokens, Vector
from test_learn_texts import reviews

ROWS = 1_100
QUICK = {"rivals": False, "epochs": 6, "rate": 0.01, "dropout": 0.0, "width": 32, "target": "answer"}
# The means of the steps after each of both blocks, computed with transformers 5.23.0 from the same folder: its model
# (BertModel) and its tokenizer's codes between those of [CLS] and [SEP].
GOLDEN = {
    "The soup was very lovely!": [
        *(-0.21252, 0.71205, -0.03985, -0.98199, -0.27192, 1.79946, 0.39225, -1.02957),
        *(0.59793, -0.12313, -0.73356, -0.9752, -0.12442, 0.74476, 1.21912, -0.84718),
    ],
    "cold rooms": [
        *(-0.11844, -0.05065, -0.48326, -0.54722, 0.47609, 2.15885, -0.15713, -1.13985),
        *(0.77256, -0.60225, -1.23879, -0.42439, 0.64325, 1.08676, 0.78979, -1.17091),
    ],
    "Wärmer, and warmer": [
        *(-0.303, 1.36637, 0.43677, -0.9483, -0.60121, 1.33281, 0.01004, -0.87997),
        *(0.3871, 0.19413, -0.27107, -1.01066, -0.49791, 0.5635, 1.05413, -0.73313),
    ],
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return encoders.write_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module")
def table():
    texts, answers = reviews(ROWS)
    return pl.DataFrame({"review": texts, "answer": answers})


@pytest.fixture(scope="module")
def model(encoder, table, tmp_path_factory):
    """A model that is loaded when its encoder is no longer there."""
    out, gone = tmp_path_factory.mktemp("model") / "run", encoder.with_name("gone")
    shutil.copytree(encoder, gone)
    learn(table, {**QUICK, "pretrained": str(gone), "out": str(out)})
    shutil.rmtree(gone)
    return instar.load(out)


def codes_of(encoder, texts):
    """Instar's codes of texts, and the shape they are of."""
    known, vocabulary = read_encoder(str(encoder))
    pieces = WordPieces.of(vocabulary)
    codes, lengths = pieces.encode(pl.Series(texts), known.positions)
    shape = Tokens(pieces.vocabulary, known.positions, encoder=known)
    return torch.from_numpy(padded(codes, lengths, known.positions).astype(np.int32)), shape


def inputs(tokens):
    return {"tokens/t": tokens, "present/t": torch.ones(len(tokens), dtype=torch.bool)}


def build(shape, tokens, settings=None):
    torch.manual_seed(0)
    network = assemble({"t": shape}, {"y": Amounts(1)}, None, settings or {})
    network.initialize(inputs(tokens), {})
    return network


# --- what the network makes of texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
def test_an_encoder_gives_what_it_gives_elsewhere(encoder, together):
    tokens, shape = codes_of(encoder, list(GOLDEN))
    body = build(shape, tokens).eval().parts[0].body
    with torch.no_grad():
        found = body.fixed(tokens) if together else torch.cat([body.fixed(row) for row in tokens.split(1)])
    assert np.allclose(found, list(GOLDEN.values()), atol=2e-5)


def test_older_names_larger_tables_and_half_precision_are_the_same_encoder(encoder, tmp_path):
    tensors = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): each
        for name, each in encoders.weights().items()
    }
    name = "bert.embeddings.word_embeddings.weight"
    tensors |= {name: np.vstack([tensors[name], np.ones((3, encoders.WIDTH), np.float32)])}
    tensors |= {"cls.predictions.bias": np.zeros(3, np.float32)}
    older = encoders.write_encoder(tmp_path / "older", tensors=tensors)
    halves = {name: each.astype(np.float16) for name, each in encoders.weights().items()}
    half = encoders.write_encoder(tmp_path / "half", tensors=halves)
    for folder, tolerance in ((encoder, 2e-5), (older, 2e-5), (half, 1e-2)):
        tokens, shape = codes_of(folder, list(GOLDEN))
        with torch.no_grad():
            found = build(shape, tokens).parts[0].body.fixed(tokens)
        assert np.allclose(found, list(GOLDEN.values()), atol=tolerance)


def test_what_is_made_once_gives_the_same_answers(encoder):
    tokens, shape = codes_of(encoder, [*GOLDEN, "rude", ""])
    network = build(shape, tokens).eval()
    given = inputs(tokens)
    given["present/t"][-1] = False
    once = network.fixed(given)
    del once["tokens/t"]
    assert network.has_fixed and torch.equal(network.answer(once)["y"], network.answer(given)["y"])


def test_only_the_last_blocks_learn_and_pieces_never(encoder):
    tokens, shape = codes_of(encoder, list(GOLDEN))
    for blocks in (0, 1, 2, 9):
        network = build(shape, tokens, {"learning_blocks": blocks}).train()
        network.loss(inputs(tokens), {"y": torch.tensor([[0.5], [1.0], [-1.0]])}).backward()
        body = network.parts[0].body
        learning = [block.ask.weight.grad is not None for block in body.blocks]
        assert learning == [place >= encoders.DEPTH - blocks for place in range(encoders.DEPTH)]
        assert body.pieces.weight.grad is None and body.hidden[1].weight.grad.any()
        assert network.has_fixed == (blocks == 0)


# --- learning with it ------------------------------------------------------------------------------------------------


def test_texts_are_learned_from_and_the_model_needs_no_encoder(model, encoder, table):
    assert model.report.metrics["accuracy"].value > 0.6
    (part,) = model.network.plan.parts
    assert part.network == "bert" and "gone" in model.network.plan.why
    before = read_encoder(str(encoder))[0]
    state = model.inputs[0].state()[0]
    assert state["encoder"] == {**vars(before), "source": "gone"}, "no path of this machine"
    frame = model.predict(table.head(20))
    alone = pl.concat([model.predict(table[row]) for row in range(20)])
    assert np.allclose(frame["confidence"], alone["confidence"], atol=1e-5)
    assert frame["prediction"].to_list() == alone["prediction"].to_list()


def test_a_killed_training_ends_with_the_same_bits(model, encoder, table, tmp_path):
    given = {**QUICK, "pretrained": str(encoder), "out": str(tmp_path / "run")}
    for most in (30, 250):
        asked = iter(range(most))
        with pytest.raises(InterruptionError):
            learn(table, given, should_stop=lambda asked=asked: next(asked, None) is None)
    learn(table, given)
    again, whole = instar.load(tmp_path / "run").network.state_dict(), model.network.state_dict()
    assert all(torch.equal(again[name], each) for name, each in whole.items())


def test_blocks_that_learn_change_and_others_do_not(encoder, table, tmp_path):
    given = {**QUICK, "pretrained": str(encoder), "out": str(tmp_path), "learning_blocks": 1, "epochs": 1}
    network = learn(table, given)[0].network
    tokens, shape = codes_of(encoder, list(GOLDEN))
    before, after = build(shape, tokens).parts[0].body, network.parts[0].body
    assert torch.equal(before.blocks[0].ask.weight, after.blocks[0].ask.weight)
    assert not torch.equal(before.blocks[1].ask.weight, after.blocks[1].ask.weight)


def test_a_text_beside_numbers_and_other_symbols(encoder):
    _, shape = codes_of(encoder, ["the room"])
    shapes = {"size": Vector(1), "review": shape, "code": Tokens(6, 20)}
    for named, others in ((None, "text-cnn"), ("lstm", "lstm")):
        made = plan(shapes, {"y": Amounts(1)}, named)
        assert {part.input: part.network for part in made.parts} == {None: "tabm", "review": "bert", "code": others}


def test_english_texts_are_told_of_it_and_others_are_not():
    def advice(texts):
        column = kind.read(pl.Series(texts), {"bytes": 1000, "files": False})
        return kind.fit("review", [column], {}, kind.settings(), target=False).advice

    kind, (texts, _) = kinds["text"], reviews(60)
    assert "--set pretrained=minilm" in advice(texts)
    assert not advice([f"das Zimmer {number} sah gut aus, und der Garten dort auch" for number in range(60)])


# --- what cannot be used ---------------------------------------------------------------------------------------------


def other_config(**changes):
    return {"config": {**encoders.configuration(), **changes}}


def other_vocabulary(part, **changes):
    content = encoders.tokenizer()
    return {"vocabulary": {**content, part: {**content[part], **changes}}}


def without(name):
    return {"tensors": {key: each for key, each in encoders.weights().items() if key != name}}


PIECES = {piece: code for code, piece in enumerate(encoders.PIECES)}
QUERY = "encoder.layer.1.attention.self.query.weight"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (other_config(model_type="roberta"), "model_type is 'roberta'"),
        (other_config(hidden_act="relu"), "hidden_act is 'relu'"),
        (other_config(num_hidden_layers=10**9), "num_hidden_layers is 1000000000"),
        (other_config(hidden_size="8"), "hidden_size is '8'"),
        (other_config(num_attention_heads=3), "no multiple of 3 heads"),
        (other_config(num_hidden_layers=3), "has no tensor 'encoder.layer.2"),
        (other_vocabulary("model", type="BPE"), "WordPiece"),
        (other_vocabulary("model", vocab={"[PAD]": 0, "[UNK]": 2}), "not numbered one after another"),
        (other_vocabulary("model", vocab={"[PAD]": 0, "[UNK]": 1}), "has no [CLS]"),
        (other_vocabulary("model", vocab={**PIECES, "": len(PIECES)}), "is empty"),
        (other_vocabulary("model", vocab={**PIECES, "more": len(PIECES)}), "has the shape (28, 8) and not (29, 8)"),
        (without(QUERY), f"has no tensor '{QUERY}'"),
        ({"tensors": {**encoders.weights(), QUERY: np.zeros((8, 9), np.float32)}}, "(8, 9) and not (8, 8)"),
    ],
)
def test_another_architecture_or_a_damaged_folder_is_refused(changes, reason, table, tmp_path):
    folder = encoders.write_encoder(tmp_path / "encoder", **changes)
    with pytest.raises(ModelError) as refused:
        learn(table, {**QUICK, "pretrained": str(folder), "out": str(tmp_path / "run")})
    assert reason in str(refused.value) and str(folder) in str(refused.value) and refused.value.remedy


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_missing_or_cut_is_named(name, encoder, table, tmp_path):
    folder = tmp_path / "encoder"
    shutil.copytree(encoder, folder)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    for damage in (None, content[: len(content) // 2], b"", b"[]"):
        if damage is not None:
            (folder / name).write_bytes(damage)
        with pytest.raises(ModelError, match=name):
            learn(table, {**QUICK, "pretrained": str(folder), "out": str(tmp_path / "run")})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"pretrained": "minilmm"}, "Did you mean 'minilm'?"),
        ({"pretrained": "/no/such/folder"}, "hub:OWNER/NAME"),
        ({"symbols": "bpe"}, "settled by the pretrained encoder"),
        ({"text_length": 25}, "at most"),
        ({"network": "lstm"}, "cannot take over pretrained weights"),
    ],
)
def test_what_does_not_go_together_is_refused(given, reason, encoder, table, tmp_path):
    with pytest.raises(UsageError) as refused:
        learn(table, {**QUICK, "width": None, "pretrained": str(encoder), "out": str(tmp_path), **given})
    assert reason in str(refused.value)


def test_texts_that_are_continued_have_no_use_for_an_encoder(encoder):
    kind = kinds["passage"]
    with pytest.raises(SettingError, match="cannot tell how they go on"):
        kind.fit("review", [], {}, kind.settings(pretrained=str(encoder)), target=False)


def test_the_network_without_an_encoder_is_refused(table, tmp_path):
    with pytest.raises(UsageError, match="--set pretrained=minilm"):
        learn(table, {**QUICK, "network": "bert", "out": str(tmp_path)})


def test_an_encoder_that_is_not_installed_or_not_the_published_one(encoder, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(SettingError, match=r"pip install 'instar\[pretrained\]'"):
        read_encoder("minilm")
    module = tmp_path / KNOWN["minilm"].module
    module.mkdir()
    (module / "__init__.py").write_text("raise SystemExit('it was run')")
    shutil.copytree(encoder, module / KNOWN["minilm"].folder)
    invalidate_caches()
    known, _ = read_encoder("minilm")
    with pytest.raises(ModelError, match="its hash is not that"):
        read_weights(known.source, {})


def test_the_hub_is_asked_only_where_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SettingError, match="pip install huggingface_hub"):
        read_encoder("hub:sentence-transformers/all-MiniLM-L6-v2")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"depth": 10**6}, "depth"),
        ({"heads": 3}, "heads"),
        ({"positions": 8}, "encoder"),
        ({"source": None}, "source"),
        ({"inner": 13}, "network"),
    ],
)
def test_a_hostile_model_is_refused_before_anything_is_allocated(changes, reason, model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model.folder, folder)
    declaration = json.loads((folder / "instar.json").read_text())
    declaration["inputs"][0]["state"]["encoder"] |= changes
    (folder / "instar.json").write_text(json.dumps(declaration))
    with pytest.raises(InstarError, match=reason):
        instar.load(folder)
