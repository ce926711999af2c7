"""The fluid model: timelines of one group, and laws over random ones."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localplane.engines.load import KINDS, RoleSpec
from localplane.engines.model import STEP_S, RoleState, Work, exits, step_group

# 10 000 prompt tokens/s of prompts of 1 000 tokens: a prefill replica serves 10 requests/s. A decode replica
# holds 110 requests of 1 000 + 200/2 tokens, each 200 tokens x 20 ms = 4 s: 27.5 requests/s.
PREFILL = RoleSpec(kind="prefill", prompt_tokens_per_s=10_000)
DECODE = RoleSpec(
    kind="decode", kv_tokens=121_000, itl_base_ms=20.0, itl_ms_per_1k_kv=0.0, itl_ms_per_request=0.0
)
AGGREGATED = RoleSpec(kind="aggregated", prompt_tokens_per_s=10_000, kv_tokens=121_000)
ROLES = {"prefill": PREFILL, "decode": DECODE}


class Timeline:
    """A group under a constant rate, stepped by seconds."""

    def __init__(self, roles: Mapping[str, RoleSpec], ready: Mapping[str, int]) -> None:
        self.roles, self.ready = dict(roles), dict(ready)
        self.states: dict[str, RoleState] = {}
        self.offered = self.served = self.dropped = 0.0

    def run(self, seconds: float, requests_per_s: float, *, hit_rate: float = 0.0) -> Timeline:
        for _ in range(round(seconds / STEP_S)):
            n = requests_per_s * STEP_S
            work = Work(n, n * 1000, n * 1000 * (1 - hit_rate), n * 200)
            self.states, self.flows = step_group(self.roles, self.states, self.ready, work)
            self.offered += n
            self.dropped += sum(
                f.dropped_requests for name, f in self.flows.items() if not self._routes(name)
            )
            self.served += sum(self.flows[name].finished.requests for name in exits(self.roles))
        return self

    def waiting(self, role: str) -> float:
        return self.states[role].waiting.requests

    def inside(self) -> float:
        return sum(
            state.waiting.requests + state.running.requests
            for name, state in self.states.items()
            if not self._routes(name)
        )

    def _routes(self, name: str) -> bool:
        return self.roles[name].kind == "router"


def test_a_queue_grows_above_capacity_stays_when_a_replica_covers_it_and_drains_with_one_more() -> None:
    group = Timeline(ROLES, {"prefill": 1, "decode": 2})
    group.run(60, 15)
    assert group.waiting("prefill") == pytest.approx(60 * 5)  # 15/s come, 10/s are served
    assert group.states["prefill"].waiting.uncached_tokens == pytest.approx(60 * 5 * 1000)

    group.ready["prefill"] = 2
    group.run(30, 15)
    assert group.waiting("prefill") == pytest.approx(60 * 5 - 30 * 5)  # 20/s are served now

    group.run(40, 15)
    assert group.waiting("prefill") == 0
    assert group.flows["prefill"].busy == pytest.approx(0.75)


def test_decode_gets_no_more_than_prefill_gives() -> None:
    group = Timeline(ROLES, {"prefill": 1, "decode": 4}).run(60, 100)
    assert group.flows["decode"].arrived.requests / STEP_S == pytest.approx(10)
    assert group.states["decode"].running.requests == pytest.approx(10 * 4, rel=0.05)  # Little: 10/s x 4 s
    assert group.waiting("decode") == 0


def test_a_full_kv_makes_decode_wait_while_prefill_does_not() -> None:
    group = Timeline(ROLES, {"prefill": 4, "decode": 1}).run(120, 35)
    running = group.states["decode"].running
    assert group.waiting("prefill") == 0
    assert group.waiting("decode") > 100
    assert 0.9 < running.kv_tokens / DECODE.kv_tokens <= 1.0
    assert group.flows["decode"].finished.requests / STEP_S == pytest.approx(27.5, rel=0.05)


def test_a_lost_decode_replica_puts_what_does_not_fit_back_into_the_queue() -> None:
    group = Timeline(ROLES, {"prefill": 4, "decode": 2}).run(120, 40)
    before = group.states["decode"].running.requests
    group.ready["decode"] = 1
    group.run(STEP_S, 40)
    assert group.flows["decode"].preempted_requests == pytest.approx(before - 110, abs=15)
    assert group.states["decode"].running.requests <= 110


def test_prefix_hits_need_no_computing() -> None:
    group = Timeline(ROLES, {"prefill": 1, "decode": 2}).run(60, 20, hit_rate=0.5)
    assert group.waiting("prefill") == 0
    assert group.flows["prefill"].busy == pytest.approx(1.0)


def test_with_nothing_ready_work_waits_and_nobody_has_a_latency() -> None:
    group = Timeline(ROLES, {}).run(10, 5)
    assert group.waiting("prefill") == pytest.approx(50)
    assert group.flows["prefill"].ttft_s is None
    assert group.flows["decode"].itl_s is None


def test_waiting_has_a_bound_where_the_role_sets_one() -> None:
    bounded = RoleSpec(kind="prefill", prompt_tokens_per_s=10_000, max_waiting=50)
    group = Timeline({"prefill": bounded, "decode": DECODE}, {"prefill": 1, "decode": 2}).run(60, 30)
    assert group.waiting("prefill") == pytest.approx(50)
    assert group.dropped == pytest.approx(60 * 20 - 50)


def test_an_aggregated_replica_generates_slower_while_it_computes_prompts() -> None:
    calm = Timeline({"server": AGGREGATED}, {"server": 1}).run(30, 0.5)
    rushed = Timeline({"server": AGGREGATED}, {"server": 1}).run(30, 4.0)
    assert calm.flows["server"].itl_s is not None
    assert rushed.flows["server"].itl_s is not None
    assert rushed.flows["server"].itl_s > calm.flows["server"].itl_s


def test_a_router_sees_the_group_and_changes_nothing_of_it() -> None:
    with_router = Timeline(
        {**ROLES, "router": RoleSpec(kind="router")}, {"prefill": 1, "decode": 1, "router": 1}
    )
    without = Timeline(ROLES, {"prefill": 1, "decode": 1})
    with_router.run(30, 15)
    without.run(30, 15)
    assert {name: with_router.states[name] for name in ROLES} == without.states
    assert with_router.states["router"].waiting.requests == pytest.approx(without.waiting("prefill"))
    assert with_router.flows["router"].finished == without.flows["decode"].finished


def test_prefill_roles_share_the_load_by_their_ready_replicas() -> None:
    roles = {"prefill-a": PREFILL, "prefill-b": PREFILL, "decode": DECODE}
    group = Timeline(roles, {"prefill-a": 3, "prefill-b": 1, "decode": 4}).run(10, 60)
    assert group.waiting("prefill-a") == pytest.approx(3 * group.waiting("prefill-b"))


_phase = st.tuples(st.floats(0, 200), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))


@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4),
    phases=st.lists(_phase, max_size=6),
)
def test_no_request_is_lost_or_made(kinds: list[str], phases: list[tuple[float, int, int, int]]) -> None:
    roles = {
        f"{kind}-{i}": RoleSpec(kind=kind, kv_tokens=50_000, max_waiting=500) for i, kind in enumerate(kinds)
    }
    if all(kind == "router" for kind in kinds):
        roles["server"] = RoleSpec()
    group = Timeline(roles, {})
    for rate, *ready in phases:
        group.ready = {name: ready[i % 3] for i, name in enumerate(roles)}
        group.run(3, rate)
        assert group.inside() + group.served + group.dropped == pytest.approx(
            group.offered, abs=1e-6, rel=1e-9
        )
        for state in group.states.values():
            assert state.waiting.requests >= -1e-9
            assert state.running.requests >= -1e-9


@given(rate=st.floats(0, 100), few=st.integers(1, 6), more=st.integers(0, 6))
def test_more_ready_replicas_never_leave_a_longer_queue(rate: float, few: int, more: int) -> None:
    small = Timeline(ROLES, {"prefill": few, "decode": 3}).run(5, rate)
    large = Timeline(ROLES, {"prefill": few + more, "decode": 3}).run(5, rate)
    assert large.waiting("prefill") <= small.waiting("prefill") + 1e-9
