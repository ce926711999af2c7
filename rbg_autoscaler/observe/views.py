"""From stored objects to what a decision sees of a group: every number from the object that tells the truth.

Requested is the adapter's number where the role has a Bound one of its own, else the group's; effective is
the workload's, after throttling; serving is what is ready. The group's own Ready condition is not asked.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.snapshot import (
    GroupView,
    Refusal,
    RoleView,
    RolloutView,
    WritePath,
)
from rbg_autoscaler.observe.instances import instance_views
from rbg_autoscaler.observe.objects import (
    AdapterObject,
    GroupObject,
    GroupRole,
    InstanceSetObject,
    PodObject,
    Rollout,
)
from rbg_autoscaler.observe.store import ClusterStore

GROUP_KIND = "RoleBasedGroup"
ADAPTER_KIND = "RoleBasedGroupScalingAdapter"


class _Write(NamedTuple):
    """Where a role's number is read and written."""

    requested: int
    path: WritePath
    refusal: Refusal | None


class _Parts(NamedTuple):
    """The objects of one role."""

    role: GroupRole
    workload: InstanceSetObject | None
    write: _Write

    @property
    def ready(self) -> int:
        return self.workload.ready if self.workload else self.role.status_ready


def group_view(store: ClusterStore, key: ObjectKey) -> GroupView | None:
    """The view of a RoleBasedGroup, made anew only if something about it changed; None if there is none."""
    return store.view(key, build_group_view)


def build_group_view(store: ClusterStore, key: ObjectKey) -> GroupView | None:
    """The view of a RoleBasedGroup from the objects as they are."""
    group = store.group(key)
    if group is None:
        return None
    pods: dict[str, list[PodObject]] = defaultdict(list)
    for pod in store.pods(key):
        pods[pod.role].append(pod)
    parts = {role.name: _parts(store, group, role) for role in group.roles}
    writers = {hpa.target: hpa.title for hpa in reversed(store.hpas(key.namespace))}
    policy = store.policy(key)
    rules = policy.rules if policy else ()
    return GroupView(
        key=key,
        uid=group.uid,
        resource_version=group.version,
        roles=tuple(
            _role_view(group, part, parts, pods[name], writers, rules) for name, part in parts.items()
        ),
    )


def adapter_name(group: str, role: str) -> str:
    """The only name under which the RBG controller heeds an adapter; it is not shortened."""
    return f"{group}-{role}"


def workload_name(group: str, role: str) -> str:
    """RBG's rule: 63 characters at most, without a dash at the end."""
    return f"{group}-{role}"[:63].rstrip("-")


def _parts(store: ClusterStore, group: GroupObject, role: GroupRole) -> _Parts:
    namespace, name = group.key
    workload = store.instance_set(ObjectKey(namespace, workload_name(name, role.name)))
    if workload is not None and group.uid not in workload.owner_uids:
        workload = None  # it belongs to a group of the same name that was deleted
    adapter = store.adapter(ObjectKey(namespace, adapter_name(name, role.name)))
    return _Parts(role, workload, _write(group, role, adapter))


def _write(group: GroupObject, role: GroupRole, adapter: AdapterObject | None) -> _Write:
    """The truth of one role's number, and how it may be written.

    A role with an adapter is never written through the group: RBG 0.8 denies that at admission, and without
    its webhook leaves the number in the spec without effect.
    """
    refusal, path, requested = _set_owned(group), WritePath.GROUP, role.replicas
    if role.adapter_enabled:
        path, ignored = WritePath.ADAPTER, _adapter_refusal(group, role, adapter)
        if adapter is not None and ignored is None:
            requested = adapter.replicas
        refusal = refusal or ignored
    return _Write(requested, WritePath.NONE if refusal else path, refusal)


