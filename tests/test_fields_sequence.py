"""Sequences: letters as they are, of the alphabet that training rows show, turned to the other strand where asked."""

from __future__ import annotations

import string
import uuid
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

import instar
from instar.errors import ColumnError, SettingError
from instar.fields import Arrays, Field, kinds
from instar.fields.digest import digest
from instar.fields.sequence import LARGEST_LENGTH, SequenceSettings
from instar.learn import learn
from instar.shapes import Text, Tokens
from instar.sources import Column, FileColumn, FileReference

SEQUENCE = kinds["sequence"]
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
LETTERS = some.text(some.characters(min_codepoint=33, max_codepoint=126), max_size=60)


def read(column: Column) -> Arrays:
    return SEQUENCE.read(column, {})


def fit(cells: list[str | None], **settings: object) -> Field:
    column = pl.Series(cells, dtype=pl.String)
    return SEQUENCE.fit("x", [read(column)], {}, SequenceSettings(**settings), target=False)


def known(field: Field) -> str:
    return field.state()[1]["letters"].tobytes().decode()


def spelled(field: Field, tokens: torch.Tensor) -> list[str]:
    """Rows of codes as letters: `?` for the unknown."""
    letters = " ?" + known(field)
    return ["".join(letters[code] for code in row).rstrip() for row in tokens.tolist()]


def prepared(field: Field, *cells: str) -> list[str]:
    return spelled(field, field.prepare(read(pl.Series(cells)))["tokens"])


def drawn(letters: str, low: int, high: int, rows: int = 200) -> list[str]:
    generator = np.random.default_rng(len(letters) + low)
    return ["".join(generator.choice(list(letters), generator.integers(low, high + 1))) for _ in range(rows)]


# Reading


@given(some.lists(some.none() | LETTERS, min_size=1, max_size=8))
def test_every_letter_comes_back_and_no_space(cells):
    spaced = [None if cell is None else " \n".join(cell) + "\t" for cell in cells]
    arrays = read(pl.Series(spaced, dtype=pl.String))
    found = [arrays.of_row(row).tobytes().decode() if present else None for row, present in enumerate(arrays.present)]
    missing = {"", "-", "?"}
    assert found == [None if cell is None or cell in missing else cell for cell in cells]
    assert np.array_equal(arrays.digests, digest(pl.Series(spaced, dtype=pl.String)))
    assert not arrays.problems


def test_what_is_no_letter_is_a_problem_of_its_row_alone():
    arrays = read(pl.Series(["ACGT", "ACéGT", "AC\x07GT", None, "NA"]))
    assert arrays.present.tolist() == [True, False, False, False, False]
    assert [problem.row for problem in arrays.problems] == [1, 2]
    assert "'é'" in arrays.problems[0].reason and "'ACéGT'" in arrays.problems[0].reason
    assert "'\\x07'" in arrays.problems[1].reason


def test_a_whole_chromosome_takes_no_more_than_a_network_can_see():
    arrays = read(pl.Series(["ACGT" * 5_000_000, "ACGT"]))
    assert arrays.lengths.tolist() == [LARGEST_LENGTH, 4] and len(arrays.values) == LARGEST_LENGTH + 4


def test_files_and_arrays_are_no_sequences():
    for column in (np.zeros((2, 3)), FileColumn([FileReference("a.fa", content=b">a\nACGT")])):
        with pytest.raises(ColumnError, match="sequences"):
            read(column)


# Alphabets


