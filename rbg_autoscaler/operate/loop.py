"""One loop for the whole fleet: observe, decide, act, on a fixed grid of the sync period.

A sync that overruns makes the loop skip ticks and count them, never queue them. One autoscaler's trouble is
its own condition; only a fault of the sync itself is caught here, counted, and tried again a tick later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rbg_autoscaler.act.actuator import ActReport, Actuator, Fresh
from rbg_autoscaler.act.scale import Result
from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.decide import decide
from rbg_autoscaler.decide.memory import Memory
from rbg_autoscaler.decide.snapshot import Snapshot
from rbg_autoscaler.kube.client import KubeApi
from rbg_autoscaler.observe.cluster_reader import refresh_group
from rbg_autoscaler.observe.readings import QueryStats
from rbg_autoscaler.observe.snapshots import Readings, build_snapshot, targets
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.target import Target
from rbg_autoscaler.operate.collector import collector_paused
from rbg_autoscaler.operate.lease import steady_clock
from rbg_autoscaler.operate.recall import Recall
from rbg_autoscaler.operate.settings import Settings
from rbg_autoscaler.operate.telemetry import FleetState, Telemetry

log = logging.getLogger(__name__)

Read = Callable[[Sequence[Target], float], tuple[Readings, tuple[QueryStats, ...]]]
"""Reads the metrics of these targets as of now; called in a thread."""


class AnchoredClock:
    """Wall time read once, then carried on by the steady clock: a step of the wall moves no window."""

    def __init__(
        self, steady: Callable[[], float] = steady_clock, wall: Callable[[], float] = time.time
    ) -> None:
        self._steady = steady
        self._offset = wall() - steady()

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self._steady() + self._offset


@dataclass(frozen=True)
class _Pass:
    """What a race needs of the sync it happened in."""

    snapshot: Snapshot
    readings: Readings
    memory: Memory
    now: float


class FleetLoop:
    """Holds the parts together; `sync()` is one pass, `run()` the loop."""

    def __init__(
        self,
        *,
        store: ClusterStore,
        api: KubeApi,
        read: Read,
        settings: Settings,
        telemetry: Telemetry,
        is_leader: Callable[[], bool],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._api = api
        self._read = read
        self._settings = settings
        self._telemetry = telemetry
        self._is_leader = is_leader
        self._now = now
        self._sleep = sleep
        self._pass: _Pass | None = None
        self._led = False
        self._take_up()
        self.last_report: ActReport | None = None
        """What the latest sync did."""
        self.last_tick_at = now()
        """When the loop last came round, leading or not (liveness looks at it)."""

    async def run(self) -> None:
        """Tick for ever. A replica that does not lead keeps its caches warm and sends no query."""
        period = self._settings.sync_period_seconds
        due = self._now()
        while True:
            await self._sleep(max(0.0, due - self._now()))
            await self.tick()
            self.last_tick_at = self._now()
            missed = int((self._now() - due) // period)
            if missed:
                self._telemetry.skipped.inc(missed)
            due += period * (missed + 1)

    async def tick(self) -> None:
        """One turn: a sync if this replica leads."""
        leads = self._is_leader()
        self._telemetry.is_leader.set(leads)
        if not leads:
            self._led = False
            self._telemetry.fleet = None
            return
        if not self._led:
            self._take_up()
            self._led = True
        try:
            with collector_paused():
                await self.sync()
        except Exception:
            log.exception("sync failed; the next one tries again")
            self._telemetry.syncs.labels("failed").inc()
        else:
            self._telemetry.syncs.labels("ok").inc()
            self._telemetry.last_success.set(self._now())

    def _take_up(self) -> None:
        """Begin a leadership with nothing of an earlier one: another may have led and written since."""
        self._recall = Recall()
        self._actuator = Actuator(
            self._api,
            config=self._settings.decide,
            may_act=self._is_leader,
            redecide=self._redecide,
            max_in_flight=self._settings.max_writes_in_flight,
            sleep=self._sleep,
        )

    async def sync(self) -> ActReport:
        """Observe, decide and act once."""
        step = self._telemetry.step
        now = self._now()
        with step("observe"):
            wanted = targets(self._store)
        with step("query"):
            readings, stats = await asyncio.to_thread(self._read, wanted, now)
        self._count_queries(stats)
        # A server that hung for 4 s was last missing now: a window of 5 s from before would be over in 1 s.
        now = self._now()
        with step("snapshot"):
            snapshot = build_snapshot(self._store, readings, now)
            statuses = self._store.statuses()
            before = self._recall.before(snapshot, statuses, now)
        self._pass = _Pass(snapshot, readings, before, now)
        with step("decide"):
            decisions, memory = decide(snapshot, before, now, self._settings.decide)
        self._telemetry.fleet = FleetState(snapshot, decisions)
        with step("act"):
            report = await self._actuator.act(snapshot, decisions, before, memory, statuses, now)
        self._recall.after(report.memory)
        self._telemetry.fleet = FleetState(snapshot, report.decisions)
        self.last_report = report
        self._tell(report)
        return report

    async def _redecide(self, key: ObjectKey) -> Fresh | None:
        """After a race: read the group again, decide again with the same samples."""
        if self._pass is None:
            return None
        view = next((v for v in self._pass.snapshot.autoscalers if v.key == key), None)
        if view is None:
            return None
        await refresh_group(self._api, self._store, ObjectKey(key.namespace, view.spec.target))
        snapshot = build_snapshot(self._store, self._pass.readings, self._pass.now)
        decisions, memory = decide(snapshot, self._pass.memory, self._pass.now, self._settings.decide)
        fresh = next((v for v in snapshot.autoscalers if v.key == key), None)
        decision = next((d for d in decisions if d.key == key), None)
        return Fresh(fresh, decision, memory) if fresh and decision else None

    def _count_queries(self, stats: tuple[QueryStats, ...]) -> None:
        for one in stats:
            self._telemetry.query_seconds.labels(one.source).observe(one.seconds)
            self._telemetry.queries.labels(one.source, one.reason or "ok").inc()

    def _tell(self, report: ActReport) -> None:
        """One log line for each thing done, none at rest."""
        self._telemetry.writes.labels("status", "written").inc(report.statuses_written)
        self._telemetry.writes.labels("event", "written").inc(report.events_written)
        for key, outcomes in report.outcomes.items():
            for outcome in outcomes:
                self._telemetry.writes.labels("replicas", outcome.result.value).inc()
                log.log(
                    logging.INFO if outcome.result is Result.WRITTEN else logging.WARNING,
                    "replicas %s",
                    outcome.result.value,
                    extra={
                        "autoscaler": str(key),
                        "role": outcome.role.role,
                        "from": outcome.role.current,
                        "to": outcome.role.granted,
                        "reason": outcome.role.reason,
                        "why": outcome.message or outcome.role.message,
                    },
                )
