"""All metrics of all targets, read in one go: few queries side by side, each with a deadline.

A query that fails makes its own metrics missing and nothing else; a source that hangs costs one sync its
timeout, never a thread or the other sources' answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from rbg_autoscaler.api.types import (
    ExternalMetric,
    ObjectKey,
    ObjectMetric,
    PodsMetric,
    QueryMetric,
    RbgAutoscalerSpec,
    RoleSpec,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.snapshot import Missing, Reading, RoleView, Sample
from rbg_autoscaler.engines.expressions import Preset, names
from rbg_autoscaler.observe.join import (
    Limits,
    Rows,
    Unit,
    instance_units,
    pod_units,
    read_total,
    read_units,
    rows_of,
)
from rbg_autoscaler.observe.plan import Agenda, Planned, Question, SignalQuestion
from rbg_autoscaler.observe.sources import MetricsError, MetricsSource, SourceSettings
from rbg_autoscaler.observe.target import Target

__all__ = ["QueryStats", "Readings", "Target", "read_metrics"]

PARALLEL = 8
"""Queries at once to one source; more make a Prometheus no faster."""
_GRACE = 0.5
"""Beyond a query's own deadline, before it is given up from outside (a name server may hang)."""

Readings = dict[ObjectKey, dict[str, tuple[Reading, ...]]]
Clock = Callable[[], float]


@dataclass(frozen=True)
class QueryStats:
    """How one query went."""

    source: str
    name: str
    seconds: float
    series: int = 0
    reason: str = ""
    """Why there is no answer; empty if there is."""


@dataclass(frozen=True)
class _Answer:
    outcome: Rows | Missing
    stats: QueryStats


def read_metrics(
    targets: Sequence[Target],
    sources: Mapping[str, MetricsSource],
    now: float,
    *,
    clock: Clock = time.monotonic,
) -> tuple[Readings, tuple[QueryStats, ...]]:
    """One reading per metric of every role of every target, in the order of the spec.

    Args:
        targets: Autoscalers with the groups whose pods their series are joined to.
        sources: The administrator's sources by key.
        now: Seconds since the epoch, to tell how long instances have been ready.
        clock: Monotonic seconds, for the deadlines.

    Returns:
        The readings by autoscaler and role name, and how each query went. No query's failure is raised.
    """
    settings = {key: source.settings for key, source in sources.items()}
    agenda = Agenda()
    asked = [
        agenda.add(target, settings[target.spec.metrics_source])
        if target.spec.metrics_source in settings
        else _unknown_source(target.spec, settings)
        for target in targets
    ]
    answers: dict[tuple[str, Question], Rows | Missing] = {}
    queries: list[Planned] = []
    for item in agenda.queries(settings):
        if isinstance(item, Planned):
            queries.append(item)
        else:
            source, question, missing = item
            answers[source, question] = missing
    stats = []
    for query, answer in zip(queries, _ask_all(queries, sources, clock), strict=True):
        answers[query.source, query.question] = answer.outcome
        stats.append(answer.stats)
    reader = _Reader(settings, answers, now)
    readings = {
        target.key: reader.read(target, questions) for target, questions in zip(targets, asked, strict=True)
    }
    return readings, tuple(stats)


def _unknown_source(
    spec: RbgAutoscalerSpec, settings: Mapping[str, SourceSettings]
) -> tuple[tuple[Missing, ...], ...]:
    known = ", ".join(sorted(settings)) or "none"
    message = f"metricsSource {spec.metrics_source} is not defined; defined are: {known}"
    return tuple((Missing("UnknownSource", message),) * len(role.metrics) for role in spec.roles)


def _ask_all(queries: Sequence[Planned], sources: Mapping[str, MetricsSource], clock: Clock) -> list[_Answer]:
    """The answers in the order of the queries; a pool for each source, so that none waits for another's."""
    start = clock()
    pools = {key: ThreadPoolExecutor(PARALLEL, f"query-{key}") for key in {query.source for query in queries}}
    try:
        futures = [
            pools[query.source].submit(_ask, query, sources[query.source], start, clock) for query in queries
        ]
        latest = max((sources[key].settings.timeout_seconds for key in pools), default=0.0)
        wait(futures, timeout=latest + _GRACE)
        return [
            future.result() if future.done() else _late(query, clock() - start)
            for query, future in zip(queries, futures, strict=True)
        ]
    finally:
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


def _ask(query: Planned, source: MetricsSource, start: float, clock: Clock) -> _Answer:
    """One query, in a thread. Those that had to queue have only what is left of the deadline."""
    began = clock()
    left = start + source.settings.timeout_seconds - began
    if left <= 0:
        return _late(query, 0.0)
    try:
        result = source.query(query.promql, left)
        rows = rows_of(result, query.question.keys(source.settings))
    except MetricsError as error:
        missing = Missing(error.reason, f"metrics source {query.source}: {error}")
        return _Answer(
            missing, QueryStats(query.source, query.question.name, clock() - began, 0, error.reason)
        )
    return _Answer(rows, QueryStats(query.source, query.question.name, clock() - began, len(result.rows)))


