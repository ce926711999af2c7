"""vLLM: the names of its load series from 0.6.6 on, per signal.

Every series carries `model_name` and, from V1 on, `engine` (the data-parallel rank); a role's kind makes no
difference, since vLLM counts prefill and decode work by the same names.
"""

from __future__ import annotations

from rbg_autoscaler.api.types import RoleKind, Signal
from rbg_autoscaler.engines.expressions import (
    PendingPrompt,
    Preset,
    Ratio,
    Series,
    Shards,
    Total,
    Unsupported,
)

_APART = ("engine", "model_name")


def _gauge(*names: str, shards: Shards = Shards.SUM) -> Series:
    return Series(tuple(f"vllm:{name}" for name in names), apart=_APART, shards=shards)


def _counter(*names: str) -> Series:
    """Counters gain `_total` on exposition; exporters that speak vLLM's names sometimes leave it out."""
    exposed = tuple(f"vllm:{name}{suffix}" for name in names for suffix in ("_total", ""))
    return Series(exposed, apart=_APART, rate=True)


# `num_requests_waiting_by_reason` (0.20.2 on) sums up to `num_requests_waiting` and is left alone.
WAITING = _gauge("num_requests_waiting")

PROMPT_LENGTH = Ratio(_gauge("request_prompt_tokens_sum"), _gauge("request_prompt_tokens_count"))

# Old and new counters each with their own generation: hits of one over queries of the other mean nothing.
# The gauge is V0's, which has no counters; it reads -1 while caching is off.
HIT_RATE = (
    Ratio(_counter("prefix_cache_hits"), _counter("prefix_cache_queries")),
    Ratio(_counter("gpu_prefix_cache_hits"), _counter("gpu_prefix_cache_queries")),
    _gauge("gpu_prefix_cache_hit_rate", shards=Shards.MEAN),
)

QUEUE = Preset("vllm/QueueLength", WAITING)
PENDING = Preset("vllm/PendingTokens", PendingPrompt(Total((WAITING,)), PROMPT_LENGTH, HIT_RATE))
KV = Preset(
    "vllm/KVCacheUsage",
    _gauge("kv_cache_usage_perc", "gpu_cache_usage_perc", shards=Shards.MEAN),
    full_milli=1000,
)
RUNNING = Preset("vllm/RunningRequests", _gauge("num_requests_running"))
PROMPT_RATE = Preset("vllm/PromptTokenRate", _counter("prompt_tokens"))
GENERATION_RATE = Preset("vllm/GenerationTokenRate", _counter("generation_tokens"))

NO_PROMPTS_IN_DECODE = Unsupported(
    "a decode role computes no prompts, so it has no pending prompt tokens: use QueueLength or KVCacheUsage"
)

_EVERY_KIND = {
    Signal.QUEUE_LENGTH: QUEUE,
    Signal.PENDING_TOKENS: PENDING,
    Signal.KV_CACHE_USAGE: KV,
    Signal.RUNNING_REQUESTS: RUNNING,
    Signal.PROMPT_TOKEN_RATE: PROMPT_RATE,
    Signal.GENERATION_TOKEN_RATE: GENERATION_RATE,
}

PRESETS: dict[RoleKind, dict[Signal, Preset | Unsupported]] = {
    RoleKind.PREFILL: {**_EVERY_KIND},
    RoleKind.DECODE: {**_EVERY_KIND, Signal.PENDING_TOKENS: NO_PROMPTS_IN_DECODE},
    RoleKind.AGGREGATED: {**_EVERY_KIND},
}
