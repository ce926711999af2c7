"""Carries decisions out: replica counts first, then statuses, then Events, each only where something changed.

Leadership is asked again before every write. A race is re-read and decided again, at most three times; then
the next sync has its turn. Recommend takes the same way and stops before the replica counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rbg_autoscaler.act.events import EventWriter, Note
from rbg_autoscaler.act.scale import REBIND_SECONDS, Outcome, Result, RoleWriter
from rbg_autoscaler.act.status import StatusWriter
from rbg_autoscaler.api.types import Mode, ObjectKey
from rbg_autoscaler.decide.conditions import whole_conditions
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decide import record_failure, record_write
from rbg_autoscaler.decide.decision import Decision, RoleDecision
from rbg_autoscaler.decide.memory import Memory, RoleMemory
from rbg_autoscaler.decide.rescale import conditions_after, conditions_after_failure
from rbg_autoscaler.decide.snapshot import AutoscalerView, GroupView, Snapshot, WritePath
from rbg_autoscaler.kube.client import KubeApi, KubeError

log = logging.getLogger(__name__)

ATTEMPTS = 3


@dataclass(frozen=True)
class Fresh:
    """One autoscaler read again and decided again after a race."""

    view: AutoscalerView
    decision: Decision
    memory: Memory


class Redecide(Protocol):
    """Reads one autoscaler's group afresh and decides again; None when it is gone."""

    def __call__(self, key: ObjectKey) -> Awaitable[Fresh | None]:
        """The autoscaler as it stands now."""


@dataclass(frozen=True)
class ActReport:
    """What was done."""

    memory: Memory
    decisions: tuple[Decision, ...]
    """The decisions as they stood after races."""
    outcomes: Mapping[ObjectKey, tuple[Outcome, ...]] = field(default_factory=dict)
    statuses_written: int = 0
    events_written: int = 0

    @property
    def writes(self) -> int:
        """API writes of any kind; 0 at rest."""
        written = sum(o.result is Result.WRITTEN for outcomes in self.outcomes.values() for o in outcomes)
        return written + self.statuses_written + self.events_written


@dataclass(frozen=True)
class _Carried:
    """One autoscaler after its replica counts were written."""

    view: AutoscalerView
    decision: Decision
    outcomes: tuple[Outcome, ...]
    memory: Memory | None
    """Set when the autoscaler was decided again."""


