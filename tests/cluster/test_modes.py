"""The three modes under a real load, switched in mid-run; and what an autoscaler at rest leaves alone."""

import time

import pytest
from localplane.kube import path
from localplane.waiting import wait_until

from tests.cluster.harness import AUTOSCALING, USER, WORKLOADS, Served
from tests.cluster.steering import GREEDY, Steered
from tests.cluster.test_leadership import replica_writes
from tests.cluster.test_main_job import FAST_DOWN, LOAD, ROLES, SOURCE

WINDOW = 5
ROLE_NAMES = ("prefill", "decode")
START = {"prefill": 3, "decode": 1}


@pytest.fixture
def served(plane, namespace):
    """prefill behind an adapter, decode plain; under a load that asks for more of both."""
    served = Served(plane, namespace).create(START, adapters=("prefill",))
    for role, count in START.items():
        served.wait_ready(role, count)
    # 11 000 prompt tokens/s at 3 000 a replica are 3.7 replicas: small waves move no number.
    served.engines.set_load(namespace, "ds", requests_per_s=11, **LOAD)
    return served


def switch(served, mode):
    """Set the mode, and wait until it was taken note of."""
    at = path(AUTOSCALING, "rbgautoscalers", served.namespace, served.name)
    generation = served.kube.patch(at, {"spec": {"mode": mode}})["metadata"]["generation"]
    wait_until(lambda: served.status().get("observedGeneration") == generation, 20, f"mode {mode} to be seen")


def versions(served):
    """resourceVersion and generation of all that a replica count could be written to."""
    objs = [served.group()]
    for kind in ("rolebasedgroupscalingadapters", "roleinstancesets"):
        objs += served.kube.list(path(WORKLOADS, kind, served.namespace))
    return {
        (obj["metadata"]["name"], obj["metadata"]["uid"]): (
            obj["metadata"]["resourceVersion"],
            obj["metadata"]["generation"],
        )
        for obj in objs
    }


def granted(served):
    """What the status says would be, or was, written for each role."""
    return {role["name"]: role["granted"] for role in served.status().get("roles", ())}


def asked(served):
    return {role: served.asked(role) for role in ROLE_NAMES}


def steady(served):
    """What is recommended once it is more of both roles and has been the same for 8 s."""
    since, last = time.monotonic(), {}

    def is_steady():
        nonlocal since, last
        if (counts := granted(served)) != last:
            since, last = time.monotonic(), counts
        more = len(counts) == 2 and all(counts[role] > START[role] for role in START)
        return more and time.monotonic() - since > 8

    wait_until(is_steady, 60, "more of both roles to be recommended")
    return last


def test_what_is_recommended_is_what_auto_then_does(plane, namespace, served, controllers):
    at_rest = versions(served)
    served.autoscale(roles=ROLES, mode="Recommend")
    controllers(sources={"default": {"url": plane.prometheus_url} | SOURCE})
    recommended = steady(served)
    summary = served.status()["summary"]
    assert versions(served) == at_rest
    switch(served, "Auto")
    assert recommended == granted(served)
    assert summary == ", ".join(f"{role} {START[role]}->{count}" for role, count in recommended.items())
    for role, count in recommended.items():
        served.wait_asked(role, count, 5)
    # Nobody is asked for more before the first new replicas have settled: each role was written once.
    first = replica_writes(plane, namespace)[:2]
    assert {write.resource for write in first} == {"rolebasedgroups", "rolebasedgroupscalingadapters/scale"}


def test_modes_are_switched_in_mid_run(plane, namespace, served, controllers):
    """Paused and Recommend each stop what Auto began, and Auto goes on with a window begun anew."""
    served.autoscale(roles=ROLES)
    controller = controllers(sources={"default": {"url": plane.prometheus_url} | SOURCE})
    wait_until(lambda: min(map(int.__sub__, asked(served).values(), START.values())) > 0, 60, "two raises")
    switch(served, "Paused")
    paused = asked(served)
    since = time.time()
    for role in ROLE_NAMES:
        served.wait_ready(role, paused[role])
    ready = served.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Paused")
    served.engines.set_load(namespace, "ds", requests_per_s=0.5, **LOAD)
    time.sleep(2 * WINDOW)
    assert asked(served) == paused
    switch(served, "Recommend")
    wait_until(lambda: granted(served) == {"prefill": 1, "decode": 1}, 30, "1 of each to be recommended")
    at_rest = versions(served)
    assert asked(served) == paused
    time.sleep(WINDOW)
    assert versions(served) == at_rest
    assert replica_writes(plane, namespace, since) == []
    assert 'mode="Recommend"' in controller.metrics()
    switch(served, "Auto")
    for role in ROLE_NAMES:
        served.wait_asked(role, 1, 20)
    assert served.condition("Conflict")["status"] == "False"


