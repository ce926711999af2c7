"""A RoleBasedGroupSet's children: made from its template, and put back to it whoever changes them."""

from __future__ import annotations

from collections.abc import Sequence

from localplane.rbg import names
from localplane.rbg.names import Obj


def child(parent: Obj, index: int) -> Obj:
    """The index-th group: labels and annotations are the template's, nobody else's survive."""
    template = parent["spec"]["groupTemplate"]
    metadata: Obj = {
        "name": f"{names.name_of(parent)}-{index}",
        "namespace": names.namespace_of(parent),
        "labels": {
            **(template.get("labels") or {}),
            names.SET_NAME: names.name_of(parent),
            names.SET_INDEX: str(index),
        },
        "annotations": dict(template.get("annotations") or {}),
        "ownerReferences": [names.owner_reference(parent)],
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "RoleBasedGroup",
        "metadata": metadata,
        "spec": template.get("spec") or {},
    }


def overwritten(live: Obj, wanted: Obj) -> Obj | None:
    """The child as the set writes it back; None if roles, labels and annotations are the template's."""
    same = (
        live["spec"].get("roles") == wanted["spec"].get("roles")
        and names.labels_of(live) == wanted["metadata"]["labels"]
        and names.annotations_of(live) == wanted["metadata"]["annotations"]
    )
    if same:
        return None
    metadata = {
        **live["metadata"],
        "labels": wanted["metadata"]["labels"],
        "annotations": wanted["metadata"]["annotations"],
    }
    return {**live, "metadata": metadata, "spec": {**live["spec"], **wanted["spec"]}}


def index_of(group: Obj) -> int:
    return int(names.labels_of(group).get(names.SET_INDEX, "-1"))


def status(parent: Obj, children: Sequence[Obj], now: str) -> Obj:
    wanted = int(parent["spec"].get("replicas", 1))
    ready = sum(names.is_true(group, "Ready") for group in children)
    done = ready >= wanted
    condition = {
        "type": "Ready",
        "status": "True" if done else "False",
        "reason": "AllReplicasReady" if done else "ReplicasNotReady",
        "message": "All RoleBasedGroup replicas are ready."
        if done
        else f"Waiting for replicas to be ready ({ready}/{wanted})",
    }
    old = (parent.get("status") or {}).get("conditions") or []
    return {
        "replicas": len(children),
        "readyReplicas": ready,
        "conditions": names.with_condition(old, condition, now),
    }
