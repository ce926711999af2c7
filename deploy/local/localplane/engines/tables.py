"""The tables: what each engine calls the model's quantities, by version and kind of role.

Names of vLLM and SGLang are those found in the published packages (a test holds the tables against the
list); in a version that lies between two that were read, the older one's names hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from localplane.engines.catalogue import BARE, COUNTER, GAUGE, HISTOGRAM, POD, WORKER, Engine, Series

DECODE, FRONT, PREFILL = frozenset({"decode"}), frozenset({"router"}), frozenset({"prefill"})

VLLM = Engine(
    latest="0.33.0",
    rank_labels=(("engine", "{rank}"),),
    rank_labels_since="0.9.2",
    series=(
        Series("vllm:num_requests_running", GAUGE, "running"),
        Series("vllm:num_requests_waiting", GAUGE, "waiting"),
        Series("vllm:num_requests_swapped", GAUGE, "zero", before="0.9.2"),
        Series(
            "vllm:num_requests_waiting_by_reason",
            GAUGE,
            "waiting",
            labels=(("reason", "capacity"),),
            since="0.20.2",
        ),
        Series(
            "vllm:num_requests_waiting_by_reason",
            GAUGE,
            "zero",
            labels=(("reason", "deferred"),),
            since="0.20.2",
        ),
        # 0 to 1 both, despite the name; both exist from 0.9.2 to 0.11.2.
        Series("vllm:gpu_cache_usage_perc", GAUGE, "kv_fraction", before="0.13.0"),
        Series("vllm:kv_cache_usage_perc", GAUGE, "kv_fraction", since="0.9.2"),
        Series("vllm:cpu_cache_usage_perc", GAUGE, "zero", before="0.9.2"),
        Series(
            "vllm:cache_config_info",
            GAUGE,
            "one",
            labels=(("block_size", "{block_tokens}"), ("num_gpu_blocks", "{kv_total_blocks}")),
        ),
        Series("vllm:engine_sleep_state", GAUGE, "one", labels=(("sleep_state", "awake"),), since="0.11.2"),
        Series("vllm:gpu_prefix_cache_hit_rate", GAUGE, "prefix_hit_rate", before="0.9.2"),
        Series(
            "vllm:gpu_prefix_cache_queries_total",
            COUNTER,
            "looked_up_prompt_tokens_total",
            since="0.7.3",
            before="0.13.0",
        ),
        Series(
            "vllm:gpu_prefix_cache_hits_total",
            COUNTER,
            "cached_prompt_tokens_total",
            since="0.7.3",
            before="0.13.0",
        ),
        Series("vllm:prefix_cache_queries_total", COUNTER, "looked_up_prompt_tokens_total", since="0.9.2"),
        Series("vllm:prefix_cache_hits_total", COUNTER, "cached_prompt_tokens_total", since="0.9.2"),
        Series("vllm:num_preemptions_total", COUNTER, "preemptions_total"),
        Series("vllm:prompt_tokens_total", COUNTER, "prompt_tokens_total"),
        Series("vllm:prompt_tokens_cached_total", COUNTER, "cached_prompt_tokens_total", since="0.16.0"),
        *(
            Series(
                "vllm:prompt_tokens_by_source_total",
                COUNTER,
                quantity,
                labels=(("source", source),),
                since="0.16.0",
            )
            for source, quantity in (
                ("local_compute", "computed_prompt_tokens_total"),
                ("local_cache_hit", "cached_prompt_tokens_total"),
                ("external_kv_transfer", "transferred_prompt_tokens_total"),
            )
        ),
        Series("vllm:generation_tokens_total", COUNTER, "generation_tokens_total"),
        Series(
            "vllm:request_success_total", COUNTER, "requests_total", labels=(("finished_reason", "stop"),)
        ),
        Series("vllm:time_to_first_token_seconds", HISTOGRAM, "ttft_s"),
        Series("vllm:time_per_output_token_seconds", HISTOGRAM, "itl_s", before="0.16.0"),
        Series("vllm:inter_token_latency_seconds", HISTOGRAM, "itl_s", since="0.10.2"),
        Series("vllm:e2e_request_latency_seconds", HISTOGRAM, "e2e_s"),
        Series("vllm:request_queue_time_seconds", HISTOGRAM, "queue_s"),
        Series("vllm:request_prefill_time_seconds", HISTOGRAM, "prefill_s"),
        Series("vllm:request_decode_time_seconds", HISTOGRAM, "decode_s"),
        Series("vllm:request_prompt_tokens", HISTOGRAM, "prompt"),
        Series("vllm:request_generation_tokens", HISTOGRAM, "generation"),
        Series("vllm:request_prefill_kv_computed_tokens", HISTOGRAM, "uncached_prompt", since="0.13.0"),
    ),
)

SGLANG = Engine(
    latest="0.5.23",
    rank_labels=(
        ("engine_type", "{engine_type}"),
        ("tp_rank", "{copy}"),
        ("pp_rank", "0"),
        ("moe_ep_rank", "0"),
        ("dp_rank", "{rank}"),
    ),
    series=(
        Series("sglang:num_running_reqs", GAUGE, "running"),
        # A prefill engine's queue begins after the handshake with decode, a decode engine's after the
        # transfer.
        Series("sglang:num_queue_reqs", GAUGE, "past_bootstrap", kinds=PREFILL),
        Series("sglang:num_queue_reqs", GAUGE, "waiting", kinds=frozenset({"aggregated"})),
        Series("sglang:num_queue_reqs", GAUGE, "zero", kinds=DECODE),
        Series("sglang:num_grammar_queue_reqs", GAUGE, "zero"),
        Series("sglang:num_prefill_prealloc_queue_reqs", GAUGE, "bootstrap", before="0.5.12", kinds=PREFILL),
        Series("sglang:num_prefill_bootstrap_queue_reqs", GAUGE, "bootstrap", since="0.5.12", kinds=PREFILL),
        Series("sglang:num_prefill_infight_queue_reqs", GAUGE, "in_transfer", before="0.5.3", kinds=PREFILL),
        Series("sglang:num_prefill_inflight_queue_reqs", GAUGE, "in_transfer", since="0.5.3", kinds=PREFILL),
        Series("sglang:num_decode_prealloc_queue_reqs", GAUGE, "waiting", kinds=DECODE),
        Series("sglang:num_decode_transfer_queue_reqs", GAUGE, "in_transfer", kinds=DECODE),
        Series("sglang:num_decode_host_receive_queue_reqs", GAUGE, "zero", since="0.5.23", kinds=DECODE),
        Series(
            "sglang:pending_prealloc_token_usage", GAUGE, "pending_kv_fraction", since="0.5.6", kinds=DECODE
        ),
        Series("sglang:token_usage", GAUGE, "kv_fraction"),
        Series("sglang:full_token_usage", GAUGE, "kv_fraction", since="0.5.12"),
        Series("sglang:num_used_tokens", GAUGE, "kv_used_tokens"),
        Series("sglang:kv_used_tokens", GAUGE, "kv_used_tokens", since="0.5.12"),
        Series("sglang:kv_available_tokens", GAUGE, "kv_free_tokens", since="0.5.12"),
        Series("sglang:kv_evictable_tokens", GAUGE, "zero", since="0.5.12"),
        Series("sglang:max_total_num_tokens", GAUGE, "kv_total_tokens", since="0.5.6"),
        Series("sglang:gen_throughput", GAUGE, "generation_tokens_per_s"),
        Series("sglang:cache_hit_rate", GAUGE, "prefix_hit_rate"),
        Series("sglang:utilization", GAUGE, "utilization", since="0.5.3"),
        Series("sglang:num_retracted_reqs", GAUGE, "zero", since="0.5.3"),
        *(
            Series("sglang:realtime_tokens_total", COUNTER, quantity, (("mode", mode),), since="0.5.9")
            for mode, quantity in (
                ("prefill_compute", "computed_prompt_tokens_total"),
                ("prefill_cache", "cached_prompt_tokens_total"),
                ("decode", "generation_tokens_total"),
            )
        ),
        Series("sglang:prompt_tokens_total", COUNTER, "prompt_tokens_total", scope=POD),
        Series("sglang:generation_tokens_total", COUNTER, "generation_tokens_total", scope=POD),
        Series(
            "sglang:cached_tokens_total",
            COUNTER,
            "cached_prompt_tokens_total",
            labels=(("cache_source", "device"),),
            scope=POD,
        ),
        Series("sglang:num_requests_total", COUNTER, "requests_total", scope=POD),
        Series("sglang:time_to_first_token_seconds", HISTOGRAM, "ttft_s", scope=POD),
        Series("sglang:inter_token_latency_seconds", HISTOGRAM, "itl_s", scope=POD),
        Series("sglang:e2e_request_latency_seconds", HISTOGRAM, "e2e_s", scope=POD),
        Series("sglang:queue_time_seconds", HISTOGRAM, "queue_s", since="0.5.3", scope=POD),
        Series("sglang:prompt_tokens_histogram", HISTOGRAM, "prompt", scope=POD),
        Series(
            "sglang:uncached_prompt_tokens_histogram", HISTOGRAM, "uncached_prompt", since="0.5.12", scope=POD
        ),
        Series("sglang:generation_tokens_histogram", HISTOGRAM, "generation", scope=POD),
    ),
    loads=tuple(
        Series(name, GAUGE, quantity, (("dp_rank", "{rank}"),), scope=BARE)
        for name, quantity in (
            ("sglang_num_running_reqs", "running"),
            ("sglang_num_waiting_reqs", "waiting"),
            ("sglang_num_waiting_uncached_tokens", "pending_prompt_tokens"),
            ("sglang_num_total_tokens", "kv_used_tokens"),
        )
    ),
)

TRTLLM = Engine(
    latest="1.2.0",
    labels=(("model_name", "{model}"), ("engine_type", "trtllm")),
    series=(
        Series("trtllm_num_requests_running", GAUGE, "running", scope=POD),
        Series("trtllm_num_requests_waiting", GAUGE, "waiting", scope=POD),
        Series("trtllm_kv_cache_utilization", GAUGE, "kv_fraction", scope=POD),
        Series(
            "trtllm_request_success_total",
            COUNTER,
            "requests_total",
            labels=(("finished_reason", "stop"),),
            scope=POD,
        ),
        Series("trtllm_request_queue_time_seconds", HISTOGRAM, "queue_s", scope=POD),
        Series("trtllm_time_to_first_token_seconds", HISTOGRAM, "ttft_s", scope=POD),
        Series("trtllm_time_per_output_token_seconds", HISTOGRAM, "itl_s", scope=POD),
        Series("trtllm_e2e_request_latency_seconds", HISTOGRAM, "e2e_s", scope=POD),
    ),
)

_TRITON_KV = "nv_trt_llm_kv_cache_block_metrics"
TRITON = Engine(
    latest="1.0.0",
    labels=(("model", "{model}"), ("version", "1")),
    series=(
        Series(
            "nv_trt_llm_request_metrics", GAUGE, "waiting", labels=(("request_type", "waiting"),), scope=POD
        ),
        Series(
            "nv_trt_llm_request_metrics", GAUGE, "running", labels=(("request_type", "scheduled"),), scope=POD
        ),
        Series(
            "nv_trt_llm_request_metrics", GAUGE, "active", labels=(("request_type", "active"),), scope=POD
        ),
        Series(_TRITON_KV, GAUGE, "kv_fraction", labels=(("kv_cache_block_type", "fraction"),), scope=POD),
        Series(_TRITON_KV, GAUGE, "kv_used_blocks", labels=(("kv_cache_block_type", "used"),), scope=POD),
        Series(_TRITON_KV, GAUGE, "kv_total_blocks", labels=(("kv_cache_block_type", "max"),), scope=POD),
    ),
)

_WORKER_LABELS = (("worker_id", "{worker}"), ("dp_rank", "{rank}"), ("worker_type", "{worker_type}"))
DYNAMO = Engine(
    latest="1.4.0",
    labels=(("dynamo_namespace", "{group}"), ("model", "{model}")),
    rank_labels=(("dynamo_component", "{worker_type}"), ("dp_rank", "{rank}")),
    series=(
        Series("dynamo_component_gpu_cache_usage_percent", GAUGE, "kv_fraction"),
        Series("dynamo_component_total_blocks", GAUGE, "kv_total_blocks"),
        Series("dynamo_frontend_requests_total", COUNTER, "requests_total", kinds=FRONT, scope=POD),
        Series("dynamo_frontend_active_requests", GAUGE, "active", kinds=FRONT, scope=POD),
        Series("dynamo_frontend_router_queue_pending_requests", GAUGE, "unplaced", kinds=FRONT, scope=POD),
        Series("dynamo_frontend_time_to_first_token_seconds", HISTOGRAM, "ttft_s", kinds=FRONT, scope=POD),
        Series("dynamo_frontend_inter_token_latency_seconds", HISTOGRAM, "itl_s", kinds=FRONT, scope=POD),
        Series("dynamo_frontend_request_duration_seconds", HISTOGRAM, "e2e_s", kinds=FRONT, scope=POD),
        Series("dynamo_frontend_input_sequence_tokens", HISTOGRAM, "prompt", kinds=FRONT, scope=POD),
        Series("dynamo_frontend_output_sequence_tokens", HISTOGRAM, "generation", kinds=FRONT, scope=POD),
        *(
            Series(name, GAUGE, quantity, labels=_WORKER_LABELS, kinds=FRONT, scope=WORKER)
            for name, quantity in (
                ("dynamo_frontend_worker_active_prefill_tokens", "pending_prompt_tokens"),
                ("dynamo_frontend_worker_active_decode_blocks", "kv_used_blocks"),
                ("dynamo_planner_engine_queued_prefill_tokens", "pending_prompt_tokens"),
            )
        ),
    ),
)

ENGINES: Mapping[str, Engine] = {
    "vllm": VLLM,
    "sglang": SGLANG,
    "dynamo": DYNAMO,
    "trtllm": TRTLLM,
    "trtllm-triton": TRITON,
}
