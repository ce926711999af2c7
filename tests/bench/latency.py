"""How soon a value becomes a replica count, and what a role costs, on the real local control plane.

The controller runs as shipped (default sync period, its own RBAC rules). A value counts as visible once an
instant query shows it for every pod of the group; a count as written once the API server shows it.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from localplane.kube import path
from localplane.nodes import NodePool
from localplane.plane import LocalPlane, PlaneOptions
from localplane.waiting import wait_until

from tests.bench.exporter import STEADY, Exporter
from tests.bench.table import text
from tests.cluster.harness import AUTOSCALING, WORKLOADS, Controller, Served

NAMESPACE = "bench"
PROBES = 16
"""Groups whose load rises and falls, every other one with scaling adapters."""
ROUNDS = 2
BYSTANDERS = 67
"""Groups of two roles at rest."""
STEADY_SECONDS = 45.0
HIGH, LOW = 1.0, 0.3
"""On a target of 0.7: one replica at 1.0 asks for two, two at 0.3 for one."""
POLL_SECONDS = 0.05
ANCHOR = "KEDA 2.18 + HPA, measured apart: median 8.7, p95 14.6; 0.042 % of a core a target"


def bench() -> dict[str, Any]:
    """Start a plane, measure and print."""
    options = PlaneOptions(nodes=(NodePool(gpus=64),), scrape_seconds=2.0, engines=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalPlane.start(options, print) as plane,
        Exporter().serving(plane.engines_url) as exporter,
    ):
        plane.kube.create(path("v1", "namespaces"), {"metadata": {"name": NAMESPACE}})
        with _controller(plane, Path(folder)) as controller:
            return _measure(plane, exporter, controller)


@contextmanager
def _controller(plane: LocalPlane, folder: Path) -> Iterator[Controller]:
    controller = Controller.start(plane, NAMESPACE, folder, syncPeriodSeconds=5)
    try:
        wait_until(controller.leads, 60, "the controller to lead")
        yield controller
    finally:
        controller.process.kill()


def _measure(plane: LocalPlane, exporter: Exporter, controller: Controller) -> dict[str, Any]:
    idle = _cpu_share(controller, STEADY_SECONDS / 3)
    probes = [_probe(plane, number) for number in range(PROBES)]
    for number in range(BYSTANDERS):
        _serve(Served(plane, NAMESPACE, f"by{number:03d}"), ("prefill", "decode"), ())
    roles = PROBES + 2 * BYSTANDERS
    wait_until(lambda: _at_rest(plane, roles), 180, f"{roles} roles to be served and decided")
    time.sleep(40)  # all instances are expected to report by then, and nothing is written any more
    before = _written(controller)
    busy = _cpu_share(controller, STEADY_SECONDS)
    written = _written(controller) - before
    ups, downs = _samples(plane, exporter, probes)
    found = {
        "roles": roles,
        "up": _summary(ups),
        "down": _summary(downs),
        "core_percent_idle": idle * 100,
        "core_percent": busy * 100,
        "core_percent_a_role": (busy - idle) / roles * 100,
        "writes_at_rest": written,
        "rss_mib": _rss_mib(controller),
    }
    print(_told(found), flush=True)
    return found


def _probe(plane: LocalPlane, number: int) -> Served:
    served = Served(plane, NAMESPACE, f"probe{number}")
    return _serve(served, ("decode",), ("decode",) if number % 2 else ())


def _serve(served: Served, roles: tuple[str, ...], adapters: tuple[str, ...]) -> Served:
    served.create(dict.fromkeys(roles, 1), adapters=adapters, gpus=0)
    served.autoscale(roles=[_role(name) for name in roles])
    return served


def _role(name: str) -> dict[str, Any]:
    at_once = {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]}
    targets = {"KVCacheUsage": f"{round(STEADY * 1000)}m", "QueueLength": "8"}
    return {
        "name": name,
        "minReplicas": 1,
        "maxReplicas": 2,
        "startUp": {"settleSeconds": 1},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0} | at_once},
        "metrics": [
            {"signal": signal, "target": {"type": "AverageValue", "averageValue": target}}
            for signal, target in targets.items()
        ],
    }


def _at_rest(plane: LocalPlane, roles: int) -> bool:
    """Every role has its one replica ready, and a status that says so."""
    autoscalers = plane.kube.list(path(AUTOSCALING, "rbgautoscalers", NAMESPACE))
    rows = [row for one in autoscalers for row in one.get("status", {}).get("roles", ())]
    return len([row for row in rows if row["ready"] == row["granted"] == 1]) == roles


class _Watch:
    """What Prometheus and the API server show now, of all probes."""

    def __init__(self, plane: LocalPlane) -> None:
        self._plane = plane
        self._session = requests.Session()
        self._session.trust_env = False

    def usages(self) -> dict[str, list[float]]:
        """The values visible, by group."""
        promql = f'vllm:kv_cache_usage_perc{{namespace="{NAMESPACE}",pod=~"probe.*"}}'
        url = f"{self._plane.prometheus_url}/api/v1/query"
        rows = self._session.get(url, params={"query": promql}, timeout=10).json()["data"]["result"]
        found: dict[str, list[float]] = {}
        for row in rows:
            found.setdefault(row["metric"]["pod"].split("-")[0], []).append(float(row["value"][1]))
        return found

    def counts(self) -> dict[str, int]:
        """The replica counts asked for, by group: the adapter's where there is one."""
        kube = self._plane.kube
        counts = {
            group["metadata"]["name"]: int(group["spec"]["roles"][0]["replicas"])
            for group in kube.list(path(WORKLOADS, "rolebasedgroups", NAMESPACE))
        }
        for adapter in kube.list(path(WORKLOADS, "rolebasedgroupscalingadapters", NAMESPACE)):
            counts[adapter["spec"]["scaleTargetRef"]["name"]] = int(adapter["spec"].get("replicas", 0))
        return counts


