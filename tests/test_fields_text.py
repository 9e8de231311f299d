"""Texts: read as they are in any script, taken apart by what training rows hold, and never trusted from a folder."""

from __future__ import annotations

import codecs
import itertools
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from instar.errors import ColumnError
from instar.fields import Arrays, Field, kinds
from instar.fields._text_settings import TextSettings
from instar.fields.digest import MISSING, digest, words
from instar.shapes import Text
from instar.sources import Column, FileColumn, FileReference

TEXT = kinds["text"]
WAYS = ("words", "characters", "bpe")
ANY_TEXT = some.text(some.characters(exclude_categories=["Cs"]), max_size=60)


def read(column: Column, most: int = 16_384) -> Arrays:
    return TEXT.read(column, {"bytes": most, "files": isinstance(column, FileColumn)})


def fit(texts: list[str | None], **settings: object) -> Field:
    return TEXT.fit("x", [read(pl.Series(texts, dtype=pl.String))], {}, TextSettings(**settings), target=False)


def codes(field: Field, *texts: str) -> list[list[int]]:
    return field.prepare(read(pl.Series(texts)))["tokens"].tolist()


def known(field: Field) -> list[str]:
    """The symbols of a field, as its state holds them."""
    _, arrays = field.state()
    ends = np.cumsum(arrays["lengths"]).tolist()
    content = arrays["symbols"].tobytes()
    return [content[start:stop].decode() for start, stop in itertools.pairwise([0, *ends])]


def files(*contents: bytes | None) -> FileColumn:
    return FileColumn(
        [None if each is None else FileReference(f"{row}.txt", content=each) for row, each in enumerate(contents)]
    )


def texts(arrays: Arrays) -> list[str | None]:
    return [arrays.of_row(row).tobytes().decode() if present else None for row, present in enumerate(arrays.present)]


# Reading


@given(some.lists(some.none() | ANY_TEXT, min_size=1, max_size=8))
def test_every_text_comes_back_without_the_space_around_it(cells):
    column = pl.Series(cells, dtype=pl.String)
    arrays = read(column)
    assert texts(arrays) == words(column).to_list()
    assert np.array_equal(arrays.digests, digest(column))
    assert not arrays.problems


@given(ANY_TEXT, some.integers(16, 40))
def test_a_long_text_is_cut_between_two_characters(text, most):
    (found,) = texts(read(pl.Series(["a" + text]), most))
    assert ("a" + text).startswith(found)
    assert len(found.encode()) <= most
    assert len(found.encode()) > most - 4 or found == ("a" + text).strip() or found == words(pl.Series(["a" + text]))[0]


def test_files_are_read_in_the_encodings_that_tell_themselves():
    text = "Füße auf 日本 👍🏽"
    marked = [codecs.BOM_UTF8 + text.encode(), *(text.encode(each) for each in ("utf-8", "utf-16", "utf-32"))]
    big = codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    arrays = read(files(*marked, big, b"", b" \n\t ", None))
    assert texts(arrays) == [text] * 5 + [None] * 3
    assert not arrays.problems
    assert np.array_equal(arrays.digests, digest(files(*marked, big, b"", b" \n\t ", None)))
    assert arrays.digests[-1] == MISSING


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("Füße".encode("latin-1"), "0xFC.*UTF-8.*iconv"),
        (b"\0" * 100, "NUL"),
        (b"\x7fELF\x02\x01\x01\0\0", "NUL"),
        (b"\x89PNG\r\n\x1a\n\0\0", "0x89"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8\x00\x20", "UTF-16"),
    ],
)
def test_a_file_that_is_no_text_is_a_problem_that_names_it(content, reason):
    arrays = read(files(b"fine", content))
    (problem,) = arrays.problems
    assert problem.row == 1 and "1.txt" in problem.reason
    assert re.search(reason, problem.reason)
    assert texts(arrays) == ["fine", None]


@given(some.binary(max_size=80))
def test_any_bytes_are_a_text_or_a_problem(content):
    arrays = read(files(content))
    assert not (arrays.present[0] and arrays.problems)


def test_a_file_is_cut_too_and_one_that_is_missing_is_a_problem():
    arrays = read(FileColumn([FileReference("a.txt", content="é".encode() * 100), FileReference("lost.txt")]), 17)
    assert texts(arrays) == ["é" * 8, None]
    assert "lost.txt" in arrays.problems[0].reason


