"""Serving instances are not taken away blindly.

Not in an outage of the metrics, nor in a rollout, nor in place of ordinals that do not serve.
"""

from __future__ import annotations

from rbg_autoscaler.decide.guards.hold import Hold
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.snapshot import InstancePhase


def outage(role: Progress, replicas: int, _now: float) -> Hold | None:
    """Without a usable number from the metrics nothing lowers a role, a ratio neither."""
    if role.decided.blocked and replicas < role.current:
        return Hold(role.current, "MetricsMissing", "metrics are missing: nothing lowers the role meanwhile")
    return None


def rollout(role: Progress, replicas: int, _now: float) -> Hold | None:
    """A shrink in a rollout would remove the freshly updated instances, which have the highest ordinals.

    A standing partition is no rollout: it would hold for ever.
    """
    if role.view.rollout.in_progress and replicas < role.current:
        return Hold(role.current, "RolloutInProgress", "no scale-down while a rollout is in progress")
    return None


def pending_ordinals(role: Progress, replicas: int, now: float) -> Hold | None:
    """A stateful role loses its highest ordinals, running or not.

    With 9 replicas of which ordinal 3 is pending, 9 -> 7 would remove two serving ones and keep the pending
    one: 6 serve. While the pending one may still come only pending ones at the top are given up (none here).
    Past its start-up deadline the shrink goes on as far as enough serve: to 8, of which 7 serve.
    """
    if not role.view.stateful or replicas >= role.current or replicas == 0:
        return None
    serving: list[int] = []
    pending = hopeful = 0
    for instance in role.view.instances:
        if instance.ordinal is None or instance.phase is InstancePhase.TERMINATING:
            continue
        if instance.phase is InstancePhase.READY:
            serving.append(instance.ordinal)
        else:
            pending += 1
            hopeful += now - instance.created_at < role.spec.start_up.deadline_seconds
    serving.sort()
    if not pending or not serving or serving[-1] < replicas:
        return None
    enough = len(serving) if hopeful or len(serving) <= replicas else replicas
    least = serving[enough - 1] + 1 if enough else 0
    if least <= replicas:
        return None
    message = f"{pending} replicas are pending: {replicas} would remove serving ones with higher ordinals"
    return Hold(min(least, role.current), "PendingOrdinals", message)