@pytest.mark.parametrize(
    ("cells", "alphabet", "letters"),
    [
        (drawn("ACGT", 20, 30), "dna", "ACGT"),
        ([*drawn("acgt", 20, 30), "NNNN" * 100], "dna", "ACGNT"),
        (["AAAA", "CCGG"], "dna", "ACGT"),
        (drawn("ACGU", 20, 30), "rna", "ACGU"),
        (drawn("ACGT-", 20, 30), "dna", "-ACGT"),
        (drawn(RESIDUES, 20, 30), "protein", RESIDUES),
        ([each + "*" for each in drawn(RESIDUES.lower(), 20, 30)], "protein", "*" + RESIDUES),
        (drawn("HT", 5, 20), "letters", "HT"),
        (drawn("(.)", 20, 20), "letters", "()."),
        (drawn("CcNnOo1=", 20, 20), "letters", "1=CNOcno"),
        (["HTHH", "HXHT", "HTTT"], "letters", "HT"),
    ],
)
def test_the_alphabet_is_found_in_training_rows(cells, alphabet, letters):
    field = fit(cells)
    assert (field.state()[0]["alphabet"], known(field)) == (alphabet, letters)
    assert field.shape == Tokens(len(letters) + 2, field.shape.length)


def test_biological_letters_are_one_in_every_writing_and_others_are_not():
    field = fit(drawn("ACGT", 20, 30))
    assert prepared(field, "ACGT", "acgu", " Ac gU ") == ["ACGT"] * 3
    assert prepared(fit(drawn("ACGU", 20, 30)), "acgt") == ["ACGU"]
    assert prepared(fit(drawn("HTt", 12, 20)), "Hth") == ["Ht?"]


def test_rare_ambiguity_codes_are_unknown_and_frequent_ones_symbols():
    rows = drawn("ACGT", 100, 100)
    assert known(fit([*rows, "ACGTRYRY"])) == "ACGT"
    assert prepared(fit([*rows, "ACGTRYRY"]), "ARC-T") == ["A?C?T"]
    assert known(fit([*rows, "ACGT" * 90 + "R" * 100])) == "ACGRTY", "the complement of R is Y"
    assert known(fit([row.replace("AC", "..") for row in rows])) == "-ACGT"


def test_a_named_alphabet_is_taken():
    assert known(fit(["AATT"], alphabet="dna")) == "ACGT"
    assert prepared(fit(["HTHT"], alphabet="protein"), "hTA") == ["HT?"]


def test_the_length_holds_nearly_all_sequences_and_is_bounded():
    rows = ["ACGT" * 5] * 99 + ["ACGT" * 500]
    assert fit(rows).shape.length == 20
    long = fit(["ACGT" * 500] * 3)
    assert long.shape.length == 1_024 and "first 1,024" in long.describe()
    assert prepared(fit(rows, sequence_length=3), "ACGT") == ["ACG"]


@given(cells=some.lists(some.none() | LETTERS, min_size=1, max_size=6))
def test_any_letters_are_prepared_alone_as_among_others(cells):
    field = FITTED
    arrays = read(pl.Series(cells, dtype=pl.String))
    tokens = field.prepare(arrays)["tokens"].numpy()
    assert tokens.dtype == np.int32 and tokens.shape == (len(cells), field.shape.length)
    assert (tokens >= 0).all() and (tokens < field.shape.vocabulary).all()
    assert np.array_equal(tokens[:, 0] > 0, arrays.present), "a sequence that is there has a symbol"
    for row in range(len(cells)):
        assert np.array_equal(field.prepare(arrays.rows(np.array([row])))["tokens"].numpy()[0], tokens[row])


# The other strand


FITTED = fit([*drawn("ACGT", 30, 30), "RRRNNNN---" * 9], reverse_complement=True)


@given(some.lists(some.text("ACGTNRYacgtu-xq", min_size=2, max_size=40), min_size=1, max_size=30), some.integers(0, 99))
def test_augmented_rows_are_their_own_or_the_other_strand(cells, seed):
    batch = FITTED.prepare(read(pl.Series([*cells, None])))
    varied = FITTED.augment(batch, torch.Generator().manual_seed(seed))
    pairs = str.maketrans("ACGTRYN-?", "TGCAYRN-?")
    before, after = spelled(FITTED, batch["tokens"]), spelled(FITTED, varied["tokens"])
    for one, other in zip(before, after, strict=True):
        assert other in (one, one[::-1].translate(pairs))
    assert torch.equal(varied["present"], batch["present"])


