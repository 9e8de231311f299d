"""What every network promises, and what each of them is known for."""

import json
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from instar.errors import ModelError, SettingError, UsageError
from instar.networks import Network, Plan, assemble, choose, networks, plan, setting_groups
from instar.networks.activations import ACTIVATIONS
from instar.networks.embedding import CodeEmbedding, Periodic, PiecewiseLinear, RowEmbedding, code_width
from instar.networks.heads import AmountsHead, ChoiceHead, HeadSettings, SeveralHead
from instar.networks.initialization import INITIALIZATIONS
from instar.shapes import Amounts, Choice, Grid, Several, Tokens, Vector
from published import UNPUBLISHED

ROWS = 24
INPUTS = {
    "numbers": {"a": Vector(2), "b": Vector(1)},
    "codes": {"a": Vector(0, (3, 40))},
    "both": {"a": Vector(2, (3,)), "b": Vector(1, (40,))},
    "picture": {"keys": Grid(3, (8, 9))},
    "large picture": {"photo.path": Grid(1, (26, 50))},
    "picture and row": {"a": Vector(2, (3,)), "p": Grid(1, (12, 12))},
    "curve": {"c": Grid(2, (24,))},
    "curve and row": {"a": Vector(2, (3,)), "c": Grid(1, (9,))},
    "text": {"t": Tokens(30, 11)},
    "text and row": {"a": Vector(2, (3,)), "t.t": Tokens(9, 16)},
}
ANSWERS = {
    "two classes": {"y": Choice((12, 12))},
    "classes": {"y": Choice((8, 8, 8))},
    "amount": {"y": Amounts(1)},
    "labels": {"y": Several((18, 12, 6), 24)},
    "several": {"y": Choice((8, 16)), "z.z": Amounts(2)},
}
SMALL = {
    "tabm": {"width": 32, "members": 4},
    "mlp": {"width": 32},
    "resnet": {"width": 8},
    "unet": {"width": 4},
    "inception-time": {"width": 8, "depth": 3},
    "transformer": {"width": 16},
    "text-cnn": {"width": 16},
    "embedding-bag": {"buckets": 1_000},
    "gpt": {"width": 16, "depth": 2},
    **{name: {"width": 16} for name in ("rnn-lm", "lstm-lm", "gru-lm")},
} | {name: {"width": 16, "symbol_width": 16} for name in ("rnn", "lstm", "gru")}


def given(name, inputs):
    """Small settings, as far as this network's bodies have them."""
    known = {declared.name for group in setting_groups(inputs, name) for declared in group.declared()}
    return {setting: value for setting, value in SMALL.get(name, {}).items() if setting in known}


def tensors(inputs, rows=ROWS, seed=0):
    draw = torch.Generator().manual_seed(seed)
    vector = sum((shape for shape in inputs.values() if isinstance(shape, Vector)), Vector())
    made = {}
    if vector.width:
        made["numbers"] = torch.randn(rows, vector.width, generator=draw)
    if vector.cardinalities:
        columns = [torch.randint(0, size, (rows,), generator=draw) for size in vector.cardinalities]
        made["codes"] = torch.stack(columns, 1)
    for name, shape in inputs.items():
        if isinstance(shape, Grid):
            made[f"grid/{name}"] = torch.randn(rows, shape.channels, *shape.extent, generator=draw)
            made[f"present/{name}"] = torch.arange(rows) % 5 != 1
        if isinstance(shape, Tokens):
            symbols = torch.randint(1, shape.vocabulary, (rows, shape.length), generator=draw, dtype=torch.int32)
            ends = torch.randint(1, shape.length + 1, (rows, 1), generator=draw)
            made[f"present/{name}"] = torch.arange(rows) % 5 != 1
            symbols[(torch.arange(shape.length) >= ends) | ~made[f"present/{name}"][:, None]] = 0
            made[f"tokens/{name}"] = symbols
    return made


def aims(answers, given_inputs=None):
    """Targets that follow from a weighted sum of the inputs; with no inputs, drawn at random."""
    draw = torch.Generator().manual_seed(1)
    signal = torch.randn(ROWS, generator=draw)
    for key, values in (given_inputs or {}).items():
        if not key.startswith("present/"):
            values = values.flatten(1).float()
            present = given_inputs["present/" + key.partition("/")[2]] if "/" in key else 1
            signal = signal * 0.1 + present * (values @ torch.randn(values.shape[1], generator=draw))
    rank = signal.argsort().argsort()

    def aim(answer):
        if isinstance(answer, Choice):
            return rank * answer.classes // ROWS
        if isinstance(answer, Several):
            return (rank[:, None] >= ROWS - torch.tensor(answer.counts)).float()
        return ((signal - signal.mean()) / signal.std())[:, None].repeat(1, answer.width)

    return {name: aim(answer) for name, answer in answers.items()}


def make(inputs, answers, name=None, settings=None, seed=0):
    torch.manual_seed(seed)
    network = assemble(inputs, answers, name, settings or {})
    network.initialize(tensors(inputs, 200), {})
    return network


def fits(name, inputs):
    """Whether the network can be the body of any of the inputs, flattened where need be."""
    flat = [Vector(shape.size) if isinstance(shape, Grid) else shape for shape in inputs.values()]
    return any(map(networks[name].takes, [*inputs.values(), *flat]))


