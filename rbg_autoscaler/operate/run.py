"""`rbg-autoscaler run`: starts the parts in their order and stops them all when one ends.

Lease elector, cache pruner, fleet loop and kopf run side by side in one asyncio loop; health answers from the
first moment, and says not ready until the caches are full.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import kopf

from rbg_autoscaler.kube.client import KubernetesApi
from rbg_autoscaler.observe.readings import QueryStats, read_metrics
from rbg_autoscaler.observe.servers import build_sources
from rbg_autoscaler.observe.snapshots import Readings
from rbg_autoscaler.observe.sources import MetricsSource
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.target import Target
from rbg_autoscaler.operate import health, logs, watch
from rbg_autoscaler.operate.lease import Elector
from rbg_autoscaler.operate.loop import AnchoredClock, FleetLoop
from rbg_autoscaler.operate.settings import Settings
from rbg_autoscaler.operate.telemetry import Telemetry

log = logging.getLogger(__name__)


def run(settings: Settings, kubeconfig: Path | None = None) -> None:
    """Run the controller until SIGTERM or SIGINT."""
    logs.set_up(settings.log.level, settings.log.format)
    if kubeconfig is not None:
        # kopf logs in by itself and knows only this variable.
        os.environ["KUBECONFIG"] = str(kubeconfig)
    asyncio.run(_main(settings, kubeconfig))


async def _main(settings: Settings, kubeconfig: Path | None) -> None:
    api = KubernetesApi(kubeconfig=kubeconfig)
    store = ClusterStore()
    telemetry = Telemetry()
    now = AnchoredClock()
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    elector = Elector(api, settings.lease, identity)
    pruner = watch.Pruner(api, store, settings.namespaces, telemetry)
    loop = FleetLoop(
        store=store,
        api=api,
        read=partial(_read, build_sources(settings.sources)),
        settings=settings,
        telemetry=telemetry,
        is_leader=elector.is_leader,
        now=now,
    )
    runner, port = await health.serve(
        settings.server.host,
        settings.server.port,
        telemetry.registry,
        alive=_alive(settings, loop, elector, pruner, now),
        ready=[health.Check("caches", lambda: None if pruner.filled else "still being filled")],
    )
    log.info("started", extra={"identity": identity, "port": port})
    try:
        await _until_one_ends(
            [
                asyncio.create_task(_lead(elector, pruner), name="lease"),
                asyncio.create_task(pruner.run(settings.prune_period_seconds), name="prune"),
                asyncio.create_task(loop.run(), name="loop"),
                asyncio.create_task(_watch(store, pruner, settings), name="watch"),
            ]
        )
    finally:
        await runner.cleanup()
        await api.close()


def _read(
    sources: Mapping[str, MetricsSource], wanted: Sequence[Target], now: float
) -> tuple[Readings, tuple[QueryStats, ...]]:
    return read_metrics(wanted, sources, now)


def _alive(
    settings: Settings, loop: FleetLoop, elector: Elector, pruner: watch.Pruner, now: AnchoredClock
) -> Sequence[health.Check]:
    """Stuck means: no turn for a minute or six periods, no round of the elector for twice a lease."""
    patience = max(60.0, 6 * settings.sync_period_seconds)
    lease = 2.0 * settings.lease.duration_seconds

    def looping() -> str | None:
        silent = now() - loop.last_tick_at
        return f"no turn for {silent:.0f} s" if silent > patience else None

    def electing() -> str | None:
        silent = elector.seconds_since_round()
        return f"no round for {silent:.0f} s" if pruner.filled and silent > lease else None

    return [health.Check("loop", looping), health.Check("lease", electing)]


async def _lead(elector: Elector, pruner: watch.Pruner) -> None:
    """A replica that knows nothing yet must not hold the Lease that another could act on."""
    await pruner.wait_filled()
    await elector.run()


async def _watch(store: ClusterStore, pruner: watch.Pruner, settings: Settings) -> None:
    await pruner.wait_filled()
    await kopf.operator(
        registry=watch.registry(store, pruner.kinds),
        settings=watch.settings(pruner.kinds),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        standalone=True,
    )


async def _until_one_ends(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for a signal or for any part to end; then stop the rest, the elector last to give the lease up."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    waiting = asyncio.create_task(stop.wait(), name="signal")
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (*reversed(tasks), waiting):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for task in done - {waiting}:
        # kopf takes the signals for itself and then ends without an error.
        if task.exception() is not None:
            log.error("stopped because a part failed", extra={"part": task.get_name()})
        task.result()
