"""Hot dog or not?

617 pictures of food as five hands drew them for emoji (npm's @iconify-json sets of Noto, Twemoji, Fluent, OpenMoji and
EmojiOne; Apache-2.0, CC BY 4.0, MIT, CC BY-SA 4.0, CC BY 4.0). Each hand has drawn one hot dog, so there are five in
all: a network learns from four hands, four hot dogs among them, and then looks at the fifth's food, five times over.

The figure is where the unseen hot dog stands when the fifth hand's food is put in order, the likeliest hot dog first;
five hot dogs prove little, and that is all that these packages hold.
"""

import polars as pl
from PIL import Image

import instar
from data_sets.emoji import HANDS, food_emoji
from examples.gallery import RIGHT, Shown, sheet

SHOWN = 9


def run() -> Shown:
    folder = food_emoji()
    models, ranks, rows = [], [], []
    for hand in HANDS:
        model = instar.train(
            folder / f"others-than-{hand}.csv",
            "answer",
            # A hot dog is one whichever way it lies, and in other colors.
            rotate=180,
            flip="both",
            zoom=0.3,
            color=0.4,
            mixup=0.4,
            image_size=32,
            epochs=20,
            rivals=False,
            test_share=0,
        )
        chances = model.predict_proba(folder / f"{hand}.csv")[:, model.classes.index("hot dog")]
        ordered = pl.read_csv(folder / f"{hand}.csv").with_columns(chance=chances).sort("chance", descending=True)
        ranks.append(ordered["answer"].index_of("hot dog") + 1)
        rows.append(
            [
                (Image.open(folder / name), answer if answer == "hot dog" else "", RIGHT)
                for name, answer in ordered.head(SHOWN).select("picture", "answer").iter_rows()
            ]
        )
        models.append(model)
    foods = sum(len(pl.read_csv(folder / f"{hand}.csv")) for hand in HANDS) // len(HANDS)
    return Shown(
        f"ranks {', '.join(map(str, ranks))} of about {foods}",
        f"by chance {foods // 2}",
        sheet(rows, names=[hand.removesuffix("-emoji-flat") for hand in HANDS], side=0.7),
        models,
    )
