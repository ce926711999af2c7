"""Ratios between roles, held against trying every combination of counts."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from rbg_autoscaler.decide.coordinate import Counts, rules_of, solve
from tests.fakes.fleet import ratio

ROLES = ("a", "b", "c")
PAIRS = (("a", "b"), ("b", "c"), ("c", "a"))

low_bounds = st.sampled_from([None, 0.4, 0.5, 1, 1.5, 2, 3])
high_bounds = st.sampled_from([None, 0.5, 1, 1.5, 2, 4])


@st.composite
def puzzles(draw: st.DrawFn):
    counts = {
        role: Counts(draw(st.integers(0, 4)), draw(st.integers(3, 9)), draw(st.sampled_from([1, 2, 3])))
        for role in ROLES
    }
    entries = [ratio(*pair, draw(low_bounds), draw(high_bounds)) for pair in PAIRS if draw(st.booleans())]
    wanted = {role: draw(st.sampled_from(allowed(counts[role]) or [0])) for role in ROLES}
    return wanted, counts, rules_of(entries)


def allowed(counts: Counts) -> list[int]:
    return list(range(counts.low, counts.high + 1, counts.step))


@settings(max_examples=200, deadline=None)
@given(puzzles())
def test_the_answer_is_the_least_raise_or_none_where_there_is_none(puzzle):
    wanted, counts, rules = puzzle
    every = itertools.product(*(allowed(counts[role]) for role in ROLES))
    possible = [each for each in (dict(zip(ROLES, one, strict=True)) for one in every) if keeps(each, rules)]
    solution = solve(wanted, counts, rules)
    if solution is None:
        assert not possible
        return
    assert solution in possible
    enough = [each for each in possible if all(each[role] >= wanted[role] for role in ROLES)]
    if enough:
        assert solution == {role: min(each[role] for each in enough) for role in ROLES}
    else:
        most = {role: max(each[role] for each in possible) for role in ROLES}
        assert all(solution[role] >= min(wanted[role], most[role]) for role in ROLES)


@settings(max_examples=100, deadline=None)
@given(puzzles(), st.permutations(range(6)))
def test_the_order_of_the_rules_changes_nothing(puzzle, order):
    wanted, counts, rules = puzzle
    mixed = tuple(rules[place] for place in order if place < len(rules))
    assert solve(wanted, counts, mixed) == solve(wanted, counts, rules)


def keeps(replicas, rules) -> bool:
    return all(rule.keeps(replicas) for rule in rules)
