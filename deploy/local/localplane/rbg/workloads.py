"""The objects a group makes for one role: the workload, its service, its scaling adapter.

The workload is a RoleInstanceSet, or a Deployment or StatefulSet where the role's annotation says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localplane.rbg import names
from localplane.rbg.names import Obj
from localplane.rbg.templates import LEADER_WORKER, GroupContext, resolve, restart_policy, role_type

RIS_KIND = names.API_VERSION + "/RoleInstanceSet"


def workload_kind(role: Obj) -> tuple[str, str]:
    """`(apiVersion, kind)` of the role's workload."""
    given = (role.get("annotations") or {}).get(names.WORKLOAD_TYPE, RIS_KIND)
    api_version, _, kind = given.rpartition("/")
    return api_version, kind


def role_labels(role: Obj, context: GroupContext) -> dict[str, str]:
    return {
        names.GROUP_NAME: context.group,
        names.GROUP_UID: context.group_uid,
        names.ROLE_NAME: role["name"],
    }


def workload(role: Obj, replicas: int, owner: Obj, context: GroupContext) -> Obj:
    """The role's workload as it should be, of whichever kind."""
    api_version, kind = workload_kind(role)
    made = (
        _instance_set(role, replicas, context)
        if kind == "RoleInstanceSet"
        else _plain(role, replicas, context)
    )
    made["metadata"]["ownerReferences"] = [names.owner_reference(owner)]
    return {"apiVersion": api_version, "kind": kind, **made}


def _instance_set(role: Obj, replicas: int, context: GroupContext) -> Obj:
    labels = role_labels(role, context)
    fixed = {key: value for key, value in role.items() if key != "replicas"}
    annotations = {
        **(role.get("annotations") or {}),
        names.ROLE_SIZE: str(replicas),
    }
    annotations.setdefault(names.INSTANCE_PATTERN, names.STATEFUL)
    return {
        "metadata": {
            "name": names.workload_name(context.group, role["name"]),
            "namespace": context.namespace,
            "labels": {
                **(role.get("labels") or {}),
                **labels,
                names.ROLE_REVISION + role["name"]: names.revision_hash(fixed),
                names.ROLE_TYPE: role_type(role),
            },
            "annotations": annotations,
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": role.get("minReadySeconds", 0),
            "revisionHistoryLimit": 10,
            "podManagementPolicy": role.get("podManagementPolicy", "Parallel"),
            "selector": {"matchLabels": labels},
            "updateStrategy": update_strategy(role),
            "roleInstanceTemplate": {
                "components": resolve(role, context),
                "restartPolicyConfig": restart_policy(role),
            },
        },
    }


def update_strategy(role: Obj) -> Obj:
    given = (role.get("rolloutStrategy") or {}).get("rollingUpdate") or {}
    strategy: dict[str, Any] = {
        "type": given.get("type") or "InPlaceIfPossible",
        "partition": given.get("partition", 0),
        "maxUnavailable": given.get("maxUnavailable", 1),
        "maxSurge": given.get("maxSurge", 0),
        "paused": given.get("paused", False),
    }
    if "inPlaceUpdateStrategy" in given:
        strategy["inPlaceUpdateStrategy"] = given["inPlaceUpdateStrategy"]
    return strategy


def _plain(role: Obj, replicas: int, context: GroupContext) -> Obj:
    """A Deployment or StatefulSet: its pods carry nothing but the group's three labels."""
    labels = role_labels(role, context)
    template = resolve(role, context)[0]["template"]
    spec: Obj = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
    }
    if workload_kind(role)[1] == "StatefulSet":
        spec["serviceName"] = names.service_name(context.group, role["name"])
        spec["podManagementPolicy"] = role.get("podManagementPolicy", "Parallel")
    return {
        "metadata": {
            "name": names.workload_name(context.group, role["name"]),
            "namespace": context.namespace,
            "labels": labels,
            "annotations": {names.ROLE_SIZE: str(replicas)},
        },
        "spec": spec,
    }


def service(role: Obj, replicas: int, owner: Obj, context: GroupContext) -> Obj:
    """The headless service of a role; of a leader-worker role it selects leaders only."""
    selector = {names.GROUP_NAME: context.group, names.ROLE_NAME: role["name"]}
    if role_type(role) == LEADER_WORKER:
        selector[names.COMPONENT_NAME] = "leader"
    ports = role.get("servicePorts") or []
    spec: Obj = {"clusterIP": "None", "selector": selector, "publishNotReadyAddresses": True}
    if ports:
        spec["ports"] = ports
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": names.service_name(context.group, role["name"]),
            "namespace": context.namespace,
            "labels": role_labels(role, context),
            "annotations": {names.ROLE_SIZE: str(replicas)},
            "ownerReferences": [names.owner_reference(owner, controller=False)],
        },
        "spec": spec,
    }


def observed_status(live: Obj) -> Obj | None:
    """What a workload reports for roleStatuses, or None while it has not observed its generation."""
    status = live.get("status") or {}
    if status.get("observedGeneration") != live["metadata"].get("generation"):
        return None
    return {field: int(status.get(field, 0)) for field in ("replicas", "readyReplicas", "updatedReplicas")}


def pod_group(group: Obj, members: int, annotations: Mapping[str, str]) -> Obj:
    return {
        "apiVersion": "scheduling.x-k8s.io/v1alpha1",
        "kind": "PodGroup",
        "metadata": {
            "name": names.name_of(group),
            "namespace": names.namespace_of(group),
            "ownerReferences": [names.owner_reference(group)],
        },
        "spec": {
            "minMember": members,
            "scheduleTimeoutSeconds": int(annotations.get(names.GANG_TIMEOUT, 60)),
        },
    }
