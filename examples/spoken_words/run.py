"""Spoken words, from voices never heard.

"Yes", "no", "stop", "go" and "left", said by 40 voices of eSpeak NG (GPL-3), each at four speeds, from the package
`espeakng-loader`. `group="voice"` keeps a voice together: every voice is examined by a network that never heard it.

The figure is the share of the 800 recordings that are understood; a guess would get 20 %.
"""

import polars as pl
import soundfile

import instar
from data_sets.spoken import spoken_words
from examples.gallery import OURS, Shown, best_rival, canvas


def run() -> Shown:
    folder = spoken_words()
    model = instar.train(folder, target="word", group="voice", folds=2, epochs=12, audio_frames=64, audio_bands=32)
    rival, score = best_rival(model)

    heard = pl.read_csv(folder / "metadata.csv").filter(pl.col("file_name").str.ends_with("-160.wav"))
    drawing, plots = canvas(7, 1.9, columns=5)
    for axes, word in zip(plots, model.classes, strict=True):
        name = heard.filter(pl.col("word") == word)["file_name"][7]
        sound, rate = soundfile.read(folder / name)
        axes.specgram(sound, NFFT=512, noverlap=384, Fs=rate, cmap="magma", vmin=-120)
        axes.set_ylim(0, 6000)
        axes.set_title(f"“{word}”", color=OURS)
        axes.axis("off")
    return Shown(f"{model.report.metrics['accuracy'].value:.1%} understood", f"{rival} {score:.1%}", drawing, [model])
