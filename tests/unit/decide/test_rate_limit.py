"""Rate limits: doubles not decimals, strict periods, and what differs with and without behavior."""

import pytest

from rbg_autoscaler.api.types import Behavior, PolicyType, SelectPolicy
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.memory import ScaleEvent
from rbg_autoscaler.decide.rate_limit import (
    legacy_limit,
    limit_behavior,
    limit_legacy,
    log_event,
    scale_down_limit,
    scale_up_limit,
)
from tests.unit.decide.roles import default_down, default_up, rules

NOW = 1000.0
DEFAULTS = Behavior(default_up(), default_down())


def events(*entries: tuple[float, int]) -> tuple[ScaleEvent, ...]:
    """Rescales by age in seconds."""
    return tuple(ScaleEvent(NOW - age, change) for age, change in entries)


def test_percent_is_reckoned_in_doubles() -> None:
    """110.00000000000001 is raised to 111, 9.999999999999998 cut to 9; decimals would give 110 and 10."""
    assert scale_up_limit(100, rules((PolicyType.PERCENT, 10, 60)), (), (), NOW) == 111
    assert scale_down_limit(100, rules((PolicyType.PERCENT, 90, 60)), (), (), NOW) == 9
    assert scale_down_limit(5, rules((PolicyType.PERCENT, 10, 60)), (), (), NOW) == 4
    assert scale_down_limit(1, rules((PolicyType.PERCENT, 10, 60)), (), (), NOW) == 0


@pytest.mark.parametrize(("age", "limit"), [(59.9, 10), (60, 14)])
def test_a_rescale_as_old_as_the_period_no_longer_counts(age: float, limit: int) -> None:
    assert scale_up_limit(10, rules((PolicyType.PODS, 4, 60)), events((age, 4)), (), NOW) == limit


@pytest.mark.parametrize(
    ("replicas", "legacy", "with_behavior"), [(1, 4, 5), (3, 6, 7), (4, 8, 8), (10, 20, 20)]
)
def test_an_empty_behavior_has_another_limit_than_none(
    replicas: int, legacy: int, with_behavior: int
) -> None:
    limit = legacy_limit(replicas, DecideConfig())
    assert limit_legacy(100, 1, 1000, limit) == (legacy, "ScaleUpLimit")
    bound = limit_behavior(replicas, 100, 1, 1000, DEFAULTS, (), (), NOW)
    assert bound == (with_behavior, "ScaleUpLimit")


def test_both_logs_count_for_both_directions() -> None:
    up, down = rules((PolicyType.PODS, 4, 60)), rules((PolicyType.PODS, 4, 60))
    assert scale_up_limit(8, up, events((10, 1)), events((30, 2)), NOW) == 8 - 1 + 2 + 4
    assert scale_down_limit(8, down, events((10, 1)), events((30, 2)), NOW) == 8 - 1 + 2 - 4


def test_min_picks_the_smallest_change_in_both_directions() -> None:
    policies = ((PolicyType.PODS, 2, 60), (PolicyType.PERCENT, 50, 60))
    assert scale_up_limit(10, rules(*policies, select=SelectPolicy.MIN), (), (), NOW) == 12
    assert scale_down_limit(10, rules(*policies, select=SelectPolicy.MIN), (), (), NOW) == 8
    assert scale_up_limit(10, rules(*policies), (), (), NOW) == 15
    assert scale_down_limit(10, rules(*policies), (), (), NOW) == 5


def test_a_limit_never_turns_the_direction() -> None:
    """10 replicas added in the period, 4 allowed: the limit is 94, and 100 stay 100."""
    slow = Behavior(rules((PolicyType.PODS, 4, 60)), rules((PolicyType.PODS, 4, 60)))
    assert limit_behavior(100, 120, 1, 1000, slow, events((10, 10)), (), NOW) == (100, "ScaleUpLimit")
    assert limit_behavior(100, 50, 1, 1000, slow, (), events((10, 10)), NOW) == (100, "ScaleDownLimit")


def test_disabled_holds_its_direction() -> None:
    off = rules((PolicyType.PODS, 100, 60), select=SelectPolicy.DISABLED)
    assert limit_behavior(5, 9, 1, 100, Behavior(off, off), (), (), NOW) == (5, "ScaleUpLimit")
    assert limit_behavior(5, 2, 1, 100, Behavior(off, off), (), (), NOW) == (5, "ScaleDownLimit")


def test_a_bound_as_near_as_the_rate_limit_is_the_reason() -> None:
    assert limit_legacy(100, 1, 6, 6) == (6, "TooManyReplicas")
    assert limit_behavior(4, 100, 1, 8, DEFAULTS, (), (), NOW) == (8, "TooManyReplicas")


def test_within_one_period_a_role_without_behavior_doubles_once() -> None:
    """From 4 to 8 five seconds ago: 8 is the limit; after 15 s it is 16."""
    config = DecideConfig()
    assert legacy_limit(8, config, events((5, 4)), NOW) == 8
    assert legacy_limit(8, config, events((15, 4)), NOW) == 16
    assert legacy_limit(6, config, events((10, 1), (5, 1)), NOW) == 8
    assert legacy_limit(20, config, events((5, 4)), NOW) == 32
    assert legacy_limit(30, config, events((5, 27)), NOW) == 30


def test_an_outdated_rescale_gives_its_place_to_the_new_one() -> None:
    assert log_event(events((61, 7)), 5, NOW, 60) == events((0, 5))
    assert log_event(events((60, 7)), 5, NOW, 60) == events((60, 7), (0, 5))
    assert log_event(events((61, 7)), 5, NOW, 0) == events((61, 7))
