"""An RbgAutoscaler as a dict in, its typed spec out, or every error in it with its field's path.

Objects that no API server admitted are held to the whole of the CRD, defaults and laws included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rbg_autoscaler.api.check import FieldError, check
from rbg_autoscaler.api.quantity import amount, milli
from rbg_autoscaler.api.spec_shape import SPEC
from rbg_autoscaler.api.types import (
    GROUP,
    KIND,
    VERSION,
    Behavior,
    Coordination,
    Engine,
    ExternalMetric,
    LabelRequirement,
    Metric,
    MetricTarget,
    Mode,
    ObjectMetric,
    PodsMetric,
    PolicyType,
    QueryMetric,
    RbgAutoscalerSpec,
    RoleKind,
    RoleSpec,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Signal,
    SignalMetric,
    StartUp,
    TargetType,
)

__all__ = ["FieldError", "InvalidSpec", "parse_autoscaler"]

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")


class InvalidSpec(ValueError):
    """The object is no valid RbgAutoscaler; `errors` says all that is wrong, in the order of the object."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors


def parse_autoscaler(obj: Mapping[str, Any]) -> RbgAutoscalerSpec:
    """The typed spec of a whole RbgAutoscaler object, with all defaults filled in.

    Looks at `spec`, and at `apiVersion` and `kind` where they are there; metadata and status are not judged.

    Raises:
        InvalidSpec: with all errors, whatever the object is made of.
    """
    errors: list[FieldError] = []
    if not isinstance(obj, Mapping):
        raise InvalidSpec((FieldError("", "is not an object"),))
    for name, expected in (("apiVersion", f"{GROUP}/{VERSION}"), ("kind", KIND)):
        if name in obj and obj[name] != expected:
            errors.append(FieldError(name, f"is not {expected}"))
    errors += [
        FieldError(str(name)[:80], f"unknown field: known here are {', '.join(_TOP_LEVEL)}")
        for name in obj
        if name not in _TOP_LEVEL
    ]
    if obj.get("spec") is None:
        errors.append(FieldError("spec", "is required: an object with targetRef and roles"))
        raise InvalidSpec(tuple(errors))
    checked = check(SPEC, obj["spec"], "spec", errors)
    if errors:
        raise InvalidSpec(tuple(errors))
    return _spec(checked)


def infer_kind(role: str) -> RoleKind:
    """The work of a role by its name, where the spec does not say it."""
    for kind in (RoleKind.PREFILL, RoleKind.DECODE):
        if kind.lower() in role:
            return kind
    return RoleKind.AGGREGATED


def _spec(spec: Mapping[str, Any]) -> RbgAutoscalerSpec:
    return RbgAutoscalerSpec(
        target=spec["targetRef"]["name"],
        roles=tuple(map(_role, spec["roles"])),
        mode=Mode(spec["mode"]),
        engine=Engine(spec["engine"]),
        metrics_source=spec["metricsSource"],
        coordination=tuple(map(_coordination, spec.get("coordination", ()))),
        hpa_exact=spec["hpaExact"],
    )


def _role(role: Mapping[str, Any]) -> RoleSpec:
    return RoleSpec(
        name=role["name"],
        kind=RoleKind(role["kind"]) if "kind" in role else infer_kind(role["name"]),
        min_replicas=role["minReplicas"],
        max_replicas=role["maxReplicas"],
        metrics=tuple(map(_metric, role["metrics"])),
        gang_step=role["gangStep"],
        behavior=_behavior(role["behavior"]) if "behavior" in role else None,
        start_up=StartUp(role["startUp"]["deadlineSeconds"], role["startUp"]["settleSeconds"]),
    )


def _metric(metric: Mapping[str, Any]) -> Metric:
    match metric["type"]:
        case "Signal":
            return SignalMetric(Signal(metric["signal"]), _target(metric["target"]))
        case "Query":
            query = metric["query"]
            return QueryMetric(query["name"], query["promql"], _target(query["target"]))
        case kind:
            source = metric[kind.lower()]
    name, selector = source["metric"]["name"], _selector(source["metric"].get("selector", {}))
    if kind == "Object":
        described = source["describedObject"]
        return ObjectMetric(name, selector, described["kind"], described["name"], _target(source["target"]))
    shape = PodsMetric if kind == "Pods" else ExternalMetric
    return shape(name, selector, _target(source["target"]))


def _target(target: Mapping[str, Any]) -> MetricTarget:
    match TargetType(target["type"]):
        case TargetType.UTILIZATION:
            return MetricTarget(TargetType.UTILIZATION, target["averageUtilization"])
        case TargetType.VALUE:
            return MetricTarget(TargetType.VALUE, milli(target["value"]))
        case TargetType.AVERAGE_VALUE:
            return MetricTarget(TargetType.AVERAGE_VALUE, milli(target["averageValue"]))


def _selector(selector: Mapping[str, Any]) -> tuple[LabelRequirement, ...]:
    """Requirements in an order that does not depend on how the map was written."""
    labels = sorted(selector.get("matchLabels", {}).items())
    equal = (LabelRequirement(key, "In", (value,)) for key, value in labels)
    further = (
        LabelRequirement(entry["key"], entry["operator"], tuple(entry.get("values", ())))
        for entry in selector.get("matchExpressions", ())
    )
    return (*equal, *further)


def _behavior(behavior: Mapping[str, Any]) -> Behavior:
    return Behavior(_rules(behavior["scaleUp"]), _rules(behavior["scaleDown"]))


def _rules(rules: Mapping[str, Any]) -> ScalingRules:
    return ScalingRules(
        policies=tuple(
            ScalingPolicy(PolicyType(policy["type"]), policy["value"], policy["periodSeconds"])
            for policy in rules["policies"]
        ),
        select_policy=SelectPolicy(rules["selectPolicy"]),
        stabilization_window_seconds=rules.get("stabilizationWindowSeconds"),
        tolerance=float(amount(rules["tolerance"])) if "tolerance" in rules else None,
    )


def _coordination(entry: Mapping[str, Any]) -> Coordination:
    return Coordination(
        numerator=entry["numerator"],
        denominator=entry["denominator"],
        min_ratio_milli=milli(entry["minRatio"]) if "minRatio" in entry else None,
        max_ratio_milli=milli(entry["maxRatio"]) if "maxRatio" in entry else None,
    )