def fitting():
    for name in UNPUBLISHED:
        for shapes, inputs in INPUTS.items():
            if not fits(name, inputs):
                continue
            for kind, answers in ANSWERS.items():
                if name == "perceptron" and kind not in ("two classes", "classes"):
                    continue
                yield pytest.param(name, inputs, answers, id=f"{name}-{shapes}-{kind}")


every_network = pytest.mark.parametrize(("name", "inputs", "answers"), list(fitting()))


@every_network
def test_a_network_learns_and_answers_what_its_targets_ask(name, inputs, answers):
    network, given_inputs = make(inputs, answers, name, given(name, inputs)), tensors(inputs)
    targets = aims(answers, given_inputs)
    before = network.eval().loss(given_inputs, targets).item()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    network.train()
    for _ in range(30):
        loss = network.loss(given_inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        assert loss.isfinite()
        for label, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), label
        optimizer.step()
    network.eval()
    assert network.loss(given_inputs, targets).item() < before
    for target, answer in answers.items():
        values = network.answer(given_inputs)[target]
        assert values.dtype == torch.float32
        if isinstance(answer, Choice):
            assert values.shape == (ROWS, answer.classes)
            assert values.min() >= 0
            torch.testing.assert_close(values.sum(1), torch.ones(ROWS))
        elif isinstance(answer, Several):
            assert values.shape == (ROWS, answer.labels)
            assert values.min() >= 0 and values.max() <= 1
        else:
            assert values.shape == (ROWS, answer.width)


@every_network
def test_a_network_is_rebuilt_from_its_plan_and_state_without_memory(name, inputs, answers):
    network = make(inputs, answers, name, given(name, inputs)).eval()
    content = json.loads(json.dumps(network.plan.as_json()))
    with torch.device("meta"):
        other = Network(inputs, answers, Plan.from_json(content))
    assert all(tensor.is_meta for tensor in other.state_dict().values())
    other.load_state_dict({key: value.clone() for key, value in network.state_dict().items()}, assign=True)
    assert other.plan == network.plan
    assert not any(tensor.is_meta for tensor in (*other.parameters(), *other.buffers()))
    expected, found = network.answer(tensors(inputs)), other.eval().answer(tensors(inputs))
    for target in answers:
        torch.testing.assert_close(found[target], expected[target], rtol=0, atol=1e-6)


LOADED = """
import sys, torch
from instar.networks import Network, networks, plan
from instar.networks.initialization import Undrawn
from instar.shapes import Amounts, Choice, Encoder, Grid, Tokens, Vector

answers = {"y": Choice((3, 1, 0)), "z": Amounts(2)}
PRETRAINED = Tokens(30, 11, encoder=Encoder("nowhere", 1, 4, 2, 4, 12))
for name in networks:
    for shape in (Vector(3, (4, 40)), Grid(3, (80, 80)), Grid(2, (24,)), Tokens(30, 11), PRETRAINED):
        given = {"number_embedding": "periodic"} if name == "tabm" else {}
        try:
            planned = plan({"x": shape}, answers if name != "perceptron" else {"y": Choice((3, 1))}, name, given)
        except Exception:
            continue
        with torch.device("meta"), Undrawn():
            Network({"x": shape}, answers if name != "perceptron" else {"y": Choice((3, 1))}, planned)
        print(name)
print("torch._dynamo" in sys.modules)
"""


def test_building_a_network_to_load_it_does_not_load_the_compiler_of_torch():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    *built, compiler = done.stdout.split()
    assert set(built) == set(networks) and compiler == "False"


@every_network
def test_missing_targets_and_weights_count_as_absent_and_repeated_rows(name, inputs, answers):
    network = make(inputs, answers, name, given(name, inputs)).eval()
    given_inputs, targets = tensors(inputs), aims(answers)
    kept = torch.arange(ROWS) % 3 != 0

    def part(values, rows):
        return {key: value[rows] for key, value in values.items()}

    expected = network.loss(part(given_inputs, kept), part(targets, kept))
    missing = {
        target: values.masked_fill(~kept, -1) if values.dim() == 1 else values.masked_fill(~kept[:, None], math.nan)
        for target, values in targets.items()
    }
    torch.testing.assert_close(network.loss(given_inputs, missing), expected)
    torch.testing.assert_close(network.loss(given_inputs, network.soften(missing)), expected)
    torch.testing.assert_close(network.loss(given_inputs, targets, kept.float()), expected)
    torch.testing.assert_close(network.loss(given_inputs, targets, kept * 2.0), expected)
    twice = torch.cat([torch.arange(ROWS), torch.arange(4)])
    weight = 1.0 + (torch.arange(ROWS) < 4)
    torch.testing.assert_close(
        network.loss(given_inputs, targets, weight), network.loss(part(given_inputs, twice), part(targets, twice))
    )
    assert network.loss(given_inputs, {target: value * 0 - 1 for target, value in targets.items()}).isfinite()


MIXED = ("picture and row", "text and row", "curve and row")


