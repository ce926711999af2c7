"""While a controller acts, a watching dry run takes over from the statuses what the controller wrote.

Without that it would take each of the controller's own writes for another writer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.envelope import memory_from_status
from rbg_autoscaler.decide.memory import Memory

Statuses = Mapping[ObjectKey, Mapping[str, Any]]

WRITTEN = (
    "written",
    "written_at",
    "replaced",
    "scale_ups",
    "scale_downs",
    "scaled_to_zero",
    "overridden_at",
    "withdrawn_at",
    "backoff_seconds",
)
"""What only the one who writes can know; recommendations are remembered here as well as there."""


def followed(memory: Memory, before: Statuses, after: Statuses, now: float) -> Memory:
    """The memory with the writes that statuses tell of since the round before."""
    roles = dict(memory.roles)
    for key, status in after.items():
        if key not in before:
            continue
        old = _blocks(before[key])
        for role, block in _blocks(status).items():
            if block != old.get(role) and (key, role) in roles:
                told = memory_from_status(block, now)
                roles[key, role] = replace(
                    roles[key, role], **{name: getattr(told, name) for name in WRITTEN}
                )
    return replace(memory, roles=roles)


def _blocks(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {role["name"]: role["memory"] for role in status.get("roles", ()) if "memory" in role}