def test_half_of_the_rows_are_turned_each_time_anew():
    batch = FITTED.prepare(read(pl.Series(["AAAAC"] * 1_000)))
    generator = torch.Generator().manual_seed(1)
    turned = [(FITTED.augment(batch, generator)["tokens"][:, 0] != batch["tokens"][:, 0]) for _ in range(2)]
    assert all(430 < int(each.sum()) < 570 for each in turned)
    assert not torch.equal(*turned)
    still = fit(drawn("ACGT", 30, 30)).prepare(read(pl.Series(["AAAAC"] * 9)))
    assert fit(drawn("ACGT", 30, 30)).augment(still, generator) is still


def test_only_nucleotides_have_another_strand():
    for cells in (drawn(RESIDUES, 20, 30), drawn("HT", 20, 20)):
        with pytest.raises(SettingError, match=r"column 'x'.*alphabet"):
            fit(cells, reverse_complement=True)
    fit(drawn("AT", 20, 20), reverse_complement=True, alphabet="dna")
    fit(drawn("ACGU", 20, 20), reverse_complement=True)


# A field's state


def test_a_hostile_state_is_refused():
    content, arrays = FITTED.state()
    for bad in (b"TGCA", b"AACG", b"ACGa", b"\x00ACG", b"ACG\xc3", b"ACGU"):
        with pytest.raises(ValueError):
            SEQUENCE.restore("x", content, {"letters": np.frombuffer(bad, np.uint8)})
    changes = (
        {"length": 0},
        {"length": 1 << 40},
        {"alphabet": "klingon"},
        {"alphabet": "letters"},
        {"reverse_complement": 1},
        {"low": 0},
        {"high": -1},
    )
    for bad in changes:
        with pytest.raises(ValueError):
            SEQUENCE.restore("x", {**content, **bad}, arrays)


def test_a_sequence_is_shown_as_it_was_written_and_cut():
    arrays = read(pl.Series(["acGT nn", "A" * 5_000, None]))
    assert FITTED.show(arrays, 0) == Text("acGTnn")
    assert len(FITTED.show(arrays, 1).text) < 500
    assert FITTED.show(arrays, 2) == Text("missing")
    assert fit(["ACGT" * 5] * 9).describe() == "DNA sequences of 20 letters, 4 known letters"


# What is a sequence, and what is not


def surest(cells: list[str | None]) -> str:
    column = pl.Series(cells, dtype=pl.String)
    sure = {name: kind.sniff(column) for name, kind in kinds.items()}
    return max(sure, key=sure.__getitem__) if max(sure.values()) >= 0.3 else "none"


