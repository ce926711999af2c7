"""What is remembered between decisions: recommendation and scale-event logs, learnt start-up times.

Memory goes into `decide` and comes out of it; the status keeps it across restarts and leader changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.decision import Decision


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A raw (not stabilised) recommendation; `age = now - at`."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class ScaleEvent:
    """A rescale that was written: by how much (positive), and when."""

    at: float
    change: int


@dataclass(frozen=True, slots=True)
class RoleMemory:
    """What one role's next decision needs of the past."""

    recommendations: tuple[Recommendation, ...] | None = None
    """None: nothing is known yet, so the present count is recorded first, as HPA does after a restart."""
    scale_ups: tuple[ScaleEvent, ...] = ()
    scale_downs: tuple[ScaleEvent, ...] = ()
    scaled_to_zero: bool = False
    desired: int | None = None
    """The last wanted count that was computed; kept through an outage as HPA keeps desiredReplicas."""
    written: int | None = None
    """The replica count this controller wrote last; another value in the cluster means another writer."""
    written_at: float | None = None
    start_up_seconds: float | None = None
    """Learnt: how long the latest replicas took from creation to Ready."""
    withdrawn_at: float | None = None
    """When unschedulable replicas were last taken back; raises wait for `backoff_seconds` after it."""
    backoff_seconds: float = 0.0
    replaced: int | None = None
    """The count that `written` replaced: seen again at once it is an old observation, not another writer."""
    overridden_at: tuple[float, ...] = ()
    """When somebody else changed a count this controller had written, newest last."""
    interrupted: bool = False
    """Nothing was decided lately (restart, pause, outage): the next decision starts its windows anew."""


@dataclass(frozen=True)
class HeldDecision:
    """An hpaExact autoscaler's last decision, which holds until HPA's next sync."""

    at: float
    decision: Decision


@dataclass(frozen=True)
class Memory:
    """All roles' memories by (autoscaler key, role name); autoscalers that went are dropped."""

    roles: Mapping[tuple[ObjectKey, str], RoleMemory] = field(default_factory=dict)
    decided_at: float | None = None
    """When the fleet was last decided; a long gap is an interruption of every role."""
    held: Mapping[ObjectKey, HeldDecision] = field(default_factory=dict)
    """By autoscaler; not persisted, a new leader decides at once."""
    targets: Mapping[ObjectKey, str] = field(default_factory=dict)
    """The uid of the group that an autoscaler's memories belong to; a group made again starts afresh."""