# A network that takes texts in another's vocabulary alone fits none of them, and has tests of its own.
@pytest.mark.parametrize(
    "name",
    [name for name in UNPUBLISHED if name != "perceptron" and any(fits(name, INPUTS[shapes]) for shapes in MIXED)],
)
def test_a_training_step_may_hold_one_row_and_no_known_target(name):
    inputs = next(INPUTS[shapes] for shapes in MIXED if fits(name, INPUTS[shapes]))
    answers = ANSWERS["several"]
    network = make(inputs, answers, name, given(name, inputs)).train()
    loss = network.loss(tensors(inputs, 1), {"y": torch.tensor([-1]), "z.z": torch.full((1, 2), math.nan)})
    loss.backward()
    assert loss.item() == 0


def test_the_whole_batch_decides_nothing_about_a_row_in_eval_mode():
    for name, inputs in (("tabm", INPUTS["both"]), ("resnet", INPUTS["picture"])):
        network = make(inputs, ANSWERS["classes"], name, SMALL[name]).eval()
        together = network.answer(tensors(inputs))["y"]
        alone = network.answer({key: value[:1] for key, value in tensors(inputs).items()})["y"]
        torch.testing.assert_close(together[:1], alone)


# --- plans -----------------------------------------------------------------------------------------------------------


def test_the_default_follows_the_shapes_and_says_so():
    chosen, why = choose(INPUTS["picture and row"] | {"dots": Grid(1, (4, 4))}, 1000)
    assert chosen == {None: "tabm", "p": "resnet", "dots": "tabm"}
    assert "12x12" in why and "1,000" in why and "too small" in why
    assert plan(INPUTS["picture"], ANSWERS["classes"]).principal.name == "resnet"


def test_a_network_that_does_not_fit_is_refused_with_a_reason():
    with pytest.raises(UsageError, match="takes grids"):
        assemble(INPUTS["numbers"], ANSWERS["classes"], "lenet")
    with pytest.raises(UsageError, match="at least 8"):
        assemble({"p": Grid(1, (7, 30))}, ANSWERS["classes"], "lenet")
    with pytest.raises(UsageError, match="amount"):
        assemble(INPUTS["numbers"], ANSWERS["amount"], "perceptron")
    with pytest.raises(UsageError, match="several labels"):
        assemble(INPUTS["numbers"], ANSWERS["labels"], "perceptron")
    with pytest.raises(UsageError, match="nothing to learn from"):
        assemble({}, ANSWERS["classes"])
    with pytest.raises(UsageError, match="resnet"):
        assemble(INPUTS["picture"], ANSWERS["classes"], "resnt")


def test_settings_reach_every_body_that_declares_them_and_no_other_name_passes():
    made = plan(INPUTS["picture and row"], ANSWERS["classes"], None, {"width": 16, "label_smoothing": 0.1})
    assert [part.settings.width for part in made.parts] == [16, 16]
    assert made.head.label_smoothing == 0.1
    with pytest.raises(SettingError, match="members"):
        plan(INPUTS["numbers"], ANSWERS["classes"], "mlp", {"members": 3})
    with pytest.raises(SettingError, match="label_smoothing"):
        plan(INPUTS["numbers"], ANSWERS["classes"], "perceptron", {"label_smoothing": 0.1})


@pytest.mark.parametrize(
    "settings", [{"depth": 10**9}, {"width": 10**9}, {"widths": [8] * 1000}, {"width": "x"}, {"activation": "os"}]
)
def test_a_hostile_plan_is_refused(settings):
    content = plan(INPUTS["numbers"], ANSWERS["classes"], "mlp").as_json()
    content["parts"][0]["settings"] |= settings
    with pytest.raises(ModelError):
        Plan.from_json(content)


@pytest.mark.parametrize("content", [None, [], {}, {"parts": []}, {"parts": [3], "head": {}, "why": ""}])
def test_what_is_no_plan_is_refused(content):
    with pytest.raises(ModelError):
        Plan.from_json(content)


def test_a_plan_for_other_inputs_is_refused():
    made = plan(INPUTS["picture"], ANSWERS["classes"])
    with pytest.raises(UsageError):
        Network(INPUTS["numbers"], ANSWERS["classes"], made)
    content = plan(INPUTS["numbers"], ANSWERS["classes"], "linear").as_json()
    content["parts"][0]["network"] = "lenet"
    with pytest.raises(UsageError):
        Network(INPUTS["numbers"], ANSWERS["classes"], Plan.from_json(content))


def test_one_name_of_a_setting_has_one_type_in_all_networks():
    types = {}
    for specification in networks.values():
        assert specification.paper and specification.idea
        for declared in specification.settings.declared():
            assert types.setdefault(declared.name, declared.type) == declared.type, declared.name
            numbers = declared.type in (int, float, tuple[int, ...])
            assert not numbers or None not in (declared.minimum, declared.maximum), declared.name


# --- heads -----------------------------------------------------------------------------------------------------------


def test_a_constant_answer_has_loss_one():
    counts = (60, 30, 10)
    head = ChoiceHead(4, None, Choice(counts), HeadSettings()).eval()
    target = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    outputs = head(torch.zeros(100, 4))
    torch.testing.assert_close(head.answer(outputs)[0], torch.tensor(counts) / 100)
    assert head.loss(outputs, target).item() == pytest.approx(1)
    amounts = AmountsHead(4, None, Amounts(2)).eval()
    scaled = torch.tensor([[-1.0, 1.0], [1.0, -1.0]])
    assert amounts.loss(amounts(torch.zeros(2, 4)), scaled).item() == 1


