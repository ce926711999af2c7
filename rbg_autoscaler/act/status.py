"""Writes an RbgAutoscaler's status when a person or the next leader needs it, not because a sample moved.

What must not be lost (counts, conditions, memory) is written at once; what only explains them is written with
it, or by itself at most every `MINOR_SECONDS`. Live numbers are metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rbg_autoscaler.api.quantity import canonical
from rbg_autoscaler.api.types import GROUP, PLURAL, VERSION, ObjectKey
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import Condition, Decision, MetricResult, RoleDecision
from rbg_autoscaler.decide.envelope import memory_to_status
from rbg_autoscaler.decide.memory import Memory, RoleMemory
from rbg_autoscaler.decide.snapshot import AutoscalerView, Missing
from rbg_autoscaler.kube.client import JSON_PATCH, KubeApi, NotFound

HPA_CONDITIONS = frozenset({"AbleToScale", "ScalingActive", "ScalingLimited"})
"""HPA leaves these as they were in a sync that does not come to judge them."""

MINOR_SECONDS = 15.0
"""A role at the edge of its tolerance changes its limiter with every sample; nobody reads that faster."""


@dataclass(frozen=True, slots=True)
class _Digest:
    """What of a status is compared, without building it, as hashes: a sync at rest must cost little."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class _Written:
    digest: _Digest
    at: float


