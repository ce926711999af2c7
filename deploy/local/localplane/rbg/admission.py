"""What RBG's admission webhook refuses, in its words.

A role's number that differs from its Bound adapter's, a partition that reaches the replicas, and a rollout
that may neither surge nor take anything down. Roles with 0 replicas are exempt from the last two.
"""

from __future__ import annotations

from collections.abc import Mapping

from localplane.rbg.groups import adapter_enabled, desired_replicas, roles_of
from localplane.rbg.names import Obj
from localplane.rbg.rollout import resolve_count


def refusal(new: Obj, old: Obj | None, bound: Mapping[str, tuple[str, int]]) -> str | None:
    """The reason to deny a group, or None. `bound` has (name, replicas) of the Bound adapter by role."""
    before = {role["name"]: desired_replicas(role) for role in roles_of(old)} if old else {}
    for index, role in enumerate(roles_of(new)):
        reason = _adapter_rule(index, role, before, bound) or _rollout_rule(index, role)
        if reason:
            return reason
    return None


def _adapter_rule(
    index: int, role: Obj, before: Mapping[str, int], bound: Mapping[str, tuple[str, int]]
) -> str | None:
    name = role["name"]
    number = desired_replicas(role)
    if not adapter_enabled(role) or name not in bound or before.get(name) == number:
        return None
    adapter, replicas = bound[name]
    if number == replicas:
        return None
    return (
        f'spec.roles[{index}].replicas (role "{name}"): cannot be changed to {number} while '
        f'scalingAdapter.enable is true and ScalingAdapter "{adapter}" has spec.replicas {replicas}'
    )


def _rollout_rule(index: int, role: Obj) -> str | None:
    """10 % of 3 replicas rounds down to 0: with maxSurge 0 nothing could ever move."""
    replicas = desired_replicas(role)
    rolling = (role.get("rolloutStrategy") or {}).get("rollingUpdate")
    if rolling is None or replicas == 0:
        return None
    at = f"spec.roles[{index}].rolloutStrategy.rollingUpdate"
    partition = resolve_count(rolling.get("partition", 0), replicas, up=True)
    if partition >= replicas:
        return f"{at}.partition: {partition} must be less than replicas {replicas}"
    unavailable = resolve_count(rolling.get("maxUnavailable", 1), replicas, up=False)
    surge = resolve_count(rolling.get("maxSurge", 0), replicas, up=True)
    if unavailable == 0 and surge == 0:
        return f"{at}: maxSurge and maxUnavailable cannot both be 0"
    return None
