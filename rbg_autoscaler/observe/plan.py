"""From targets to questions: one query per signal (or metric and selector) and source, never one per role.

A question is equal for all roles that ask the same, so collecting them in a dictionary is the batching; a
metric that cannot be asked is answered at once with what to mend.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from rbg_autoscaler.api.types import (
    Engine,
    ExternalMetric,
    LabelRequirement,
    Metric,
    ObjectMetric,
    PodsMetric,
    QueryMetric,
    RbgAutoscalerSpec,
    RoleKind,
    RoleSpec,
    Signal,
    SignalMetric,
)
from rbg_autoscaler.decide.snapshot import Missing
from rbg_autoscaler.engines import preset
from rbg_autoscaler.engines.expressions import Preset, Unsupported
from rbg_autoscaler.observe.confine import Unconfinable, confine
from rbg_autoscaler.observe.promql import Matcher, Unquotable, any_of, requirement, tagged
from rbg_autoscaler.observe.signal_promql import AGE, FIELD, Scope, answer, faults, signal_query
from rbg_autoscaler.observe.sources import SourceSettings
from rbg_autoscaler.observe.target import Target

MAX_NAMED_NAMESPACES = 50
"""Up to here a query names its namespaces; beyond, the regular expression costs more than it saves."""


@dataclass(frozen=True)
class SignalQuestion:
    """A preset's signal, per pod."""

    preset: Preset

    @property
    def name(self) -> str:
        """For logs and metrics."""
        return self.preset.name

    def promql(self, namespaces: Collection[str], settings: SourceSettings) -> str:
        """The query for all pods of these namespaces."""
        scope = _scope(namespaces, settings, settings.pod_label)
        return signal_query(self.preset.expression, scope)

    def keys(self, settings: SourceSettings) -> tuple[str, str]:
        """The labels of namespace and unit in the answer."""
        return settings.namespace_label, settings.pod_label


@dataclass(frozen=True)
class MetricQuestion:
    """HPA's Pods, Object and External metrics: a series' sum per namespace and unit."""

    metric: str
    selector: tuple[LabelRequirement, ...]
    unit: str = ""
    """The label that names the unit (pod, or the described object); empty: the whole namespace."""

    @property
    def name(self) -> str:
        """For logs and metrics."""
        return f"metric/{self.metric}"

    def promql(self, namespaces: Collection[str], settings: SourceSettings) -> str:
        """The query for all such series of these namespaces."""
        scope = _scope(namespaces, settings, self.unit)
        vector = scope.select([self.metric], ()) if not self.selector else self._selected(scope)
        stamp = scope.by("min", f"timestamp({vector})")
        return answer(scope.by("sum", vector), stamp, faults(vector, scope), scope)

    def _selected(self, scope: Scope) -> str:
        chosen = tuple(requirement(entry) for entry in self.selector)
        return Scope((*chosen, *scope.matchers), scope.keys).select([self.metric])

    def keys(self, settings: SourceSettings) -> tuple[str, str]:
        """The labels of namespace and unit in the answer."""
        return settings.namespace_label, self.unit


@dataclass(frozen=True)
class UserQuestion:
    """A user's own PromQL, confined to its namespace."""

    namespace: str
    query: str

    @property
    def name(self) -> str:
        """For logs and metrics; the query itself is the user's business."""
        return "query"

    def promql(self, _namespaces: Collection[str], settings: SourceSettings) -> str:
        """The confined query with the age of its oldest series; always of the one namespace.

        Raises:
            Unconfinable: the query is refused.
        """
        forced = (*settings.forced(), Matcher(settings.namespace_label, "=", self.namespace))
        confined = confine(self.query, forced)
        value = f"vector({confined.promql})" if confined.is_scalar else confined.promql
        if not confined.selectors:
            return value
        stamps = [
            tagged(f"min(timestamp({text}))", FIELD, str(i)) for i, text in enumerate(confined.selectors)
        ]
        age = tagged(f"time() - min({' or '.join(stamps)})", FIELD, AGE)
        return f"{value} or {age}"

    def keys(self, _settings: SourceSettings) -> tuple[str, str] | None:
        """None: the answer's rows are told apart by all their labels."""
        return None