def _adapter_refusal(group: GroupObject, role: GroupRole, adapter: AdapterObject | None) -> Refusal | None:
    name = f"{group.key.namespace}/{adapter_name(group.key.name, role.name)}"
    if adapter is None:
        return Refusal(
            "AdapterNotBound",
            f"role {role.name} has scalingAdapter.enable, but {ADAPTER_KIND} {name} is not there yet: "
            "wait for the RBG controller to make it, or check that controller",
        )
    if group.uid not in adapter.owner_uids:
        return Refusal(
            "ForeignAdapter",
            f"{ADAPTER_KIND} {name} is not owned by this {GROUP_KIND}, whose controller ignores it: "
            "delete it, and the controller makes the right one",
        )
    if adapter.target != (group.key.name, role.name):
        return Refusal(
            "ForeignAdapter",
            f"{ADAPTER_KIND} {name} scales role {adapter.target[1]!r} of {adapter.target[0]!r}: "
            f"set its scaleTargetRef to {group.key.name}, {role.name}, or delete it",
        )
    if not adapter.bound:
        return Refusal(
            "AdapterNotBound",
            f"{ADAPTER_KIND} {name} is not Bound (phase {adapter.phase or 'not set'}): "
            "binding overwrites its number, so nothing is written before",
        )
    return None


def _set_owned(group: GroupObject) -> Refusal | None:
    if group.set_name is None:
        return None
    return Refusal(
        "SetOwned",
        f"{GROUP_KIND} {group.key} belongs to RoleBasedGroupSet {group.set_name}, which puts the roles "
        "of its groups back: scale the set, or the roles in its spec.groupTemplate",
    )


def _role_view(
    group: GroupObject,
    part: _Parts,
    parts: Mapping[str, _Parts],
    pods: list[PodObject],
    writers: Mapping[tuple[str, str], str],
    rules: tuple[tuple[str, tuple[str, ...]], ...],
) -> RoleView:
    role, workload, write = part
    name = workload_name(group.key.name, role.name)
    stateless = workload.stateless if workload else role.stateless
    size = workload.pods_per_instance if workload else None
    return RoleView(
        name=role.name,
        requested=write.requested,
        effective=workload.replicas if workload else role.status_replicas,
        observed=workload.status_replicas if workload else role.status_replicas,
        ready=part.ready,
        instances=instance_views(pods, None if stateless else name, size or role.pods_per_instance),
        stateful=not stateless,
        write_path=write.path,
        write_refusal=write.refusal,
        rollout=_rollout_view(role, workload, write.requested),
        unmet_dependencies=tuple(dep for dep in role.dependencies if not _is_met(parts.get(dep))),
        policy_rules=tuple(rule for rule, roles in rules if role.name in roles),
        other_writer=_other_writer(group.key.name, role.name, name, writers),
    )


def _is_met(dependency: _Parts | None) -> bool:
    """Ready as many as desired: met at 0 replicas, unmet by a role that the group does not have."""
    return dependency is not None and dependency.ready >= dependency.write.requested


def _rollout_view(role: GroupRole, workload: InstanceSetObject | None, replicas: int) -> RolloutView:
    rollout = role.rollout or (workload.rollout if workload else Rollout())
    return RolloutView(
        in_progress=workload is not None and _is_rolling(workload),
        partition=_resolved(rollout.partition, replicas),
        max_surge=rollout.max_surge,
        max_unavailable=rollout.max_unavailable,
    )


def _is_rolling(workload: InstanceSetObject) -> bool:
    """Updated fewer than expected; a standing partition (5 replicas, partition 3: 2 of 2 updated) is at rest.

    Where the status does not say how many are expected, differing revisions must do.
    """
    if workload.expected_updated is None:
        return workload.revisions_differ and workload.updated < workload.replicas
    return workload.updated < workload.expected_updated


def _resolved(value: str, replicas: int) -> int:
    """A number, or a percent of `replicas` rounded up, as partitions are.

    The schema lets any text through; the RBG controller then fails on that group, here it counts as none.
    """
    digits = value.removesuffix("%")
    if not digits.isdecimal():
        return 0
    return int(digits) if digits == value else math.ceil(int(digits) * replicas / 100)


def _other_writer(group: str, role: str, workload: str, writers: Mapping[tuple[str, str], str]) -> str | None:
    """An autoscaler of the role's adapter, of its workload (of whatever kind), or of the group itself."""
    own = {(ADAPTER_KIND, adapter_name(group, role)), (GROUP_KIND, group)}
    workloads = ("RoleInstanceSet", "Deployment", "StatefulSet", "LeaderWorkerSet")
    own |= {(kind, workload) for kind in workloads}
    return next((writers[target] for target in sorted(own) if target in writers), None)
