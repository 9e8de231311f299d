"""Bad pictures: cut, disguised, enormous, tiny, not readable, or not files at all; and folders of them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bad_cases.base import DATA, FINE, Case, encoded, huge_png, photos, picture, train, write_csv


def _patched(content: bytes, *patches: tuple[int, bytes]) -> bytes:
    for offset, patch in patches:
        content = content[:offset] + patch + content[offset + len(patch) :]
    return content


def spoilt_files() -> dict[str, bytes]:
    """Files that are no picture that can be read, by name."""
    jpeg, png = encoded(picture(0, 1, 64)), encoded(picture(0, 1, 64), "PNG")
    gif, bmp = encoded(picture(0, 1, 64), "GIF"), encoded(picture(0, 1, 64), "BMP")
    frame = jpeg.index(b"\xff\xc0")
    return {
        "empty.jpg": b"",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "header-alone.jpg": jpeg[:20],
        "text.jpg": b"This is a text that somebody called a photo.\n" * 20,
        "page.png": b"<!doctype html><title>404 Not Found</title>",
        "drawing.svg.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "cut.png": png[: len(png) // 2],
        "checksum.png": _patched(png, (60, b"\0\1\2\3\4\5\6\7")),
        "bomb.png": huge_png(60_000, 60_000),
        "bomb-largest.png": huge_png(2**31 - 1, 2**31 - 1),
        "bomb-line.png": huge_png(2_000_000_000, 1),
        "bomb.jpg": _patched(jpeg, (frame + 5, struct.pack(">HH", 65_500, 65_500))),
        "bomb.gif": _patched(gif, (6, struct.pack("<HH", 65_535, 65_535))),
        "bomb.bmp": _patched(bmp, (18, struct.pack("<ii", 60_000, 60_000))),
        "no-area.png": huge_png(0, 10),
        "noise.webp": b"RIFF\xff\xff\xff\x7fWEBPVP8 " + bytes(range(256)),
        "noise.tiff": b"II*\0" + bytes(range(200)),
    }


def _odd_files() -> dict[str, Callable[[Path], None]]:
    """What has a picture's name and is no ordinary file."""
    return {
        "folder.jpg": lambda path: path.mkdir(),
        "dangling.jpg": lambda path: path.symlink_to("nowhere.jpg"),
        "loop.jpg": lambda path: path.symlink_to(path.name),
        "pipe.jpg": lambda path: os.mkfifo(path),
        "endless.jpg": lambda path: path.symlink_to("/dev/zero"),
        "private.jpg": _private,
    }


def _private(path: Path) -> None:
    path.write_bytes(encoded(picture(0, 3)))
    path.chmod(0)


def pictures() -> Iterator[Case]:
    yield from _one_among_many()
    yield from _nothing_else()
    yield from _folders()
    yield from _tables_of_pictures()


def _one_among_many() -> Iterator[Case]:
    """One bad file among sixty good ones is passed over, and named."""
    for name, content in spoilt_files().items():

        def make(folder: Path, name: str = name, content: bytes = content) -> None:
            (photos(folder / "photos") / "dark" / name).write_bytes(content)

        yield Case(f"picture/one/{name}", train("photos", target=None), FINE, (name.replace(".", r"\."),), make)
    for name, create in _odd_files().items():

        def make_odd(folder: Path, name: str = name, create: Callable[[Path], None] = create) -> None:
            create(photos(folder / "photos") / "dark" / name)

        mentions = () if name == "folder.jpg" else (name.replace(".", r"\."),)
        yield Case(
            f"picture/one/{name}",
            train("photos", target=None),
            (0, 3),
            mentions,
            make_odd,
            unprivileged=name.startswith("private"),
        )
    for side in (1, 2):

        def make_tiny(folder: Path, side: int = side) -> None:
            (photos(folder / "photos") / "dark" / "tiny.png").write_bytes(encoded(picture(0, 7, side), "PNG"))

        yield Case(f"picture/one/{side}x{side}.png", train("photos", target=None), FINE, (), make_tiny)


def _nothing_else() -> Iterator[Case]:
    """Where every file is bad, or most are, the run stops before it wastes an hour."""
    for name, content in spoilt_files().items():

        def make(folder: Path, name: str = name, content: bytes = content) -> None:
            for label in ("dark", "light"):
                (folder / "photos" / label).mkdir(parents=True)
                for number in range(30):
                    (folder / "photos" / label / f"{number}-{name}").write_bytes(content)

        yield Case(f"picture/all/{name}", train("photos", target=None), DATA, ("photos|dark/|light/",), make)

    def half(folder: Path) -> None:
        photos(folder / "photos")
        for path in (folder / "photos" / "dark").iterdir():
            path.write_bytes(path.read_bytes()[:200])

    yield Case("picture/half-cut", train("photos", target=None), DATA, ("photos",), half)

    def tiny(folder: Path) -> None:
        for path in photos(folder / "photos").rglob("*.jpg"):
            path.write_bytes(encoded(picture(int(path.parent.name == "light"), 1, 1)))

    yield Case(
        "picture/all/1x1.jpg", train("photos", target=None), (0, 2, 3), ("1 ?[x×] ?1|pixel|constant|same",), tiny
    )


