"""A fluid model of one group: work arrives, replicas compute prompts and generate tokens, the rest waits.

Work is conserved: what arrived is waiting, running, finished or dropped, and nothing else. One function
serves all kinds of role; a prefill role is one that never generates, a decode role one that gets its
prompts computed.

Left out, knowingly: prefill is not slowed by a full decode (its results wait at decode), cached prefixes
are held once per request in KV, a request restarts where its replica was lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localplane.engines.load import RoleSpec

STEP_S = 0.2
"""The model moves in steps of this length, so its state does not depend on how often somebody looks."""

_LEAST_DECODE_SHARE = 0.05


@dataclass(frozen=True)
class Work:
    """An amount of requests (not whole ones) and the tokens they stand for."""

    requests: float = 0.0
    prompt_tokens: float = 0.0
    uncached_tokens: float = 0.0
    output_tokens: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.uncached_tokens + other.uncached_tokens,
            self.output_tokens + other.output_tokens,
        )

    def __sub__(self, other: Work) -> Work:
        return self + other.part(-1.0)

    def part(self, fraction: float) -> Work:
        """The given fraction of every amount."""
        return Work(
            self.requests * fraction,
            self.prompt_tokens * fraction,
            self.uncached_tokens * fraction,
            self.output_tokens * fraction,
        )

    @property
    def kv_tokens(self) -> float:
        """KV held while generating: the prompts and, on average over a request's life, half the output."""
        return self.prompt_tokens + self.output_tokens / 2


NONE = Work()


@dataclass(frozen=True)
class RoleState:
    """Where a role's work is now, summed over its replicas."""

    waiting: Work = NONE
    running: Work = NONE


@dataclass(frozen=True)
class Flow:
    """What happened in one role in one step of STEP_S; a time that nobody experienced is None, never 0."""

    arrived: Work = NONE
    admitted: Work = NONE
    finished: Work = NONE
    generated_tokens: float = 0.0
    preempted_requests: float = 0.0
    dropped_requests: float = 0.0
    busy: float = 0.0
    """Share of the prompt computing capacity in use, 0 to 1."""
    wait_s: float | None = None
    ttft_s: float | None = None
    itl_s: float | None = None


def step_role(spec: RoleSpec, state: RoleState, ready: int, arriving: Work) -> tuple[RoleState, Flow]:
    """One step of one role with `ready` replicas; `arriving` is what reached it in this step."""
    kept = state.running.part(min(1.0, _fits(spec, NONE, ready, state.running)))
    preempted = state.running - kept
    queue = state.waiting + arriving + preempted
    prompt_capacity = ready * spec.prompt_tokens_per_s * STEP_S
    share = spec.prompt_share if spec.generates else 1.0
    computable = (
        _fraction(prompt_capacity * share, queue.uncached_tokens) if spec.prompts else float(ready > 0)
    )
    room = _fits(spec, kept, ready, queue) if spec.generates else 1.0
    admitted = queue.part(min(computable, room) if ready else 0.0)
    waiting = queue - admitted
    seated = waiting.part(_fraction(spec.max_waiting, waiting.requests))
    busy = admitted.uncached_tokens / prompt_capacity if spec.prompts and ready else 0.0
    running, finished, generated, itl_s = _generate(spec, kept + admitted, ready, busy)
    wait_s = seated.requests / admitted.requests * STEP_S if admitted.requests > 0 else None
    first_s = (
        admitted.uncached_tokens / admitted.requests / spec.prompt_tokens_per_s if wait_s is not None else 0.0
    )
    return RoleState(seated, running), Flow(
        arrived=arriving,
        admitted=admitted,
        finished=finished,
        generated_tokens=generated,
        preempted_requests=preempted.requests,
        dropped_requests=waiting.requests - seated.requests,
        busy=busy,
        wait_s=wait_s,
        ttft_s=None if wait_s is None else wait_s + (first_s if spec.prompts else (itl_s or 0.0)),
        itl_s=itl_s,
    )