def test_after_a_pause_the_scale_down_window_begins_anew(plane, namespace, controllers):
    """The load went at the pause's beginning; the pause is two windows long, and one more is waited for."""
    served = Served(plane, namespace).create({"prefill": 4, "decode": 1})
    served.wait_ready("prefill", 4)
    served.engines.set_load(namespace, "ds", requests_per_s=12, **LOAD)
    served.autoscale(roles=[ROLES[0] | {"maxReplicas": 4}])
    controllers(sources={"default": {"url": plane.prometheus_url} | SOURCE})
    wait_until(lambda: served.condition("ScalingActive")["status"] == "True", 30, "the load to be seen")
    switch(served, "Paused")
    since = time.time()
    served.engines.set_load(namespace, "ds", requests_per_s=0.5, **LOAD)
    time.sleep(2 * WINDOW)
    ended = time.time()
    switch(served, "Auto")
    served.wait_asked("prefill", 1, 30)
    (first, *_) = replica_writes(plane, namespace, since)
    assert first.at - ended >= WINDOW


def test_paused_from_the_start_writes_no_count(plane, namespace, controllers):
    steered = Steered(plane, namespace).create(dict.fromkeys(ROLE_NAMES, 1), adapters=("decode",))
    for role in ROLE_NAMES:
        steered.wait_ready(role, 1)
    at_rest = versions(steered)
    steered.steer({"prefill": 3, "decode": 2}, mode="Paused")
    controllers()
    steered.wait_reason("prefill", "Paused")
    time.sleep(3)
    assert versions(steered) == at_rest
    assert {one.resource for one in plane.requests(USER, namespace) if one.writes} <= {
        "rbgautoscalers/status",
        "leases",
    }
    switch(steered, "Auto")
    steered.settled(prefill=3, decode=2)


def test_at_rest_nothing_is_written_and_nothing_is_left_on_the_objects(plane, namespace, controllers):
    """Values move by 3 %, which moves no replica: for 20 s only the Lease is written."""
    served = Served(plane, namespace).create({"prefill": 4, "decode": 1}, adapters=("decode",))
    served.wait_ready("prefill", 4)
    # 10 s up and 10 s down: a shorter wave would be even over the rate's window of 5 s.
    wave = [[at, 12 * (1.03 if at // 10 % 2 else 0.97)] for at in range(0, 120, 2)]
    served.engines.set_load(namespace, "ds", schedule=wave, **LOAD)
    busy = {"name": "prefill", "minReplicas": 1, "maxReplicas": 6, "behavior": FAST_DOWN}
    busy |= {"metrics": ROLES[0]["metrics"][1:]}
    greedy = {"name": "decode", "minReplicas": 1, "maxReplicas": 2, "metrics": GREEDY}
    time.sleep(SOURCE["rateWindowSeconds"])
    at = served.autoscale(roles=[busy, greedy])
    controller = controllers(sources={"default": {"url": plane.prometheus_url} | SOURCE})
    served.wait_ready("decode", 2)
    served.wait_asked("prefill", 4)
    time.sleep(12)
    before = {**versions(served), "autoscaler": served.kube.get(at)["metadata"]["resourceVersion"]}
    since, seen = time.time(), set()
    while time.time() < since + 20:
        seen |= {line for line in controller.metrics().splitlines() if "metric_value{" in line}
        time.sleep(0.5)
    assert {**versions(served), "autoscaler": served.kube.get(at)["metadata"]["resourceVersion"]} == before
    assert len([line for line in seen if 'role="prefill"' in line]) > 1  # the values did move
    written = {one.resource for one in plane.requests(USER, namespace) if one.writes and one.at >= since}
    assert written == {"leases"}
    autoscaler, group = served.kube.get(at)["metadata"], served.group()["metadata"]
    assert not {"finalizers", "annotations"} & autoscaler.keys()
    assert "finalizers" not in group
    for entry in (*autoscaler["managedFields"], *group["managedFields"]):
        if entry["manager"] in ("rbg-autoscaler", "kopf"):
            assert "f:metadata" not in entry["fieldsV1"]
