"""Roles, groups and snapshots in a line, and a small cluster in which decisions have consequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rbg_autoscaler.api.types import (
    Behavior,
    Coordination,
    Metric,
    MetricTarget,
    Mode,
    ObjectKey,
    PolicyType,
    RbgAutoscalerSpec,
    RoleKind,
    RoleSpec,
    ScalingPolicy,
    ScalingRules,
    Signal,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decide import decide, record_write
from rbg_autoscaler.decide.decision import Decision, RoleDecision
from rbg_autoscaler.decide.memory import Memory
from rbg_autoscaler.decide.snapshot import (
    AutoscalerView,
    GroupView,
    InstancePhase,
    InstanceView,
    Missing,
    PodView,
    Reading,
    RoleView,
    Sample,
    Snapshot,
)

KEY = ObjectKey("serving", "demo")
LONG_AGO = -100_000.0
"""Created, or ready, before anything in a test."""


def metric(signal: Signal, target: float) -> SignalMetric:
    return SignalMetric(signal, MetricTarget(TargetType.AVERAGE_VALUE, round(target * 1000)))


QUEUE = metric(Signal.QUEUE_LENGTH, 8)
KV = metric(Signal.KV_CACHE_USAGE, 0.7)


def role_spec(name: str = "decode", low: int = 1, high: int = 16, *metrics: Metric, **more: Any) -> RoleSpec:
    return RoleSpec(name, RoleKind.DECODE, low, high, metrics or (KV,), **more)


def behavior(
    up: Sequence[tuple[str, int, int]] = (("Percent", 900, 15),),
    down: Sequence[tuple[str, int, int]] = (("Percent", 100, 15),),
    up_window: int | None = None,
    down_window: int | None = None,
) -> Behavior:
    def rules(policies: Sequence[tuple[str, int, int]], window: int | None) -> ScalingRules:
        kinds = tuple(ScalingPolicy(PolicyType(kind), value, period) for kind, value, period in policies)
        return ScalingRules(kinds, stabilization_window_seconds=window)

    return Behavior(rules(up, up_window), rules(down, down_window))


def autoscaler_spec(*roles: RoleSpec, mode: Mode = Mode.AUTO, **more: Any) -> RbgAutoscalerSpec:
    return RbgAutoscalerSpec("demo", roles or (role_spec(),), mode=mode, **more)


def ratio(numerator: str, denominator: str, low: float | None, high: float | None) -> Coordination:
    def milli(bound: float | None) -> int | None:
        return None if bound is None else round(bound * 1000)

    return Coordination(numerator, denominator, milli(low), milli(high))


def instance(
    ordinal: int, phase: InstancePhase = InstancePhase.READY, *, role: str = "decode", at: float = LONG_AGO
) -> InstanceView:
    """One single-pod instance, created at `at` and, if ready, ready by then."""
    ready = phase is InstancePhase.READY
    scheduled = phase is not InstancePhase.UNSCHEDULED
    pod = PodView(f"{role}-{ordinal}", "Running" if ready else "Pending", ready, scheduled, terminating=False)
    return InstanceView(f"{role}-{ordinal}", ordinal, phase, at, at if ready else None, (pod,))


def role_view(name: str = "decode", replicas: int = 4, **more: Any) -> RoleView:
    """A role at rest: everything asked for exists and has served for long."""
    instances = more.pop("instances", None)
    if instances is None:
        instances = tuple(instance(ordinal, role=name) for ordinal in range(replicas))
    ready = sum(one.phase is InstancePhase.READY for one in instances)
    values = {"requested": replicas, "effective": replicas, "observed": len(instances), "ready": ready} | more
    return RoleView(name, instances=instances, **values)


def group(*roles: RoleView, name: str = "demo", uid: str = "group-1") -> GroupView:
    return GroupView(ObjectKey("serving", name), uid, "1", roles)


def per_instance(view: RoleView, value: float, **more: Any) -> Sample:
    """The same value from every ready instance."""
    names = [one.name for one in view.instances if one.phase is InstancePhase.READY]
    counts = {"reporting": len(names), "expected": len(names)} | more
    return Sample({name: round(value * 1000) for name in names}, **counts)


MISSING = Missing("Unreachable", "Prometheus does not answer")


def autoscaler_view(
    spec: RbgAutoscalerSpec,
    target: GroupView | None,
    readings: dict[str, tuple[Reading, ...]] | None = None,
    *,
    key: ObjectKey = KEY,
    **more: Any,
) -> AutoscalerView:
    return AutoscalerView(key, f"uid-{key.name}", 1, spec, target, readings or {}, **more)


def decide_one(
    view: AutoscalerView, memory: Memory | None = None, now: float = 0.0, config: DecideConfig | None = None
) -> tuple[Decision, Memory]:
    """One pass over a fleet of one."""
    decisions, after = decide(Snapshot(now, (view,)), memory or Memory(), now, config)
    return decisions[0], after


def row(decision: Decision, role: str = "decode") -> RoleDecision:
    found = decision.role(role)
    assert found is not None
    return found


@dataclass
class SimulatedRole:
    """Instances that start when they are asked for, as far as there is room, and serve a queue."""

    requested: int
    start_up_seconds: float = 100.0
    room: int = 10_000
    """Instances that find a node."""
    instances: dict[int, tuple[float, float | None]] = field(default_factory=dict)
    """Ordinal -> (created, scheduled or None)."""

    def __post_init__(self) -> None:
        self.instances = dict.fromkeys(range(self.requested), (LONG_AGO, LONG_AGO))

    def settle(self, now: float) -> None:
        """Make the instances what was asked for, and schedule what has room."""
        for ordinal in [ordinal for ordinal in self.instances if ordinal >= self.requested]:
            del self.instances[ordinal]
        for ordinal in range(self.requested):
            self.instances.setdefault(ordinal, (now, None))
        placed = sum(scheduled is not None for _, scheduled in self.instances.values())
        for ordinal, (created, scheduled) in sorted(self.instances.items()):
            if scheduled is None and placed < self.room:
                self.instances[ordinal] = (created, now)
                placed += 1

    def view(self, name: str, now: float) -> RoleView:
        self.settle(now)
        seen = []
        for ordinal, (created, scheduled) in sorted(self.instances.items()):
            phase = InstancePhase.UNSCHEDULED if scheduled is None else InstancePhase.STARTING
            ready_at = None if scheduled is None else scheduled + self.start_up_seconds
            if ready_at is not None and ready_at <= now:
                phase = InstancePhase.READY
            one = instance(ordinal, phase, role=name, at=created)
            seen.append(replace(one, ready_at=ready_at if phase is InstancePhase.READY else None))
        return role_view(name, self.requested, instances=tuple(seen))


Meter = Callable[[str, RoleView, float], tuple[Reading, ...]]
"""(role, view, now) -> the readings of its metrics."""


@dataclass
class World:
    """A cluster with one autoscaler whose decisions are carried out at once."""

    spec: RbgAutoscalerSpec
    roles: dict[str, SimulatedRole]
    meter: Meter
    memory: Memory = field(default_factory=Memory)
    config: DecideConfig = DecideConfig()
    history: list[tuple[float, str, int]] = field(default_factory=list)
    """(time, role, count) of every write."""

    def view(self, now: float) -> AutoscalerView:
        views = {name: role.view(name, now) for name, role in self.roles.items()}
        readings = {name: self.meter(name, view, now) for name, view in views.items()}
        return autoscaler_view(self.spec, group(*views.values()), readings)

    def sync(self, now: float) -> Decision:
        decision, self.memory = decide_one(self.view(now), self.memory, now, self.config)
        if self.spec.mode is Mode.AUTO:
            for one in decision.roles:
                if one.changes:
                    self.roles[one.role].requested = one.granted
                    self.roles[one.role].settle(now)
                    self.memory = record_write(self.memory, KEY, one, now)
                    self.history.append((now, one.role, one.granted))
        return decision

    def run(self, start: float, end: float, every: float = 5.0) -> Decision:
        """Sync from `start` to `end`, both included."""
        now = start
        decision = self.sync(now)
        while now + every <= end:
            now += every
            decision = self.sync(now)
        return decision
