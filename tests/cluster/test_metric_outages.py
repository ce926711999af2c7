"""Outages of every kind against the real Prometheus: nothing falls meanwhile, and a window passes after.

Both roles stand at their maximum under load; once the metrics are out the load goes, so whoever reads missing
data as little load would let them fall within the window of 5 s.
"""

import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from localplane.plane import LocalPlane
from localplane.waiting import wait_until

from tests.cluster.harness import Controller, Served
from tests.cluster.test_leadership import replica_writes
from tests.cluster.test_main_job import LOAD, ROLES, SOURCE

WINDOW = 5
SYNC = 1
COUNTS = {"prefill": 4, "decode": 2}
BUSY, IDLE = 18, 0.5
BOUNDED = [role | {"maxReplicas": COUNTS[role["name"]]} for role in ROLES]


@dataclass
class Scene:
    """A group at its maximum, its controller, and the load that keeps it there."""

    plane: LocalPlane
    served: Served
    controller: Controller
    load: dict

    def offer(self, requests_per_s):
        self.served.engines.set_load(
            self.served.namespace, "ds", requests_per_s=requests_per_s, **LOAD | self.load
        )

    def metrics_are(self, status, reason, timeout):
        """Wait for the condition MetricsAvailable; a changed reason alone is written after 15 s."""

        def told():
            condition = self.served.condition("MetricsAvailable")
            return (condition["status"], condition.get("reason")) == (status, reason)

        wait_until(told, timeout, f"MetricsAvailable {status} {reason}")

    def counts(self):
        return {role: self.served.asked(role) for role in COUNTS}

    def warnings(self, reason=None):
        """(reason, count) of the controller's Warning Events."""
        events = self.served.kube.list(f"/api/v1/namespaces/{self.served.namespace}/events")
        return [
            (event["reason"], event["count"])
            for event in events
            if event["involvedObject"]["kind"] == "RbgAutoscaler"
            and event["type"] == "Warning"
            and reason in (None, event["reason"])
        ]

    def syncs(self):
        """Syncs that went well so far."""
        counted = 'rbg_autoscaler_syncs_total{result="ok"} '
        found = (line for line in self.controller.metrics().splitlines() if line.startswith(counted))
        return float(next(found).removeprefix(counted))

    def writes(self, since):
        return replica_writes(self.plane, self.served.namespace, since)

    def stays(self, since):
        """Nothing is written for three windows, and the process is alive all the while."""
        deadline = time.monotonic() + 3 * WINDOW
        while time.monotonic() < deadline:
            assert self.controller.health("healthz")[0] == 200
            assert self.counts() == COUNTS
            time.sleep(0.5)
        assert self.writes(since) == []

    def comes_down(self, recovered_at):
        """Both roles fall to 1, the first no sooner than a window after the recovery.

        The last sync without metrics, from which the window counts, was up to a sync period before that.
        """
        for role in COUNTS:
            self.served.wait_asked(role, 1, 60)
        fell_at = min(request.at for request in self.writes(recovered_at))
        assert fell_at - recovered_at >= WINDOW - SYNC
        self.metrics_are("True", "AllRead", 30)
        assert self.controller.health("healthz")[0] == 200
        assert "Traceback" not in self.controller.log()


@pytest.fixture
def busy(plane, namespace, controllers):
    """Makes the scene: every metric is read, and nothing has been complained of."""

    def make(*, source=None, **load):
        served = Served(plane, namespace).create(COUNTS)
        settings = {"default": {"url": plane.prometheus_url} | SOURCE | (source or {})}
        made = Scene(plane, served, controllers(syncPeriodSeconds=SYNC, sources=settings), load)
        made.offer(BUSY)
        for role, count in COUNTS.items():
            served.wait_ready(role, count)
        time.sleep(SOURCE["readyGraceSeconds"] + SOURCE["rateWindowSeconds"])
        served.autoscale(roles=BOUNDED)
        made.metrics_are("True", "AllRead", 30)
        assert made.warnings() == []
        assert made.counts() == COUNTS
        return made

    return make


