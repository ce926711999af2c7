"""The played engines behind a real Prometheus: discovered by its own service discovery, scraped, closed loop.

Pods are bare ones with the labels the RBG controller would give them, so that only the engines are tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests
from localplane.engines.client import EnginesClient, EnginesError
from localplane.kube import MERGE_PATCH, Kube, Object, path
from localplane.plane import LocalPlane
from localplane.stages import START_UP, UNREADY
from localplane.waiting import wait_until

GROUP = "demo"
LABEL = "rbg.workloads.x-k8s.io/"
WAITING = "vllm:num_requests_waiting"
SCRAPED_SECONDS = 30.0


@dataclass(frozen=True)
class Rig:
    """One namespace with its pods, the exporter and the Prometheus that scrapes it."""

    kube: Kube
    namespace: str
    engines: EnginesClient
    prometheus_url: str

    def add(self, role: str, ordinal: int, size: int = 1, start_up: str = "0s") -> None:
        """The pods of one role instance: standalone, or a leader and workers."""
        instance = f"{GROUP}-{role}-{ordinal}"
        for k in range(size):
            component = role if size == 1 else ("leader" if k == 0 else "worker")
            labels = {
                "group-name": GROUP,
                "role-name": role,
                "role-instance-name": instance,
                "component-name": component,
            }
            if size > 1:
                labels["component-index"] = str(k)
            self._create(instance if size == 1 else f"{instance}-{k}", labels, start_up)

    def _create(self, name: str, labels: dict[str, str], start_up: str) -> None:
        body: Object = {
            "metadata": {
                "name": name,
                "labels": {LABEL + key: value for key, value in labels.items()},
                "annotations": {START_UP: start_up},
            },
            "spec": {"containers": [{"name": "engine", "image": "engine:v1"}]},
        }
        self.kube.create(path("v1", "pods", self.namespace), body)

    def query(self, promql: str) -> dict[str, float]:
        """An instant vector by pod; `NS` stands for a matcher of this namespace."""
        text = promql.replace("NS", f'namespace="{self.namespace}"')
        answer = requests.get(f"{self.prometheus_url}/api/v1/query", params={"query": text}, timeout=5).json()
        assert answer["status"] == "success", answer
        return {s["metric"].get("pod", ""): float(s["value"][1]) for s in answer["data"]["result"]}

    def await_query(self, promql: str, fits: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """The first answer that fits; the deadline's message holds the last one seen."""
        seen: dict[str, float] = {}

        def fitting() -> bool:
            nonlocal seen
            seen = self.query(promql)
            return fits(seen)

        try:
            wait_until(fitting, SCRAPED_SECONDS, f"{promql} to fit")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {seen}") from error
        return seen

    def load(
        self,
        requests_per_s: float,
        engine: str = "vllm",
        version: str = "",
        *,
        explicit_timestamps: bool = False,
    ) -> None:
        """Prompts of 1 000 tokens, 5 of which a prefill replica computes in a second."""
        roles = {"prefill": {"tokens_per_s": 5000}, "decode": {}}
        self.engines.set_load(
            self.namespace,
            GROUP,
            requests_per_s=requests_per_s,
            roles=roles,
            prompt_tokens=1000,
            engine=engine,
            version=version,
            explicit_timestamps=explicit_timestamps,
        )

    def remove(self, pod: str) -> None:
        """Delete a pod and wait until it is gone."""
        at = path("v1", "pods", self.namespace, pod)
        self.kube.delete(at)
        wait_until(lambda: not self.kube.exists(at), 30, f"{pod} to be gone")

    def ready(self, role: str, count: int) -> None:
        wait_until(lambda: self._ready(role) == count, 30, f"{count} ready {role}")

    def _ready(self, role: str) -> int:
        try:
            return self.engines.state(self.namespace, GROUP).roles[role].ready_instances
        except (EnginesError, KeyError):
            return 0


@pytest.fixture
def rig(plane: LocalPlane, kube: Kube, namespace: str) -> Iterator[Rig]:
    engines = EnginesClient(plane.engines_url)
    yield Rig(kube, namespace, engines, plane.prometheus_url)
    engines.clear_faults(namespace, GROUP)
    engines.clear_load(namespace, GROUP)
    engines.close()


def overload(rig: Rig, *, explicit_timestamps: bool = False) -> None:
    """Two prefill replicas and a decode replica under twice the load they carry, known to Prometheus."""
    rig.add("prefill", 0)
    rig.add("prefill", 1)
    rig.add("decode", 0)
    rig.ready("prefill", 2)
    rig.load(20, explicit_timestamps=explicit_timestamps)
    rig.await_query(f'{WAITING}{{NS,role="prefill"}}', lambda v: len(v) == 2 and min(v.values()) > 5)