def test_balanced_class_weights_weigh_each_class_the_same():
    counts = (90, 10)
    head = ChoiceHead(2, None, Choice(counts), HeadSettings(class_weights="balanced")).eval()
    torch.testing.assert_close(head.answer(head(torch.zeros(1, 2))), torch.tensor([[0.5, 0.5]]))
    target = torch.repeat_interleave(torch.arange(2), torch.tensor(counts))
    outputs = torch.randn(2, 2, generator=torch.Generator().manual_seed(0))[target]
    by_class = F.cross_entropy(outputs, target, reduction="none")
    expected = (by_class[target == 0].mean() + by_class[target == 1].mean()) / 2 / math.log(2)
    assert head.loss(outputs, target).item() == pytest.approx(expected.item())
    torch.testing.assert_close(head.loss(outputs, head.soften(target)), head.loss(outputs, target))


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize("counts", [(0, 30, 10), (0, 40), (0, 0, 0)])
def test_a_class_without_training_rows_is_unlikely_and_disturbs_no_other(counts, class_weights):
    head = ChoiceHead(2, None, Choice(counts), HeadSettings(class_weights))
    prior = head.answer(head(torch.zeros(1, 2)))[0]
    assert prior.isfinite().all() and prior.sum().item() == pytest.approx(1) and (prior > 0).all()
    if sum(counts):
        assert prior[0] < 0.06
        rows = torch.tensor([code for code, count in enumerate(counts) for _ in range(count)])
        weights = torch.tensor(head.class_weights or [1.0] * len(counts))
        assert weights[rows].mean().item() == pytest.approx(1), "a mean of 1 over the training rows"
    assert head.constant_loss > 0


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_label_smoothing_spreads_the_target_while_training_only(class_weights):
    answer = Choice((5, 20, 5))
    plain, smooth = (ChoiceHead(2, None, answer, HeadSettings(class_weights, share)) for share in (0.0, 0.3))
    outputs, target = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, -1, 1])
    spread = plain.soften(target) * 0.7 + 0.1 * (target >= 0)[:, None]
    torch.testing.assert_close(smooth.loss(outputs, target), plain.loss(outputs, spread))
    torch.testing.assert_close(smooth.loss(outputs, smooth.soften(target)), plain.loss(outputs, spread))
    torch.testing.assert_close(smooth.eval().loss(outputs, target), plain.eval().loss(outputs, target))


def test_a_mixed_target_has_the_mixed_loss():
    head = ChoiceHead(2, None, Choice((5, 5, 5)), HeadSettings())
    outputs, first, second = torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    mixed = 0.3 * head.soften(first) + 0.7 * head.soften(second)
    torch.testing.assert_close(
        head.loss(outputs, mixed), 0.3 * head.loss(outputs, first) + 0.7 * head.loss(outputs, second)
    )


def test_a_constant_answer_of_labels_has_loss_one_and_each_side_of_a_balanced_label_weighs_the_same():
    counts, rows = (50, 10, 2), 100
    target = (torch.arange(rows)[:, None] < torch.tensor(counts)).float()
    head = SeveralHead(4, None, Several(counts, rows), HeadSettings()).eval()
    outputs = head(torch.zeros(rows, 4))
    torch.testing.assert_close(head.answer(outputs)[0], torch.tensor(counts) / rows)
    assert head.loss(outputs, target).item() == pytest.approx(1)
    balanced = SeveralHead(4, None, Several(counts, rows), HeadSettings(class_weights="balanced")).eval()
    torch.testing.assert_close(balanced.answer(balanced(torch.zeros(1, 4))), torch.full((1, 3), 0.5))
    outputs = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))
    losses = F.binary_cross_entropy_with_logits(outputs, target, reduction="none")
    sides = [(losses[has, label].mean() + losses[~has, label].mean()) / 2 for label, has in enumerate(target.T > 0)]
    assert balanced.loss(outputs, target).item() == pytest.approx(torch.stack(sides).mean().item() / math.log(2))


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize(("counts", "rows"), [((0, 30, 10), 30), ((0,), 0), ((1,), 1)])
def test_a_label_that_never_varies_is_neither_certain_nor_impossible(counts, rows, class_weights):
    head = SeveralHead(2, None, Several(counts, rows), HeadSettings(class_weights))
    prior = head.answer(head(torch.zeros(1, 2)))[0]
    assert ((prior > 0) & (prior < 1)).all() and 0 < head.constant_loss < math.inf
    assert head.loss(head(torch.zeros(1, 2)), torch.ones(1, len(counts))).isfinite()


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_smoothed_and_mixed_labels_have_the_loss_between(class_weights):
    answer = Several((5, 20), 30)
    plain, smooth = (SeveralHead(2, None, answer, HeadSettings(class_weights, share)) for share in (0.0, 0.3))
    outputs = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    first, second = (torch.arange(12) % 3 > 0).float().view(6, 2), (torch.arange(12) % 2).float().view(6, 2)
    first[4] = second[4] = math.nan
    torch.testing.assert_close(smooth.loss(outputs, first), plain.loss(outputs, first * 0.7 + 0.15))
    torch.testing.assert_close(smooth.eval().loss(outputs, first), plain.eval().loss(outputs, first))
    mixed = 0.3 * plain.soften(first) + 0.7 * plain.soften(second)
    torch.testing.assert_close(
        plain.loss(outputs, mixed), 0.3 * plain.loss(outputs, first) + 0.7 * plain.loss(outputs, second)
    )


