"""Stage 1, propose: one metric's reading against its target gives one replica count, or none with a reason.

HPA v2's replica calculator: External, Object and Query metrics are totals, signals and Pods metrics are
measured per role instance (`units.py`). Four counts are never mixed up: requested (spec), observed (status),
ready, and the instances that count.
"""

from __future__ import annotations

from itertools import zip_longest

from rbg_autoscaler.api.types import (
    ExternalMetric,
    Metric,
    PodsMetric,
    QueryMetric,
    RoleSpec,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import MetricResult
from rbg_autoscaler.decide.hpa_text import metric_label
from rbg_autoscaler.decide.ratio import (
    MAX_INT64,
    Band,
    band_of,
    ceil_replicas,
    per_replica,
    show,
)
from rbg_autoscaler.decide.snapshot import Missing, Reading, RoleView, Sample
from rbg_autoscaler.decide.units import (
    Answer,
    NoCapacity,
    NoProposal,
    propose_average,
    propose_utilization,
    roll_up,
)

_NOT_READ = Missing("NotRead", "the metric has not been read")


def propose_all(
    spec: RoleSpec, view: RoleView, readings: tuple[Reading, ...], config: DecideConfig
) -> tuple[MetricResult, ...]:
    """One result per metric of the role, in spec order; a metric without a reading has no proposal."""
    band = band_of(spec, config)
    pairs = zip_longest(spec.metrics, readings[: len(spec.metrics)], fillvalue=_NOT_READ)
    return tuple(propose(metric, reading, view, band, config) for metric, reading in pairs)  # type: ignore[arg-type]


def propose(
    metric: Metric, reading: Reading, view: RoleView, band: Band, config: DecideConfig
) -> MetricResult:
    """What one metric asks for.

    Args:
        metric: The metric and its target.
        reading: Its value, or why there is none.
        view: The role as it is now.
        band: The ratios that propose no change.
        config: For the compatibility switches.

    Returns:
        A result whose `proposed` is None where the metric counts as failed.
    """
    name = metric.signal.value if isinstance(metric, SignalMetric) else metric.name
    label = metric_label(metric)
    target = metric.target
    percent = target.type is TargetType.UTILIZATION
    if isinstance(reading, Missing):
        failure = reading.message
    else:
        try:
            answer = _answer(metric, reading, view, band, config)
        except NoCapacity as instance:
            failure = f"missing request for {name}: the capacity of instance {instance} is not known"
        except NoProposal as why:
            failure = str(why)
        else:
            message = _message(label, metric, answer)
            return MetricResult(
                name,
                answer.replicas,
                answer.usage_milli,
                target.milli,
                reading,
                message,
                percent,
                answer.average_milli,
                label,
            )
    message = f"unable to get {label}: {failure}"
    return MetricResult(name, None, None, target.milli, reading, message, percent, None, label)


def _answer(metric: Metric, sample: Sample, view: RoleView, band: Band, config: DecideConfig) -> Answer:
    target, requested = metric.target, view.requested
    values = sample.values_milli
    if isinstance(metric, SignalMetric | PodsMetric):
        if isinstance(metric, PodsMetric):
            values = roll_up(view.instances, values)
        if target.type is TargetType.AVERAGE_VALUE:
            return propose_average(view.instances, values, target.milli, requested, band)
        if target.type is TargetType.UTILIZATION:
            capacity = sample.capacity_milli
            return propose_utilization(view.instances, values, capacity, target.milli, requested, band)
    if target.type is TargetType.UTILIZATION:
        raise NoProposal("a target of type Utilization needs a signal with a known capacity")
    if not values:
        source = "external" if isinstance(metric, ExternalMetric | QueryMetric) else "custom"
        raise NoProposal(f"no metrics returned from {source} metrics API")
    usage = min(sum(values.values()), MAX_INT64)
    if target.type is TargetType.VALUE:
        return Answer(_from_value(usage, target.milli, view, band), usage)
    replicas = _from_total(usage, target.milli, view, band, config)
    return Answer(replicas, per_replica(usage, view.observed))


def _from_total(usage: int, target_milli: int, view: RoleView, band: Band, config: DecideConfig) -> int:
    """A total against an AverageValue: it divides by status.replicas, whatever is ready.

    Inside tolerance HPA proposes status.replicas, so 12 over a target of 1 at spec 10 and status 13 (surge of
    a rollout) makes 13 of 10; `status_average_returns_spec` proposes the 10 (Kubernetes issue 138505).
    """
    if view.observed:
        ratio = float(usage) / (float(target_milli) * float(view.observed))
        if band.holds(ratio):
            return view.requested if config.status_average_returns_spec else view.observed
    return ceil_replicas(float(usage) / float(target_milli))


def _from_value(usage: int, target_milli: int, view: RoleView, band: Band) -> int:
    """A total against a Value: the ratio times the ready replicas; 1.5 with 4 of 10 ready is 6."""
    ratio = float(usage) / float(target_milli)
    if view.requested == 0:
        return ceil_replicas(ratio)
    if band.holds(ratio):
        return view.requested
    if not view.instances and view.ready == 0:
        raise NoProposal("no pods returned by selector while calculating replica count")
    return ceil_replicas(ratio * view.ready)


def _message(label: str, metric: Metric, answer: Answer) -> str:
    target = metric.target
    if target.type is TargetType.UTILIZATION:
        held = f"is used at {answer.usage_milli} % against a target of {target.milli} %"
    elif target.type is TargetType.VALUE:
        held = f"is {show(answer.usage_milli)} against a target of {show(target.milli)}"
    else:
        held = f"averages {show(answer.usage_milli)} a replica against a target of {show(target.milli)}"
    return f"{label} {held}: {answer.replicas} replica{'' if answer.replicas == 1 else 's'}"
