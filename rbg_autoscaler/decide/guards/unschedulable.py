"""Replicas that no node can hold: no more are asked for, and past their deadline they are taken back.

After that a raise waits, twice as long each time it was in vain.
"""

from __future__ import annotations

from rbg_autoscaler.decide.guards.hold import Hold
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.snapshot import InstancePhase, InstanceView, RoleView

WITHDRAWN = "UnschedulableWithdrawn"

PLACING_SECONDS = 10
"""A pod without a node is the scheduler's ordinary work for a moment, unless it has said otherwise."""
FIRST_BACKOFF_SECONDS = 60.0
LONGEST_BACKOFF_SECONDS = 1800.0


def unschedulable(role: Progress, replicas: int, now: float) -> Hold | None:
    """No raise while replicas asked for earlier have no node."""
    if replicas <= role.current:
        return None
    stuck = [
        instance.name
        for instance in role.view.instances
        if instance.phase is InstancePhase.UNSCHEDULED and _is_stuck(instance, now)
    ]
    if not stuck:
        return None
    message = f"{len(stuck)} of {role.current} replicas have no node, {min(stuck)} among them"
    return Hold(role.current, "Unschedulable", message)


def back_off(role: Progress, replicas: int, now: float) -> Hold | None:
    """No raise for a while after replicas had to be taken back."""
    memory = role.memory
    if replicas <= role.current or memory.withdrawn_at is None:
        return None
    if now - memory.withdrawn_at >= memory.backoff_seconds:
        return None
    message = (
        f"unschedulable replicas were taken back: no raise for {memory.backoff_seconds:.0f} s after that"
    )
    return Hold(role.current, "BackingOff", message)


def withdraw(role: Progress, replicas: int, now: float) -> Hold | None:
    """Take back replicas without a node past the deadline: those at the top, never any that has a node.

    Not in an outage of the metrics, which lowers nothing.
    """
    if role.decided.blocked:
        return None
    overdue = [
        instance
        for instance in role.view.instances
        if instance.phase is InstancePhase.UNSCHEDULED
        and now - instance.created_at >= role.spec.start_up.deadline_seconds
    ]
    if not overdue:
        return None
    left = _left_without(overdue, role.view)
    if left >= replicas:
        return None
    message = (
        f"{len(overdue)} replicas found no node within {role.spec.start_up.deadline_seconds} s: those that a "
        "shrink removes first are taken back"
    )
    return Hold(left, WITHDRAWN, message)


def next_backoff(memory: RoleMemory) -> float:
    """Seconds that raises wait after one more withdrawal."""
    return min(max(2 * memory.backoff_seconds, FIRST_BACKOFF_SECONDS), LONGEST_BACKOFF_SECONDS)


def raise_came_through(view: RoleView, memory: RoleMemory) -> bool:
    """Whether replicas asked for since the last withdrawal all serve, so that its back-off is history."""
    if memory.withdrawn_at is None or memory.written_at is None or view.ready < view.requested:
        return False
    raised = memory.replaced is not None and memory.written is not None and memory.written > memory.replaced
    return raised and memory.written_at > memory.withdrawn_at


def _left_without(overdue: list[InstanceView], view: RoleView) -> int:
    """Replicas that remain when the overdue ones that a shrink would remove first are gone."""
    alive = [instance for instance in view.instances if instance.phase is not InstancePhase.TERMINATING]
    if not view.stateful:  # a shrink removes those without a node first
        return min(view.requested, len(alive)) - len(overdue)
    left = view.requested
    for instance in sorted(
        alive, key=lambda each: -1 if each.ordinal is None else each.ordinal, reverse=True
    ):
        if instance.phase is not InstancePhase.UNSCHEDULED or instance.ordinal is None:
            break
        if instance in overdue:
            left = min(left, instance.ordinal)
    return left


def _is_stuck(instance: InstanceView, now: float) -> bool:
    return now - instance.created_at >= PLACING_SECONDS or any(
        pod.unschedulable_message is not None for pod in instance.pods
    )
