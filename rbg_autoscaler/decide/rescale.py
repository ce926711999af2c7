"""What a write of a decision, or its failure, makes of the role's conditions and memory.

HPA logs a rescale, its ScaledToZero and its desiredReplicas only once /scale has taken the number.
"""

from __future__ import annotations

from dataclasses import replace

from rbg_autoscaler.decide import hpa_text as text
from rbg_autoscaler.decide.decision import Condition, RoleDecision
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.rate_limit import log_event


def conditions_after(decision: RoleDecision) -> tuple[Condition, ...]:
    """The role's conditions after `granted` was written."""
    kept = (text.rescaled(decision.granted), *_but(decision.conditions, "AbleToScale", "ScaledToZero"))
    if decision.may_sleep is None:
        return kept
    return (*kept, text.SCALED_TO_ZERO if _fell_asleep(decision) else text.NOT_SCALED_TO_ZERO)


def conditions_after_failure(decision: RoleDecision, error: str) -> tuple[Condition, ...]:
    """The role's conditions after writing `granted` failed."""
    return (text.not_rescaled(error), *_but(decision.conditions, "AbleToScale"))


def memory_after(memory: RoleMemory, decision: RoleDecision, now: float) -> RoleMemory:
    """The memory after `granted` was written: the rescale logged, what was written, and when."""
    change = decision.granted - decision.current
    up_seconds, down_seconds = decision.event_seconds
    ups, downs = memory.scale_ups, memory.scale_downs
    if change > 0:
        ups = log_event(ups, change, now, up_seconds)
    elif change < 0:
        downs = log_event(downs, -change, now, down_seconds)
    return replace(
        memory,
        scale_ups=ups,
        scale_downs=downs,
        scaled_to_zero=_fell_asleep(decision),
        written=decision.granted,
        written_at=now,
    )


def memory_after_failure(memory: RoleMemory, before: RoleMemory) -> RoleMemory:
    """The memory after writing `granted` failed: the desired count stays what it was before the decision."""
    return replace(memory, desired=before.desired)


def _fell_asleep(decision: RoleDecision) -> bool:
    return bool(decision.may_sleep) and decision.granted == 0


def _but(conditions: tuple[Condition, ...], *types: str) -> tuple[Condition, ...]:
    return tuple(condition for condition in conditions if condition.type not in types)
