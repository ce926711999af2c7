"""How far a CoordinatedPolicy lets roles go: the batches of the recordings, and what holds for any."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localplane.rbg.coordination import PolicyError, RoleProgress, Rule, rules_of, throttle


def role(current: int, desired: int, ready: int | None = None, scheduled: int | None = None) -> RoleProgress:
    return RoleProgress(
        desired=desired,
        current=current,
        ready=current if ready is None else ready,
        scheduled_pods=current if scheduled is None else scheduled,
    )


def rule(skew: int = 25, progression: str | None = "OrderReady") -> Rule:
    return Rule(("prefill", "decode"), Fraction(skew, 100), progression)


def batches(prefill: int, decode: int, rules: list[Rule], start: tuple[int, int]) -> list[tuple[int, int]]:
    """The batches until both have what they want, everything ready after each."""
    now, seen = start, []
    while now != (prefill, decode):
        targets = throttle(rules, {"prefill": role(now[0], prefill), "decode": role(now[1], decode)})
        now = targets["prefill"], targets["decode"]
        seen.append(now)
    return seen


def test_two_roles_grow_in_the_recorded_batches() -> None:
    assert batches(6, 4, [rule()], start=(2, 2)) == [(4, 3), (6, 4)]


def test_a_group_is_created_in_the_recorded_batches() -> None:
    assert batches(6, 4, [rule()], start=(0, 0)) == [(2, 1), (3, 2), (5, 3), (6, 4)]


def test_unready_replicas_of_a_growing_role_freeze_a_shrinking_one() -> None:
    roles = {"prefill": role(4, 6, ready=2), "decode": role(3, 1)}
    assert throttle([rule()], roles) == {"prefill": 4, "decode": 3}


def test_once_ready_the_one_grows_and_the_other_shrinks() -> None:
    roles = {"prefill": role(4, 6), "decode": role(3, 1)}
    assert throttle([rule()], roles) == {"prefill": 6, "decode": 1}


def test_the_last_batch_does_not_freeze_anybody() -> None:
    roles = {"prefill": role(8, 8, ready=3), "decode": role(2, 1)}
    assert throttle([rule()], roles) == {"prefill": 8, "decode": 1}


def test_order_scheduled_counts_pods_against_replicas() -> None:
    # 5 instances of 2 pods, 8 of 10 pods scheduled: 8 >= 5, so the gate lets the next batch pass.
    roles = {"prefill": role(5, 6, ready=3, scheduled=8), "decode": role(1, 1)}
    assert throttle([rule(20, "OrderScheduled")], roles)["prefill"] == 6


def test_without_a_progression_there_is_no_gate() -> None:
    roles = {"prefill": role(11, 14, ready=8, scheduled=8), "decode": role(2, 2)}
    assert throttle([rule(25, None)], roles)["prefill"] == 14


def test_a_role_of_two_rules_gets_the_least() -> None:
    rules = [rule(100), Rule(("prefill", "router"), Fraction(10, 100), None)]
    roles = {"prefill": role(2, 10), "decode": role(2, 10), "router": role(1, 10)}
    assert throttle(rules, roles)["prefill"] == 3


def test_a_role_of_no_rule_goes_all_the_way() -> None:
    assert throttle([rule()], {"router": role(1, 9)}) == {"router": 9}


def policy(skew: object) -> dict[str, object]:
    scaling = {"maxSkew": skew, "progression": "OrderReady"}
    return {"spec": {"policies": [{"name": "pd", "roles": ["p", "d"], "strategy": {"scaling": scaling}}]}}


@pytest.mark.parametrize("skew", [1, "1", "x%", "101%", "-1%"])
def test_a_skew_that_is_no_percentage_stops_the_group(skew: object) -> None:
    with pytest.raises(PolicyError, match="maxSkew"):
        rules_of(policy(skew))


def test_rules_without_a_scaling_strategy_do_not_count() -> None:
    assert rules_of({"spec": {"policies": [{"name": "a", "roles": ["p"], "strategy": {}}]}}) == []
    assert rules_of(None) == []
    assert rules_of(policy("25%"))[0].max_skew == Fraction(1, 4)


numbers = st.integers(0, 40)


@given(numbers, numbers, numbers, numbers, st.integers(0, 100))
def test_growth_never_stops_and_never_overshoots(p: int, wp: int, d: int, wd: int, skew: int) -> None:
    roles = {"prefill": role(p, wp), "decode": role(d, wd)}
    targets = throttle([rule(skew)], roles)
    for name, progress in roles.items():
        low, high = sorted((progress.current, progress.desired))
        assert low <= targets[name] <= high
        if progress.growing:
            assert targets[name] > progress.current
        else:
            assert targets[name] == progress.desired