def test_arrays_are_no_texts():
    with pytest.raises(ColumnError, match="texts"):
        read(np.zeros((2, 3)))


# What a text is taken apart into


def test_words_are_the_same_in_every_writing_and_rare_ones_are_unknown():
    field = fit(["Don’t stop, café!", "don't STOP, cafe\u0301!", "once"], symbols="words")
    assert sorted(known(field)) == ["!", ",", "café", "don't", "stop"]
    assert codes(field, "DON'T once") == codes(field, "don’t never")
    assert codes(field, "don't")[0][0] > 1 and codes(field, "once")[0][0] == 1


def test_emoji_flags_and_addresses_are_symbols_of_their_own():
    text = "👩‍👩‍👧 👍🏽 🇩🇪🇫🇷 ❤️ https://a.example/b?c=d,e 12,5 snake_case नमस्ते"
    field = fit([text, text], symbols="words", lowercase=False)
    expected = {"👩‍👩‍👧", "👍🏽", "🇩🇪", "🇫🇷", "❤", "https://a.example/b?c=d,e", "12", ",", "5", "snake_case", "नमस्ते"}
    assert set(known(field)) == expected


def test_capital_letters_count_where_a_person_says_so():
    assert len(known(fit(["Go go", "Go go"], symbols="words", lowercase=False))) == 2
    assert len(known(fit(["Go go", "Go go"], symbols="words"))) == 1


def test_only_the_most_frequent_symbols_are_known_in_a_fixed_order():
    texts_of_counts = ["c c c c b b b a a a d d"]
    assert known(fit(texts_of_counts, symbols="words", vocabulary=3)) == ["c", "a", "b"]
    assert known(fit(["zzz yy x"], symbols="characters", vocabulary=2)) == ["z", " "]
    assert known(fit(["a b", "b"], symbols="words", minimum_uses=1)) == ["b", "a"]


def test_parts_of_words_spell_words_that_were_never_seen():
    rows = ["unwillingly", "willing", "unknown knowingly", "known unknowing"] * 20
    field = fit(rows, symbols="bpe", vocabulary=60, text_length=20)
    assert len(known(field)) <= 60
    assert 1 not in codes(field, "unknowingly willing")[0]
    assert codes(field, "known 日本")[0].count(1) == 1, "what cannot be spelled is one unknown"
    state, arrays = field.state()
    again = fit(rows, symbols="bpe", vocabulary=60, text_length=20).state()
    assert state == again[0] and all(np.array_equal(arrays[each], again[1][each]) for each in arrays)


@pytest.mark.parametrize(
    ("cells", "way"),
    [
        (["the cat sat on the mat", "the dog sat on the cat"] * 20, "words"),
        (["猫が座った。犬も座った。", "犬が猫を見た。"] * 20, "characters"),
        (["แมวนั่งบนเสื่อ", "สุนัขเห็นแมว"] * 20, "characters"),
        (["Rossi", "Bianchi", "Müller", "Schmidt"] * 20, "characters"),
        ([f"talo{'n' * (row % 3)}ssa{row}kin auto{row * 7}sta ja kissa{row * 3}lla" for row in range(300)], "bpe"),
    ],
)
def test_what_symbols_are_follows_from_the_texts(cells, way):
    assert fit(cells).state()[0]["symbols"] == way


def test_the_length_holds_nearly_all_texts_and_is_bounded():
    short = ["one two three"] * 98 + ["one two three four five"] * 2
    assert fit(short, symbols="words").shape.length in (3, 5)
    assert fit(["word " * 2_000] * 3, symbols="words").shape.length == 512
    field = fit(short, symbols="words", text_length=2)
    assert (field.shape.vocabulary, field.shape.length) == (len(known(field)) + 2, 2)
    assert codes(field, "one two three") == codes(field, "one two")


def test_words_that_are_akin_share_groups_of_letters():
    field = fit(["cats and dogs", "a cat"] * 20, symbols="words")
    found = field.prepare(read(pl.Series(["cats", "CAT", "dog", None])))["subwords"]
    cats, cat, dog, nothing = (set(row[row > 0].tolist()) for row in found)
    # <c ca at <ca cat <cat of <cat>, in which letters stand for begin and end.
    assert len(cat) == 10 and len(cats & cat) == 6 and not cat & dog and not nothing
    assert fit(["cats and dogs"] * 20, subwords=0).shape.subwords == 0
    assert fit(["cats and dogs"] * 20, symbols="characters").shape.subwords == 0


