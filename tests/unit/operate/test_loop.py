"""The whole loop as timelines on the fake API server: what is written, when, and what is not."""

import asyncio
from dataclasses import replace

import pytest

from rbg_autoscaler.kube.client import KubernetesApi
from tests import builders
from tests.builders import NAMESPACE
from tests.fakes.kube_server import FakeKube, Fault
from tests.unit.operate.fleet import SETTINGS, Fleet

BUSY = [builders.scaled("prefill", signal="RunningRequests")]


@pytest.fixture
async def fake():
    async with FakeKube() as server:
        yield server


@pytest.fixture
async def api(fake, tmp_path):
    api = KubernetesApi(kubeconfig=fake.kubeconfig(tmp_path))
    yield api
    await api.close()


@pytest.fixture(params=[False, True], ids=["plain", "adapter"])
def fleet(fake, api, request):
    made = Fleet(fake, api, adapter=request.param)
    made.queue(16)
    return made


async def test_a_rise_is_written_told_and_remembered_and_rest_writes_nothing(fleet, fake):
    fleet.autoscale(roles=BUSY)
    await fleet.sync(0)
    assert fleet.asked == 2
    fleet.queue(32)
    report = await fleet.sync(5)
    assert fleet.asked == 4
    assert report.writes == 3  # the count, the status, one Event
    (event,) = fleet.events()
    assert (event["reason"], event["involvedObject"]["name"]) == ("SuccessfulRescale", "llm")
    assert "New size: 4" in event["message"]
    assert fleet.status["summary"] == "prefill 2->4"
    assert fleet.condition("AbleToScale") == ("True", "SucceededRescale")
    fleet.settle(4)
    await fleet.sync(10)
    assert fleet.status["roles"][0]["memory"]["written"] == 4
    fake.requests.clear()
    for at in (15, 20, 25, 30, 35, 40):
        report = await fleet.sync(at)
        assert report.writes == 0
    assert fake.writes() == []


async def test_recommend_writes_no_count_and_says_what_auto_then_writes(fleet, fake):
    fleet.autoscale(mode="Recommend", roles=BUSY)
    await fleet.sync(0)
    fleet.queue(32)
    await fleet.sync(5)
    assert fleet.asked == 2
    recommended = fleet.status["roles"][0]["granted"]
    assert not any(sent.path.endswith(("/scale", "/rolebasedgroups/llm")) for sent in fake.writes())
    assert not any(event["reason"] == "SuccessfulRescale" for event in fleet.events())
    auto = builders.autoscaler(mode="Auto", roles=BUSY)["spec"]
    fake.put(fake.get("RbgAutoscaler", NAMESPACE, "llm") | {"spec": auto})
    await fleet.sync(10)
    assert fleet.asked == recommended == 4


async def test_paused_writes_nothing_but_that_it_is_paused(fleet):
    fleet.autoscale(mode="Paused", roles=BUSY)
    fleet.queue(64)
    await fleet.sync(0)
    await fleet.sync(5)
    assert fleet.asked == 2
    assert fleet.condition("Ready")[1] == "Paused"


async def test_a_race_is_read_again_and_decided_again(fleet, fake):
    fleet.autoscale(roles=BUSY)
    await fleet.sync(0)
    fleet.queue(32)
    status = 409 if fleet.adapter else 422
    fake.faults.append(Fault(method="PATCH", path="/scale|rolebasedgroups/llm$", status=status, times=1))
    await fleet.sync(5)
    assert fleet.asked == 4


async def test_a_race_that_does_not_end_is_left_to_the_next_sync(fleet, fake):
    fleet.autoscale(roles=BUSY)
    await fleet.sync(0)
    fleet.queue(32)
    fault = Fault(method="PATCH", path="/scale|rolebasedgroups/llm$", status=409, times=99)
    fake.faults.append(fault)
    await fleet.sync(5)
    assert (fleet.asked, fault.times) == (2, 96)
    fake.faults.clear()
    await fleet.sync(10)
    assert fleet.asked == 4


async def test_a_follower_does_nothing_at_all(fleet, fake):
    fleet.autoscale(roles=BUSY)
    fleet.queue(64)
    fleet.leads = False
    fleet.clock += 5
    await fleet.loop.tick()
    assert fake.writes() == []


