"""What is observed: one Snapshot of all autoscalers, their groups and their metrics' readings.

Everything is a frozen dataclass of plain values, so a snapshot saved to a file decides again to the same
bytes.
Times are seconds since the epoch; replica counts are role instances, never pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rbg_autoscaler.api.types import ObjectKey, RbgAutoscalerSpec


@dataclass(frozen=True, slots=True)
class Sample:
    """A metric's value for one role at one instant."""

    values_milli: Mapping[str, int]
    """Thousandths, per role instance (signals), pod (Pods metrics) or series (Object, External, Query)."""
    age_seconds: float = 0.0
    """Age of the oldest value used, by the Prometheus server's clock."""
    reporting: int = 0
    """Instances (or pods) that reported."""
    expected: int = 0
    """Ready instances (or pods) that should have reported; 0 where no such number exists."""
    capacity_milli: Mapping[str, int] = field(default_factory=dict)
    """For Utilization targets: what 100 % is, per unit (1000 for KVCacheUsage)."""
    shortfall: str = ""
    """Why units that should have reported did not, e.g. "1 NotFinite, 2 NoSeries"; empty if all did."""

    @property
    def is_partial(self) -> bool:
        """Fewer units reported than serve: such a sample may raise a role, never lower it."""
        return self.reporting < self.expected


@dataclass(frozen=True, slots=True)
class Missing:
    """A metric without a usable value, and why. Missing is never zero."""

    reason: str
    """CamelCase: Unreachable, Overloaded, Rejected, NoSeries, Stale, NotFinite, Negative, Duplicated, ..."""
    message: str


Reading = Sample | Missing


class InstancePhase(StrEnum):
    """A gang's progress: the least advanced of its pods decides."""

    UNSCHEDULED = "Unscheduled"
    """At least one pod has no node, or is missing."""
    STARTING = "Starting"
    """All pods have nodes, not all are Ready."""
    READY = "Ready"
    TERMINATING = "Terminating"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of a role instance, as far as a decision needs it."""

    name: str
    phase: str
    """Kubernetes pod phase: Pending, Running, Succeeded, Failed, Unknown."""
    ready: bool
    scheduled: bool
    terminating: bool
    leader: bool = True
    """The pod that answers for the instance; every pod of a one-pod instance is its leader."""
    unschedulable_message: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One role instance (gang) and its pods."""

    name: str
    ordinal: int | None
    """None for stateless roles, whose instances have random names."""
    phase: InstancePhase
    created_at: float
    ready_at: float | None
    """When the last of its pods became Ready; None until then."""
    pods: tuple[PodView, ...]


class WritePath(StrEnum):
    """How the role's replica count is written."""

    ADAPTER = "Adapter"
    """PATCH of the scaling adapter's /scale."""
    GROUP = "Group"
    """Guarded JSON patch of the RoleBasedGroup."""
    NONE = "None"
    """The role cannot be written; `RoleView.write_refusal` says why."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done: a CamelCase reason and a sentence that tells the mend."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RolloutView:
    """The state of a role's rollout and the admission rules that bind its replica count."""

    in_progress: bool = False
    """updatedReplicas < expectedUpdatedReplicas; a standing partition alone is no progress."""
    partition: int = 0
    max_surge: str = "0"
    max_unavailable: str = "1"


@dataclass(frozen=True, slots=True)
class RoleView:
    """One role of the group as the cluster has it now."""

    name: str
    requested: int
    """The truth that is written: the adapter's spec.replicas where the role has one, else the RBG's."""
    effective: int
    """The workload's spec.replicas, after CoordinatedPolicy throttling."""
    observed: int
    """The workload's status.replicas."""
    ready: int
    """Instances serving (status.readyReplicas)."""
    instances: tuple[InstanceView, ...] = ()
    stateful: bool = True
    """Stateful roles lose their highest ordinals first, running or not; stateless ones their unready."""
    write_path: WritePath = WritePath.GROUP
    write_refusal: Refusal | None = None
    """Why the role may not be written (set child, adapter not Bound, another writer, ...)."""
    rollout: RolloutView = RolloutView()
    unmet_dependencies: tuple[str, ...] = ()
    policy_rules: tuple[str, ...] = ()
    """Names of the CoordinatedPolicy rules that throttle this role."""
    other_writer: str | None = None
    """Another controller on the same role, e.g. "HorizontalPodAutoscaler serving/decode"."""


@dataclass(frozen=True, slots=True)
class GroupView:
    """A RoleBasedGroup: identity and roles in spec order."""

    key: ObjectKey
    uid: str
    resource_version: str
    roles: tuple[RoleView, ...]

    def role(self, name: str) -> RoleView | None:
        """The role of that name, or None."""
        return next((role for role in self.roles if role.name == name), None)


@dataclass(frozen=True, slots=True)
class AutoscalerView:
    """One RbgAutoscaler with its target and the readings of its metrics."""

    key: ObjectKey
    uid: str
    generation: int
    spec: RbgAutoscalerSpec
    group: GroupView | None
    readings: Mapping[str, tuple[Reading, ...]]
    """Per role name, one reading per entry of the role's `metrics`, in that order."""
    refusal: Refusal | None = None
    """Why this autoscaler takes part in nothing (target missing or claimed by another autoscaler)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one decision pass may know, sorted by autoscaler key."""

    taken_at: float
    autoscalers: tuple[AutoscalerView, ...]
