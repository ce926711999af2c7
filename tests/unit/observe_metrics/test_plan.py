"""What is asked: one query per signal and source for the whole fleet, each confined."""

from typing import Any

import promql_parser
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
from rbg_autoscaler.decide.snapshot import Missing
from rbg_autoscaler.engines import preset
from rbg_autoscaler.engines.expressions import Preset
from rbg_autoscaler.observe.plan import Agenda, MetricQuestion, Planned, SignalQuestion
from rbg_autoscaler.observe.sources import SourceSettings
from rbg_autoscaler.observe.target import Target
from tests.fakes.metrics import target

SOURCE = SourceSettings(url="http://127.0.0.1:9", allow_user_queries=True)
ONE = MetricTarget(TargetType.AVERAGE_VALUE, 1000)


def planned(*targets: Target, **settings: SourceSettings) -> list[Planned]:
    sources = settings or {"default": SOURCE}
    agenda = Agenda()
    for one in targets:
        agenda.add(one, sources[one.spec.metrics_source])
    queries = list(agenda.queries(sources))
    assert all(isinstance(query, Planned) for query in queries)
    return [query for query in queries if isinstance(query, Planned)]


def matchers(promql: str) -> list[dict[str, tuple[str, str]]]:
    """Label to operator and value, of every selector."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector | promql_parser.MatrixSelector):
            inner = getattr(node, "vector_selector", node)
            found.append({m.name: (str(m.op), m.value) for m in inner.matchers.matchers})

    promql_parser.walk(promql_parser.parse(promql), pre_visit=visit)
    return found


def test_a_thousand_roles_of_one_engine_ask_one_query_a_signal() -> None:
    fleet = [
        target(["a"], [Signal.QUEUE_LENGTH, Signal.KV_CACHE_USAGE], namespace=f"team-{i}", kind=kind)
        for i in range(333)
        for kind in RoleKind
    ]
    assert [query.question.name for query in planned(*fleet)] == ["vllm/QueueLength", "vllm/KVCacheUsage"]


def test_engines_sources_and_kinds_that_read_differently_ask_apart() -> None:
    def ask(engine: Engine, kind: RoleKind, source: str = "default") -> Target:
        return target(["a"], [Signal.QUEUE_LENGTH], engine=engine, kind=kind, source=source)

    fleet = [
        ask(Engine.VLLM, RoleKind.PREFILL),
        ask(Engine.SGLANG, RoleKind.PREFILL),
        ask(Engine.SGLANG, RoleKind.DECODE),
        ask(Engine.VLLM, RoleKind.DECODE, "other"),
    ]
    assert [
        (query.source, query.question.name) for query in planned(*fleet, default=SOURCE, other=SOURCE)
    ] == [
        ("default", "vllm/QueueLength"),
        ("default", "sglang/QueueLength/Prefill"),
        ("default", "sglang/QueueLength/Decode"),
        ("other", "vllm/QueueLength"),
    ]


def test_hpa_metrics_are_asked_once_per_name_and_selector() -> None:
    chosen = (LabelRequirement("path", "In", ("/v1",)),)
    metrics = [
        PodsMetric("http_requests", (), ONE),
        PodsMetric("http_requests", chosen, ONE),
        ObjectMetric("http_requests", (), "Ingress", "main", ONE),
        ObjectMetric("http_requests", (), "Ingress", "other", ONE),
        ExternalMetric("http_requests", (), ONE),
    ]
    fleet = [target(["a"], metrics, namespace=name) for name in ("one", "two")]
    questions = [query.question for query in planned(*fleet)]
    assert questions == [
        MetricQuestion("http_requests", (), "pod"),
        MetricQuestion("http_requests", chosen, "pod"),
        MetricQuestion("http_requests", (), "ingress"),
        MetricQuestion("http_requests", ()),
    ]


def test_users_queries_are_asked_per_namespace_and_confined_to_it() -> None:
    fleet = [
        target(["a"], [QueryMetric("q", "sum(up)", ONE)], namespace=name) for name in ("one", "one", "two")
    ]
    queries = planned(*fleet)
    assert [m["namespace"] for query in queries for m in matchers(query.promql)] == [
        ("MatchOp.Equal", name) for name in ("one", "one", "two", "two")
    ]


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("kind", RoleKind)
@pytest.mark.parametrize("signal", Signal)
def test_every_selector_of_a_shipped_query_is_in_scope(
    engine: Engine, kind: RoleKind, signal: Signal
) -> None:
    found = preset(engine, kind, signal)
    if not isinstance(found, Preset):
        return
    settings = SourceSettings(
        url="http://h", namespace_label="kube_ns", pod_label="kube_pod", matchers={"cluster": 'e"ast'}
    )
    promql = SignalQuestion(found).promql(["b.c", "a"], settings)
    for matched in matchers(promql):
        assert matched["kube_ns"] == ("MatchOp.Re", r"a|b\.c")
        assert matched["kube_pod"] == ("MatchOp.NotEqual", "")
        assert matched["cluster"] == ("MatchOp.Equal", 'e"ast')
        assert "namespace" not in matched


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [
        (["one"], ("MatchOp.Equal", "one")),
        ([f"n{i}" for i in range(50)], None),
        ([f"n{i}" for i in range(51)], ("MatchOp.NotEqual", "")),
    ],
)
def test_few_namespaces_are_named_and_many_are_not(
    namespaces: list[str], expected: tuple[str, str] | None
) -> None:
    found = preset(Engine.VLLM, RoleKind.DECODE, Signal.QUEUE_LENGTH)
    assert isinstance(found, Preset)
    (first, *_) = matchers(SignalQuestion(found).promql(namespaces, SOURCE))
    assert first["namespace"] == (expected or ("MatchOp.Re", "|".join(sorted(namespaces))))


def test_a_metric_that_cannot_be_asked_is_answered_with_the_mend() -> None:
    agenda = Agenda()
    bad = LabelRequirement("app.kubernetes.io/name", "Exists")
    metrics = [
        QueryMetric("q", "up[5m]", ONE),
        PodsMetric("x", (bad,), ONE),
        Signal.PENDING_TOKENS,
    ]
    ((query, pods, pending),) = agenda.add(target(["a"], metrics, kind=RoleKind.DECODE), SOURCE)
    assert isinstance(pending, Missing)
    assert pending.reason == "Unsupported"
    assert "use QueueLength or KVCacheUsage" in pending.message
    refused = {question: missing for _, question, missing in agenda.queries({"default": SOURCE})}  # type: ignore[misc]
    assert {missing.reason for missing in refused.values()} == {"Rejected"}
    assert "range vector" in refused[query].message
    assert "app_kubernetes_io_name" in refused[pods].message


def test_users_queries_need_the_administrators_leave() -> None:
    strict = SourceSettings(url="http://h")
    ((refused,),) = Agenda().add(target(["a"], [QueryMetric("q", "up", ONE)]), strict)
    assert isinstance(refused, Missing)
    assert (refused.reason, "allowUserQueries" in refused.message) == ("NotAllowed", True)
