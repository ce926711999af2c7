"""Memory across syncs, restarts and leader changes: read from the status once, then carried along.

A new leader begins with none and so reads the statuses; an autoscaler made again under its old name has no
past. Which group a memory belongs to, `decide` sees to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.envelope import memory_from_status
from rbg_autoscaler.decide.memory import Memory
from rbg_autoscaler.decide.snapshot import Snapshot


class Recall:
    """One leadership's memory."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._known: dict[ObjectKey, str] = {}

    def before(
        self, snapshot: Snapshot, statuses: Mapping[ObjectKey, Mapping[str, Any]], now: float
    ) -> Memory:
        """The memory a sync starts from, newcomers restored from their status."""
        living = {view.key: view.uid for view in snapshot.autoscalers}
        strangers = {key for key, uid in living.items() if self._known.get(key) != uid}
        if strangers:
            newcomers = {key: statuses.get(key, {}) for key in strangers - self._known.keys()}
            self._memory = _restored(_without(self._memory, strangers), newcomers, now)
        self._known = living
        return self._memory

    def after(self, memory: Memory) -> None:
        """Keep what the sync remembered."""
        self._memory = memory


def _without(memory: Memory, keys: set[ObjectKey]) -> Memory:
    return replace(
        memory,
        roles={slot: one for slot, one in memory.roles.items() if slot[0] not in keys},
        held={key: one for key, one in memory.held.items() if key not in keys},
        targets={key: uid for key, uid in memory.targets.items() if key not in keys},
    )


def _restored(memory: Memory, statuses: Mapping[ObjectKey, Mapping[str, Any]], now: float) -> Memory:
    """The memory with what these autoscalers' statuses remember."""
    roles = dict(memory.roles)
    targets = dict(memory.targets)
    for key, status in statuses.items():
        if "targetUid" not in status:
            continue
        targets[key] = status["targetUid"]
        for role in status.get("roles", ()):
            if "memory" in role:
                roles[key, role["name"]] = memory_from_status(role["memory"], now)
    return replace(memory, roles=roles, targets=targets)
