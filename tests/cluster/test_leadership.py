"""Several replicas of the controller on the real API server: one acts; what a change of leader may not do.

The API server's audit log tells what was written and when; the Lease tells who led.
"""

import os
import re
import signal
import time
from datetime import UTC, datetime

import pytest
from localplane.kube import path
from localplane.processes import ProcessError
from localplane.waiting import wait_until

from tests.cluster.harness import USER, Served, grant
from tests.cluster.steering import Steered
from tests.cluster.test_main_job import LOAD, SOURCE

SYNCS = 'rbg_autoscaler_syncs_total{result="ok"}'
SHORT = {"durationSeconds": 6, "renewDeadlineSeconds": 4, "retryPeriodSeconds": 1}


@pytest.fixture
def short(namespace):
    """Settings of a Lease that is soon over."""
    return {"lease": {"namespace": namespace} | SHORT}


@pytest.fixture
def steered(plane, namespace):
    group = Steered(plane, namespace).create({"prefill": 1, "decode": 1}, adapters=("decode",))
    group.steer({"prefill": 1, "decode": 1})
    return group


class Lease:
    """The Lease as the API server has it."""

    def __init__(self, kube, namespace):
        self._kube = kube
        self._path = path("coordination.k8s.io/v1", "leases", namespace, "rbg-autoscaler")

    @property
    def spec(self):
        return self._kube.get(self._path)["spec"]

    @property
    def holder(self):
        return self.spec.get("holderIdentity", "")

    @property
    def acquired_at(self):
        return datetime.fromisoformat(self.spec["acquireTime"]).timestamp()

    def take(self, holder):
        """Write the Lease as another replica of the controller would."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        spec = {"holderIdentity": holder, "acquireTime": now, "renewTime": now}
        self._kube.patch(self._path, {"spec": spec})


@pytest.fixture
def lease(kube, namespace):
    return Lease(kube, namespace)


def replica_writes(plane, namespace, since=0.0):
    """Requests of the controllers that changed a replica count, from `since` on."""
    return [
        request
        for request in plane.requests(USER, namespace)
        if request.verb == "patch"
        and request.resource in ("rolebasedgroups", "rolebasedgroupscalingadapters/scale")
        and request.at >= since
    ]


def test_of_two_controllers_one_acts(plane, namespace, steered, controllers):
    first = controllers("first")
    wait_until(first.leads, 20, "the first to lead")
    second = controllers("second")
    steered.want(prefill=3, decode=2)
    steered.settled(prefill=3, decode=2)
    assert (first.leads(), second.leads()) == (True, False)
    written = 'rbg_autoscaler_writes_total{result="written",what="replicas"}'
    assert f"{written} 2.0" in first.metrics()
    assert written not in second.metrics()
    assert len(replica_writes(plane, namespace)) == 2
    assert {request.code for request in replica_writes(plane, namespace)} == {200}


def test_a_leader_killed_is_followed_within_20_seconds(steered, controllers):
    first = controllers("first")
    wait_until(first.leads, 20, "the first to lead")
    second = controllers("second")
    steered.want(prefill=2)
    steered.settled(prefill=2)
    first.process.kill()
    killed = time.monotonic()
    steered.want(prefill=3, decode=2)
    wait_until(second.leads, 20, "the second to lead")
    assert time.monotonic() - killed <= 20
    steered.settled(prefill=3, decode=2)
    assert steered.condition("Conflict")["status"] == "False"


WINDOW = 20
PREFILL = {
    "name": "prefill",
    "minReplicas": 1,
    "maxReplicas": 6,
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": WINDOW}},
    "startUp": {"settleSeconds": 1},
    "metrics": [{"signal": "PromptTokenRate", "target": {"type": "AverageValue", "averageValue": "3k"}}],
}


def test_a_successor_begins_the_scale_down_window_anew(plane, namespace, tmp_path, lease, controllers, short):
    """The leader dies in the middle of the window of 20 s: the next one waits for 20 s from its own start."""
    served = Served(plane, namespace).create({"prefill": 4, "decode": 1})
    served.wait_ready("prefill", 4)
    served.engines.set_load(namespace, "ds", requests_per_s=12, **LOAD)
    settings = short | {"sources": {"default": {"url": plane.prometheus_url} | SOURCE}}
    first = controllers("first", **settings)
    served.autoscale(roles=[PREFILL])
    wait_until(lambda: served.condition("ScalingActive")["status"] == "True", 30, "the load to be seen")
    served.engines.set_load(namespace, "ds", requests_per_s=0.5, **LOAD)
    second = controllers("second", **settings)
    wait_until(lambda: _proposed(first, "prefill") == 1, 30, "one replica to be proposed")
    time.sleep(WINDOW / 3)
    assert served.asked("prefill") == 4
    first.process.kill()
    wait_until(second.leads, 20, "the second to lead")
    taken_at = lease.acquired_at
    served.wait_asked("prefill", 1, WINDOW + 30)
    fell = min(request.at for request in replica_writes(plane, namespace, since=taken_at))
    assert fell - taken_at >= WINDOW
    assert served.ready("prefill") >= 1


def _proposed(controller, role):
    """What the metrics ask for now: a number that moves is a metric, the status tells what it led to."""
    row = rf'^rbg_autoscaler_proposed_replicas{{.*role="{role}"}} (\S+)$'
    found = re.search(row, controller.metrics(), re.MULTILINE)
    return float(found[1]) if found else None


def test_a_leader_stopped_past_its_lease_and_resumed_writes_nothing(
    plane, namespace, steered, lease, controllers, short
):
    """Frozen after it asked for metrics and before it writes 3; resumed when another has the Lease."""
    patient = {"sources": {"default": {"url": plane.prometheus_url, "timeoutSeconds": 60}}}
    only = controllers("only", **short, **patient)
    wait_until(lambda: finished_syncs(only), 20, "its first sync")
    plane.pause("prometheus")
    try:
        wait_until(lambda: no_sync_ends(only), 20, "a sync to wait for an answer")
        steered.want(prefill=3)
        time.sleep(1)
        assert steered.asked("prefill") == 1
        only.process.pause()
    finally:
        plane.resume("prometheus")
    time.sleep(SHORT["durationSeconds"])
    lease.take("another")
    resumed_at = time.time()
    only.process.resume()
    steered.settled(prefill=3)
    assert lease.holder != "another"
    assert lease.acquired_at - resumed_at > SHORT["durationSeconds"] - 1
    requests = [one for one in plane.requests(USER, namespace) if resumed_at <= one.at < lease.acquired_at]
    assert requests  # it looked at the Lease
    assert not any(one.writes for one in requests)


def finished_syncs(controller):
    """The metric's line, empty before the first."""
    return next((line for line in controller.metrics().splitlines() if line.startswith(SYNCS)), "")


