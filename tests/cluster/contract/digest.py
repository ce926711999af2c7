"""Recorded answers are digests of objects; this makes the same of live ones and names the differences."""

from __future__ import annotations

import json
import re
from typing import Any

from contract.recording import PREFIX
from contract.watching import conditions_of, numbers

Obj = dict[str, Any]

IGNORED = {"uid", "resourceVersion", "creationTimestamp", "lastTransitionTime", "lastScaleTime", "managers"}
"""Differ from run to run, or say only which client library wrote."""


def digest(recorded: Obj, live: Obj) -> Obj:
    """The fields that the recorded digest has, taken from the live answer."""
    return {key: _part(key, recorded[key], live) for key in recorded if key not in ("metadata", "managers")}


def _part(key: str, recorded: Any, live: Obj) -> Any:
    metadata, spec, status = live.get("metadata") or {}, live.get("spec") or {}, live.get("status")
    if key in ("name", "generation", "annotations", "labels", "finalizers") and "metadata" in live:
        return metadata.get(key)
    if key == "replicas":
        roles = spec.get("roles")
        return {r["name"]: r["replicas"] for r in roles} if roles is not None else spec.get("replicas")
    if key == "patterns":
        return {r["name"]: sorted(k for k in r if k.endswith("Pattern")) for r in spec["roles"]}
    if key == "roleStatuses":
        entries = (status or {}).get("roleStatuses") or []
        return [f"{entry['name']} {numbers(entry)}" for entry in entries]
    if key == "conditions":
        return conditions_of(live)
    if key == "observedGeneration":
        return (status or {}).get(key)
    if key == "spec.replicas":
        return spec.get("replicas")
    if key == "status.replicas":
        return (status or {}).get("replicas")
    if key == "updateStrategy":
        return {k: v for k, v in (spec.get(key) or {}).items() if k in recorded}
    if key == "items":
        return _items(recorded, live)
    if key.startswith("owners of roles["):
        return _owners_of_replicas(metadata, key.split("[")[1].split("]")[0])
    return live.get(key)


def _items(recorded: list[Any], live: Obj) -> list[Any]:
    items = sorted(live.get("items") or [], key=lambda item: item["metadata"]["name"])
    if recorded and isinstance(recorded[0], str):
        return [item["metadata"]["name"] for item in items]
    made = []
    for item in items:
        owners = [
            f"{o['kind']}/{o['name']}{' controller' * bool(o.get('controller'))}{' block' * bool(o.get('blockOwnerDeletion'))}"
            for o in item["metadata"].get("ownerReferences") or []
        ]
        made.append({**item, "name": item["metadata"]["name"], "owners": owners})
    return made


def _owners_of_replicas(metadata: Obj, role: str) -> list[str]:
    found = []
    for entry in metadata.get("managedFields") or []:
        roles = entry.get("fieldsV1", {}).get("f:spec", {}).get("f:roles", {})
        if "f:replicas" in roles.get(json.dumps({"name": role}, separators=(",", ":")), {}):
            found.append(f"{entry['manager']}:{entry['operation']}")
    return found


def differences(recorded: Any, live: Any, at: str = "") -> list[str]:
    """Where the live value lacks or contradicts the recorded one; what it has besides does not matter."""
    if isinstance(recorded, dict):
        if not isinstance(live, dict):
            return [f"{at}: recorded {recorded!r}, now {live!r}"]
        if {"currentRevision", "updateRevision"} <= set(recorded):
            recorded, live = _without_hashes(recorded), _without_hashes(live)
        found = []
        for key, value in recorded.items():
            if key in IGNORED or (key == "selector" and not is_complete_selector(value)):
                continue
            found += differences(value, live.get(key.replace("…/", PREFIX)), f"{at}.{key}")
        return found
    if isinstance(recorded, list) and isinstance(live, list) and len(recorded) == len(live):
        return [
            d
            for i, (a, b) in enumerate(zip(recorded, live, strict=True))
            for d in differences(a, b, f"{at}[{i}]")
        ]
    if recorded == "<uid>" or normal(recorded) == normal(live):
        return []
    return [f"{at}: recorded {recorded!r}, now {live!r}"]


def normal(value: Any) -> Any:
    """Strings without hashes of namespaces, label keys unabbreviated; `[]` as absent."""
    if isinstance(value, str):
        return re.sub(r"[0-9a-f]{40}", "<sha1>", value.replace("…/", PREFIX))
    return None if value in ([], {}) else value


def is_complete_selector(value: Any) -> bool:
    """Some recorded adapters kept "" or ",...component-index=0": a race of the real one."""
    return isinstance(value, str) and value.startswith(("…/group-name", PREFIX + "group-name"))


def _without_hashes(status: Obj) -> Obj:
    same = status.get("currentRevision") == status.get("updateRevision")
    rest = {k: v for k, v in status.items() if k not in ("currentRevision", "updateRevision")}
    return {**rest, "revisions agree": same}
