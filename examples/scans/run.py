"""Scans: gray or white matter?

Stretches of 12 x 12 x 12 mm of the brain that `nilearn` ships (the MNI template, ICBM 152 2009a, Fonov et al. 2011;
free to use), with noise and with a contrast and a brightness of their own, as scanners give, so that the middle alone
does not tell. `group="slab"` keeps slabs of the brain whole: those of the exam are places that nothing was learned
from.

The figure is the share of right answers for the tissue in the middle; a guess would get half. The picture has places
from all slabs.
"""

import nibabel
import numpy as np
from PIL import Image

import instar
from data_sets.brain import tissue_patches
from examples.gallery import RIGHT, WRONG, Shown, best_rival, sheet


def run() -> Shown:
    folder = tissue_patches()
    model = instar.train(folder, target="tissue", group="slab", epochs=8)
    rival, score = best_rival(model)

    files = sorted(folder.glob("*.nii.gz"))[::79][:14]
    answers = model.predict([str(file) for file in files])["prediction"]
    cells = []
    for file, answer in zip(files, answers, strict=True):
        middle = np.asarray(nibabel.load(file).dataobj)[:, 6, :].T[::-1].astype(float)
        scaled = (middle - middle.min()) / np.ptp(middle) * 255
        cells.append((Image.fromarray(scaled.astype(np.uint8)), answer, RIGHT if answer in file.name else WRONG))
    return Shown(
        f"{model.report.metrics['accuracy'].value:.1%} right",
        f"{rival} {score:.1%}",
        sheet([cells[:7], cells[7:]]),
        [model],
    )
