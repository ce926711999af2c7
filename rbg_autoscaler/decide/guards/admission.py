"""RoleBasedGroup's own admission rules for a role's replica count, asked before writing.

The webhook denies the group's update but not the adapter's /scale, after which the two disagree for good.
"""

from __future__ import annotations

from rbg_autoscaler.decide.guards.hold import Hold
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.snapshot import RolloutView

REASON = "RolloutRuleViolated"


def admission(role: Progress, replicas: int, _now: float) -> Hold | None:
    """Hold a count that the webhook would deny."""
    if replicas == role.current:
        return None
    broken = broken_rule(role.view.rollout, replicas)
    return Hold(role.current, REASON, broken) if broken else None


def broken_rule(rollout: RolloutView, replicas: int) -> str | None:
    """The rollout rule that so many replicas break, naming its field; None where all hold.

    No rule binds 0 replicas. 10 % of 3 unavailable rounds down to 0, of 10 it is 1; a surge rounds up.
    """
    if replicas == 0:
        return None
    if rollout.partition >= replicas:
        return f"rollingUpdate.partition {rollout.partition} must be less than replicas, {replicas}: lower it"
    unavailable = _resolved(rollout.max_unavailable, replicas, round_up=False)
    if unavailable == 0 and _resolved(rollout.max_surge, replicas, round_up=True) == 0:
        return (
            f"rollingUpdate.maxUnavailable {rollout.max_unavailable} of {replicas} is 0, and maxSurge "
            f"{rollout.max_surge} too: raise one of them"
        )
    return None


def _resolved(value: str, replicas: int, *, round_up: bool) -> int:
    """An IntOrString of the group, of so many replicas; integer arithmetic, as in Kubernetes."""
    if not value.endswith("%"):
        return int(value)
    share = int(value[:-1]) * replicas
    return -(-share // 100) if round_up else share // 100
