"""What a sync costs at one size: a real loop, store, sources and clients against a world in another process.

Run as `python -m tests.bench.sync ROLES SYNCS`, in a process of its own for each size: it prints the result
as JSON. The CPU of a step is that of the whole process meanwhile, threads included.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from prometheus_client.exposition import generate_latest

from rbg_autoscaler.kube.client import KubernetesApi
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.readings import QueryStats, Readings, read_metrics
from rbg_autoscaler.observe.servers import build_sources
from rbg_autoscaler.observe.sources import SourceSettings
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.target import Target
from rbg_autoscaler.operate.loop import FleetLoop
from rbg_autoscaler.operate.settings import Settings

# Loads kopf as well, as the controller does: it counts as memory.
from rbg_autoscaler.operate.watch import Pruner
from tests.bench.meter import Clocked, Cost, MeteredSource, MeteredTelemetry, peak_mib, resident_mib
from tests.bench.world import World, world

WARM_UPS = 3
"""The first sync writes every status; two more pass before anything is measured."""
PERIOD_SECONDS = 5.0
SOURCE = "default"

STEPS = {
    "observe": "observe (views)",
    "query": "query (ask, parse, join)",
    "fetch": "  of it in the threads that ask and parse",
    "snapshot": "snapshot",
    "decide": "decide",
    "act": "act (compare statuses)",
    "sync": "whole sync",
}
"""The parts of a sync that are measured, and the whole."""


@dataclass
class Spread:
    """Median, least and most of several syncs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass
class SyncResult:
    """One size, measured."""

    roles: int
    syncs: int
    cpu: dict[str, Spread]
    """Seconds of CPU a sync by step; "sync" is the whole, "fetch" the part of "query" in its threads."""
    wall: dict[str, Spread]
    first: Cost
    """The first sync after a start, which writes every status."""
    first_writes: int
    fill: Cost
    """Listing the whole cluster into the caches."""
    scrape: Cost
    """Rendering /metrics once."""
    queries: float
    """Per sync, as the server saw them."""
    writes: int
    """In all measured syncs together, as the API server saw them."""
    resident_mib: float
    peak_mib: float
    """Up to the end of the measured syncs."""
    scraped_peak_mib: float
    """The peak after /metrics was rendered as well."""


class Bench:
    """One controller, its caches filled; `sync()` is one period later."""

    def __init__(self, at: World, api: KubernetesApi) -> None:
        # On a busy machine 4 s can be short, and missing metrics cost something else.
        source_settings = SourceSettings(url=at.prometheus_url, timeout_seconds=60)
        settings = Settings(sources={SOURCE: source_settings})
        (source,) = build_sources(settings.sources).values()
        self._world = at
        self._now = time.time()
        self.source = MeteredSource(source)
        self.telemetry = MeteredTelemetry()
        self.store = ClusterStore()
        self.pruner = Pruner(api, self.store, (), self.telemetry, tuple(Kind))
        self.loop = FleetLoop(
            store=self.store,
            api=api,
            read=partial(_read, self.source),
            settings=settings,
            telemetry=self.telemetry,
            is_leader=lambda: True,
            now=lambda: self._now,
        )

    async def sync(self) -> Clocked:
        """Let a period pass and the values move, and sync."""
        await self._world.move_on()
        self._now += PERIOD_SECONDS
        clocked = self.telemetry.clocked = Clocked()
        fetched = self.source.cpu
        with clocked.step("sync"):
            await self.loop.tick()
        clocked.steps["fetch"] = Cost(cpu=self.source.cpu - fetched)
        return clocked


async def measure(roles: int, syncs: int) -> SyncResult:
    """Start a world and a controller, and measure syncs of it at rest."""
    with tempfile.TemporaryDirectory() as folder, world(roles, Path(folder)) as at:
        api = KubernetesApi(at.kubeconfig)
        try:
            return await _measure(Bench(at, api), at, roles, syncs)
        finally:
            await api.close()


async def _measure(bench: Bench, at: World, roles: int, syncs: int) -> SyncResult:
    once = Clocked()
    with once.step("fill"):
        await bench.pruner.round()
    warm = [await bench.sync() for _ in range(WARM_UPS)]
    before = await at.counts()
    measured = [await bench.sync() for _ in range(syncs)]
    counts = await at.counts() - before
    resident, peak = resident_mib(), peak_mib()
    with once.step("scrape"):
        generate_latest(bench.telemetry.registry)
    return SyncResult(
        roles=roles,
        syncs=syncs,
        cpu={step: Spread.of([one.steps[step].cpu for one in measured]) for step in STEPS},
        wall={step: Spread.of([one.steps[step].wall for one in measured]) for step in STEPS},
        first=warm[0].steps["sync"],
        first_writes=before["writes"],
        fill=once.steps["fill"],
        scrape=once.steps["scrape"],
        queries=counts["queries"] / syncs,
        writes=counts["writes"],
        resident_mib=resident,
        peak_mib=peak,
        scraped_peak_mib=peak_mib(),
    )


def _read(
    source: MeteredSource, wanted: Sequence[Target], now: float
) -> tuple[Readings, tuple[QueryStats, ...]]:
    return read_metrics(wanted, {SOURCE: source}, now)


if __name__ == "__main__":
    result = asyncio.run(measure(int(sys.argv[1]), int(sys.argv[2])))
    print(json.dumps(asdict(result)))
