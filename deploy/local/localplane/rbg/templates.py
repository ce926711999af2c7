"""What the pods of a role look like: a role's pattern resolved into components with plain pod templates.

A standalone role has one component named like the role, a leader-worker role `leader` (1) and `worker` (size
- 1), a components role its own; every template carries the group's labels, environment and configuration
volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localplane.rbg import names
from localplane.rbg.merge import strategic_merge
from localplane.rbg.names import Obj

POD_TEMPLATE, LEADER_WORKER, COMPONENTS = "PodTemplate", "LeaderWorkerSet", "Components"
RECREATE = "RecreateRoleInstanceOnPodRestart"


class PatternError(Exception):
    """A role that admission let through and that cannot be resolved; reported on the group."""


class ComponentSizeMissing(Exception):
    """A component without `size`: the real controller panics here and says nothing."""


@dataclass(frozen=True)
class GroupContext:
    """What a template needs to know of its group; `gang` adds the label that joins pods to the PodGroup."""

    namespace: str
    group: str
    group_uid: str
    role_templates: Mapping[str, Obj]
    gang: bool = False


def role_type(role: Obj) -> str:
    if "standalonePattern" in role:
        return POD_TEMPLATE
    if "leaderWorkerPattern" in role:
        return LEADER_WORKER
    if "customComponentsPattern" in role:
        return COMPONENTS
    raise PatternError(f"no valid pattern found for role {role['name']}")


def instance_size(role: Obj) -> int:
    """What one replica counts for in a PodGroup: leader-worker its size, others 1, wrong for components."""
    return int(role["leaderWorkerPattern"].get("size", 1)) if "leaderWorkerPattern" in role else 1


def resolve(role: Obj, context: GroupContext) -> list[Obj]:
    """The components of one role instance: `{name, size, serviceName?, template}` each, leader first."""
    kind = role_type(role)
    service = names.service_name(context.group, role["name"])
    if kind == POD_TEMPLATE:
        template = _pattern_template(role["standalonePattern"], context)
        return [_component(role, context, role["name"], 1, template, 1, service)]
    if kind == LEADER_WORKER:
        return _leader_and_worker(role, context, service)
    components = []
    for entry in role["customComponentsPattern"].get("components") or []:
        if "size" not in entry:
            raise ComponentSizeMissing(f"component {entry['name']} of role {role['name']}")
        size = int(entry["size"])
        made = _component(
            role, context, entry["name"], size, entry["template"], size, entry.get("serviceName") or service
        )
        components.append(made)
    return components


def restart_policy(role: Obj) -> Obj:
    """Gangs are recreated when a container restarts, single pods are not, unless the pattern says so."""
    pattern = role.get("leaderWorkerPattern") or role.get("customComponentsPattern") or {}
    kind = "None" if "standalonePattern" in role else RECREATE
    given = pattern.get("restartPolicyConfig") or {}
    return {
        "baseDelaySeconds": given.get("baseDelaySeconds", 30),
        "maxDelaySeconds": given.get("maxDelaySeconds", 600),
        "type": given.get("type") or pattern.get("restartPolicy") or kind,
    }


def _leader_and_worker(role: Obj, context: GroupContext, service: str) -> list[Obj]:
    pattern = role["leaderWorkerPattern"]
    size = int(pattern.get("size", 1))
    base = _pattern_template(pattern, context)
    leader = strategic_merge(base, pattern.get("leaderTemplatePatch") or {})
    components = [_component(role, context, "leader", 1, leader, size, service)]
    if size > 1:
        worker = strategic_merge(base, pattern.get("workerTemplatePatch") or {})
        components.append(_component(role, context, "worker", size - 1, worker, size, None))
    return components


def _pattern_template(pattern: Obj, context: GroupContext) -> Obj:
    reference = pattern.get("templateRef")
    if reference is None:
        return dict(pattern.get("template") or {})
    if reference["name"] not in context.role_templates:
        raise PatternError(f"role template {reference['name']} not found")
    merged = strategic_merge(context.role_templates[reference["name"]], reference.get("patch") or {})
    return dict(merged)


def _component(
    role: Obj,
    context: GroupContext,
    name: str,
    size: int,
    template: Obj,
    label_size: int,
    service: str | None,
) -> Obj:
    gang = role_type(role) == LEADER_WORKER
    labels = {
        **((template.get("metadata") or {}).get("labels") or {}),
        names.COMPONENT_SIZE: str(label_size),
        names.GROUP_NAME: context.group,
        names.GROUP_UID: context.group_uid,
        names.ROLE_NAME: role["name"],
    }
    if gang:
        labels[names.COMPONENT_NAME] = name
    if context.gang:
        labels[names.GANG_POD_LABEL] = context.group
    environment = _environment(role["name"], context)
    if gang:
        environment += _gang_environment(role["name"], context)
    spec = _spec(template.get("spec") or {}, environment, context.group)
    metadata = {**(template.get("metadata") or {}), "labels": labels}
    component: Obj = {"name": name, "size": size, "template": {"metadata": metadata, "spec": spec}}
    if service:
        component["serviceName"] = service
    return component


def _spec(spec: Obj, environment: list[Obj], group: str) -> Obj:
    mount = {"mountPath": "/etc/rbg", "name": "rbg-cluster-config", "readOnly": True}
    volume = {
        "name": "rbg-cluster-config",
        "configMap": {"name": group, "items": [{"key": "config.yaml", "path": "config.yaml"}]},
    }
    containers = [
        {
            **container,
            "env": [*environment, *(container.get("env") or [])],
            "resources": _resources(container.get("resources") or {}),
            "volumeMounts": [*(container.get("volumeMounts") or []), mount],
        }
        for container in spec.get("containers") or []
    ]
    return {**spec, "containers": containers, "volumes": [*(spec.get("volumes") or []), volume]}


def _resources(resources: Obj) -> Obj:
    """Quantities as strings, as a typed client writes them: `{"limits": {"nvidia.com/gpu": 4}}` has "4"."""
    written: dict[str, Any] = {}
    for field, value in resources.items():
        written[field] = {k: str(v) for k, v in value.items()} if isinstance(value, dict) else value
    return written


def _environment(role: str, context: GroupContext) -> list[Obj]:
    return [
        _from_label("RBG_COMPONENT_INDEX", names.COMPONENT_ID),
        _from_label("RBG_COMPONENT_NAME", names.COMPONENT_NAME),
        {"name": "RBG_GROUP_NAME", "value": context.group},
        _from_label("RBG_ROLE_INDEX", names.INSTANCE_INDEX),
        _from_label("RBG_ROLE_INSTANCE_NAME", names.INSTANCE_NAME),
        {"name": "RBG_ROLE_NAME", "value": role},
    ]


def _gang_environment(role: str, context: GroupContext) -> list[Obj]:
    service = names.service_name(context.group, role)
    leader = f"$(RBG_ROLE_INSTANCE_NAME)-0.{service}.{context.namespace}"
    return [
        {"name": "RBG_LWP_LEADER_ADDRESS", "value": leader},
        _from_label("RBG_LWP_WORKER_INDEX", names.COMPONENT_INDEX),
        _from_label("RBG_LWP_GROUP_SIZE", names.COMPONENT_SIZE),
    ]


def _from_label(name: str, label: str) -> Obj:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{label}']"}}}
