"""All metrics of a fleet in one go: a query's failure is its own metrics' and nobody else's."""

import threading

import pytest

from rbg_autoscaler.api.types import (
    ExternalMetric,
    MetricTarget,
    ObjectMetric,
    PodsMetric,
    QueryMetric,
    Signal,
    TargetType,
)
from rbg_autoscaler.decide.snapshot import Missing, Reading, Sample
from rbg_autoscaler.observe.readings import QueryStats, read_metrics
from rbg_autoscaler.observe.sources import (
    MetricsError,
    Overloaded,
    Partial,
    QueryResult,
    Rejected,
    Row,
    SourceSettings,
    TimedOut,
    Unreachable,
)
from rbg_autoscaler.observe.target import Target
from tests.fakes.metrics import NOW, FakeSource, instance, pod, rows, target

ONE = MetricTarget(TargetType.AVERAGE_VALUE, 1000)
WAITING, USAGE = "vllm:num_requests_waiting{", "vllm:kv_cache_usage_perc{"


def read(one: Target, source: FakeSource) -> tuple[Reading, ...]:
    readings, _ = read_metrics([one], {"default": source}, NOW)
    assert list(readings) == [one.key]
    assert list(readings[one.key]) == ["worker"]
    return readings[one.key]["worker"]


def reasons(readings: tuple[Reading, ...]) -> list[str]:
    return [reading.reason if isinstance(reading, Missing) else "ok" for reading in readings]


def test_readings_come_in_the_order_of_the_spec() -> None:
    source = FakeSource({WAITING: rows({"a": 3}), USAGE: rows({"a": 0.5})})
    one = target(["a"], [Signal.KV_CACHE_USAGE, Signal.QUEUE_LENGTH])
    assert read(one, source) == (Sample({"a": 500}, 5.0, 1, 1), Sample({"a": 3000}, 5.0, 1, 1))


@pytest.mark.parametrize("error", [Unreachable, TimedOut, Overloaded, Rejected, Partial])
def test_one_failing_query_makes_only_its_metrics_missing(error: type[MetricsError]) -> None:
    source = FakeSource({WAITING: error("why"), USAGE: rows({"a": 0.5})})
    one = target(["a"], [Signal.QUEUE_LENGTH, Signal.KV_CACHE_USAGE])
    waiting, usage = read(one, source)
    assert waiting == Missing(error.__name__, "metrics source default: why")
    assert isinstance(usage, Sample)


def test_how_each_query_went_is_told() -> None:
    source = FakeSource({WAITING: Overloaded("why"), USAGE: rows({"a": 0.5, "b": 0.1})})
    one = target(["a"], [Signal.QUEUE_LENGTH, Signal.KV_CACHE_USAGE])
    _, stats = read_metrics([one], {"default": source}, NOW, clock=lambda: 100.0)
    assert stats == (
        QueryStats("default", "vllm/QueueLength", 0.0, 0, "Overloaded"),
        QueryStats("default", "vllm/KVCacheUsage", 0.0, 2, ""),
    )


def test_a_source_that_hangs_costs_its_timeout_and_no_other_sources_answers() -> None:
    release = threading.Event()

    def hang(_: str) -> QueryResult:
        release.wait(20)
        return rows({"a": 1})

    hung = FakeSource({"": hang}, SourceSettings(url="http://h", timeout_seconds=0.1))
    fine = FakeSource({WAITING: rows({"a": 3})}, SourceSettings(url="http://h", timeout_seconds=0.1))
    targets = [
        target(["a"], [Signal.QUEUE_LENGTH], namespace=name, source=source)
        for name, source in (("one", "hung"), ("serving", "fine"))
    ]
    try:
        readings, stats = read_metrics(targets, {"hung": hung, "fine": fine}, NOW)
    finally:
        release.set()
    assert reasons(readings[targets[0].key]["worker"]) == ["TimedOut"]
    assert reasons(readings[targets[1].key]["worker"]) == ["ok"]
    assert [one.reason for one in stats] == ["TimedOut", ""]