@pytest.mark.parametrize("answer", [Choice((4, 2, 6)), Several((12, 4), 24), Amounts(2)])
def test_members_learn_by_themselves_and_answer_together(answer):
    inputs, members = INPUTS["numbers"], 5
    network = make(inputs, {"y": answer}, "tabm", {"members": members, "dropout": 0, "width": 16})
    given_inputs, targets = tensors(inputs), aims({"y": answer})
    raw, head = network(given_inputs)["y"], network.heads[0]
    assert raw.shape == (ROWS, members, head.output.bias.shape[1])
    assert (raw[:, 0] - raw[:, 1]).abs().max() > 1e-3
    alone = torch.stack([head.loss(raw[:, member], targets["y"]) for member in range(members)])
    torch.testing.assert_close(network.loss(given_inputs, targets), alone.mean())
    network.eval()
    together = network.answer(given_inputs)["y"]
    if isinstance(answer, Choice):
        expected = F.nll_loss(together.log(), targets["y"]) / head.constant_loss
        torch.testing.assert_close(together, raw.softmax(2).mean(1))
    elif isinstance(answer, Several):
        expected = F.binary_cross_entropy(together, targets["y"]) * answer.labels / head.constant_loss
        torch.testing.assert_close(together, raw.sigmoid().mean(1))
    else:
        expected = F.mse_loss(together, targets["y"])
        torch.testing.assert_close(together, raw.mean(1))
    torch.testing.assert_close(network.loss(given_inputs, targets), expected)
    assert network.loss(given_inputs, targets) < alone.mean()


# --- the whole -------------------------------------------------------------------------------------------------------


def test_an_absent_grid_is_a_learned_vector_whatever_its_cells_hold():
    inputs = {"p": Grid(1, (8, 8))}
    network = make(inputs, ANSWERS["classes"], "lenet").eval()
    given_inputs = tensors(inputs)
    absent = ~given_inputs["present/p"]
    before = network(given_inputs)["y"]
    other = {**given_inputs, "grid/p": given_inputs["grid/p"].masked_fill(absent[:, None, None, None], 7.0)}
    assert torch.equal(network(other)["y"], before)
    network.loss(given_inputs, aims(ANSWERS["classes"])).backward()
    assert network.parts[0].absent.grad.abs().sum() > 0


def test_each_grid_has_a_body_of_its_own_and_all_reach_the_answer():
    inputs = {"row": Vector(2), "p": Grid(1, (8, 8)), "q": Grid(3, (12, 12))}
    network = make(inputs, ANSWERS["amount"], None, {"width": 16}).eval()
    given_inputs = tensors(inputs)
    given_inputs["present/p"][:] = given_inputs["present/q"][:] = True
    before = network.answer(given_inputs)["y"]
    for key in ("numbers", "grid/p", "grid/q"):
        assert not torch.allclose(network.answer({**given_inputs, key: given_inputs[key] + 1})["y"], before)


@pytest.mark.parametrize("row", ["tabm", "mlp"])
def test_one_input_can_decide_what_another_means(row):
    """Exclusive or of a number and a grid, each of which says nothing alone."""
    inputs = {"row": Vector(1), "p": Grid(1, (8, 8))}
    torch.manual_seed(0)
    first, second = torch.randint(0, 2, (2, 200)).float()
    given_inputs = {
        "numbers": first[:, None] * 2 - 1,
        "grid/p": (second * 2 - 1)[:, None, None, None] + 0.1 * torch.randn(200, 1, 8, 8),
        "present/p": torch.ones(200, dtype=torch.bool),
    }
    network = assemble(inputs, {"y": Choice((100, 100))}, row, {})
    network.initialize(given_inputs, {})
    target = (first != second).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(60):
        optimizer.zero_grad()
        network.loss(given_inputs, {"y": target}).backward()
        optimizer.step()
    assert (network.eval().answer(given_inputs)["y"].argmax(1) == target).float().mean() > 0.95


def test_decay_spares_thresholds_norms_and_scales():
    for name, inputs in (("tabm", INPUTS["both"]), ("resnet", INPUTS["picture"]), ("mlp", INPUTS["numbers"])):
        network = make(inputs, ANSWERS["classes"], name, {"normalization": "layer"} if name != "resnet" else {})
        decayed = {id(parameter) for parameter in network.decayed_parameters()}
        names = {label for label, parameter in network.named_parameters() if id(parameter) in decayed}
        assert len(decayed) == len(network.decayed_parameters()) == len(names)
        assert names and all(label.endswith("weight") for label in names)
        for label, parameter in network.named_parameters():
            assert label not in names or parameter.dim() >= 2, label
        assert not any("scales" in label or "absent" in label or "slope" in label for label in names)
        assert any(label.startswith("heads") for label in names)