Question = SignalQuestion | MetricQuestion | UserQuestion


@dataclass(frozen=True)
class Planned:
    """One query to one source."""

    source: str
    question: Question
    promql: str


@dataclass
class Agenda:
    """What one sync asks: every question once, with the namespaces that need it."""

    needs: dict[tuple[str, Question], set[str]] = field(default_factory=dict)

    def add(self, target: Target, settings: SourceSettings) -> tuple[tuple[Question | Missing, ...], ...]:
        """Note what the target's metrics need; per role, per metric the question, or why there is none."""
        spec, namespace = target.spec, target.key.namespace
        asked = tuple(
            tuple(question_of(metric, role, spec, namespace, settings) for metric in role.metrics)
            for role in spec.roles
        )
        for questions in asked:
            for question in questions:
                if not isinstance(question, Missing):
                    self.needs.setdefault((spec.metrics_source, question), set()).add(namespace)
        return asked

    def queries(
        self, settings: Mapping[str, SourceSettings]
    ) -> Iterable[Planned | tuple[str, Question, Missing]]:
        """The queries to send; a question that cannot become one comes back as missing."""
        for (source, question), namespaces in self.needs.items():
            try:
                yield Planned(source, question, question.promql(namespaces, settings[source]))
            except (Unconfinable, Unquotable) as error:
                yield source, question, Missing("Rejected", str(error))


def question_of(
    metric: Metric, role: RoleSpec, spec: RbgAutoscalerSpec, namespace: str, settings: SourceSettings
) -> Question | Missing:
    """What has to be asked for one metric of one role, or why nothing can be."""
    match metric:
        case SignalMetric():
            return _signal_question(spec.engine, role.kind, metric.signal)
        case PodsMetric():
            return MetricQuestion(metric.name, metric.selector, settings.pod_label)
        case ObjectMetric():
            return MetricQuestion(metric.name, metric.selector, object_label(metric.described_kind, settings))
        case ExternalMetric():
            return MetricQuestion(metric.name, metric.selector)
        case QueryMetric():
            if settings.allow_user_queries:
                return UserQuestion(namespace, metric.query)
            mend = "use a signal, or ask the administrator for allowUserQueries"
            return Missing("NotAllowed", f"the metrics source takes no PromQL of users: {mend}")


@cache
def _signal_question(engine: Engine, kind: RoleKind, signal: Signal) -> SignalQuestion | Missing:
    found = preset(engine, kind, signal)
    if isinstance(found, Unsupported):
        return Missing("Unsupported", f"{signal} is not told by {engine} for a {kind} role: {found.mend}")
    return SignalQuestion(found)


def object_label(kind: str, settings: SourceSettings) -> str:
    """The label that names an object of this kind; a Namespace's series are all of the namespace."""
    if kind == "Namespace":
        return ""
    return settings.pod_label if kind == "Pod" else kind.lower()


def _scope(namespaces: Collection[str], settings: SourceSettings, unit: str) -> Scope:
    """The scope of a fleet's query: these namespaces (all, if they are many), rows by namespace and unit."""
    label = settings.namespace_label
    named: Sequence[str] = sorted(namespaces)
    inside = any_of(label, named) if 0 < len(named) <= MAX_NAMED_NAMESPACES else Matcher(label, "!=", "")
    matchers = [*settings.forced(), inside]
    if unit:
        matchers.append(Matcher(unit, "!=", ""))
    return Scope(
        tuple(matchers),
        (label, unit) if unit else (label,),
        settings.rate_window_seconds,
        settings.statistics_window_seconds,
    )
