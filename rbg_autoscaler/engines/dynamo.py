"""Dynamo: its own series where a pod exports them, else those of the engine that the worker runs.

A Dynamo worker passes its engine's series through; the frontend's series stand on the frontend's pod and
count for a worker role only where they are relabelled to the worker's pod.
"""

from __future__ import annotations

from rbg_autoscaler.api.types import RoleKind, Signal
from rbg_autoscaler.engines import sglang, trtllm, vllm
from rbg_autoscaler.engines.expressions import Expression, FirstOf, Preset, Series, Shards, Unsupported

_APART = (
    "dp_rank",
    "dynamo_component",
    "dynamo_endpoint",
    "dynamo_namespace",
    "model",
    "worker_id",
    "worker_type",
)


def _own(*names: str, shards: Shards = Shards.SUM, rate: bool = False) -> Series:
    return Series(tuple(f"dynamo_{name}" for name in names), apart=_APART, shards=shards, rate=rate)


_OWN: dict[Signal, Series] = {
    Signal.QUEUE_LENGTH: _own("frontend_router_queue_pending_requests", "frontend_queued_requests"),
    Signal.PENDING_TOKENS: _own(
        "planner_engine_queued_prefill_tokens", "frontend_worker_active_prefill_tokens"
    ),
    # 0 to 1, despite the name.
    Signal.KV_CACHE_USAGE: _own(
        "component_gpu_cache_usage_percent",
        "component_kvstats_gpu_cache_usage_percent",
        shards=Shards.MEAN,
    ),
    Signal.RUNNING_REQUESTS: _own(
        "frontend_active_requests", "frontend_inflight_requests", "component_inflight_requests"
    ),
    Signal.PROMPT_TOKEN_RATE: _own("frontend_input_sequence_tokens_sum", rate=True),
    Signal.GENERATION_TOKEN_RATE: _own("frontend_output_sequence_tokens_sum", rate=True),
}


def _presets(kind: RoleKind) -> dict[Signal, Preset | Unsupported]:
    """Every signal of the kind: Dynamo's own series first, then each engine's as that engine has it."""
    engines = (vllm.PRESETS[kind], sglang.PRESETS[kind], trtllm.PRESETS[kind])
    presets: dict[Signal, Preset | Unsupported] = {}
    for signal, own in _OWN.items():
        passed = (engine[signal] for engine in engines)
        options: tuple[Expression, ...] = (
            own,
            *(preset.expression for preset in passed if isinstance(preset, Preset)),
        )
        full_milli = 1000 if signal is Signal.KV_CACHE_USAGE else None
        presets[signal] = Preset(f"dynamo/{signal}/{kind}", FirstOf(options), full_milli=full_milli)
    if kind is RoleKind.DECODE:
        presets[Signal.PENDING_TOKENS] = vllm.NO_PROMPTS_IN_DECODE
    return presets


PRESETS: dict[RoleKind, dict[Signal, Preset | Unsupported]] = {kind: _presets(kind) for kind in RoleKind}