def test_stochastic_says_whether_a_training_step_draws():
    inputs, answers = INPUTS["numbers"], ANSWERS["classes"]
    for share in (0.0, 0.5):
        network = make(inputs, answers, "mlp", {"dropout": share}).train()
        assert network.stochastic == (share > 0)
        same = torch.equal(network(tensors(inputs))["y"], network(tensors(inputs))["y"])
        assert same == (not network.stochastic)


def test_the_same_seed_gives_the_same_weights():
    first, second, third = (make(INPUTS["both"], ANSWERS["classes"], "tabm", seed=seed) for seed in (3, 3, 4))
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert not torch.equal(first.heads[0].output.weight, third.heads[0].output.weight)


# --- dense -----------------------------------------------------------------------------------------------------------


def test_a_plain_perceptron_of_two_layers_is_no_more_than_its_layers():
    network = make({"x": Vector(32)}, {"y": Choice((5, 5))}, "mlp", {"widths": "64,64"})
    assert sum(parameter.numel() for parameter in network.parameters()) == 32 * 64 + 64 + 64 * 64 + 64 + 64 * 2 + 2
    assert [type(layer).__name__ for layer in network.parts[0].body.layers] == ["Linear", "ReLU", "Linear", "ReLU"]
    numbers = torch.randn(4, 32)
    plain = torch.nn.Sequential(*network.parts[0].body.layers, network.heads[0].output)
    assert torch.equal(network({"numbers": numbers})["y"], plain(numbers))


def learn_by_mistakes(network, numbers, target, epochs):
    """Epochs until a pass without a mistake, or None: the perceptron's rule is plain descent at rate 1, batch 1."""
    recipe = networks["perceptron"].recipe
    assert recipe["rate"] == recipe["batch"] == 1
    optimizer = torch.optim.SGD(network.parameters(), lr=recipe["rate"], momentum=recipe["momentum"])
    for epoch in range(epochs):
        if torch.equal(network.answer({"numbers": numbers})["y"].argmax(1), target):
            return epoch
        for row in range(len(numbers)):
            optimizer.zero_grad()
            network.loss({"numbers": numbers[row : row + 1]}, {"y": target[row : row + 1]}).backward()
            optimizer.step()
    return None


SQUARE = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def test_a_perceptron_learns_and_but_never_exclusive_or():
    inputs, answers = {"x": Vector(2)}, {"y": Choice((3, 1))}
    network = make(inputs, answers, "perceptron")
    assert sum(parameter.numel() for parameter in network.parameters()) == 3
    assert learn_by_mistakes(network, SQUARE, torch.tensor([0, 0, 0, 1]), 20) is not None
    answer = network.answer({"numbers": SQUARE})["y"]
    assert set(answer.flatten().tolist()) == {0.0, 1.0}
    assert network.eval().loss({"numbers": SQUARE}, {"y": torch.tensor([0, 0, 0, 1])}).item() == 0
    network = make(inputs, {"y": Choice((2, 2))}, "perceptron")
    assert learn_by_mistakes(network, SQUARE, torch.tensor([0, 1, 1, 0]), 200) is None
    assert "XOR" in networks["perceptron"].limitation


def test_a_hidden_layer_learns_exclusive_or():
    network = make({"x": Vector(2)}, {"y": Choice((2, 2))}, "mlp", {"widths": 8, "activation": "tanh"})
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        network.loss({"numbers": SQUARE}, {"y": torch.tensor([0, 1, 1, 0])}).backward()
        optimizer.step()
    assert network.answer({"numbers": SQUARE})["y"].argmax(1).tolist() == [0, 1, 1, 0]


def test_a_perceptron_step_is_rosenblatts_rule():
    network = make({"x": Vector(2)}, {"y": Choice((1, 1))}, "perceptron")
    weight = network.heads[0].weight
    optimizer = torch.optim.SGD([weight], lr=1.0)
    numbers, expected = torch.tensor([[2.0, -3.0]]), torch.zeros(1, 3)
    steps = ((1, (2.0, -3.0, -1.0)), (1, (0, 0, 0)), (0, (-2.0, 3.0, 1.0)), (0, (0, 0, 0)))
    for target, change in steps:  # at a sum of 0 it does not fire: wrong for class 1, right for class 0
        optimizer.zero_grad()
        network.loss({"numbers": numbers}, {"y": torch.tensor([target])}).backward()
        optimizer.step()
        expected += torch.tensor(change)
        assert torch.equal(weight.detach(), expected)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_perceptron_converges_on_separable_rows(classes):
    draw = torch.Generator().manual_seed(classes)
    numbers = torch.randn(80, 5, generator=draw)
    sums = numbers @ torch.randn(5, classes, generator=draw)
    best = sums.topk(2, 1).values
    clear = best[:, 0] - best[:, 1] > 0.3
    numbers, target = numbers[clear], sums.argmax(1)[clear]
    network = make({"x": Vector(5)}, {"y": Choice((1,) * classes)}, "perceptron")
    assert len(network.heads[0].weight) == (1 if classes == 2 else classes)
    assert learn_by_mistakes(network, numbers, target, 500) is not None


