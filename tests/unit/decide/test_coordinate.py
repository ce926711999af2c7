"""Stage 7: ratios between roles."""

from __future__ import annotations

import itertools

import pytest

from rbg_autoscaler.api.types import Coordination
from rbg_autoscaler.decide.coordinate import Counts, families, rules_of, solve
from rbg_autoscaler.decide.decision import Stage
from tests.fakes.fleet import (
    KV,
    MISSING,
    autoscaler_spec,
    autoscaler_view,
    decide_one,
    group,
    per_instance,
    ratio,
    role_spec,
    role_view,
    row,
)


def solved(wanted: dict[str, int], *entries: Coordination, high: int = 32, step: int = 1, **limits: int):
    counts = {role: Counts(1, limits.get(role, high), step) for role in wanted}
    return solve(wanted, counts, rules_of(entries))


def test_the_lagging_role_is_raised_and_the_other_not_lowered():
    assert solved({"d": 8, "p": 1}, ratio("d", "p", 1, 4)) == {"d": 8, "p": 2}
    assert solved({"d": 2, "p": 5}, ratio("d", "p", 1.5, 4)) == {"d": 8, "p": 5}


def test_a_ratio_that_is_kept_moves_nothing():
    assert solved({"d": 8, "p": 2}, ratio("d", "p", 1, 4)) == {"d": 8, "p": 2}


def test_the_other_is_lowered_only_where_the_lagging_role_is_at_its_maximum():
    assert solved({"d": 20, "p": 1}, ratio("d", "p", 1, 4), p=3) == {"d": 12, "p": 3}


def test_a_role_is_not_raised_for_one_that_has_to_give_way():
    """a must have as many as b, b wants 10 but may have twice c at most, and c at most 1."""
    rules = (ratio("a", "b", 1, None), ratio("b", "c", None, 2))
    assert solved({"a": 1, "b": 10, "c": 1}, *rules, c=1) == {"a": 2, "b": 2, "c": 1}


def test_steps_of_both_roles_are_kept():
    counts = {"d": Counts(2, 32, 4), "p": Counts(1, 32, 3)}
    assert solve({"d": 20, "p": 3}, counts, rules_of((ratio("d", "p", None, 3),))) == {"d": 20, "p": 9}
    exact = rules_of((ratio("a", "b", 1.5, 1.5),))
    assert solve({"a": 2, "b": 1}, {"a": Counts(2, 8, 2), "b": Counts(1, 5, 1)}, exact) == {"a": 6, "b": 4}


def test_no_counts_keep_an_impossible_ratio():
    assert solved({"d": 1, "p": 1}, ratio("d", "p", 40, None)) is None


def test_the_order_of_the_rules_does_not_matter():
    entries = (ratio("a", "b", 1, 2), ratio("b", "c", 1, 3), ratio("a", "c", 1.5, 4))
    wanted = {"a": 3, "b": 9, "c": 1}
    answers = [solved(wanted, *order, b=7) for order in itertools.permutations(entries)]
    assert answers[0] is not None
    assert all(answer == answers[0] for answer in answers)


def test_zero_goes_with_zero():
    counts = {"d": Counts(0, 8, 1), "p": Counts(0, 8, 1)}
    rules = rules_of((ratio("d", "p", 1, 4),))
    assert solve({"d": 0, "p": 0}, counts, rules) == {"d": 0, "p": 0}
    assert solve({"d": 3, "p": 0}, counts, rules) == {"d": 3, "p": 1}


def test_families_are_told_apart_by_the_roles_they_tie():
    rules = rules_of((ratio("a", "b", 1, 2), ratio("c", "d", 1, 2), ratio("b", "e", 1, None)))
    assert sorted(sorted(names) for names, _ in families(rules)) == [["a", "b", "e"], ["c", "d"]]


def decided(coordination, *, decode: float, prefill: float, views=None, roles=None):
    views = views or (role_view("decode", 4), role_view("prefill", 2))
    roles = roles or (role_spec("decode", 1, 32, KV), role_spec("prefill", 1, 16, KV))
    load = {"decode": decode, "prefill": prefill}
    readings = {view.name: (per_instance(view, load[view.name]),) for view in views}
    spec = autoscaler_spec(*roles, coordination=coordination)
    return decide_one(autoscaler_view(spec, group(*views), readings))[0]


def test_in_a_decision_the_raised_role_says_why():
    decision = decided((ratio("decode", "prefill", 1, 3),), decode=1.4, prefill=0.7)
    decode, prefill = row(decision), row(decision, "prefill")
    assert (decode.granted, prefill.granted) == (8, 3)
    assert prefill.limiter is Stage.COORDINATE
    assert prefill.reason == "RatioCoordinated"
    assert "from 2 to 3" in prefill.message


def test_an_unsatisfiable_ratio_is_reported_and_lets_the_roles_go_their_own_way():
    decision = decided((ratio("decode", "prefill", 50, None),), decode=1.4, prefill=0.7)
    assert (row(decision).granted, row(decision, "prefill").granted) == (8, 2)
    limited = next(one for one in decision.conditions if one.type == "ScalingLimited")
    assert (limited.status, limited.reason) == ("True", "RatioUnsatisfiable")


def test_a_role_switched_off_by_hand_is_not_raised_by_a_ratio():
    views = (role_view("decode", 4), role_view("prefill", 0, instances=()))
    decision = decided((ratio("decode", "prefill", 1, 2),), decode=0.7, prefill=0, views=views)
    assert [one.granted for one in decision.roles] == [4, 0]


def test_a_role_that_may_sleep_but_was_switched_off_by_hand_is_not_woken_by_a_ratio():
    views = (role_view("decode", 4), role_view("prefill", 0, instances=()))
    roles = (role_spec("decode", 1, 32, KV), role_spec("prefill", 0, 16, KV))
    decision = decided((ratio("decode", "prefill", 1, 2),), decode=0.7, prefill=0, views=views, roles=roles)
    assert [one.granted for one in decision.roles] == [4, 0]


def test_a_ratio_with_a_role_that_the_group_does_not_have_is_left_out():
    views = (role_view("decode", 4),)
    decision = decided((ratio("decode", "prefill", 1, 2),), decode=1.4, prefill=0, views=views)
    assert row(decision).granted == 8
    assert row(decision, "prefill").reason == "RoleNotFound"


@pytest.mark.parametrize("kept", [True, False])
def test_a_ratio_lowers_no_role_whose_metrics_are_missing(kept):
    views = (role_view("decode", 12), role_view("prefill", 2))
    spec = autoscaler_spec(
        role_spec("decode", 1, 32, KV),
        role_spec("prefill", 1, 2, KV),
        coordination=(ratio("decode", "prefill", 1, 6 if kept else 4),),
    )
    readings = {"decode": (MISSING,), "prefill": (per_instance(views[1], 0.7),)}
    decision = decide_one(autoscaler_view(spec, group(*views), readings))[0]
    assert row(decision).granted == 12
