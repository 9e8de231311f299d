"""What networks for sequences of symbols and for series promise beyond what every network does."""

import itertools

import pytest
import torch

from instar.errors import SettingError
from instar.networks import Network, assemble, choose, networks, plan
from instar.networks._sequences import trimmed
from instar.networks.attention import waves
from instar.shapes import Choice, Grid, Tokens
from instar.training.machine import choose_threads
from published import UNPUBLISHED

TWO = {"y": Choice((1, 1))}
OF_TOKENS = [name for name in UNPUBLISHED if networks[name].takes(Tokens(12, 9))]
OF_SERIES = [name for name in UNPUBLISHED if networks[name].takes(Grid(2, (24,)))]
RECURRENT = ("rnn", "lstm", "gru")


def make(shape, name, settings=None, seed=0):
    torch.manual_seed(seed)
    return assemble({"x": shape}, TWO, name, settings or {})


def inputs(content):
    kind = "grid" if content.is_floating_point() else "tokens"
    return {f"{kind}/x": content, "present/x": torch.ones(len(content), dtype=torch.bool)}


def symbols(rows, length, seed=0, *, vocabulary=12, shortest=1):
    """Rows of known symbols, each of a length of its own, and these lengths."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, vocabulary, (rows, length), generator=draw, dtype=torch.int32)
    ends = torch.randint(shortest, length + 1, (rows,), generator=draw)
    tokens[torch.arange(length) >= ends[:, None]] = 0
    return tokens, ends


def learned(network, content, target, steps=120, rate=0.01):
    """The network after some steps on batches of 64."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    order = torch.Generator().manual_seed(0)
    network.train()
    for _ in range(steps):
        rows = torch.randint(0, len(content), (64,), generator=order)
        loss = network.loss(inputs(content[rows]), {"y": target[rows]})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def right(network, content, target):
    with torch.no_grad():
        return (network.answer(inputs(content))["y"].argmax(1) == target).float().mean().item()


# --- where a row ends ------------------------------------------------------------------------------------------------


def some_weights(network):
    """Vectors that begin at 0 would hide what they are multiplied with."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for module in network.modules():
            if isinstance(module, torch.nn.Embedding):
                module.weight[0] = 0
    return network.eval()


def variants(name):
    known = {declared.name for declared in networks[name].settings.declared()}
    yield {}
    if "pooling" in known:
        for pooling, bidirectional in itertools.product(("last", "mean", "max"), (False, True)):
            yield {"pooling": pooling, "bidirectional": bidirectional, "depth": 2}
    if "ngram" in known:
        yield {"ngram": 4}


@pytest.mark.parametrize(("name", "settings"), [(name, each) for name in OF_TOKENS for each in variants(name)])
def test_what_fills_a_row_changes_nothing(name, settings):
    network = some_weights(make(Tokens(12, 9), name, settings))
    tokens, ends = symbols(16, 9)
    with torch.no_grad():
        together = network(inputs(tokens))["y"]
        for row, end in enumerate(ends.tolist()):
            alone = network(inputs(tokens[row : row + 1, :end]))["y"]
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)
    assert together.std(0).min() > 1e-3, "rows differ"


@pytest.mark.parametrize("name", OF_TOKENS)
def test_a_row_without_symbols_has_an_answer_and_finite_gradients(name):
    network = some_weights(make(Tokens(12, 9), name)).train()
    tokens, _ = symbols(4, 9)
    for content in (torch.zeros(2, 9, dtype=torch.int32), torch.cat([tokens, tokens[:1] * 0])):
        network.zero_grad()
        loss = network.loss(inputs(content), {"y": torch.arange(len(content)) % 2})
        loss.backward()
        assert loss.isfinite()
        assert all(each.grad.isfinite().all() for each in network.parameters() if each.grad is not None)


def test_columns_that_no_row_needs_are_left_out():
    tokens, known = trimmed(torch.tensor([[3, 4, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.int32))
    assert tokens.tolist() == [[3, 4], [5, 0], [0, 0]] and tokens.dtype == torch.int64
    assert known.tolist() == [[True, True], [True, False], [True, False]]


@pytest.mark.parametrize("name", [name for name in OF_TOKENS if name != "embedding-bag"])
def test_unknown_symbols_begin_as_nothing_and_fillings_stay_so(name):
    network = make(Tokens(12, 9), name)
    (table,) = (each for each in network.modules() if isinstance(each, torch.nn.Embedding))
    assert not table.weight[:2].any() and table.weight[2:].any(1).all()
    network.train().loss(inputs(symbols(8, 9)[0]), {"y": torch.arange(8) % 2}).backward()
    assert not table.weight.grad[0].any()


# --- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_TOKENS)
def test_order_matters_but_to_a_bag_of_single_symbols(name):
    tokens, _ = symbols(8, 9, shortest=9)
    turned = tokens.flip(1)
    ngrams = (1, 2, None) if name == "embedding-bag" else (None,)
    for ngram in ngrams:
        network = some_weights(make(Tokens(12, 9), name, {} if ngram is None else {"ngram": ngram}))
        with torch.no_grad():
            same = torch.allclose(network(inputs(tokens))["y"], network(inputs(turned))["y"], atol=1e-5)
        assert same == (ngram == 1)


def first_decides(rows, seed):
    tokens, _ = symbols(rows, 10, seed, vocabulary=8, shortest=4)
    return tokens, (tokens[:, 0] > 4).long()


@pytest.mark.parametrize("name", ["lstm", "gru", "transformer"])
def test_the_first_symbol_can_decide(name):
    settings = {"width": 24, "dropout": 0.0} | ({} if name == "transformer" else {"symbol_width": 8, "pooling": "last"})
    settings |= {"bidirectional": False} if name in RECURRENT else {}
    network = learned(make(Tokens(8, 10), name, settings), *first_decides(1000, 0))
    assert right(network, *first_decides(300, 1)) > 0.97


def phrase_anywhere(rows, seed, length=12):
    """Half of the rows hold 2 3 4, the others 4 3 2, at any place."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(5, 10, (rows, length), generator=draw, dtype=torch.int32)
    target = torch.arange(rows) % 2
    starts = torch.randint(0, length - 2, (rows,), generator=draw)
    for place in range(3):
        tokens[torch.arange(rows), starts + place] = torch.where(target == 1, 2 + place, 4 - place).int()
    return tokens, target