def test_prometheus_names_pod_group_role_and_component_of_every_series(rig: Rig) -> None:
    overload(rig)
    selector = f'{WAITING}{{namespace="{rig.namespace}",pod="{GROUP}-prefill-1"}}'
    answer = requests.get(f"{rig.prometheus_url}/api/v1/query", params={"query": selector}, timeout=5).json()
    (series,) = answer["data"]["result"]
    own = {"group": GROUP, "role": "prefill", "role_instance": f"{GROUP}-prefill-1", "component": "prefill"}
    assert own.items() <= series["metric"].items()
    assert series["metric"]["model_name"] == "meta-llama/Llama-3.1-8B-Instruct"


def test_the_loop_is_closed_more_ready_replicas_shorten_the_queue(rig: Rig) -> None:
    overload(rig)
    before = rig.engines.state(rig.namespace, GROUP).roles["prefill"].waiting_requests
    for ordinal in (2, 3, 4, 5):
        rig.add("prefill", ordinal)
    rig.ready("prefill", 6)
    assert before > 10
    rig.await_query(f'sum({WAITING}{{NS,role="prefill"}})', lambda v: v == {"": 0})
    rates = rig.await_query(
        'rate(vllm:prompt_tokens_total{NS,role="prefill"}[5s])',
        lambda v: len(v) == 6 and all(3000 < rate < 3700 for rate in v.values()),
    )
    assert sum(rates.values()) == pytest.approx(20_000, rel=0.1)


def test_an_unready_replica_gets_no_work_and_a_starting_one_does_not_answer(rig: Rig) -> None:
    rig.add("decode", 1, start_up="1h")
    overload(rig)
    with pytest.raises(EnginesError, match="no engine of pod") as caught:
        rig.engines.page(rig.namespace, f"{GROUP}-decode-1")
    assert caught.value.status == 404
    # Without an address it is no target yet either.
    rig.await_query("up{NS} == 1", lambda v: len(v) == 3)
    assert len(rig.query("up{NS}")) == 3
    rig.kube.patch(
        path("v1", "pods", rig.namespace, f"{GROUP}-prefill-0"),
        {"metadata": {"annotations": {UNREADY: "1"}}},
        MERGE_PATCH,
    )
    rig.ready("prefill", 1)
    rig.await_query(
        f'{WAITING}{{NS,role="prefill"}}', lambda v: v[f"{GROUP}-prefill-0"] == 0 < v[f"{GROUP}-prefill-1"]
    )


def test_only_leaders_of_gangs_export(rig: Rig) -> None:
    rig.add("prefill", 0)
    rig.add("decode", 0, size=3)
    rig.ready("decode", 1)
    rig.load(4)
    rig.await_query(
        'vllm:generation_tokens_total{NS,role="decode"} > 0', lambda v: v.keys() == {f"{GROUP}-decode-0-0"}
    )
    rig.await_query('up{NS,role="decode"} == 0', lambda v: len(v) == 2)


def test_a_pod_made_again_counts_from_zero(rig: Rig) -> None:
    overload(rig)
    rig.await_query('vllm:prompt_tokens_total{NS,role="prefill"}', lambda v: min(v.values()) > 10_000)
    rig.remove(f"{GROUP}-prefill-1")
    rig.add("prefill", 1)
    rig.ready("prefill", 2)
    rig.await_query(
        f'resets(vllm:prompt_tokens_total{{NS,pod="{GROUP}-prefill-1"}}[1m])',
        lambda v: set(v.values()) == {1},
    )


@pytest.mark.parametrize(
    ("engine", "version", "backlog", "busy"),
    [
        ("vllm", "0.8.5", WAITING, "vllm:gpu_cache_usage_perc"),
        ("vllm", "0.11.2", WAITING, "vllm:gpu_cache_usage_perc"),
        ("vllm", "0.33.0", WAITING, "vllm:kv_cache_usage_perc"),
        ("sglang", "0.5.9", "sglang:num_prefill_prealloc_queue_reqs", "sglang:token_usage"),
        ("sglang", "0.5.23", "sglang:num_prefill_bootstrap_queue_reqs", "sglang:token_usage"),
        ("dynamo", "", WAITING, "dynamo_component_gpu_cache_usage_percent"),
        ("trtllm", "", "trtllm_num_requests_waiting", "trtllm_kv_cache_utilization"),
        ("trtllm-triton", "", "nv_trt_llm_request_metrics", "nv_trt_llm_kv_cache_block_metrics"),
    ],
)
def test_every_engine_is_scraped_under_its_own_names(
    rig: Rig, engine: str, version: str, backlog: str, busy: str
) -> None:
    rig.add("prefill", 0)
    rig.add("decode", 0)
    rig.ready("prefill", 1)
    rig.load(20, engine=engine, version=version)
    of_waiting = ',request_type="waiting"' if engine == "trtllm-triton" else ""
    of_fraction = ',kv_cache_block_type="fraction"' if engine == "trtllm-triton" else ""
    rig.await_query(f'{backlog}{{NS,role="prefill"{of_waiting}}}', lambda v: bool(v) and min(v.values()) > 0)
    usage = rig.await_query(f'{busy}{{NS,role="decode"{of_fraction}}} > 0', bool)
    assert 0 < max(usage.values()) <= 1