SEQUENCES = {
    "DNA": drawn("ACGT", 20, 60),
    "short DNA": drawn("ACGT", 8, 8),
    "DNA in small letters": drawn("acgt", 20, 60),
    "DNA with gaps and unknown bases": drawn("ACGTACGTN-", 40, 40),
    "DNA in blocks of ten": [f"{each[:10]} {each[10:20]} {each[20:]}" for each in drawn("acgt", 30, 30)],
    "DNA, a third of it missing": [None if row % 3 else each for row, each in enumerate(drawn("ACGT", 20, 60))],
    "RNA": drawn("ACGU", 20, 60),
    "proteins": [f"M{each}*" for each in drawn(RESIDUES + "X", 30, 300)],
    "peptides": drawn(RESIDUES, 8, 11),
    "tosses of a coin": drawn("HT", 20, 20),
    "secondary structure": drawn("HEC", 20, 50),
    "folds": drawn("(.)", 20, 50),
    "molecules": [f"CC{'C' * (row % 9)}(=O)Oc1ccccc1{'N' * (row // 9)}" for row in range(60)],
}
NO_SEQUENCES = {
    "three sequences": ["ACGTTGCAAC", "GGGTTTAAAA", "ACACACACAC"] * 40,
    "three rows": ["ACGTTGCAAC", "GGGTTTAAAA", "ACACACACAC"],
    "genotypes": drawn("ACGT", 2, 2),
    "digests": [f"{row * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128:032x}" for row in range(1, 200)],
    "UUIDs": [str(uuid.UUID(int=row * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128)) for row in range(1, 200)],
    "keys of base 32": drawn("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 26, 26),
    "keys of letters": drawn(string.ascii_uppercase, 16, 16),
    "keys in small and capital letters": drawn(string.ascii_letters, 22, 22),
    "bits": drawn("01", 20, 20),
    "digits": drawn("0123456789", 16, 16),
    "codes": [f"C{row:05d}" for row in range(200)],
    "days": [f"2020-{row % 12 + 1:02}-{row % 28 + 1:02}" for row in range(200)],
    "addresses": [f"{each}@mail.com" for each in drawn("abcdefgh", 8, 12)],
    "labels": [";".join("ACGT"[place] for place in range(4) if (row % 15 + 1) >> place & 1) for row in range(200)],
    "ranges": [f"{each}..{each}" for each in drawn("0123", 5, 5)],
    "sentences without the letters that proteins lack": [
        f"{each} every time that we sang" for each in drawn("adefghklmnprst", 3, 9)
    ],
    "circles": drawn("○●", 20, 20),
    "rules": ["-" * row for row in range(10, 90)],
    "names": ["Rossi", "Bianchi", "Schmidt", "Wilhelmina", "Alexander", "Maximilian", "Anastasia", "Christopher"],
    "words": sorted({word for word in Path(__file__).read_text().split() if word.isalpha()}),
    "long words": sorted({name for name in dir(pl.Expr) + dir(np) if len(name) >= 10 and name.isalpha()}),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_are_recognized(name):
    assert surest(SEQUENCES[name]) == "sequence"


@pytest.mark.parametrize("name", NO_SEQUENCES)
def test_what_only_looks_like_a_sequence_is_none(name):
    assert surest(NO_SEQUENCES[name]) != "sequence"


# From a file to an answer


def test_a_motif_is_learned_and_found_in_other_sources(tmp_path):
    generator = np.random.default_rng(0)
    rows = []
    for background in drawn("ACGT", 40, 60, 1_200):
        answer, place = generator.integers(0, 2), generator.integers(0, 32)
        rows.append((f"{background[:place]}{'GCTAGCAT' * answer}{background[place:]}", ["plain", "motif"][answer]))
    records = [f">r{row} class={answer}\n{text}\n" for row, (text, answer) in enumerate(rows)]
    (tmp_path / "rows.fasta").write_text("".join(records[:1_050]))
    quick = {"network": "text-cnn", "windows": (8,), "width": 32, "symbol_width": 8, "rate": 0.01, "epochs": 6}
    out = tmp_path / "run"
    learn(
        str(tmp_path / "rows.fasta"),
        {"target": "class", "out": str(out), "rivals": False, "reverse_complement": True, **quick},
    )
    model = instar.load(out)
    assert [(each.name, each.kind) for each in model.inputs] == [("sequence", "sequence")]
    assert model.report.metrics["accuracy"].value > 0.9
    new, answers = records[1_050:], [answer for _, answer in rows[1_050:]]
    (tmp_path / "new.fa").write_text("".join(record.replace("class=", "") for record in new))
    (tmp_path / "new.txt").write_text("\n".join(text.lower() for text, _ in rows[1_050:]))
    of_fasta, of_lines = model.predict(tmp_path / "new.fa"), model.predict(tmp_path / "new.txt")
    assert (of_fasta["prediction"] == pl.Series(answers)).mean() > 0.9
    assert np.allclose(of_fasta["confidence"], of_lines["confidence"], atol=1e-6)
