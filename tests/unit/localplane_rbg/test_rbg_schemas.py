"""Our schemas beside the real ones: what one side makes, the other accepts."""

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from localplane.demo import scenario
from localplane.plane import STAND_IN_CRDS
from localplane.rbg import adapters, instances, names, rollout, sets, workloads
from localplane.rbg.templates import GroupContext

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("RBG_AUTOSCALER_SHARED", ROOT.parent / "shared"))
REAL = SHARED / "rbg-crds"
RECORDINGS = SHARED / "conformance" / "rbg_contract.json"
PREFIX = "rbg.workloads.x-k8s.io/"
OURS = sorted(path.stem for path in STAND_IN_CRDS.glob("*.yaml"))

needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"no RBG schemas at {REAL}")
needs_recordings = pytest.mark.skipif(not RECORDINGS.exists(), reason=f"no recordings at {RECORDINGS}")

Obj = dict[str, Any]


def crd(folder: Path, plural: str) -> Obj:
    (path,) = folder.glob(f"*{plural}.yaml")
    return dict(yaml.load(path.read_text(), Loader=yaml.CSafeLoader))


def version_of(definition: Obj) -> Obj:
    return next(v for v in definition["spec"]["versions"] if v["name"] == "v1alpha2")


@cache
def validator(folder: Path, plural: str) -> Draft202012Validator:
    schema = version_of(crd(folder, plural))["schema"]["openAPIV3Schema"]
    return Draft202012Validator(strict(schema, top=True))


def strict(schema: Any, *, top: bool = False) -> Any:
    """The schema with unnamed fields refused, since the API server prunes them; metadata is not the CRD's."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: strict(item) for name, item in value.items()} if key == "properties" else strict(value)
        for key, value in schema.items()
    }
    if top:
        made["properties"]["metadata"] = {"type": "object"}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    return made


def errors(folder: Path, plural: str, obj: Obj) -> list[str]:
    found = validator(folder, plural).iter_errors(obj)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]


def plural_of(obj: Obj) -> str:
    kind = obj["kind"].lower()
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"


POD = {"spec": {"containers": [{"name": "engine", "image": "sglang:v1"}]}}
CONTEXT = GroupContext("ns", "g", "f" * 40, {})
SCALED = {"name": "p", "replicas": 2, "scalingAdapter": {"enable": True}}
ROLE = {**SCALED, "leaderWorkerPattern": {"size": 2, "template": POD}}
GROUP = {
    "apiVersion": names.API_VERSION,
    "kind": "RoleBasedGroup",
    "metadata": {"name": "g", "namespace": "ns", "uid": "u", "generation": 1},
    "spec": {"roles": [ROLE]},
}


def stand_in_objects() -> Iterator[Obj]:
    """One object of every kind that the stand-in makes, with its status."""
    owner = workloads.workload(ROLE, 2, GROUP, CONTEXT)
    owner["metadata"]["uid"] = "s"
    how = rollout.Strategy.of(owner)
    status = rollout.set_status(how, [], ("a", "a"), "a=b", 1)
    yield {**owner, "status": {k: v for k, v in status.items() if v is not None}}
    template = owner["spec"]["roleInstanceTemplate"]
    yield instances.build(owner, template, instances.Birth("0", "a"), "1", "now")
    adapter = adapters.bare(GROUP, ROLE)
    yield {**adapter, **adapters.binding(adapter, 2)}
    yield {**adapter, **adapters.bound_status(adapter, 2, 0, "a=b"), "spec": adapter["spec"]}
    template = {"spec": {"roles": [ROLE]}}
    parent = {"metadata": {"name": "set", "namespace": "ns", "uid": "p"}, "kind": "RoleBasedGroupSet"}
    yield sets.child({**parent, "spec": {"groupTemplate": template}}, 0)


def example_objects() -> Iterator[Obj]:
    """RBG objects of the demo and of the documentation's examples."""
    yield scenario.group()
    for path in sorted((ROOT / "docs").rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("apiVersion") == names.API_VERSION:
                yield document


@needs_real
@pytest.mark.parametrize("obj", [*stand_in_objects(), *example_objects()], ids=lambda o: o["kind"])
def test_the_real_schemas_accept_what_we_make(obj: Obj) -> None:
    assert errors(REAL, plural_of(obj), obj) == []


@needs_recordings
def test_our_schemas_accept_what_the_real_ones_accepted() -> None:
    bodies = list(created_in_recordings())
    assert len(bodies) > 60
    found = {json.dumps(body)[:200]: errors(STAND_IN_CRDS, plural_of(body), body) for body in bodies}
    assert {body: problems for body, problems in found.items() if problems} == {}


def created_in_recordings() -> Iterator[Obj]:
    for entry in json.loads(RECORDINGS.read_text().replace("\\u2026/", PREFIX))["scenarios"]:
        for step in entry["steps"]:
            body = step["action"].get("body")
            made = step["action"].get("verb") == "POST" and step["response"]["code"] == 201
            if made and plural_of(body) in OURS:
                for role in body["spec"].get("roles") or []:
                    role.setdefault("replicas", 1)
                yield body


@needs_real
@pytest.mark.parametrize("plural", OURS)
def test_names_scales_and_columns_are_the_real_ones(plural: str) -> None:
    ours, real = crd(STAND_IN_CRDS, plural), crd(REAL, plural)
    assert ours["spec"]["names"] == real["spec"]["names"]
    assert ours["spec"]["scope"] == real["spec"]["scope"]
    for field in ("subresources", "additionalPrinterColumns"):
        mine, theirs = version_of(ours).get(field), version_of(real).get(field)
        if isinstance(theirs, list):
            theirs = [{k: v for k, v in column.items() if k != "description"} for column in theirs]
            mine = sorted(mine, key=lambda column: column["name"])
            theirs = sorted(theirs, key=lambda column: column["name"])
        assert mine == theirs


MERGE_RULES = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "default", "minimum", "minItems")


def rules(schema: Obj, at: str = "") -> dict[str, Obj]:
    """Per field of the schema, what decides merging, defaulting and bounds."""
    found = {at: {key: schema[key] for key in MERGE_RULES if key in schema}}
    for name, part in (schema.get("properties") or {}).items():
        found |= rules(part, f"{at}.{name}")
    if isinstance(schema.get("items"), dict):
        found |= rules(schema["items"], f"{at}[]")
    return found


@needs_real
@pytest.mark.parametrize("plural", OURS)
def test_lists_merge_and_fields_default_as_in_the_real_ones(plural: str) -> None:
    mine, theirs = (
        rules(version_of(crd(folder, plural))["schema"]["openAPIV3Schema"])
        for folder in (STAND_IN_CRDS, REAL)
    )
    unknown = set(mine) - set(theirs)
    assert unknown == set()
    atomic = {"x-kubernetes-list-type": "atomic"}
    different = {
        at: (rule, theirs[at]) for at, rule in mine.items() if rule != theirs[at] and theirs[at] != atomic
    }
    assert different == {}
