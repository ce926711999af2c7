"""The RbgAutoscaler resource as frozen dataclasses: what a user may say, after parsing and defaulting.

Quantities are integers in thousandths (Kubernetes milli-units), durations are whole seconds; nothing here
validates, `parse.py` does, and `schema.py` makes the CustomResourceDefinition from the same fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

GROUP = "autoscaling.rolebasedgroup.io"
VERSION = "v1alpha1"
KIND = "RbgAutoscaler"
PLURAL = "rbgautoscalers"


class ObjectKey(NamedTuple):
    """A namespaced object's address, ordered by namespace, then name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Mode(StrEnum):
    """What the controller may do with a decision."""

    AUTO = "Auto"
    """Decide and write replica counts."""
    RECOMMEND = "Recommend"
    """Decide and report; write nothing but status, events and metrics."""
    PAUSED = "Paused"
    """Neither decide nor write; the memory of windows is kept."""


class Engine(StrEnum):
    """The serving engine, which names the preset of signals."""

    VLLM = "vllm"
    SGLANG = "sglang"
    DYNAMO = "dynamo"
    TRTLLM = "trtllm"


class RoleKind(StrEnum):
    """The work a role does, which decides from which series a signal is read."""

    PREFILL = "Prefill"
    DECODE = "Decode"
    AGGREGATED = "Aggregated"


class Signal(StrEnum):
    """A named load measure of a role, defined once per engine."""

    QUEUE_LENGTH = "QueueLength"
    PENDING_TOKENS = "PendingTokens"
    KV_CACHE_USAGE = "KVCacheUsage"
    RUNNING_REQUESTS = "RunningRequests"
    PROMPT_TOKEN_RATE = "PromptTokenRate"
    GENERATION_TOKEN_RATE = "GenerationTokenRate"

    @property
    def is_backlog(self) -> bool:
        """Backlog signals measure work waiting; the others (busy signals) measure work being done."""
        return self in (Signal.QUEUE_LENGTH, Signal.PENDING_TOKENS)


class TargetType(StrEnum):
    """How a metric's value is held against its target, as in autoscaling/v2."""

    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"
    UTILIZATION = "Utilization"


@dataclass(frozen=True)
class MetricTarget:
    """The level a metric is held to.

    `milli` is thousandths of the metric's unit for AverageValue and Value, whole percent for Utilization.
    """

    type: TargetType
    milli: int


@dataclass(frozen=True)
class LabelRequirement:
    """One `matchExpressions` entry of a label selector; `matchLabels` become `In` with one value."""

    key: str
    """A label's name."""
    operator: str
    """In | NotIn | Exists | DoesNotExist"""
    values: tuple[str, ...] = ()
    """One of these for In, none of these for NotIn; empty for Exists and DoesNotExist."""


@dataclass(frozen=True)
class SignalMetric:
    """One of our own signals, summed or averaged per role instance by the engine's preset."""

    signal: Signal
    """The load measure; the engine's preset knows from which series it is read."""
    target: MetricTarget
    """The level to hold, per replica: AverageValue; for KVCacheUsage Utilization in percent too."""


@dataclass(frozen=True)
class PodsMetric:
    """HPA's Pods metric: a series with a `pod` label, averaged over the role's pods."""

    name: str
    selector: tuple[LabelRequirement, ...]
    target: MetricTarget


@dataclass(frozen=True)
class ObjectMetric:
    """HPA's Object metric: one value describing one object, found by the label named like its kind."""

    name: str
    selector: tuple[LabelRequirement, ...]
    described_kind: str
    described_name: str
    target: MetricTarget


@dataclass(frozen=True)
class ExternalMetric:
    """HPA's External metric: all matching series of the autoscaler's namespace, summed."""

    name: str
    selector: tuple[LabelRequirement, ...]
    target: MetricTarget


@dataclass(frozen=True)
class QueryMetric:
    """A user's own PromQL, where the administrator allows it; confined to the autoscaler's namespace."""

    name: str
    query: str
    target: MetricTarget


