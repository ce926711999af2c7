"""HPA's own words: metric names, condition reasons and messages, rescale reasons.

Whoever has alerts or runbooks for HPA reads the same reasons here; only the numbers behind them are in steps.
"""

from __future__ import annotations

from rbg_autoscaler.api.types import (
    ExternalMetric,
    LabelRequirement,
    Metric,
    ObjectMetric,
    PodsMetric,
    QueryMetric,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.decision import Condition, MetricResult, RoleDecision
from rbg_autoscaler.decide.snapshot import Missing

SUCCEEDED_GET_SCALE = Condition(
    "AbleToScale",
    "True",
    "SucceededGetScale",
    "the HPA controller was able to get the target's current scale",
)
READY_FOR_NEW_SCALE = Condition(
    "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"
)
SCALE_DOWN_STABILIZED = Condition(
    "AbleToScale",
    "True",
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
SCALE_UP_STABILIZED = Condition(
    "AbleToScale",
    "True",
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
SCALING_DISABLED = Condition(
    "ScalingActive",
    "False",
    "ScalingDisabled",
    "scaling is disabled since the replica count of the target is zero",
)
SCALED_TO_ZERO = Condition(
    "ScaledToZero", "True", "ScaledToZero", "the HPA controller scaled the workload to zero"
)
NOT_SCALED_TO_ZERO = Condition(
    "ScaledToZero", "False", "NotScaledToZero", "the HPA controller did not scale the workload to zero"
)

WITHIN_RANGE = "DesiredWithinRange"
TOO_FEW = "TooFewReplicas"
TOO_MANY = "TooManyReplicas"
SCALE_UP_LIMIT = "ScaleUpLimit"
SCALE_DOWN_LIMIT = "ScaleDownLimit"

SCALING_LIMITED = {
    reason: Condition("ScalingLimited", status, reason, message)
    for reason, status, message in (
        (WITHIN_RANGE, "False", "the desired count is within the acceptable range"),
        (TOO_FEW, "True", "the desired replica count is less than the minimum replica count"),
        (TOO_MANY, "True", "the desired replica count is more than the maximum replica count"),
        (
            SCALE_UP_LIMIT,
            "True",
            "the desired replica count is increasing faster than the maximum scale rate",
        ),
        (
            SCALE_DOWN_LIMIT,
            "True",
            "the desired replica count is decreasing faster than the maximum scale rate",
        ),
    )
}

INVALID_SOURCE_TYPE = "InvalidMetricSourceType"
"""HPA's reason for a metric of a kind it cannot read; a reading missing with this reason keeps it."""


def metric_active(label: str) -> Condition:
    """ScalingActive while metrics give a number."""
    message = f"the HPA was able to successfully calculate a replica count from {label}"
    return Condition("ScalingActive", "True", "ValidMetricFound", message)


def metric_failed(reason: str, message: str) -> Condition:
    """ScalingActive while metrics hold the role where it is."""
    return Condition("ScalingActive", "False", reason, message)


def rescaled(size: int) -> Condition:
    """AbleToScale after a successful write."""
    message = f"the HPA controller was able to update the target scale to {size}"
    return Condition("AbleToScale", "True", "SucceededRescale", message)


def not_rescaled(error: str) -> Condition:
    """AbleToScale after a failed write."""
    message = f"the HPA controller was unable to update the target scale: {error}"
    return Condition("AbleToScale", "False", "FailedUpdateScale", message)


def metric_label(metric: Metric) -> str:
    """How HPA's messages name the metric; our signals and queries are named the same way."""
    match metric:
        case SignalMetric():
            return f"signal {metric.signal.value}"
        case PodsMetric():
            return f"pods metric {metric.name}"
        case ObjectMetric() if metric.target.type is TargetType.AVERAGE_VALUE:
            return f"external metric {metric.name}({_selector_text(metric.selector)})"
        case ObjectMetric():
            return f"{metric.described_kind} metric {metric.name}"
        case ExternalMetric():
            return f"external metric {metric.name}({_selector_text(metric.selector)})"
        case QueryMetric():
            return f"query {metric.name}"


def failure_reason(metric: Metric, result: MetricResult) -> str:
    """The reason of ScalingActive=False when this metric is the first that failed.

    A signal is HPA's Resource metric where its target is a utilisation, else HPA's Pods metric; a query is an
    External metric.
    """
    if isinstance(result.reading, Missing) and result.reading.reason == INVALID_SOURCE_TYPE:
        return INVALID_SOURCE_TYPE
    match metric:
        case SignalMetric():
            utilisation = metric.target.type is TargetType.UTILIZATION
            return "FailedGetResourceMetric" if utilisation else "FailedGetPodsMetric"
        case PodsMetric():
            return "FailedGetPodsMetric"
        case ObjectMetric():
            return "FailedGetObjectMetric"
        case ExternalMetric() | QueryMetric():
            return "FailedGetExternalMetric"


def rescale_reason(decision: RoleDecision) -> str:
    """Why a rescale happens, as HPA's SuccessfulRescale and FailedRescale events say it.

    Empty where the metrics asked for the present count and only a past recommendation moves the role.
    """
    if decision.proposed is None:
        bound = "above Spec.MaxReplicas" if decision.granted < decision.current else "below Spec.MinReplicas"
        return f"Current number of replicas {bound}"
    if decision.proposed > decision.current:
        best = next(result for result in decision.metrics if result.proposed == decision.proposed)
        return f"{best.label} above target"
    return "All metrics below target" if decision.proposed < decision.current else ""


def rescale_message(decision: RoleDecision, error: str | None = None) -> str:
    """The message of HPA's event about a rescale, or about one that failed."""
    message = f"New size: {decision.granted}; reason: {rescale_reason(decision)}"
    return message if error is None else f"{message}; error: {error}"


def _selector_text(selector: tuple[LabelRequirement, ...]) -> str:
    return ",".join(_requirement_text(requirement) for requirement in selector)


def _requirement_text(requirement: LabelRequirement) -> str:
    key, values = requirement.key, requirement.values
    match requirement.operator:
        case "Exists":
            return key
        case "DoesNotExist":
            return f"!{key}"
        case "In" if len(values) == 1:
            return f"{key}={values[0]}"
        case _:
            return f"{key} {requirement.operator.lower()} ({','.join(values)})"
