"""Numbers in sentences, written one way everywhere."""

from __future__ import annotations


def counted(count: int, noun: str = "row") -> str:
    """``1 row``, ``1,234 rows``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def percent(share: float) -> str:
    """``7 %``; with two decimals where a share is so near to nothing or all that it would look like it."""
    return f"{100 * share:.0f} %" if 0.01 <= share <= 0.99 or share in (0, 1) else f"{100 * share:.2f} %"


def written_amount(value: float) -> str:
    """A number as a person reads it: four significant digits, and whole above 10,000."""
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
