"""What comes out: per role a number and the chain of steps that made it, each with its reason.

Status, events, metrics, logs, `explain` and the report all render these same steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.snapshot import Reading, Refusal


class Stage(StrEnum):
    """The chain, in its order."""

    PROPOSE = "propose"
    ANTICIPATE = "anticipate"
    STABILISE = "stabilise"
    RATE_LIMIT = "rate-limit"
    BOUNDS = "bounds"
    GANG_STEP = "gang-step"
    COORDINATE = "coordinate"
    GUARD = "guard"
    FIT = "fit"


@dataclass(frozen=True, slots=True)
class Step:
    """One stage's answer: the number it passes on, and why."""

    stage: Stage
    replicas: int
    reason: str
    """CamelCase, HPA's own where HPA has one (DesiredWithinRange, ScaleUpLimit, ...)."""
    message: str
    """A sentence a person understands, with the numbers that decided."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition without its times, which the status writer keeps."""

    type: str
    status: str
    """True | False | Unknown"""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class MetricResult:
    """What one metric asked for, for status, explain and the report."""

    name: str
    """Signal name, or the metric's own name."""
    proposed: int | None
    """None when the metric gave no number."""
    usage_milli: int | None
    """The value held against the target: average per unit or total, thousandths; percent for Utilization."""
    target_milli: int
    reading: Reading
    message: str
    is_percent: bool = False
    """Whether usage and target are whole percent (Utilization) instead of thousandths."""
    average_milli: int | None = None
    """For Utilization: the plain average per unit beside the percentage, as HPA's status has both."""
    label: str = ""
    """The metric in HPA's words: "pods metric NAME", "external metric NAME(SELECTOR)", ..."""


@dataclass(frozen=True, slots=True)
class RoleDecision:
    """What one role should have and how that came about."""

    role: str
    current: int
    """Replicas asked for now (RoleView.requested)."""
    ready: int
    proposed: int | None
    """The largest of the metrics' proposals; None when they gave none or were not read."""
    wanted: int
    granted: int
    """What is written in mode Auto and recommended otherwise; equals `current` where nothing changes."""
    limiter: Stage | None
    """The stage that held the number back, None where `granted == proposed`."""
    reason: str
    message: str
    steps: tuple[Step, ...]
    metrics: tuple[MetricResult, ...]
    conditions: tuple[Condition, ...]
    """AbleToScale, ScalingActive, ScalingLimited (and ScaledToZero) with HPA's reasons and messages."""
    blocked: bool = False
    """The metrics gave no usable number: the role is held."""
    may_sleep: bool | None = None
    """Whether a 0 written by this controller is a sleep it may wake from; None: scale to zero is off."""
    event_seconds: tuple[int, int] = (0, 0)
    """How long a rescale up, and one down, is remembered for the rate limits; 0: it is not logged."""

    @property
    def changes(self) -> bool:
        """Whether acting on this decision would write a replica count."""
        return self.granted != self.current


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one RbgAutoscaler: its roles in spec order, and conditions of the whole."""

    key: ObjectKey
    uid: str
    generation: int
    roles: tuple[RoleDecision, ...]
    conditions: tuple[Condition, ...]
    """Ready, MetricsAvailable, Conflict, BacklogOnly, and HPA's three summed over the roles."""
    refusal: Refusal | None = None

    def role(self, name: str) -> RoleDecision | None:
        """The decision about the role of that name, or None."""
        return next((role for role in self.roles if role.role == name), None)
