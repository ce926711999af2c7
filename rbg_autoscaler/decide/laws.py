"""Tempering: what a metric may ask for, before the metrics of a role are combined.

A partial sample may raise a role but not lower it; a backlog is counted once; an empty queue is not idleness.
`hpaExact` leaves this module out, and the numbers are HPA's.
"""

from __future__ import annotations

import math
from dataclasses import replace

from rbg_autoscaler.api.types import Metric, RoleSpec, SignalMetric
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import MetricResult
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.snapshot import InstancePhase, RoleView, Sample


def temper(
    results: tuple[MetricResult, ...], spec: RoleSpec, view: RoleView, memory: RoleMemory, now: float
) -> tuple[MetricResult, ...]:
    """The metrics' results (one per entry of `spec.metrics`, in that order) with their proposals tempered.

    A proposal held back becomes `view.requested`, or for a role without a busy signal one gang step less;
    its message says why. Results without a proposal pass unchanged.
    """
    return tuple(
        _tempered(result, metric, results, spec, view, memory, now)
        for result, metric in zip(results, spec.metrics, strict=True)
    )


def down_window_seconds(spec: RoleSpec, memory: RoleMemory, config: DecideConfig) -> int:
    """The scale-down stabilisation window: the configured one, but no lull shorter than a start-up counts."""
    configured = spec.behavior.scale_down.stabilization_window_seconds if spec.behavior else None
    if configured is None:
        configured = config.scale_down_stabilization_seconds
    return max(configured, math.ceil(memory.start_up_seconds or 0.0))


def is_backlog(metric: Metric) -> bool:
    """Whether the metric measures work waiting. Only our own signals say so; HPA's shapes are the user's."""
    return isinstance(metric, SignalMetric) and metric.signal.is_backlog


def names_backlog_only(spec: RoleSpec) -> bool:
    """Whether no metric of the role tells idleness from a queue that enough replicas keep empty."""
    return all(is_backlog(metric) for metric in spec.metrics)


def _tempered(
    result: MetricResult,
    metric: Metric,
    results: tuple[MetricResult, ...],
    spec: RoleSpec,
    view: RoleView,
    memory: RoleMemory,
    now: float,
) -> MetricResult:
    proposed = result.proposed
    if proposed is None or proposed == view.requested:
        return result
    if proposed > view.requested:
        waits = capacity_to_come(spec, view, memory, now) if is_backlog(metric) else None
        return _held(result, view.requested, waits) if waits else result
    if isinstance(result.reading, Sample) and result.reading.is_partial:
        reported = f"{result.reading.reporting} of {result.reading.expected} instances reported"
        return _held(result, view.requested, reported)
    if not is_backlog(metric):
        return result
    if names_backlog_only(spec):
        # Queue 0 of 8 replicas proposes 0 or 1; without a busy signal that is 7 now, 6 a window later, ...
        one_step_down = max(proposed, view.requested - spec.gang_step)
        why = "without a busy signal a role shrinks one gang step a window"
        return _held(result, one_step_down, why) if one_step_down > proposed else result
    if not _has_usable_busy_value(results, spec):
        return _held(result, view.requested, "an empty queue is not idleness, and no busy signal has a value")
    return result


def capacity_to_come(spec: RoleSpec, view: RoleView, memory: RoleMemory, now: float) -> str | None:
    """What is still to come of the replicas asked for, or None when all that will serve have served a while.

    A model server starts in 1-3 minutes while the rule asks every few seconds: a queue of 80 at a target of 8
    asks for 10 replicas again and again until the 8 that are starting have worked it off.
    An instance older than its start-up deadline no longer counts: neither one that never came, nor one whose
    readiness flaps, holds a raise for good.
    """
    deadline, settle = spec.start_up.deadline_seconds, spec.start_up.settle_seconds
    present = starting = settling = 0
    for instance in view.instances:
        if instance.phase is InstancePhase.TERMINATING:
            continue
        present += 1
        if instance.phase is InstancePhase.READY:
            at = instance.ready_at
            settling += at is not None and now - at < settle and at - instance.created_at <= deadline
        elif now - instance.created_at < deadline:
            starting += 1
    absent = view.requested - (present if view.instances else view.ready)
    if absent > 0 and _asked_within(deadline, view, memory, now):
        starting += absent
    if starting:
        return (
            f"a backlog is counted once: {starting} of {view.requested} replicas asked for are still starting"
        )
    if settling:
        return f"a backlog is counted once: {settling} new replicas have served for less than {settle} s"
    return None


def _asked_within(seconds: int, view: RoleView, memory: RoleMemory, now: float) -> bool:
    """Whether the present count was asked for less than `seconds` ago, as far as is known."""
    if memory.written != view.requested or memory.written_at is None:
        return True
    return now - memory.written_at < seconds


def _has_usable_busy_value(results: tuple[MetricResult, ...], spec: RoleSpec) -> bool:
    return any(
        result.proposed is not None and isinstance(result.reading, Sample)
        for result, metric in zip(results, spec.metrics, strict=True)
        if not is_backlog(metric)
    )


def _held(result: MetricResult, replicas: int, why: str) -> MetricResult:
    message = f"{result.message}; asks for {result.proposed}, counted as {replicas}: {why}".lstrip("; ")
    return replace(result, proposed=replicas, message=message)