def _generate(
    spec: RoleSpec, running: Work, ready: int, busy: float
) -> tuple[Work, Work, float, float | None]:
    """(still running, finished, tokens generated, seconds between tokens) of one step."""
    if not spec.generates:
        return NONE, running, running.requests, None
    if running.requests <= 0 or ready == 0:
        return running, NONE, 0.0, None
    step_ms = (
        spec.itl_base_ms
        + spec.itl_ms_per_1k_kv * running.kv_tokens / ready / 1000
        + spec.itl_ms_per_request * running.requests / ready
    )
    itl_s = step_ms / 1000 / max(_LEAST_DECODE_SHARE, 1 - busy)
    itl_s = max(itl_s, running.requests / (ready * spec.generation_tokens_per_s))
    done = 1 - math.exp(-running.requests * STEP_S / itl_s / running.output_tokens)
    finished = running.part(done)
    return running - finished, finished, finished.output_tokens, itl_s


def _fits(spec: RoleSpec, held: Work, ready: int, more: Work) -> float:
    """The fraction of `more` that has KV and a seat beside `held`."""
    return min(
        _fraction(ready * spec.kv_tokens - held.kv_tokens, more.kv_tokens),
        _fraction(ready * spec.max_running - held.requests, more.requests),
    )


def _fraction(have: float, need: float) -> float:
    return 1.0 if need <= max(have, 0.0) else max(have, 0.0) / need


def step_group(
    roles: Mapping[str, RoleSpec], states: Mapping[str, RoleState], ready: Mapping[str, int], offered: Work
) -> tuple[dict[str, RoleState], dict[str, Flow]]:
    """One step of a whole group: prompts first, then what they hand to decode, then what a router saw."""
    entries = [name for name, spec in roles.items() if spec.prompts]
    later = [name for name, spec in roles.items() if spec.generates and not spec.prompts]
    if not entries:
        entries, later = later, []
    new_states: dict[str, RoleState] = {}
    flows: dict[str, Flow] = {}
    for names, source in ((entries, None), (later, entries)):
        work = (
            offered
            if source is None
            else _sum(flows[name].finished for name in source if not roles[name].generates)
        )
        for name, arriving in _share(work, names, ready).items():
            state = states.get(name, RoleState())
            new_states[name], flows[name] = step_role(roles[name], state, ready.get(name, 0), arriving)
    seen_state = RoleState(
        _sum(s.waiting for s in new_states.values()), _sum(s.running for s in new_states.values())
    )
    seen_flow = _seen_by_router(offered, flows, entries, exits(roles))
    for name, spec in roles.items():
        if not spec.prompts and not spec.generates:
            new_states[name], flows[name] = seen_state, seen_flow
    return new_states, flows


def exits(roles: Mapping[str, RoleSpec]) -> list[str]:
    """The roles that finish requests: all that generate, and prefill where no decode role goes on."""
    handed_on = any(spec.generates and not spec.prompts for spec in roles.values())
    return [
        name for name, spec in roles.items() if spec.generates or (spec.first_token_only and not handed_on)
    ]


def _share(work: Work, names: list[str], ready: Mapping[str, int]) -> dict[str, Work]:
    """Split over roles by ready replicas; with none ready anywhere it waits in equal parts."""
    total = sum(ready.get(name, 0) for name in names)
    return {name: work.part(ready.get(name, 0) / total if total else 1 / len(names)) for name in names}


def _seen_by_router(offered: Work, flows: Mapping[str, Flow], entries: list[str], last: list[str]) -> Flow:
    """What the front of the group sees of this step: it answers when the last role involved does."""
    first, final = [flows[name] for name in entries], [flows[name] for name in last]
    return Flow(
        arrived=offered,
        admitted=_sum(flow.admitted for flow in first),
        finished=_sum(flow.finished for flow in final),
        generated_tokens=sum(flow.generated_tokens for flow in final),
        dropped_requests=sum(flow.dropped_requests for flow in flows.values()),
        wait_s=_mean((flow.wait_s, flow.admitted.requests) for flow in first),
        ttft_s=_mean((flow.ttft_s, flow.admitted.requests) for flow in first),
        itl_s=_mean((flow.itl_s, flow.generated_tokens) for flow in final),
    )


def _sum(amounts: Iterable[Work]) -> Work:
    total = NONE
    for amount in amounts:
        total = total + amount
    return total


def _mean(weighted: Iterable[tuple[float | None, float]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None and weight > 0]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if known else None
