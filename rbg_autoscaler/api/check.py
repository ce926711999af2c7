"""Holds a tree against its shape as an API server would: types, bounds, unknown fields, defaults, laws.

All that is wrong is found in one pass; what is wrong by itself is not reported again by a law that reads it.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rbg_autoscaler.api.quantity import MAX_INT64, QuantityError, amount, canonical, milli
from rbg_autoscaler.api.rules import BROKEN
from rbg_autoscaler.api.shape import (
    ABSENT,
    Choice,
    Flag,
    Integer,
    Leaf,
    Listing,
    Node,
    Number,
    Quantity,
    Record,
    Table,
    Text,
)


@dataclass(frozen=True, order=True)
class FieldError:
    """One thing that is wrong: where, and in what way, with the mend."""

    path: str
    """As "spec.roles[1].metrics[0].target.averageValue"."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def check(node: Node, value: Any, path: str, errors: list[FieldError]) -> Any:
    """The value with its defaults filled in, as a new tree; what is wrong is `BROKEN` and in `errors`."""
    try:
        checked = _check(node, value, path, errors)
    except _Wrong as wrong:
        errors.append(FieldError(path, str(wrong)))
        return BROKEN
    if isinstance(node, Record | Listing | Table):
        for rule in node.rules:
            if rule.broken is not None:
                errors += [FieldError(path + below, rule.message) for below in rule.broken(checked)]
    return checked


class _Wrong(Exception):
    """The value as a whole is wrong."""


def _check(node: Node, value: Any, path: str, errors: list[FieldError]) -> Any:
    match node:
        case Record():
            return _record(node, _typed(value, Mapping, "an object"), path, errors)
        case Listing():
            return _listing(node, _typed(value, list, "a list"), path, errors)
        case Table():
            entries = _counted(_typed(value, Mapping, "an object"), 0, node.maximum)
            return {
                key: check(node.value, entry, f"{path}[{str(key)[:80]}]", errors)
                for key, entry in entries.items()
                if entry is not None
            }
        case _:
            return _leaf(node, value)


def _leaf(node: Leaf, value: Any) -> Any:
    match node:
        case Text():
            return _text(node, _typed(value, str, "a string; put it in quotes"))
        case Choice():
            if not isinstance(value, str) or value not in node.values:
                raise _Wrong(f"{_show(value)} is none of {', '.join(node.values)}")
            return value
        case Integer():
            return _integer(node, value)
        case Number():
            return _number(value)
        case Flag():
            return _typed(value, bool, "true or false")
        case Quantity():
            return _quantity(node, value)


def _record(node: Record, value: Mapping[Any, Any], path: str, errors: list[FieldError]) -> dict[str, Any]:
    known = {field.name for field in node.fields}
    errors += [
        FieldError(f"{path}.{name[:80]}", f"unknown field: {_nearest(name, known)}")
        for name in map(str, (name for name in value if name not in known))
    ]
    checked: dict[str, Any] = {}
    for field in node.fields:
        where = f"{path}.{field.name}"
        if value.get(field.name) is not None:  # the API server drops nulls, too
            checked[field.name] = check(field.node, value[field.name], where, errors)
        elif field.default is not ABSENT:
            checked[field.name] = check(field.node, copy.deepcopy(field.default), where, errors)
        elif field.required:
            errors.append(FieldError(where, f"is required: {_expected(field.node)}"))
            checked[field.name] = BROKEN
    return checked


def _listing(node: Listing, value: list[Any], path: str, errors: list[FieldError]) -> list[Any]:
    _counted(value, node.minimum, node.maximum)
    return [check(node.item, item, f"{path}[{index}]", errors) for index, item in enumerate(value)]


def _counted(value: Any, minimum: int, maximum: int) -> Any:
    if len(value) < minimum:
        raise _Wrong(f"is empty: give at least {minimum}" + ("" if minimum == 1 else f", not {len(value)}"))
    if len(value) > maximum:
        raise _Wrong(f"has {len(value)} entries: at most {maximum} are allowed")
    return value


def _text(node: Text, value: str) -> str:
    if len(value) < node.minimum:
        raise _Wrong("is empty")
    if len(value) > node.maximum:
        raise _Wrong(f"has {len(value)} characters: at most {node.maximum} are allowed")
    if node.pattern is not None and not re.fullmatch(node.pattern, value):
        raise _Wrong(f"{_show(value)} is not made of {node.like}")
    return value


def _integer(node: Integer, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON knows no integers: the API server takes 3.0 for 3
    whole: int = _typed(value, int, "a whole number")
    if whole < node.minimum:
        raise _Wrong(f"{_show(whole)} is below the least allowed, {node.minimum}")
    if whole > node.maximum:
        raise _Wrong(f"{_show(whole)} is above the most allowed, {node.maximum}")
    return whole


def _number(value: Any) -> float:
    number: float = _typed(value, int | float, "a number")
    if not 0 <= number < math.inf:
        raise _Wrong(f"{_show(number)} is no number of 0 or more")
    return number


def _quantity(node: Quantity, value: Any) -> Any:
    """The quantity as it was written; fractions must be strings, for on an API server quantities are."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        raise _Wrong(f'{value} is a fraction: write it as a string, "{canonical(milli(value))}"')
    _typed(value, str | int, 'a quantity such as "8", "700m" or "16k"')
    try:
        number = amount(value)
    except QuantityError as error:
        raise _Wrong(str(error)) from None
    if isinstance(value, int) and not -MAX_INT64 <= value <= MAX_INT64:
        raise _Wrong(f"{_show(value)} is beyond int64: write it as a string with a suffix")
    if number < 0 or (number == 0 and not node.zero):
        raise _Wrong(f"{_show(value)} must be {'0 or more' if node.zero else 'above 0'}")
    if isinstance(value, str) and not re.fullmatch(node.pattern, value):
        raise _Wrong(f"{_show(value)} must be written without a sign")
    return value


def _typed(value: Any, expected: Any, words: str) -> Any:
    """The value, if it is of the type; a bool is no number."""
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise _Wrong(f"{_show(value)} is not {words}")
    return value


def _expected(node: Node) -> str:
    match node:
        case Choice():
            return f"one of {', '.join(node.values)}"
        case Integer():
            return f"a whole number, {node.minimum}..{node.maximum}"
        case Record():
            return "an object with " + ", ".join(field.name for field in node.fields if field.required)
        case Listing():
            return "a list"
        case _:
            return "a string"


def _show(value: Any) -> str:
    """A value as a message may quote it, of bounded length whatever it is."""
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:60]}..."'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a number of astronomic size"
    if value is None or isinstance(value, float):
        return "null" if value is None else str(value)
    return (
        "a list"
        if isinstance(value, list)
        else "an object"
        if isinstance(value, Mapping)
        else type(value).__name__
    )


def _nearest(name: str, known: set[str]) -> str:
    """What may have been meant."""
    alike = sorted(other for other in known if other.lower() == name.replace("_", "").lower())
    if alike:
        return f"did you mean {alike[0]}?"
    return f"remove it (known here: {', '.join(sorted(known))})"
