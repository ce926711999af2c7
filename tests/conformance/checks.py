"""One check per kind of fact: its inputs go through the shipped functions, the outcome is named as there."""

from collections.abc import Callable
from typing import Any

from rbg_autoscaler.api.types import Behavior, Metric, ScalingRules
from rbg_autoscaler.decide import rescale
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import Condition, MetricResult, RoleDecision
from rbg_autoscaler.decide.hpa_text import rescale_message
from rbg_autoscaler.decide.memory import RoleMemory, ScaleEvent
from rbg_autoscaler.decide.propose import propose
from rbg_autoscaler.decide.rate_limit import (
    change_within,
    legacy_limit,
    limit_behavior,
    limit_legacy,
    longest_period,
    scale_down_limit,
    scale_up_limit,
)
from rbg_autoscaler.decide.ratio import per_replica
from rbg_autoscaler.decide.role import decide_role
from rbg_autoscaler.decide.snapshot import Reading, RoleView
from rbg_autoscaler.decide.stabilise import remember, stabilise_behavior, stabilise_legacy
from rbg_autoscaler.decide.units import group
from tests.conformance import express
from tests.conformance.case import Case
from tests.conformance.excluded import running_but_unready_for_cpu
from tests.conformance.express import NOW

Outcome = dict[str, Any]


def outcome_of(case: Case) -> Outcome:
    """What we make of the case's inputs, under the keys of its `expected`; an unknown kind is a KeyError."""
    return CHECKS[case.kind](case)


def _proposal(case: Case, metric: Metric, reading: Reading, view: RoleView) -> Outcome:
    band = express.band(case.inputs["tolerance"])
    return _result(propose(metric, reading, view, band, DecideConfig()))


def _result(result: MetricResult) -> Outcome:
    return {
        "replicas": result.proposed,
        "usage_milli": result.usage_milli,
        "utilization_percent": result.usage_milli if result.is_percent else None,
        "raw_average_milli": result.average_milli,
        "error_contains": result.message.replace(result.name, "cpu") if result.proposed is None else None,
    }


def _external_average(case: Case) -> Outcome:
    status = case.inputs["status_replicas"]
    metric = express.external(express.average(case.inputs["target_milli"]))
    reading = express.series(case.inputs["metric_values_milli"])
    return _proposal(case, metric, reading, express.role_view(status, status))


def _external_value(case: Case) -> Outcome:
    metric = express.external(express.total(case.inputs["target_milli"]))
    return _proposal(case, metric, express.series(case.inputs["metric_values_milli"]), _view(case))


def _object_average(case: Case) -> Outcome:
    status = case.inputs["status_replicas"]
    metric = express.described(express.average(case.inputs["target_milli"]))
    reading = express.series((case.inputs["metric_milli"],))
    return _proposal(case, metric, reading, express.role_view(status, status))


def _object_value(case: Case) -> Outcome:
    metric = express.described(express.total(case.inputs["target_milli"]))
    return _proposal(case, metric, express.series((case.inputs["metric_milli"],)), _view(case))


def _pods_average(case: Case) -> Outcome:
    strangers = case.inputs.get("metrics_for_unknown_pods_milli") or ()
    values = express.samples(case.inputs["pods"])
    values |= {f"unknown-{i}": value for i, value in enumerate(strangers)}
    metric = express.per_pod(case.inputs["target_milli"])
    return _proposal(case, metric, express.sample(values), _view(case))


def _resource_utilization(case: Case) -> Outcome:
    pods = case.inputs["pods"]
    reading = express.sample(express.samples(pods), express.samples(pods, "request_milli"))
    metric = express.utilization(case.inputs["target_utilization_percent"])
    return _proposal(case, metric, reading, _view(case))


def _view(case: Case) -> RoleView:
    """The role with the case's pods; one that the cpu rule leaves out has the phase of one without a node."""
    current, pods = case.inputs["current_replicas"], case.inputs["pods"]
    return express.role_view(current, current, pods, running_but_unready_for_cpu(case))


def _group_pods(case: Case) -> Outcome:
    pods = case.inputs["pods"]
    grouped = group(express.instances(pods), express.samples(pods))
    return {
        "ready": grouped.counted,
        "unready": grouped.unready,
        "missing": grouped.missing,
        "ignored": grouped.ignored,
    }


def _per_pod_usage(case: Case) -> Outcome:
    return {"usage_milli": per_replica(case.inputs["usage_milli"], case.inputs["status_replicas"])}


def _legacy_limits(case: Case) -> Outcome:
    i = case.inputs
    limit = legacy_limit(i["current_replicas"], express.config(i))
    bound = limit_legacy(i["desired_replicas"], i["min_replicas"], i["max_replicas"], limit)
    return {"replicas": bound.replicas, "reason": bound.reason}


def _stabilize_legacy(case: Case) -> Outcome:
    i = case.inputs
    log, desired, window = express.recommendations(i["recommendations"]), i["desired_replicas"], i["window_s"]
    return {
        "stabilized": stabilise_legacy(log, desired, NOW, window),
        "log_length": len(remember(log, desired, NOW, window)),
    }


def _stabilize_behavior(case: Case) -> Outcome:
    i = case.inputs
    log, desired = express.recommendations(i["recommendations"]), i["desired_replicas"]
    up, down = i["scale_up_window_s"], i["scale_down_window_s"]
    return {
        "stabilized": stabilise_behavior(log, i["current_replicas"], desired, NOW, up, down),
        "recommendations_after": [entry.replicas for entry in remember(log, desired, NOW, max(up, down))],
    }


