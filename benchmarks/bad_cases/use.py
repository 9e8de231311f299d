"""Predicting and evaluating: what is given then is not what the model was trained on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bad_cases.base import (
    DATA,
    FINE,
    HEADER,
    QUICK,
    USAGE,
    Case,
    encoded,
    photos,
    picture,
    rows,
    with_column,
    write_csv,
)
from benchmarks.bad_cases.pictures import spoilt_files
from benchmarks.bad_cases.recordings import odd_files, sounds
from benchmarks.bad_cases.recordings import spoilt_files as spoilt_recordings

# The models that cases use: what makes each one's examples, and the arguments that train it.
MODELS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "table": (lambda folder: write_csv(folder / "data.csv"), ("train", "data.csv", "--target", "answer", *QUICK)),
    "amount": (lambda folder: write_csv(folder / "data.csv"), ("train", "data.csv", "--target", "income", *QUICK)),
    "photos": (lambda folder: photos(folder / "photos") and None, ("train", "photos", *QUICK)),
    "sounds": (lambda folder: sounds(folder / "sounds") and None, ("train", "sounds", *QUICK)),
}


def model(name: str) -> Callable[[Path], None]:
    """Lay a fresh copy of a trained model into the case's folder, as `given`."""
    return lambda folder: shutil.copytree(folder.parent / "models" / name / "model", folder / "given") and None