def test_subwords_are_of_the_words_that_are_seen_and_bounded():
    text = ["one two three four"]
    field = fit(text * 20, symbols="words", text_length=2)
    found, first = (field.prepare(read(pl.Series(each)))["subwords"] for each in (text, ["one two"]))
    assert found.tolist() == first.tolist()
    assert fit(["word " * 2_000] * 3, symbols="words").shape.subwords == 1_024


def test_what_is_found_does_not_depend_on_how_the_rows_were_cut():
    rows = pl.Series([f"w{row % 50} w{row % 7} rest" for row in range(500)])
    for way in WAYS:
        settings = TextSettings(symbols=way)
        whole, parts = (
            TEXT.fit(
                "x", [read(rows[start : start + size]) for start in range(0, 500, size)], {}, settings, target=False
            )
            for size in (500, 37)
        )
        assert whole.state()[0] == parts.state()[0]
        assert known(whole) == known(parts)


FITTED = {
    way: fit(["the cat 🐈 sat", "the dog sat", "die Katze saß auf", "猫が座った 猫"] * 5, symbols=way) for way in WAYS
}


@pytest.mark.parametrize("way", WAYS)
@given(cells=some.lists(some.none() | ANY_TEXT, min_size=1, max_size=6))
def test_any_text_is_prepared_alone_as_among_others(way, cells):
    field = FITTED[way]
    arrays = read(pl.Series(cells, dtype=pl.String))
    tokens = field.prepare(arrays)["tokens"].numpy()
    assert tokens.dtype == np.int32 and tokens.shape == (len(cells), field.shape.length)
    assert (tokens >= 0).all() and (tokens < field.shape.vocabulary).all()
    assert np.array_equal(tokens[:, 0] > 0, arrays.present), "a text that is there has a symbol"
    for row in range(len(cells)):
        alone = field.prepare(arrays.rows(np.array([row])))["tokens"].numpy()
        assert np.array_equal(alone[0], tokens[row])


def test_every_character_has_a_symbol():
    ranges = (range(0x3400), range(0xE000, 0x20000), range(0xE0000, 0xE0200))
    points = [chr(point) for each in ranges for point in each]
    arrays = read(pl.Series(points))
    rows = np.flatnonzero(arrays.present)
    assert len(rows) > len(points) - 40
    for way in ("words", "characters"):
        tokens = FITTED[way].prepare(arrays.rows(rows))["tokens"]
        assert (tokens[:, 0] > 0).all()


# A field's state


@pytest.mark.parametrize("way", WAYS)
def test_a_hostile_state_is_refused(way):
    content, arrays = FITTED[way].state()
    lengths, symbols = arrays["lengths"], arrays["symbols"]
    changes = {
        "more bytes than symbols": {"symbols": np.append(symbols, symbols[:1])},
        "a negative length": {"lengths": np.concatenate([lengths[:-1], [-lengths[-1]]]).astype(np.int32)},
        "no length": {"lengths": np.append(lengths, np.int32(0))},
        "a cut character": {"symbols": np.full_like(symbols, 0xC3)},
        "a symbol twice": {
            "symbols": np.append(symbols, symbols[: lengths[0]]),
            "lengths": np.append(lengths, lengths[0]),
        },
        "a huge symbol": {"symbols": np.full(5_000, 97, np.uint8), "lengths": np.array([5_000], np.int32)},
    }
    for change in changes.values():
        with pytest.raises(ValueError):
            TEXT.restore("x", content, {**arrays, **change})
    subwords = ({"subwords": 1 << 30}, {"longest_subword": 99}, {"longest_subword": 1, "subwords": 9})
    for bad in ({"length": 0}, {"length": 1 << 40}, {"symbols": "sentences"}, {"lowercase": 1}, {"low": -1}, *subwords):
        with pytest.raises(ValueError):
            TEXT.restore("x", {**content, **bad}, arrays)
    for plan in ({"bytes": 1 << 50, "files": False}, {"bytes": 100, "files": "no"}):
        with pytest.raises(ValueError):
            TEXT.check(plan, FITTED[way])


