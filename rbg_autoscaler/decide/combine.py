"""Several metrics of a role into one recommendation: the largest proposal; failures block only a decrease.

A metric outage therefore never lowers a role, while one good metric may still raise it.
"""

from __future__ import annotations

from typing import NamedTuple

from rbg_autoscaler.api.types import RoleSpec
from rbg_autoscaler.decide.decision import Condition, MetricResult
from rbg_autoscaler.decide.hpa_text import INVALID_SOURCE_TYPE, failure_reason, metric_active, metric_failed


class Combined(NamedTuple):
    """What the metrics together ask for."""

    replicas: int | None
    """None while failed metrics block: the role is held."""
    active: Condition
    """HPA's ScalingActive."""
    message: str


def combine(results: tuple[MetricResult, ...], spec: RoleSpec, requested: int) -> Combined:
    """The largest proposal; the first of equals names the reason.

    Blocked when every metric failed, or when some failed and the best of the others lies below `requested`.
    At 0 requested nothing lies below, so a failed metric never keeps another from waking the role.

    Args:
        results: One per entry of `spec.metrics`, in that order.
        spec: The role, for the kinds of its metrics.
        requested: The role's replica count now.
    """
    best: MetricResult | None = None
    replicas = failed = 0
    for result in results:
        if result.proposed is None:
            failed += 1
        elif best is None or result.proposed > replicas:
            best, replicas = result, result.proposed
    if best is None or (failed and replicas < requested):
        return _blocked(results, spec, failed)
    return Combined(replicas, metric_active(best.label), best.message)


def _blocked(results: tuple[MetricResult, ...], spec: RoleSpec, failed: int) -> Combined:
    for result, metric in zip(results, spec.metrics, strict=True):
        if result.proposed is None:
            first = (
                f"invalid metrics ({failed} invalid out of {len(results)}), first error is: {result.message}"
            )
            message = f"the HPA was unable to compute the replica count: {first}"
            return Combined(None, metric_failed(failure_reason(metric, result), message), first)
    message = "the HPA was unable to compute the replica count: the role has no metrics"
    return Combined(None, metric_failed(INVALID_SOURCE_TYPE, message), "the role has no metrics")
