"""What rivals make of sequences of symbols and of series: weighted groups of symbols, and simple features."""

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from instar.columns import Columns
from instar.evaluation.rivals import Inputs, rival, rivals, run
from instar.evaluation.rivals import _terms as terms_module
from instar.evaluation.rivals._arrays import arrays_of, inputs_of, write_inputs
from instar.evaluation.rivals._series import FEATURES, features
from instar.evaluation.rivals._terms import Components, Terms
from instar.evaluation.rivals.base import SEQUENCE_COLUMNS, coarse
from instar.evaluation.rivals.encoding import Encoder, affordable
from instar.evaluation.rivals.run import RivalExam, RivalTask, run_rivals
from instar.evaluation.rivals.writing import Dictionary
from instar.fields import kinds
from instar.prepared import Examples
from instar.reporting import _flat
from instar.shapes import Amounts, Choice, Grid, Tokens
from instar.store import ColumnPlan, Store, StorePlan
from standins import MemorySource

WORDS, BASES = Tokens(300, 12), Tokens(6, 40)


def random_tokens(shape, rows, seed=0, first=2):
    """Rows of at least one symbol."""
    generator = np.random.default_rng(seed)
    tokens = generator.integers(first, shape.vocabulary, (rows, shape.length)).astype(np.int32)
    tokens[np.arange(shape.length) >= generator.integers(1, shape.length + 1, rows)[:, None]] = 0
    return tokens


def inputs(rows, *, numbers=None, tokens=None, sequences=(), grids=()):
    numbers = np.zeros((rows, 0), np.float32) if numbers is None else np.asarray(numbers, np.float32)
    return Inputs(numbers, np.zeros((rows, 0), np.int64), (), tokens, sequences, grids)


def task(answer, everything, truth):
    half = len(everything) // 2
    first, second = np.arange(half), np.arange(half, len(everything))
    return RivalTask(answer, [RivalExam(everything.take(first), truth[first], everything.take(second), truth[second])])


def play(*arguments, names):
    return {each.name: each for each in run_rivals(task(*arguments), time_limit=300, names=names)}


def sentences(tokens):
    """As scikit-learn takes them, one letter for a symbol."""
    return ["".join(chr(0x4E00 + symbol) for symbol in row if symbol) for row in tokens]


@pytest.mark.parametrize("shape", [WORDS, BASES])
def test_terms_are_those_of_scikit_learn(shape):
    learned, asked = random_tokens(shape, 40), random_tokens(shape, 30, seed=1)
    terms = Terms(shape, learned)
    orders = (1, 6) if shape is BASES else (1, 2)
    counting = CountVectorizer(analyzer="char", ngram_range=orders, lowercase=False, dtype=np.float32)
    counts = counting.fit_transform(sentences(learned))
    weighting = TfidfTransformer(sublinear_tf=True).fit(counts)
    if shape is BASES:
        assert terms.width == counts.shape[1], "no two groups share a place here"
    for tokens in (learned, asked):
        own, theirs = terms(tokens), weighting.transform(counting.transform(sentences(tokens)))
        assert isinstance(own, sparse.csr_matrix) and own.dtype == np.float32 and own.nnz == theirs.nnz
        # The columns are in another order, so rows are compared by how like each other they are.
        assert np.allclose((own @ own.T).toarray(), (theirs @ theirs.T).toarray(), atol=1e-5)
    again = TfidfTransformer(sublinear_tf=True).fit(terms.counts(learned)).transform(terms.counts(asked))
    assert np.allclose(again.toarray(), terms(asked).toarray(), atol=1e-6)


def test_how_rare_a_group_is_comes_from_training_rows_alone():
    learned, asked = random_tokens(WORDS, 100), random_tokens(WORDS, 30, seed=1)
    terms = Terms(WORDS, learned)
    alone = terms(asked[:1]).toarray()
    assert np.array_equal(terms(asked).toarray()[:1], alone), "what else is asked changes nothing"
    assert terms.width == (terms.counts(learned).sum(axis=0) > 0).sum()
    never = np.zeros((1, WORDS.length), np.int32)
    never[0, :3] = np.setdiff1d(np.arange(2, WORDS.vocabulary), learned[:5])[:3]
    few = Terms(WORDS, learned[:5])
    assert few(never).nnz == 0 and few(never).shape == (1, few.width)


def test_the_order_of_words_changes_pairs_and_nothing_else():
    tokens = np.array([[5, 6, 7, 0, 0], [7, 6, 5, 0, 0], [6, 7, 5, 0, 0]], np.int32)
    counts = Terms(Tokens(300, 5), tokens).counts(tokens).toarray()
    assert counts.sum(axis=1).tolist() == [5, 5, 5]
    shared = np.minimum(counts[:, None], counts[None]).sum(axis=2)
    assert shared[0, 1] == 3, "three words, and no pair"
    assert shared[0, 2] == 4, "and the pair 6 7"


