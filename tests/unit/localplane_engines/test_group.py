"""Pods and time: who serves, who answers, what is counted and when it starts anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from localplane.engines.load import Load
from localplane.engines.pods import PREFIX, instances, pod_from

from .world import GROUP, NAMESPACE, gang, pod, world

PREFILL = {"prompt_tokens_per_s": 10_000}  # of prompts of 1 000 tokens: 10 requests/s a replica
LOAD = {"requests_per_s": 15, "prompt_tokens": 1000, "roles": {"prefill": PREFILL}}


def test_a_replica_that_becomes_ready_shortens_the_queue_of_each() -> None:
    group = world()
    group.pods(pod("prefill", 0), pod("prefill", 1, ready=False), pod("decode", 0))
    group.load(**LOAD)

    group.at(60)
    assert group.value("deepseek-prefill-0", "vllm:num_requests_waiting") == 300
    assert group.value("deepseek-prefill-1", "vllm:num_requests_waiting") == 0

    group.pods(pod("prefill", 0), pod("prefill", 1), pod("decode", 0))
    group.at(90)
    assert group.value("deepseek-prefill-0", "vllm:num_requests_waiting") == 75
    assert group.value("deepseek-prefill-1", "vllm:num_requests_waiting") == 75

    assert group.at(121).roles["prefill"].waiting_requests == pytest.approx(0, abs=1e-6)


def test_a_starting_or_unknown_pod_does_not_answer() -> None:
    group = world()
    group.pods(pod("prefill", 0, running=False, ready=False))
    assert group.fleet.page(NAMESPACE, "deepseek-prefill-0", 1) is None
    assert group.fleet.page(NAMESPACE, "deepseek-prefill-9", 1) is None
    assert group.fleet.page("elsewhere", "deepseek-prefill-0", 1) is None


def test_a_terminating_pod_answers_but_gets_no_work() -> None:
    group = world()
    group.pods(pod("prefill", 0), pod("prefill", 1, deleting=True), pod("decode", 0))
    group.load(**LOAD)
    view = group.at(10)
    assert view.roles["prefill"].ready_instances == 1
    assert view.roles["prefill"].exporting_pods == 2
    assert group.value("deepseek-prefill-1", "vllm:prompt_tokens_total") == 0


def test_a_gang_serves_when_its_last_pod_is_ready() -> None:
    group = world()
    leader, worker = gang("decode", 0, 2)
    group.pods(pod("prefill", 0), leader, replace(worker, ready=False))
    assert group.at(1).roles["decode"].ready_instances == 0
    group.pods(pod("prefill", 0), leader, worker)
    assert group.at(2).roles["decode"].ready_instances == 1


def test_counters_only_rise_and_start_anew_with_a_new_pod() -> None:
    group = world()
    group.pods(pod("prefill", 0), pod("decode", 0))
    group.load(**LOAD)
    seen = []
    for now in range(0, 30, 5):
        group.at(now)
        seen.append(group.value("deepseek-prefill-0", "vllm:prompt_tokens_total"))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(25 * 10_000, rel=0.01)

    group.pods(pod("prefill", 0, life="another"), pod("decode", 0))
    group.at(30)
    assert group.value("deepseek-prefill-0", "vllm:prompt_tokens_total") < 60_000


def test_the_state_does_not_depend_on_how_often_somebody_looks() -> None:
    often, once = world(), world()
    for group in (often, once):
        group.pods(pod("prefill", 0), pod("decode", 0))
        group.load(**LOAD)
    for tenth in range(1, 400):
        often.at(tenth / 10)
    assert often.at(40).roles == once.at(40).roles
    assert often.text("deepseek-decode-0") == once.text("deepseek-decode-0")


def test_a_skewed_role_gives_its_first_instance_less() -> None:
    group = world()
    group.pods(*(pod("prefill", i) for i in range(3)), pod("decode", 0))
    group.load(**{**LOAD, "requests_per_s": 60, "roles": {"prefill": {**PREFILL, "skew": 0.5}}})
    group.at(10)
    waiting = [group.value(f"deepseek-prefill-{i}", "vllm:num_requests_waiting") for i in range(3)]
    assert waiting == [50, 100, 150]


def test_a_load_of_straight_lines() -> None:
    load = Load(requests_per_s=2, schedule=((10, 12), (20, 12), (30, 0)))
    assert [load.rate_at(t) for t in (0, 5, 10, 15, 25, 30, 99)] == [2, 7, 12, 12, 6, 0, 0]
    assert Load(requests_per_s=2, schedule=((0, 12), (10, 0))).rate_at(0) == 12
    assert Load(requests_per_s=2).rate_at(1e6) == 2


def test_a_schedule_starts_when_the_load_is_set() -> None:
    group = world()
    group.now = 100
    group.pods(pod("prefill", 0), pod("decode", 0))
    group.load(schedule=[[0, 0], [10, 10], [20, 0]])
    assert group.at(105).offered_requests_per_s == pytest.approx(5)
    assert group.at(130).offered_requests_per_s == 0
    view = group.at(200)
    assert view.served_requests == pytest.approx(100, rel=0.02)


def test_work_waits_for_pods_that_come_later() -> None:
    group = world()
    group.load(requests_per_s=5, prompt_tokens=1000, roles={"prefill": PREFILL, "decode": {}})
    assert group.at(10).roles["prefill"].waiting_requests == pytest.approx(50)
    group.pods(pod("prefill", 0), pod("decode", 0))
    assert group.at(20.2).roles["prefill"].waiting_requests == pytest.approx(0, abs=1e-6)


def test_taking_the_load_away_takes_its_work_and_an_empty_group_is_forgotten() -> None:
    group = world()
    group.pods(pod("prefill", 0))
    group.load(requests_per_s=500)
    assert group.at(10).roles["prefill"].waiting_requests > 100
    assert group.fleet.drop_load(NAMESPACE, GROUP, 10)
    assert group.at(11).roles["prefill"].waiting_requests == 0
    assert not group.fleet.drop_load(NAMESPACE, GROUP, 11)
    group.pods()
    assert group.fleet.view(NAMESPACE, GROUP, 12) is None


def manifest(name: str, **labels: str) -> dict[str, object]:
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{name}",
            "labels": {PREFIX + key.replace("_", "-"): value for key, value in labels.items()},
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_pod_is_read_from_its_labels_and_status() -> None:
    labels = {"group_name": GROUP, "role_name": "decode", "role_instance_name": "deepseek-decode-0"}
    worker = pod_from(manifest("deepseek-decode-0-1", **labels, component_name="worker", component_index="1"))
    assert worker == gang("decode", 0, 2)[1]
    assert pod_from(manifest("stranger")) is None
    going = manifest("deepseek-decode-0-1", **labels)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"  # type: ignore[index]
    going["status"] = {"phase": "Pending"}
    read = pod_from(going)
    assert read is not None
    assert (read.running, read.ready, read.deleting) == (False, False, True)


def test_a_container_that_starts_again_does_not_answer_and_then_counts_anew() -> None:
    again = manifest("deepseek-decode-0", group_name=GROUP, role_name="decode")
    containers = [{"restartCount": 1, "state": {"waiting": {"reason": "ContainerCreating"}}}]
    again["status"] = {"phase": "Running", "containerStatuses": containers}
    restarting = pod_from(again)
    containers[0]["state"] = {"running": {}}
    restarted = pod_from(again)
    assert restarting is not None
    assert restarted is not None
    assert (restarting.running, restarted.running) == (False, True)
    assert restarted.life == "uid-deepseek-decode-0/1"


def test_a_pod_without_an_instance_label_is_an_instance_of_its_own() -> None:
    read = pod_from(manifest("web-7f", group_name=GROUP, role_name="web"))
    assert read is not None
    assert read.instance == "web-7f"


def test_the_leader_is_named_so_or_has_ordinal_0() -> None:
    leader, worker = gang("decode", 0, 2)
    assert [i.leader for i in instances([worker, leader])] == [leader]
    first, second = replace(leader, component="a", ordinal="0"), replace(worker, component="b", ordinal="0")
    assert [i.leader for i in instances([second, first])] == [first]
    assert [i.name for i in instances([pod("d", 10), pod("d", 2)])] == ["deepseek-d-2", "deepseek-d-10"]