def _folders() -> Iterator[Case]:
    def bare(*names: str) -> Callable[[Path], None]:
        def make(folder: Path) -> None:
            for name in ("photos", *(f"photos/{each}" for each in names)):
                (folder / name).mkdir(parents=True, exist_ok=True)

        return make

    arguments = train("photos", target=None)
    yield Case("folder/empty", arguments, DATA, ("photos",), bare())
    yield Case("folder/empty-classes", arguments, DATA, ("photos",), bare("dark", "light"))
    yield Case("folder/empty-parts", arguments, DATA, ("photos",), bare("train/dark", "train/light", "test/dark"))
    yield Case(
        "folder/one-class", arguments, DATA, ("class",), lambda folder: photos(folder / "photos", 40, ["only"]) and None
    )

    def papers(folder: Path) -> None:
        for label in ("dark", "light"):
            (folder / "photos" / label).mkdir(parents=True)
            for number in range(10):
                (folder / "photos" / label / f"{number}.pdf").write_bytes(b"%PDF-1.7\0")

    yield Case("folder/no-pictures", arguments, DATA, ("photos",), papers)

    def hidden(folder: Path) -> None:
        for path in photos(folder / "photos").rglob("*.jpg"):
            path.rename(path.with_name("." + path.name))

    yield Case("folder/hidden-files-alone", arguments, DATA, ("photos",), hidden)

    def closed(folder: Path) -> None:
        (photos(folder / "photos") / "dark").chmod(0)

    yield Case("folder/closed-class", arguments, DATA, ("dark|photos",), closed, unprivileged=True)

    def unfamiliar(folder: Path) -> None:
        photos(folder / "photos" / "train")
        photos(folder / "photos" / "test", 10, ["dark", "purple"])

    yield Case("folder/class-in-test-alone", arguments, (0, 3), ("purple",), unfamiliar)
    yield Case(
        "folder/no-such-target",
        train("photos", target="colour"),
        (2, 3),
        ("colour",),
        lambda f: photos(f / "photos") and None,
    )


def _tables_of_pictures() -> Iterator[Case]:
    """`metadata.csv` and columns of paths that name what is not there, or what they must not."""

    def metadata(
        names: Callable[[int], str], header: tuple[str, ...] = ("file_name", "label")
    ) -> Callable[[Path], None]:
        def make(folder: Path) -> None:
            photos(folder / "photos")
            paths = sorted((folder / "photos").rglob("*.jpg"))
            for number, path in enumerate(paths):
                path.rename(folder / "photos" / f"{number}.jpg")
            (folder / "secret.jpg").write_bytes(encoded(picture(0, 0)))
            content = [[names(number), "dark" if number < 30 else "light"] for number in range(60)]
            write_csv(folder / "photos" / "metadata.csv", content, header=header)

        return make

    def good(number: int) -> str:
        return f"{number}.jpg"

    arguments = train("photos", target="label")
    yield Case("metadata/no-file-name", arguments, DATA, ("file_name",), metadata(good, ("picture", "label")))
    yield Case("metadata/none-there", arguments, DATA, (r"\.png",), metadata(lambda number: f"{number}.png"))
    one = metadata(lambda number: "lost.jpg" if number == 7 else good(number))
    yield Case("metadata/one-lost", arguments, (0, 3), (r"lost\.jpg",), one)
    for what, name in {"above": "../secret.jpg", "absolute": "/etc/hostname"}.items():
        outside = metadata(lambda number, name=name: name if number == 7 else good(number))
        yield Case(f"metadata/{what}", arguments, DATA, ("outside",), outside)
    yield Case("metadata/no-such-target", train("photos", target="lable"), DATA, ("lable", "label"), metadata(good))
    for what, name in {"above": "../secret.jpg", "link": "link.jpg"}.items():

        def make(folder: Path, name: str = name) -> None:
            place = folder / "table"
            photos(place / "photos")
            (folder / "secret.jpg").write_bytes(encoded(picture(0, 0)))
            (place / "link.jpg").symlink_to("../secret.jpg")
            paths = sorted(path.relative_to(place) for path in (place / "photos").rglob("*.jpg"))
            content = [[str(path), path.parent.name] for path in paths]
            content[20][0] = name
            write_csv(place / "data.csv", content, header=["picture", "answer"])

        yield Case(f"paths/{what}", train("table/data.csv"), DATA, ("outside",), make)