def test_a_group_holds_no_unknown_symbol_and_ends_with_its_row():
    tokens = np.array([[5, 1, 6, 7], [8, 0, 0, 0], [9, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]], np.int32)
    counts = Terms(Tokens(300, 4), tokens).counts(tokens)
    assert counts.sum(axis=1).ravel().tolist() == [[4, 1, 1, 0, 0]]
    assert Terms(Tokens(300, 4), tokens)(tokens).shape == counts.shape


def test_blocks_and_places_are_bounded(monkeypatch):
    tokens = random_tokens(WORDS, 120)
    whole, dense = Terms(WORDS, tokens), Components(WORDS, tokens, seed=0)
    assert dense(tokens).shape == (120, SEQUENCE_COLUMNS) and dense(tokens).dtype == np.float32
    assert dense(tokens[:0]).shape == (0, SEQUENCE_COLUMNS)
    expected, components = whole(tokens), dense(tokens)
    monkeypatch.setattr(terms_module, "BLOCK_GROUPS", 100)
    again = Terms(WORDS, tokens)
    assert (again(tokens) != expected).nnz == 0
    assert np.allclose(Components(WORDS, tokens, seed=0)(tokens), components, atol=1e-5)
    monkeypatch.setattr(terms_module, "MOST_TERMS", 50)
    fewer = Terms(WORDS, tokens)
    assert fewer(tokens).shape == (120, 50)
    kept, all_rows = (np.asarray((each.counts(tokens) > 0).sum(axis=0)).ravel() for each in (fewer, whole))
    assert sorted(kept) == sorted(all_rows)[-50:], "the most frequent stay"
    assert Components(WORDS, tokens, seed=0)(tokens).shape == (120, 50), "few terms are columns themselves"


def test_numbers_categories_and_sequences_stand_beside_each_other():
    tokens = np.concatenate([random_tokens(WORDS, 90), random_tokens(BASES, 90)], axis=1)
    generator = np.random.default_rng(0)
    both = Inputs(
        generator.normal(size=(90, 3)).astype(np.float32),
        generator.integers(0, 4, (90, 1)),
        (4,),
        tokens,
        (WORDS, BASES),
    )
    matrix = Encoder("one-hot", both, sequences="terms")(both)
    widths = [Terms(shape, each).width for shape, each in both.each_sequence()]
    assert matrix.shape == (90, 3 + 4 + sum(widths)) and matrix.dtype == np.float32 and sparse.issparse(matrix)
    assert np.allclose(matrix[:, :3].toarray(), both.numbers)
    assert np.allclose(np.square(matrix.toarray()[:, 7:]).sum(axis=1), 2, atol=1e-5)
    dense = Encoder("ordinal", both)(both)
    assert dense.shape == (90, 3 + 1 + 2 * SEQUENCE_COLUMNS) == (90, both.width)
    assert np.array_equal(dense[:, 3], both.codes[:, 0])
    assert Encoder("ordinal", both, sequences=None)(both).shape == (90, 4)


def test_rows_within_memory_depend_on_how_long_sequences_are():
    short, long = Tokens(300, 4), Tokens(300, 400)
    of = {
        shape: inputs(50, tokens=np.full((50, shape.length), 7, np.int32), sequences=(shape,))
        for shape in (short, long)
    }
    linear = rivals["linear"]
    assert affordable(linear, of[short]) == 2**25 // SEQUENCE_COLUMNS
    assert affordable(linear, of[long]) * 400 * 2 <= linear.maximum_terms < affordable(linear, of[long]) * 400 * 2.01
    assert affordable(rivals["majority"], of[long]) >= 500_000
    series = inputs(9, numbers=np.zeros((9, 2 * 5000)), grids=(Grid(2, (5000,)),))
    assert affordable(rivals["features"], series) == rivals["features"].maximum_cells // (2 * FEATURES)


def motifs(rows=1200):
    """Random bases; half of the rows hold one short motif somewhere."""
    generator = np.random.default_rng(3)
    tokens = generator.integers(2, 6, (rows, 40)).astype(np.int32)
    truth = np.arange(rows) % 2
    for row in np.flatnonzero(truth):
        place = generator.integers(0, 34)
        tokens[row, place : place + 6] = [2, 5, 5, 3, 4, 2]
    return inputs(rows, tokens=tokens, sequences=(BASES,)), truth


def test_rivals_find_a_planted_motif():
    results = play(Choice((300, 300)), *motifs(), names=["majority", "linear", "linear_svm", "svm", "features", "tree"])
    assert set(results) == {"majority", "linear", "linear_svm", "tree"}, "what is not meant for sequences is not there"
    assert results["majority"].metrics["accuracy"].value < 0.55
    for name in ("linear", "linear_svm"):
        assert results[name].metrics["accuracy"].value > 0.9 and results[name].rows == 600
    assert "log_loss" in results["linear"].metrics and "log_loss" not in results["linear_svm"].metrics


