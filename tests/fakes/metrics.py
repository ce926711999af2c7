"""For tests of readings: a metrics source that answers from a table, and targets made of a few words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rbg_autoscaler.api.types import (
    Engine,
    Metric,
    MetricTarget,
    ObjectKey,
    RbgAutoscalerSpec,
    RoleKind,
    RoleSpec,
    Signal,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.snapshot import GroupView, InstancePhase, InstanceView, PodView, RoleView
from rbg_autoscaler.observe.readings import Target
from rbg_autoscaler.observe.sources import MetricsError, QueryResult, Row, SourceSettings

NOW = 1_700_000_000.0
"""When everything is read; instances have been ready for an hour unless said otherwise."""

Answer = QueryResult | MetricsError | Callable[[str], QueryResult]


@dataclass
class FakeSource:
    """Answers a query by the first key that its text contains; what has no key has no series."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    settings: SourceSettings = SourceSettings(url="http://127.0.0.1:9", allow_user_queries=True)
    asked: list[str] = field(default_factory=list)

    def query(self, promql: str, timeout_seconds: float | None = None) -> QueryResult:
        self.asked.append(promql)
        for key, answer in self.answers.items():
            if key in promql:
                if isinstance(answer, MetricsError):
                    raise answer
                return answer(promql) if callable(answer) else answer
        return QueryResult([])


def rows(
    values: Mapping[str, float],
    *,
    namespace: str = "serving",
    age: float | Mapping[str, float] = 5.0,
    faulty: Iterable[str] = (),
) -> QueryResult:
    """What a server answers for these pods: values with their ages, and the faulty ones."""
    ages = age if isinstance(age, Mapping) else dict.fromkeys(values, age)
    return QueryResult(
        [Row({"namespace": namespace, "pod": p, "age": str(ages[p])}, value) for p, value in values.items()]
        + [Row({"namespace": namespace, "pod": pod, "field": "faulty"}, 2.0) for pod in faulty]
    )


def pod(name: str, *, leader: bool = True, ready: bool = True, terminating: bool = False) -> PodView:
    return PodView(name, "Running", ready, True, terminating, leader)


def instance(
    name: str,
    *,
    phase: InstancePhase = InstancePhase.READY,
    ready_for: float = 3600.0,
    pods: tuple[PodView, ...] = (),
) -> InstanceView:
    """One role instance; of one pod with its own name unless told otherwise."""
    is_ready = phase is InstancePhase.READY
    ready_at = NOW - ready_for if is_ready else None
    return InstanceView(name, None, phase, NOW - 7200, ready_at, pods or (pod(name, ready=is_ready),))


def target(
    instances: Iterable[InstanceView | str] | None,
    metrics: Iterable[Metric | Signal],
    *,
    engine: Engine = Engine.VLLM,
    kind: RoleKind = RoleKind.AGGREGATED,
    namespace: str = "serving",
    source: str = "default",
    role: str = "worker",
    target_type: TargetType = TargetType.AVERAGE_VALUE,
) -> Target:
    """An autoscaler of one role; without instances its group does not exist."""
    each = tuple(
        SignalMetric(metric, MetricTarget(target_type, 1000)) if isinstance(metric, Signal) else metric
        for metric in metrics
    )
    spec = RbgAutoscalerSpec(
        "group", (RoleSpec(role, kind, 1, 9, each),), engine=engine, metrics_source=source
    )
    group = None
    if instances is not None:
        views = tuple(instance(one) if isinstance(one, str) else one for one in instances)
        view = RoleView(role, len(views), len(views), len(views), len(views), views)
        group = GroupView(ObjectKey(namespace, "group"), "uid", "1", (view,))
    return Target(ObjectKey(namespace, "group"), spec, group)
