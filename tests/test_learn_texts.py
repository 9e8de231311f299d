"""Learning from texts as people have them: columns of sentences, folders of files, a line each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import instar
from instar.errors import ContentError
from instar.learn import learn

ROWS = 1_200
GOOD, BAD = ("lovely", "kind", "warm", "great", "fresh"), ("awful", "rude", "cold", "stale", "dirty")
THINGS = ("room", "soup", "waiter", "garden", "music", "table", "street", "bed")
QUICK = {"rivals": False, "epochs": 8, "rate": 0.01, "network": "embedding-bag", "buckets": 500}


def reviews(rows: int = ROWS, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts and what they say: one word in ten decides, wherever it stands."""
    generator = np.random.default_rng(seed)
    answers = generator.integers(0, 2, rows)
    texts = []
    for answer in answers:
        words = [f"the {generator.choice(THINGS)} was there" for _ in range(3)]
        words.insert(generator.integers(0, 4), str(generator.choice(GOOD if answer else BAD)))
        texts.append(" and ".join(words))
    return texts, ["good" if answer else "bad" for answer in answers]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts, answers = reviews()
    path = tmp_path_factory.mktemp("table") / "reviews.csv"
    pl.DataFrame({"review": texts, "answer": answers}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folder") / "reviews"
    texts, answers = reviews(120)
    for number, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        (path / answer).mkdir(parents=True, exist_ok=True)
        (path / answer / f"{number}.txt").write_text(text, encoding="utf-16" if number % 50 == 7 else "utf-8")
    return path


@pytest.fixture(scope="module")
def model(table: Path, tmp_path_factory: pytest.TempPathFactory) -> instar.Model:
    out = tmp_path_factory.mktemp("model") / "run"
    learn(str(table), {"target": "answer", "out": str(out), **QUICK})
    return instar.load(out)


def test_a_column_of_sentences_is_learned_from(model):
    (field,) = model.inputs
    assert field.kind == "text" and field.state()[0]["symbols"] == "words"
    assert model.report.metrics["accuracy"].value > 0.95


def test_a_line_each_is_answered(model, tmp_path):
    texts, answers = reviews(60, seed=5)
    path = tmp_path / "new.txt"
    path.write_text("\n\n".join(texts))
    frame = model.predict(path)
    assert len(frame) == 60
    assert (frame["prediction"] == pl.Series(answers)).mean() > 0.9
    (tmp_path / "one.txt").write_text(texts[0])
    (tmp_path / "two.txt").write_text(texts[1])
    both = model.predict([tmp_path / "one.txt", tmp_path / "two.txt"])
    assert np.allclose(both["confidence"], frame["confidence"][:2], atol=1e-6)


def test_texts_that_are_missing_are_answered_as_absent(model):
    frame = model.predict(pl.DataFrame({"review": ["the soup was awful", None, "", " n/a "]}))
    assert frame["prediction"][0] == "bad"
    assert frame["confidence"][1:].n_unique() == 1


def test_a_folder_of_text_files_for_each_class_is_learned_from(folder, tmp_path):
    (folder / "good" / "binary.txt").write_bytes(b"\0\1\2\3")
    model = instar.train(folder, out=tmp_path / "run", **QUICK)
    (field,) = model.inputs
    assert field.kind == "text"
    assert any("binary.txt" in finding and "NUL" in finding for finding in model.report.findings)
    files = sorted(folder.glob("*/*7.txt"))
    answers = model.predict(files)["prediction"].to_list()
    assert np.mean([answer == file.parent.name for answer, file in zip(answers, files, strict=True)]) > 0.8
    assert len(model.predict(files[0])) == 1, "one file is one text, and its lines are none"
    with pytest.raises(ContentError, match=r"binary\.txt"):
        model.predict(folder / "good" / "binary.txt")


def test_a_table_that_names_text_files_is_learned_from(folder, tmp_path):
    names = sorted(str(path.relative_to(folder)) for path in folder.glob("*/[0-9]*.txt"))
    table = folder / "table.csv"
    pl.DataFrame({"path": names, "answer": [name.split("/")[0] for name in names]}).write_csv(table)
    model = instar.train(table, "answer", out=tmp_path / "run", **QUICK)
    assert [(each.name, each.kind) for each in model.inputs] == [("path", "text")]
    missing = folder / "missing.csv"
    pl.DataFrame({"path": [names[0], "good/none.txt"]}).write_csv(missing)
    assert model.predict(missing)["prediction"].null_count() == 1