def test_words_tell_amounts_and_every_rival_takes_them():
    generator = np.random.default_rng(4)
    shape = Tokens(130, 12)
    tokens = random_tokens(shape, 260, seed=4)
    worth = generator.normal(size=shape.vocabulary)
    truth = np.array([worth[row[row > 0]].mean() for row in tokens])[:, None]
    everything = inputs(260, numbers=generator.normal(size=(260, 2)), tokens=tokens, sequences=(shape,))
    results = play(Amounts(), everything, truth, names=None)
    assert {"mean", "linear", "linear_svm", "neighbors", "tree", "forest", "boosting"} == set(results)
    assert all(each.note is None and each.rows + each.examined == 260 for each in results.values())
    assert results["linear"].metrics["r2"].value > results["mean"].metrics["r2"].value + 0.2


def test_a_rival_that_looks_at_no_sequences_says_so(monkeypatch):
    @rival("unseeing", title="unseeing", paper="-", idea="-", cost=1, sequences=None)
    def unseeing(inputs, answer, seed):
        return []

    everything, truth = motifs(100)
    try:
        results = play(Choice((25, 25)), everything, truth, names=["unseeing", "majority"])
    finally:
        del rivals._entries["unseeing"]
    assert not results["unseeing"].metrics and "takes no sequences" in results["unseeing"].note
    assert results["majority"].metrics


def test_features_tell_waves_from_noise():
    generator = np.random.default_rng(5)
    truth = np.arange(160) % 2
    phase, speed = generator.uniform(0, 2 * np.pi, 160), generator.uniform(2, 6, 160)
    waves = np.sin(np.linspace(0, 2 * np.pi, 64) * speed[:, None] + phase[:, None])
    noise = generator.normal(size=(160, 64)) * waves.std()
    series = np.where(truth[:, None], waves + noise / 2, noise)
    both = np.stack([series, generator.normal(size=(160, 64))], axis=1).reshape(160, -1)
    everything = inputs(160, numbers=both, grids=(Grid(2, (64,)),))
    results = play(Choice((40, 40)), everything, truth, names=["features", "majority", "linear"])
    assert results["features"].metrics["accuracy"].value > 0.95
    assert results["features"].metrics["accuracy"].value > results["linear"].metrics["accuracy"].value + 0.1


def test_features_are_what_they_are_called():
    steps = np.arange(10.0)
    series = np.stack([steps, np.tile([1.0, -1.0], 5), np.zeros(10)]).reshape(3, 1, 10)
    mean, spread, slope, crossings, change, absolute, *ranked = features(series)[:, :13].T
    assert np.allclose(mean, [4.5, 0, 0]) and np.allclose(spread, [steps.std(), 1, 0])
    assert np.allclose(slope[[0, 2]], [1, 0]) and crossings.tolist() == [1, 9, 0]
    assert np.allclose(change, [0, np.diff(series[1, 0]).std(), 0]) and np.allclose(absolute, [1, 2, 0])
    assert np.allclose(ranked[0], series.min(axis=2)[:, 0]) and np.allclose(ranked[-1], series.max(axis=2)[:, 0])
    for shape in [(4, 3, 1), (4, 1, 2), (0, 2, 5)]:
        found = features(np.ones(shape, np.float32))
        assert found.shape == (shape[0], shape[1] * FEATURES) and np.isfinite(found).all()


def test_other_grids_and_numbers_stay_beside_features():
    numbers = np.random.default_rng(0).normal(size=(5, 2 + 6 + 8)).astype(np.float32)
    everything = inputs(5, numbers=numbers, grids=(Grid(1, (2, 3)), Grid(2, (4,))))
    found = Encoder("ordinal", everything, series="features")(everything)
    assert np.array_equal(found[:, :8], numbers[:, :8])
    assert np.allclose(found[:, 8:], features(numbers[:, 8:].reshape(5, 2, 4)))


def test_features_go_along_the_last_axis_of_a_grid_that_is_a_course():
    numbers = np.random.default_rng(1).normal(size=(5, 1 + 2 * 3 * 8)).astype(np.float32)
    everything = inputs(5, numbers=numbers, grids=(Grid(2, (3, 8), timed=True),))
    found = Encoder("ordinal", everything, series="features")(everything)
    assert np.array_equal(found[:, 0], numbers[:, 0])
    assert np.allclose(found[:, 1:], features(numbers[:, 1:].reshape(5, 6, 8)))
    assert rivals["features"].suits(everything)
    assert not rivals["features"].suits(inputs(5, numbers=numbers[:, 1:], grids=(Grid(2, (3, 8)),)))
    most = rivals["features"].maximum_cells
    assert affordable(rivals["features"], everything) == most // (1 + 6 * FEATURES)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Grid(1, (28, 28)), (28, 28)),
        (Grid(1, (64, 256), timed=True), (64, 128)),
        (Grid(1, (256, 256, 200)), (16, 16, 25)),
        (Grid(3, (96, 96)), (48, 48)),
        (Grid(2, (65_536,)), (4096,)),
        (Grid(9_000, (3, 3)), (1, 1)),
    ],
)
def test_rivals_get_large_grids_coarse(given, kept):
    assert coarse(given) == Grid(given.channels, kept, given.timed)


