"""Writing like Austen.

"Pride and Prejudice", 684,000 letters (public domain; from Debian's package r-cran-janeaustenr, MIT license). Nobody
says what is right here: `corpus:FILE` learns how the text goes on, letter by letter, and then writes.

The figure is bits per character on passages that nothing was learned from, how surprised the model is by Austen's next
letter; the rival counts which letters follow which. What it writes is Austen's manner, and nobody's meaning.
"""

import textwrap

import instar
from data_sets.austen import austen
from examples.gallery import Shown, best_rival, canvas

PROMPT = "It is a truth"


def run() -> Shown:
    model = instar.train(f"corpus:{austen()}/Pride And Prejudice.txt", width=384, epochs=32)
    rival, score = best_rival(model)

    written = model.generate(PROMPT, length=420, temperature=0.7)
    drawing, (axes,) = canvas(6.6, 1.5)
    lines = textwrap.wrap(PROMPT + written.removeprefix(PROMPT), 76)
    axes.text(
        0, 1, "\n".join(lines), va="top", fontsize=11, family="serif", style="italic", color="#212529", parse_math=False
    )
    axes.axis("off")
    return Shown(
        f"{model.report.metrics['bits_per_character'].value:.2f} bits per character",
        f"{rival} {score:.2f}",
        drawing,
        [model],
    )
