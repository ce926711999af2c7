"""Stage 5, bounds: nothing leaves [minReplicas, maxReplicas], and the reason says which side held it.

A rate limit that lies beyond a bound is not the reason: HPA names the bound then, also where both are equal.
"""

from __future__ import annotations

from typing import NamedTuple

from rbg_autoscaler.decide.hpa_text import (
    SCALE_DOWN_LIMIT,
    SCALE_UP_LIMIT,
    TOO_FEW,
    TOO_MANY,
    WITHIN_RANGE,
)


class Bound(NamedTuple):
    """A number that must not be passed, or the number that came out, with the reason of ScalingLimited."""

    replicas: int
    reason: str


def upper_bound(rate_limit: int, maximum: int) -> Bound:
    """The nearer of the rate limit and the maximum."""
    return Bound(rate_limit, SCALE_UP_LIMIT) if rate_limit < maximum else Bound(maximum, TOO_MANY)


def lower_bound(rate_limit: int, minimum: int) -> Bound:
    """The nearer of the rate limit and the minimum."""
    return Bound(rate_limit, SCALE_DOWN_LIMIT) if rate_limit > minimum else Bound(minimum, TOO_FEW)


def hold(desired: int, lower: Bound | None, upper: Bound | None) -> Bound:
    """`desired`, or the bound it passes; the lower one is looked at first."""
    if lower is not None and desired < lower.replicas:
        return lower
    if upper is not None and desired > upper.replicas:
        return upper
    return Bound(desired, WITHIN_RANGE)


def at_least(bound: Bound, minimum: int) -> Bound:
    """Not below the minimum: a role that wakes from 0 passes the rate limit of 4 to a minimum of 6."""
    return Bound(minimum, TOO_FEW) if bound.replicas < minimum else bound


def jump(requested: int, minimum: int, maximum: int) -> Bound | None:
    """Where a role outside its bounds goes at once, its metrics unread; None inside them."""
    if requested > maximum:
        return Bound(maximum, TOO_MANY)
    if requested < minimum:
        return Bound(minimum, TOO_FEW)
    return None