def test_inputs_come_back_from_their_arrays_and_files(tmp_path):
    numbers, tokens = np.ones((30, 1 + 24), np.float32), random_tokens(Tokens(9, 7), 30)
    blocks = [(numbers[part], np.zeros((15, 0), np.int64), tokens[part]) for part in (slice(15), slice(15, 30))]
    grids, sequences = (Grid(2, (2, 3), timed=True), Grid(3, (4,))), (Tokens(9, 4), Tokens(6, 3))
    written = write_inputs(tmp_path, "learned", 30, blocks, (), sequences, grids)
    assert isinstance(written.tokens, np.memmap) and written.tokens.dtype == np.int32
    assert np.array_equal(written.tokens, tokens)
    again = inputs_of(arrays_of(written, "t"), "t")
    assert (again.sequences, again.grids, again.cardinalities) == (sequences, grids, ())
    assert [part.shape for _, part in again.take(np.arange(6)).each_sequence()] == [(6, 4), (6, 3)]
    assert [part.shape for _, part in again.each_grid()] == [(30, 2, 2, 3), (30, 3, 4)]
    plain = inputs_of(arrays_of(inputs(3), "e"), "e")
    assert (len(plain), plain.width, plain.sequences, plain.grids) == (3, 0, (), ())


def test_rivals_get_texts_and_series_as_they_are_prepared_and_no_more_than_fits(tmp_path, monkeypatch):
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(6)
    words = generator.choice(["granite", "fjord", "harbor", "dune", "amber"], (200, 9))
    kind_of = {"size": "number", "text": "text", "course": "series", "side": "category"}
    columns = {
        "size": pl.Series(generator.normal(size=200)),
        "text": pl.Series([" ".join(row[: 3 + number % 6]) for number, row in enumerate(words)]),
        "course": generator.normal(size=(200, 2, 16)).cumsum(axis=2),
        "side": pl.Series(np.where((words[:, :3] == "dune").any(axis=1), "yes", "no")),
    }
    settings = {kind.settings: kind.settings() for kind in map(kinds.get, kind_of.values())}
    plans = {
        name: ColumnPlan(kind, kinds[kind].survey(columns[name], settings[kinds[kind].settings]))
        for name, kind in kind_of.items()
    }
    store = Store.build(MemorySource(columns), StorePlan(plans))
    rows = np.arange(200)
    examples = Examples(store, *Columns(store, ("size", "text", "course"), ("side",), settings).fit(rows))
    given, kept = _flat(examples, rows, 0, 0, tmp_path, "all")
    prepared = examples.take(rows).inputs
    assert np.array_equal(kept, rows) and given.numbers[:, 0].tolist() == prepared["numbers"][:, 0].tolist()
    for name, parts in {"tokens/text": given.each_sequence(), "grid/course": given.each_grid()}.items():
        ((shape, content),) = parts
        assert shape in [field.shape for field in examples.inputs]
        assert np.array_equal(content, prepared[name].numpy())
    truth = examples.take(rows).targets["side"].numpy()
    results = play(Choice((100, 100)), given, truth, names=["linear", "majority"])
    assert results["linear"].metrics["accuracy"].value > results["majority"].metrics["accuracy"].value + 0.1
    monkeypatch.setattr(run, "MOST_BYTES", 10_000)
    fewer, kept = _flat(examples, rows, 0, 0, tmp_path, "some")
    assert 5_000 < fewer.numbers.nbytes + fewer.codes.nbytes + fewer.tokens.nbytes <= 10_000
    assert np.array_equal(fewer.tokens, given.tokens[kept]) and np.array_equal(fewer.numbers, given.numbers[kept])


def test_a_dictionary_reads_the_longest_text_wherever_it_stands():
    """What comes before it and after it are other sequences, with words of their own."""
    generator = np.random.default_rng(0)
    codes = generator.integers(2, 8, (200, 6)).astype(np.float32)
    names = np.array(["", "", "two", "three", "four", "five", "six", "seven"])
    texts = np.array([" ".join(names[row.astype(int)]) for row in codes[:, 2:5]])
    found = Dictionary(3, after=1).fit(codes, texts)
    assert (found.predict(codes) == texts).all()
