"""The stable object behind `-o json` and `-o yaml`, documented in docs/cli.md.

Every key is always there; null means none. Names are those of the status of an RbgAutoscaler.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from rbg_autoscaler.act.status import quantity_text, timestamp
from rbg_autoscaler.cli.report import Item, Report
from rbg_autoscaler.decide.decision import Condition, MetricResult, RoleDecision
from rbg_autoscaler.decide.snapshot import Missing, Refusal, Sample


def report_object(report: Report) -> dict[str, Any]:
    """All autoscalers of the report."""
    return {
        "takenAt": timestamp(report.taken_at),
        "changes": report.changes,
        "items": [item_object(item) for item in report.items],
    }


def item_object(item: Item) -> dict[str, Any]:
    """One autoscaler."""
    view, decision = item.view, item.decision
    readable = item.spec_is_readable
    return {
        "namespace": view.key.namespace,
        "name": view.key.name,
        "target": view.spec.target if readable else None,
        "mode": view.spec.mode.value if readable else None,
        "changes": item.changes,
        "refusal": None if decision.refusal is None else _refusal(decision.refusal),
        "conditions": [_condition(condition) for condition in decision.conditions],
        "roles": [_role(role) for role in decision.roles],
    }


def _role(role: RoleDecision) -> dict[str, Any]:
    replicas = [role.current, *(step.replicas for step in role.steps)]
    return {
        "name": role.role,
        "current": role.current,
        "ready": role.ready,
        "proposed": role.proposed,
        "wanted": role.wanted,
        "granted": role.granted,
        "changes": role.changes,
        "limiter": None if role.limiter is None else role.limiter.value,
        "reason": role.reason,
        "message": role.message,
        "steps": [
            {
                "stage": step.stage.value,
                "from": before,
                "to": after,
                "reason": step.reason,
                "message": step.message,
            }
            for step, (before, after) in zip(role.steps, pairwise(replicas), strict=True)
        ],
        "metrics": [_metric(metric) for metric in role.metrics],
        "conditions": [_condition(condition) for condition in role.conditions],
    }


def _metric(metric: MetricResult) -> dict[str, Any]:
    reading, percent = metric.reading, metric.is_percent
    sample = reading if isinstance(reading, Sample) else None
    usage = metric.usage_milli
    return {
        "name": metric.name,
        "value": None if usage is None else quantity_text(usage, percent=percent),
        "target": quantity_text(metric.target_milli, percent=percent),
        "proposed": metric.proposed,
        "state": reading.reason if isinstance(reading, Missing) else "Valid",
        "message": reading.message if isinstance(reading, Missing) else metric.message,
        "ageSeconds": None if sample is None else round(sample.age_seconds, 3),
        "reporting": None if sample is None else sample.reporting,
        "expected": None if sample is None else sample.expected,
        "shortfall": None if sample is None or not sample.shortfall else sample.shortfall,
    }


def _condition(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {"reason": refusal.reason, "message": refusal.message}
