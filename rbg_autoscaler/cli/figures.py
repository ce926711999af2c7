"""Numbers as people read them: 12.5, 16k, 70 %, 3 -> 5."""

from __future__ import annotations

_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k"))
"""From 10 000 on: 4 096 tokens stay 4096, 16 000 become 16k."""


def amount(milli: int | None, *, percent: bool = False) -> str:
    """A value in thousandths (or whole percent) with three figures at least; "-" for none."""
    if milli is None:
        return "-"
    if percent:
        return f"{milli} %"
    value = milli / 1000
    for least, suffix in _UNITS:
        if abs(value) >= least:
            return f"{_figures(value / (1000 if suffix == 'k' else least))}{suffix}"
    return _figures(value)


def _figures(value: float) -> str:
    decimals = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(replicas: int | None) -> str:
    """A replica count; "-" for none."""
    return "-" if replicas is None else str(replicas)


def move(before: int, after: int) -> str:
    """3 -> 5, or 3 where nothing moves."""
    return str(after) if before == after else f"{before} -> {after}"


def seconds(age: float) -> str:
    """An age: 4 s, 12 min."""
    return f"{age:.0f} s" if age < 600 else f"{age / 60:.0f} min"
