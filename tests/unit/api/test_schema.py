"""The CRD and the reference page: checked in as made, structural, bounded, and told in full."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rbg_autoscaler.api import types
from rbg_autoscaler.api.conditions import CONDITIONS, REASONS
from rbg_autoscaler.api.docs import meaning
from rbg_autoscaler.api.parse import parse_autoscaler
from rbg_autoscaler.api.reference import reference
from rbg_autoscaler.api.schema import CRD_FILE, REFERENCE_FILE, crd, crd_yaml, main
from rbg_autoscaler.api.shape import Field, Integer, Listing, Node, Record, camel, record
from rbg_autoscaler.api.spec_shape import SPEC
from rbg_autoscaler.api.status_shape import STATUS
from rbg_autoscaler.decide.conditions import whole_conditions
from tests.unit.api.samples import full

ROOT = Path(__file__).parents[3]
KINDS = {"RoleBasedGroup", "RoleBasedGroupScalingAdapter", "RoleBasedGroupSet"}
"""Constants in capitals that are no reasons but kinds of objects."""


def fields_of(node: Node, path: str) -> Iterator[tuple[str, Field]]:
    match node:
        case Record():
            for field in node.fields:
                yield f"{path}.{field.name}", field
                yield from fields_of(field.node, f"{path}.{field.name}")
        case Listing():
            yield from fields_of(node.item, f"{path}[]")


ALL_FIELDS = dict(fields_of(SPEC, "spec")) | dict(fields_of(STATUS, "status"))


def schemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema of the CRD below this one, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from schemas(schema[word], f"{path}[]")


(VERSION,) = crd()["spec"]["versions"]
SCHEMAS = dict(schemas(VERSION["schema"]["openAPIV3Schema"]))


@pytest.mark.parametrize(
    ("file", "made"), [(ROOT / "crds" / CRD_FILE, crd_yaml), (ROOT / "docs" / REFERENCE_FILE, reference)]
)
def test_what_is_checked_in_is_what_is_made(file: Path, made: Any) -> None:
    assert file.read_text() == made(), f"{file.name} is not up to date: run `make generate`"


def test_the_generator_writes_both_files(tmp_path: Path) -> None:
    main([str(tmp_path), str(tmp_path)])
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([CRD_FILE, REFERENCE_FILE])
    assert yaml.safe_load((tmp_path / CRD_FILE).read_text()) == crd()


def test_every_list_map_and_string_has_its_bound() -> None:
    without = []
    for path, schema in SCHEMAS.items():
        bound = {"array": "maxItems", "string": "maxLength", "integer": "maximum"}.get(schema.get("type", ""))
        if "additionalProperties" in schema:
            bound = "maxProperties"
        if bound and bound not in schema and "enum" not in schema:
            without.append(path)
    assert without == [".apiVersion", ".kind"]


def test_nothing_that_an_api_server_refuses_or_ignores() -> None:
    refused = {
        "$ref",
        "oneOf",
        "exclusiveMinimum",
        "uniqueItems",
        "const",
        "x-kubernetes-preserve-unknown-fields",
    }
    for path, schema in SCHEMAS.items():
        assert not refused & schema.keys(), path
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path
        assert not {"properties", "additionalProperties"} <= schema.keys(), path


def test_every_list_says_how_it_is_merged() -> None:
    kinds = {
        path: schema["x-kubernetes-list-type"]
        for path, schema in SCHEMAS.items()
        if schema.get("type") == "array"
    }
    assert {path for path, kind in kinds.items() if kind == "map"} == {
        ".spec.roles",
        ".spec.coordination",
        ".status.conditions",
        ".status.roles",
        ".status.roles[].conditions",
    }


def test_every_field_of_the_dataclasses_is_on_the_wire() -> None:
    def names(cls: type) -> set[str]:
        return {camel(field.name) for field in dataclasses.fields(cls)}

    def on_wire(path: str) -> set[str]:
        return set(SCHEMAS[path]["properties"])

    assert on_wire(".spec") == names(types.RbgAutoscalerSpec) - {"target"} | {"targetRef"}
    assert on_wire(".spec.roles[]") == names(types.RoleSpec)
    assert on_wire(".spec.roles[].startUp") == names(types.StartUp)
    assert on_wire(".spec.roles[].behavior") == names(types.Behavior)
    for direction in ("scaleUp", "scaleDown"):
        assert on_wire(f".spec.roles[].behavior.{direction}") == names(types.ScalingRules)
    assert on_wire(".spec.coordination[]") == {"numerator", "denominator", "minRatio", "maxRatio"}


def test_a_field_without_bounds_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match=r"StartUp.settle_seconds needs its bounds"):
        record(types.StartUp, deadline_seconds=Integer(1, 2))
    with pytest.raises(TypeError, match="StartUp has no deadline"):
        record(
            types.StartUp,
            deadline_seconds=Integer(1, 2),
            settle_seconds=Integer(1, 2),
            deadline=Integer(1, 2),
        )


@pytest.mark.parametrize("path", ALL_FIELDS)
def test_every_field_says_what_it_means(path: str) -> None:
    text = meaning(ALL_FIELDS[path])
    assert text
    assert f"| `{ALL_FIELDS[path].name}` |" in reference()
    assert "_" not in text.replace("`__name__`", "")


REASON_TAKERS = {"Condition": 2, "Refusal": 0, "Missing": 0, "Step": 2, "Hold": 1}
"""Which argument of these calls is a reason."""


def reasons_in(file: Path) -> Iterator[str]:
    """The reasons that a module gives: in calls, as an exception's, or as a constant."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in REASON_TAKERS:
                given = args[REASON_TAKERS[name] : REASON_TAKERS[name] + 1]
                yield from (arg.value for arg in given if isinstance(arg, ast.Constant))
            case ast.Assign(targets=[ast.Name(id="reason")], value=ast.Constant(value=str(text))) if text:
                yield text
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                if name.isupper() and re.fullmatch(r"([A-Z][a-z]+)+", text):
                    yield text


def test_every_condition_and_reason_that_is_given_is_told() -> None:
    package = ROOT / "rbg_autoscaler"
    files = [file for part in ("decide", "observe") for file in (package / part).rglob("*.py")]
    given = {reason for file in files for reason in reasons_in(file)}
    assert len(given) > 40
    told = {reason.name for table in (*CONDITIONS, *REASONS) for reason in table.reasons}
    assert given - told - KINDS == set()


def test_conditions_of_the_whole_are_told() -> None:
    spec = parse_autoscaler(full())
    types = {condition.type for condition in whole_conditions(spec, ())}
    assert types <= {table.title for table in CONDITIONS}
    assert {"Ready", "MetricsAvailable", "Conflict"} <= types
