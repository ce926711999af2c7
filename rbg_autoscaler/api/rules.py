"""A law across fields, in CEL and in Python with one message, and the means to look at a tree for it.

A law yields the paths it finds broken and keeps silent about values that are wrong by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class _Broken(Enum):
    BROKEN = "broken"


BROKEN: Final = _Broken.BROKEN
"""Stands in a checked tree for a value that is wrong by itself, so that laws neither trust nor miss it."""


@dataclass(frozen=True)
class Rule:
    """A law said twice: in CEL for the API server, in Python for objects that it never saw."""

    message: str
    """What is wrong and the mend; the same words in both places."""
    cel: str | None = None
    """None where CEL cannot say it, or the API server says it by other means."""
    at: str = ""
    """The field that the API server blames, as ".minReplicas"; the node itself where empty."""
    broken: Callable[[Any], Iterator[str]] | None = None
    """Yields the path below the node of each violation ("[1].target"); None for laws of updates only."""


def given(value: Any, *names: str) -> Mapping[str, Any] | None:
    """The record if it is one and each named field is there and right by itself."""
    if not isinstance(value, Mapping):
        return None
    return value if all(value.get(name, BROKEN) is not BROKEN for name in names) else None


def items(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The entries of a list that are records, with their index."""
    if isinstance(value, list):
        yield from ((index, item) for index, item in enumerate(value) if isinstance(item, Mapping))


def repeated(
    value: Any, identity: Callable[[Mapping[str, Any]], Any]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The entries whose identity an earlier entry has too; identity None compares with nothing."""
    seen: list[Any] = []
    for index, item in items(value):
        mark = identity(item)
        if mark is None:
            continue
        if mark in seen:
            yield index, item
        seen.append(mark)


def known(value: Any) -> Any:
    """The value, or None where it is wrong by itself."""
    return None if value is BROKEN else value
