"""The pods of a role instance: their names and labels, their readiness gates, the instance's status.

An instance is ready when the containers of all its pods are; only then does the gate InstancePodReady open on
every one of them, so a leader stays unready until its whole gang is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from localplane.rbg import names
from localplane.rbg.names import Obj
from localplane.rbg.templates import LEADER_WORKER, POD_TEMPLATE

IN_PLACE_GATE = "InPlaceUpdateReady"
INSTANCE_GATE = "InstancePodReady"
GATES = [{"conditionType": IN_PLACE_GATE}, {"conditionType": INSTANCE_GATE}]
BASELINE = names.PREFIX + "inplace-restart-baseline"

_NOT_READY_NOTE = json.dumps([{"userAgent": "Lifecycle", "key": "InstanceReady"}], separators=(",", ":"))


@dataclass(frozen=True)
class Place:
    """Where a pod sits in its instance: the k-th of a component, and its index in the whole gang."""

    pod: str
    component: Obj
    component_id: int
    gang_index: int


def places(instance: Obj) -> list[Place]:
    """All pods an instance should have, in the order they are created: leader first."""
    name = names.name_of(instance)
    kind = names.labels_of(instance).get(names.ROLE_TYPE)
    found = []
    index = 0
    for component in instance["spec"]["components"]:
        for k in range(int(component.get("size", 1))):
            if kind == POD_TEMPLATE:
                pod = name
            elif kind == LEADER_WORKER:
                pod = f"{name}-{index}"
            else:
                pod = f"{name}-{component['name']}-{k}"
            found.append(Place(pod, component, k, index))
            index += 1
    return found


def revision_of(instance: Obj) -> str:
    return names.revision_hash(instance["spec"]["components"])


def build(instance: Obj, place: Place) -> Obj:
    template = place.component["template"]
    metadata = template.get("metadata") or {}
    labels = {
        **(metadata.get("labels") or {}),
        names.COMPONENT_NAME: place.component["name"],
        names.COMPONENT_ID: str(place.component_id),
        names.INSTANCE_NAME: names.name_of(instance),
        names.REVISION_HASH: revision_of(instance),
    }
    if names.labels_of(instance).get(names.ROLE_TYPE) == LEADER_WORKER:
        labels[names.COMPONENT_INDEX] = str(place.gang_index)
    spec = {**template.get("spec", {}), "readinessGates": GATES}
    service = place.component.get("serviceName")
    if service:
        spec |= {"hostname": place.pod, "subdomain": service}
    pod: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": place.pod,
            "generateName": names.name_of(instance) + "-",
            "namespace": names.namespace_of(instance),
            "labels": labels,
            "ownerReferences": [names.owner_reference(instance)],
        },
        "spec": spec,
    }
    if metadata.get("annotations"):
        pod["metadata"]["annotations"] = dict(metadata["annotations"])
    return pod


def containers_ready(pod: Obj) -> bool:
    return names.is_true(pod, "ContainersReady") and not names.is_deleting(pod) and not has_failed(pod)


def has_failed(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def is_scheduled(pod: Obj) -> bool:
    return bool(pod["spec"].get("nodeName"))


def restarts(pod: Obj) -> int:
    """Container restarts that are not explained by an in-place update of ours."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    total = sum(int(status.get("restartCount", 0)) for status in statuses)
    return total - int(names.annotations_of(pod).get(BASELINE, "0"))


def wanted_images(place: Place) -> dict[str, str]:
    containers = (place.component["template"].get("spec") or {}).get("containers") or []
    return {container["name"]: container["image"] for container in containers}


def spec_images(pod: Obj) -> dict[str, str]:
    return {container["name"]: container["image"] for container in pod["spec"]["containers"]}