Metric = SignalMetric | PodsMetric | ObjectMetric | ExternalMetric | QueryMetric


class SelectPolicy(StrEnum):
    """Which of several scaling policies applies."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class PolicyType(StrEnum):
    """The unit of a scaling policy's value."""

    PODS = "Pods"
    """Role instances: the name is HPA's."""
    PERCENT = "Percent"


@dataclass(frozen=True)
class ScalingPolicy:
    """At most `value` (instances or percent) within `period_seconds`."""

    type: PolicyType
    """What `value` counts."""
    value: int
    """The most that may be added or removed within the period."""
    period_seconds: int
    """How far back changes count."""


@dataclass(frozen=True)
class ScalingRules:
    """autoscaling/v2 HPAScalingRules of one direction, completed with HPA's defaults."""

    policies: tuple[ScalingPolicy, ...]
    """Limits of the rate of change."""
    select_policy: SelectPolicy = SelectPolicy.MAX
    """Max: the policy that allows the most; Min: the least; Disabled: no change in this direction."""
    stabilization_window_seconds: int | None = None
    """None: the controller's default (0 up, 300 down)."""
    tolerance: float | None = None
    """None: the controller's default (0.1)."""


@dataclass(frozen=True)
class Behavior:
    """autoscaling/v2 HorizontalPodAutoscalerBehavior; absent altogether means HPA's legacy limits."""

    scale_up: ScalingRules
    """How fast replicas may be added."""
    scale_down: ScalingRules
    """How fast replicas may be removed."""


@dataclass(frozen=True)
class StartUp:
    """How long a replica of this role may take before it serves."""

    deadline_seconds: int = 600
    """A replica asked for counts as capacity until it serves or this has passed; then it is taken back
    if it could not be scheduled."""
    settle_seconds: int = 60
    """A backlog may be asked for again only when the last new replica has served for this long."""


@dataclass(frozen=True)
class RoleSpec:
    """How one role of the group is scaled."""

    name: str
    """The role's name in the group."""
    kind: RoleKind
    """The work it does. Absent: Prefill or Decode where the name contains that word, else Aggregated."""
    min_replicas: int
    """Never fewer role instances. 0 needs an Object or External metric, as HPA."""
    max_replicas: int
    """Never more role instances."""
    metrics: tuple[Metric, ...]
    """What decides; of several metrics the one that asks for the most replicas wins."""
    gang_step: int = 1
    """Replicas are a multiple of it, e.g. 4 where 4 replicas form one expert-parallel unit."""
    behavior: Behavior | None = None
    """HPA's behavior. If present, both directions are completed with HPA's defaults; if absent, HPA's
    limits without one hold."""
    start_up: StartUp = StartUp()
    """How long replicas take to serve."""


@dataclass(frozen=True)
class Coordination:
    """A bound on the ratio of two roles' replicas: min <= numerator / denominator <= max."""

    numerator: str
    """A role of spec.roles."""
    denominator: str
    """Another role of spec.roles."""
    min_ratio_milli: int | None
    """Never fewer numerator replicas per denominator replica."""
    max_ratio_milli: int | None
    """Never more numerator replicas per denominator replica."""


@dataclass(frozen=True)
class RbgAutoscalerSpec:
    """The whole spec of one RbgAutoscaler."""

    target: str
    """Name of the RoleBasedGroup in the same namespace."""
    roles: tuple[RoleSpec, ...]
    """The roles that are scaled; roles of the group that are not named here are left alone."""
    mode: Mode = Mode.RECOMMEND
    """Recommend: decide and report, write no replica count. Auto: write it. Paused: neither."""
    engine: Engine = Engine.VLLM
    """The serving engine, which names the preset of signals."""
    metrics_source: str = "default"
    """Key of a Prometheus that the administrator has defined; never an address."""
    coordination: tuple[Coordination, ...] = ()
    """Ratios to be kept between roles."""
    hpa_exact: bool = False
    """HPA's numbers and period exactly: the two laws of backlog signals are off."""
