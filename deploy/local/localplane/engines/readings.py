"""What one exporting pod knows about itself: gauges of now, counters since it started, histograms.

Quantities carry the words of the model; what an engine calls them is the catalogue's business. A pod that
has not been asked to work yet reads 0 everywhere, as a real engine does.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from localplane.engines.load import RoleSpec
from localplane.engines.model import STEP_S, Flow, RoleState, Work

TRANSFER_S = 0.05
"""Time the KV of a request is on its way from prefill to decode: 250 MiB at 5 GiB/s."""
BOOTSTRAP_S = 0.1
"""Time prefill and decode take to agree on a request before prefill may queue it."""
BLOCK_TOKENS = 16

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
TOKENS = (1.0, 10.0, 100.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 50_000.0, 200_000.0)


@dataclass
class Histogram:
    """Observations with a weight, since the model's requests are not whole ones."""

    bounds: tuple[float, ...]
    weights: list[float] = field(default_factory=list)
    total: float = 0.0

    def observe(self, value: float, weight: float) -> None:
        if not self.weights:
            self.weights = [0.0] * (len(self.bounds) + 1)
        self.weights[bisect_left(self.bounds, value)] += weight
        self.total += value * weight


@dataclass
class Counters:
    """What a pod has counted since it started. A new pod has new counters."""

    amounts: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, Histogram] = field(default_factory=dict)

    def add(self, spec: RoleSpec, flow: Flow, share: float) -> None:
        """Count a pod's share of what its role did in one step."""
        # Summing floats: Counter holds any number, its stubs say int.
        for name, amount in _counted(spec, flow).items():
            self.amounts[name] += amount * share  # type: ignore[assignment]
        for name, value, weight in _observed(spec, flow):
            bounds = SECONDS if name.endswith("_s") else TOKENS
            self.histograms.setdefault(name, Histogram(bounds)).observe(value, weight * share)


@dataclass(frozen=True)
class Reading:
    """One exporting pod, or one data-parallel rank of it: every quantity by name."""

    values: Mapping[str, float]
    histograms: Mapping[str, Histogram]
    scale: float = 1.0
    """Part of the histograms that is this rank's."""


def _counted(spec: RoleSpec, flow: Flow) -> dict[str, float]:
    prompts = flow.admitted.prompt_tokens
    computed = flow.admitted.uncached_tokens if spec.prompts else 0.0
    cached = prompts - computed if spec.prompts else 0.0
    return {
        "prompt_tokens": prompts,
        "computed_prompt_tokens": computed,
        "cached_prompt_tokens": cached,
        "transferred_prompt_tokens": prompts - computed - cached,
        "looked_up_prompt_tokens": prompts if spec.prompts else 0.0,
        "generation_tokens": flow.finished.requests if spec.first_token_only else flow.generated_tokens,
        "requests": flow.finished.requests,
        "preemptions": flow.preempted_requests,
    }


def _observed(spec: RoleSpec, flow: Flow) -> list[tuple[str, float, float]]:
    """(quantity, value, requests or tokens that experienced it) of one step."""
    seen: list[tuple[str, float, float]] = []
    started, done = flow.admitted, flow.finished
    if started.requests > 0:
        if flow.wait_s is not None:
            seen.append(("queue_s", flow.wait_s, started.requests))
        if flow.ttft_s is not None:
            seen.append(("ttft_s", flow.ttft_s, started.requests))
            seen.append(("prefill_s", flow.ttft_s - (flow.wait_s or 0.0), started.requests))
        seen.append(("uncached_prompt", started.uncached_tokens / started.requests, started.requests))
    if done.requests > 0:
        output = 1.0 if spec.first_token_only else done.output_tokens / done.requests
        seen.append(("prompt", done.prompt_tokens / done.requests, done.requests))
        seen.append(("generation", output, done.requests))
        decode_s = output * (flow.itl_s or 0.0)
        seen.append(("decode_s", decode_s, done.requests))
        seen.append(("e2e_s", (flow.ttft_s or 0.0) + decode_s, done.requests))
    if flow.itl_s is not None and flow.generated_tokens > 0:
        seen.append(("itl_s", flow.itl_s, flow.generated_tokens))
    return seen


def read(
    spec: RoleSpec, state: RoleState, flow: Flow, share: float, replica: float, counters: Counters
) -> Reading:
    """A pod's quantities, or a rank's.

    `share` is the part of the role's work it does, `replica` the part of a replica it is (1, or 1/8 of 8
    ranks). Requests are whole numbers as an engine counts them; token totals are whole and never fall.
    """
    waiting, running = state.waiting.part(share), state.running.part(share)
    rate = 1 / STEP_S
    kv_total = spec.kv_tokens * replica
    kv_used = min(kv_total, _kv_used(spec, flow, running, share))
    waits = round(waiting.requests)
    bootstrap = min(waits, round(flow.arrived.requests * rate * BOOTSTRAP_S * share))
    runs = (
        round(running.requests) if spec.generates else math.ceil(flow.busy * replica - 0.05) if share else 0
    )
    in_transfer = round(flow.admitted.requests * rate * TRANSFER_S * share)
    hits = counters.amounts["cached_prompt_tokens"]
    looked_up = counters.amounts["looked_up_prompt_tokens"]
    values = {
        "one": 1.0,
        "zero": 0.0,
        "waiting": waits,
        "bootstrap": bootstrap,
        "past_bootstrap": waits - bootstrap,
        "in_transfer": in_transfer,
        "running": runs,
        "active": waits + runs,
        "pending_prompt_tokens": round(waiting.uncached_tokens) if spec.prompts else 0,
        "pending_kv_fraction": waiting.kv_tokens / kv_total,
        "kv_fraction": kv_used / kv_total,
        "kv_used_tokens": round(kv_used),
        "kv_free_tokens": round(kv_total) - round(kv_used),
        "kv_total_tokens": round(kv_total),
        "kv_total_blocks": round(kv_total / BLOCK_TOKENS),
        "kv_used_blocks": round(kv_used / BLOCK_TOKENS),
        "generation_tokens_per_s": flow.generated_tokens * rate * share,
        "prefix_hit_rate": hits / looked_up if looked_up else 0.0,
        "utilization": max(flow.busy, kv_used / kv_total) if share else 0.0,
        **{f"{name}_total": math.floor(amount * replica + 1e-9) for name, amount in counters.amounts.items()},
    }
    return Reading(values, counters.histograms, replica)


def _kv_used(spec: RoleSpec, flow: Flow, running: Work, share: float) -> float:
    """KV in use: of what runs; on a prefill replica, of the prompts in computation and on their way out."""
    if spec.generates or not flow.admitted.requests:
        return running.kv_tokens
    prompt = flow.admitted.prompt_tokens / flow.admitted.requests
    computing_s = flow.admitted.uncached_tokens / flow.admitted.requests / spec.prompt_tokens_per_s
    return prompt * flow.admitted.requests / STEP_S * (computing_s + TRANSFER_S) * share
