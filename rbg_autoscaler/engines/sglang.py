"""SGLang: the names of its load series from 0.4.6 on, per signal and role kind.

Schedulers report per `dp_rank` (different work, added) and, on request, per tensor, pipeline and expert
rank (the same work again, counted once); with priorities on, the total stands under `priority=""` beside
its parts.
"""

from __future__ import annotations

from rbg_autoscaler.api.types import RoleKind, Signal
from rbg_autoscaler.engines.expressions import (
    FirstOf,
    PendingPrompt,
    Preset,
    Ratio,
    Series,
    Shards,
    Total,
    Unsupported,
)
from rbg_autoscaler.engines.vllm import NO_PROMPTS_IN_DECODE

_APART = ("dp_rank", "engine_type", "model_name")
_COPIES = ("moe_ep_rank", "pp_rank", "tp_rank")
# {priority="1"} 2, {priority="None"} 1 and the total {priority=""} 3: only the total is read.
_TOTAL = (("priority", ("",)),)


def _gauge(*names: str, shards: Shards = Shards.SUM) -> Series:
    exposed = tuple(f"sglang:{name}" for name in names)
    return Series(exposed, where=_TOTAL, apart=_APART, copies=_COPIES, shards=shards)


def _per_finished_request(*names: str) -> Series:
    return Series(tuple(f"sglang:{name}" for name in names), apart=_APART, copies=_COPIES, rate=True)


def _realtime(*modes: str) -> Series:
    """Tokens as they are computed (0.5.9 on); the older counters move only when a request finishes."""
    where = (("mode", modes),)
    return Series(("sglang:realtime_tokens_total",), where=where, apart=_APART, copies=_COPIES, rate=True)


WAITING = _gauge("num_queue_reqs")
BOOTSTRAP = _gauge("num_prefill_bootstrap_queue_reqs", "num_prefill_prealloc_queue_reqs")
PREALLOCATION = _gauge("num_decode_prealloc_queue_reqs")
TRANSFER = _gauge("num_decode_transfer_queue_reqs")
HOST_RECEIVE = _gauge("num_decode_host_receive_queue_reqs")

PREFILL_QUEUE = Total((WAITING, BOOTSTRAP))
DECODE_QUEUE = Total((WAITING, PREALLOCATION, TRANSFER), optional=(HOST_RECEIVE,))

PROMPT_LENGTH = Ratio(
    _per_finished_request("prompt_tokens_histogram_sum"),
    _per_finished_request("prompt_tokens_histogram_count"),
)
HIT_RATE = (_gauge("cache_hit_rate", shards=Shards.MEAN),)
# Of /v1/loads?format=prometheus, where that is scraped: exact, and cached tokens are already taken off.
UNCACHED = Series(("sglang_num_waiting_uncached_tokens",), apart=("dp_rank",), copies=())


def _pending(name: str, waiting: Total) -> Preset:
    return Preset(name, FirstOf((UNCACHED, PendingPrompt(waiting, PROMPT_LENGTH, HIT_RATE))))


KV = Preset("sglang/KVCacheUsage", _gauge("token_usage", shards=Shards.MEAN), full_milli=1000)
RUNNING = Preset("sglang/RunningRequests", _gauge("num_running_reqs"))
PROMPT_RATE = Preset(
    "sglang/PromptTokenRate",
    FirstOf((_realtime("prefill_compute", "prefill_cache"), _per_finished_request("prompt_tokens_total"))),
)
GENERATION_RATE = Preset(
    "sglang/GenerationTokenRate",
    FirstOf((_realtime("decode"), _per_finished_request("generation_tokens_total"))),
)

_EVERY_KIND = {
    Signal.KV_CACHE_USAGE: KV,
    Signal.RUNNING_REQUESTS: RUNNING,
    Signal.PROMPT_TOKEN_RATE: PROMPT_RATE,
    Signal.GENERATION_TOKEN_RATE: GENERATION_RATE,
}

PRESETS: dict[RoleKind, dict[Signal, Preset | Unsupported]] = {
    RoleKind.PREFILL: {
        **_EVERY_KIND,
        Signal.QUEUE_LENGTH: Preset("sglang/QueueLength/Prefill", PREFILL_QUEUE),
        Signal.PENDING_TOKENS: _pending("sglang/PendingTokens/Prefill", PREFILL_QUEUE),
        Signal.RUNNING_REQUESTS: Unsupported(
            "SGLang reports 0 running requests on a prefill engine in most versions, which would read as "
            "idle: use PromptTokenRate as the busy signal"
        ),
    },
    RoleKind.DECODE: {
        **_EVERY_KIND,
        Signal.QUEUE_LENGTH: Preset("sglang/QueueLength/Decode", DECODE_QUEUE),
        Signal.PENDING_TOKENS: NO_PROMPTS_IN_DECODE,
    },
    RoleKind.AGGREGATED: {
        **_EVERY_KIND,
        Signal.QUEUE_LENGTH: Preset("sglang/QueueLength/Aggregated", WAITING),
        Signal.PENDING_TOKENS: _pending("sglang/PendingTokens/Aggregated", Total((WAITING,))),
    },
}
