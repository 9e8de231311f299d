"""Four sets of texts with the mean of twenty people's scores (Hutto & Gilbert 2014), from the package `vaderSentiment`.

Tweets, snippets of film reviews, of product reviews and of newspapers' opinions; the default network beside TF-IDF and
ridge regression, its words or pairs of words and its penalty chosen on the validation rows, on the same split. Bar: R²
better than ridge by the interval of the difference on at least 3 of 4, and worse by it on none.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common import DATA, heading, instar, read_report, table, workshop

PACKAGE = "vaderSentiment==3.3.2"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SETS = {
    "tweets": "tweets",
    "film": "movieReviewSnippets",
    "product": "amazonReviewSnippets",
    "news": "nytEditorialSnippets",
}
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
DRAWS = 2_000
# pip asks a source package for its metadata by running its set-up; this answers instead, so that none of it runs.
ANSWER = """
from pathlib import Path

class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(folder, settings=None):
        place = Path(folder, "answer.dist-info")
        place.mkdir()
        place.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: vaderSentiment\\nVersion: 3.3.2\\n")
        return place.name
"""


def fetch(folder: Path) -> None:
    """The four sets as CSV files of ``text``, ``score`` and ``part``; each text once."""
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary, "setuptools")
        answer.mkdir()
        (answer / "__init__.py").touch()
        (answer / "build_meta.py").write_text(ANSWER)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", temporary]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, PACKAGE],
            check=True,
            env={**os.environ, "PYTHONPATH": temporary},
        )
        (packed,) = Path(temporary).glob("vaderSentiment-*.tar.gz")
        with tarfile.open(packed) as archive:
            inner = archive.extractfile(ARCHIVE).read()
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        for name, inside in SETS.items():
            (member,) = (each for each in archive if each.name.endswith(f"{inside}_GroundTruth.txt"))
            lines = archive.extractfile(member).read().decode(errors="replace").splitlines()
            cells = [line.split("\t", 2)[1:] for line in lines if line.count("\t") >= 2]
            frame = pl.DataFrame(cells, schema={"score": pl.Float64, "text": pl.String}, orient="row", strict=False)
            frame = frame.unique("text", keep="first", maintain_order=True)
            parts = np.repeat(list(SHARES), [round(share * len(frame)) + 1 for share in SHARES.values()])[: len(frame)]
            parts = np.random.default_rng(0).permutation(parts)
            frame.with_columns(pl.Series("part", parts)).write_csv(folder / f"{name}.csv")


def file_of(name: str) -> Path:
    path = DATA / "texts" / f"{name}.csv"
    if not path.exists():
        fetch(path.parent)
    return path


def ridge(frame: pl.DataFrame) -> np.ndarray:
    """What the better of a few ridge regressions on TF-IDF answers for the test rows, in their order."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    texts, scores = ({part: rows[name] for (part,), rows in frame.group_by("part")} for name in ("text", "score"))
    tried = []
    for longest in (1, 2):
        vectorizer = TfidfVectorizer(ngram_range=(1, longest), sublinear_tf=True).fit(texts["train"])
        learned, stopped = (vectorizer.transform(texts[part]) for part in ("train", "validation"))
        for penalty in (0.3, 1.0, 3.0, 10.0):
            answers = Ridge(penalty).fit(learned, scores["train"]).predict(stopped)
            tried.append((explained(scores["validation"].to_numpy(), answers), longest, penalty))
    _, longest, penalty = max(tried)
    vectorizer = TfidfVectorizer(ngram_range=(1, longest), sublinear_tf=True)
    known = pl.concat([texts["train"], texts["validation"]])
    model = Ridge(penalty).fit(
        vectorizer.fit_transform(known), pl.concat([scores["train"], scores["validation"]]).to_numpy()
    )
    return model.predict(vectorizer.transform(texts["test"]))


def explained(truth: np.ndarray, answers: np.ndarray) -> float:
    """R²."""
    return float(1 - np.square(answers - truth).sum() / np.square(truth - truth.mean()).sum())


def interval(value: float, drawn: np.ndarray) -> str:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def compare(name: str, seed: int, settings: list[str]) -> tuple[object, ...]:
    frame = pl.read_csv(file_of(name))
    asked = frame.filter(pl.col("part") == "test")
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as folder:
        out, new = folder / "model", folder / "test.csv"
        asked.select("text").write_csv(new)
        done = instar(
            *("train", file_of(name), "--target", "score", "--split", "part", "--out", out, "--no-rivals"),
            *("--seed", str(seed), *given),
            cache=folder / "cache",
        ).must_succeed()
        report = read_report(out)
        answered = instar("predict", out, new, "--csv", cache=folder / "cache").must_succeed().stdout
    answers = {"network": pl.read_csv(io.StringIO(answered))["prediction"].to_numpy(), "ridge": ridge(frame)}
    truth = asked["score"].to_numpy()
    generator = np.random.default_rng(0)
    drawn = [generator.integers(0, len(truth), len(truth)) for _ in range(DRAWS)]
    values = {who: explained(truth, each) for who, each in answers.items()}
    draws = {who: np.array([explained(truth[rows], each[rows]) for rows in drawn]) for who, each in answers.items()}
    ahead = draws["network"] - draws["ridge"]
    low, high = np.quantile(ahead, (0.025, 0.975))
    (column,) = report["inputs"]
    return (
        *(name, seed, report["network"], column["about"], len(truth)),
        *(interval(values[who], draws[who]) for who in ("network", "ridge")),
        interval(values["network"] - values["ridge"], ahead),
        *(bool(low > 0), bool(high < 0), done.seconds),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SETS), help="names separated by commas; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    for name in SETS:
        file_of(name)
    heading("Texts with a score")
    rows = []
    for name in arguments.only.split(","):
        rows.append(compare(name, arguments.seed, arguments.set))
        print(f"- {rows[-1]}", flush=True)
    print()
    table(
        (
            *("texts", "seed", "network", "input", "test rows", "network's R²", "ridge's R²", "difference"),
            *("better by its interval", "worse by its interval", "seconds, whole process"),
        ),
        rows,
    )
    better, worse = (sum(bool(row[column]) for row in rows) for column in (8, 9))
    table(
        ("figure", "measured", "bar", "reached"),
        [
            ("better than ridge by its interval", f"{better} of {len(rows)}", ">= 3", better >= 3),
            ("worse by its interval", f"{worse} of {len(rows)}", "none", worse == 0),
        ],
    )


if __name__ == "__main__":
    main()
