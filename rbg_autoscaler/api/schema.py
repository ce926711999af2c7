"""The CustomResourceDefinition, made from the shape: `python -m rbg_autoscaler.api.schema CRDS [DOCS]`.

Only what a structural schema allows is used, and every list, map and string has its bound, without which the
API server refuses the CEL rules as too costly.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from rbg_autoscaler.api.docs import meaning, plain
from rbg_autoscaler.api.rules import Rule
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
from rbg_autoscaler.api.spec_shape import SPEC
from rbg_autoscaler.api.status_shape import STATUS
from rbg_autoscaler.api.types import GROUP, KIND, PLURAL, VERSION

CRD_FILE = f"{GROUP}_{PLURAL}.yaml"
REFERENCE_FILE = "reference.md"

Schema = dict[str, Any]

COLUMNS: tuple[Schema, ...] = (
    {"name": "Target", "type": "string", "jsonPath": ".spec.targetRef.name"},
    {"name": "Mode", "type": "string", "jsonPath": ".spec.mode"},
    {"name": "Roles", "type": "string", "jsonPath": ".status.summary"},
    {
        "name": "Limited",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="ScalingLimited")].status',
    },
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {
        "name": "Reason",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].reason',
        "priority": 1,
    },
    {"name": "Held Back", "type": "string", "jsonPath": ".status.limited", "priority": 1},
    {"name": "Last Scale", "type": "date", "jsonPath": ".status.lastScaleTime", "priority": 1},
)


def crd() -> Schema:
    """The CustomResourceDefinition as a dict."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root()},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [dict(column) for column in COLUMNS],
    }
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": KIND.lower(),
        "shortNames": ["rbga"],
        "categories": ["autoscaling"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def crd_yaml() -> str:
    """The CRD as the text of its file."""
    head = "# Made from rbg_autoscaler/api by `make generate`; change it there.\n"
    return head + yaml.dump(crd(), Dumper=_NoAliases, sort_keys=False, width=110)


def schema(node: Node) -> Schema:
    """A node as a structural schema."""
    match node:
        case Record():
            return _record(node)
        case Listing():
            return _listing(node)
        case Table():
            entry = {
                "type": "object",
                "maxProperties": node.maximum,
                "additionalProperties": schema(node.value),
            }
            return entry | _rules(node.rules)
        case _:
            return _leaf(node)


def _root() -> Schema:
    properties: Schema = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": schema(SPEC),
        "status": schema(STATUS),
    }
    return {
        "type": "object",
        "description": "Scales the roles of one RoleBasedGroup by the load of their model servers.",
        "required": ["spec"],
        "properties": properties,
    }


def _record(node: Record) -> Schema:
    entry: Schema = {"type": "object"}
    if node.doc:
        entry["description"] = plain(node.doc)
    required = [field.name for field in node.fields if field.required]
    if required:
        entry["required"] = required
    entry["properties"] = {}
    for field in node.fields:
        inner = schema(field.node)
        text = meaning(field)
        head = {"description": text} if text else {}
        if field.default is not ABSENT:
            head["default"] = field.default
        entry["properties"][field.name] = head | {key: inner[key] for key in inner if key not in head}
    return entry | _rules(node.rules)


def _listing(node: Listing) -> Schema:
    entry: Schema = {"type": "array", "maxItems": node.maximum}
    if node.minimum:
        entry["minItems"] = node.minimum
    if node.keys:
        entry |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(node.keys)}
    else:
        entry["x-kubernetes-list-type"] = "atomic"
    return entry | {"items": schema(node.item)} | _rules(node.rules)


def _leaf(node: Leaf) -> Schema:
    match node:
        case Text():
            bounds: Schema = {"type": "string", "minLength": node.minimum, "maxLength": node.maximum}
            more = {"pattern": node.pattern, "format": node.format}
            return bounds | {name: value for name, value in more.items() if value is not None}
        case Choice():
            return {"type": "string", "enum": list(node.values)}
        case Integer():
            return {
                "type": "integer",
                "format": "int32" if node.maximum < 2**31 else "int64",
                "minimum": node.minimum,
                "maximum": node.maximum,
            }
        case Number():
            return {"type": "number", "minimum": 0}
        case Flag():
            return {"type": "boolean"}
        case Quantity():
            return {
                "x-kubernetes-int-or-string": True,
                "minimum": 0 if node.zero else 1,
                "maxLength": node.maximum,
                "pattern": node.pattern,
            }


def _rules(rules: tuple[Rule, ...]) -> Schema:
    entries = []
    for rule in rules:
        if rule.cel is None:
            continue
        where = {"fieldPath": rule.at} if rule.at else {}
        entries.append({"rule": rule.cel, "message": rule.message} | where)
    return {"x-kubernetes-validations": entries} if entries else {}


class _NoAliases(yaml.SafeDumper):
    """A shape used twice is written twice: kubectl reads anchors, people do not."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def main(arguments: list[str]) -> None:
    """Write the CRD into the first folder and the reference page into the second, if given."""
    from rbg_autoscaler.api.reference import reference

    crds, *docs = (Path(folder) for folder in arguments)
    (crds / CRD_FILE).write_text(crd_yaml())
    for folder in docs:
        (folder / REFERENCE_FILE).write_text(reference())


if __name__ == "__main__":
    main(sys.argv[1:])