class Actuator:
    """The last stage."""

    def __init__(
        self,
        api: KubeApi,
        *,
        config: DecideConfig,
        may_act: Callable[[], bool],
        redecide: Redecide,
        max_in_flight: int = 16,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._may_act = may_act
        self._redecide = redecide
        self._roles = RoleWriter(api)
        self._sleep = sleep
        self._statuses = StatusWriter(api, config)
        self._events = EventWriter(api)
        self._slots = asyncio.Semaphore(max_in_flight)

    async def act(
        self,
        snapshot: Snapshot,
        decisions: Sequence[Decision],
        before: Memory,
        memory: Memory,
        statuses: Mapping[ObjectKey, Mapping[str, Any]],
        now: float,
    ) -> ActReport:
        """Carry out the decisions of one sync.

        `before` and `memory` are what the decisions were made from and what they left behind. `statuses` are
        the autoscalers' statuses as last read: one that says the same already is not written. `now` stamps
        scale events, conditions and Events.
        """
        views = {view.key: view for view in snapshot.autoscalers}
        busy = [decision for decision in decisions if _changes(views[decision.key], decision, ())]
        carried = await asyncio.gather(
            *(self._carry_out(views[decision.key], decision, memory) for decision in busy)
        )
        memory = _remember(before, memory, carried, now)
        after = {one.decision.key: one for one in carried}
        outcomes = {key: one.outcomes for key, one in after.items() if one.outcomes}
        final = tuple(_told(after[d.key]) if d.key in after else d for d in decisions)
        tasks = []
        for one in final:
            view = after[one.key].view if one.key in after else views[one.key]
            status = self._statuses.change(view, one, memory, statuses, now)
            notes = self._events.news(one.key, one, outcomes.get(one.key, ()), now)
            if status is not None or notes:
                tasks.append(self._report(view, status, notes, now))
        written = await asyncio.gather(*tasks)
        self._statuses.forget(views)
        self._events.forget(views)
        return ActReport(
            memory,
            final,
            outcomes,
            statuses_written=sum(status for status, _ in written),
            events_written=sum(events for _, events in written),
        )

    async def _report(
        self, view: AutoscalerView, status: Mapping[str, Any] | None, notes: Sequence[Note], now: float
    ) -> tuple[int, int]:
        """Write one autoscaler's status and Events; returns how many of each."""
        async with self._slots:
            if not self._may_act():
                return 0, 0
            statuses = 0
            if status is not None:
                try:
                    await self._statuses.write(view, status)
                    statuses = 1
                except KubeError as error:
                    log.warning(
                        "status not written", extra={"autoscaler": str(view.key), "error": str(error)}
                    )
            return statuses, await self._events.write(view, notes, now)

    async def _carry_out(self, view: AutoscalerView, decision: Decision, memory: Memory) -> _Carried:
        """Write one autoscaler's replica counts, deciding again after each race."""
        done: tuple[Outcome, ...] = ()
        fresh_memory: Memory | None = None
        for _ in range(ATTEMPTS):
            changes = _changes(view, decision, done)
            if not changes or view.group is None:
                break
            outcomes = await self._write(view.group, changes)
            if outcomes is None:
                break
            first = _first_writes(fresh_memory or memory, view, outcomes)
            if first:
                await self._sleep(REBIND_SECONDS)
                async with self._slots:
                    outcomes = await self._roles.confirm(view.group, outcomes, first)
            done = (*(o for o in done if o.result is Result.WRITTEN), *outcomes)
            if all(outcome.result is not Result.MOVED for outcome in outcomes):
                break
            fresh = await self._read_again(view.key)
            if fresh is None:
                break
            view, decision, fresh_memory = fresh.view, fresh.decision, fresh.memory
        return _Carried(view, decision, done, fresh_memory)

    async def _write(self, group: GroupView, changes: Sequence[RoleDecision]) -> tuple[Outcome, ...] | None:
        """The roles' writes, in a slot of their own; None when this replica leads no more."""
        async with self._slots:
            return await self._roles.write(group, changes) if self._may_act() else None

    async def _read_again(self, key: ObjectKey) -> Fresh | None:
        """The autoscaler decided again; None when it is gone or cannot be read, which the next sync can."""
        try:
            return await self._redecide(key)
        except KubeError as error:
            log.warning("group not read again", extra={"autoscaler": str(key), "error": str(error)})
            return None


def _changes(view: AutoscalerView, decision: Decision, done: Sequence[Outcome]) -> list[RoleDecision]:
    """The roles to write now: none outside mode Auto, none that was written in an earlier attempt."""
    if view.spec.mode is not Mode.AUTO or decision.refusal is not None:
        return []
    written = {outcome.role.role for outcome in done if outcome.result is Result.WRITTEN}
    return [role for role in decision.roles if role.changes and role.role not in written]


def _first_writes(memory: Memory, view: AutoscalerView, outcomes: Sequence[Outcome]) -> frozenset[str]:
    """The roles whose adapter this controller wrote for the first time."""
    paths = {role.name: role.write_path for role in view.group.roles} if view.group else {}
    written = (outcome.role.role for outcome in outcomes if outcome.result is Result.WRITTEN)
    return frozenset(
        role
        for role in written
        if paths.get(role) is WritePath.ADAPTER
        and memory.roles.get((view.key, role), RoleMemory()).written is None
    )


def _told(one: _Carried) -> Decision:
    """The decision with the conditions that its writes, or their failures, made of it."""
    ends = {outcome.role.role: outcome for outcome in one.outcomes}
    rows = tuple(_row(role, ends.get(role.role)) for role in one.decision.roles)
    if rows == one.decision.roles:
        return one.decision
    return replace(one.decision, roles=rows, conditions=whole_conditions(one.view.spec, rows))


def _row(role: RoleDecision, outcome: Outcome | None) -> RoleDecision:
    if outcome is None or outcome.result is Result.MOVED:
        return role
    if outcome.result is Result.WRITTEN:
        return replace(role, conditions=conditions_after(outcome.role))
    return replace(role, conditions=conditions_after_failure(outcome.role, outcome.message))


def _remember(before: Memory, memory: Memory, carried: Sequence[_Carried], now: float) -> Memory:
    """The memory with the races' new decisions, what was written, and what failed to be."""
    for one in carried:
        key = one.decision.key
        if one.memory is not None:
            again = {slot: value for slot, value in one.memory.roles.items() if slot[0] == key}
            memory = replace(memory, roles={**memory.roles, **again})
        for outcome in one.outcomes:
            if outcome.result is Result.WRITTEN:
                memory = record_write(memory, key, outcome.role, now)
            elif outcome.result is Result.FAILED:
                memory = record_failure(memory, before, key, outcome.role)
    return memory