def test_merges_that_lead_nowhere_are_refused():
    content, arrays = FITTED["bpe"].state()
    merges = arrays["merges"]
    assert len(merges)
    for bad in (merges + 10**6, -1 - merges, merges[::-1, ::-1], np.concatenate([merges, merges])):
        with pytest.raises(ValueError):
            TEXT.restore("x", content, {**arrays, "merges": np.ascontiguousarray(bad)})


def test_a_text_is_shown_as_it_was_written_and_cut():
    arrays = read(pl.Series(["Héllo 👍🏽 World", "x" * 5_000, None]))
    assert FITTED["words"].show(arrays, 0) == Text("Héllo 👍🏽 World")
    assert len(FITTED["words"].show(arrays, 1).text) < 500
    assert FITTED["words"].show(arrays, 2) == Text("missing")


def test_a_field_says_what_it_found():
    assert fit(["one two three", "one two three four"] * 9).describe() == "texts of 3 to 4 words, 4 known words"


# What is text, and what is not


SENTENCES = [f"the {thing} was {how} and we {did} again" for thing in "abcdefghij" for how in "klmno" for did in "pqr"]
NO_TEXTS = {
    "three words": ["very good", "rather bad", "so la la"] * 50,
    "three sentences": ["it was very good", "it was rather bad", "it was so la la"] * 50,
    "names": [f"{first} Anna {last}son" for first in "ABCDEFGHIJ" for last in "KLMNOPQ"],
    "cities": [f"New {name}ton" for name in "ABCDEFGHIJKLMNOPQRSTUVW"],
    "codes": [f"A{row} B{row * 7} C{row * 3} D{row} E{row} F{row} G{row} H{row}" for row in range(60)],
    "numbers": ["0.5 1.5 2.5 3.5 4.5 5.5 6.5 " + str(row) for row in range(60)],
    "paths": [f"a folder/photo {row}.png" for row in range(60)],
    "addresses of the web": [f"https://www.example.com/some/long/path/{row}" for row in range(60)],
    "lists": [f"red,green, blue, {row}" for row in range(60)],
    "JSON": [f'["some words", "in a list", "and then more", "{row}"]' for row in range(60)],
    "moments": [f"Monday, {row % 28 + 1} January {1900 + row}" for row in range(60)],
}


def surest(column: Column) -> str:
    sure = {name: kind.sniff(column) for name, kind in kinds.items()}
    return max(sure, key=sure.__getitem__) if max(sure.values()) >= 0.3 else "none"


@pytest.mark.parametrize("name", NO_TEXTS)
def test_what_only_looks_like_text_is_none(name):
    assert surest(pl.Series(NO_TEXTS[name])) != "text"


@pytest.mark.parametrize(
    "cells",
    [
        SENTENCES,
        [each.title() if row % 5 == 0 else each for row, each in enumerate(SENTENCES)],
        [f"{each} 👍 #wow @you https://t.example/{row}" for row, each in enumerate(SENTENCES)],
        [f"今日は{a}がとても{b}でしたね。" for a in "天気空海山川道町店人" for b in "青赤白黒"],
        [f"сегодня {a} был очень {b} день" for a in "абвгдежз" for b in "клмно"],
        [None if row % 3 else each for row, each in enumerate(SENTENCES)],
        SENTENCES[:6],
    ],
)
def test_sentences_of_any_script_are_text(cells):
    assert surest(pl.Series(cells)) == "text"
    assert surest(files(*(None if each is None else each.encode() for each in cells))) == "text"


def test_files_without_a_suffix_are_text_by_their_content():
    letters = [FileReference(f"{row}", content=b"From: somebody\n\nThis is a letter.") for row in range(9)]
    assert surest(FileColumn(letters)) == "text"
    assert surest(FileColumn([FileReference(each.name, content=b"\0\1\2") for each in letters])) == "none"
    short = [
        FileReference(f"{row}.txt", content=each) for row, each in enumerate([b"ok", b"", b"BMW is fine", b"P6 no"])
    ]
    assert surest(FileColumn(short)) == "text"
    assert surest(FileColumn([FileReference("a.csv", content=b"a,b\nthese are words,1\n")] * 9)) != "text"
