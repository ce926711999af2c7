"""The API's dicts in, slim objects out, with the API's own defaults for what is absent.

Whatever the API server accepted can be read; names that repeat (groups, roles, components) are interned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from sys import intern
from typing import Any

from rbg_autoscaler.api.parse import FieldError, InvalidSpec, parse_autoscaler
from rbg_autoscaler.api.types import ObjectKey, RbgAutoscalerSpec
from rbg_autoscaler.observe.kinds import GROUP_LABEL, LABEL, ROLE_LABEL, Kind
from rbg_autoscaler.observe.objects import (
    AdapterObject,
    AutoscalerObject,
    GroupObject,
    GroupRole,
    HpaObject,
    InstanceSetObject,
    PodObject,
    PolicyObject,
    Rollout,
    Slim,
)

Raw = Mapping[str, Any]

DEPLOYMENTS = ("apps/v1/Deployment",)
"""Workload kinds whose pods have no ordinals."""
RBG_SET_KIND = "RoleBasedGroupSet"
SCALED_OBJECT_LABEL = "scaledobject.keda.sh/name"
LWS_LABEL = "leaderworkerset.sigs.k8s.io/"


def project(kind: Kind, obj: Raw, previous: Slim | None = None) -> Slim:
    """The slim form of `obj`; `previous`, the one before it, saves parsing an unchanged spec again."""
    if kind is Kind.RBG_AUTOSCALER:
        return _autoscaler(obj, previous if isinstance(previous, AutoscalerObject) else None)
    return _PROJECTIONS[kind](obj)


def key_of(obj: Raw) -> ObjectKey:
    """Namespace and name; a manifest without a namespace is in "default", as kubectl would have it."""
    metadata = obj.get("metadata") or {}
    return ObjectKey(intern(metadata.get("namespace") or "default"), metadata.get("name", ""))


def _autoscaler(obj: Raw, previous: AutoscalerObject | None) -> AutoscalerObject:
    metadata = obj.get("metadata") or {}
    uid, generation = metadata.get("uid", ""), metadata.get("generation", 0)
    spec: RbgAutoscalerSpec | None = None
    errors: tuple[FieldError, ...] = ()
    if uid and previous is not None and (previous.uid, previous.generation) == (uid, generation):
        spec, errors = previous.spec, previous.errors
    else:
        try:
            spec = parse_autoscaler(obj)
        except InvalidSpec as error:
            errors = error.errors
    return AutoscalerObject(
        key=key_of(obj),
        uid=uid,
        version=metadata.get("resourceVersion", ""),
        generation=generation,
        created_at=_seconds(metadata.get("creationTimestamp")) or 0.0,
        spec=spec,
        errors=errors,
        status_json=json.dumps(obj.get("status") or {}),
    )


def _group(obj: Raw) -> GroupObject:
    metadata, status = obj.get("metadata") or {}, obj.get("status") or {}
    statuses = {entry.get("name"): entry for entry in status.get("roleStatuses") or ()}
    roles = (obj.get("spec") or {}).get("roles") or ()
    owners = metadata.get("ownerReferences") or ()
    return GroupObject(
        key=key_of(obj),
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        roles=tuple(_group_role(role, statuses.get(role.get("name")) or {}) for role in roles),
        set_name=next((owner.get("name") for owner in owners if owner.get("kind") == RBG_SET_KIND), None),
        terminating="deletionTimestamp" in metadata,
    )


def _group_role(role: Raw, status: Raw) -> GroupRole:
    annotations = role.get("annotations") or {}
    strategy = role.get("rolloutStrategy") or {}
    rolling = strategy.get("rollingUpdate")
    return GroupRole(
        name=intern(role.get("name", "")),
        replicas=role.get("replicas", 1),
        adapter_enabled=bool((role.get("scalingAdapter") or {}).get("enable")),
        stateless=_stateless(annotations) or annotations.get(LABEL + "role-workload-type", "") in DEPLOYMENTS,
        dependencies=tuple(intern(name) for name in role.get("dependencies") or ()),
        pods_per_instance=_pattern_size(role),
        rollout=None if rolling is None else _rollout(rolling),
        status_replicas=status.get("replicas", 0),
        status_ready=status.get("readyReplicas", 0),
    )


def _pattern_size(role: Raw) -> int | None:
    """Pods of one role instance by the role's pattern; a component without a size has one pod."""
    if "leaderWorkerPattern" in role:
        return int((role["leaderWorkerPattern"] or {}).get("size", 1))
    if "customComponentsPattern" in role:
        return _component_pods((role["customComponentsPattern"] or {}).get("components"))
    return 1 if "standalonePattern" in role else None


def _component_pods(components: list[Raw] | None) -> int | None:
    return sum(component.get("size", 1) for component in components) if components else None


def _adapter(obj: Raw) -> AdapterObject:
    metadata, spec, status = (obj.get(part) or {} for part in ("metadata", "spec", "status"))
    target = spec.get("scaleTargetRef") or {}
    phase = status.get("phase") or ""
    return AdapterObject(
        key=key_of(obj),
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        owner_uids=_owner_uids(metadata),
        target=(intern(target.get("name", "")), intern(target.get("role", ""))),
        bound=phase == "Bound",
        phase=intern(phase),
        replicas=spec.get("replicas", 0),
    )