def _late(query: Planned, seconds: float) -> _Answer:
    message = f"metrics source {query.source}: no answer within its timeout"
    return _Answer(
        Missing("TimedOut", message), QueryStats(query.source, query.question.name, seconds, 0, "TimedOut")
    )


@dataclass
class _Reader:
    """Takes the readings of targets out of the fleet's answers."""

    settings: Mapping[str, SourceSettings]
    answers: Mapping[tuple[str, Question], Rows | Missing]
    now: float
    _limits: dict[tuple[str, str], Limits] = field(default_factory=dict)

    def read(
        self, target: Target, asked: Sequence[Sequence[Question | Missing]]
    ) -> dict[str, tuple[Reading, ...]]:
        """The readings of a target's roles, given the questions asked for them."""
        return {
            role.name: self._role(target, role, questions)
            for role, questions in zip(target.spec.roles, asked, strict=True)
        }

    def _role(
        self, target: Target, role: RoleSpec, questions: Sequence[Question | Missing]
    ) -> tuple[Reading, ...]:
        view = target.group.role(role.name) if target.group else None
        units: dict[bool, tuple[Unit, ...]] = {}
        readings: list[Reading] = []
        for metric, question in zip(role.metrics, questions, strict=True):
            if isinstance(question, Missing):
                readings.append(question)
                continue
            answer = self.answers[target.spec.metrics_source, question]
            if isinstance(answer, Missing):
                readings.append(answer)
                continue
            limits = self._limit(target.spec.metrics_source, question)
            if isinstance(metric, SignalMetric | PodsMetric):
                reading = self._of_pods(metric, question, answer, limits, target.key.namespace, view, units)
            else:
                reading = _of_the_whole(metric, answer, limits, target.key.namespace)
            readings.append(reading)
        return tuple(readings)

    def _of_pods(
        self,
        metric: SignalMetric | PodsMetric,
        question: Question,
        answer: Rows,
        limits: Limits,
        namespace: str,
        view: RoleView | None,
        units: dict[bool, tuple[Unit, ...]],
    ) -> Reading:
        """A metric of the role's pods; `units` keeps the instances between a role's metrics."""
        if view is None:
            message = f"{limits.origin}: the role does not exist in the group, so no pod can report"
            return Missing("NoInstances", message)
        grace = limits.ready_grace_seconds
        if isinstance(metric, PodsMetric) or not isinstance(question, SignalQuestion):
            pods = pod_units(view, self.now, grace, answer.points.get(namespace, {}))
            return read_units(answer, namespace, pods, limits)
        preset = question.preset
        if preset.leader_only not in units:
            units[preset.leader_only] = instance_units(view, self.now, grace, leader_only=preset.leader_only)
        reading = read_units(answer, namespace, units[preset.leader_only], limits, average=preset.is_usage)
        return _with_capacity(reading, metric, view, preset)

    def _limit(self, source: str, question: Question) -> Limits:
        """The limits of a question, made once: 10 000 roles share a handful."""
        key = (source, question.name)
        limits = self._limits.get(key)
        if limits is None:
            series = question.name
            if isinstance(question, SignalQuestion):
                series = " or ".join(names(question.preset.expression)[:4])
            settings = self.settings[source]
            limits = self._limits[key] = Limits(
                settings.max_age_seconds, settings.ready_grace_seconds, f"{series} in source {source}"
            )
        return limits


def _of_the_whole(
    metric: ObjectMetric | ExternalMetric | QueryMetric, answer: Rows, limits: Limits, namespace: str
) -> Reading:
    """A metric that describes no pods of the role."""
    match metric:
        case ObjectMetric():
            return read_total(answer, namespace, _described(metric, namespace), limits)
        case ExternalMetric():
            return read_total(answer, namespace, None, limits)
        case QueryMetric():
            return read_total(answer, "", None, limits)


def _described(metric: ObjectMetric, namespace: str) -> tuple[str, ...]:
    """The units that describe the object: rows of a whole namespace have no unit of their own."""
    if metric.described_kind == "Namespace":
        return ("",) if metric.described_name == namespace else ()
    return (metric.described_name,)


def _with_capacity(reading: Reading, metric: SignalMetric, view: RoleView, preset: Preset) -> Reading:
    """For Utilization targets a sample carries what 100 % is, for every instance there is."""
    full = preset.full_milli
    if isinstance(reading, Missing) or full is None or metric.target.type is not TargetType.UTILIZATION:
        return reading
    return Sample(
        reading.values_milli,
        reading.age_seconds,
        reading.reporting,
        reading.expected,
        {instance.name: full for instance in view.instances},
        reading.shortfall,
    )
