"""Learnt start-up times."""

from __future__ import annotations

from dataclasses import replace

from rbg_autoscaler.decide.learn import learnt_start_up_seconds
from rbg_autoscaler.decide.snapshot import InstancePhase, InstanceView, RoleView
from tests.fakes.fleet import (
    KEY,
    KV,
    SimulatedRole,
    World,
    autoscaler_spec,
    instance,
    per_instance,
    role_spec,
    role_view,
)


def started(ordinal: int, created_at: float, took: float) -> InstanceView:
    return replace(instance(ordinal, at=created_at), ready_at=created_at + took)


def role(*instances: InstanceView) -> RoleView:
    return role_view(replicas=len(instances), instances=instances)


def test_the_slowest_of_the_three_that_became_ready_last():
    view = role(started(0, 0, 500), started(1, 1000, 90), started(2, 1100, 120.4), started(3, 1200, 80))
    assert learnt_start_up_seconds(view, 600) == 121.0


def test_what_is_not_ready_teaches_nothing():
    view = role(instance(0, InstancePhase.STARTING, at=0), instance(1, InstancePhase.UNSCHEDULED, at=0))
    assert learnt_start_up_seconds(view, 600) is None


def test_an_old_instance_that_was_ready_again_lately_is_no_start_up():
    assert learnt_start_up_seconds(role(started(0, 0, 90_000)), 600) is None
    assert learnt_start_up_seconds(role(started(0, 0, 90_000), started(1, 0, 60)), 600) == 60.0


def test_what_was_learnt_is_kept_when_nothing_teaches_it_anew():
    world = World(
        autoscaler_spec(role_spec("decode", 1, 16, KV)),
        {"decode": SimulatedRole(2, start_up_seconds=75)},
        lambda _role, view, _now: (per_instance(view, 0.7),),
    )
    world.sync(0)
    assert world.memory.roles[KEY, "decode"].start_up_seconds == 75.0
    world.roles["decode"].start_up_seconds = 5000
    world.sync(5)
    assert world.memory.roles[KEY, "decode"].start_up_seconds == 75.0