@contextmanager
def faulty(served, *faults):
    """Engine faults, ended whatever happens."""
    served.engines.set_faults(served.namespace, "ds", faults)
    try:
        yield
    finally:
        served.engines.clear_faults(served.namespace, "ds")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param({"kind": "silent", "mode": "503"}, "NoSeries", id="empty"),
        pytest.param({"kind": "nan"}, "NotFinite", id="nan"),
        pytest.param({"kind": "negative"}, "Negative", id="negative"),
        pytest.param({"kind": "stale", "mode": "missing"}, "NoSeries", id="missing"),
        pytest.param({"kind": "duplicated"}, "Duplicated", id="duplicated"),
    ],
)
def test_engines_that_answer_nonsense_lower_nothing(busy, fault, reason):
    scene = busy()
    since = time.time()
    with faulty(scene.served, fault):
        scene.metrics_are("False", reason, 20)
        scene.offer(IDLE)
        scene.stays(since)
        scene.metrics_are("False", reason, 1)
        assert scene.warnings(reason) == [(reason, 1)]
        recovered_at = time.time()
    scene.comes_down(recovered_at)
    assert scene.warnings(reason) == [(reason, 1)]


def test_samples_that_grow_old_lower_nothing(busy):
    """Rates over 10 s have their two samples for longer than the 5 s after which a sample is stale."""
    scene = busy(source={"rateWindowSeconds": 10}, explicit_timestamps=True)
    since = time.time()
    with faulty(scene.served, {"kind": "stale", "mode": "timestamps"}):
        scene.metrics_are("False", "Stale", 30)
        scene.offer(IDLE)
        scene.stays(since)
        assert scene.warnings("Stale") == [("Stale", 1)]
        recovered_at = time.time()
    scene.comes_down(recovered_at)
    assert scene.warnings("Stale") == [("Stale", 1)]


def test_some_pods_silent_lower_nothing(busy):
    """Half of each role reports idleness; the other half may be busy."""
    scene = busy()
    since = time.time()
    with faulty(scene.served, *({"kind": "silent", "role": role, "fraction": 0.5} for role in COUNTS)):
        scene.metrics_are("True", "Partial", 40)
        scene.offer(IDLE)
        scene.stays(since)
        scene.metrics_are("True", "Partial", 1)
        recovered_at = time.time()
    scene.comes_down(recovered_at)
    assert scene.warnings() == []


def test_prometheus_killed_lowers_nothing(plane, busy):
    scene = busy()
    since = time.time()
    plane.stop_prometheus()
    try:
        scene.metrics_are("False", "Unreachable", 20)
        scene.offer(IDLE)
        scene.stays(since)
        scene.metrics_are("False", "Unreachable", 1)
        assert scene.warnings("Unreachable") == [("Unreachable", 1)]
        recovered_at = time.time()
    finally:
        plane.start_prometheus()
    scene.comes_down(recovered_at)
    assert scene.warnings("Unreachable") == [("Unreachable", 1)]


def test_prometheus_hung_lowers_nothing_and_the_controller_stays_alive(plane, busy):
    """Each sync waits for the source's 4 s; the loop goes on all the same."""
    scene = busy()
    since = time.time()
    plane.pause("prometheus")
    try:
        scene.metrics_are("False", "TimedOut", 30)
        scene.offer(IDLE)
        before = scene.syncs()
        scene.stays(since)
        assert scene.syncs() >= before + 2
        scene.metrics_are("False", "TimedOut", 1)
        assert scene.warnings("TimedOut") == [("TimedOut", 1)]
        recovered_at = time.time()
    finally:
        plane.resume("prometheus")
    scene.comes_down(recovered_at)
    assert scene.warnings("TimedOut") == [("TimedOut", 1)]