@pytest.mark.parametrize(
    ("name", "settings", "finds"),
    [
        ("text-cnn", {"width": 8, "symbol_width": 8}, True),
        ("embedding-bag", {"ngram": 2}, True),
        ("embedding-bag", {"ngram": 1}, False),
    ],
)
def test_a_phrase_is_found_wherever_it_is(name, settings, finds):
    network = learned(make(Tokens(10, 12), name, settings), *phrase_anywhere(1000, 0))
    share = right(network, *phrase_anywhere(300, 1))
    assert share > 0.97 if finds else share < 0.65


# --- series ----------------------------------------------------------------------------------------------------------


def bump_anywhere(rows, seed, steps=48):
    """A rise and a fall, or a fall and a rise, somewhere in noise."""
    draw = torch.Generator().manual_seed(seed)
    series = torch.randn(rows, 1, steps, generator=draw) * 0.3
    target = torch.arange(rows) % 2
    wave = torch.sin(torch.arange(12) * 2 * torch.pi / 12)
    for row, start in enumerate(torch.randint(0, steps - 12, (rows,), generator=draw).tolist()):
        series[row, 0, start : start + 12] += wave * (1 - 2 * target[row])
    return series, target


@pytest.mark.parametrize(("name", "depth"), [("inception-time", 3), ("resnet", 1)])
def test_a_bump_is_found_wherever_it_is(name, depth):
    network = make(Grid(1, (48,)), name, {"width": 8, "depth": depth})
    network = learned(network, *bump_anywhere(400, 0), steps=60)
    assert right(network, *bump_anywhere(200, 1)) > 0.95


@pytest.mark.parametrize("name", OF_SERIES)
@pytest.mark.parametrize("extent", [8, 9, 65, 200])
def test_series_of_any_length_are_taken(name, extent):
    known = {declared.name for declared in networks[name].settings.declared()}
    network = make(Grid(2, (extent,)), name, {"width": 4} if "width" in known else {}).train()
    content = torch.randn(3, 2, extent, generator=torch.Generator().manual_seed(0))
    network.loss(inputs(content), {"y": torch.tensor([0, 1, 1])}).backward()
    assert network.eval().answer(inputs(content))["y"].isfinite().all()


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "transformer", "inception-time"])
def test_series_shorter_than_any_kernel_are_taken(name):
    for extent in (1, 2, 5):
        assert make(Grid(1, (extent,)), name).eval().answer(inputs(torch.randn(2, 1, extent)))["y"].isfinite().all()


