"""Pods as the exporter needs them, and the role instances they make up.

An instance serves when every pod of it is ready and none is going away; its leader alone exports, unless
the role says otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "rbg.workloads.x-k8s.io/"
GROUP_LABEL = PREFIX + "group-name"


@dataclass(frozen=True)
class Pod:
    """The facts of one pod: who it is in its group, and whether it runs, is ready or is going."""

    namespace: str
    name: str
    life: str
    """Which run of its engine this is: another pod, or the same one restarted, counts from 0 again."""
    group: str
    role: str
    instance: str
    component: str = ""
    ordinal: str = ""
    running: bool = True
    ready: bool = True
    deleting: bool = False


@dataclass(frozen=True)
class Instance:
    """One role instance: its pods, leader first."""

    role: str
    name: str
    pods: tuple[Pod, ...]

    @property
    def leader(self) -> Pod:
        return self.pods[0]

    @property
    def serving(self) -> bool:
        return all(pod.running and pod.ready and not pod.deleting for pod in self.pods)


def pod_from(manifest: Mapping[str, Any]) -> Pod | None:
    """The pod behind an API object, or None where its labels name no group and role."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    labels = meta.get("labels") or {}
    group, role = labels.get(GROUP_LABEL, ""), labels.get(PREFIX + "role-name", "")
    if not group or not role:
        return None
    ready = {c["type"]: c["status"] for c in status.get("conditions") or ()}.get("Ready") == "True"
    containers = status.get("containerStatuses") or ()
    restarts = sum(container.get("restartCount", 0) for container in containers)
    return Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        life=f"{meta['uid']}/{restarts}",
        group=group,
        role=role,
        # Pods of Deployment and StatefulSet roles carry no instance: each of them is one.
        instance=labels.get(PREFIX + "role-instance-name") or meta["name"],
        component=labels.get(PREFIX + "component-name", ""),
        ordinal=labels.get(PREFIX + "component-index") or labels.get(PREFIX + "component-id", ""),
        # A pod whose image is being changed stays Running while its container waits to start again.
        running=status.get("phase") == "Running"
        and not any("waiting" in c.get("state", {}) for c in containers),
        ready=ready,
        deleting="deletionTimestamp" in meta,
    )


def instances(pods: Iterable[Pod]) -> tuple[Instance, ...]:
    """The role instances of a group's pods, in the order of role and natural order of name."""
    gangs: defaultdict[tuple[str, str], list[Pod]] = defaultdict(list)
    for pod in pods:
        gangs[pod.role, pod.instance].append(pod)
    return tuple(
        Instance(role, name, tuple(sorted(gang, key=_leader_first)))
        for (role, name), gang in sorted(gangs.items(), key=lambda item: (item[0][0], natural(item[0][1])))
    )


def natural(name: str) -> tuple[int, str]:
    """A key that puts x-2 before x-10."""
    return len(name), name


def _leader_first(pod: Pod) -> tuple[bool, int, str, str]:
    # "leader" is RBG's name for it; with free component names ordinal 0 of the first component leads.
    return (
        pod.component != "leader",
        int(pod.ordinal) if pod.ordinal.isdigit() else 0,
        pod.component,
        pod.name,
    )