def _behavior_rate(case: Case) -> Outcome:
    i = case.inputs
    bound = limit_behavior(
        i["current_replicas"],
        i["desired_replicas"],
        i["min_replicas"],
        i["max_replicas"],
        express.behavior(i["scale_up_rules"], i["scale_down_rules"]),
        express.events(i["scale_up_events"]),
        express.events(i["scale_down_events"]),
        NOW,
    )
    return {"replicas": bound.replicas, "reason": bound.reason}


def _bare_limit(limit: Callable[..., int], direction: str) -> Callable[[Case], Outcome]:
    def check(case: Case) -> Outcome:
        i = case.inputs
        ups, downs = express.events(i["scale_up_events"]), express.events(i["scale_down_events"])
        return {"limit": limit(i["current_replicas"], _rules(direction, i["rules"]), ups, downs, NOW)}

    return check


def _rules(direction: str, rules: dict[str, Any] | None) -> ScalingRules:
    behavior: Behavior = express.behavior(
        rules if direction == "up" else None, rules if direction == "down" else None
    )
    return behavior.scale_up if direction == "up" else behavior.scale_down


def _store_scale_event(case: Case) -> Outcome:
    """The same rescale in both directions; the fact holds for the log of either."""
    i = case.inputs
    before, change = express.events(i["previous_events"]), i["new_change"]
    keep = longest_period(_rules("up", i["rules"])) if i["rules"] is not None else 0
    memory = RoleMemory(scale_ups=before, scale_downs=before)
    up = rescale.memory_after(memory, _written(10, 10 + change, keep), NOW)
    down = rescale.memory_after(memory, _written(10 + change, 10, keep), NOW)
    assert up.scale_ups == down.scale_downs
    assert (up.scale_downs, down.scale_ups) == (before, before)
    return {
        "change_in_last_60s_before": change_within(before, 60, NOW),
        "events_after": [_event(event, keep) for event in up.scale_ups],
    }


def _written(current: int, granted: int, keep: int) -> RoleDecision:
    return RoleDecision(
        role="role",
        current=current,
        ready=current,
        proposed=granted,
        wanted=granted,
        granted=granted,
        limiter=None,
        reason="",
        message="",
        steps=(),
        metrics=(),
        conditions=(),
        event_seconds=(keep, keep),
    )


def _event(event: ScaleEvent, keep: int) -> Outcome:
    return {"change": event.change, "outdated": keep > 0 and NOW - event.at > keep}


def _rule_defaults(case: Case) -> Outcome:
    rules = _rules(case.inputs["direction"], case.inputs["rules"])
    return {
        "policies": [
            {"type": policy.type.value, "value": policy.value, "period_s": policy.period_seconds}
            for policy in rules.policies
        ],
        "stabilization_window_s": rules.stabilization_window_seconds,
        "select_policy": rules.select_policy.value,
        "tolerance": rules.tolerance,
    }


def _reconcile(case: Case) -> Outcome:
    """One whole sync: decide, write what changed (or fail to), and look at memory and conditions."""
    i = case.inputs
    metrics, readings = zip(*(express.metric_and_reading(m, i["pods"]) for m in i["metrics"]), strict=True)
    spec = express.role_spec(i, metrics)
    unready = running_but_unready_for_cpu(case) if any(m["type"] == "Resource" for m in i["metrics"]) else []
    view = express.role_view(i["spec_replicas"], i["status_replicas"], i["pods"], unready)
    before = RoleMemory(
        recommendations=None
        if i["recommendations"] is None
        else express.recommendations(i["recommendations"]),
        scaled_to_zero=i["initial_conditions"].get("ScaledToZero", ["False"])[0] == "True",
        desired=i["spec_replicas"],
    )
    decision, memory = decide_role(spec, view, readings, before, express.config(i), NOW, hpa_exact=True)
    error = "the scale cannot be written" if i.get("scale_update_error") else None
    conditions = decision.conditions
    if decision.changes and error is None:
        conditions = rescale.conditions_after(decision)
        memory = rescale.memory_after(memory, decision, NOW)
    elif decision.changes:
        assert error is not None
        conditions = rescale.conditions_after_failure(decision, error)
        memory = rescale.memory_after_failure(memory, before)
    failed = any(result.proposed is None for result in decision.metrics)
    return {
        "desired_replicas": memory.desired,
        "scale_updated": decision.changes and error is None,
        "reconcile_error": failed or (decision.changes and error is not None),
        "conditions": _conditions(i["initial_conditions"], conditions),
        "utilization_percent": next((m.usage_milli for m in decision.metrics if m.is_percent), None),
        "event": rescale_message(decision, error) if decision.changes else None,
    }


def _conditions(initial: dict[str, list[str]], ours: tuple[Condition, ...]) -> dict[str, list[str]]:
    """As a status has them afterwards: what is not among ours stays, but ScaledToZero, which memory has."""
    left = {kind: list(state) for kind, state in initial.items() if kind != "ScaledToZero"}
    return left | {condition.type: [condition.status, condition.reason] for condition in ours}


CHECKS: dict[str, Callable[[Case], Outcome]] = {
    "external_average": _external_average,
    "external_value": _external_value,
    "object_average": _object_average,
    "object_value": _object_value,
    "pods_average": _pods_average,
    "resource_utilization": _resource_utilization,
    "group_pods": _group_pods,
    "per_pod_usage": _per_pod_usage,
    "legacy_limits": _legacy_limits,
    "stabilize_legacy": _stabilize_legacy,
    "stabilize_behavior": _stabilize_behavior,
    "behavior_rate": _behavior_rate,
    "scale_up_limit": _bare_limit(scale_up_limit, "up"),
    "scale_down_limit": _bare_limit(scale_down_limit, "down"),
    "store_scale_event": _store_scale_event,
    "rule_defaults": _rule_defaults,
    "reconcile": _reconcile,
}
