"""Roles, instances and readings in a few words, for the tests of the stages of one role."""

from collections.abc import Iterable, Mapping

from rbg_autoscaler.api.types import (
    Behavior,
    ExternalMetric,
    Metric,
    MetricTarget,
    PodsMetric,
    PolicyType,
    RoleKind,
    RoleSpec,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Signal,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import RoleDecision
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.rescale import memory_after
from rbg_autoscaler.decide.role import decide_role
from rbg_autoscaler.decide.snapshot import (
    InstancePhase,
    InstanceView,
    Missing,
    PodView,
    Reading,
    RoleView,
    Sample,
)

OUT = Missing("Unreachable", "the metrics source does not answer")


def average(target: int) -> MetricTarget:
    return MetricTarget(TargetType.AVERAGE_VALUE, target * 1000)


def external(target: int, name: str = "qps") -> ExternalMetric:
    return ExternalMetric(name, (), average(target))


def external_total(target: int) -> ExternalMetric:
    return ExternalMetric("qps", (), MetricTarget(TargetType.VALUE, target * 1000))


def busy(target: int) -> SignalMetric:
    return SignalMetric(Signal.RUNNING_REQUESTS, average(target))


def kv_usage(percent: int) -> SignalMetric:
    return SignalMetric(Signal.KV_CACHE_USAGE, MetricTarget(TargetType.UTILIZATION, percent))


def per_pod(target: int) -> PodsMetric:
    return PodsMetric("qps", (), average(target))


def role(
    *metrics: Metric, minimum: int = 1, maximum: int = 100, behavior: Behavior | None = None
) -> RoleSpec:
    return RoleSpec("decode", RoleKind.DECODE, minimum, maximum, metrics, behavior=behavior)


def rules(
    *policies: tuple[PolicyType, int, int],
    window: int | None = None,
    select: SelectPolicy = SelectPolicy.MAX,
    tolerance: float | None = None,
) -> ScalingRules:
    return ScalingRules(tuple(ScalingPolicy(*policy) for policy in policies), select, window, tolerance)


def default_up(window: int = 0) -> ScalingRules:
    return rules((PolicyType.PODS, 4, 15), (PolicyType.PERCENT, 100, 15), window=window)


def default_down(window: int | None = None) -> ScalingRules:
    return rules((PolicyType.PERCENT, 100, 15), window=window)


def instance(ordinal: int, phase: InstancePhase = InstancePhase.READY, pods: int = 1) -> InstanceView:
    name = f"decode-{ordinal}"
    ready = phase is InstancePhase.READY
    pod_phase = "Pending" if phase is InstancePhase.UNSCHEDULED else "Running"
    names = [name] if pods == 1 else [f"{name}-{index}" for index in range(pods)]
    views = tuple(PodView(pod, pod_phase, ready, pod_phase == "Running", False) for pod in names)
    return InstanceView(name, ordinal, phase, 0.0, 0.0 if ready else None, views)


def view(requested: int, *, observed: int | None = None, instances: Iterable[InstanceView] = ()) -> RoleView:
    """The role with all its instances ready, unless told otherwise."""
    found = tuple(instances) or tuple(instance(i) for i in range(requested))
    ready = sum(one.phase is InstancePhase.READY for one in found)
    return RoleView(
        "decode", requested, requested, requested if observed is None else observed, ready, instances=found
    )


def total(value: float) -> Sample:
    """One series with this value."""
    return Sample({"series": round(value * 1000)}, reporting=1)


def each(values: Mapping[str, float]) -> Sample:
    """A value per instance or pod."""
    milli = {name: round(value * 1000) for name, value in values.items()}
    return Sample(milli, reporting=len(milli), expected=len(milli))


class Timeline:
    """One role over time: every decision is written, every replica serves at once."""

    def __init__(
        self,
        spec: RoleSpec,
        replicas: int,
        *,
        exact: bool,
        config: DecideConfig | None = None,
        memory: RoleMemory | None = None,
    ) -> None:
        self.spec, self.replicas, self.exact = spec, replicas, exact
        self.config = config or DecideConfig()
        self.memory = memory or RoleMemory()
        self.last: RoleDecision | None = None

    def at(self, now: float, *readings: Reading) -> int:
        """The replicas after the sync at `now`."""
        self.last, self.memory = decide_role(
            self.spec, view(self.replicas), readings, self.memory, self.config, now, hpa_exact=self.exact
        )
        if self.last.changes:
            self.memory = memory_after(self.memory, self.last, now)
            self.replicas = self.last.granted
        return self.replicas