class _Cycle:
    """One probe, up and down again and again; `turn()` is called every few hundredths of a second."""

    def __init__(self, name: str, exporter: Exporter) -> None:
        self._name = name
        self._exporter = exporter
        self._steps = self._run()
        self._visible_at: float | None = None
        self.usages: list[float] = []
        self.count = 1
        self.ups: list[float] = []
        self.downs: list[float] = []

    def turn(self) -> bool:
        """Go on as far as what is seen allows; whether there is more to come."""
        return next(self._steps, None) is not None

    def _run(self) -> Iterator[bool]:
        for _ in range(ROUNDS):
            yield from self._pause()
            yield from self._until(HIGH, pods=1, count=2, into=self.ups)
            while len(self.usages) < 2:  # the new pod is up and scraped
                yield True
            yield from self._pause()
            yield from self._until(LOW, pods=2, count=1, into=self.downs)
            while len(self.usages) > 1:
                yield True

    def _pause(self) -> Iterator[bool]:
        """Long enough for the last change to settle, and of no fixed length against the sync's grid."""
        end = time.monotonic() + random.uniform(8.0, 13.0)
        while time.monotonic() < end:
            yield True

    def _until(self, usage: float, *, pods: int, count: int, into: list[float]) -> Iterator[bool]:
        """Set a usage, wait until it is visible, and time the write that follows."""
        self._exporter.usage[self._name] = usage
        while len(self.usages) < pods or any(abs(seen - usage) > 0.05 for seen in self.usages):
            yield True
        visible_at = time.monotonic()
        while self.count != count:
            yield True
        into.append(time.monotonic() - visible_at)
        self._exporter.usage[self._name] = STEADY


def _samples(
    plane: LocalPlane, exporter: Exporter, probes: Sequence[Served]
) -> tuple[list[float], list[float]]:
    """Latencies up and down of all probes, each at times of its own."""
    watch = _Watch(plane)
    cycles = {probe.name: _Cycle(probe.name, exporter) for probe in probes}
    deadline = time.monotonic() + 100 * ROUNDS
    going = True
    while going:
        counts, usages = watch.counts(), watch.usages()
        going = False
        for name, cycle in cycles.items():
            cycle.count, cycle.usages = counts[name], usages.get(name, [])
            going = cycle.turn() or going
        if time.monotonic() > deadline:
            raise TimeoutError(f"the probes did not end their {ROUNDS} rounds; counts now: {counts}")
        time.sleep(POLL_SECONDS)
    ups = [seconds for cycle in cycles.values() for seconds in cycle.ups]
    downs = [seconds for cycle in cycles.values() for seconds in cycle.downs]
    return ups, downs


def _summary(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "samples": len(seconds),
        "median": statistics.median(seconds),
        "p95": statistics.quantiles(seconds, n=20, method="inclusive")[-1],
        "max": max(seconds),
    }


def _cpu_share(controller: Controller, seconds: float) -> float:
    """Part of a core that the controller's process takes over a window."""
    began, cpu = time.monotonic(), _cpu_seconds(controller)
    time.sleep(seconds)
    return (_cpu_seconds(controller) - cpu) / (time.monotonic() - began)


def _cpu_seconds(controller: Controller) -> float:
    fields = Path(f"/proc/{controller.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(controller: Controller) -> float:
    status = Path(f"/proc/{controller.process.pid}/statm").read_text().split()
    return int(status[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _written(controller: Controller) -> float:
    """Writes to the API server so far, as the controller counts them."""
    lines = controller.metrics().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("rbg_autoscaler_writes_total"))


def _told(found: dict[str, Any]) -> str:
    rows = [
        [f"visible to written, {way}, s"]
        + [f"{found[way][key]:.1f}" for key in ("median", "p95", "max")]
        + [str(found[way]["samples"])]
        for way in ("up", "down")
    ]
    latency = text(("latency at 5 s a sync", "median", "p95", "max", "samples"), rows)
    return (
        f"\n{latency}\n"
        f"controller at rest with {found['roles']} roles: {found['core_percent']:.2f} % of a core, "
        f"{found['core_percent_idle']:.2f} % with none: {found['core_percent_a_role']:.4f} % a role; "
        f"{found['rss_mib']:.0f} MiB; {found['writes_at_rest']:g} writes\n"
        f"anchor: {ANCHOR}"
    )
