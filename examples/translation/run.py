"""Translation: the small wild king, der kleine wilde König.

8,000 pairs of sentences made with a grammar (`data_sets/german.py`) that has what makes German hard: genders, cases,
endings of adjectives, and verbs that go to the end. One column is the input, the other the target: two networks, a
transformer and LSTMs, write German word by word.

The figure is the share of 800 new sentences that are right to the last letter. Word for word is the rival: a dictionary
learned from the same pairs.
"""

import polars as pl

import instar
from data_sets.german import english_german
from examples.gallery import OTHERS, OURS, Shown, bars, canvas


def run() -> Shown:
    settings = {"target": "german", "kind": ["english=text", "german=text"], "split": "part", "epochs": 6}
    transformer = instar.train(english_german(), network="transformer", **settings)
    lstm = instar.train(english_german(), network="lstm", rivals=False, **settings)

    scores = {"transformer": transformer.report.metrics["exact_match"].value}
    scores["LSTM"] = lstm.report.metrics["exact_match"].value
    rivals = {each.title: each.metrics["exact_match"].value for each in transformer.report.targets[0].ranked()}
    new = (
        pl.read_csv(english_german()).filter(pl.col("part") == "test").sort(pl.col("english").str.len_chars())[300:305]
    )
    answers = transformer.predict(new.select("english"))["prediction"]

    drawing, (left, right) = canvas(10, 2.6, columns=2)
    bars(left, {**scores, "word by word": rivals["dictionary, word by word"]}, ours=list(scores))
    for place, (english, answer) in enumerate(zip(new["english"], answers, strict=True)):
        right.text(0, -place, english, fontsize=9, color=OTHERS)
        right.text(0, -place - 0.38, answer, fontsize=9, color=OURS)
    right.set(xlim=(0, 1), ylim=(-4.6, 0.4))
    right.axis("off")
    best = max(rivals, key=rivals.get)
    return Shown(
        f"{scores['transformer']:.1%} right to the letter with a transformer, {scores['LSTM']:.1%} with LSTMs",
        f"{best} {rivals[best]:.1%}",
        drawing,
        [transformer, lstm],
    )