def no_sync_ends(controller):
    """Whether none ends within two periods."""
    before = finished_syncs(controller)
    time.sleep(2)
    return finished_syncs(controller) == before


def test_a_leader_stopped_and_resumed_while_another_leads_becomes_a_follower(
    plane, namespace, steered, lease, controllers, short
):
    first = controllers("first", **short)
    wait_until(first.leads, 20, "the first to lead")
    second = controllers("second", **short)
    steered.want(prefill=3)
    first.process.pause()
    wait_until(second.leads, 20, "the second to lead")
    steered.settled(prefill=3)
    successor = lease.holder
    before = len(replica_writes(plane, namespace))
    first.process.resume()
    wait_until(lambda: not first.leads(), 10, "the first to know that it does not lead")
    steered.want(prefill=2, decode=2)
    steered.settled(prefill=2, decode=2)
    assert (first.leads(), second.leads(), lease.holder) == (False, True, successor)
    assert len(replica_writes(plane, namespace)) == before + 2  # one writer's, not two's
    first.process.check()


def test_a_leader_that_ends_gives_its_lease_up(steered, lease, controllers):
    """With the default Lease of 15 s a successor would wait that long for a leader that was killed."""
    first = controllers("first")
    wait_until(first.leads, 20, "the first to lead")
    second = controllers("second")
    os.kill(first.process.pid, signal.SIGTERM)
    ended = time.time()
    wait_until(lambda: not first.process.alive, 15, "the first to end")
    wait_until(second.leads, 10, "the second to lead")
    assert lease.acquired_at - ended < 5  # it looks every 2 s
    steered.want(prefill=2)
    steered.settled(prefill=2)
    assert "ERROR" not in first.log()
    with pytest.raises(ProcessError, match="ended with code 0"):
        first.process.check()


def test_the_controller_outlives_its_api_server(plane, steered, lease, controllers, short):
    only = controllers("only", **short)
    wait_until(only.leads, 20, "it to lead")
    steered.want(prefill=2)
    steered.settled(prefill=2)
    plane.kill("kube-apiserver")
    wait_until(lambda: not only.leads(), 20, "it to know that its lease is over")
    assert only.health("healthz")[0] == 200
    plane.restart("kube-apiserver")
    wait_until(only.leads, 30, "it to lead again")
    steered.want(prefill=3, decode=2)
    steered.settled(prefill=3, decode=2)
    steered.scale("decode", 3)
    wait_until(lambda: steered.asked("decode") == 2, 30, "a change by hand to be seen and put right")
    only.process.check()


def test_a_deletion_that_no_watch_told_is_found_by_the_periodic_list(
    plane, namespace, steered, controllers, short
):
    """It happens while the watches are cut; kopf then lists anew, and what is gone is on no list."""
    hpa_path = path("autoscaling/v2", "horizontalpodautoscalers", namespace)
    target = {"apiVersion": "workloads.x-k8s.io/v1alpha2", "kind": "RoleBasedGroup", "name": "ds"}
    hpa = {"metadata": {"name": "old"}, "spec": {"scaleTargetRef": target, "maxReplicas": 2}}
    steered.kube.create(hpa_path, hpa)
    only = controllers("only", prunePeriodSeconds=10, **short)
    wait_until(lambda: steered.condition("Conflict")["status"] == "True", 30, "the HPA to be reported")
    only.process.pause()
    plane.kill("kube-apiserver")
    plane.restart("kube-apiserver")
    steered.kube.delete(f"{hpa_path}/old")
    only.process.resume()
    steered.want(prefill=2)
    wait_until(lambda: steered.condition("Conflict")["status"] == "False", 45, "the HPA to be forgotten")
    steered.settled(prefill=2)
    assert 'cache_drift_total{kind="horizontalpodautoscalers"} 1.0' in only.metrics()


def test_ready_only_when_the_caches_are_filled_and_alive_before(plane, namespace, steered, controllers):
    """A user that may read nothing: the process lives, answers, and is not ready; once it may, it is."""
    binding = path("rbac.authorization.k8s.io/v1", "clusterrolebindings", name="rbg-autoscaler")
    plane.kube.delete(binding)
    only = controllers("only", granted=False)
    wait_until(lambda: only.health("healthz")[0] == 200, 20, "it to be alive")
    assert only.health("readyz") == (503, "caches: still being filled\n")
    assert "rbg_autoscaler_leader 0.0" in only.metrics()
    grant(plane.kube, namespace)
    wait_until(lambda: only.health("readyz") == (200, "caches: ok\n"), 30, "it to be ready")
    wait_until(only.leads, 20, "it to lead")
    steered.want(prefill=2)
    steered.settled(prefill=2)
