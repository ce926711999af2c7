"""Rows to readings: what does not report is missing with its reason, and never zero."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbg_autoscaler.decide.snapshot import InstancePhase, Missing, Reading, RoleView, Sample
from rbg_autoscaler.observe.join import (
    MAX_INT64,
    Limits,
    Rows,
    instance_units,
    pod_units,
    read_total,
    read_units,
    rows_of,
    to_milli,
)
from rbg_autoscaler.observe.sources import QueryResult, Row
from tests.fakes.metrics import NOW, instance, pod, rows

KEYS = ("namespace", "pod")
LIMITS = Limits(45.0, 30.0, "x in source default")


def role(*instances: object) -> RoleView:
    views = tuple(instance(one) if isinstance(one, str) else one for one in instances)
    return RoleView("worker", len(views), len(views), len(views), len(views), views)  # type: ignore[arg-type]


def read(answer: QueryResult, view: RoleView, *, leader_only: bool = True, average: bool = False) -> Reading:
    units = instance_units(view, NOW, LIMITS.ready_grace_seconds, leader_only=leader_only)
    return read_units(rows_of(answer, KEYS), "serving", units, LIMITS, average=average)


def test_every_ready_instance_reports() -> None:
    assert read(rows({"a": 0.57, "b": 2}, age={"a": 3, "b": 14}), role("a", "b")) == Sample(
        {"a": 570, "b": 2000}, 14.0, 2, 2
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (rows({}), "NoSeries"),
        (rows({"a": math.nan}), "NotFinite"),
        (rows({"a": math.inf}), "NotFinite"),
        (rows({"a": -1}), "Negative"),
        (rows({"a": 1}, age=45.1), "Stale"),
        (rows({"a": 1}, faulty=["a"]), "Duplicated"),
        (rows({"a": 1}, namespace="elsewhere"), "NoSeries"),
        # A proxy that adds a label of its own makes two rows of one pod.
        (QueryResult(rows({"a": 1}).rows + rows({"a": 2}).rows), "Duplicated"),
        # A value of unknown age is not used.
        (QueryResult([Row({"namespace": "serving", "pod": "a"}, 1.0)]), "NoSeries"),
    ],
)
def test_what_is_wrong_with_the_only_instance_makes_the_metric_missing(
    answer: QueryResult, reason: str
) -> None:
    alone = read(answer, role("a"))
    assert isinstance(alone, Missing)
    assert alone.reason == reason
    assert alone.message.startswith("x in source default: of 1 ready instances none has a usable sample")
    beside = read(QueryResult(answer.rows + rows({"good": 7}).rows), role("a", "good"))
    assert beside == Sample({"good": 7000}, 5.0, 1, 2, shortfall=f"1 {reason}")


def test_zero_is_a_value() -> None:
    assert read(rows({"a": 0}), role("a")) == Sample({"a": 0}, 5.0, 1, 1)


def test_pods_of_others_are_ignored() -> None:
    assert read(rows({"a": 1, "router": 9, "b": math.nan}, faulty=["b"]), role("a")) == Sample(
        {"a": 1000}, 5.0, 1, 1
    )


def test_an_instance_is_expected_once_it_has_been_ready_for_the_grace() -> None:
    """At 29 s after Ready its silence is no gap, at 30 s it is; what it already reports counts at once."""
    young, grown = instance("b", ready_for=29), instance("b", ready_for=30)
    assert read(rows({"a": 1}), role("a", young)) == Sample({"a": 1000}, 5.0, 1, 1)
    assert read(rows({"a": 1}), role("a", grown)) == Sample({"a": 1000}, 5.0, 1, 2, shortfall="1 NoSeries")
    assert read(rows({"a": 1, "b": 3}), role("a", young)) == Sample({"a": 1000, "b": 3000}, 5.0, 1, 1)


def test_instances_that_are_not_ready_are_not_expected() -> None:
    starting = instance("b", phase=InstancePhase.STARTING)
    assert read(rows({"a": 1}), role("a", starting)) == Sample({"a": 1000}, 5.0, 1, 1)
    nobody = read(rows({}), role(starting))
    assert isinstance(nobody, Missing)
    assert nobody.reason == "NoInstances"


@pytest.mark.parametrize("phase", [InstancePhase.TERMINATING, InstancePhase.FAILED])
def test_what_is_leaving_neither_reports_nor_spoils(phase: InstancePhase) -> None:
    leaving = instance("b", phase=phase)
    assert read(rows({"a": 1, "b": math.nan}), role("a", leaving)) == Sample({"a": 1000}, 5.0, 1, 1)


def test_a_gang_reports_through_its_leader() -> None:
    gang = instance("g", pods=(pod("g-0"), pod("g-1", leader=False)))
    assert read(rows({"g-0": 4}), role(gang)) == Sample({"g": 4000}, 5.0, 1, 1)
    worker_only = read(rows({"g-1": 4}), role(gang))
    assert isinstance(worker_only, Missing)
    assert worker_only.reason == "NoSeries"


def test_a_gang_of_which_every_pod_counts_adds_or_averages_and_reports_whole() -> None:
    gang = instance("g", pods=(pod("g-0"), pod("g-1", leader=False)))
    answer = rows({"g-0": 0.4, "g-1": 0.8}, age={"g-0": 1, "g-1": 9})
    assert read(answer, role(gang), leader_only=False) == Sample({"g": 1200}, 9.0, 1, 1)
    assert read(answer, role(gang), leader_only=False, average=True) == Sample({"g": 600}, 9.0, 1, 1)
    assert isinstance(read(rows({"g-0": 0.4}), role(gang), leader_only=False), Missing)


def test_an_instance_without_its_leader_pod_does_not_report() -> None:
    headless = instance("g", pods=(pod("g-1", leader=False),))
    missing = read(rows({"g-1": 4}), role(headless))
    assert isinstance(missing, Missing)
    assert missing.reason == "NoSeries"


def test_pods_metrics_expect_workers_only_where_workers_report() -> None:
    gang = role(instance("g", pods=(pod("g-0"), pod("g-1", leader=False))), instance("h", ready_for=5))
    for names, expected in (({"g-0"}, [True, False, False]), ({"g-1"}, [True, True, False])):
        units = pod_units(gang, NOW, 30, names)
        assert [unit.name for unit in units] == ["g-0", "g-1", "h"]
        assert [unit.expected for unit in units] == expected


def test_object_metrics_read_their_object_and_external_ones_the_namespace() -> None:
    answer = rows_of(rows({"main": 3, "other": 5}), KEYS)
    assert read_total(answer, "serving", ("main",), LIMITS) == Sample({"main": 3000}, 5.0, 1, 0)
    assert read_total(answer, "serving", None, LIMITS) == Sample({"main": 3000, "other": 5000}, 5.0, 2, 0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (rows({}), "NoSeries"),
        (rows({"main": -1}), "Negative"),
        (rows({"main": 3}, faulty=["main"]), "Negative"),
        (rows({"main": 3}, age=50), "Stale"),
        (rows({"main": math.nan}), "NotFinite"),
        (rows({"main": 3}, namespace="elsewhere"), "NoSeries"),
    ],
)
@pytest.mark.parametrize("units", [("main",), None])
def test_one_wrong_value_makes_a_total_missing(
    answer: QueryResult, reason: str, units: tuple[str, ...] | None
) -> None:
    beside = QueryResult(answer.rows + ([] if reason == "NoSeries" else rows({"other": 1}).rows))
    missing = read_total(rows_of(beside, KEYS), "serving", units, LIMITS)
    assert isinstance(missing, Missing)
    assert missing.reason == reason


def test_a_users_rows_are_told_apart_by_their_labels_and_share_the_age() -> None:
    answer = QueryResult([Row({"b": "2", "a": "1"}, 3.0), Row({}, 4.0), Row({"field": "age"}, 12.0)])
    assert read_total(rows_of(answer, None), "", None, LIMITS) == Sample(
        {"a=1,b=2": 3000, "": 4000}, 12.0, 2, 0
    )


@pytest.mark.parametrize(
    ("value", "milli"),
    [
        (0.07, 70),
        (0.0701, 71),
        (0.29, 290),
        (1e-9, 1),
        (0, 0),
        (1234567.8901, 1234567891),
        (1e300, MAX_INT64),
    ],
)
def test_thousandths_are_rounded_up_without_the_noise_of_floats(value: float, milli: int) -> None:
    assert to_milli(value) == milli


@given(st.integers(0, 10**12))
def test_whole_thousandths_are_kept(milli: int) -> None:
    assert to_milli(milli / 1000) == milli


@given(st.floats(0, 1e10))
def test_rounding_never_understates_and_adds_less_than_one(value: float) -> None:
    assert value * 1000 - 0.1 <= to_milli(value) < value * 1000 + 1


GOOD = st.floats(0, 1e6)
BAD = st.sampled_from(["absent", "nan", "negative", "stale", "faulty"])


@given(st.dictionaries(st.sampled_from("abcdefgh"), GOOD | BAD, min_size=1))
def test_a_reading_never_contains_what_did_not_report_and_always_counts_it(
    pods: dict[str, float | str],
) -> None:
    good = {name: said for name, said in pods.items() if not isinstance(said, str)}
    lines = list(rows(good).rows)
    for name, said in pods.items():
        value = {"nan": math.nan, "negative": -2.0}.get(str(said), 1.0)
        if isinstance(said, str) and said != "absent":
            faulty = [name] if said == "faulty" else []
            lines += rows({name: value}, age=99 if said == "stale" else 1, faulty=faulty).rows
    reading = read(QueryResult(lines), role(*pods))
    if not good:
        assert isinstance(reading, Missing)
        return
    assert isinstance(reading, Sample)
    assert set(reading.values_milli) == set(good)
    assert (reading.reporting, reading.expected) == (len(good), len(pods))
    assert reading.is_partial is (len(good) < len(pods))
    assert bool(reading.shortfall) is reading.is_partial


def test_an_empty_answer_is_empty_rows() -> None:
    assert rows_of(QueryResult([]), KEYS) == Rows()
