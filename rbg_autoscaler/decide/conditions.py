"""The conditions of a role after all stages, and those of the whole autoscaler, summed over its roles.

The sum takes the worst status and the reason of the first role that has it, in the order of the spec.
"""

from __future__ import annotations

from collections.abc import Sequence

from rbg_autoscaler.api.types import RbgAutoscalerSpec
from rbg_autoscaler.decide.coordinate import UNSATISFIABLE
from rbg_autoscaler.decide.decision import Condition, RoleDecision
from rbg_autoscaler.decide.gang_step import UNSATISFIABLE as NO_GANG_STEP
from rbg_autoscaler.decide.guards.writable import CHANGED_BY_OTHER, CONFLICT
from rbg_autoscaler.decide.laws import names_backlog_only
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.snapshot import Missing, Refusal, Sample

NO_CONFLICT = Condition("Conflict", "False", "NoConflict", "no other writer was seen")


def role_conditions(role: Progress) -> tuple[Condition, ...]:
    """HPA's conditions of a role, with what the stages after HPA's made of them."""
    conditions = role.decided.conditions
    if role.refusal is not None:
        able = Condition("AbleToScale", "False", role.refusal.reason, role.refusal.message)
        conditions = (able, *(one for one in conditions if one.type != "AbleToScale"))
    before, limit = role.decided.granted, None
    for step in role.extra:
        if step.replicas != before or step.reason in (UNSATISFIABLE, NO_GANG_STEP):
            limit = Condition("ScalingLimited", "True", step.reason, step.message)
        before = step.replicas
    if limit is None:
        return conditions
    return (*(one for one in conditions if one.type != "ScalingLimited"), limit)


def whole_conditions(spec: RbgAutoscalerSpec, rows: Sequence[RoleDecision]) -> tuple[Condition, ...]:
    """Ready, HPA's three, MetricsAvailable, Conflict and BacklogOnly of an autoscaler that takes part."""
    able = _summed("AbleToScale", "False", rows)
    active = _summed("ScalingActive", "False", rows)
    conditions = [_ready(able, active), able, active, _summed("ScalingLimited", "True", rows)]
    conditions += [_metrics_available(rows), _conflict(rows), _backlog_only(spec)]
    return tuple(condition for condition in conditions if condition is not None)


def idle_conditions(refusal: Refusal) -> tuple[Condition, ...]:
    """The conditions of an autoscaler that takes part in nothing."""
    return (
        Condition("Ready", "False", refusal.reason, refusal.message),
        Condition("ScalingActive", "False", refusal.reason, refusal.message),
    )


def _summed(kind: str, worst: str, rows: Sequence[RoleDecision]) -> Condition | None:
    first: Condition | None = None
    told: list[str] = []
    for row in rows:
        for condition in row.conditions:
            if condition.type != kind:
                continue
            if condition.status == worst and (first is None or first.status != worst):
                first, told = condition, []
            if first is None:
                first = condition
            if condition.status == first.status:
                told.append(f"role {row.role}: {condition.message}")
    return None if first is None else Condition(kind, first.status, first.reason, "; ".join(told))


def _ready(*of: Condition | None) -> Condition:
    """Whether every role is read, decided and can be written."""
    for condition in of:
        if condition is not None and condition.status == "False":
            return Condition("Ready", "False", condition.reason, condition.message)
    return Condition("Ready", "True", "AsExpected", "every role is decided")


def _metrics_available(rows: Sequence[RoleDecision]) -> Condition:
    partial: list[str] = []
    for row in rows:
        for metric in row.metrics:
            reading = metric.reading
            if isinstance(reading, Missing):
                message = f"role {row.role}: {metric.name}: {reading.message}"
                return Condition("MetricsAvailable", "False", reading.reason, message)
            if isinstance(reading, Sample) and reading.reporting < reading.expected:
                partial.append(f"role {row.role}: {metric.name}")
    if partial:
        message = f"some instances do not report, so these lower nothing: {', '.join(partial)}"
        return Condition("MetricsAvailable", "True", "Partial", message)
    return Condition("MetricsAvailable", "True", "AllRead", "every metric that was read has a value")


def _conflict(rows: Sequence[RoleDecision]) -> Condition:
    followed: Condition | None = None
    for row in rows:
        for step in row.steps:
            if step.reason == CONFLICT:
                return Condition("Conflict", "True", CONFLICT, f"role {row.role}: {step.message}")
            if step.reason == CHANGED_BY_OTHER and followed is None:
                message = f"role {row.role}: {step.message}"
                followed = Condition("Conflict", "False", CHANGED_BY_OTHER, message)
    return followed or NO_CONFLICT


def _backlog_only(spec: RbgAutoscalerSpec) -> Condition | None:
    if spec.hpa_exact:
        return None
    names = [role.name for role in spec.roles if names_backlog_only(role)]
    if not names:
        return None
    message = (
        f"{', '.join(names)}: backlog signals only, and an empty queue is not idleness, so these shrink one "
        "gang step a window: add a busy signal"
    )
    return Condition("BacklogOnly", "True", "NoBusySignal", message)