def runs_its_images(pod: Obj) -> bool:
    """Whether the running containers are those of the spec; a kubelet restarts one whose image changed."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    running = {status["name"]: status.get("image") for status in statuses}
    return all(running.get(name) == image for name, image in spec_images(pod).items())


def gate_conditions(pod: Obj, now: str, *, instance_ready: bool, in_place_ready: bool) -> list[Obj] | None:
    """The two gate conditions to patch into the pod's status, or None if they stand already."""
    wanted: list[Obj] = [
        {"type": IN_PLACE_GATE, "status": "True"}
        if in_place_ready
        else {"type": IN_PLACE_GATE, "status": "False", "reason": "StartInPlaceUpdate"},
        {"type": INSTANCE_GATE, "status": "True", "message": "[]"}
        if instance_ready
        else {"type": INSTANCE_GATE, "status": "False", "message": _NOT_READY_NOTE},
    ]
    stands = all(
        (names.condition(pod, item["type"]) or {}).get("status") == item["status"] for item in wanted
    )
    return None if stands else [{**item, "lastTransitionTime": now} for item in wanted]


def component_statuses(instance: Obj, by_name: Mapping[str, Obj]) -> list[Obj]:
    """Per component how many pods exist, are scheduled and ready; `by_name` are the instance's pods."""
    revision = revision_of(instance)
    result = []
    for component in instance["spec"]["components"]:
        mine = [p for p in places(instance) if p.component is component and p.pod in by_name]
        pods = [by_name[place.pod] for place in mine]
        ready = sum(containers_ready(pod) for pod in pods)
        updated = [p for p in pods if names.labels_of(p).get(names.REVISION_HASH) == revision]
        result.append(
            {
                "name": component["name"],
                "size": len(pods),
                "scheduledReplicas": sum(is_scheduled(pod) for pod in pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "updatedReplicas": len(updated),
                "updatedReadyReplicas": sum(containers_ready(pod) for pod in updated),
            }
        )
    return result


def conditions(
    instance: Obj, by_name: Mapping[str, Obj], now: str, *, updating: bool, restarting: bool
) -> list[Obj]:
    """The instance's conditions: ready when all pods are, and whether it is being recreated."""
    old = list((instance.get("status") or {}).get("conditions") or [])
    all_pods, ready = _all_pods_ready(instance, by_name)
    if ready and not updating:
        own: Obj = {"type": "RoleInstanceReady", "status": "True", "reason": "Ready"}
    else:
        reason = "InplaceUpdateNotReady" if updating else "PodsNotReady"
        own = {"type": "RoleInstanceReady", "status": "False", "reason": reason, "message": "NotReady"}
    result = names.with_condition(old, own, now)
    result = names.with_condition(result, all_pods, now)
    if updating or names.condition(instance, "RoleInstanceInPlaceUpdateReady"):
        gate = {
            "type": "RoleInstanceInPlaceUpdateReady",
            "status": "False" if updating else "True",
        }
        result = names.with_condition(result, gate, now)
    if restarting:
        again = {
            "type": "Restarting",
            "status": "True",
            "reason": "RestartPolicyTriggered",
            "message": "Instance is being recreated due to restart policy",
        }
        return names.with_condition(result, again, now)
    return [item for item in result if item["type"] != "Restarting"] if ready else result


def _all_pods_ready(instance: Obj, by_name: Mapping[str, Obj]) -> tuple[Obj, bool]:
    kind = "RoleInstanceAllPodsReady"
    missing = first_missing(places(instance), by_name)
    if missing:
        return {"type": kind, "status": "False", "message": f'Pod "{missing}" not found'}, False
    for place in places(instance):
        if not containers_ready(by_name[place.pod]):
            message = (
                f"instance need all pods to be ready, but {names.namespace_of(instance)}/{place.pod} "
                "is in notready condition"
            )
            return {
                "type": kind,
                "status": "False",
                "reason": "AtLeastOnePodNotReady",
                "message": message,
            }, False
    return {"type": kind, "status": "True", "reason": "PodsReady", "message": "Ready"}, True


def first_missing(wanted: Sequence[Place], by_name: Iterable[str]) -> str | None:
    present = set(by_name)
    return next((place.pod for place in wanted if place.pod not in present), None)
