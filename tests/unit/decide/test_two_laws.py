"""The two laws of backlog signals, told as timelines of a small closed loop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rbg_autoscaler.api.types import ExternalMetric, MetricTarget, StartUp, TargetType
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import MetricResult
from rbg_autoscaler.decide.laws import capacity_to_come, down_window_seconds, temper
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.snapshot import InstancePhase, Reading, RoleView
from tests.fakes.fleet import (
    KV,
    MISSING,
    QUEUE,
    SimulatedRole,
    World,
    autoscaler_spec,
    behavior,
    instance,
    per_instance,
    role_spec,
    role_view,
    row,
)

EXTERNAL = ExternalMetric("queue", (), MetricTarget(TargetType.AVERAGE_VALUE, 8000))


class Queue:
    """One request a second arrives, 4 a second in a burst of a minute; a ready replica serves one in 2 s."""

    def __init__(self) -> None:
        self.waiting = 0.0
        self.at = 0.0

    def __call__(self, _role: str, view: RoleView, now: float) -> tuple[Reading, ...]:
        arriving = 4.0 if now <= 60 else 1.0
        self.waiting = max(0.0, self.waiting + (now - self.at) * (arriving - 0.5 * view.ready))
        self.at = now
        return (per_instance(view, self.waiting / view.ready), per_instance(view, 0.7))


def burst(*, exact: bool) -> World:
    role = role_spec("decode", 4, 16, QUEUE, KV)
    spec = autoscaler_spec(role, hpa_exact=exact)
    return World(spec, {"decode": SimulatedRole(4, start_up_seconds=100)}, Queue())


def test_a_burst_raises_a_role_once_and_not_to_its_maximum():
    world = burst(exact=False)
    world.run(0, 240)
    assert world.history == [(20, "decode", 5)]


def test_hpa_asks_for_the_same_backlog_again_and_again():
    world = burst(exact=True)
    world.run(0, 240)
    counts = [count for _, _, count in world.history]
    assert counts == sorted(counts)
    assert len(counts) > 2
    assert counts[-1] > 10


def still(queue: Reading | float, busy: Reading | float):
    def meter(_role: str, view: RoleView, _now: float) -> tuple[Reading, ...]:
        readings = (queue, busy)
        return tuple(per_instance(view, one) if isinstance(one, float | int) else one for one in readings)

    return meter


@pytest.mark.parametrize("exact", [False, True])
def test_a_right_sized_role_with_an_empty_queue_and_a_busy_signal_keeps_its_replicas(exact):
    spec = autoscaler_spec(role_spec("decode", 1, 16, QUEUE, KV), hpa_exact=exact)
    world = World(spec, {"decode": SimulatedRole(6)}, still(0, 0.7))
    world.run(0, 1800, every=15)
    assert world.history == []


def backlog_only(*, exact: bool) -> World:
    spec = autoscaler_spec(role_spec("decode", 1, 16, QUEUE), hpa_exact=exact)
    return World(spec, {"decode": SimulatedRole(6)}, lambda *args: still(0, 0)(*args)[:1])


def test_without_a_busy_signal_a_role_shrinks_one_step_a_window_and_is_told_so():
    world = backlog_only(exact=False)
    decision = world.run(0, 1000, every=5)
    assert [count for _, _, count in world.history] == [5, 4, 3]
    first, second, third = (at for at, _, _ in world.history)
    assert second - first >= 300
    assert third - second >= 300
    condition = next(one for one in decision.conditions if one.type == "BacklogOnly")
    assert condition.status == "True"
    assert "decode" in condition.message


def test_hpa_lets_a_role_with_an_empty_queue_fall_to_its_minimum_after_one_window():
    world = backlog_only(exact=True)
    decision = world.run(0, 400, every=15)
    assert world.history == [(315, "decode", 1)]
    assert not any(one.type == "BacklogOnly" for one in decision.conditions)


def test_an_empty_queue_and_a_busy_signal_below_target_shrink_a_role():
    spec = autoscaler_spec(role_spec("decode", 1, 16, QUEUE, KV))
    world = World(spec, {"decode": SimulatedRole(6)}, still(0, 0.35))
    world.run(0, 400)
    assert world.history == [(305, "decode", 3)]


def test_a_lull_shorter_than_the_start_up_time_shrinks_nothing():
    """No window is configured, but replicas took 100 s to start: at 60 s of lull the role still stands."""
    role = role_spec("decode", 1, 16, KV, behavior=behavior(down_window=0))
    busy = {"value": 1.4}
    world = World(
        autoscaler_spec(role),
        {"decode": SimulatedRole(4, start_up_seconds=100)},
        lambda _role, view, _now: (per_instance(view, busy["value"]),),
    )
    world.run(0, 5)
    assert world.history == [(0, "decode", 8)]
    busy["value"] = 0.7
    world.run(10, 200)
    busy["value"] = 0.35
    world.run(205, 265)
    assert world.history == [(0, "decode", 8)]
    world.run(270, 310)
    assert world.history[1:] == [(300, "decode", 4)]


# One result at a time


def result(proposed: int | None, reading: Reading) -> MetricResult:
    return MetricResult("QueueLength", proposed, None, 8000, reading, "")


def tempered(proposed: int, view: RoleView, *, spec=None, reading=None, now=0.0, memory=None) -> int | None:
    spec = spec or role_spec("decode", 1, 32, QUEUE, KV)
    reading = reading or per_instance(view, 1)
    results = [result(proposed, reading)] + [result(view.requested, reading)] * (len(spec.metrics) - 1)
    return temper(tuple(results), spec, view, memory or RoleMemory(), now)[0].proposed


def test_a_first_raise_is_not_delayed():
    assert tempered(12, role_view(replicas=4)) == 12


@pytest.mark.parametrize("phase", [InstancePhase.STARTING, InstancePhase.UNSCHEDULED, InstancePhase.FAILED])
def test_a_backlog_waits_for_an_instance_that_starts_until_its_deadline(phase):
    view = role_view(replicas=5, instances=(*map(instance, range(4)), instance(4, phase, at=0)))
    assert tempered(12, view, now=599) == 5
    assert tempered(12, view, now=600) == 12


def test_a_backlog_waits_for_replicas_that_do_not_exist_yet():
    view = role_view(replicas=6, instances=tuple(map(instance, range(4))))
    written = RoleMemory(written=6, written_at=0.0)
    assert tempered(12, view, now=10, memory=written) == 6
    assert tempered(12, view, now=700, memory=written) == 12
    assert tempered(12, view, now=700, memory=RoleMemory(written=4, written_at=0.0)) == 6


def test_a_backlog_waits_until_the_newest_replica_has_served_a_while():
    newest = replace(instance(4, at=0), ready_at=100.0)
    view = role_view(replicas=5, instances=(*map(instance, range(4)), newest))
    assert tempered(12, view, now=159) == 5
    assert tempered(12, view, now=160) == 12


def test_an_old_instance_whose_readiness_flaps_delays_no_raise():
    flapping = replace(instance(4), ready_at=95.0)
    view = role_view(replicas=5, instances=(*map(instance, range(4)), flapping))
    assert tempered(12, view, now=100) == 12


def test_busy_signals_and_hpa_shapes_are_raised_while_replicas_start():
    view = role_view(
        replicas=5, instances=(*map(instance, range(4)), instance(4, InstancePhase.STARTING, at=0))
    )
    assert tempered(12, view, spec=role_spec("decode", 1, 32, KV)) == 12
    assert tempered(12, view, spec=role_spec("decode", 1, 32, EXTERNAL)) == 12


def test_an_instance_going_away_is_not_waited_for():
    view = role_view(replicas=4, instances=(*map(instance, range(4)), instance(4, InstancePhase.TERMINATING)))
    assert capacity_to_come(role_spec(), view, RoleMemory(), 0) is None


def test_a_partial_sample_raises_but_does_not_lower():
    view = role_view(replicas=5)
    partial = per_instance(view, 1, reporting=3)
    held = temper((result(2, partial),), role_spec("decode", 1, 32, KV), view, RoleMemory(), 0)[0]
    assert held.proposed == 5
    assert "3 of 5 instances reported" in held.message
    assert tempered(9, view, reading=partial, spec=role_spec("decode", 1, 32, KV)) == 9


def test_an_empty_queue_lowers_nothing_while_the_busy_signal_has_no_value():
    view = role_view(replicas=5)
    spec = role_spec("decode", 1, 32, QUEUE, KV)
    results = (result(1, per_instance(view, 0)), result(None, MISSING))
    assert temper(results, spec, view, RoleMemory(), 0)[0].proposed == 5


def test_a_users_own_metric_counts_as_a_busy_signal():
    view = role_view(replicas=5)
    assert tempered(1, view, spec=role_spec("decode", 1, 32, QUEUE, EXTERNAL)) == 1


def test_the_window_is_no_shorter_than_a_start_up():
    config = DecideConfig()
    assert down_window_seconds(role_spec(), RoleMemory(), config) == 300
    assert down_window_seconds(role_spec(), RoleMemory(start_up_seconds=400.2), config) == 401
    short = role_spec(behavior=behavior(down_window=0))
    assert down_window_seconds(short, RoleMemory(), config) == 0
    assert down_window_seconds(short, RoleMemory(start_up_seconds=99.5), config) == 100


def test_start_up_settings_are_the_roles_own():
    view = role_view(
        replicas=5, instances=(*map(instance, range(4)), instance(4, InstancePhase.STARTING, at=0))
    )
    spec = role_spec("decode", 1, 32, QUEUE, KV, start_up=StartUp(deadline_seconds=120))
    assert tempered(12, view, spec=spec, now=119) == 5
    assert tempered(12, view, spec=spec, now=121) == 12


def test_the_decision_shows_what_the_metric_asked_for_and_why_it_was_held():
    spec = autoscaler_spec(role_spec("decode", 1, 16, QUEUE, KV))
    world = World(spec, {"decode": SimulatedRole(4)}, still(30, 0.7))
    world.sync(0)
    decision = world.sync(5)
    told = row(decision).metrics[0]
    assert told.proposed == world.roles["decode"].requested
    assert "counted once" in told.message
