"""The vocabulary in which the resource's shape is declared: a tree of nodes with bounds, defaults and rules.

The CRD, the reference page and the parser all walk the same tree, so none can say what another does not.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from rbg_autoscaler.api.quantity import MAX_LENGTH, SUFFIX_PATTERN
from rbg_autoscaler.api.rules import Rule


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""No default, which is something else than the default None."""


@dataclass(frozen=True)
class Integer:
    """A whole number within bounds."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class Number:
    """A number not below 0, whole or not: seconds."""


@dataclass(frozen=True)
class Flag:
    """True or false."""


@dataclass(frozen=True)
class Text:
    """A string of bounded length, matching `pattern` as a whole."""

    maximum: int
    pattern: str | None = None
    minimum: int = 1
    like: str = ""
    """What the pattern asks for, in words."""
    format: str | None = None


@dataclass(frozen=True)
class Choice:
    """One of the values of an enumeration."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Quantity:
    """A Kubernetes quantity, as a string or a whole number."""

    zero: bool = False
    """Whether 0 is allowed; below 0 never is."""

    @property
    def pattern(self) -> str:
        """The regular expression, anchored: RE2 has no look-ahead, so "not 0" needs its digits spelt out."""
        positive = r"([0-9]*[1-9][0-9]*\.?[0-9]*|[0-9]*\.[0-9]*[1-9][0-9]*)"
        number = r"([0-9]+\.?[0-9]*|\.[0-9]+)" if self.zero else positive
        return rf"^\+?{number}{SUFFIX_PATTERN}$"

    @property
    def maximum(self) -> int:
        """Characters of the text."""
        return MAX_LENGTH


@dataclass(frozen=True)
class Listing:
    """A list of at most `maximum` items; `keys` name the fields that make an item unique."""

    item: Node
    maximum: int
    minimum: int = 0
    keys: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Table:
    """A map from strings to strings."""

    value: Text
    maximum: int
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Record:
    """An object with known fields and no others."""

    fields: tuple[Field, ...]
    doc: str = ""
    rules: tuple[Rule, ...] = ()

    def field(self, name: str) -> Field:
        """The field of that name; KeyError where there is none."""
        return {field.name: field for field in self.fields}[name]


Leaf = Integer | Number | Flag | Text | Choice | Quantity
Node = Leaf | Listing | Table | Record


@dataclass(frozen=True)
class Field:
    """A field of a record under its name on the wire."""

    name: str
    node: Node
    doc: str = ""
    required: bool = False
    default: Any = ABSENT
    origin: tuple[type, str] | None = None
    """The dataclass field whose docstring says what it means, where `doc` is empty."""


def record(
    cls: type, *, rules: tuple[Rule, ...] = (), extra: tuple[Field, ...] = (), **override: Node | Field
) -> Record:
    """The record of a dataclass: names, types, defaults and docs are the dataclass's.

    `override` gives the node of a field (needed for every string, integer and list, which must have bounds),
    or its whole Field where the wire differs from the dataclass; `extra` fields come last.
    """
    hints = typing.get_type_hints(cls)
    fields = []
    for source in dataclasses.fields(cls):
        given = override.pop(source.name, None)
        if isinstance(given, Field):
            fields.append(given if given.doc else dataclasses.replace(given, origin=(cls, source.name)))
            continue
        default = _default(source.default)
        required = source.default is dataclasses.MISSING and type(None) not in typing.get_args(
            hints[source.name]
        )
        node = given or _node(hints[source.name], cls, source.name)
        fields.append(Field(camel(source.name), node, "", required, default, (cls, source.name)))
    if override:
        raise TypeError(f"{cls.__name__} has no {', '.join(override)}")
    return Record((*fields, *extra), (cls.__doc__ or "").strip(), rules)


def choice(cls: type[StrEnum]) -> Choice:
    """The values of an enumeration."""
    return Choice(tuple(str(member) for member in cls))


def camel(name: str) -> str:
    """The wire's name of a dataclass field: "min_replicas" is "minReplicas"."""
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


def _default(value: Any) -> Any:
    if value is dataclasses.MISSING or value is None:
        return ABSENT
    if dataclasses.is_dataclass(value):
        return {}
    if isinstance(value, tuple):
        return ABSENT  # an absent list reads as an empty one and needs no mention on the wire
    return str(value) if isinstance(value, StrEnum) else value


def _node(hint: Any, cls: type, name: str) -> Node:
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if hint is bool:
        return Flag()
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return choice(hint)
    raise TypeError(f"{cls.__name__}.{name} needs its bounds: give its node")
