"""HPA's inputs in our words: pods become one-pod role instances, requests capacities, ages times."""

from collections.abc import Iterable, Mapping
from typing import Any

from rbg_autoscaler.api.parse import parse_autoscaler
from rbg_autoscaler.api.types import (
    Behavior,
    ExternalMetric,
    Metric,
    MetricTarget,
    ObjectMetric,
    PodsMetric,
    RoleKind,
    RoleSpec,
    Signal,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.hpa_text import INVALID_SOURCE_TYPE
from rbg_autoscaler.decide.memory import Recommendation, ScaleEvent
from rbg_autoscaler.decide.ratio import Band
from rbg_autoscaler.decide.snapshot import (
    InstancePhase,
    InstanceView,
    Missing,
    PodView,
    Reading,
    RoleView,
    Sample,
)

NOW = 1_700_000_000.0
LONG_AGO = 1_000_000

Fields = Mapping[str, Any]


def pod_name(index: int, pod: Fields) -> str:
    return str(pod.get("name", f"p{index}"))


def is_ready(pod: Fields) -> bool:
    ready = pod.get("ready", pod.get("ready_condition", True))
    return pod.get("phase", "Running") == "Running" and bool(ready)


def unready_by_cpu_rule(pod: Fields, inputs: Fields) -> bool:
    """HPA's readiness rule for the cpu of a running pod; no signal of ours has one."""
    ready = pod.get("ready", pod.get("ready_condition", True))
    start_age = pod.get("start_age_s", LONG_AGO)
    if ready is None or start_age is None:
        return True
    transition_age = pod.get("ready_transition_age_s", LONG_AGO)
    if start_age < inputs["cpu_initialization_period_s"]:
        metric_age, window = pod.get("metric_age_s", LONG_AGO), pod.get("metric_window_s", 60)
        return not ready or metric_age > transition_age - window
    return not ready and transition_age > start_age - inputs["initial_readiness_delay_s"]


def phase_of(pod: Fields, *, unready: bool) -> InstancePhase:
    if pod.get("deleted"):
        return InstancePhase.TERMINATING
    phase = pod.get("phase", "Running")
    if phase in ("Failed", "Succeeded"):
        return InstancePhase.FAILED
    if phase == "Pending" or unready:
        return InstancePhase.UNSCHEDULED
    return InstancePhase.READY if is_ready(pod) else InstancePhase.STARTING


def instances(pods: Iterable[Fields], unready: Iterable[str] = ()) -> tuple[InstanceView, ...]:
    """One instance of one pod each; those named in `unready` are such by a rule that no signal has."""
    return tuple(
        _instance(index, pod, unready=pod_name(index, pod) in unready) for index, pod in enumerate(pods)
    )


def _instance(index: int, pod: Fields, *, unready: bool) -> InstanceView:
    name = pod_name(index, pod)
    ready = is_ready(pod)
    phase = pod.get("phase", "Running")
    view = PodView(name, phase, ready, phase != "Pending", bool(pod.get("deleted")))
    return InstanceView(
        name,
        index,
        phase_of(pod, unready=unready),
        NOW - LONG_AGO,
        NOW - LONG_AGO if ready else None,
        (view,),
    )


def role_view(
    requested: int, observed: int, pods: Iterable[Fields] = (), unready: Iterable[str] = ()
) -> RoleView:
    pods = list(pods)
    return RoleView(
        name="role",
        requested=requested,
        effective=requested,
        observed=observed,
        ready=sum(map(is_ready, pods)),
        instances=instances(pods, unready),
    )


def samples(pods: Iterable[Fields], key: str = "metric_milli") -> dict[str, int]:
    return {pod_name(i, pod): pod[key] for i, pod in enumerate(pods) if key in pod}


def sample(values: Mapping[str, int], capacity: Mapping[str, int] | None = None) -> Sample:
    return Sample(values, reporting=len(values), expected=len(values), capacity_milli=capacity or {})


def series(values: Iterable[int]) -> Sample:
    return sample({f"series-{i}": value for i, value in enumerate(values)})


def band(tolerance: Fields) -> Band:
    return Band.of(tolerance["down"], tolerance["up"])


def average(milli: int) -> MetricTarget:
    return MetricTarget(TargetType.AVERAGE_VALUE, milli)


def total(milli: int) -> MetricTarget:
    return MetricTarget(TargetType.VALUE, milli)


def external(target: MetricTarget) -> ExternalMetric:
    return ExternalMetric("qps", (), target)


def described(target: MetricTarget) -> ObjectMetric:
    return ObjectMetric("qps", (), "Service", "frontend", target)


def per_pod(milli: int) -> PodsMetric:
    return PodsMetric("qps", (), average(milli))


def utilization(percent: int) -> SignalMetric:
    return SignalMetric(Signal.KV_CACHE_USAGE, MetricTarget(TargetType.UTILIZATION, percent))


def config(inputs: Fields) -> DecideConfig:
    gates = inputs.get("gates", {})
    return DecideConfig(
        tolerance=inputs.get("cluster_tolerance", 0.1),
        scale_down_stabilization_seconds=inputs.get("downscale_stabilization_s", 300),
        scale_up_limit_factor=inputs["scale_up_limit_factor"],
        scale_up_limit_minimum=inputs["scale_up_limit_minimum"],
        scale_to_zero=gates.get("scale_to_zero", False),
    )


def recommendations(entries: Iterable[Fields]) -> tuple[Recommendation, ...]:
    return tuple(Recommendation(NOW - entry["age_s"], entry["replicas"]) for entry in entries)


def events(entries: Iterable[Fields]) -> tuple[ScaleEvent, ...]:
    return tuple(ScaleEvent(NOW - entry["age_s"], entry["change"]) for entry in entries)


def behavior(up: Fields | None, down: Fields | None, *, tolerance: bool = True) -> Behavior:
    """Parsed as a user would write it, so that the defaults are those of the resource."""
    written = {
        side: _rules(rules, tolerance=tolerance)
        for side, rules in (("scaleUp", up), ("scaleDown", down))
        if rules is not None
    }
    role = {
        "name": "role",
        "minReplicas": 1,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Signal",
                "signal": "QueueLength",
                "target": {"type": "AverageValue", "averageValue": "8"},
            }
        ],
        "behavior": written,
    }
    parsed = parse_autoscaler({"spec": {"targetRef": {"name": "group"}, "roles": [role]}}).roles[0].behavior
    assert parsed is not None
    return parsed


