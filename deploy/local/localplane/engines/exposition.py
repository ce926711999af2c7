"""The Prometheus text format 0.0.4: families in, text out.

A family is written in one piece, its samples in the order given; an explicit timestamp is written only
where a sample has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """One line: labels, value, and what follows the family's name (`_bucket`, `_sum`, `_count`)."""

    labels: Labels
    value: float
    suffix: str = ""
    timestamp_ms: int | None = None


@dataclass(frozen=True)
class Family:
    """All samples of one name. Counters carry their `_total` in the name."""

    name: str
    type: str
    samples: tuple[Sample, ...]


def render(families: Iterable[Family]) -> str:
    """The text a scrape gets."""
    return "".join(line for family in families for line in _lines(family))


def stamped(families: Iterable[Family], timestamp_ms: int) -> tuple[Family, ...]:
    """The families with this time on every sample that has none."""
    return tuple(
        replace(
            family,
            samples=tuple(
                replace(s, timestamp_ms=timestamp_ms) if s.timestamp_ms is None else s for s in family.samples
            ),
        )
        for family in families
    )


def _lines(family: Family) -> Iterable[str]:
    yield f"# TYPE {family.name} {family.type}\n"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escape(value)}"' for name, value in sample.labels)
        stamp = "" if sample.timestamp_ms is None else f" {sample.timestamp_ms}"
        braces = f"{{{labels}}}" if labels else ""
        yield f"{family.name}{sample.suffix}{braces} {_number(sample.value)}{stamp}\n"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
