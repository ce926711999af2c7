"""Faults: what each does to a page, whom it hits, and that the engine underneath goes on."""

from __future__ import annotations

import math

import pytest
from localplane.engines.parse import BadFieldError

from .world import NAMESPACE, World, pod, samples, world

WAITING = "vllm:num_requests_waiting"


@pytest.fixture
def group() -> World:
    """Two prefill replicas with 300 requests waiting in each, a decode replica and a router, after 60 s."""
    group = world()
    group.pods(pod("prefill", 0), pod("prefill", 1), pod("decode", 0), pod("router", 0))
    prefill = {"prompt_tokens_per_s": 10_000}
    group.load(requests_per_s=30, prompt_tokens=1000, roles={"prefill": prefill})
    group.at(60)
    return group


def silence(group: World, name: str) -> str:
    page = group.fleet.page(NAMESPACE, name, group.now)
    assert page is not None
    return page.silence


def test_nan_hits_one_role_and_leaves_the_model_alone(group: World) -> None:
    group.fault({"kind": "nan", "role": "prefill"})
    assert math.isnan(group.value("deepseek-prefill-0", WAITING))
    assert math.isnan(group.value("deepseek-prefill-0", "vllm:prompt_tokens_total"))
    assert group.value("deepseek-decode-0", "vllm:num_requests_running") > 0
    assert group.at(61).roles["prefill"].waiting_requests == pytest.approx(610)
    group.fleet.drop_faults(NAMESPACE, "deepseek")
    assert group.value("deepseek-prefill-0", WAITING) == 305


@pytest.mark.parametrize(("kind", "value"), [("negative", -301), ("zero", 0)])
def test_negative_and_zero_gauges_leave_counters_alone(group: World, kind: str, value: float) -> None:
    counted = group.value("deepseek-prefill-0", "vllm:prompt_tokens_total")
    group.fault({"kind": kind})
    assert group.value("deepseek-prefill-0", WAITING) == value
    assert group.value("deepseek-prefill-0", "vllm:prompt_tokens_total") == counted


def test_a_fault_may_concern_one_series_only(group: World) -> None:
    group.fault({"kind": "zero", "series": "*num_requests_waiting"})
    assert group.value("deepseek-prefill-0", WAITING) == 0
    assert group.value("deepseek-prefill-0", "vllm:num_requests_waiting_by_reason") == 300


def test_half_of_three_pods_are_the_first_two(group: World) -> None:
    group.fault({"kind": "silent", "fraction": 0.5, "role": "prefill"})
    assert (silence(group, "deepseek-prefill-0"), silence(group, "deepseek-prefill-1")) == ("503", "")
    group.pods(pod("prefill", 0), pod("prefill", 1), pod("prefill", 2))
    assert [silence(group, f"deepseek-prefill-{i}") for i in range(3)] == ["503", "503", ""]


def test_silence_has_a_mode_and_may_hit_one_pod(group: World) -> None:
    group.fault({"kind": "silent", "mode": "hang", "pod": "deepseek-prefill-1"})
    assert silence(group, "deepseek-prefill-1") == "hang"
    assert silence(group, "deepseek-prefill-0") == ""


def test_stale_samples_keep_the_value_and_time_of_the_fault(group: World) -> None:
    group.fault({"kind": "stale", "role": "prefill"}, wall_ms=1_700_000_000_000)
    group.at(90)
    lines = [line for line in group.text("deepseek-prefill-0").splitlines() if line.startswith(WAITING + "{")]
    assert [line.split()[1:] for line in lines] == [["300", "1700000000000"]]
    live = [line for line in group.text("deepseek-decode-0").splitlines() if line.startswith(WAITING + "{")]
    assert len(live[0].split()) == 2


def test_with_explicit_timestamps_a_stale_sample_is_the_only_old_one(group: World) -> None:
    group.load(requests_per_s=30, explicit_timestamps=True)
    group.fault({"kind": "stale", "series": WAITING}, wall_ms=1000)
    page = group.fleet.page(NAMESPACE, "deepseek-prefill-0", 90, wall_ms=31_000)
    assert page is not None
    stamps = {family.name: {sample.timestamp_ms for sample in family.samples} for family in page.families}
    assert stamps.pop(WAITING) == {1000}
    assert set.union(*stamps.values()) == {31_000}


def test_frozen_samples_keep_the_value_under_a_fresh_time(group: World) -> None:
    group.fault({"kind": "stale", "mode": "frozen", "series": WAITING})
    before = group.value("deepseek-prefill-0", "vllm:prompt_tokens_total")
    group.at(90)
    assert group.value("deepseek-prefill-0", WAITING) == 300
    assert group.value("deepseek-prefill-0", "vllm:prompt_tokens_total") > before
    line = next(x for x in group.text("deepseek-prefill-0").splitlines() if x.startswith(WAITING + "{"))
    assert len(line.split()) == 2


def test_missing_series_are_gone_and_the_others_stay(group: World) -> None:
    group.fault({"kind": "stale", "mode": "missing", "series": "*waiting*"})
    names = {name for name, _ in group.page("deepseek-prefill-0")}
    assert not [name for name in names if "waiting" in name]
    assert "vllm:num_requests_running" in names


def test_renamed_series_carry_the_new_name_only(group: World) -> None:
    group.fault({"kind": "renamed", "series": WAITING})
    names = {name for name, _ in group.page("deepseek-prefill-0")}
    assert WAITING not in names
    assert group.value("deepseek-prefill-0", WAITING + "_v2") == 300
    group.fault({"kind": "renamed", "series": WAITING, "to": "vllm:num_queued"})
    assert group.value("deepseek-prefill-0", "vllm:num_queued") == 300


def test_priorities_repeat_every_value_under_an_empty_priority(group: World) -> None:
    group.fault({"kind": "duplicated", "role": "prefill"})
    assert group.value("deepseek-prefill-0", WAITING) == 600
    assert group.value("deepseek-prefill-0", WAITING, priority="0") == 300
    # Prometheus takes a label with an empty value for no label at all.
    total = [labels for name, labels in group.page("deepseek-prefill-0") if name == WAITING]
    assert {dict(labels)["priority"] for labels in total} == {"", "0"}


def test_routers_export_engine_gauges_once_more(group: World) -> None:
    group.fault({"kind": "duplicated", "mode": "router", "role": "prefill"})
    servers = {
        dict(labels)["server"]: value
        for (name, labels), value in group.page("deepseek-router-0").items()
        if name == WAITING
    }
    assert servers == {"http://deepseek-prefill-0:8000": 300, "http://deepseek-prefill-1:8000": 300}
    assert group.value("deepseek-prefill-0", WAITING) == 300


def test_a_group_without_a_router_cannot_re_export() -> None:
    lone = world()
    lone.pods(pod("prefill", 0))
    with pytest.raises(BadFieldError, match="kind router"):
        lone.fault({"kind": "duplicated", "mode": "router"})


def test_two_faults_at_once(group: World) -> None:
    group.fault(
        {"kind": "silent", "pod": "deepseek-prefill-0"}, {"kind": "zero", "pod": "deepseek-prefill-1"}
    )
    assert silence(group, "deepseek-prefill-0") == "503"
    assert group.value("deepseek-prefill-1", WAITING) == 0


@pytest.mark.parametrize("kind", ["nan", "negative", "zero", "stale", "renamed", "duplicated"])
def test_a_faulty_page_still_parses(group: World, kind: str) -> None:
    group.fault({"kind": kind}, wall_ms=1_700_000_000_000)
    assert samples(group.text("deepseek-prefill-0"))