def _instance_set(obj: Raw) -> InstanceSetObject:
    metadata, spec, status = (obj.get(part) or {} for part in ("metadata", "spec", "status"))
    template = spec.get("roleInstanceTemplate") or {}
    return InstanceSetObject(
        key=key_of(obj),
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        owner_uids=_owner_uids(metadata),
        group=intern((metadata.get("labels") or {}).get(GROUP_LABEL, "")),
        replicas=spec.get("replicas", 1),
        status_replicas=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        expected_updated=status.get("expectedUpdatedReplicas"),
        revisions_differ=status.get("currentRevision") != status.get("updateRevision"),
        stateless=_stateless(metadata.get("annotations") or {}),
        pods_per_instance=_component_pods(template.get("components")),
        rollout=_rollout(spec.get("updateStrategy") or {}),
    )


def _pod(obj: Raw) -> PodObject:
    metadata, spec, status = (obj.get(part) or {} for part in ("metadata", "spec", "status"))
    labels = metadata.get("labels") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or ()}
    ready, bound = conditions.get("Ready") or {}, conditions.get("PodScheduled") or {}
    is_ready = ready.get("status") == "True"
    scheduled = bool(spec.get("nodeName")) or bound.get("status") == "True"
    unschedulable = not scheduled and bound.get("reason") == "Unschedulable"
    key = key_of(obj)
    return PodObject(
        key=key,
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        group=intern(labels.get(GROUP_LABEL, "")),
        role=intern(labels.get(ROLE_LABEL, "")),
        instance=intern(_instance_name(key.name, labels)),
        component=intern(labels.get(LABEL + "component-name", "")),
        leads=_leads(labels),
        phase=intern(status.get("phase", "Pending")),
        ready=is_ready,
        ready_at=_seconds(ready.get("lastTransitionTime")) if is_ready else None,
        scheduled=scheduled,
        terminating="deletionTimestamp" in metadata,
        created_at=_seconds(metadata.get("creationTimestamp")) or 0.0,
        unschedulable_message=intern(bound.get("message", "")) if unschedulable else None,
    )


def _instance_name(pod: str, labels: Raw) -> str:
    """The gang's name. LeaderWorkerSet's pods carry an index; a Deployment's pod is a gang of its own."""
    if LABEL + "role-instance-name" in labels:
        return str(labels[LABEL + "role-instance-name"])
    if LWS_LABEL + "group-index" in labels:
        return f"{labels.get(LWS_LABEL + 'name', '')}-{labels[LWS_LABEL + 'group-index']}"
    return pod


def _leads(labels: Raw) -> bool | None:
    """Leader/worker pods: component-name leader, or component-index 0; LeaderWorkerSet's worker-index 0."""
    for label in (LABEL + "component-index", LWS_LABEL + "worker-index"):
        if label in labels:
            return bool(labels[label] == "0")
    return True if labels.get(LABEL + "component-name") == "leader" else None


def _policy(obj: Raw) -> PolicyObject:
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    rules = [
        (rule.get("name") or f"rule {index}", tuple(intern(role) for role in rule.get("roles") or ()))
        for index, rule in enumerate(spec.get("policies") or ())
        if (rule.get("strategy") or {}).get("scaling") is not None
    ]
    return PolicyObject(
        key_of(obj), metadata.get("uid", ""), metadata.get("resourceVersion", ""), tuple(rules)
    )


def _hpa(obj: Raw) -> HpaObject:
    metadata, key = obj.get("metadata") or {}, key_of(obj)
    target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    scaled_object = (metadata.get("labels") or {}).get(SCALED_OBJECT_LABEL)
    made_by = f"ScaledObject {key.namespace}/{scaled_object}" if scaled_object else None
    return HpaObject(
        key=key,
        uid=metadata.get("uid", ""),
        version=metadata.get("resourceVersion", ""),
        target=(intern(target.get("kind", "")), intern(target.get("name", ""))),
        title=made_by or f"HorizontalPodAutoscaler {key}",
    )


_PROJECTIONS: dict[Kind, Callable[[Raw], Slim]] = {
    Kind.ROLE_BASED_GROUP: _group,
    Kind.SCALING_ADAPTER: _adapter,
    Kind.ROLE_INSTANCE_SET: _instance_set,
    Kind.POD: _pod,
    Kind.COORDINATED_POLICY: _policy,
    Kind.HORIZONTAL_POD_AUTOSCALER: _hpa,
}


def _owner_uids(metadata: Raw) -> tuple[str, ...]:
    return tuple(owner.get("uid", "") for owner in metadata.get("ownerReferences") or ())


def _stateless(annotations: Raw) -> bool:
    return bool(annotations.get(LABEL + "role-instance-pattern") == "Stateless")


def _rollout(rolling: Raw) -> Rollout:
    return Rollout(
        partition=intern(str(rolling.get("partition", 0))),
        max_surge=intern(str(rolling.get("maxSurge", 0))),
        max_unavailable=intern(str(rolling.get("maxUnavailable", 1))),
    )


def _seconds(timestamp: str | None) -> float | None:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else None
