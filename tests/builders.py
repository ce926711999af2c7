"""Kubernetes objects as the API has them, for tests: complete where the product reads, silent elsewhere.

The shapes are those of RBG v0.8 as recorded; times are RFC 3339, `at(0)` is the tests' zero.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

NAMESPACE = "serving"
LABEL = "rbg.workloads.x-k8s.io/"
WORKLOADS = "workloads.x-k8s.io/v1alpha2"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def at(seconds: float) -> str:
    """The time `seconds` after the tests' zero."""
    return datetime.fromtimestamp(EPOCH + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(
    name: str, default_uid: str, *, namespace: str = NAMESPACE, version: str = "1", **more: Any
) -> Object:
    made = {
        "name": name,
        "namespace": namespace,
        "uid": default_uid,
        "resourceVersion": version,
        "generation": 1,
    }
    return made | {"creationTimestamp": at(0)} | more


def owner(kind: str, name: str, uid: str) -> Object:
    return {"apiVersion": WORKLOADS, "kind": kind, "name": name, "uid": uid, "controller": True}


def role(name: str, replicas: int | None = 1, *, adapter: bool = False, **more: Any) -> Object:
    """One entry of spec.roles: standalone unless another pattern is among `more`."""
    patterns = ("leaderWorkerPattern", "customComponentsPattern")
    made: Object = {"name": name} | ({} if any(p in more for p in patterns) else {"standalonePattern": {}})
    made |= {} if replicas is None else {"replicas": replicas}
    return made | ({"scalingAdapter": {"enable": True}} if adapter else {}) | more


def group(
    name: str = "llm", *roles: Object, statuses: dict[str, tuple[int, int]] | None = None, **meta: Any
) -> Object:
    """A RoleBasedGroup; `statuses` are (replicas, readyReplicas) of roles."""
    entries = [
        {"name": role_name, "replicas": replicas, "readyReplicas": ready, "updatedReplicas": replicas}
        for role_name, (replicas, ready) in (statuses or {}).items()
    ]
    return {
        "apiVersion": WORKLOADS,
        "kind": "RoleBasedGroup",
        "metadata": metadata(name, f"uid-{name}", **meta),
        "spec": {"roles": list(roles)},
        "status": {"roleStatuses": entries},
    }


def adapter(
    group_name: str = "llm",
    role_name: str = "prefill",
    replicas: int | None = 1,
    *,
    phase: str | None = "Bound",
    owner_uid: str | None = None,
    target: tuple[str, str] | None = None,
    **meta: Any,
) -> Object:
    """The role's scaling adapter, as the controller leaves it after binding."""
    name = f"{group_name}-{role_name}"
    target_group, target_role = target or (group_name, role_name)
    spec: Object = {"scaleTargetRef": {"name": target_group, "role": target_role}}
    return {
        "apiVersion": WORKLOADS,
        "kind": "RoleBasedGroupScalingAdapter",
        "metadata": metadata(
            name,
            f"uid-adapter-{name}",
            ownerReferences=[owner("RoleBasedGroup", group_name, owner_uid or f"uid-{group_name}")],
            **meta,
        ),
        "spec": spec | ({} if replicas is None else {"replicas": replicas}),
        "status": {} if phase is None else {"phase": phase, "replicas": replicas or 0},
    }


def instance_set(
    group_name: str = "llm",
    role_name: str = "prefill",
    replicas: int = 1,
    *,
    observed: int | None = None,
    ready: int | None = None,
    components: tuple[tuple[str, int | None], ...] | None = None,
    stateless: bool = False,
    status: Object | None = None,
    strategy: Object | None = None,
    owner_uid: str | None = None,
    name: str | None = None,
    **meta: Any,
) -> Object:
    """The role's RoleInstanceSet at rest with `replicas` ready instances, unless said otherwise."""
    observed = replicas if observed is None else observed
    sizes = components or ((role_name, 1),)
    revisions = {"currentRevision": "a", "updateRevision": "a"}
    counts = {"replicas": observed, "readyReplicas": observed if ready is None else ready}
    counts |= {"updatedReplicas": observed, "expectedUpdatedReplicas": observed, "observedGeneration": 1}
    name = name or f"{group_name}-{role_name}"
    made = {
        "labels": {LABEL + "group-name": group_name, LABEL + "role-name": role_name},
        "annotations": {LABEL + "role-instance-pattern": "Stateless" if stateless else "Stateful"},
        "ownerReferences": [owner("RoleBasedGroup", group_name, owner_uid or f"uid-{group_name}")],
    }
    return {
        "apiVersion": WORKLOADS,
        "kind": "RoleInstanceSet",
        "metadata": metadata(name, f"uid-set-{name}", **(made | meta)),
        "spec": {
            "replicas": replicas,
            "roleInstanceTemplate": {
                "components": [
                    {"name": component} | ({} if size is None else {"size": size})
                    for component, size in sizes
                ]
            },
            "updateStrategy": strategy or {"partition": 0, "maxUnavailable": 1, "maxSurge": 0},
        },
        "status": counts | revisions | (status or {}),
    }


def pod(
    instance: str | int,
    *,
    group_name: str = "llm",
    role_name: str = "prefill",
    index: int | None = None,
    component: str | None = None,
    created: float = 0,
    ready: float | None = None,
    scheduled: bool = True,
    unschedulable: str | None = None,
    terminating: bool = False,
    phase: str | None = None,
    labels: Object | None = None,
    **meta: Any,
) -> Object:
    """A pod of an instance (its name, or its ordinal). `ready`: since when; `index`: its place in a
    leader/worker gang, 0 being the leader."""
    if isinstance(instance, int):
        instance = f"{group_name}-{role_name}-{instance}"
    name = instance if index is None and component is None else f"{instance}-{component or index}"
    if component is None:
        component = role_name if index is None else "leader" if index == 0 else "worker"
    made = {
        LABEL + "group-name": group_name,
        LABEL + "role-name": role_name,
        LABEL + "role-instance-name": instance,
        LABEL + "role-instance-index": "9",  # wrong, as the controller's are
        LABEL + "component-name": component,
        LABEL + "component-id": "0",
    } | ({} if index is None else {LABEL + "component-index": str(index)})
    conditions = [_condition("Ready", ready is not None, created if ready is None else ready)]
    conditions.append(_condition("PodScheduled", scheduled and unschedulable is None, created))
    if unschedulable is not None:
        conditions[-1] |= {"reason": "Unschedulable", "message": unschedulable}
    placed = scheduled and unschedulable is None
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(
            name,
            f"uid-pod-{name}",
            labels=made if labels is None else labels,
            **(
                {"creationTimestamp": at(created)}
                | ({"deletionTimestamp": at(99)} if terminating else {})
                | meta
            ),
        ),
        "spec": {"nodeName": "gpu-0"} if placed else {},
        "status": {
            "phase": phase or ("Running" if ready is not None else "Pending"),
            "conditions": conditions,
        },
    }


