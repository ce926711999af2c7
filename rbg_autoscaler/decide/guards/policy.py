"""Roles under a CoordinatedPolicy: no growing and shrinking at once, and no pushing against the brake.

Shrinking decode 4 -> 1 while growing prefill 2 -> 6 in one pass deleted 3 instances, made them again and
deleted them once more: its gate freezes every role of the rule while one of them grows.
"""

from __future__ import annotations

from collections.abc import Mapping

from rbg_autoscaler.decide.guards.hold import Hold
from rbg_autoscaler.decide.guards.unschedulable import WITHDRAWN
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.snapshot import GroupView, RoleView

Rules = Mapping[str, tuple[RoleView, ...]]
"""The group's roles by the name of the rule that binds them."""


def policy_rules(group: GroupView) -> Rules:
    """The CoordinatedPolicy rules of a group; also of roles that no autoscaler scales."""
    rules: dict[str, tuple[RoleView, ...]] = {}
    for view in group.roles:
        for rule in view.policy_rules:
            rules[rule] = (*rules.get(rule, ()), view)
    return rules


def throttled(role: Progress, replicas: int, _now: float) -> Hold | None:
    """No further raise while the policy lets the workload have fewer than were asked for."""
    view = role.view
    if not view.policy_rules or view.effective == view.requested or replicas <= role.current:
        return None
    message = f"a CoordinatedPolicy lets the workload have {view.effective} of {view.requested} replicas now"
    return Hold(role.current, "ThrottledByPolicy", message)


def one_direction(rules: Rules, roles: Mapping[str, Progress]) -> list[tuple[Progress, Hold]]:
    """Who has to wait so that every rule's roles either grow or shrink."""
    waits: list[tuple[Progress, Hold]] = []
    for rule, members in sorted(rules.items()):
        moving = [roles[view.name] for view in members if view.name in roles]
        shrinking = [role.spec.name for role in moving if role.replicas < role.current]
        shrinking += [view.name for view in members if _still_shrinks(view)]
        growing = [view.name for view in members if view.effective < view.requested]
        for role in moving:
            if role.replicas > role.current and shrinking:
                message = f"{min(shrinking)} shrinks first: CoordinatedPolicy rule {rule} binds both"
                waits.append((role, Hold(role.current, "ShrinkFirst", message)))
            elif role.replicas < role.current and set(growing) - {role.spec.name}:
                waits += _frozen(role, rule, growing)
    return waits


def _still_shrinks(view: RoleView) -> bool:
    """Whether an earlier shrink is not finished; in a rollout a surge is no shrink, though more exist."""
    return view.requested < (
        view.effective if view.rollout.in_progress else max(view.effective, view.observed)
    )


def _frozen(role: Progress, rule: str, growing: list[str]) -> list[tuple[Progress, Hold]]:
    """Another role of the rule grows, so no instance may go; asking for fewer than exist not yet is allowed.

    P 7 -> 14 with room for 8 freezes at 11 until its request is at most 11: so a shrink to `effective`
    passes, and one that takes unschedulable replicas back.
    """
    floor = min(role.current, role.view.effective)
    if role.replicas >= floor or (role.extra and role.extra[-1].reason == WITHDRAWN):
        return []
    others = min(name for name in growing if name != role.spec.name)
    message = f"{others} still grows: CoordinatedPolicy rule {rule} freezes both"
    return [(role, Hold(floor, "FrozenByPolicy", message))]