def _rules(rules: Fields, *, tolerance: bool) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if rules.get("policies") is not None:
        written["policies"] = [
            {"type": policy["type"], "value": policy["value"], "periodSeconds": policy["period_s"]}
            for policy in rules["policies"]
        ]
    if rules.get("stabilization_window_s") is not None:
        written["stabilizationWindowSeconds"] = rules["stabilization_window_s"]
    if rules.get("select_policy") is not None:
        written["selectPolicy"] = rules["select_policy"]
    if tolerance and rules.get("tolerance") is not None:
        written["tolerance"] = str(rules["tolerance"])
    return written


def metric_and_reading(entry: Fields, pods: list[Fields]) -> tuple[Metric, Reading]:
    """One entry of a reconcile case's `metrics`.

    A cpu utilisation is a signal with the requests as capacities; a metric of unknown type is one whose
    reading says that its kind cannot be read.
    """
    if entry["type"] == "Unknown":
        return utilization(1), Missing(INVALID_SOURCE_TYPE, 'unknown metric source type "Unknown"')
    metric, reading = _metric(entry), _reading(entry, pods)
    if entry.get("fetch_error"):
        return metric, Missing("Unreachable", "the metrics source does not answer")
    return metric, reading


def _metric(entry: Fields) -> Metric:
    kind, target_type = entry["type"], entry["target_type"]
    if kind == "Resource":
        if target_type == "Utilization":
            return utilization(entry["target_percent"])
        return SignalMetric(Signal.RUNNING_REQUESTS, average(entry["target_milli"]))
    if kind == "Pods":
        return per_pod(entry["target_milli"])
    target = average(entry["target_milli"]) if target_type == "AverageValue" else total(entry["target_milli"])
    return described(target) if kind == "Object" else external(target)


def _reading(entry: Fields, pods: list[Fields]) -> Sample:
    if entry["type"] == "External":
        return series(entry.get("values_milli") or ())
    if entry["type"] == "Object":
        value = entry.get("value_milli")
        return series(() if value is None else (value,))
    values = {
        pod_name(i, pod): value
        for i, (pod, value) in enumerate(zip(pods, entry.get("pod_values_milli") or (), strict=False))
    }
    values |= {f"unknown-{i}": value for i, value in enumerate(entry.get("unknown_pod_values_milli") or ())}
    return sample(values, samples(pods, "request_milli"))


def role_spec(inputs: Fields, metrics: Iterable[Metric]) -> RoleSpec:
    rules = inputs["behavior"]
    if rules is not None:
        gate = inputs.get("gates", {}).get("configurable_tolerance", True)
        rules = behavior(rules.get("scale_up"), rules.get("scale_down"), tolerance=gate)
    return RoleSpec(
        name="role",
        kind=RoleKind.AGGREGATED,
        min_replicas=inputs["min_replicas"],
        max_replicas=inputs["max_replicas"],
        metrics=tuple(metrics),
        behavior=rules,
    )
