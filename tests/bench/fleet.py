"""A fleet at rest as API server and Prometheus tell it: groups of prefill and decode, two instances each.

Eight of ten groups sit within the tolerance of their targets, one at its maximum under more load than it can
take, one at its minimum with hardly any: none has anything to write, however its values move within its band.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests import builders

Object = dict[str, Any]

GROUPS_PER_NAMESPACE = 20
INSTANCES = 2
VARIANTS = 4
"""Sets of values that take turns, sync by sync."""
HOUR = 3600.0

SIGNALS = {
    "prefill": {"QueueLength": 8.0, "PendingTokens": 16_000.0, "PromptTokenRate": 20_000.0},
    "decode": {"KVCacheUsage": 0.7, "GenerationTokenRate": 2_000.0},
}
"""The signals of each role with the targets they are held against."""
QUERIES = sum(len(signals) for signals in SIGNALS.values())
"""One a signal and source."""

# Most telling first: the query for pending tokens names the waiting requests, too.
MARKS = {
    "PendingTokens": "vllm:request_prompt_tokens",
    "QueueLength": "vllm:num_requests_waiting",
    "KVCacheUsage": "vllm:kv_cache_usage_perc",
    "PromptTokenRate": "vllm:prompt_tokens",
    "GenerationTokenRate": "vllm:generation_tokens",
}
"""A series by which the stand-in for Prometheus knows what is asked for."""


@dataclass(frozen=True)
class Group:
    """One RoleBasedGroup of the fleet, with an RbgAutoscaler of the same name."""

    number: int

    @property
    def namespace(self) -> str:
        return f"team-{self.number // GROUPS_PER_NAMESPACE:04d}"

    @property
    def name(self) -> str:
        return f"llama-{self.number:05d}"

    @property
    def load(self) -> float:
        """The load over what the targets allow."""
        return {8: 3.0, 9: 0.1}.get(self.number % 10, 1.0)

    @property
    def has_adapters(self) -> bool:
        """Every other group's roles have scaling adapters."""
        return self.number % 2 == 0

    @property
    def bounds(self) -> tuple[int, int]:
        """Minimum and maximum of both roles."""
        return {8: (1, INSTANCES), 9: (INSTANCES, 16)}.get(self.number % 10, (1, 16))


def groups(roles: int) -> list[Group]:
    """The groups that make up so many roles."""
    return [Group(number) for number in range(roles // len(SIGNALS))]


def objects(fleet: list[Group]) -> Iterator[Object]:
    """Every object of the fleet, complete as the API server has it where the product reads."""
    created = time.time() - HOUR - builders.EPOCH
    for group in fleet:
        yield _autoscaler(group)
        roles = [builders.role(role, INSTANCES, adapter=group.has_adapters) for role in SIGNALS]
        status = dict.fromkeys(SIGNALS, (INSTANCES, INSTANCES))
        yield _placed(builders.group(group.name, *roles, statuses=status), group)
        for role in SIGNALS:
            yield _placed(builders.instance_set(group.name, role, INSTANCES), group)
            if group.has_adapters:
                yield _placed(builders.adapter(group.name, role, INSTANCES), group)
            for ordinal in range(INSTANCES):
                yield _placed(_pod(group, role, ordinal, created), group)


def answers(fleet: list[Group], signal: str) -> list[bytes]:
    """Prometheus' answers to the query for a signal, one a variant: every pod exports every series."""
    return [_answer(fleet, signal, variant) for variant in range(VARIANTS)]


def _answer(fleet: list[Group], signal: str, variant: int) -> bytes:
    target = next(targets[signal] for targets in SIGNALS.values() if signal in targets)
    now = time.time()
    rows = [
        {
            "metric": {"age": repr(age), "namespace": group.namespace, "pod": pod},
            "value": [now, _text(signal, target * group.load * _drift(index + variant))],
        }
        for group in fleet
        for index, (pod, age) in enumerate(_pods(group))
    ]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}}).encode()


def _pods(group: Group) -> Iterator[tuple[str, float]]:
    """The group's pods, each with the time since its last scrape."""
    for number, role in enumerate(SIGNALS):
        for ordinal in range(INSTANCES):
            yield (
                f"{group.name}-{role}-{ordinal}",
                (group.number * 7 + number * 2 + ordinal) % 15 + 0.217000008,
            )


def _drift(turn: int) -> float:
    """A little up and down, within the tolerance of 10 % for a pod and so for a role."""
    return (1.0, 1.06, 0.97, 1.03)[turn % VARIANTS]


def _text(signal: str, value: float) -> str:
    return str(round(value)) if signal == "QueueLength" else repr(value)


def _pod(group: Group, role: str, ordinal: int, created: float) -> Object:
    ready = created + 60
    return builders.pod(ordinal, group_name=group.name, role_name=role, created=created, ready=ready)


def _autoscaler(group: Group) -> Object:
    low, high = group.bounds
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 300}} if group.number % 3 == 0 else {}
    roles = [
        builders.scaled(
            role, low, high, metrics=[_metric(*each) for each in signals.items()], behavior=behavior
        )
        for role, signals in SIGNALS.items()
    ]
    ratio = {"numerator": "decode", "denominator": "prefill", "minRatio": "500m", "maxRatio": "4"}
    more = {"mode": "Auto", "engine": "vllm", "coordination": [ratio]}
    return _placed(builders.autoscaler(group.name, *roles, target=group.name, **more), group)


def _metric(signal: str, target: float) -> Object:
    return {"signal": signal, "target": {"type": "AverageValue", "averageValue": f"{round(target * 1000)}m"}}


def _placed(obj: Object, group: Group) -> Object:
    obj["metadata"]["namespace"] = group.namespace
    return obj
