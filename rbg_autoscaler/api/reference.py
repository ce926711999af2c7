"""The reference page, made from the shape: each record of spec and status as a table, with its laws.

A record that occurs in several places is told once, where it first occurs, and linked from the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from rbg_autoscaler.api.conditions import CONDITIONS, REASONS
from rbg_autoscaler.api.docs import meaning, plain
from rbg_autoscaler.api.rules import Rule
from rbg_autoscaler.api.shape import (
    ABSENT,
    Choice,
    Field,
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
from rbg_autoscaler.api.spec_shape import SPEC
from rbg_autoscaler.api.status_shape import STATUS
from rbg_autoscaler.api.types import GROUP, KIND, VERSION

HEAD = f"""\
<!-- Made from rbg_autoscaler/api by `make generate`; change it there. -->
# {KIND}

`apiVersion: {GROUP}/{VERSION}`, `kind: {KIND}`, short name `rbga`. One scales the roles of one RoleBasedGroup
of its own namespace. A first one: [examples/first.yaml](examples/first.yaml).

A *quantity* is Kubernetes': `8`, `"700m"` (0.7), `"16k"`, `"1Ki"`; fractions must be strings. A default holds
where the field is absent or null. What is refused is refused by the API server when the object is written and
by `rbg-autoscaler recommend -f FILE` for objects that are not in a cluster.
"""


def reference() -> str:
    """The whole page as Markdown."""
    sections = [HEAD]
    for title, node in (("spec", SPEC), ("status", STATUS)):
        places = dict(_places(title, node))
        first: dict[int, str] = {}
        for path, entry in places.items():
            first.setdefault(id(entry), path)
        sections += [
            _section(path, entry, first) for path, entry in places.items() if first[id(entry)] == path
        ]
    return "\n".join([*sections, _conditions()])


def _places(path: str, node: Node) -> Iterator[tuple[str, Record]]:
    """Each record below the node with its path, in reading order."""
    match node:
        case Record():
            yield path, node
            for field in node.fields:
                yield from _places(f"{path}.{field.name}", field.node)
        case Listing():
            yield from _places(f"{path}[]", node.item)


def _section(path: str, node: Record, first: dict[int, str]) -> str:
    lines = [f"## {path}", "", plain(node.doc), ""]
    lines += ["| field | type | default | bounds | meaning |", "|---|---|---|---|---|"]
    lines += [_row(field, first) for field in node.fields]
    laws = [rule for rule in _laws(node) if rule.cel or rule.broken]
    if laws:
        lines += ["", "Refused:", ""] + [f"- {rule.message}" for rule in laws]
    return "\n".join([*lines, ""])


def _laws(node: Record) -> Iterator[Rule]:
    """The record's laws and those of its lists and maps."""
    yield from node.rules
    for field in node.fields:
        if isinstance(field.node, Listing | Table):
            yield from field.node.rules


def _row(field: Field, first: dict[int, str]) -> str:
    cells = (
        f"`{field.name}`",
        _type(field.node, first),
        _default(field),
        _bounds(field.node),
        meaning(field),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: Field) -> str:
    if field.required:
        return "required"
    return "" if field.default is ABSENT else f"`{_short(field.default)}`"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


def _type(node: Node, first: dict[int, str]) -> str:
    match node:
        case Record():
            path = first[id(node)]
            return f"[object](#{re.sub('[^a-z0-9_-]', '', path.lower())})"
        case Listing():
            return f"list of {_type(node.item, first)}"
        case Table():
            return "map of strings"
        case _:
            return _leaf_type(node)


def _leaf_type(node: Leaf) -> str:
    match node:
        case Text():
            return "time" if node.format else "string"
        case Choice():
            return "string"
        case Integer():
            return "integer"
        case Number():
            return "number"
        case Flag():
            return "boolean"
        case Quantity():
            return "quantity"


def _bounds(node: Node) -> str:
    match node:
        case Listing():
            inner = "" if isinstance(node.item, Record) else _bounds(node.item)
            count = f"{node.minimum}..{node.maximum} entries"
            return f"{count}, each: {inner}" if inner else count
        case Table():
            return f"at most {node.maximum} entries, each: {_bounds(node.value)}"
        case Record() | Flag():
            return ""
        case Text():
            size = f"{node.minimum}..{node.maximum} characters"
            return f"{size}: {node.like}" if node.like else size
        case Choice():
            return ", ".join(f"`{value}`" for value in node.values)
        case Integer():
            return f"{node.minimum}..{node.maximum}"
        case Number():
            return "0 or more"
        case Quantity():
            return "0 or more" if node.zero else "above 0"


def _conditions() -> str:
    lines = ["## Conditions", "", "| condition | status | reason | when |", "|---|---|---|---|"]
    for table in CONDITIONS:
        lines.append(f"| **{table.title}** | | | {table.meaning} |")
        lines += [f"| | {reason.status} | `{reason.name}` | {reason.when} |" for reason in table.reasons]
    lines += ["", "## Reasons", ""]
    for table in REASONS:
        lines += [f"### {table.title}", "", table.meaning, "", "| reason | when |", "|---|---|"]
        lines += [f"| `{reason.name}` | {reason.when} |" for reason in table.reasons]
        lines.append("")
    return "\n".join(lines)