def test_a_long_series_is_cut_into_few_patches():
    seen = {}
    for extent in (24, 64, 65, 2000):
        body = make(Grid(1, (extent,)), "transformer").parts[0].body
        seen[extent] = -(-extent // body.patch)
        assert (extent + body.missing) % body.patch == 0
    assert seen == {24: 24, 64: 64, 65: 33, 2000: 63}


# --- what papers say -------------------------------------------------------------------------------------------------


def weights(network):
    return sum(each.numel() for each in network.parts[0].body.parameters())


def test_a_recurrent_layer_has_as_many_weights_as_its_gates():
    # n inputs and h cells: each gate weighs n + h numbers, and torch gives it two thresholds.
    for name, gates in (("rnn", 1), ("lstm", 4), ("gru", 3)):
        network = make(Grid(5, (9,)), name, {"width": 7, "bidirectional": False, "pooling": "last"})
        assert weights(network) == gates * 7 * (5 + 7 + 2)
        assert network.parts[0].body.width == 7
        both = make(Grid(5, (9,)), name, {"width": 7, "depth": 2})
        assert weights(both) == 2 * gates * 7 * (5 + 7 + 2) + 2 * gates * 7 * (14 + 7 + 2)


def test_a_recurrent_layer_begins_by_keeping_what_it_has():
    layer = make(Grid(5, (9,)), "lstm", {"width": 7}).parts[0].body.layers[0][0]
    forget = layer.bias_ih_l0.chunk(4)[1] + layer.bias_hh_l0.chunk(4)[1]
    assert (forget == 1).all() and layer.bias_ih_l0.sum() == 7 and not layer.bias_hh_l0.any()
    for gate in layer.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(7), atol=1e-5, rtol=0)


def test_a_transformer_block_has_the_weights_of_the_paper():
    # Base: four matrices of 512 x 512, two of 512 x 2048, their thresholds, and two normalizations (Vaswani 2017).
    with torch.device("meta"):
        network = assemble({"x": Tokens(5, 8)}, TWO, "transformer", {"width": 512, "heads": 8, "depth": 1})
    (block,) = network.parts[0].body.blocks
    assert sum(each.numel() for each in block.parameters()) == 4 * (512**2 + 512) + 2 * 512 * 2048 + 2560 + 4 * 512


@pytest.mark.parametrize("width", [1, 6, 7, 64])
def test_any_width_fits_any_number_of_heads(width):
    assert (
        make(Tokens(12, 9), "transformer", {"width": width, "heads": 5})(inputs(symbols(3, 9)[0]))["y"].isfinite().all()
    )