def test_a_silent_pod_is_down_and_its_series_end(rig: Rig) -> None:
    overload(rig)
    rig.engines.set_fault(rig.namespace, GROUP, "silent", role="prefill", fraction=0.5)
    rig.await_query(f'{WAITING}{{NS,role="prefill"}}', lambda v: v.keys() == {f"{GROUP}-prefill-1"})
    assert rig.query('up{NS,role="prefill"}') == {f"{GROUP}-prefill-0": 0, f"{GROUP}-prefill-1": 1}
    rig.engines.clear_faults(rig.namespace, GROUP)
    rig.await_query(f'{WAITING}{{NS,role="prefill"}}', lambda v: len(v) == 2)


@pytest.mark.parametrize(
    ("fault", "fits"),
    [
        ({"kind": "nan"}, lambda v: len(v) == 2 and all(map(math.isnan, v.values()))),
        ({"kind": "negative"}, lambda v: len(v) == 2 and max(v.values()) < 0),
        ({"kind": "zero"}, lambda v: len(v) == 2 and max(v.values()) == 0),
        ({"kind": "renamed"}, lambda v: not v),
        ({"kind": "stale", "mode": "missing"}, lambda v: not v),
        ({"kind": "silent", "mode": "close"}, lambda v: not v),
        ({"kind": "silent", "mode": "hang"}, lambda v: not v),
    ],
)
def test_prometheus_shows_a_fault_as_it_is(
    rig: Rig, fault: dict[str, object], fits: Callable[[dict[str, float]], bool]
) -> None:
    overload(rig)
    rig.engines.set_faults(rig.namespace, GROUP, [{**fault, "role": "prefill"}])
    rig.await_query(f'{WAITING}{{NS,role="prefill"}}', fits)
    rig.engines.clear_faults(rig.namespace, GROUP)
    rig.await_query(f'{WAITING}{{NS,role="prefill"}}', lambda v: len(v) == 2 and min(v.values()) > 0)


def test_stale_samples_grow_old_in_prometheus(rig: Rig) -> None:
    overload(rig, explicit_timestamps=True)
    rig.engines.set_fault(rig.namespace, GROUP, "stale", role="prefill")
    age = f"time() - timestamp({WAITING}{{NS}})"
    rig.await_query(age, lambda v: v[f"{GROUP}-prefill-0"] > 5 > v[f"{GROUP}-decode-0"])
    assert rig.query('up{NS,role="prefill"} == 1').keys() == {f"{GROUP}-prefill-0", f"{GROUP}-prefill-1"}


def test_prometheus_ends_series_that_begin_to_carry_timestamps(rig: Rig) -> None:
    overload(rig)
    rig.engines.set_fault(rig.namespace, GROUP, "stale", role="prefill")
    rig.await_query(f"{WAITING}{{NS}}", lambda v: v.keys() == {f"{GROUP}-decode-0"})
    assert set(rig.query('up{NS,role="prefill"}').values()) == {1}


def test_priorities_make_a_sum_count_twice(rig: Rig) -> None:
    overload(rig)
    rig.load(20, engine="sglang")
    rig.engines.set_fault(rig.namespace, GROUP, "duplicated", role="prefill")
    queue = "sglang:num_queue_reqs{NS"
    rig.await_query(
        f'sum by (pod) ({queue},role="prefill"}}) / sum by (pod) ({queue},priority="0"}}) == 2',
        lambda v: len(v) == 2,
    )


def test_a_router_re_exports_what_its_engines_say(rig: Rig) -> None:
    overload(rig)
    rig.add("router", 0)
    rig.ready("router", 1)
    rig.engines.set_fault(rig.namespace, GROUP, "duplicated", mode="router")
    rig.await_query(f'count by (pod) ({WAITING}{{NS,server=~".+"}})', lambda v: v == {f"{GROUP}-router-0": 3})
