"""Windows: inclusive without behavior, strict with it; the log keeps what can still matter."""

import pytest

from rbg_autoscaler.decide.memory import Recommendation
from rbg_autoscaler.decide.stabilise import compact, remember, stabilise_behavior, stabilise_legacy

NOW = 1000.0


def log(*entries: tuple[float, int]) -> tuple[Recommendation, ...]:
    """Recommendations by age in seconds."""
    return tuple(Recommendation(NOW - age, replicas) for age, replicas in entries)


@pytest.mark.parametrize(("age", "held"), [(299.9, 9), (300, 9), (300.1, 3)])
def test_without_behavior_a_recommendation_as_old_as_the_window_still_counts(age: float, held: int) -> None:
    assert stabilise_legacy(log((age, 9)), 3, NOW, 300) == held


@pytest.mark.parametrize(("age", "held"), [(299.9, 9), (300, 3)])
def test_with_behavior_a_recommendation_as_old_as_the_window_does_not_count(age: float, held: int) -> None:
    assert stabilise_behavior(log((age, 9)), 9, 3, NOW, 0, 300) == held


@pytest.mark.parametrize(("age", "held"), [(59.9, 6), (60, 8)])
def test_the_window_up_is_strict_too(age: float, held: int) -> None:
    assert stabilise_behavior(log((age, 6)), 5, 8, NOW, 60, 300) == held


def test_a_role_moves_only_as_far_as_both_envelopes_agree() -> None:
    assert stabilise_behavior(log((180, 3)), 2, 1, NOW, 300, 300) == 2
    assert stabilise_behavior(log((180, 1)), 2, 3, NOW, 300, 300) == 2


def test_the_last_entry_out_of_the_window_gives_its_place_to_the_new_one() -> None:
    old = log((600, 10), (60, 4), (540, 9))
    assert [entry.replicas for entry in remember(old, 3, NOW, 180)] == [10, 4, 3]
    assert [entry.replicas for entry in remember(log((180, 4)), 3, NOW, 180)] == [4, 3]


def test_equal_recommendations_are_kept_once_and_the_newest_is_kept() -> None:
    assert compact(log((20, 5), (10, 5), (0, 5)), NOW, 300) == log((0, 5))
    assert compact(log((40, 9), (30, 2), (20, 7), (10, 4), (0, 5)), NOW, 300) == log(
        (40, 9), (30, 2), (20, 7), (10, 4), (0, 5)
    )
    assert compact(log((40, 6), (30, 4), (20, 7), (10, 3), (0, 5)), NOW, 300) == log((20, 7), (10, 3), (0, 5))
    assert compact(log((301, 9), (0, 5)), NOW, 300) == log((0, 5))