def policy(group_name: str = "llm", *rules: tuple[str, tuple[str, ...], Object]) -> Object:
    """A CoordinatedPolicy of (name, roles, strategy) rules."""
    policies = [{"name": name, "roles": list(roles), "strategy": strategy} for name, roles, strategy in rules]
    return {
        "apiVersion": WORKLOADS,
        "kind": "CoordinatedPolicy",
        "metadata": metadata(group_name, f"uid-policy-{group_name}"),
        "spec": {"policies": policies},
    }


def hpa(name: str, kind: str, target: str, **meta: Any) -> Object:
    """A HorizontalPodAutoscaler on the object of that kind and name."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(name, f"uid-hpa-{name}", **meta),
        "spec": {"scaleTargetRef": {"apiVersion": WORKLOADS, "kind": kind, "name": target}},
    }


def autoscaler(name: str = "llm", *roles: Object, target: str = "llm", **more: Any) -> Object:
    """An RbgAutoscaler on `target`; one role "prefill" on QueueLength unless roles are given."""
    meta = metadata(name, f"uid-autoscaler-{name}", **more.pop("meta", {}))
    return {
        "apiVersion": "autoscaling.rolebasedgroup.io/v1alpha1",
        "kind": "RbgAutoscaler",
        "metadata": meta,
        "spec": {"targetRef": {"name": target}, "roles": list(roles) or [scaled("prefill")]} | more,
    }


def scaled(name: str, low: int = 1, high: int = 8, signal: str = "QueueLength", **more: Any) -> Object:
    """One role of an RbgAutoscaler's spec, with one signal."""
    target = {"type": "AverageValue", "averageValue": "8"}
    made = {"name": name, "minReplicas": low, "maxReplicas": high}
    return made | {"metrics": [{"signal": signal, "target": target}]} | more


def _condition(kind: str, holds: bool, since: float) -> Object:
    return {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": at(since)}