class StatusWriter:
    """Compares, renders and patches statuses; remembers what it wrote last."""

    def __init__(self, api: KubeApi, config: DecideConfig) -> None:
        self._api = api
        self._config = config
        self._written: dict[ObjectKey, _Written] = {}

    def change(
        self,
        view: AutoscalerView,
        decision: Decision,
        memory: Memory,
        statuses: Mapping[ObjectKey, Mapping[str, Any]],
        now: float,
    ) -> dict[str, Any] | None:
        """The status to write, or None when the present one says the same.

        `statuses` are those last read; the autoscaler's own is looked up only where it is needed.
        """
        memories = [memory.roles.get((view.key, role.role), RoleMemory()) for role in decision.roles]
        kept = [
            memory_to_status(one, role, self._config, now)
            for one, role in zip(memories, _specs(view, decision), strict=True)
        ]
        digest = _digest(view, decision, kept)
        last = self._written.get(view.key)
        if last is not None:
            same_major = last.digest.major == digest.major
            if same_major and (last.digest.minor == digest.minor or now - last.at < MINOR_SECONDS):
                return None
        old = statuses.get(view.key, {})
        status = render(view, decision, kept, memories, old, now)
        self._written[view.key] = _Written(digest, now)
        return None if last is None and _same_but_times(status, old) else status

    async def write(self, view: AutoscalerView, status: Mapping[str, Any]) -> None:
        """Patch the status; an autoscaler that is gone or was made again is left alone.

        Raises:
            KubeError: when the API server refuses or cannot be reached; the next sync tries again.
        """
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{view.key.namespace}/{PLURAL}/{view.key.name}/status"
        body = [
            {"op": "test", "path": "/metadata/uid", "value": view.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            await self._api.request(
                "PATCH", path, body=body, content_type=JSON_PATCH, query={"fieldManager": "rbg-autoscaler"}
            )
        except NotFound:
            self._written.pop(view.key, None)
        except BaseException:
            self._written.pop(view.key, None)
            raise

    def forget(self, living: Iterable[ObjectKey]) -> None:
        """Drop what was written of autoscalers that went."""
        for key in self._written.keys() - set(living):
            del self._written[key]


def _specs(view: AutoscalerView, decision: Decision) -> list[Any]:
    by_name = {role.name: role for role in view.spec.roles}
    return [by_name[role.role] for role in decision.roles]


def _digest(view: AutoscalerView, decision: Decision, kept: Sequence[Mapping[str, Any]]) -> _Digest:
    group_uid = view.group.uid if view.group else None
    major = (
        view.uid,
        decision.generation,
        group_uid,
        decision.refusal,
        tuple((c.type, c.status) for c in decision.conditions),
        tuple((r.role, r.current, r.granted, r.blocked) for r in decision.roles),
        tuple(tuple(sorted((k, str(v)) for k, v in one.items() if k != "desired")) for one in kept),
    )
    minor = (
        tuple(c.reason for c in decision.conditions),
        tuple((r.ready, r.wanted, r.limiter, r.reason) for r in decision.roles),
    )
    return _Digest(hash(major), hash(minor))


def render(
    view: AutoscalerView,
    decision: Decision,
    kept: Sequence[Mapping[str, Any]],
    memories: Sequence[RoleMemory],
    old: Mapping[str, Any],
    now: float,
) -> dict[str, Any]:
    """The whole status as the CRD has it; a condition keeps its transition time while its status stays."""
    old_roles = {role["name"]: role for role in old.get("roles", ())}
    written = [memory.written_at for memory in memories if memory.written_at is not None]
    status: dict[str, Any] = {
        "observedGeneration": decision.generation,
        "summary": ", ".join(_in_short(role) for role in decision.roles),
        "limited": ", ".join(f"{role.role}: {role.reason}" for role in decision.roles if role.limiter),
        "conditions": _conditions(decision.conditions, old.get("conditions", ()), now),
        "roles": [
            _role(role, block, old_roles.get(role.role, {}), now)
            for role, block in zip(decision.roles, kept, strict=True)
        ],
    }
    if view.group is not None:
        status["targetUid"] = view.group.uid
    if written:
        status["lastScaleTime"] = timestamp(max(written))
    return status


def _role(role: RoleDecision, kept: Mapping[str, Any], old: Mapping[str, Any], now: float) -> dict[str, Any]:
    block: dict[str, Any] = {
        "name": role.role,
        "current": role.current,
        "ready": role.ready,
        "wanted": role.wanted,
        "granted": role.granted,
        "reason": role.reason,
        "message": role.message[:1024],
        "conditions": _conditions(role.conditions, old.get("conditions", ()), now, keep=HPA_CONDITIONS),
        "metrics": [_metric(metric) for metric in role.metrics],
        "memory": dict(kept),
    }
    if role.proposed is not None:
        block["proposed"] = role.proposed
    if role.limiter is not None:
        block["limiter"] = role.limiter.value
    return block


def _metric(metric: MetricResult) -> dict[str, Any]:
    missing = isinstance(metric.reading, Missing)
    block: dict[str, Any] = {
        "name": metric.name,
        "target": quantity_text(metric.target_milli, percent=metric.is_percent),
        "state": metric.reading.reason if isinstance(metric.reading, Missing) else "Valid",
        "message": (metric.reading.message if isinstance(metric.reading, Missing) else metric.message)[:1024],
    }
    if metric.usage_milli is not None and not missing:
        block["value"] = quantity_text(metric.usage_milli, percent=metric.is_percent)
    if metric.proposed is not None:
        block["proposed"] = metric.proposed
    return block


def _conditions(
    conditions: Sequence[Condition],
    old: Sequence[Mapping[str, Any]],
    now: float,
    keep: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """The conditions with their times; of those in `keep`, one that was not judged stays as it was."""
    before = {condition["type"]: condition for condition in old}
    judged = {condition.type for condition in conditions}
    blocks = [dict(one) for kind, one in before.items() if kind in keep - judged]
    for condition in conditions:
        was = before.get(condition.type, {})
        since = was.get("lastTransitionTime") if was.get("status") == condition.status else None
        blocks.append(
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message[:1024],
                "lastTransitionTime": since or timestamp(now),
            }
        )
    return blocks


def _in_short(role: RoleDecision) -> str:
    return f"{role.role} {role.current}->{role.granted}" if role.changes else f"{role.role} {role.current}"


def _same_but_times(status: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether a status read from the cluster says what this one says, samples and messages aside."""

    def core(one: Mapping[str, Any]) -> Any:
        return (
            one.get("observedGeneration"),
            one.get("targetUid"),
            [(c["type"], c["status"], c["reason"]) for c in one.get("conditions", ())],
            [
                {
                    k: role.get(k)
                    for k in ("name", "current", "ready", "granted", "limiter", "reason", "memory")
                }
                for role in one.get("roles", ())
            ],
        )

    return bool(core(status) == core(old))


def quantity_text(milli: int, *, percent: bool = False) -> str:
    """A quantity as people write it: 8, 700m, 16k, 70%."""
    return f"{milli}%" if percent else canonical(milli)


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, whole seconds, as metav1.Time."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
