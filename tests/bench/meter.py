"""CPU and wall time by step, and what the process holds in memory."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rbg_autoscaler.observe.sources import MetricsSource, QueryResult, SourceSettings
from rbg_autoscaler.operate.telemetry import Telemetry


@dataclass
class Cost:
    """Seconds of CPU (all threads) and of the clock on the wall."""

    cpu: float = 0.0
    wall: float = 0.0


@dataclass
class Clocked:
    """What one sync cost, by step."""

    steps: dict[str, Cost] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the block to a step's cost."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            cost = self.steps.setdefault(name, Cost())
            cost.cpu += time.process_time() - cpu
            cost.wall += time.perf_counter() - wall


class MeteredTelemetry(Telemetry):
    """The controller's own metrics, with the CPU of each step beside its duration."""

    def __init__(self) -> None:
        super().__init__()
        self.clocked = Clocked()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step of a sync."""
        with super().step(name), self.clocked.step(name):
            yield


class MeteredSource:
    """A metrics source that counts the CPU its threads take to fetch and parse answers."""

    def __init__(self, source: MetricsSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self.cpu = 0.0

    @property
    def settings(self) -> SourceSettings:
        """The source's own."""
        return self._source.settings

    def query(self, promql: str, timeout_seconds: float | None = None) -> QueryResult:
        """The source's own, metered."""
        began = time.thread_time()
        try:
            return self._source.query(promql, timeout_seconds)
        finally:
            with self._lock:
                self.cpu += time.thread_time() - began


def resident_mib() -> float:
    """What the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mib() -> float:
    """The most it held since it started."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