def test_a_linear_network_is_linear():
    inputs = {"x": Vector(2, (3,)), "p": Grid(1, (2, 2))}
    network = make(inputs, ANSWERS["amount"], "linear").eval()
    assert sum(parameter.numel() for parameter in network.heads.parameters()) == 2 + 3 + 4 + 1
    first, second = tensors(inputs, 5), tensors(inputs, 5, seed=9)
    first["present/p"][:] = True
    second |= {"codes": first["codes"], "present/p": first["present/p"]}
    middle = {key: (first[key] + second[key]) / 2 if "/p" not in key[-2:] else first[key] for key in first}
    middle |= {"codes": first["codes"], "present/p": first["present/p"]}
    middle["grid/p"] = (first["grid/p"] + second["grid/p"]) / 2
    between = (network.answer(first)["y"] + network.answer(second)["y"]) / 2
    torch.testing.assert_close(network.answer(middle)["y"], between)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_passes_a_finite_gradient(activation):
    sums = torch.linspace(-3, 3, 13, requires_grad=True)
    values = ACTIVATIONS[activation]()(sums)
    values.sum().backward()
    assert values.isfinite().all() and sums.grad.isfinite().all() and sums.grad.abs().sum() > 0
    network = make({"x": Vector(3)}, ANSWERS["classes"], "mlp", {"activation": activation, "normalization": "batch"})
    assert network({"numbers": torch.randn(5, 3)})["y"].isfinite().all()


def test_the_step_gives_zero_and_one_and_its_gradient_passes_straight_through():
    step = ACTIVATIONS["step"]()
    sums = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
    values = step(sums)
    assert values.tolist() == [0, 0, 0, 1, 1] == step(sums.detach()).tolist()
    (values * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).sum().backward()
    assert sums.grad.tolist() == [0, 2, 3, 4, 0]


