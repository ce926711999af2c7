"""Kubernetes objects cut down to what a view needs: small frozen values instead of the API's dicts.

`project.py` makes them. A pod is some 500 bytes here and 30 kB as a dict. Versions do not count when two are
compared, so that a heartbeat in a status is no difference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from rbg_autoscaler.api.parse import FieldError
from rbg_autoscaler.api.types import ObjectKey, RbgAutoscalerSpec


@dataclass(frozen=True, slots=True)
class AutoscalerObject:
    """An RbgAutoscaler, parsed; its status stays as JSON, since it is read after a change of leader only."""

    key: ObjectKey
    uid: str
    version: str
    generation: int
    created_at: float
    spec: RbgAutoscalerSpec | None
    """None: the spec is invalid, see `errors`."""
    errors: tuple[FieldError, ...]
    status_json: str

    @property
    def status(self) -> dict[str, Any]:
        """The status as the API has it."""
        return dict(json.loads(self.status_json))


@dataclass(frozen=True, slots=True)
class Rollout:
    """A role's rollout parameters as they are written: numbers or percents."""

    partition: str = "0"
    max_surge: str = "0"
    max_unavailable: str = "1"


@dataclass(frozen=True, slots=True)
class GroupRole:
    """One entry of the RoleBasedGroup's `spec.roles` with its `status.roleStatuses` entry."""

    name: str
    replicas: int
    adapter_enabled: bool
    stateless: bool
    dependencies: tuple[str, ...]
    pods_per_instance: int | None
    """None where the role follows no pattern that says."""
    rollout: Rollout | None
    status_replicas: int
    status_ready: int


@dataclass(frozen=True, slots=True)
class GroupObject:
    """A RoleBasedGroup. Its version counts as a difference: it goes into the view."""

    key: ObjectKey
    uid: str
    version: str
    roles: tuple[GroupRole, ...]
    set_name: str | None
    """The RoleBasedGroupSet that owns it."""
    terminating: bool


@dataclass(frozen=True, slots=True)
class AdapterObject:
    """A RoleBasedGroupScalingAdapter."""

    key: ObjectKey
    uid: str
    version: str = field(compare=False)
    owner_uids: tuple[str, ...]
    target: tuple[str, str]
    """Group and role of `spec.scaleTargetRef`."""
    bound: bool
    phase: str
    replicas: int
    """Absent is 0: at zero the API leaves the field out."""


@dataclass(frozen=True, slots=True)
class InstanceSetObject:
    """A RoleInstanceSet, the workload behind one role."""

    key: ObjectKey
    uid: str
    version: str = field(compare=False)
    owner_uids: tuple[str, ...]
    group: str
    replicas: int
    status_replicas: int
    ready: int
    updated: int
    expected_updated: int | None
    revisions_differ: bool
    stateless: bool
    pods_per_instance: int | None
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class PodObject:
    """A pod of a RoleBasedGroup."""

    key: ObjectKey
    uid: str
    version: str = field(compare=False)
    group: str
    role: str
    instance: str
    """Name of the role instance, from role-instance-name; role-instance-index is wrong in RBG 0.8 (it carries
    the highest ordinal of the pass that made the pod)."""
    component: str
    leads: bool | None
    """Whether the labels call it the leader; None where they do not say."""
    phase: str
    ready: bool
    ready_at: float | None
    scheduled: bool
    terminating: bool
    created_at: float
    unschedulable_message: str | None


@dataclass(frozen=True, slots=True)
class PolicyObject:
    """A CoordinatedPolicy: the rules that throttle scaling, by name, with their roles."""

    key: ObjectKey
    uid: str
    version: str = field(compare=False)
    rules: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class HpaObject:
    """A HorizontalPodAutoscaler: whom it writes to, and under whose name."""

    key: ObjectKey
    uid: str
    version: str = field(compare=False)
    target: tuple[str, str]
    """Kind and name of `spec.scaleTargetRef`."""
    title: str
    """E.g. "HorizontalPodAutoscaler serving/decode", or the ScaledObject that made it."""


Slim = (
    AutoscalerObject | GroupObject | AdapterObject | InstanceSetObject | PodObject | PolicyObject | HpaObject
)
