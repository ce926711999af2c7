"""The tables against the names found in the published packages, and what each engine's page says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from localplane.engines.catalogue import version_key, within
from localplane.engines.tables import ENGINES

from .world import World, gang, pod, samples, world

PUBLISHED = json.loads((Path(__file__).parents[2] / "data" / "engine_metrics.json").read_text())
VERSIONS = [
    (engine, version) for engine in ("vllm", "sglang") for version in PUBLISHED[engine]["versions_read"]
]
PRIMARY = {
    "vllm": {"vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:prompt_tokens_total"},
    "sglang": {"sglang:num_queue_reqs", "sglang:num_running_reqs", "sglang:token_usage"},
}


def busy(**load: Any) -> World:
    """A group that has been overloaded for 15 s."""
    group = world()
    group.pods(pod("prefill", 0), pod("decode", 0), pod("server", 0), pod("router", 0))
    group.load(**{"requests_per_s": 80, "prefix_hit_rate": 0.25, **load})
    group.at(15)
    return group


def names(text: str) -> dict[str, str]:
    """Name to type, as the TYPE lines have them."""
    lines = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    return {line[2]: line[3] for line in lines}


@pytest.mark.parametrize(("engine", "version"), VERSIONS)
@pytest.mark.parametrize("role", ["prefill", "decode", "server"])
def test_every_name_exists_in_its_version_and_the_load_is_told(engine: str, version: str, role: str) -> None:
    published = PUBLISHED[engine]["metrics"]
    exported = names(busy(engine=engine, version=version).text(f"deepseek-{role}-0"))
    assert PRIMARY[engine] <= exported.keys()
    for name, type_ in exported.items():
        spellings = {name, name.removesuffix("_total")} if type_ == "counter" else {name}
        spans = [published[spelling] for spelling in spellings if spelling in published]
        assert any(
            version_key(span["first"]) <= version_key(version) <= version_key(span["last"]) for span in spans
        ), f"{engine} {version} has no {type_} {name}"


@pytest.mark.parametrize(
    ("version", "old", "new"), [("0.8.5", True, False), ("0.10.2", True, True), ("0.13.0", False, True)]
)
def test_vllm_renames_kv_usage_with_a_time_of_both_names(version: str, old: bool, new: bool) -> None:
    group = busy(version=version)
    page = group.page("deepseek-decode-0")
    found = {name for name, _ in page}
    assert ("vllm:gpu_cache_usage_perc" in found, "vllm:kv_cache_usage_perc" in found) == (old, new)
    usages = {v for (name, _), v in page.items() if name.endswith("cache_usage_perc") and "cpu" not in name}
    assert len(usages) == 1
    assert 0 < usages.pop() <= 1


def test_vllm_waiting_by_reason_adds_up_to_waiting() -> None:
    group = busy(version="0.20.2")
    waiting = group.value("deepseek-prefill-0", "vllm:num_requests_waiting")
    assert waiting > 100
    assert group.value("deepseek-prefill-0", "vllm:num_requests_waiting_by_reason") == waiting


def test_pending_tokens_derived_from_vllm_are_those_of_the_model() -> None:
    group = busy()
    role = group.at(15).roles["prefill"]
    name = "deepseek-prefill-0"
    mean_prompt = group.value(name, "vllm:request_prompt_tokens_sum") / group.value(
        name, "vllm:request_prompt_tokens_count"
    )
    hits = group.value(name, "vllm:prefix_cache_hits_total") / group.value(
        name, "vllm:prefix_cache_queries_total"
    )
    derived = group.value(name, "vllm:num_requests_waiting") * mean_prompt * (1 - hits)
    assert derived == pytest.approx(role.pending_prompt_tokens, rel=0.01)


@pytest.mark.parametrize(
    ("version", "name", "gone"),
    [
        ("0.5.9", "sglang:num_prefill_prealloc_queue_reqs", "sglang:num_prefill_bootstrap_queue_reqs"),
        ("0.5.12", "sglang:num_prefill_bootstrap_queue_reqs", "sglang:num_prefill_prealloc_queue_reqs"),
    ],
)
def test_sglang_prefill_queue_is_queued_plus_bootstrap_under_its_old_and_new_name(
    version: str, name: str, gone: str
) -> None:
    group = busy(engine="sglang", version=version)
    exported = {sample for sample, _ in group.page("deepseek-prefill-0")}
    assert gone not in exported
    queued = group.value("deepseek-prefill-0", "sglang:num_queue_reqs")
    handshaking = group.value("deepseek-prefill-0", name)
    assert handshaking > 0
    assert queued + handshaking == round(group.at(15).roles["prefill"].waiting_requests)


def test_sglang_decode_waits_in_the_prealloc_queue() -> None:
    group = busy(engine="sglang", roles={"decode": {"kv_tokens": 40_000}})
    assert group.value("deepseek-decode-0", "sglang:num_decode_prealloc_queue_reqs") == round(
        group.at(15).roles["decode"].waiting_requests
    )
    assert group.value("deepseek-decode-0", "sglang:num_decode_transfer_queue_reqs") > 0
    assert group.value("deepseek-decode-0", "sglang:num_queue_reqs") == 0


def test_sglang_labels_tell_the_engine_type_and_ranks() -> None:
    page = busy(engine="sglang").page("deepseek-prefill-0")
    labels = next(dict(labels) for name, labels in page if name == "sglang:num_queue_reqs")
    assert labels == {
        "model_name": "meta-llama/Llama-3.1-8B-Instruct",
        "engine_type": "prefill",
        "tp_rank": "0",
        "pp_rank": "0",
        "moe_ep_rank": "0",
        "dp_rank": "0",
    }
    counted = next(dict(labels) for name, labels in page if name == "sglang:prompt_tokens_total")
    assert counted == {"model_name": "meta-llama/Llama-3.1-8B-Instruct"}


def test_sglang_tells_uncached_waiting_tokens_on_its_second_page_only() -> None:
    group = busy(engine="sglang")
    pending = group.at(15).roles["prefill"].pending_prompt_tokens
    second = group.page("deepseek-prefill-0", loads=True)
    assert second["sglang_num_waiting_uncached_tokens", frozenset({("dp_rank", "0")})] == round(pending)
    assert (
        group.page("deepseek-decode-0", loads=True)[
            "sglang_num_waiting_uncached_tokens", frozenset({("dp_rank", "0")})
        ]
        == 0
    )
    assert not any("uncached_tokens" in name for name, _ in group.page("deepseek-prefill-0"))

    joined = busy(engine="sglang", loads_on_page=True)
    assert joined.value("deepseek-prefill-0", "sglang_num_waiting_uncached_tokens") == round(pending)
    assert joined.value("deepseek-prefill-0", "sglang:num_queue_reqs") > 0


def test_dynamo_tells_pending_tokens_per_worker_on_its_frontend_and_engine_series_on_workers() -> None:
    group = busy(engine="dynamo", backend="sglang")
    pending = group.at(15).roles["prefill"].pending_prompt_tokens
    frontend = "dynamo_frontend_worker_active_prefill_tokens"
    assert group.value("deepseek-router-0", frontend, worker_id="deepseek-prefill-0") == round(pending)
    assert group.value("deepseek-router-0", frontend, worker_id="deepseek-decode-0") == 0
    assert group.value("deepseek-decode-0", "dynamo_component_gpu_cache_usage_percent") > 0
    assert group.value("deepseek-prefill-0", "sglang:num_queue_reqs") > 0


def test_at_zero_replicas_only_the_frontend_knows_that_requests_wait() -> None:
    group = world()
    group.pods(pod("router", 0))
    group.load(engine="dynamo", requests_per_s=5, roles={"prefill": {}, "decode": {}})
    group.at(10)
    assert group.value("deepseek-router-0", "dynamo_frontend_router_queue_pending_requests") == 50


@pytest.mark.parametrize(
    ("engine", "waiting", "running", "kv"),
    [
        (
            "trtllm",
            "trtllm_num_requests_waiting",
            "trtllm_num_requests_running",
            "trtllm_kv_cache_utilization",
        ),
        ("trtllm-triton", "nv_trt_llm_request_metrics", None, "nv_trt_llm_kv_cache_block_metrics"),
    ],
)
def test_tensorrt_llm_tells_waiting_running_and_kv(
    engine: str, waiting: str, running: str | None, kv: str
) -> None:
    group = busy(engine=engine)
    name, view = "deepseek-prefill-0", group.at(15).roles["prefill"]
    of_waiting = {} if running else {"request_type": "waiting"}
    assert group.value(name, waiting, **of_waiting) == round(view.waiting_requests)
    fraction = {} if running else {"kv_cache_block_type": "fraction"}
    assert 0 < group.value("deepseek-decode-0", kv, **fraction) <= 1


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_data_parallel_ranks_add_up_to_the_pod(engine: str) -> None:
    one, four = busy(engine=engine), busy(engine=engine, roles={"prefill": {"dp_ranks": 4}})
    name = "deepseek-prefill-0"
    totals = [
        sum(
            value
            for (sample, _), value in group.page(name).items()
            if "waiting" in sample or "queue_reqs" in sample
        )
        for group in (one, four)
    ]
    if engine == "trtllm-triton":
        totals = [g.value(name, "nv_trt_llm_request_metrics", request_type="waiting") for g in (one, four)]
    assert totals[0] > 0
    assert totals[1] == pytest.approx(totals[0], abs=16)


def test_tensor_parallel_ranks_repeat_the_same_values() -> None:
    group = busy(engine="sglang", roles={"prefill": {"tp_ranks": 2}})
    ranks = [
        group.value("deepseek-prefill-0", "sglang:num_queue_reqs", tp_rank=str(rank)) for rank in range(2)
    ]
    assert ranks[0] == ranks[1] > 0


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_page_is_text_that_prometheus_reads(engine: str) -> None:
    group = busy(engine=engine, model_name='a "quoted" \\ name')
    pages = [samples(group.text(f"deepseek-{role}-0")) for role in ("prefill", "decode", "server", "router")]
    assert all(pages[:3])
    values = [
        dict(labels).get("model_name", dict(labels).get("model")) for page in pages for _, labels in page
    ]
    assert 'a "quoted" \\ name' in values


@pytest.mark.parametrize("role", ["prefill", "decode", "server"])
def test_histogram_buckets_rise_to_the_count(role: str) -> None:
    page = busy().page(f"deepseek-{role}-0")
    counts = {
        labels: v for (name, labels), v in page.items() if name == "vllm:time_to_first_token_seconds_count"
    }
    assert len(counts) == 1
    buckets = sorted(
        (float(dict(labels)["le"]), value)
        for (name, labels), value in page.items()
        if name == "vllm:time_to_first_token_seconds_bucket"
    )
    values = [value for _, value in buckets]
    assert values == sorted(values)
    assert buckets[-1] == (float("inf"), next(iter(counts.values())))


def test_versions_compare_by_number_and_a_later_build_of_one_is_that_one() -> None:
    assert version_key("0.10.2") > version_key("0.9.2")
    assert version_key("0.6.6.post1") == version_key("v0.6.6")
    assert within("0.9.2", "0.9.2", "0.13.0")
    assert not within("0.13.0", "0.9.2", "0.13.0")
    with pytest.raises(ValueError, match=r"write one like 0\.11\.2"):
        version_key("latest")


def test_only_the_leader_of_a_gang_exports_unless_all_are_to() -> None:
    group = world()
    group.pods(*gang("decode", 0, 3))
    group.load(requests_per_s=10)
    group.at(10)
    assert [group.fleet.page("serving", f"deepseek-decode-0-{k}", 10) is None for k in range(3)] == [
        False,
        True,
        True,
    ]
    group.load(requests_per_s=10, roles={"decode": {"export_all_pods": True}})
    running = [group.value(f"deepseek-decode-0-{k}", "vllm:num_requests_running") for k in range(3)]
    assert running[0] == running[1] == running[2] > 0
