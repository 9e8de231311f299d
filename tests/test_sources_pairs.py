"""Pairs of texts: a pair a line, a tab between."""

from __future__ import annotations

from pathlib import Path

from instar.sources.locate import locate
from instar.sources.matching import match


def written(folder: Path, content: str, name: str = "deu.txt") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_the_second_text_is_the_answer_and_who_wrote_the_pair_is_left_out(tmp_path):
    path = written(tmp_path, "Go.\tGeh.\tCC-BY 2.0 (France)\n\nHi. \t Hallo! \nRun!\tLauf!\n")
    source = locate(path)
    assert source.targets() == ("to",)
    (chunk,) = source.chunks()
    assert chunk.columns["from"].to_list() == ["Go.", "Hi.", "Run!"]
    assert chunk.columns["to"].to_list() == ["Geh.", "Hallo!", "Lauf!"]
    assert source.locate_row(1) == f"{path}, line 3"


def test_a_line_without_a_tab_far_down_has_no_answer(tmp_path):
    path = written(tmp_path, "a\tb\n" * 20_000 + "alone\n")
    last = list(locate(path).chunks(["to"]))[-1].columns["to"]
    assert last[-1] is None and last[-2] == "b"


def test_lines_without_tabs_are_plain_lines_and_a_model_of_pairs_reads_them(tmp_path):
    source = locate(written(tmp_path, "one\ntwo\tthree\n"))
    assert source.schema().columns == ("text",)
    assert match(source, ["from"]).schema().columns == ("from",)
