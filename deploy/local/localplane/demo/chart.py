"""Small charts of text: a line over time, a bar against a target, clock times and short numbers.

Pure functions from numbers to strings of a given width; colours are the view's.
"""

from __future__ import annotations

from collections.abc import Sequence

EIGHTHS = " " + "".join(chr(0x2581 + level) for level in range(8))
"""A cell filled from the bottom by 0 to 8 eighths."""
FULL, HALF_TONE, DOT = "\u2588", "\u2591", "\u00b7"


def columns(points: Sequence[tuple[float, float]], seconds: float, width: int) -> list[float | None]:
    """The values of (seconds, value) points spread over `width` columns that stand for `seconds` in all.

    A column has the largest value of its time; one without a point repeats the one before, and columns that
    lie after the last point are None.
    """
    cells: list[float | None] = [None] * width
    for at, value in points:
        place = min(width - 1, max(0, int(at / seconds * width)))
        before = cells[place]
        cells[place] = value if before is None else max(before, value)
    last = max((place for place, value in enumerate(cells) if value is not None), default=-1)
    carried: float | None = None
    for place in range(last + 1):
        carried = cells[place] if cells[place] is not None else carried
        cells[place] = carried
    return cells


def area(values: Sequence[float | None], top: float, rows: int = 1) -> list[str]:
    """An area chart, upper row first; `top` fills all rows and a value above 0 shows at least a trace."""
    levels = [_level(value, top, rows) for value in values]
    return [
        "".join(EIGHTHS[max(0, min(8, level - 8 * row))] for level in levels) for row in reversed(range(rows))
    ]


def _level(value: float | None, top: float, rows: int) -> int:
    if value is None or value <= 0:
        return 0
    return max(1, round(min(1.0, value / top) * 8 * rows))


def bar(value: float, target: float, width: int) -> tuple[str, str]:
    """A bar whose middle is the target: (the part up to the target, the part beyond), together `width`."""
    half = width // 2
    filled = min(width, round(value / target * half)) if target else 0
    below = FULL * min(filled, half) + DOT * max(0, half - filled)
    return below, FULL * max(0, filled - half) + DOT * (width - max(half, filled))


def clock(seconds: float) -> str:
    """83 s is "1:23"."""
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def short(value: float) -> str:
    """A number as people say it: 12.3k, 840, 12.3, 8, 0.85."""
    if value >= 10_000:
        return f"{value / 1000:.1f}k"
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
