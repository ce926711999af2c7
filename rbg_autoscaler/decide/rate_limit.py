"""Stage 4, rate limit: how far a role may move from where its period began.

Without `behavior` HPA lets a role double per sync, at least to 4; with it each policy counts from the size
the role had at the start of the policy's period, which both logs of past rescales tell.
"""

from __future__ import annotations

import math

from rbg_autoscaler.api.types import Behavior, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy
from rbg_autoscaler.decide.bounds import Bound, hold, lower_bound, upper_bound
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.hpa_text import TOO_FEW
from rbg_autoscaler.decide.memory import ScaleEvent
from rbg_autoscaler.decide.ratio import MAX_INT32, ceil_replicas

Events = tuple[ScaleEvent, ...]


def change_within(events: Events, period_seconds: float, now: float) -> int:
    """Replicas changed by the events younger than the period (age < period)."""
    return sum(event.change for event in events if now - event.at < period_seconds)


def log_event(events: Events, change: int, now: float, keep_seconds: int) -> Events:
    """The log with one more rescale, in the place of the last entry older than `keep_seconds`, if any.

    Nothing is logged where `keep_seconds` is 0: no limit would ever ask for it.
    """
    if keep_seconds == 0:
        return events
    new = ScaleEvent(now, change)
    for index in range(len(events) - 1, -1, -1):
        if now - events[index].at > keep_seconds:
            return (*events[:index], new, *events[index + 1 :])
    return (*events, new)


def longest_period(rules: ScalingRules) -> int:
    """How long an event of this direction is remembered: the longest period of its policies."""
    return max(policy.period_seconds for policy in rules.policies)


def legacy_limit(requested: int, config: DecideConfig, ups: Events = (), now: float = 0.0) -> int:
    """The most that a role without `behavior` may grow to: max(2 x base, 4).

    Args:
        requested: The role's replica count now.
        config: Factor, least limit, and period.
        ups: Rescales up; those of the last period count as one step, so that at a sync period of 5 s a role
            of 4 still reaches 8, not 32, within 15 s. Empty: per sync, as HPA does.
        now: The present.
    """
    base = requested - change_within(ups, config.legacy_limit_period_seconds, now) if ups else requested
    limit = int(max(config.scale_up_limit_factor * base, float(config.scale_up_limit_minimum)))
    # Grown from 3 to 6 and since then to 9 by hand: base 6, limit 12; never a limit below what is there.
    return max(limit, requested) if ups else limit


def limit_legacy(desired: int, minimum: int, maximum: int, limit: int) -> Bound:
    """Hold `desired` by `legacy_limit` and the bounds; decreases have no rate limit."""
    return hold(desired, Bound(minimum, TOO_FEW), upper_bound(limit, maximum))


def limit_behavior(
    requested: int,
    desired: int,
    minimum: int,
    maximum: int,
    behavior: Behavior,
    ups: Events,
    downs: Events,
    now: float,
) -> Bound:
    """Hold `desired` by the policies of its direction and the bound of that side; no change passes."""
    if desired > requested:
        limit = max(scale_up_limit(requested, behavior.scale_up, ups, downs, now), requested)
        return hold(desired, None, upper_bound(limit, maximum))
    if desired < requested:
        limit = min(scale_down_limit(requested, behavior.scale_down, ups, downs, now), requested)
        return hold(desired, lower_bound(limit, minimum), None)
    return hold(desired, None, None)


def scale_up_limit(requested: int, rules: ScalingRules, ups: Events, downs: Events, now: float) -> int:
    """The most that the policies allow; Max picks the largest limit, Min the smallest."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return requested
    pick = max if rules.select_policy is SelectPolicy.MAX else min
    return pick(
        _grown(_period_start(requested, policy, ups, downs, now), policy) for policy in rules.policies
    )


def scale_down_limit(requested: int, rules: ScalingRules, ups: Events, downs: Events, now: float) -> int:
    """The least that the policies allow; Max picks the largest change, which is the smallest limit."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return requested
    pick = min if rules.select_policy is SelectPolicy.MAX else max
    return pick(
        _shrunk(_period_start(requested, policy, ups, downs, now), policy) for policy in rules.policies
    )


def _period_start(requested: int, policy: ScalingPolicy, ups: Events, downs: Events, now: float) -> int:
    """The size at the start of the period: a decrease within it gives its budget back to an increase."""
    if not ups and not downs:
        return requested
    period = policy.period_seconds
    return requested - change_within(ups, period, now) + change_within(downs, period, now)


def _grown(start: int, policy: ScalingPolicy) -> int:
    if policy.type is PolicyType.PODS:
        return min(start + policy.value, MAX_INT32)
    # 10 % more than 100 is 110.00000000000001 in doubles, hence 111 as in HPA.
    return ceil_replicas(start * (1.0 + policy.value / 100.0))


def _shrunk(start: int, policy: ScalingPolicy) -> int:
    if policy.type is PolicyType.PODS:
        return start - policy.value
    # 90 % less than 100 is 9.999999999999998 in doubles, hence 9 as in HPA.
    return math.trunc(start * (1.0 - policy.value / 100.0))