def test_the_scaled_hyperbolic_tangent_keeps_minus_one_and_one():
    values = ACTIVATIONS["scaled-tanh"]()(torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(values, torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("rule", INITIALIZATIONS)
def test_an_initialization_has_the_variance_that_it_is_known_for(rule):
    network = make({"x": Vector(400)}, ANSWERS["classes"], "mlp", {"widths": 300, "initialization": rule})
    weight = network.parts[0].body.layers[0].weight
    uniform, he = 1 / (3 * 400), 2 / 400
    expected = {"lecun": 1 / 400, "glorot": 2 / 700, "he": he, "auto": he, "orthogonal": 1 / 400, "uniform": uniform}
    assert weight.var().item() == pytest.approx(expected[rule], rel=0.05)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_piecewise_linear_bins_are_quantiles_and_fill_from_the_left():
    embedding = PiecewiseLinear(2, 4, 3)
    embedding.initialize(torch.stack([torch.linspace(0, 8, 101), (torch.arange(101) % 2).float()], 1))
    torch.testing.assert_close(embedding.left[0], torch.tensor([0.0, 2.0, 4.0, 6.0]))
    torch.testing.assert_close(1 / embedding.sharpness[0], torch.full((4,), 2.0))
    assert embedding.sharpness[1].count_nonzero() == 1, "two values have one bin between them"
    with torch.no_grad():
        embedding.slope.zero_()
        embedding.bias.zero_()
        embedding.weight[0] = torch.tensor([1.0, 10.0, 100.0, 1000.0])[:, None]
    filled = embedding(torch.tensor([[-5.0, 0.0], [1.0, 0.0], [5.0, 0.0], [99.0, 0.0]]))
    torch.testing.assert_close(filled[:, 0], torch.tensor([0.0, 0.5, 61.0, 1111.0]))
    assert filled[:, 3:].abs().max() == 0


@pytest.mark.parametrize("column", [torch.zeros(50), torch.full((50,), 3.0), torch.tensor([1e-30, 0.0] * 25)])
def test_piecewise_linear_bins_stand_constant_and_tiny_values(column):
    embedding = PiecewiseLinear(1, 8, 2)
    embedding.initialize(column[:, None])
    with torch.no_grad():
        embedding.weight.fill_(1.0)
    assert embedding(torch.tensor([[0.0], [3.0], [-1e20]])).isfinite().all()


def test_periodic_embeddings_keep_the_number_itself_first():
    numbers = torch.randn(5, 3)
    embedded = Periodic(3, 8, 4)(numbers)
    assert embedded.shape == (5, 12)
    assert torch.equal(embedded[:, ::4], numbers)


def test_few_codes_are_one_hot_and_many_are_learned_vectors():
    embedding = CodeEmbedding((3, 1000, 2))
    assert embedding.width == 3 + code_width(1000) + 2 and code_width(1000) < 100
    found = embedding(torch.tensor([[2, 999, 0], [0, 0, 1]]))
    assert found[:, -5:].tolist() == [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]
    assert torch.equal(found[0, :-5], embedding.tables[0].weight[999])
    assert CodeEmbedding((3, 1000), one_hot=True).width == 1003


@pytest.mark.parametrize("one_hot", [True, False])
def test_missing_and_unseen_codes_that_training_does_not_show_begin_as_nothing(one_hot):
    embedding = RowEmbedding(Vector(0, (5, 40)), one_hot=one_hot)
    without_missing = torch.tensor([[2, 2], [3, 39], [1, 5]])
    embedding.initialize(None, without_missing)
    missing, unseen, both = embedding(None, torch.tensor([[0, 0], [4, 1], [1, 0]]))
    assert not missing.any()
    assert unseen.abs().sum() == 1 == both.abs().sum(), "unseen there, and shown in the first column here"
    embedding.initialize(None, torch.tensor([[0, 0], [1, 2]]))
    assert embedding(None, torch.tensor([[0, 1]])).abs().sum() == 1


@pytest.mark.parametrize("name", ["linear", "mlp", "tabm"])
def test_what_no_training_row_shows_weighs_nothing_in_a_network(name):
    torch.manual_seed(0)
    network = assemble({"x": Vector(0, (5, 40))}, {"y": Choice((3, 4))}, name)
    network.initialize({"numbers": torch.zeros(20, 0), "codes": torch.full((20, 2), 2)}, {})
    answered = network.eval().answer(
        {"numbers": torch.zeros(4, 0), "codes": torch.tensor([[0, 0], [1, 1], [0, 1], [2, 2]])}
    )
    first, second, third, known = answered["y"]
    assert torch.equal(first, second) and torch.equal(first, third) and not torch.equal(first, known)


@pytest.mark.parametrize("kind", ["none", "piecewise-linear", "periodic"])
@pytest.mark.parametrize("name", ["mlp", "tabm"])
def test_every_number_embedding_bends_where_it_should(name, kind):
    network = make({"x": Vector(3)}, ANSWERS["amount"], name, {"number_embedding": kind, "width": 16})
    has = [type(module).__name__ for module in network.modules()]
    assert ("PiecewiseLinear" in has, "Periodic" in has) == (kind == "piecewise-linear", kind == "periodic")
    assert network.answer({"numbers": torch.randn(7, 3)})["y"].shape == (7, 1)


# --- pictures --------------------------------------------------------------------------------------------------------


def test_lenet_has_the_parameters_of_lenet_5():
    network = make({"p": Grid(1, (32, 32))}, {"y": Choice((1,) * 10)}, "lenet")
    absent = network.parts[0].absent.numel()
    # The paper counts 60,000 trainable ones. Here the second convolution sees all maps (+900), pooling has no weights
    # (-44), and the output layer, fixed codes in the paper, is learned (+850).
    assert sum(parameter.numel() for parameter in network.parameters()) - absent == 60_000 + 900 - 44 + 850 == 61_706


@pytest.mark.parametrize("name", ["lenet", "resnet", "unet"])
@pytest.mark.parametrize("extent", [(8, 8), (8, 31), (15, 15), (28, 28), (33, 20), (9,), (8, 9, 10)])
def test_convolutions_take_any_extent_of_eight_cells_or_more_along_any_axes(name, extent):
    network = make({"p": Grid(2, extent)}, ANSWERS["classes"], name, {"width": 4})
    given_inputs = tensors({"p": Grid(2, extent)}, 3)
    assert network.train()(given_inputs)["y"].shape == (3, 3)
    assert network.eval()(given_inputs)["y"].isfinite().all()


@pytest.mark.parametrize("name", ["lenet", "resnet", "unet"])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_convolutions_learn_with_every_normalization(name, normalization):
    given_inputs = tensors({"p": Grid(2, (12, 12))}, 6)
    network = make({"p": Grid(2, (12, 12))}, ANSWERS["classes"], name, {"width": 4, "normalization": normalization})
    network.train().loss(given_inputs, {"y": torch.tensor([0, 1, 2, 0, 1, 2])}).backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in network.parts[0].body.parameters())
    together = network.eval().answer(given_inputs)["y"]
    alone = network.answer({key: value[:1] for key, value in given_inputs.items()})["y"]
    assert torch.allclose(together[:1], alone, atol=1e-5)  # an answer depends on no other example
    if normalization == "layer":
        assert torch.allclose(network.train()(given_inputs)["y"], network.eval()(given_inputs)["y"], atol=1e-5)


def test_a_lenet_is_as_deep_as_the_picture_allows():
    def convolutions(depth):
        network = make({"p": Grid(1, (32, 32))}, ANSWERS["classes"], "lenet", {"depth": depth})
        assert network(tensors({"p": Grid(1, (32, 32))}, 2))["y"].shape == (2, 3)
        return [each.out_channels for each in network.modules() if isinstance(each, torch.nn.Conv2d)]

    assert [convolutions(depth) for depth in (1, 2, 3)] == [[6], [6, 16], [6, 16, 42]]
    with pytest.raises(UsageError, match="Set depth to 4 or less"):
        convolutions(9)


def test_a_residual_network_grows_with_the_picture_and_not_without_bound():
    def width_and_layers(cells):
        with torch.device("meta"):
            network = assemble({"p": Grid(3, (cells, cells))}, ANSWERS["classes"], "resnet")
        body = network.parts[0].body
        return body.width, sum(isinstance(module, torch.nn.Conv2d) for module in body.modules())

    sizes = [width_and_layers(cells) for cells in (8, 28, 64, 128, 1024)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] and sizes[-1][0] <= 256
