"""Four sets of texts with the mean of twenty people's scores (Hutto & Gilbert 2014), from the package `vaderSentiment`.

Tweets, snippets of film reviews, of product reviews and of newspapers' opinions; the default network beside TF-IDF and
ridge regression, its words or pairs of words and its penalty chosen on the validation rows, on the same split. Bar: R²
better than ridge by the interval of the difference on at least 3 of 4, and worse by it on none.
"""

from __future__ import annotations

import argparse
import io

import numpy as np
import polars as pl

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.sentiment import SETS, sentiment

DRAWS = 2_000


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
    frame = pl.read_csv(sentiment(name))
    asked = frame.filter(pl.col("part") == "test")
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as folder:
        out, new = folder / "model", folder / "test.csv"
        asked.select("text").write_csv(new)
        done = instar(
            *("train", sentiment(name), "--target", "score", "--split", "part", "--out", out, "--no-rivals"),
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
        sentiment(name)
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
