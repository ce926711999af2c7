"""Every shipped query on a real Prometheus, whose history is written sample by sample."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rbg_autoscaler.api.types import (
    Engine,
    ExternalMetric,
    LabelRequirement,
    MetricTarget,
    ObjectMetric,
    PodsMetric,
    QueryMetric,
    RoleKind,
    Signal,
    TargetType,
)
from rbg_autoscaler.decide.snapshot import Missing, Reading, Sample
from rbg_autoscaler.engines import preset
from rbg_autoscaler.engines.expressions import Preset
from rbg_autoscaler.observe.plan import SignalQuestion
from rbg_autoscaler.observe.prometheus import PrometheusSource
from rbg_autoscaler.observe.readings import read_metrics
from rbg_autoscaler.observe.sources import SourceSettings
from tests.cluster.history import History, prometheus_of
from tests.fakes.metrics import NOW, instance, pod, target

EVERY_SIGNAL = tuple(Signal)
ONE = MetricTarget(TargetType.AVERAGE_VALUE, 1000)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceSettings]:
    history = History(int(NOW))
    for write in (vllm, vllm_pending, sglang, others, faults, hpa_shapes):
        write(history)
    with prometheus_of(history, tmp_path_factory.mktemp("prometheus")) as url:
        yield SourceSettings(url=url, params={"time": str(NOW)}, timeout_seconds=20, allow_user_queries=True)


def read(settings: SourceSettings, wanted: object, **how: object) -> Reading:
    """One reading; `wanted` is a signal or metric, `how` describes the target."""
    instances = how.pop("instances", ("a",))
    one = target(instances, [wanted], **how)  # type: ignore[arg-type, list-item]
    readings, stats = read_metrics([one], {"default": PrometheusSource(settings)}, NOW)
    assert len(stats) == 1
    return readings[one.key]["worker"][0]


def value(reading: Reading) -> dict[str, float]:
    assert isinstance(reading, Sample), reading
    return {name: milli / 1000 for name, milli in reading.values_milli.items()}


# vLLM: pod a speaks the new names, b the old ones, c both (0.9.2 to 0.11.2), d is two engines in one pod.


def vllm(history: History) -> None:
    ranks = {"model_name": "meta/llama", "engine": "0"}
    counters = {
        "vllm:prompt_tokens_total": lambda s: 100 * (s + 900),
        "vllm:generation_tokens_total": lambda s: 7 * s + 9000,
    }
    load = {"vllm:num_requests_waiting": 4, "vllm:num_requests_running": 11}
    by_reason = {"vllm:num_requests_waiting_by_reason": 4}
    history.pod("vllm", "a", {**counters, **load, "vllm:kv_cache_usage_perc": 0.57}, **ranks)
    history.pod("vllm", "a", by_reason, reason="capacity", **ranks)
    history.pod("vllm", "a", {"vllm:num_requests_waiting_by_reason": 0}, reason="deferred", **ranks)
    bare = {name.removesuffix("_total"): curve for name, curve in counters.items()}
    history.pod("vllm", "b", {**bare, **load, "vllm:gpu_cache_usage_perc": 0.25}, model_name="meta/llama")
    both = {"vllm:kv_cache_usage_perc": 0.5, "vllm:gpu_cache_usage_perc": 0.5, **bare}
    history.pod("vllm", "c", {**counters, **load, **both}, **ranks)
    for engine, usage in (("0", 0.2), ("1", 0.6)):
        series = {**counters, **load, "vllm:kv_cache_usage_perc": usage}
        history.pod("vllm", "d", series, model_name="meta/llama", engine=engine)


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (Signal.QUEUE_LENGTH, {"a": 4, "b": 4, "c": 4, "d": 8}),
        (Signal.RUNNING_REQUESTS, {"a": 11, "b": 11, "c": 11, "d": 22}),
        (Signal.KV_CACHE_USAGE, {"a": 0.57, "b": 0.25, "c": 0.5, "d": 0.4}),
        (Signal.PROMPT_TOKEN_RATE, {"a": 100, "b": 100, "c": 100, "d": 200}),
        (Signal.GENERATION_TOKEN_RATE, {"a": 7, "b": 7, "c": 7, "d": 14}),
    ],
)
@pytest.mark.parametrize("kind", RoleKind)
def test_vllm_old_and_new_names_are_read_once(
    settings: SourceSettings, signal: Signal, expected: dict[str, float], kind: RoleKind
) -> None:
    reading = read(settings, signal, namespace="vllm", instances=("a", "b", "c", "d"), kind=kind)
    assert value(reading) == pytest.approx(expected, abs=0.002)
    assert isinstance(reading, Sample)
    assert (reading.reporting, reading.expected, reading.age_seconds, reading.shortfall) == (4, 4, 0.0, "")


def vllm_pending(history: History) -> None:
    """Waiting 5; 200 tokens a prompt over life, 400 of late; 1 of 4 tokens found in the cache."""
    lengths = {
        "vllm:request_prompt_tokens_sum": lambda s: 400 * max(0, s + 600) / 15 + 1000,
        "vllm:request_prompt_tokens_count": lambda s: max(0, s + 600) / 15 + 20,
    }
    idle = {"vllm:request_prompt_tokens_sum": 4000, "vllm:request_prompt_tokens_count": 20}
    new = {
        "vllm:prefix_cache_hits_total": lambda s: 25 * (s + 900),
        "vllm:prefix_cache_queries_total": lambda s: 100 * (s + 900),
    }
    old = {name.replace("vllm:", "vllm:gpu_"): curve for name, curve in new.items()}
    busy, empty = {"vllm:num_requests_waiting": 5}, {"vllm:num_requests_waiting": 0}
    for name, series in {
        "new": {**busy, **lengths, **new},
        "old": {**busy, **lengths, **old},
        "both": {**busy, **lengths, **old, **new},
        "v0": {**busy, **lengths, "vllm:gpu_prefix_cache_hit_rate": 0.25},
        "v0-off": {**busy, **lengths, "vllm:gpu_prefix_cache_hit_rate": -1},
        "no-cache": {**busy, **lengths, **dict.fromkeys(new, 0.0)},
        "burst-after-idle": {**busy, **idle, **dict.fromkeys(new, 0.0)},
        "idle": {**empty, **idle},
        "fresh": {**empty, **dict.fromkeys(idle, 0.0), **dict.fromkeys(new, 0.0)},
        "unknown": {**busy, **dict.fromkeys(idle, 0.0)},
    }.items():
        history.pod("pending", name, series, engine="0")


@pytest.mark.parametrize(
    ("pod_name", "expected"),
    [
        *((name, 5 * 400 * 0.75) for name in ("new", "old", "both", "v0")),
        ("v0-off", 5 * 400),
        ("no-cache", 5 * 400),
        ("burst-after-idle", 5 * 200),
        ("idle", 0),
        ("fresh", 0),
    ],
)
def test_pending_tokens_of_vllm_are_derived(settings: SourceSettings, pod_name: str, expected: float) -> None:
    reading = read(settings, Signal.PENDING_TOKENS, namespace="pending", instances=(pod_name,))
    assert value(reading)[pod_name] == pytest.approx(expected, rel=1e-3)


def test_requests_that_wait_before_any_has_finished_are_missing_not_zero(settings: SourceSettings) -> None:
    reading = read(settings, Signal.PENDING_TOKENS, namespace="pending", instances=("unknown",))
    assert isinstance(reading, Missing)
    assert reading.reason == "NoSeries"


# SGLang: two data-parallel ranks on two tensor ranks each, priorities on; the total stands under priority "".


def sglang(history: History) -> None:
    for pod_name, bootstrap in (
        ("new", "sglang:num_prefill_bootstrap_queue_reqs"),
        ("old", "sglang:num_prefill_prealloc_queue_reqs"),
    ):
        for dp, queue in (("0", 3), ("1", 1)):
            for tp in ("0", "1"):
                labels = {
                    "model_name": "m",
                    "engine_type": "prefill",
                    "dp_rank": dp,
                    "tp_rank": tp,
                    "pp_rank": "0",
                }
                gauges = {
                    "sglang:num_queue_reqs": queue,
                    "sglang:num_running_reqs": 10,
                    "sglang:token_usage": 0.2 + 0.4 * int(dp),
                    "sglang:cache_hit_rate": 0.5,
                    "sglang:num_decode_prealloc_queue_reqs": 5,
                    "sglang:num_decode_transfer_queue_reqs": 6,
                    bootstrap: 2,
                }
                if pod_name == "new":
                    gauges["sglang:num_decode_host_receive_queue_reqs"] = 1
                history.pod("sglang", pod_name, gauges, **labels)
                for priority in ("1", "None"):
                    history.pod(
                        "sglang", pod_name, {"sglang:num_queue_reqs": queue}, priority=priority, **labels
                    )
                if pod_name == "new":
                    for mode, rate in (("prefill_compute", 30), ("prefill_cache", 10), ("decode", 5)):
                        curve = {"sglang:realtime_tokens_total": lambda s, rate=rate: rate * (s + 900)}
                        history.pod("sglang", pod_name, curve, mode=mode, **labels)
        finished = {
            "sglang:prompt_tokens_total": lambda s: 50 * (s + 900),
            "sglang:generation_tokens_total": lambda s: 20 * (s + 900),
            "sglang:prompt_tokens_histogram_sum": lambda s: 50 * (s + 900),
            "sglang:prompt_tokens_histogram_count": lambda s: 0.5 * (s + 900),
        }
        history.pod("sglang", pod_name, finished, model_name="m")
    exact = {"sglang_num_waiting_uncached_tokens": 700, "sglang:num_queue_reqs": 3}
    history.pod("sglang", "loads", exact, dp_rank="0")


@pytest.mark.parametrize(
    ("kind", "signal", "new", "old"),
    [
        (RoleKind.PREFILL, Signal.QUEUE_LENGTH, 4 + 4, 4 + 4),
        (RoleKind.DECODE, Signal.QUEUE_LENGTH, 4 + 10 + 12 + 2, 4 + 10 + 12),
        (RoleKind.AGGREGATED, Signal.QUEUE_LENGTH, 4, 4),
        (RoleKind.DECODE, Signal.RUNNING_REQUESTS, 20, 20),
        (RoleKind.DECODE, Signal.KV_CACHE_USAGE, 0.4, 0.4),
        (RoleKind.PREFILL, Signal.PENDING_TOKENS, 8 * 100 * 0.5, 8 * 100 * 0.5),
        (RoleKind.AGGREGATED, Signal.PENDING_TOKENS, 4 * 100 * 0.5, 4 * 100 * 0.5),
        (RoleKind.PREFILL, Signal.PROMPT_TOKEN_RATE, 2 * 40, 50),
        (RoleKind.DECODE, Signal.GENERATION_TOKEN_RATE, 2 * 5, 20),
    ],
)
def test_sglang_adds_data_parallel_ranks_and_nothing_twice(
    settings: SourceSettings, kind: RoleKind, signal: Signal, new: float, old: float
) -> None:
    reading = read(
        settings, signal, namespace="sglang", instances=("new", "old"), kind=kind, engine=Engine.SGLANG
    )
    assert value(reading) == pytest.approx({"new": new, "old": old}, abs=0.002)


def test_sglang_tells_pending_tokens_itself_where_its_loads_page_is_scraped(settings: SourceSettings) -> None:
    how = {"namespace": "sglang", "instances": ("loads",), "engine": Engine.SGLANG}
    assert value(read(settings, Signal.PENDING_TOKENS, **how)) == {"loads": 700}


def others(history: History) -> None:
    history.pod(
        "trtllm",
        "serve",
        {
            "trtllm_num_requests_waiting": 3,
            "trtllm_num_requests_running": 8,
            "trtllm_kv_cache_utilization": 0.3,
        },
        model_name="m",
        engine_type="trtllm",
    )
    for kind, number in (("waiting", 3), ("scheduled", 8), ("active", 11)):
        history.pod("trtllm", "triton", {"nv_trt_llm_request_metrics": number}, request_type=kind, model="m")
    for kind, number in (("fraction", 0.3), ("used", 30), ("max", 100)):
        blocks = {"nv_trt_llm_kv_cache_block_metrics": number}
        history.pod("trtllm", "triton", blocks, kv_cache_block_type=kind, model="m")
    own = {"dynamo_component_gpu_cache_usage_percent": 0.6}
    passed = {"vllm:num_requests_waiting": 4, "vllm:num_requests_running": 9, "vllm:kv_cache_usage_perc": 0.6}
    history.pod("dynamo", "worker", own, dynamo_component="decode", dp_rank="0")
    history.pod("dynamo", "worker", passed, model_name="m", engine="0")
    for rank, tokens in (("0", 300), ("1", 500)):
        pending = {"dynamo_frontend_worker_active_prefill_tokens": tokens}
        history.pod("dynamo", "front", pending, worker_id="w", dp_rank=rank)


@pytest.mark.parametrize(
    ("engine", "signal", "expected"),
    [
        (Engine.TRTLLM, Signal.QUEUE_LENGTH, {"serve": 3, "triton": 3}),
        (Engine.TRTLLM, Signal.RUNNING_REQUESTS, {"serve": 8, "triton": 8}),
        (Engine.TRTLLM, Signal.KV_CACHE_USAGE, {"serve": 0.3, "triton": 0.3}),
        (Engine.DYNAMO, Signal.KV_CACHE_USAGE, {"worker": 0.6}),
        (Engine.DYNAMO, Signal.QUEUE_LENGTH, {"worker": 4}),
        (Engine.DYNAMO, Signal.RUNNING_REQUESTS, {"worker": 9}),
        (Engine.DYNAMO, Signal.PENDING_TOKENS, {"front": 800}),
    ],
)
def test_tensorrt_llm_and_dynamo(
    settings: SourceSettings, engine: Engine, signal: Signal, expected: dict[str, float]
) -> None:
    reading = read(settings, signal, namespace=engine.value, instances=tuple(expected), engine=engine)
    assert value(reading) == pytest.approx(expected)


# Faults: pod `good` beside one pod for each fault.


def faults(history: History) -> None:
    waiting = "vllm:num_requests_waiting"
    history.pod("faults", "good", {waiting: 2}, engine="0")
    history.pod("faults", "nan", {waiting: math.nan}, engine="0")
    history.pod("faults", "half-nan", {waiting: math.nan}, engine="0")
    history.pod("faults", "half-nan", {waiting: 1}, engine="1")
    history.pod("faults", "negative", {waiting: -1}, engine="0")
    history.pod("faults", "half-negative", {waiting: -1}, engine="0")
    history.pod("faults", "half-negative", {waiting: 6}, engine="1")
    history.pod("faults", "stale", {waiting: 2}, engine="0", until=-60)
    history.pod("faults", "fresh-enough", {waiting: 2}, engine="0", until=-45)
    history.pod("faults", "gone", {waiting: 2}, engine="0", until=-315)
    history.pod("faults", "renamed", {f"{waiting}_v2": 2}, engine="0")
    for job in ("engines", "engines-again"):
        history.pod("faults", "twice", {waiting: 2}, engine="0", job=job)
    history.pod("faults", "exported", {waiting: 2}, engine="0")
    history.pod("faults", "exported", {waiting: 2}, engine="0", job="router", server="http://exported:8000")
    history.pod("faults", "router", {waiting: 2}, engine="0", job="router", server="http://good:8000")
    usage = "vllm:kv_cache_usage_perc"
    history.pod("faults", "nan", {usage: math.nan}, engine="0")
    history.pod("faults", "nan", {usage: 0.2}, engine="1")
    history.pod("faults", "old-stale", {usage: 0.2}, engine="0", until=-90)
    history.pod("faults", "old-stale", {"vllm:gpu_cache_usage_perc": 0.2}, engine="0")
    tokens = {"vllm:prompt_tokens_total": lambda s: 10 * (s + 900)}
    history.pod("faults", "slow", tokens, engine="0", until=-30)


@pytest.mark.parametrize(
    ("pod_name", "reason"),
    [
        ("nan", "NotFinite"),
        ("half-nan", "NotFinite"),
        ("negative", "Negative"),
        ("half-negative", "Duplicated"),
        ("stale", "Stale"),
        ("gone", "NoSeries"),
        ("renamed", "NoSeries"),
        ("twice", "Duplicated"),
        ("exported", "Duplicated"),
    ],
)
def test_a_faulty_pod_does_not_report_and_the_reason_is_told(
    settings: SourceSettings, pod_name: str, reason: str
) -> None:
    alone = read(settings, Signal.QUEUE_LENGTH, namespace="faults", instances=(pod_name,))
    assert isinstance(alone, Missing)
    assert alone.reason == reason
    beside = read(settings, Signal.QUEUE_LENGTH, namespace="faults", instances=("good", pod_name))
    assert value(beside) == {"good": 2}
    assert isinstance(beside, Sample)
    assert (beside.reporting, beside.expected, beside.shortfall) == (1, 2, f"1 {reason}")


def test_a_routers_copies_under_its_own_pod_do_not_touch_the_engines(settings: SourceSettings) -> None:
    reading = read(settings, Signal.QUEUE_LENGTH, namespace="faults", instances=("good",))
    assert value(reading) == {"good": 2}


def test_the_oldest_sample_gives_the_age(settings: SourceSettings) -> None:
    reading = read(settings, Signal.QUEUE_LENGTH, namespace="faults", instances=("good", "fresh-enough"))
    assert isinstance(reading, Sample)
    assert (reading.age_seconds, reading.reporting) == (45.0, 2)


@pytest.mark.parametrize(
    ("pod_name", "signal", "reason"),
    [
        ("nan", Signal.KV_CACHE_USAGE, "NotFinite"),
        # The new name fell silent while the old one went on: the name that is read decides.
        ("old-stale", Signal.KV_CACHE_USAGE, "Stale"),
        # A rate still has a value 30 s after the last scrape; its counter's age tells.
        ("slow", Signal.PROMPT_TOKEN_RATE, "Stale"),
    ],
)
def test_usages_and_rates_are_checked_as_their_raw_series(
    settings: SourceSettings, pod_name: str, signal: Signal, reason: str
) -> None:
    strict = replace(settings, max_age_seconds=20)
    reading = read(strict, signal, namespace="faults", instances=(pod_name,))
    assert isinstance(reading, Missing)
    assert reading.reason == reason


def test_another_clusters_pod_of_the_same_name_is_a_duplicate_until_the_source_names_the_cluster(
    settings: SourceSettings,
) -> None:
    twice = read(settings, Signal.QUEUE_LENGTH, namespace="faults", instances=("twice",))
    assert isinstance(twice, Missing)
    narrowed = replace(settings, matchers={"job": "engines"})
    assert value(read(narrowed, Signal.QUEUE_LENGTH, namespace="faults", instances=("twice",))) == {
        "twice": 2
    }


# HPA's own shapes, and users' queries.


def hpa_shapes(history: History) -> None:
    for namespace in ("shapes", "elsewhere"):
        for name, path, hits in (("a", "/", 3), ("a", "/v1", 4), ("b", "/v1", 5)):
            history.pod(namespace, name, {"http_requests": hits}, path=path)
        history.add("backlog", 30, namespace=namespace, ingress="main", queue='q"1')
        history.add("backlog", 12, namespace=namespace, ingress="other", queue="q2")
    history.add("secret", 42, namespace="elsewhere")


SHAPES = {"namespace": "shapes", "instances": ("a", "b")}


def test_pods_metrics_are_summed_per_pod(settings: SourceSettings) -> None:
    reading = read(settings, PodsMetric("http_requests", (), ONE), **SHAPES)
    assert value(reading) == {"a": 7, "b": 5}


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        (LabelRequirement("path", "In", ("/v1",)), {"a": 4, "b": 5}),
        (LabelRequirement("path", "In", ("/", "/v1")), {"a": 7, "b": 5}),
        (LabelRequirement("path", "NotIn", ("/v1",)), {"a": 3}),
        (LabelRequirement("path", "Exists"), {"a": 7, "b": 5}),
    ],
)
def test_a_label_selector_narrows_a_metric(
    settings: SourceSettings, requirement: LabelRequirement, expected: dict[str, float]
) -> None:
    assert value(read(settings, PodsMetric("http_requests", (requirement,), ONE), **SHAPES)) == expected


def test_object_and_external_metrics_are_of_the_autoscalers_namespace(settings: SourceSettings) -> None:
    described = ObjectMetric("backlog", (), "Ingress", "main", ONE)
    assert value(read(settings, described, **SHAPES)) == {"main": 30}
    chosen = (LabelRequirement("queue", "In", ('q"1', "q2")),)
    assert value(read(settings, ExternalMetric("backlog", chosen, ONE), **SHAPES)) == {"": 42}
    assert isinstance(read(settings, ExternalMetric("secret", (), ONE), **SHAPES), Missing)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(backlog)", {"": 42}),
        ("sum by (ingress) (backlog) / 2", {"ingress=main": 15, "ingress=other": 6}),
        ("scalar(sum(backlog)) * 2", {"": 84}),
        ("backlog{queue='q\"1'} unless on() http_requests{pod=~'none.*'} > 1", None),
        ("max_over_time(sum(backlog)[5m:1m])", {"": 42}),
        ("sum(rate(http_requests[1m] offset 1m)) + 1 > bool 0", {"": 1}),
        ("3", {"": 3}),
    ],
)
def test_a_users_query_sees_its_namespace_only(
    settings: SourceSettings, query: str, expected: dict[str, float] | None
) -> None:
    reading = value(read(settings, QueryMetric("mine", query, ONE), **SHAPES))
    assert list(reading.values()) == [30] if expected is None else reading == expected


@pytest.mark.parametrize(
    "query",
    [
        "secret",
        "secret{namespace='elsewhere'}",
        "secret{namespace=~'.*'}",
        "sum(secret) by (namespace)",
        "max_over_time(secret[5m])",
        "label_replace(secret, 'namespace', 'shapes', '', '')",
        "sum(secret{namespace!='shapes'})",
    ],
)
def test_a_users_query_cannot_read_another_namespace(settings: SourceSettings, query: str) -> None:
    reading = read(settings, QueryMetric("theirs", query, ONE), **SHAPES)
    assert isinstance(reading, Missing)
    assert reading.reason == "NoSeries"


def test_a_users_query_of_a_series_that_fell_silent_is_stale(settings: SourceSettings) -> None:
    query = QueryMetric("mine", 'sum(vllm:num_requests_waiting{pod=~"good|stale"})', ONE)
    reading = read(settings, query, namespace="faults", instances=("good",))
    assert isinstance(reading, Missing)
    assert reading.reason == "Stale"


# The whole fleet.


def test_one_query_serves_every_namespace_and_role_that_asks_the_same(settings: SourceSettings) -> None:
    fleet = [
        target(("a",), [Signal.QUEUE_LENGTH], namespace="vllm"),
        target(("good",), [Signal.QUEUE_LENGTH], namespace="faults", kind=RoleKind.DECODE),
    ]
    readings, stats = read_metrics(fleet, {"default": PrometheusSource(settings)}, NOW)
    assert [value(readings[one.key]["worker"][0]) for one in fleet] == [{"a": 4}, {"good": 2}]
    assert [(one.source, one.name, one.reason) for one in stats] == [("default", "vllm/QueueLength", "")]


def test_a_gang_is_read_from_its_leader_alone(settings: SourceSettings) -> None:
    gang = instance("gang", pods=(pod("d"), pod("d-worker", leader=False)))
    reading = read(settings, Signal.QUEUE_LENGTH, namespace="vllm", instances=(gang,))
    assert value(reading) == {"gang": 8}


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("kind", RoleKind)
def test_every_shipped_query_is_accepted(settings: SourceSettings, engine: Engine, kind: RoleKind) -> None:
    source = PrometheusSource(settings)
    found = [preset(engine, kind, signal) for signal in Signal]
    questions = [SignalQuestion(one) for one in found if isinstance(one, Preset)]
    assert len(questions) >= 3
    for question in questions:
        for namespaces in (["one"], ["one", "t.wo"], [f"n{i}" for i in range(60)]):
            assert source.query(question.promql(namespaces, settings)) is not None
