"""The state of a group's model for people and tests: what GET /load answers, typed on both sides of the wire.

A time nobody experienced in the last step is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from localplane.engines.load import RoleSpec
from localplane.engines.model import STEP_S, Flow, RoleState


@dataclass(frozen=True)
class RoleView:
    """One role now. Rates are of the last step; the last three count since the role was first seen."""

    kind: str
    ready_instances: int
    exporting_pods: int
    waiting_requests: float
    pending_prompt_tokens: float
    running_requests: float
    kv_usage: float
    busy: float
    prompt_tokens_per_s: float
    generation_tokens_per_s: float
    arrived_per_s: float
    served_per_s: float
    ttft_s: float | None
    itl_s: float | None
    served_requests: float
    dropped_requests: float
    preempted_requests: float


@dataclass(frozen=True)
class GroupView:
    """A group now: what is offered to it `at_s` seconds after its load was set, and its roles."""

    namespace: str
    group: str
    engine: str
    version: str
    at_s: float
    offered_requests_per_s: float
    served_requests: float
    dropped_requests: float
    roles: Mapping[str, RoleView]

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupView:
        """The inverse of `to_json`."""
        roles = {name: RoleView(**role) for name, role in data["roles"].items()}
        return cls(**{**data, "roles": roles})


def role_view(
    spec: RoleSpec, state: RoleState, flow: Flow, totals: Mapping[str, float], ready: int, exporting: int
) -> RoleView:
    """One role's view; `totals` are its counts of served, dropped and preempted requests."""
    kv = state.running.kv_tokens / (ready * spec.kv_tokens) if ready and spec.generates else 0.0
    return RoleView(
        kind=spec.kind,
        ready_instances=ready,
        exporting_pods=exporting,
        waiting_requests=state.waiting.requests,
        pending_prompt_tokens=state.waiting.uncached_tokens if spec.prompts else 0.0,
        running_requests=state.running.requests,
        kv_usage=kv,
        busy=flow.busy,
        prompt_tokens_per_s=flow.admitted.prompt_tokens / STEP_S,
        generation_tokens_per_s=flow.generated_tokens / STEP_S,
        arrived_per_s=flow.arrived.requests / STEP_S,
        served_per_s=flow.finished.requests / STEP_S,
        ttft_s=flow.ttft_s,
        itl_s=flow.itl_s,
        served_requests=totals["served"],
        dropped_requests=totals["dropped"],
        preempted_requests=totals["preempted"],
    )
