"""Several metrics: the largest wins, failures block a decrease only, the first failure is named."""

from rbg_autoscaler.decide.combine import Combined, combine
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.propose import propose_all
from rbg_autoscaler.decide.snapshot import Missing, Reading
from tests.unit.decide.roles import OUT, busy, external, role, total, view


def combined(replicas: int, *readings: Reading) -> Combined:
    spec = role(*(external(1, f"metric-{i}") for i in range(len(readings))))
    results = propose_all(spec, view(replicas), readings, DecideConfig())
    return combine(results, spec, replicas)


def test_the_largest_proposal_wins_and_the_first_of_equals_names_the_reason() -> None:
    assert combined(4, total(6), total(8), total(8)).replicas == 8
    assert "metric-1()" in combined(4, total(6), total(8), total(8)).active.message


def test_a_failed_metric_blocks_a_decrease() -> None:
    blocked = combined(5, total(3), OUT)
    assert blocked.replicas is None
    assert (blocked.active.status, blocked.active.reason) == ("False", "FailedGetExternalMetric")


def test_a_proposal_equal_to_the_present_count_is_not_blocked_by_a_failed_metric() -> None:
    assert combined(5, total(5), OUT).replicas == 5
    assert combined(5, OUT, total(7)).replicas == 7


def test_the_first_failure_gives_the_reason_and_the_message() -> None:
    spec = role(busy(1), external(1, "second"), external(1, "third"))
    readings = (Missing("Stale", "too old"), Missing("NoSeries", "not there"), total(1))
    blocked = combine(propose_all(spec, view(3), readings, DecideConfig()), spec, 3)
    assert blocked.active.reason == "FailedGetPodsMetric"
    assert blocked.active.message == (
        "the HPA was unable to compute the replica count: invalid metrics (2 invalid out of 3), "
        "first error is: unable to get signal RunningRequests: too old"
    )


def test_nothing_blocks_waking_from_zero() -> None:
    assert combined(0, OUT, total(3)).replicas == 3


def test_no_readings_at_all_block() -> None:
    spec = role(external(1), external(2))
    blocked = combine(propose_all(spec, view(3), (), DecideConfig()), spec, 3)
    assert blocked.replicas is None
    assert "2 invalid out of 2" in blocked.message
