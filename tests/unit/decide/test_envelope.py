"""Memory in status: stands still at rest, comes back as it was, and never brings a scale-down forward."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.envelope import memory_from_status, memory_to_status
from rbg_autoscaler.decide.memory import Memory, Recommendation, RoleMemory, ScaleEvent
from tests.fakes.fleet import (
    KEY,
    KV,
    SimulatedRole,
    World,
    autoscaler_spec,
    behavior,
    per_instance,
    role_spec,
)

CONFIG = DecideConfig()
SPEC = role_spec()
FULL = RoleMemory(
    recommendations=(Recommendation(50.0, 7), Recommendation(60.0, 3), Recommendation(90.0, 5)),
    scale_ups=(ScaleEvent(20.0, 2), ScaleEvent(80.5, 1)),
    scale_downs=(ScaleEvent(70.0, 4),),
    scaled_to_zero=True,
    desired=5,
    written=6,
    written_at=80.5,
    start_up_seconds=95.0,
    withdrawn_at=40.0,
    backoff_seconds=120.0,
    replaced=5,
    overridden_at=(10.0,),
)


def test_what_is_written():
    spec = replace(SPEC, behavior=behavior(up_window=20))
    assert memory_to_status(FULL, spec, CONFIG, 100.0) == {
        "recommendedMax": 7,
        "recommendedMin": 5,
        "scaleUps": [{"at": 20.0, "change": 2}, {"at": 80.5, "change": 1}],
        "scaleDowns": [{"at": 70.0, "change": 4}],
        "scaledToZero": True,
        "desired": 5,
        "written": 6,
        "writtenAt": 80.5,
        "startUpSeconds": 95.0,
        "withdrawnAt": 40.0,
        "backoffSeconds": 120.0,
        "replaced": 5,
        "overriddenAt": [10.0],
    }


def test_nothing_remembered_is_nothing_written():
    assert memory_to_status(RoleMemory(), SPEC, CONFIG, 0.0) == {}
    assert memory_from_status({}, 0.0) == RoleMemory(interrupted=True)


def test_what_comes_back_is_the_same_but_for_the_log():
    data = json.loads(json.dumps(memory_to_status(FULL, SPEC, CONFIG, 100.0)))
    restored = memory_from_status(data, 200.0)
    assert restored == replace(FULL, recommendations=(Recommendation(200.0, 7),), interrupted=True)
    assert memory_to_status(restored, SPEC, CONFIG, 200.0) == data


def test_recommendations_leave_the_envelope_with_their_window():
    assert memory_to_status(FULL, SPEC, CONFIG, 350.0)["recommendedMax"] == 7
    assert memory_to_status(FULL, SPEC, CONFIG, 350.1)["recommendedMax"] == 5
    assert memory_to_status(FULL, SPEC, CONFIG, 9999.0)["recommendedMax"] == 5


@pytest.mark.parametrize(
    "broken",
    [
        {"recommendedMax": "7"},
        {"recommendedMax": -1},
        {"written": True},
        {"writtenAt": "yesterday"},
        {"scaleUps": [{"at": 1}, "x", {"at": 1, "change": -3}]},
        {"scaleUps": {}},
        {"startUpSeconds": float("nan")},
        {"overriddenAt": 3},
        {"scaledToZero": "yes"},
    ],
)
def test_what_somebody_edited_into_status_counts_as_not_there(broken):
    assert memory_from_status(broken, 100.0) == RoleMemory(interrupted=True)


def test_a_time_in_the_future_counts_as_now():
    restored = memory_from_status({"withdrawnAt": 1e12, "backoffSeconds": 60.0}, 100.0)
    assert restored.withdrawn_at == 100.0


def world(load: float) -> World:
    return World(
        autoscaler_spec(role_spec("decode", 1, 16, KV)),
        {"decode": SimulatedRole(6)},
        lambda _role, view, now: (per_instance(view, 0.7 if now < 100 else load),),
    )


def block(world: World, now: float) -> dict[str, object]:
    return memory_to_status(world.memory.roles[KEY, "decode"], world.spec.roles[0], CONFIG, now)


def test_at_rest_the_block_does_not_move():
    steady = world(0.7)
    steady.run(0, 400)
    first = block(steady, 400)
    for now in range(405, 1500, 5):
        steady.sync(now)
        assert block(steady, now) == first


def test_a_successor_waits_a_window_of_its_own():
    """Load halves at 100 s; the leader dies at 390 s, 10 s before it would have shrunk the role."""
    falling = world(0.35)
    falling.run(0, 390)
    assert falling.history == []
    kept = block(falling, 390)
    falling.memory = Memory({(KEY, "decode"): memory_from_status(kept, 410.0)})
    falling.run(410, 705)
    assert falling.history == []
    falling.run(710, 720)
    assert [count for _, _, count in falling.history] == [3]


def test_a_write_that_the_status_did_not_see_any_more_is_not_undone_by_the_successor():
    rising = World(
        autoscaler_spec(role_spec("decode", 1, 16, KV)),
        {"decode": SimulatedRole(3, start_up_seconds=1)},
        lambda _role, view, now: (per_instance(view, 1.4 if now < 5 else 0.35),),
    )
    stale = {"recommendedMax": 3, "desired": 3, "written": 3, "writtenAt": 0.0}
    rising.sync(0)
    assert rising.history == [(0, "decode", 6)]
    rising.memory = Memory({(KEY, "decode"): memory_from_status(stale, 20.0)})
    rising.run(20, 315)
    assert rising.history == [(0, "decode", 6)]
