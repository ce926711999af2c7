"""The controller's own metrics, `rbg_autoscaler_...`, in one registry.

What concerns the fleet is rendered from the latest decisions when it is scraped, so an autoscaler that went
leaves no series behind and 10 000 roles cost no memory between scrapes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rbg_autoscaler.decide.decision import Decision, RoleDecision
from rbg_autoscaler.decide.snapshot import Missing, Sample, Snapshot

ROLE_LABELS = ("namespace", "autoscaler", "group", "role")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True)
class FleetState:
    """The latest sync's input and output."""

    snapshot: Snapshot
    decisions: Sequence[Decision]


class FleetCollector(Collector):
    """Renders the fleet's state at scrape time."""

    def __init__(self, state: Callable[[], FleetState | None]) -> None:
        self._state = state

    def describe(self) -> Iterable[Metric]:
        """The families without samples: their names are known before the first sync."""
        return _families().values()

    def collect(self) -> Iterator[Metric]:
        """All families with one sample a role (and metric, condition)."""
        families = _families()
        state = self._state()
        if state is not None:
            targets = {view.key: view.spec.target for view in state.snapshot.autoscalers}
            modes = {view.key: view.spec.mode for view in state.snapshot.autoscalers}
            for decision in state.decisions:
                owner = [decision.key.namespace, decision.key.name]
                group = targets.get(decision.key, "")
                if decision.key in modes:
                    families["autoscaler_info"].add_metric([*owner, group, modes[decision.key]], 1)
                for condition in decision.conditions:
                    families["condition"].add_metric([*owner, condition.type, condition.status], 1)
                for role in decision.roles:
                    _add_role(families, [*owner, group, role.role], role)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    def family(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"rbg_autoscaler_{name}", text, labels=labels)

    return {
        "autoscaler_info": family(
            "autoscaler_info",
            "An RbgAutoscaler that is served.",
            ["namespace", "autoscaler", "group", "mode"],
        ),
        "condition": family(
            "condition",
            "1 for the present status of each condition.",
            ["namespace", "autoscaler", "type", "status"],
        ),
        "current_replicas": family("current_replicas", "Replicas asked for now.", ROLE_LABELS),
        "ready_replicas": family("ready_replicas", "Replicas that serve.", ROLE_LABELS),
        "proposed_replicas": family("proposed_replicas", "The largest proposal of the metrics.", ROLE_LABELS),
        "wanted_replicas": family("wanted_replicas", "What the role should have.", ROLE_LABELS),
        "granted_replicas": family("granted_replicas", "What is written, or recommended.", ROLE_LABELS),
        "limiter": family(
            "limiter",
            "1 with the stage that held the number back, and why.",
            [*ROLE_LABELS, "stage", "reason"],
        ),
        "blocked": family("blocked", "1 when the metrics gave no usable number.", ROLE_LABELS),
        "metric_value": family(
            "metric_value",
            "A metric's value as held against its target (percent for Utilization).",
            [*ROLE_LABELS, "metric"],
        ),
        "metric_target": family("metric_target", "A metric's target.", [*ROLE_LABELS, "metric"]),
        "metric_proposed_replicas": family(
            "metric_proposed_replicas", "What one metric asks for.", [*ROLE_LABELS, "metric"]
        ),
        "metric_age_seconds": family(
            "metric_age_seconds", "Age of a metric's sample.", [*ROLE_LABELS, "metric"]
        ),
        "metric_coverage_ratio": family(
            "metric_coverage_ratio", "Instances reporting / ready instances.", [*ROLE_LABELS, "metric"]
        ),
        "metric_missing": family(
            "metric_missing", "1 when a metric has no usable value.", [*ROLE_LABELS, "metric", "reason"]
        ),
    }


def _add_role(families: dict[str, GaugeMetricFamily], labels: list[str], role: RoleDecision) -> None:
    families["current_replicas"].add_metric(labels, role.current)
    families["ready_replicas"].add_metric(labels, role.ready)
    if role.proposed is not None:
        families["proposed_replicas"].add_metric(labels, role.proposed)
    families["wanted_replicas"].add_metric(labels, role.wanted)
    families["granted_replicas"].add_metric(labels, role.granted)
    families["blocked"].add_metric(labels, float(role.blocked))
    if role.limiter is not None:
        families["limiter"].add_metric([*labels, role.limiter, role.reason], 1)
    for metric in role.metrics:
        named = [*labels, metric.name]
        percent = 1 if metric.is_percent else 1000
        families["metric_target"].add_metric(named, metric.target_milli / percent)
        if metric.usage_milli is not None:
            families["metric_value"].add_metric(named, metric.usage_milli / percent)
        if metric.proposed is not None:
            families["metric_proposed_replicas"].add_metric(named, metric.proposed)
        match metric.reading:
            case Missing(reason=reason):
                families["metric_missing"].add_metric([*named, reason], 1)
            case Sample(age_seconds=age, reporting=reporting, expected=expected):
                families["metric_age_seconds"].add_metric(named, age)
                if expected:
                    families["metric_coverage_ratio"].add_metric(named, reporting / expected)


class Telemetry:
    """Counters and timings of the controller itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.fleet: FleetState | None = None
        self.registry.register(FleetCollector(lambda: self.fleet))
        reg = self.registry
        self.is_leader = Gauge("rbg_autoscaler_leader", "1 while this replica acts.", registry=reg)
        self.syncs = Counter("rbg_autoscaler_syncs", "Syncs by how they ended.", ["result"], registry=reg)
        self.skipped = Counter(
            "rbg_autoscaler_syncs_skipped", "Ticks passed over because a sync took too long.", registry=reg
        )
        self.step_seconds = Histogram(
            "rbg_autoscaler_sync_duration_seconds",
            "Time a sync spends in each step.",
            ["step"],
            buckets=_SECONDS,
            registry=reg,
        )
        self.last_success = Gauge(
            "rbg_autoscaler_sync_last_success_timestamp_seconds", "When a sync last succeeded.", registry=reg
        )
        self.query_seconds = Histogram(
            "rbg_autoscaler_query_duration_seconds",
            "Time a Prometheus query takes.",
            ["source"],
            buckets=_SECONDS,
            registry=reg,
        )
        self.queries = Counter(
            "rbg_autoscaler_queries", "Prometheus queries by outcome.", ["source", "result"], registry=reg
        )
        self.writes = Counter(
            "rbg_autoscaler_writes", "Writes to the API server.", ["what", "result"], registry=reg
        )
        self.cache_objects = Gauge(
            "rbg_autoscaler_cache_objects", "Objects in the cache.", ["kind"], registry=reg
        )
        self.cache_drift = Counter(
            "rbg_autoscaler_cache_drift",
            "Objects a full list found different from the watched cache.",
            ["kind"],
            registry=reg,
        )

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step of a sync."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.step_seconds.labels(name).observe(time.perf_counter() - started)
