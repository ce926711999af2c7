"""The laws of one role's bounds, of the list of roles and of the target reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rbg_autoscaler.api.rules import BROKEN, Rule, given, items, known, repeated


def _bounds(role: Any) -> Iterator[str]:
    if (ok := given(role, "minReplicas", "maxReplicas")) and ok["minReplicas"] > ok["maxReplicas"]:
        yield ".minReplicas"


def _gang_step(role: Any) -> Iterator[str]:
    if ok := given(role, "minReplicas", "maxReplicas", "gangStep"):
        step, low, high = ok["gangStep"], ok["minReplicas"], ok["maxReplicas"]
        if low <= high and high // step * step < max(low, 1):
            yield ".gangStep"


def _to_zero(role: Any) -> Iterator[str]:
    if (ok := given(role, "minReplicas", "metrics")) and ok["minReplicas"] == 0:
        kinds = [item.get("type") for _, item in items(ok["metrics"])]
        if not {"Object", "External", BROKEN} & set(kinds) and BROKEN not in ok["metrics"]:
            yield ".minReplicas"


ROLE = (
    Rule(
        "minReplicas is above maxReplicas: lower the one or raise the other",
        "self.minReplicas <= self.maxReplicas",
        ".minReplicas",
        _bounds,
    ),
    Rule(
        "no multiple of gangStep lies within minReplicas..maxReplicas: raise maxReplicas or lower gangStep",
        "self.minReplicas > self.maxReplicas || self.maxReplicas / self.gangStep * self.gangStep >= "
        "(self.minReplicas > 1 ? self.minReplicas : 1)",
        ".gangStep",
        _gang_step,
    ),
    Rule(
        "minReplicas 0 needs an Object or External metric, for a role without pods tells nothing of its "
        "load: add one or set minReplicas to 1",
        "self.minReplicas > 0 || self.metrics.exists(m, m.type == 'Object' || m.type == 'External')",
        ".minReplicas",
        _to_zero,
    ),
)

TARGET_REF = (
    Rule(
        "targetRef cannot be changed: make another RbgAutoscaler for another group",
        "self == oldSelf",
    ),
)


def _same_role_twice(roles: Any) -> Iterator[str]:
    for index, _ in repeated(roles, lambda role: known(role.get("name"))):
        yield f"[{index}].name"


ROLES = (Rule("the role is there twice: each role of the group has one entry", None, "", _same_role_twice),)
"""The API server knows this one from the list's map keys and words it itself."""