def test_queries_that_queue_behind_others_keep_the_common_deadline() -> None:
    """At 0 s the sync begins; a thread takes a query at 4.5 s: past the 4 s, it is not even sent."""
    ticks = iter([0.0, 4.5])
    source = FakeSource({WAITING: rows({"a": 3})})
    one = target(["a"], [Signal.QUEUE_LENGTH])
    readings, _ = read_metrics([one], {"default": source}, NOW, clock=lambda: next(ticks, 5.0))
    assert reasons(readings[one.key]["worker"]) == ["TimedOut"]
    assert source.asked == []


def test_a_source_that_is_not_defined_is_named_with_those_that_are() -> None:
    one = target(["a"], [Signal.QUEUE_LENGTH], source="typo")
    readings, stats = read_metrics([one], {"default": FakeSource(), "other": FakeSource()}, NOW)
    (missing,) = readings[one.key]["worker"]
    assert missing == Missing(
        "UnknownSource", "metricsSource typo is not defined; defined are: default, other"
    )
    assert stats == ()


def test_a_group_that_does_not_exist_has_no_instances_but_external_metrics_are_read() -> None:
    source = FakeSource({"backlog": QueryResult([Row({"namespace": "serving", "age": "1"}, 7.0)])})
    metrics = [Signal.QUEUE_LENGTH, PodsMetric("hits", (), ONE), ExternalMetric("backlog", (), ONE)]
    assert reasons(read(target(None, metrics), source)) == ["NoInstances", "NoInstances", "ok"]


def test_metrics_that_cannot_be_asked_leave_the_others_alone() -> None:
    metrics = [QueryMetric("q", "up{", ONE), Signal.QUEUE_LENGTH]
    source = FakeSource({WAITING: rows({"a": 3})})
    assert reasons(read(target(["a"], metrics), source)) == ["Rejected", "ok"]
    assert len(source.asked) == 1


def test_pods_metrics_are_read_per_pod() -> None:
    gang = instance("g", pods=(pod("g-0"), pod("g-1", leader=False)))
    source = FakeSource({"hits": rows({"g-0": 3, "g-1": 5})})
    assert read(target([gang], [PodsMetric("hits", (), ONE)]), source) == (
        Sample({"g-0": 3000, "g-1": 5000}, 5.0, 2, 2),
    )


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [("Ingress", "main", "ok"), ("Ingress", "none", "NoSeries"), ("Namespace", "elsewhere", "NoSeries")],
)
def test_an_object_metric_reads_the_object_it_describes(kind: str, name: str, expected: str) -> None:
    row = Row({"namespace": "serving", "ingress": "main", "age": "2"}, 9.0)
    source = FakeSource({"hits": QueryResult([row])})
    assert reasons(read(target(["a"], [ObjectMetric("hits", (), kind, name, ONE)]), source)) == [expected]


def test_a_namespace_is_an_object_described_by_all_of_its_series() -> None:
    source = FakeSource({"hits": QueryResult([Row({"namespace": "serving", "age": "2"}, 9.0)])})
    metric = ObjectMetric("hits", (), "Namespace", "serving", ONE)
    assert read(target(["a"], [metric]), source) == (Sample({"": 9000}, 2.0, 1, 0),)


def test_a_utilization_target_gets_the_capacity_of_every_instance() -> None:
    source = FakeSource({USAGE: rows({"a": 0.5})})
    one = target(["a", "b"], [Signal.KV_CACHE_USAGE], target_type=TargetType.UTILIZATION)
    assert read(one, source) == (Sample({"a": 500}, 5.0, 1, 2, {"a": 1000, "b": 1000}, "1 NoSeries"),)


def test_autoscalers_of_one_namespace_see_their_own_pods() -> None:
    source = FakeSource({WAITING: rows({"a": 3, "b": 4})})
    first = target(["a"], [Signal.QUEUE_LENGTH])
    second = target(["b"], [Signal.QUEUE_LENGTH])._replace(key=first.key._replace(name="second"))
    readings, _ = read_metrics([first, second], {"default": source}, NOW)
    assert readings[first.key]["worker"] == (Sample({"a": 3000}, 5.0, 1, 1),)
    assert readings[second.key]["worker"] == (Sample({"b": 4000}, 5.0, 1, 1),)
    assert len(source.asked) == 1
