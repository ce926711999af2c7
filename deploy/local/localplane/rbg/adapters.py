"""The life of a scaling adapter: created bare, bound with the role's number, then its own number wins.

Anything written before it is Bound is overwritten by the binding.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from localplane.rbg import names
from localplane.rbg.groups import roles_of
from localplane.rbg.names import Obj


def labels(group: Obj, role: Obj) -> dict[str, str]:
    return {
        **((role.get("scalingAdapter") or {}).get("labels") or {}),
        names.GROUP_NAME: names.name_of(group),
        names.ROLE_NAME: role["name"],
    }


def bare(group: Obj, role: Obj) -> Obj:
    """The adapter as it is first created: no replicas, no status. Owned, but not controlled, by the group."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "RoleBasedGroupScalingAdapter",
        "metadata": {
            "name": names.adapter_name(names.name_of(group), role["name"]),
            "namespace": names.namespace_of(group),
            "labels": labels(group, role),
            "ownerReferences": [names.owner_reference(group, controller=False)],
        },
        "spec": {"scaleTargetRef": {"name": names.name_of(group), "role": role["name"]}},
    }


def find_role(group: Obj, adapter: Obj) -> Obj | None:
    name = adapter["spec"]["scaleTargetRef"]["role"]
    return next((role for role in roles_of(group) if role["name"] == name), None)


def role_status(group: Obj, role: str) -> Obj:
    statuses = (group.get("status") or {}).get("roleStatuses") or []
    return next((dict(entry) for entry in statuses if entry["name"] == role), {})


def binding(adapter: Obj, replicas: int) -> Obj:
    """What is applied to the adapter's spec when it is bound."""
    return {
        **_identity(adapter),
        "spec": {"replicas": replicas, "scaleTargetRef": adapter["spec"]["scaleTargetRef"]},
    }


def bound_status(adapter: Obj, replicas: int, ready: int, selector: str) -> Obj:
    """The first status; `replicas` is the last number pushed from here on, not what is observed."""
    status = {"phase": "Bound", "replicas": replicas, "readyReplicas": ready, "selector": selector}
    return {**_identity(adapter), "status": status}


def status_with(adapter: Obj, **fields: object) -> Obj:
    """The adapter's whole status with some fields changed."""
    return {**_identity(adapter), "status": {**(adapter.get("status") or {}), **fields}}


def _identity(adapter: Obj) -> Obj:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "RoleBasedGroupScalingAdapter",
        "metadata": {"name": names.name_of(adapter), "namespace": names.namespace_of(adapter)},
    }


@dataclass(frozen=True)
class Push:
    """A group with the adapter's number put in."""

    group: Obj
    before: int
    after: int


def push(group: Obj, adapter: Obj) -> Push | None:
    """The write that brings a Bound adapter's number into the group; None if it stands there."""
    after = int(adapter["spec"].get("replicas") or 0)
    role = find_role(group, adapter)
    if role is None or int(role.get("replicas", 1)) == after:
        return None
    changed = copy.deepcopy(group)
    changed_role = find_role(changed, adapter)
    assert changed_role is not None
    changed_role["replicas"] = after
    return Push(changed, int(role.get("replicas", 1)), after)


def selector(workload: Obj | None) -> str:
    """What the adapter's /scale answers as selector: the set's own; leaders only where the role has leaders.

    Empty for Deployments and StatefulSets, and a bare ",...component-index=0" when bound before the set had
    one.
    """
    if workload is None or workload.get("kind", "RoleInstanceSet") != "RoleInstanceSet":
        return ""
    base = str((workload.get("status") or {}).get("labelSelector", ""))
    if names.labels_of(workload).get(names.ROLE_TYPE) == "LeaderWorkerSet":
        return f"{base},{names.COMPONENT_INDEX}=0"
    return base
