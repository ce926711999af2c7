"""Names, labels and small accessors of RBG's objects. Every spelling that crosses the API is here, once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

Obj = dict[str, Any]

API_VERSION = "workloads.x-k8s.io/v1alpha2"
PREFIX = "rbg.workloads.x-k8s.io/"

GROUP_NAME = PREFIX + "group-name"
GROUP_UID = PREFIX + "group-uid"
GROUP_REVISION = PREFIX + "group-revision"
ROLE_NAME = PREFIX + "role-name"
ROLE_TYPE = PREFIX + "role-type"
ROLE_SIZE = PREFIX + "role-size"
ROLE_REVISION = PREFIX + "role-revision-"
WORKLOAD_TYPE = PREFIX + "role-workload-type"
INSTANCE_PATTERN = PREFIX + "role-instance-pattern"
INSTANCE_NAME = PREFIX + "role-instance-name"
INSTANCE_INDEX = PREFIX + "role-instance-index"
INSTANCE_ID = PREFIX + "role-instance-id"
INSTANCE_OWNER = PREFIX + "role-instance-owner"
INSTANCE_LIFECYCLE = PREFIX + "role-instance-lifecycle-state"
INSTANCE_LIFECYCLE_TIME = PREFIX + "role-instance-lifecycle-timestamp"
COMPONENT_NAME = PREFIX + "component-name"
COMPONENT_ID = PREFIX + "component-id"
COMPONENT_INDEX = PREFIX + "component-index"
COMPONENT_SIZE = PREFIX + "component-size"
SET_NAME = PREFIX + "groupset-name"
SET_INDEX = PREFIX + "groupset-index"
DISCOVERY_MODE = PREFIX + "discovery-config-mode"
GANG = PREFIX + "group-gang-scheduling"
GANG_TIMEOUT = PREFIX + "group-gang-scheduling-timeout"
GANG_POD_LABEL = "pod-group.scheduling.sigs.k8s.io/name"
REVISION_HASH = "controller-revision-hash"
STATEFUL_POD_NAME = "statefulset.kubernetes.io/pod-name"

STATEFUL, STATELESS = "Stateful", "Stateless"


def name_of(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def namespace_of(obj: Obj) -> str:
    return str(obj["metadata"].get("namespace", ""))


def uid_of(obj: Obj) -> str:
    return str(obj["metadata"].get("uid", ""))


def labels_of(obj: Obj) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Obj) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def owner_of(obj: Obj, kind: str) -> Obj | None:
    """The owner reference of that kind, if there is one."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner["kind"] == kind:
            return dict(owner)
    return None


def owner_reference(owner: Obj, *, controller: bool = True) -> Obj:
    reference: Obj = {
        "apiVersion": owner.get("apiVersion", API_VERSION),
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "blockOwnerDeletion": True,
    }
    if controller:
        reference["controller"] = True
    return reference


def workload_name(group: str, role: str) -> str:
    """`<rbg>-<role>`, cut to 63 characters and freed of trailing dashes."""
    return f"{group}-{role}"[:63].rstrip("-")


def adapter_name(group: str, role: str) -> str:
    """As the workload, but never cut."""
    return f"{group}-{role}"


def service_name(group: str, role: str) -> str:
    return f"s-{group}-{role}"


def group_uid(group: Obj) -> str:
    """The stable hash of a group: of its namespace and name, not of its UID."""
    return hashlib.sha1(f"{namespace_of(group)}/{name_of(group)}".encode()).hexdigest()


def revision_hash(value: object) -> str:
    """Ten characters that change with the value, e.g. of a template."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def condition(obj: Obj, kind: str) -> Obj | None:
    for item in (obj.get("status") or {}).get("conditions") or []:
        if item["type"] == kind:
            return dict(item)
    return None


def is_true(obj: Obj, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def with_condition(conditions: list[Obj], new: Obj, now: str) -> list[Obj]:
    """The list with `new` put in its place; its lastTransitionTime moves only with its status."""
    result = []
    found = False
    for old in conditions:
        if old["type"] != new["type"]:
            result.append(old)
            continue
        found = True
        since = old.get("lastTransitionTime", now) if old["status"] == new["status"] else now
        result.append({**new, "lastTransitionTime": since})
    return result if found else [*result, {**new, "lastTransitionTime": now}]
