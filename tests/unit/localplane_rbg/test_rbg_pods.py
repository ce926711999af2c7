"""Pods of an instance: places, labels, gates, readiness of the gang, recreation."""

import pytest
from localplane.rbg import names, pods, restarts
from localplane.rbg.names import Obj
from localplane.rbg.restarts import Verdict


def component(name: str, size: int, service: str | None = None) -> Obj:
    template = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "engine", "image": "v1"}]}}
    return {"name": name, "size": size, "template": template, **({"serviceName": service} if service else {})}


def instance(kind: str, *components: Obj, policy: str = "RecreateRoleInstanceOnPodRestart") -> Obj:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "RoleInstance",
        "metadata": {"name": "g-p-0", "namespace": "ns", "uid": "u", "labels": {names.ROLE_TYPE: kind}},
        "spec": {
            "components": list(components),
            "restartPolicyConfig": {"type": policy, "baseDelaySeconds": 5, "maxDelaySeconds": 20},
        },
    }


GANG = instance("LeaderWorkerSet", component("leader", 1, "s-g-p"), component("worker", 2))


def pod(ready: bool = True, *, restarts: int = 0, phase: str = "Running", baseline: str | None = None) -> Obj:
    conditions = [{"type": "ContainersReady", "status": str(ready)}]
    containers = [{"name": "engine", "restartCount": restarts, "image": "v1"}]
    metadata: Obj = {"name": "x"}
    if baseline is not None:
        metadata["annotations"] = {pods.BASELINE: baseline}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "gpu-0", "containers": [{"name": "engine", "image": "v1"}]},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": containers},
    }


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (instance("PodTemplate", component("p", 1)), ["g-p-0"]),
        (GANG, ["g-p-0-0", "g-p-0-1", "g-p-0-2"]),
        (
            instance("Components", component("main", 1), component("side", 2)),
            ["g-p-0-main-0", "g-p-0-side-0", "g-p-0-side-1"],
        ),
    ],
)
def test_pods_are_named_by_their_pattern(owner: Obj, expected: list[str]) -> None:
    assert [place.pod for place in pods.places(owner)] == expected


def test_workers_count_on_after_the_leader_and_have_no_hostname() -> None:
    leader, worker, _ = (pods.build(GANG, place) for place in pods.places(GANG))
    assert leader["spec"]["subdomain"] == "s-g-p"
    assert "hostname" not in worker["spec"]
    assert worker["metadata"]["labels"][names.COMPONENT_ID] == "0"
    assert worker["metadata"]["labels"][names.COMPONENT_INDEX] == "1"
    assert worker["metadata"]["labels"][names.INSTANCE_NAME] == "g-p-0"
    assert worker["metadata"]["generateName"] == "g-p-0-"
    assert [gate["conditionType"] for gate in worker["spec"]["readinessGates"]] == [
        "InPlaceUpdateReady",
        "InstancePodReady",
    ]


def ready_of(by_name: dict[str, Obj], *, updating: bool = False) -> str:
    found = pods.conditions(GANG, by_name, "now", updating=updating, restarting=False)
    return next(c["status"] for c in found if c["type"] == "RoleInstanceReady")


def test_an_instance_is_ready_with_all_its_pods() -> None:
    three = {name: pod() for name in ("g-p-0-0", "g-p-0-1", "g-p-0-2")}
    assert ready_of(three) == "True"
    assert ready_of(three, updating=True) == "False"
    assert ready_of({**three, "g-p-0-2": pod(ready=False)}) == "False"
    assert ready_of({name: three[name] for name in list(three)[:2]}) == "False"


def test_gates_are_written_once() -> None:
    gates = pods.gate_conditions(pod(), "now", instance_ready=False, in_place_ready=True)
    assert gates is not None
    assert [(gate["type"], gate["status"]) for gate in gates] == [
        ("InPlaceUpdateReady", "True"),
        ("InstancePodReady", "False"),
    ]
    written = pod()
    written["status"]["conditions"] += gates
    assert pods.gate_conditions(written, "later", instance_ready=False, in_place_ready=True) is None


def test_component_statuses_count_what_is_scheduled_and_ready() -> None:
    pending = pod(ready=False)
    pending["spec"]["nodeName"] = None
    leader, worker = pods.component_statuses(GANG, {"g-p-0-0": pod(), "g-p-0-1": pending})
    assert (leader["size"], leader["scheduledReplicas"], leader["readyReplicas"]) == (1, 1, 1)
    assert (worker["size"], worker["scheduledReplicas"], worker["readyReplicas"]) == (1, 0, 0)


def test_a_gang_is_recreated_at_once_the_first_time() -> None:
    assert restarts.judge(GANG, [pod(), pod(restarts=1)], None, 100.0) == Verdict(recreate=True)
    assert restarts.judge(GANG, [pod(phase="Failed")], None, 100.0) == Verdict(recreate=True)
    assert restarts.judge(GANG, [pod()], None, 100.0) == Verdict()


def test_a_restart_that_an_update_asked_for_does_not_count() -> None:
    assert restarts.judge(GANG, [pod(restarts=1, baseline="1")], None, 100.0) == Verdict()


def test_under_policy_none_nobody_else_is_recreated() -> None:
    alone = instance("LeaderWorkerSet", component("leader", 1), policy="None")
    assert restarts.judge(alone, [pod(restarts=3)], None, 100.0) == Verdict()


@pytest.mark.parametrize(("done", "delay"), [(1, 5), (2, 10), (3, 20), (6, 20)])
def test_later_recreations_back_off(done: int, delay: int) -> None:
    again = {**GANG, "status": {"restartCount": done}}
    waiting = restarts.judge(again, [pod(restarts=1)], 100.0, 101.0)
    assert waiting == Verdict(wait_seconds=delay - 1)
    assert restarts.judge(again, [pod(restarts=1)], 100.0, 100.0 + delay) == Verdict(recreate=True)