def test_positions_are_waves_of_falling_frequency():
    positions = waves(50, 8, torch.device("cpu"))
    torch.testing.assert_close(positions[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(positions[7, 1], torch.tensor(7 / 10_000 ** (2 / 8)).sin())


def test_a_text_cnn_has_as_many_weights_as_the_paper_says():
    # 100 maps for each of 3, 4 and 5 words of 300 numbers (Kim 2014).
    network = make(Tokens(1000, 50), "text-cnn", {"symbol_width": 300})
    assert weights(network) == 1000 * 300 + 300 * 100 * (3 + 4 + 5) + 300
    assert network.parts[0].body.width == 300


def test_an_inception_network_has_the_modules_of_the_paper():
    with torch.device("meta"):
        body = assemble({"x": Grid(1, (100,))}, TWO, "inception-time", {"width": 32, "depth": 6}).parts[0].body
    kernels = 32 * (39 + 19 + 9)
    first, later = kernels + 32 + 2 * 128, 128 * 32 + 32 * kernels + 128 * 32 + 2 * 128
    around = 128 + 2 * 128 + 128 * 128 + 2 * 128
    assert sum(each.numel() for each in body.parameters()) == first + 5 * later + around
    assert body.width == 128 and len(body.ensemble[0].shortcuts) == 2


def test_the_members_of_an_inception_network_begin_apart_and_learn_by_themselves():
    body = make(Grid(2, (30,)), "inception-time", {"members": 3, "width": 4}).parts[0].body
    features = body(torch.randn(5, 2, 30, generator=torch.Generator().manual_seed(0)))
    assert features.shape == (5, 3, 16)
    assert not torch.equal(features[:, 0], features[:, 1])
    features[:, 1].sum().backward()
    learns = [any(each.grad.any() for each in member.parameters()) for member in body.ensemble]
    assert learns == [False, True, False]


def test_kernels_are_no_longer_than_the_series():
    with torch.device("meta"):
        body = assemble({"x": Grid(1, (24,))}, TWO, "inception-time").parts[0].body
    assert [each.kernel_size[1] for each in body.ensemble[0].inception[0].convolutions] == [23, 19, 9]


@pytest.mark.parametrize("windows", [(0,), (65,), tuple(range(1, 18))])
def test_windows_of_a_text_cnn_are_few_and_short(windows):
    with pytest.raises(SettingError, match="windows"):
        make(Tokens(12, 9), "text-cnn", {"windows": windows})


def test_weight_decay_shrinks_recurrent_weights_and_no_thresholds():
    network = make(Tokens(12, 9), "lstm", {"depth": 2})
    decayed = {id(each) for each in network.decayed_parameters()}
    names = {name for name, each in network.named_parameters() if id(each) in decayed}
    assert any("weight_hh" in name for name in names) and any("weight_ih" in name for name in names)
    assert not any("bias" in name or "embedding" in name for name in names)


@pytest.mark.parametrize("name", [*OF_TOKENS, "inception-time"])
def test_a_network_says_whether_its_steps_draw(name):
    shape = Tokens(12, 9) if name in OF_TOKENS else Grid(1, (24,))
    content = symbols(8, 9)[0] if name in OF_TOKENS else torch.randn(8, 1, 24)
    for settings in ({"dropout": 0.5}, {"dropout": 0.0}):
        network = some_weights(make(shape, name, settings)).train()
        first, second = (network(inputs(content))["y"] for _ in range(2))
        assert network.stochastic == (not torch.equal(first, second)) == (settings["dropout"] > 0)


def test_a_plan_of_a_sequence_is_bounded():
    for settings in ({"buckets": 10**9}, {"ngram": 99}):
        with pytest.raises(SettingError):
            plan({"x": Tokens(12, 9)}, TWO, "embedding-bag", settings)
    assert isinstance(make(Tokens(2, 1), "embedding-bag"), Network)


@pytest.mark.parametrize(("vocabulary", "ngram"), [(6, 6), (100, 6), (5000, 2)])
def test_a_bag_takes_longer_groups_of_letters_than_of_words(vocabulary, ngram):
    assert make(Tokens(vocabulary, 20), "embedding-bag").parts[0].body.ngram == ngram


def test_what_every_row_has_weighs_little_and_a_row_of_any_length_the_same():
    network = make(Tokens(600, 6), "embedding-bag", {"ngram": 1})
    body = network.parts[0].body
    shown = torch.tensor([[2, 3, 0, 0, 0, 0], [2, 4, 4, 4, 0, 0], [2, 4, 5, 6, 0, 0]], dtype=torch.int32)
    network.initialize(inputs(shown), {})
    assert 0 < body.rarity[2] < body.rarity[4] < body.rarity[3] and body.rarity[7] < 0
    with torch.no_grad():
        body.vectors.copy_(torch.eye(600)[:, :10])
    lengths = body(torch.tensor([[3, 0, 0], [4, 4, 4], [2, 3, 5]], dtype=torch.int32)).norm(dim=1)
    torch.testing.assert_close(lengths, lengths[:1].expand(3))
    torch.testing.assert_close(body(torch.tensor([[3, 500]])), body(torch.tensor([[3]])))


def test_a_bag_learns_of_a_word_from_its_subwords_and_other_networks_do_without_them():
    shape = Tokens(600, 3, 4)
    network = make(shape, "embedding-bag")
    body = network.parts[0].body
    content = {**inputs(torch.ones(2, 3, dtype=torch.int32)), "subwords/x": torch.tensor([[7, 8, 0, 0], [9, 0, 0, 0]])}
    network.initialize(content, {})
    with torch.no_grad():
        body.vectors[body.first_subword :] = 1
    told = body(content["tokens/x"], content["subwords/x"])
    torch.testing.assert_close(told[1], told[1, :1].expand(10))
    assert told[0, 0] > told[1, 0] > 0
    network.loss(content, {"y": torch.tensor([0, 1])}).backward()
    assert (body.vectors.grad.abs().sum(1) > 0).nonzero().amax() >= body.first_subword
    assert make(shape, "text-cnn").answer(content)["y"].shape == (2, 2)


def test_a_large_vocabulary_is_no_reason_for_more_threads():
    assert choose_threads(make(Tokens(30_000, 20), "embedding-bag"), 1024) == 1


def test_windows_follow_the_symbols():
    letters, words = (make(shape, "text-cnn").parts[0].body for shape in (Tokens(6, 80), Tokens(90, 20, 200)))
    assert max(letters.sizes) > max(words.sizes)
    assert letters.embedding.embedding_dim == 6


def test_series_and_texts_have_defaults_of_their_own():
    shapes = {"s": Grid(3, (100,)), "t": Tokens(5000, 20), "few words": Tokens(90, 20, 200), "letters": Tokens(6, 80)}
    chosen, why = choose({**shapes, "short": Grid(1, (5,))})
    words, letters = "embedding-bag", "text-cnn"
    assert chosen == {"s": "inception-time", "t": words, "few words": words, "letters": letters, "short": "tabm"}
    assert "100 steps of 3 numbers" in why and "too small" in why