def with_model(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        model(name)(folder)
        make(folder)

    return both


def _without(*names: str) -> Callable[[Path], None]:
    kept = [number for number, name in enumerate(HEADER) if name not in names]
    content = [[row[number] for number in kept] for row in rows()]
    return lambda folder: write_csv(folder / "new.csv", content, header=[HEADER[number] for number in kept])


def use() -> Iterator[Case]:
    yield from _columns()
    yield from _content()
    yield from _wrong_things()
    yield from _new_pictures()
    yield from _new_recordings()


def _columns() -> Iterator[Case]:
    for command in ("predict", "evaluate"):
        for name in HEADER[:4]:
            make = with_model("table", _without(name))
            yield Case(f"{command}/without-{name}", (command, "given", "new.csv"), DATA, (name, r"new\.csv"), make)
        several = with_model("table", _without("age", "town"))
        yield Case(f"{command}/without-two", (command, "given", "new.csv"), DATA, ("age", "town"), several)
        upper = with_model("table", lambda folder: write_csv(folder / "new.csv", header=[n.upper() for n in HEADER]))
        yield Case(f"{command}/other-letters", (command, "given", "new.csv"), DATA, (r"new\.csv", "age"), upper)
        nameless = with_model("table", lambda folder: write_csv(folder / "new.csv", rows()[1:], header=rows()[0]))
        yield Case(f"{command}/no-header", (command, "given", "new.csv"), DATA, (r"new\.csv",), nameless)
    no_answer = with_model("table", _without("answer"))
    yield Case("evaluate/without-answers", ("evaluate", "given", "new.csv"), DATA, ("answer", r"new\.csv"), no_answer)
    no_income = with_model("amount", _without("income"))
    yield Case("evaluate/without-amounts", ("evaluate", "given", "new.csv"), DATA, ("income",), no_income)


def _content() -> Iterator[Case]:
    def given(column: str, values: Callable[[int], str], name: str = "table") -> Callable[[Path], None]:
        return with_model(name, lambda folder: write_csv(folder / "new.csv", with_column(column, values)))

    for column in ("age", "income", "day"):
        words = given(column, lambda row: "many words")
        yield Case(f"predict/{column}-of-words", ("predict", "given", "new.csv"), DATA, (column,), words)
        usual = "2020-01-03" if column == "day" else "40"
        some = given(column, lambda row, usual=usual: "many words" if row == 9 else usual)
        yield Case(f"predict/{column}-one-word", ("predict", "given", "new.csv"), FINE, (r"line 11\b",), some)
    unseen = given("town", lambda row: "Atlantis")
    yield Case("predict/unseen-town", ("predict", "given", "new.csv"), FINE, ("prediction",), unseen)
    for what, value in {"nan": "nan", "inf": "inf", "nothing": ""}.items():
        odd = given("income", lambda row, value=value: value)
        yield Case(f"predict/income-all-{what}", ("predict", "given", "new.csv"), (0, 3), ("income|prediction",), odd)
    foreign = given("answer", lambda row: "perhaps")
    yield Case("evaluate/classes-unknown", ("evaluate", "given", "new.csv"), (0, 3), ("perhaps|answer",), foreign)
    unanswered = given("answer", lambda row: "")
    yield Case("evaluate/answers-missing", ("evaluate", "given", "new.csv"), (0, 3), ("answer",), unanswered)
    words = given("income", lambda row: "a lot", "amount")
    yield Case("evaluate/amounts-of-words", ("evaluate", "given", "new.csv"), DATA, ("income",), words)


def _wrong_things() -> Iterator[Case]:
    def bytes_of(content: bytes) -> Callable[[Path], None]:
        return with_model("table", lambda folder: (folder / "new.csv").write_bytes(content) and None)

    def ragged(folder: Path) -> None:
        write_csv(folder / "new.csv", [[*row, "more"] if number == 30 else row for number, row in enumerate(rows())])

    arguments = ("predict", "given", "new.csv")
    yield Case("predict/empty", arguments, DATA, (r"new\.csv", "empty"), bytes_of(b""))
    yield Case("predict/header-alone", arguments, DATA, (r"new\.csv",), bytes_of(",".join(HEADER).encode() + b"\n"))
    yield Case("predict/no-such-file", arguments, DATA, (r"new\.csv",), model("table"))
    yield Case("predict/latin-1", arguments, DATA, (r"new\.csv",), bytes_of("age,income\n3,Zürich\n".encode("latin-1")))
    yield Case("predict/ragged", arguments, DATA, (r"new\.csv", "line 32"), with_model("table", ragged))
    yield Case("predict/nothing-named", ("predict", "given"), USAGE, ("source",), model("table"))
    table_of_photos = with_model("table", lambda folder: photos(folder / "new") and None)
    yield Case("predict/photos-to-a-table", ("predict", "given", "new"), DATA, ("age",), table_of_photos)
    photo_table = with_model("photos", lambda folder: write_csv(folder / "new.csv"))
    yield Case("predict/table-to-photos", arguments, DATA, (r"new\.csv",), photo_table)
    for coverage in ("0", "1", "-0.5", "90", "nan", "most"):
        good = with_model("amount", lambda folder: write_csv(folder / "new.csv"))
        named = ("predict", "given", "new.csv", "--coverage", coverage)
        yield Case(f"predict/coverage-{coverage}", named, USAGE, ("coverage",), good)


def _new_pictures() -> Iterator[Case]:
    for name, content in spoilt_files().items():

        def make(folder: Path, name: str = name, content: bytes = content) -> None:
            model("photos")(folder)
            (folder / name).write_bytes(content)

        escaped = name.replace(".", r"\.")
        yield Case(f"predict/{name}", ("predict", "given", name), DATA, (escaped,), make)
        if name in ("cut.jpg", "bomb.png"):

            def beside(folder: Path, name: str = name, content: bytes = content) -> None:
                model("photos")(folder)
                (folder / name).write_bytes(content)
                (folder / "good.jpg").write_bytes(encoded(picture(1, 5)))

            yield Case(
                f"predict/{name}-and-a-good-one", ("predict", "given", "good.jpg", name), FINE, (escaped,), beside
            )
    lost = ("predict", "given", "lost.jpg")
    yield Case("predict/lost.jpg", lost, DATA, (r"lost\.jpg",), model("photos"))
    empty = with_model("photos", lambda folder: (folder / "new").mkdir())
    yield Case("predict/empty-folder", ("predict", "given", "new"), DATA, ("new",), empty)


def _new_recordings() -> Iterator[Case]:
    for name in ("cut-header.wav", "no-samples.wav", "video.wav", "not-a-number.wav", "cut.flac"):

        def make(folder: Path, name: str = name) -> None:
            model("sounds")(folder)
            (folder / name).write_bytes(spoilt_recordings()[name])

        yield Case(f"predict/{name}", ("predict", "given", name), DATA, (name.replace(".", r"\."),), make)

    def beside(folder: Path) -> None:
        model("sounds")(folder)
        (folder / "video.wav").write_bytes(spoilt_recordings()["video.wav"])
        (folder / "good.wav").write_bytes(odd_files()["96-khz-8-channels.wav"])

    both = ("predict", "given", "good.wav", "video.wav")
    yield Case("predict/video.wav-and-a-good-one", both, FINE, (r"video\.wav",), beside)
