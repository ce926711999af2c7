"""The Lease as timelines: seconds are the steady clock's, moved by the test."""

import asyncio

import pytest

from rbg_autoscaler.kube.client import KubernetesApi
from rbg_autoscaler.operate.lease import Elector
from rbg_autoscaler.operate.settings import LeaseSettings
from tests.fakes.kube_server import FakeKube, Fault

SETTINGS = LeaseSettings(namespace="sys", name="rbga")


class Steady:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def fake():
    async with FakeKube() as server:
        yield server


@pytest.fixture
async def api(fake, tmp_path):
    api = KubernetesApi(kubeconfig=fake.kubeconfig(tmp_path))
    yield api
    await api.close()


@pytest.fixture
def clock():
    return Steady()


@pytest.fixture
def electors(api, clock):
    return [Elector(api, SETTINGS, name, clock=clock) for name in ("a", "b")]


async def test_one_leads_and_the_other_takes_over_when_the_lease_has_run_out(electors, clock, fake):
    a, b = electors
    await a.step()
    await b.step()
    assert (a.is_leader(), b.is_leader()) == (True, False)
    clock.seconds += 15  # at 15 s: a is silent since 0 s, b has seen its record for 15 s, not longer
    await b.step()
    assert not b.is_leader()
    clock.seconds += 1
    await b.step()
    assert b.is_leader()
    lease = fake.get("Lease", "sys", "rbga")["spec"]
    assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("b", 1)


async def test_a_silent_leader_stops_before_anybody_may_take_over(electors, clock):
    a, b = electors
    await a.step()
    await b.step()
    clock.seconds += 9.9
    assert a.is_leader()
    clock.seconds += 0.1  # 10 s: the renew deadline
    assert not a.is_leader()
    await b.step()
    assert not b.is_leader()


async def test_a_leader_resumed_after_its_lease_was_taken_does_not_lead_again(electors, clock):
    a, b = electors
    await a.step()
    await b.step()
    clock.seconds += 16  # a is stopped meanwhile
    await b.step()
    assert not a.is_leader()  # at once on resuming, before any request
    await a.step()
    assert (a.is_leader(), b.is_leader()) == (False, True)


async def test_a_renewing_leader_is_never_replaced(electors, clock):
    a, b = electors
    for _ in range(20):
        await a.step()
        await b.step()
        assert (a.is_leader(), b.is_leader()) == (True, False)
        clock.seconds += 2


async def test_errors_of_the_api_server_change_nothing_until_the_deadline(electors, clock, fake):
    a, _ = electors
    await a.step()
    fake.faults.append(Fault(path="leases", status=500, times=100))
    clock.seconds += 8
    await a.step()
    assert a.is_leader()
    clock.seconds += 3
    await a.step()
    assert not a.is_leader()
    fake.faults.clear()
    await a.step()
    assert a.is_leader()


async def test_of_two_that_find_the_lease_free_one_wins(electors, clock, fake):

    a, b = electors
    await a.step()
    lease = fake.get("Lease", "sys", "rbga")
    lease["spec"]["holderIdentity"] = ""
    fake.put(lease)
    clock.seconds += 60
    await asyncio.gather(a.step(), b.step())
    assert [a.is_leader(), b.is_leader()].count(True) == 1


async def test_giving_up_lets_a_successor_in_at_once(electors):
    a, b = electors
    acquired = asyncio.Event()
    step = a.step

    async def acquire() -> None:
        await step()
        acquired.set()

    a.step = acquire
    running = asyncio.create_task(a.run())
    await acquired.wait()
    assert a.is_leader()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not a.is_leader()
    await b.step()
    assert b.is_leader()
