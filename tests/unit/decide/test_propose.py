"""One metric to one proposal: the edges of tolerance, and the four replica counts that are never mixed up."""

import pytest

from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.propose import propose
from rbg_autoscaler.decide.ratio import Band
from rbg_autoscaler.decide.snapshot import InstancePhase, RoleView, Sample
from tests.unit.decide.roles import (
    OUT,
    each,
    external,
    external_total,
    instance,
    kv_usage,
    per_pod,
    total,
    view,
)

TENTH = Band.of(0.1, 0.1)
CONFIG = DecideConfig()


@pytest.mark.parametrize(
    ("value", "replicas"),
    [(11.0, 10), (11.001, 12), (9.0, 10), (8.999, 9)],
    ids=["1.1 is inside", "just above", "0.9 is inside", "just below"],
)
def test_both_ends_of_the_tolerance_are_inside(value: float, replicas: int) -> None:
    """|1 - 1.1| is 0.10000000000000009 in doubles: a test of the distance would move at exactly 1.1."""
    assert propose(external(1), total(value), view(10), TENTH, CONFIG).proposed == replicas


def test_the_side_of_one_picks_the_tolerance_not_the_direction_of_the_change() -> None:
    surge = view(10, observed=13)
    assert propose(external(1), total(12), surge, Band.of(0.0, 0.5), CONFIG).proposed == 12
    assert propose(external(1), total(12), surge, Band.of(0.5, 0.0), CONFIG).proposed == 13


def test_an_external_average_divides_by_the_observed_count_and_adopts_it_inside_tolerance() -> None:
    surge = view(10, observed=13)
    assert propose(external(1), total(12), surge, TENTH, CONFIG).proposed == 13
    spec = DecideConfig(status_average_returns_spec=True)
    assert propose(external(1), total(12), surge, TENTH, spec).proposed == 10


def test_a_value_is_multiplied_by_the_ready_replicas() -> None:
    loading = view(
        10,
        instances=[instance(i, InstancePhase.READY if i < 4 else InstancePhase.STARTING) for i in range(10)],
    )
    assert propose(external_total(10), total(15), loading, TENTH, CONFIG).proposed == 6


def test_a_value_with_no_instance_at_all_gives_no_number() -> None:
    empty = RoleView("decode", 4, 4, 0, 0)
    result = propose(external_total(10), total(15), empty, TENTH, CONFIG)
    assert (result.proposed, result.usage_milli) == (None, None)
    assert "no pods returned by selector" in result.message
    assert propose(external_total(10), total(10), empty, TENTH, CONFIG).proposed == 4


def test_percent_is_cut_to_whole_numbers_before_the_ratio() -> None:
    usage = Sample({"decode-0": 499, "decode-1": 499}, capacity_milli={"decode-0": 1000, "decode-1": 1000})
    result = propose(kv_usage(49), usage, view(2), Band.of(0.0, 0.0), CONFIG)
    assert (result.proposed, result.usage_milli, result.average_milli) == (2, 49, 499)


def test_a_utilisation_without_capacity_gives_no_number() -> None:
    usage = Sample({"decode-0": 499, "decode-1": 499}, capacity_milli={"decode-0": 1000})
    result = propose(kv_usage(49), usage, view(2), TENTH, CONFIG)
    assert result.proposed is None
    assert "missing request for KVCacheUsage" in result.message
    assert "decode-1" in result.message


def test_instances_that_leave_do_not_count_and_those_without_a_node_count_as_zero_for_a_raise() -> None:
    phases = (
        InstancePhase.READY,
        InstancePhase.READY,
        InstancePhase.TERMINATING,
        InstancePhase.FAILED,
        InstancePhase.UNSCHEDULED,
    )
    seen = view(3, instances=[instance(i, phase) for i, phase in enumerate(phases)])
    samples = each({f"decode-{i}": 30 for i in range(5)})
    result = propose(per_pod(10), samples, seen, TENTH, CONFIG)
    # 30 over 10 on two instances; with the waiting one as 0 it is 20 over 10 on three.
    assert (result.proposed, result.usage_milli) == (6, 30_000)
    low = propose(per_pod(100), samples, seen, TENTH, CONFIG)
    assert low.proposed == 1


def test_a_gang_counts_once_however_many_of_its_pods_report() -> None:
    """Two gangs of 4 pods at 1.5 times the target need 3 gangs, not 12."""
    gangs = view(2, instances=[instance(0, pods=4), instance(1, pods=4)])
    every_pod = each({f"decode-{i}-{j}": 15 for i in range(2) for j in range(4)})
    leaders = each({"decode-0-0": 15, "decode-1-0": 15})
    assert propose(per_pod(10), every_pod, gangs, TENTH, CONFIG).proposed == 3
    assert propose(per_pod(10), leaders, gangs, TENTH, CONFIG).proposed == 3


def test_a_missing_reading_gives_no_number_and_keeps_its_reason() -> None:
    result = propose(external(1), OUT, view(3), TENTH, CONFIG)
    assert result.proposed is None
    assert result.reading is OUT
    assert result.message == "unable to get external metric qps(): the metrics source does not answer"


def test_no_series_is_a_failure_not_a_zero() -> None:
    result = propose(external(1), Sample({}), view(3), TENTH, CONFIG)
    assert result.proposed is None
    assert "no metrics returned from external metrics API" in result.message


def test_instances_that_do_not_report_are_taken_to_be_on_target_when_the_others_ask_for_less() -> None:
    """Two of four at 2 of 10: with the silent ones at 10 that is 0.6 of the target, hence 3, not 1."""
    assert propose(per_pod(10), each({"decode-0": 2, "decode-1": 2}), view(4), TENTH, CONFIG).proposed == 3


def test_silent_instances_never_turn_the_direction() -> None:
    """One of four at 15 of 10 is 1.5; with the silent ones idle it is 0.375: unknown, so nothing moves."""
    assert propose(per_pod(10), each({"decode-0": 15}), view(4), TENTH, CONFIG).proposed == 4


def test_a_count_that_would_move_against_its_ratio_is_not_proposed() -> None:
    """Asked down to 1 with 4 instances still there at half load: 0.625 x 4 is 3, which would raise."""
    there = view(1, instances=[instance(i) for i in range(4)])
    samples = each({"decode-0": 5, "decode-1": 5, "decode-2": 5})
    assert propose(per_pod(10), samples, there, TENTH, CONFIG).proposed == 1
