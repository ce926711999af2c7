"""What the controller writes into a status fits the declared shape: what is not declared would be lost."""

from __future__ import annotations

from typing import Any

from rbg_autoscaler.act.status import render
from rbg_autoscaler.api.check import FieldError, check
from rbg_autoscaler.api.shape import Choice, Flag, Integer, Listing, Node, Number, Record, Text
from rbg_autoscaler.api.status_shape import MEMORY, STATUS
from rbg_autoscaler.api.types import (
    Behavior,
    MetricTarget,
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
from rbg_autoscaler.decide.decision import Condition, Decision, MetricResult, RoleDecision, Stage
from rbg_autoscaler.decide.envelope import memory_to_status
from rbg_autoscaler.decide.memory import Recommendation, RoleMemory, ScaleEvent
from rbg_autoscaler.decide.snapshot import AutoscalerView, GroupView, Missing, Sample


def full_status() -> dict[str, Any]:
    """A status in which every field is set."""
    status = _sample(STATUS)
    assert isinstance(status, dict)
    status["summary"] = "prefill 3->5, decode 8"
    kinds = (("ScalingLimited", "TooManyReplicas"), ("Ready", "AsExpected"))
    status["conditions"] = [{**status["conditions"][0], "type": kind, "reason": why} for kind, why in kinds]
    return status


def _sample(node: Node) -> Any:
    match node:
        case Record():
            return {field.name: _sample(field.node) for field in node.fields}
        case Listing():
            return [_sample(node.item)]
        case Choice():
            return node.values[0]
        case Integer():
            return node.minimum + 1
        case Number():
            return 1790000000.25
        case Flag():
            return True
        case Text():
            return (
                "2026-10-01T12:00:00Z"
                if node.format
                else "Abc"
                if node.pattern and "A" in node.pattern
                else "abc"
            )
        case _:
            raise AssertionError(f"no sample of {node}")


def test_the_full_status_fits() -> None:
    errors: list[FieldError] = []
    assert check(STATUS, full_status(), "status", errors) == full_status()
    assert errors == []


def test_every_field_of_a_memory_that_remembers_everything_is_declared() -> None:
    target = MetricTarget(TargetType.AVERAGE_VALUE, 8_000)
    metrics = (SignalMetric(Signal.QUEUE_LENGTH, target),)
    rules = ScalingRules((ScalingPolicy(PolicyType.PODS, 4, 60),), stabilization_window_seconds=60)
    role = RoleSpec("prefill", RoleKind.PREFILL, 1, 8, metrics, behavior=Behavior(rules, rules))
    memory = RoleMemory(
        recommendations=(Recommendation(900.5, 5), Recommendation(990.0, 3)),
        scale_ups=(ScaleEvent(950.25, 2),),
        scale_downs=(ScaleEvent(960.0, 1),),
        scaled_to_zero=True,
        desired=4,
        written=5,
        written_at=950.25,
        start_up_seconds=96.5,
        withdrawn_at=940.0,
        backoff_seconds=60.0,
        replaced=3,
        overridden_at=(930.0,),
        interrupted=True,
    )
    block = memory_to_status(memory, role, DecideConfig(), 1000.0)
    errors: list[FieldError] = []
    assert check(MEMORY, block, "memory", errors) == block
    assert errors == []
    assert {field.name for field in MEMORY.fields} == block.keys()


def _role_decision(name: str) -> RoleDecision:
    """With the longest texts a decision may have, and a metric of each outcome."""
    long = "words " * 2_000
    read = MetricResult("m" * 200, 5, 12_500, 8_000, Sample({"a": 12_500}), long, is_percent=True)
    failed = MetricResult("QueueLength", None, None, 8_000, Missing("Unreachable", long), "")
    conditions = tuple(
        Condition(kind, "True", "GangStepUnsatisfiable", long) for kind in ("AbleToScale", "ScalingLimited")
    )
    return RoleDecision(
        name, 2, 1, 9, 5, 4, Stage.GUARD, "RolloutRuleViolated", long, (), (read, failed) * 8, conditions
    )


def test_the_longest_status_that_is_rendered_fits() -> None:
    names = [f"{index:02}" + "r" * 61 for index in range(16)]
    metrics = (SignalMetric(Signal.QUEUE_LENGTH, MetricTarget(TargetType.AVERAGE_VALUE, 8_000)),)
    specs = tuple(RoleSpec(name, RoleKind.DECODE, 1, 8, metrics) for name in names)
    key = ObjectKey("serving", "deepseek")
    group = GroupView(key, "6f1c2f60-8a8e-4b1f-9a52-0d7a4ad0a8d1", "1", ())
    view = AutoscalerView(key, "u", 3, RbgAutoscalerSpec("deepseek", specs), group, {})
    decision = Decision(
        key, "u", 3, tuple(map(_role_decision, names)), (Condition("Ready", "True", "AsExpected", ""),)
    )
    memories = [RoleMemory(written=4, written_at=950.25)] * 16
    kept = [memory_to_status(memories[0], specs[0], DecideConfig(), 1000.0)] * 16

    status = render(view, decision, kept, memories, {}, 1000.0)

    errors: list[FieldError] = []
    assert check(STATUS, status, "status", errors) == status
    assert errors == []
    assert status.keys() == {field.name for field in STATUS.fields}
