"""Stage 8, guard: each role's number passes every guard, and then the roles together find numbers that agree.

A guard can only hold a role back on its way from what it has to what it should have, so holding one role for
the sake of another ends, at the latest where nothing moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from rbg_autoscaler.decide.coordinate import AtLeast, Counts, families, solve, worded
from rbg_autoscaler.decide.decision import Stage
from rbg_autoscaler.decide.guards.admission import admission
from rbg_autoscaler.decide.guards.hold import Guard, Hold
from rbg_autoscaler.decide.guards.policy import Rules, one_direction, throttled
from rbg_autoscaler.decide.guards.serving import outage, pending_ordinals, rollout
from rbg_autoscaler.decide.guards.unschedulable import back_off, unschedulable, withdraw
from rbg_autoscaler.decide.guards.writable import (
    CHANGED_BY_OTHER,
    NOT_CARRIED_OUT,
    followed_change,
    not_carried_out,
    not_observed,
    refused,
)
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.snapshot import Refusal

GUARDS: tuple[Guard, ...] = (
    outage,
    rollout,
    pending_ordinals,
    throttled,
    unschedulable,
    back_off,
    withdraw,
    not_observed,
)
"""One role at a time, in this order; `refused` comes before them, `admission` after all numbers are known."""


def guard(roles: Mapping[str, Progress], rules: tuple[AtLeast, ...], policies: Rules, now: float) -> None:
    """Pass the roles of one autoscaler through the stage.

    Args:
        roles: By name.
        rules: The ratios that can be kept.
        policies: The group's CoordinatedPolicy rules.
        now: Seconds since the epoch.
    """
    moving = False
    for role in roles.values():
        if (change := followed_change(role.memory)) is not None:
            _pass_on(role, Hold(role.replicas, CHANGED_BY_OTHER, change))
        hold = refused(role)
        if hold is not None:
            role.refusal = Refusal(hold.reason, hold.message)
            _pass_on(role, hold)
            continue
        if (silence := not_carried_out(role.view, role.memory, now)) is not None:
            role.refusal = Refusal(NOT_CARRIED_OUT, silence)
            _pass_on(role, Hold(role.replicas, NOT_CARRIED_OUT, silence))
        for each in GUARDS:
            if (hold := each(role, role.replicas, now)) is not None:
                _hold(role, hold)
        moving = moving or role.replicas != role.current
    while moving:
        waits = _denied(roles, now) or one_direction(policies, roles) or _out_of_ratio(roles, rules)
        for role, hold in waits:
            _hold(role, hold)
        moving = bool(waits)


def _hold(role: Progress, hold: Hold) -> None:
    """Let through what the guard said, or where that may not be written the next count towards the present.

    Of 8, a gang step of 4, 5 have a node: 3 could be taken back but 8 stay, for 5 is no multiple.
    """
    between = _between(role, hold.replicas)
    allowed = (
        between.at_least(hold.replicas) if hold.replicas < role.current else between.at_most(hold.replicas)
    )
    replicas = role.current if allowed is None else allowed
    if replicas != role.replicas:
        _pass_on(role, hold._replace(replicas=replicas))


def _pass_on(role: Progress, hold: Hold) -> None:
    role.pass_on(Stage.GUARD, hold.replicas, hold.reason, hold.message)


def _denied(roles: Mapping[str, Progress], now: float) -> list[tuple[Progress, Hold]]:
    holds = ((role, admission(role, role.replicas, now)) for role in roles.values())
    return [(role, hold) for role, hold in holds if hold is not None]


def _out_of_ratio(roles: Mapping[str, Progress], rules: tuple[AtLeast, ...]) -> list[tuple[Progress, Hold]]:
    """Who has to stay nearer to what it has, for another role of its ratio is held.

    decode 2 -> 8 wanted prefill 1 -> 2 at a ratio of at most 4; with prefill held at 1 decode gets 4.
    """
    waits: list[tuple[Progress, Hold]] = []
    numbers = {name: role.replicas for name, role in roles.items()}
    if all(rule.keeps(numbers) for rule in rules):
        return waits
    for names, family in families(rules):
        members = {name: roles[name] for name in names}
        wanted = {name: numbers[name] for name in names}
        between = {name: _between(member, member.replicas) for name, member in members.items()}
        agreed = solve(wanted, between, family) or _no_worse(members, between, family)
        for name in sorted(names):
            if agreed[name] != wanted[name]:
                message = f"a role is held, so {name} waits at {agreed[name]} to keep {worded(family)}"
                waits.append((members[name], Hold(agreed[name], "RatioHeld", message)))
    return waits


def _between(role: Progress, replicas: int) -> Counts:
    """The counts that may be written on the way from what the role has to `replicas`, and what it has."""
    low, high = sorted((role.current, replicas))
    bounds = max(low, role.spec.min_replicas), min(high, role.spec.max_replicas)
    return Counts(*bounds, role.spec.gang_step, role.current)


def _no_worse(
    members: Mapping[str, Progress], between: Mapping[str, Counts], rules: tuple[AtLeast, ...]
) -> dict[str, int]:
    """Counts that break no ratio that is kept now and widen none that is broken, where not all can be kept.

    The group has decode 4, prefill 2 and must have as many prefill; prefill is held, decode wants 3: it may.
    First the raises, each as far as the others' present counts allow, then the shrinks in what that leaves.
    """
    agreed = {name: member.current for name, member in members.items()}
    for name, member in members.items():
        limits = [rule.most(members[rule.follower].current) for rule in rules if rule.leader == name]
        limit = min(member.replicas, *limits) if limits else member.replicas
        if limit > member.current:
            agreed[name] = between[name].at_most(limit) or member.current
    raised = dict(agreed)
    for name, member in members.items():
        needs = [rule.least(raised[rule.leader]) for rule in rules if rule.follower == name]
        need = max(member.replicas, *needs) if needs else member.replicas
        if need < member.current:
            fewer = between[name].at_least(need)
            agreed[name] = member.current if fewer is None else fewer
    return agreed
