"""Bad inputs by family. A family is a function that yields cases; `families` has them all."""

from __future__ import annotations

from benchmarks.bad_cases.base import Case
from benchmarks.bad_cases.courses import series
from benchmarks.bad_cases.disk import disk
from benchmarks.bad_cases.models import damaged_models
from benchmarks.bad_cases.pictures import pictures
from benchmarks.bad_cases.recordings import recordings
from benchmarks.bad_cases.scans import volumes
from benchmarks.bad_cases.sequences import sequences
from benchmarks.bad_cases.tables import encodings, missing, numbers, ragged, targets
from benchmarks.bad_cases.texts import texts
from benchmarks.bad_cases.usage import usage
from benchmarks.bad_cases.use import use

FAMILIES = (
    *(missing, targets, ragged, encodings, numbers, pictures, texts, recordings, sequences, series, volumes),
    *(use, damaged_models, disk, usage),
)


def all_cases() -> list[Case]:
    """Every case, in a fixed order. Raises ValueError where two have one name."""
    cases = [case for family in FAMILIES for case in family()]
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise ValueError(f"cases of one name: {sorted({name for name in names if names.count(name) > 1})}")
    return cases