async def test_leadership_lost_in_the_middle_of_a_sync_writes_nothing_more(fleet, fake):
    fleet.autoscale(roles=BUSY)
    await fleet.sync(0)
    fleet.queue(32)
    fake.requests.clear()
    read = fleet._read

    def lose(targets, now):
        fleet.leads = False
        return read(targets, now)

    fleet.loop._read = lose
    await fleet.sync(5)
    assert fake.writes() == []


async def test_a_failed_write_is_told_once_and_tried_again(fleet, fake):
    fleet.autoscale(roles=BUSY)
    await fleet.sync(0)
    fleet.queue(32)
    fake.faults.append(Fault(method="PATCH", path="/scale|rolebasedgroups/llm$", status=403, times=99))
    for at in (5, 10, 15):
        await fleet.sync(at)
    assert [event["reason"] for event in fleet.events()] == ["FailedRescale"]
    assert fleet.condition("AbleToScale") == ("False", "FailedUpdateScale")
    assert fleet.condition("Ready") == ("False", "FailedUpdateScale")
    fake.faults.clear()
    await fleet.sync(20)
    assert fleet.asked == 4


async def test_a_failing_status_or_event_stops_no_scaling_and_comes_later(fleet, fake):
    fleet.autoscale(roles=BUSY)
    fake.faults.append(Fault(method="PATCH", path="status", status=500, times=2))
    fake.faults.append(Fault(method="POST", path="events", status=500, times=99))
    await fleet.sync(0)
    fleet.queue(32)
    await fleet.sync(5)
    assert fleet.asked == 4
    fleet.settle(4)
    await fleet.sync(10)
    assert fleet.status["roles"][0]["current"] == 4


async def test_a_successor_goes_on_from_the_status_and_does_not_scale_down_early(fleet):
    fleet.autoscale(roles=BUSY)
    fleet.queue(32)
    await fleet.sync(0)
    fleet.settle(4)
    fleet.queue(31)
    await fleet.sync(5)
    fleet.queue(8)  # at 10 s the load falls to one replica's worth; the window is 300 s
    for at in range(10, 150, 35):
        await fleet.sync(at)
    fleet.restart()  # killed mid-window; the successor's window starts anew
    for at in range(155, 455, 30):
        await fleet.sync(at)
        assert fleet.asked == 4, at
    await fleet.sync(456)
    assert fleet.asked < 4


async def test_an_outage_of_any_length_lowers_nothing_and_the_window_starts_anew(fleet):
    fleet.autoscale(roles=BUSY)
    fleet.queue(32)
    await fleet.sync(0)
    fleet.settle(4)
    fleet.outage()
    for at in range(5, 1000, 50):
        await fleet.sync(at)
        assert fleet.asked == 4
    assert fleet.condition("MetricsAvailable")[0] == "False"
    assert any(event["type"] == "Warning" for event in fleet.events())
    fleet.queue(8)
    for at in range(990, 1255, 50):
        await fleet.sync(at)
        assert fleet.asked == 4, at
    await fleet.sync(1290)
    assert fleet.asked < 4
    assert fleet.condition("MetricsAvailable")[0] == "True"


async def test_the_window_after_a_hang_starts_when_the_last_answer_was_given_up(fleet):
    """At 100 s a sync begins that waits for 4 s: the window of 300 s is over at 404 s, not at 400 s."""
    fleet.autoscale(roles=BUSY)
    fleet.queue(32)
    await fleet.sync(0)
    fleet.settle(4)
    await fleet.sync(50)
    fleet.outage("TimedOut")
    fleet.answers_after = 4
    await fleet.sync(100)
    fleet.queue(8)
    fleet.answers_after = 0
    for at in (*range(105, 400, 50), 402):
        await fleet.sync(at)
        assert fleet.asked == 4, at
    await fleet.sync(405)
    assert fleet.asked < 4


