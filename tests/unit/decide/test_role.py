"""One role over time, with HPA's numbers and with ours, and what is said about each step."""

import pytest

from rbg_autoscaler.api.types import Behavior, PolicyType
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import Stage
from rbg_autoscaler.decide.hpa_text import rescale_message
from rbg_autoscaler.decide.memory import RoleMemory, ScaleEvent
from rbg_autoscaler.decide.rescale import conditions_after, conditions_after_failure
from rbg_autoscaler.decide.role import decide_role
from tests.unit.decide.roles import (
    OUT,
    Timeline,
    default_down,
    default_up,
    external,
    role,
    rules,
    total,
    view,
)

BOTH = pytest.mark.parametrize("exact", [True, False], ids=["hpaExact", "ours"])


@BOTH
def test_load_up_at_once_and_down_after_the_window(exact: bool) -> None:
    line = Timeline(role(external(1)), 2, exact=exact)
    assert line.at(0, total(2)) == 2
    assert line.at(15, total(4)) == 4
    assert line.at(30, total(2)) == 4
    assert line.at(315, total(2)) == 4
    assert line.at(316, total(2)) == 2


@BOTH
def test_with_behavior_the_window_ends_one_instant_earlier(exact: bool) -> None:
    line = Timeline(role(external(1), behavior=Behavior(default_up(), default_down())), 2, exact=exact)
    assert line.at(0, total(4)) == 4
    assert line.at(299, total(2)) == 4
    assert line.at(300, total(2)) == 2


def test_after_an_outage_of_any_length_the_window_starts_anew() -> None:
    line = Timeline(role(external(1)), 6, exact=False)
    assert line.at(0, total(6)) == 6
    for now in range(15, 3600, 15):
        assert line.at(now, OUT) == 6
    assert line.at(3600, total(2)) == 6
    assert line.at(3600 + 285, total(2)) == 6
    assert line.at(3600 + 286, total(2)) == 2


def test_hpa_exact_shrinks_at_once_after_a_long_outage() -> None:
    line = Timeline(role(external(1)), 6, exact=True)
    assert line.at(0, total(6)) == 6
    for now in range(15, 301, 15):
        assert line.at(now, OUT) == 6
    assert line.at(301, total(2)) == 2


def test_no_lull_shorter_than_a_start_up_shrinks_a_role() -> None:
    slow = RoleMemory(start_up_seconds=399.5)
    line = Timeline(role(external(1)), 6, exact=False, memory=slow)
    assert line.at(0, total(6)) == 6
    assert line.at(400, total(2)) == 6
    assert line.at(401, total(2)) == 2
    exact = Timeline(role(external(1)), 6, exact=True, memory=slow)
    assert exact.at(0, total(6)) == 6
    assert exact.at(301, total(2)) == 2


def test_a_short_sync_period_does_not_make_a_role_grow_faster() -> None:
    line = Timeline(role(external(1)), 4, exact=False)
    grown = [line.at(now, total(100)) for now in range(0, 35, 5)]
    assert grown == [8, 8, 8, 16, 16, 16, 32]


def test_hpa_exact_doubles_each_sync() -> None:
    line = Timeline(role(external(1)), 4, exact=True)
    assert [line.at(now, total(100)) for now in range(0, 20, 5)] == [8, 16, 32, 64]


def test_hpa_exact_does_not_count_past_rescales_without_behavior() -> None:
    grown = RoleMemory(scale_ups=(ScaleEvent(0.0, 4),))
    assert Timeline(role(external(1)), 8, exact=True, memory=grown).at(5, total(100)) == 16
    assert Timeline(role(external(1)), 8, exact=False, memory=grown).at(5, total(100)) == 8


@BOTH
def test_a_window_up_waits_until_the_load_stays(exact: bool) -> None:
    line = Timeline(role(external(1), behavior=Behavior(default_up(60), default_down())), 2, exact=exact)
    assert line.at(0, total(2)) == 2
    assert line.at(15, total(5)) == 2
    assert line.last is not None
    assert line.last.conditions[0].reason == "ScaleUpStabilized"
    assert (
        line.last.message
        == "the metrics ask for 5, but not above 2 yet: the lowest recommendation of the last 60 s"
    )
    assert line.at(60, total(4)) == 4


def test_at_hpas_period_both_double_each_sync() -> None:
    lines = [Timeline(role(external(1)), 3, exact=exact) for exact in (True, False)]
    grown = [[line.at(now, total(100)) for now in range(0, 75, 15)] for line in lines]
    assert grown[0] == grown[1] == [6, 12, 24, 48, 96]


