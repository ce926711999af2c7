"""TensorRT-LLM, served by trtllm-serve or by Triton: requests and KV blocks, but no token counts."""

from __future__ import annotations

from rbg_autoscaler.api.types import RoleKind, Signal
from rbg_autoscaler.engines.expressions import FirstOf, Preset, Series, Shards, Unsupported

_SERVE = ("engine_type", "model_name")
_TRITON = ("model", "version")


def _either(serve: str, triton: str, label: str, value: str, shards: Shards = Shards.SUM) -> FirstOf:
    """The series of trtllm-serve, else Triton's one family split by a label."""
    family = Series((triton,), where=((label, (value,)),), apart=_TRITON, shards=shards)
    return FirstOf((Series((serve,), apart=_SERVE, shards=shards), family))


_REQUESTS = ("nv_trt_llm_request_metrics", "request_type")
_BLOCKS = ("nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type")

QUEUE = Preset("trtllm/QueueLength", _either("trtllm_num_requests_waiting", *_REQUESTS, "waiting"))
RUNNING = Preset("trtllm/RunningRequests", _either("trtllm_num_requests_running", *_REQUESTS, "scheduled"))
KV_USAGE = _either("trtllm_kv_cache_utilization", *_BLOCKS, "fraction", Shards.MEAN)
KV = Preset("trtllm/KVCacheUsage", KV_USAGE, full_milli=1000)

_NO_TOKENS = Unsupported(
    "TensorRT-LLM exports no token counts: use QueueLength for backlog and RunningRequests or KVCacheUsage "
    "as the busy signal, or a Query metric where the administrator allows it"
)

_EVERY_KIND: dict[Signal, Preset | Unsupported] = {
    Signal.QUEUE_LENGTH: QUEUE,
    Signal.PENDING_TOKENS: _NO_TOKENS,
    Signal.KV_CACHE_USAGE: KV,
    Signal.RUNNING_REQUESTS: RUNNING,
    Signal.PROMPT_TOKEN_RATE: _NO_TOKENS,
    Signal.GENERATION_TOKEN_RATE: _NO_TOKENS,
}

PRESETS: dict[RoleKind, dict[Signal, Preset | Unsupported]] = dict.fromkeys(RoleKind, _EVERY_KIND)
