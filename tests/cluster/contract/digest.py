"""Recorded answers are digests of objects; this makes the same of live ones and names the differences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
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
    metadata = live.get("metadata") or {}
    if key in ("name", "generation", "annotations", "labels", "finalizers") and "metadata" in live:
        return metadata.get(key)
    if key.startswith("owners of roles["):
        return _owners_of_replicas(metadata, key.split("[")[1].split("]")[0])
    if key == "items":
        return _items(recorded, live)
    if key == "updateStrategy":
        strategy = (live.get("spec") or {}).get(key) or {}
        return {k: v for k, v in strategy.items() if k in recorded}
    made = _SUMMARIES.get(key)
    return made(live) if made else live.get(key)


def _replicas(live: Obj) -> Any:
    spec = live.get("spec") or {}
    roles = spec.get("roles")
    return {r["name"]: r["replicas"] for r in roles} if roles is not None else spec.get("replicas")


def _role_statuses(live: Obj) -> list[str]:
    entries = (live.get("status") or {}).get("roleStatuses") or []
    return [f"{entry['name']} {numbers(entry)}" for entry in entries]


_SUMMARIES: dict[str, Callable[[Obj], Any]] = {
    "replicas": _replicas,
    "roleStatuses": _role_statuses,
    "conditions": conditions_of,
    "patterns": lambda live: {
        role["name"]: sorted(k for k in role if k.endswith("Pattern")) for role in live["spec"]["roles"]
    },
    "observedGeneration": lambda live: (live.get("status") or {}).get("observedGeneration"),
    "spec.replicas": lambda live: (live.get("spec") or {}).get("replicas"),
    "status.replicas": lambda live: (live.get("status") or {}).get("replicas"),
}
"""How the recorder abridged objects."""


def _items(recorded: list[Any], live: Obj) -> list[Any]:
    items = sorted(live.get("items") or [], key=lambda item: item["metadata"]["name"])
    if recorded and isinstance(recorded[0], str):
        return [item["metadata"]["name"] for item in items]
    made = []
    for item in items:
        owners = [_owner(owner) for owner in item["metadata"].get("ownerReferences") or []]
        made.append({**item, "name": item["metadata"]["name"], "owners": owners})
    return made


def _owner(owner: Obj) -> str:
    marks = " controller" * bool(owner.get("controller")) + " block" * bool(owner.get("blockOwnerDeletion"))
    return f"{owner['kind']}/{owner['name']}{marks}"


def _owners_of_replicas(metadata: Obj, role: str) -> list[str]:
    found = []
    for entry in metadata.get("managedFields") or []:
        roles = entry.get("fieldsV1", {}).get("f:spec", {}).get("f:roles", {})
        if "f:replicas" in roles.get("k:" + json.dumps({"name": role}, separators=(",", ":")), {}):
            found.append(f"{entry['manager']}:{entry['operation']}")
    return found


def differences(recorded: Any, live: Any, at: str = "") -> list[str]:
    """Where the live value lacks or contradicts the recorded one; what it has besides does not matter."""
    if isinstance(recorded, dict) and recorded:
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