async def test_a_bad_autoscaler_is_refused_alone(fleet, fake):
    fleet.autoscale(roles=BUSY)
    bad = builders.autoscaler("bad", builders.scaled("prefill", low=5, high=2), target="other")
    fake.put(bad)
    fleet.queue(32)
    await fleet.sync(0)
    await fleet.sync(5)
    assert fleet.asked == 4
    refused = fake.get("RbgAutoscaler", NAMESPACE, "bad")["status"]["conditions"]
    ready = next(c for c in refused if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert "spec.roles[0]" in ready["message"]


async def test_a_group_made_again_under_the_same_name_starts_without_a_past(fleet, fake):
    fleet.autoscale(roles=BUSY)
    fleet.queue(32)
    await fleet.sync(0)
    fleet.settle(4)
    await fleet.sync(5)
    old = fleet.status["targetUid"]
    group = builders.group("llm", builders.role("prefill", 1, adapter=fleet.adapter))
    group["metadata"]["uid"] = "uid-second"
    fake.delete("RoleBasedGroup", NAMESPACE, "llm")
    fake.put(group)
    fleet.settle(1)
    if fleet.adapter:
        fake.put(builders.adapter("llm", "prefill", 1, owner_uid="uid-second"))
    fake.put(builders.instance_set("llm", "prefill", 1, owner_uid="uid-second"))
    for ordinal in (1, 2, 3):
        fake.delete("Pod", NAMESPACE, f"llm-prefill-{ordinal}")
    fleet.queue(8)
    await fleet.sync(10)
    assert fleet.status["targetUid"] == "uid-second" != old
    assert fleet.condition("Conflict")[0] == "False"
    assert fleet.asked == 1


async def test_a_race_that_cannot_be_read_again_disturbs_no_other_autoscaler(fleet, fake):
    """At 5 s one autoscaler's group moves and cannot be read again; a new one's status comes all the same."""
    fleet.autoscale(roles=BUSY)
    await fleet.sync(0)
    fleet.queue(32)
    fake.put(builders.autoscaler("other", builders.scaled("prefill"), target="absent"))
    moved = Fault(method="PATCH", path="/scale|rolebasedgroups/llm$", status=409, times=1)
    read = fleet._read

    def then_break(targets, now):
        fake.faults += [moved, Fault(method="GET", path="pods", status=500, times=99)]
        return read(targets, now)

    fleet.loop._read = then_break
    await fleet.sync(5)
    fleet.loop._read = read
    fake.faults.clear()
    assert (moved.times, fleet.asked) == (0, 2)
    other = fake.get("RbgAutoscaler", NAMESPACE, "other")["status"]["conditions"]
    assert next(c for c in other if c["type"] == "Ready")["reason"] == "TargetNotFound"
    assert 'rbg_autoscaler_syncs_total{result="failed"}' not in fleet.metrics()
    await fleet.sync(10)
    assert fleet.asked == 4
    assert fleet.condition("Conflict")[0] == "False"


async def test_a_leader_that_comes_back_puts_its_own_status_in_place_of_its_predecessors(fleet, fake):
    """At 10 s another leads and writes a status; at 20 s the first leads again, with nothing else changed."""
    fleet.autoscale(roles=BUSY)
    await fleet.sync(0)
    mine = fleet.status["summary"]
    fleet.leads = False
    fleet.clock += 10
    await fleet.loop.tick()
    foreign = fake.get("RbgAutoscaler", NAMESPACE, "llm")
    foreign["status"] = foreign["status"] | {"summary": "not so", "roles": [], "targetUid": "somebody's"}
    fake.put(foreign)
    fleet.leads = True
    await fleet.sync(20)
    assert (fleet.status["summary"], fleet.status["targetUid"]) == (mine, "uid-llm")


async def test_first_writes_of_many_groups_are_read_once_more_side_by_side(fake, api):
    """The pause before the second look holds no slot: with one slot, two groups still pause at once."""
    fleet = Fleet(fake, api, adapter=True, settings=replace(SETTINGS, max_writes_in_flight=1))
    for name in ("second", "third"):
        fake.put(builders.group(name, builders.role("prefill", 2, adapter=True)))
        fake.put(builders.adapter(name, "prefill", 2))
        fake.put(builders.instance_set(name, "prefill", 2))
        for ordinal in range(2):
            fake.put(builders.pod(ordinal, group_name=name, ready=-1000, created=-1010))
        fake.put(builders.autoscaler(name, *BUSY, target=name, mode="Auto"))
    fleet.autoscale(roles=BUSY)
    fleet.queue(16)
    await fleet.sync(0)
    together = asyncio.Barrier(3)

    async def pause(_seconds):
        await asyncio.wait_for(together.wait(), 5)

    fleet.pause = pause
    fleet.queue(32)
    await fleet.sync(5)
    assert fleet.asked == 4
    assert 'rbg_autoscaler_syncs_total{result="failed"}' not in fleet.metrics()
