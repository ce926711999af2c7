"""What the controller writes into a status fits the declared shape: what is not declared would be lost."""

from __future__ import annotations

from typing import Any

from rbg_autoscaler.api.check import FieldError, check
from rbg_autoscaler.api.shape import Choice, Flag, Integer, Listing, Node, Number, Record, Text
from rbg_autoscaler.api.status_shape import MEMORY, STATUS
from rbg_autoscaler.api.types import MetricTarget, RoleKind, RoleSpec, Signal, SignalMetric, TargetType
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.envelope import memory_to_status
from rbg_autoscaler.decide.memory import Recommendation, RoleMemory, ScaleEvent


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
    from rbg_autoscaler.api.types import Behavior, PolicyType, ScalingPolicy, ScalingRules

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
