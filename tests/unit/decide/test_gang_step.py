"""Stage 6: multiples of the gang step, in both directions, under bounds and rate limits."""

from __future__ import annotations

import itertools

import pytest

from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import Stage, Step
from rbg_autoscaler.decide.gang_step import on_step
from rbg_autoscaler.decide.memory import RoleMemory, ScaleEvent
from tests.fakes.fleet import SimulatedRole, World, autoscaler_spec, behavior, per_instance, role_spec, row

CONFIG = DecideConfig()


def stepped(current: int, replicas: int, *, low: int = 1, high: int = 32, step: int = 4) -> int:
    answer = on_step(
        replicas, current, (), role_spec("r", low, high, gang_step=step), RoleMemory(), CONFIG, 0
    )
    return replicas if answer is None else answer.replicas


@pytest.mark.parametrize(
    ("current", "asked", "answer"),
    [
        (4, 5, 8),
        (4, 8, 8),
        (8, 3, 4),
        (8, 5, 8),  # rounded up to 8: never below demand
        (12, 5, 8),
        (6, 6, 6),  # off the step, but not moving
        (6, 7, 8),
        (6, 5, 6),  # 5 rounds up to 8: no reason to grow
        (6, 4, 4),
        (0, 1, 4),
        (4, 0, 0),
    ],
)
def test_rounding(current, asked, answer):
    assert stepped(current, asked, low=0) == answer


def test_a_step_of_one_says_nothing():
    spec = role_spec("r", 1, 9, gang_step=1)
    assert on_step(5, 4, (), spec, RoleMemory(), CONFIG, 0) is None


def test_never_above_the_maximum_but_the_largest_multiple_below():
    assert stepped(4, 10, high=10) == 8
    assert stepped(8, 10, high=10) == 8
    assert stepped(12, 10, high=10) == 8


def test_a_count_near_the_maximum_is_not_lowered_by_a_wish_to_grow():
    assert stepped(6, 7, high=7) == 6


def test_an_impossible_step_moves_nothing_and_says_so():
    answer = on_step(5, 4, (), role_spec("r", 5, 7, gang_step=4), RoleMemory(), CONFIG, 0)
    assert answer is not None
    assert (answer.replicas, answer.reason) == (4, "GangStepUnsatisfiable")
    assert "gangStep 4" in answer.message


def limited(current, demand, limit, *, step=4, ups=(), downs=(), now=0.0, low=1):
    rules = behavior(up=(("Pods", 2, 60),), down=(("Pods", 2, 60),))
    spec = role_spec("r", low, 32, gang_step=step, behavior=rules)
    earlier = (
        Step(Stage.STABILISE, demand, "", ""),
        Step(Stage.RATE_LIMIT, limit, "", ""),
        Step(Stage.BOUNDS, limit, "", ""),
    )
    memory = RoleMemory(scale_ups=ups, scale_downs=downs)
    answer = on_step(limit, current, earlier, spec, memory, CONFIG, now)
    return (limit, None) if answer is None else (answer.replicas, answer.reason)


def test_whole_steps_within_the_rate_limit():
    assert limited(4, 20, 10) == (8, "GangStep")
    assert limited(20, 4, 11) == (12, "GangStep")
    assert limited(4, 20, 12) == (12, None)


def test_a_limit_smaller_than_a_step_lets_one_through_per_period():
    assert limited(4, 20, 6) == (8, "GangStepRateLimited")
    assert limited(12, 4, 10) == (8, "GangStepRateLimited")
    just_now = (ScaleEvent(0.0, 4),)
    assert limited(8, 20, 10, ups=just_now, now=59) == (8, "GangStepRateLimited")
    assert limited(8, 20, 10, ups=just_now, now=60) == (12, "GangStepRateLimited")
    assert limited(8, 1, 6, downs=just_now, now=59) == (8, "GangStepRateLimited")


def test_one_step_down_stays_above_demand_and_minimum():
    assert limited(12, 9, 10) == (12, "GangStep")
    assert limited(8, 1, 6, low=5) == (8, "GangStep")


def test_a_load_grows_a_role_by_one_step_a_minute_under_a_limit_of_two_a_minute():
    rules = behavior(up=(("Pods", 2, 60),))
    spec = autoscaler_spec(role_spec("decode", 4, 16, gang_step=4, behavior=rules))

    def meter(_role, view, _now):
        return (per_instance(view, 0.7 * 16 / view.requested),)

    world = World(spec, {"decode": SimulatedRole(4, start_up_seconds=5)}, meter)
    decision = world.run(0, 300)
    assert [count for _, _, count in world.history] == [8, 12, 16]
    times = [at for at, _, _ in world.history]
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(times))
    assert row(decision).granted == 16


def test_the_step_is_told_in_the_decision():
    spec = autoscaler_spec(role_spec("decode", 4, 16, gang_step=4))
    world = World(spec, {"decode": SimulatedRole(4)}, lambda _role, view, _now: (per_instance(view, 0.8),))
    told = row(world.sync(0))
    assert told.proposed == 5
    assert told.wanted == told.granted == 8
    assert told.limiter is Stage.GANG_STEP
    assert told.reason == "GangStep"
    assert [step.stage for step in told.steps][-1] is Stage.GANG_STEP