@BOTH
def test_a_role_outside_its_bounds_jumps_whatever_its_rate_limit_and_metrics(exact: bool) -> None:
    slow = Behavior(rules((PolicyType.PODS, 1, 60)), rules((PolicyType.PODS, 1, 60)))
    line = Timeline(role(external(1), minimum=4, maximum=8, behavior=slow), 20, exact=exact)
    assert line.at(0, OUT) == 8
    assert line.last is not None
    assert line.last.metrics == ()
    assert [condition.type for condition in line.last.conditions] == ["AbleToScale"]
    assert rescale_message(line.last) == (
        "New size: 8; reason: Current number of replicas above Spec.MaxReplicas"
    )
    line.replicas = 1
    assert line.at(15, OUT) == 4
    assert line.memory.scale_downs[-1].change == 12
    assert line.memory.scale_ups[-1].change == 3


def test_a_role_set_to_zero_by_a_person_is_paused() -> None:
    line = Timeline(role(external(1)), 0, exact=True)
    assert line.at(0, total(50)) == 0
    assert line.last is not None
    assert line.last.reason == "ScalingDisabled"
    assert line.memory.desired == 0


def test_a_role_that_went_to_sleep_wakes_by_itself() -> None:
    config = DecideConfig(scale_to_zero=True)
    line = Timeline(role(external(10), minimum=0, maximum=50), 2, exact=True, config=config)
    assert line.at(0, total(20)) == 2
    assert line.at(301, total(0)) == 0
    assert line.memory.scaled_to_zero
    assert line.at(316, total(0)) == 0
    assert line.last is not None
    assert ("ScaledToZero", "True") in [(c.type, c.status) for c in line.last.conditions]
    assert line.at(331, total(90)) == 4
    assert not line.memory.scaled_to_zero


def test_without_the_gate_a_sleeping_role_stays_down() -> None:
    line = Timeline(role(external(10), minimum=0), 0, exact=True, memory=RoleMemory(scaled_to_zero=True))
    assert line.at(0, total(90)) == 0


@pytest.mark.parametrize("behavior", [None, Behavior(default_up(), default_down())])
def test_a_minimum_raised_while_asleep_is_reached_in_one_step(behavior: Behavior | None) -> None:
    config = DecideConfig(scale_to_zero=True)
    asleep = RoleMemory(scaled_to_zero=True)
    spec = role(external(10), minimum=6, behavior=behavior)
    for load in (10, 200):
        line = Timeline(spec, 0, exact=True, config=config, memory=asleep)
        assert line.at(0, total(load)) == 6
        assert line.last is not None
        assert line.last.reason == "TooFewReplicas"


def test_while_blocked_the_desired_count_is_kept() -> None:
    line = Timeline(role(external(1)), 6, exact=True)
    line.at(0, total(9))
    assert line.at(15, OUT) == 9
    assert line.last is not None
    assert (line.last.blocked, line.last.proposed, line.memory.desired) == (True, None, 9)
    assert line.last.steps[-1].stage is Stage.PROPOSE


def test_the_steps_tell_every_stage_with_its_number() -> None:
    spec = role(external(1), maximum=50)
    decision, _ = decide_role(spec, view(4), (total(20),), RoleMemory(), DecideConfig(), 0.0, hpa_exact=True)
    assert [(step.stage.value, step.replicas, step.reason) for step in decision.steps] == [
        ("propose", 20, "ValidMetricFound"),
        ("stabilise", 20, "ReadyForNewScale"),
        ("rate-limit", 8, "ScaleUpLimit"),
        ("bounds", 8, "DesiredWithinRange"),
    ]
    assert (decision.proposed, decision.wanted, decision.granted) == (20, 8, 8)
    assert (decision.limiter, decision.reason) == (Stage.RATE_LIMIT, "ScaleUpLimit")
    assert decision.steps[0].message == (
        "external metric qps() averages 5 a replica against a target of 1: 20 replicas"
    )
    assert decision.message == "8 instead of 20 for now: from 4 no faster than HPA's usual limit allows"


def test_what_a_write_and_a_failed_write_make_of_the_conditions() -> None:
    decision, _ = decide_role(
        role(external(1)), view(4), (total(5),), RoleMemory(), DecideConfig(), 0.0, hpa_exact=True
    )
    assert rescale_message(decision) == "New size: 5; reason: external metric qps() above target"
    written = {c.type: (c.status, c.reason) for c in conditions_after(decision)}
    assert written == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    failed = conditions_after_failure(decision, "conflict")[0]
    assert (failed.status, failed.reason) == ("False", "FailedUpdateScale")
    assert failed.message == "the HPA controller was unable to update the target scale: conflict"


def test_a_decision_that_only_a_past_recommendation_holds_names_the_stage() -> None:
    line = Timeline(role(external(1)), 6, exact=True)
    line.at(0, total(6))
    line.at(15, total(2))
    assert line.last is not None
    assert (line.last.limiter, line.last.reason) == (Stage.STABILISE, "ScaleDownStabilized")
    assert (
        line.last.message
        == "the metrics ask for 2, but not below 6 yet: the highest recommendation of the last 300 s"
    )
