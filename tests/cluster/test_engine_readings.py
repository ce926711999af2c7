"""The signals of live groups: pods found and scraped by a real Prometheus, joined to role instances.

Prefill is a gang of two pods of which the leader exports; its queue is full at 20 requests of 2000 tokens, a
quarter of them cached, so the numbers stand still while everything moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from localplane.engines.view import RoleView as Played
from localplane.plane import LocalPlane
from localplane.waiting import wait_until

from rbg_autoscaler.api.types import (
    Engine,
    MetricTarget,
    ObjectKey,
    RbgAutoscalerSpec,
    RoleKind,
    RoleSpec,
    Signal,
    SignalMetric,
    TargetType,
)
from rbg_autoscaler.decide.snapshot import GroupView, Missing, Reading, Sample
from rbg_autoscaler.engines import preset
from rbg_autoscaler.engines.expressions import Preset
from rbg_autoscaler.observe.prometheus import PrometheusSource
from rbg_autoscaler.observe.readings import Target, read_metrics
from rbg_autoscaler.observe.sources import SourceSettings
from rbg_autoscaler.observe.views import group_view
from tests.cluster.harness import Served
from tests.cluster.test_views_live import Eyes

KINDS = {"prefill": RoleKind.PREFILL, "decode": RoleKind.DECODE}
ROLES = {
    "prefill": {"kind": "prefill", "prompt_tokens_per_s": 4000, "max_waiting": 20},
    "decode": {"kind": "decode", "itl_base_ms": 50},
}
SOON = 40.0


@dataclass
class Rig:
    """The served group, as the exporter plays it and as the controller reads it."""

    served: Served
    view: GroupView
    source: PrometheusSource
    now: Callable[[], float]

    def play(self, engine: str, version: str = "", **load: object) -> None:
        self.served.engines.clear_faults(self.served.namespace, "ds")
        offered = {
            "requests_per_s": 20.0,
            "prompt_tokens": 2000,
            "output_tokens": 100,
            "prefix_hit_rate": 0.25,
        }
        roles = {name: {**spec, **load.pop(name, {})} for name, spec in ROLES.items()}  # type: ignore[dict-item]
        self.served.engines.set_load(
            self.served.namespace, "ds", engine=engine, version=version, roles=roles, **offered, **load
        )

    def played(self, role: str) -> Played:
        return self.served.engines.state(self.served.namespace, "ds").roles[role]

    def read(self, engine: Engine, role: str, signal: Signal) -> Reading:
        metric = SignalMetric(signal, MetricTarget(TargetType.AVERAGE_VALUE, 1000))
        spec = RbgAutoscalerSpec("ds", (RoleSpec(role, KINDS[role], 1, 9, (metric,)),), engine=engine)
        key = ObjectKey(self.served.namespace, "ds")
        readings, _ = read_metrics([Target(key, spec, self.view)], {"default": self.source}, self.now())
        return readings[key][role][0]


@pytest.fixture(scope="module")
def rig(plane: LocalPlane) -> Iterator[Rig]:
    namespace = "engine-readings"
    plane.kube.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    served = Served(plane, namespace).create({"prefill": 2}, size=2)
    served.kube.patch(
        f"/apis/workloads.x-k8s.io/v1alpha2/namespaces/{namespace}/rolebasedgroups/ds",
        [
            {"op": "add", "path": "/spec/roles/-", "value": Served.role("decode", 2)},
            {"op": "add", "path": "/spec/roles/-", "value": Served.role("router", 1)},
        ],
        "application/json-patch+json",
    )
    for role, replicas in (("prefill", 2), ("decode", 2), ("router", 1)):
        served.wait_ready(role, replicas)
    view = group_view(Eyes(plane, namespace).store(), ObjectKey(namespace, "ds"))
    assert view is not None
    newest = max(i.ready_at or 0 for role in view.roles for i in role.instances)
    settings = SourceSettings(
        url=plane.prometheus_url, rate_window_seconds=5, max_age_seconds=5, ready_grace_seconds=5
    )
    yield Rig(served, view, PrometheusSource(settings), lambda: newest + 60)
    served.engines.close()
    plane.kube.delete(f"/api/v1/namespaces/{namespace}")


def expected(played: Played, signal: Signal) -> float:
    """The mean of the role's two instances, as the exporter's model has it."""
    whole = {
        Signal.QUEUE_LENGTH: played.waiting_requests,
        Signal.PENDING_TOKENS: played.pending_prompt_tokens,
        Signal.KV_CACHE_USAGE: played.kv_usage * 2,
        Signal.RUNNING_REQUESTS: played.running_requests,
        Signal.PROMPT_TOKEN_RATE: played.prompt_tokens_per_s,
        Signal.GENERATION_TOKEN_RATE: played.generation_tokens_per_s,
    }
    return whole[signal] / 2


SIGNALS = {
    "prefill": (Signal.QUEUE_LENGTH, Signal.PENDING_TOKENS, Signal.PROMPT_TOKEN_RATE),
    "decode": (Signal.KV_CACHE_USAGE, Signal.RUNNING_REQUESTS, Signal.GENERATION_TOKEN_RATE),
}
"""What moves in this load."""


@pytest.mark.parametrize(
    ("engine", "version", "load"),
    [
        ("vllm", "0.6.6.post1", {}),
        ("vllm", "0.8.5.post1", {}),
        ("vllm", "0.10.2", {"prefill": {"dp_ranks": 2}}),
        ("vllm", "0.33.0", {}),
        ("sglang", "0.4.6.post5", {}),
        ("sglang", "0.5.9", {"prefill": {"dp_ranks": 2, "tp_ranks": 2}, "decode": {"tp_ranks": 2}}),
        ("sglang", "0.5.23", {"prefill": {"dp_ranks": 2, "tp_ranks": 2}, "loads_on_page": True}),
        ("trtllm", "", {}),
        ("trtllm-triton", "", {}),
        ("dynamo", "", {"backend": "vllm"}),
        ("dynamo", "", {"backend": "sglang"}),
    ],
)
def test_every_engines_signals_are_read_per_instance(
    rig: Rig, engine: str, version: str, load: dict[str, object]
) -> None:
    rig.play(engine, version, **dict(load))
    family = Engine.TRTLLM if engine.startswith("trtllm") else Engine(engine)
    asked = 0
    for role, signals in SIGNALS.items():
        for signal in signals:
            if not isinstance(preset(family, KINDS[role], signal), Preset):
                continue
            asked += 1
            seen: list[object] = []

            def agrees(role: str = role, signal: Signal = signal, seen: list[object] = seen) -> bool:
                reading, wanted = rig.read(family, role, signal), expected(rig.played(role), signal)
                seen[:] = [reading, wanted]
                if not isinstance(reading, Sample) or reading.is_partial or wanted <= 0:
                    return False
                values = [milli / 1000 for milli in reading.values_milli.values()]
                return len(values) == 2 and values == pytest.approx([wanted, wanted], rel=0.3)

            try:
                wait_until(agrees, SOON, f"{engine} {version} {role} {signal}")
            except TimeoutError as error:
                raise AssertionError(f"{error}; read and expected: {seen}") from None
    assert asked >= 3


def becomes(rig: Rig, fault: dict[str, object], check: Callable[[Reading], bool], **load: object) -> None:
    """With the fault prefill's queue soon reads as `check` says; without it, whole again."""
    rig.play("vllm", **load)

    def queue() -> Reading:
        return rig.read(Engine.VLLM, "prefill", Signal.QUEUE_LENGTH)

    def is_whole() -> bool:
        reading = queue()
        return isinstance(reading, Sample) and not reading.is_partial and reading.age_seconds < 3

    # Some scrapes after the load was set, so that what is seen is this load's.
    def is_settled() -> bool:
        return rig.served.engines.state(rig.served.namespace, "ds").at_s > 4 and is_whole()

    wait_until(is_settled, SOON, "the queue to be read whole")
    rig.served.engines.set_fault(rig.served.namespace, "ds", **fault)  # type: ignore[arg-type]
    seen: list[Reading] = []

    def shows() -> bool:
        seen[:] = [queue()]
        return check(seen[0])

    try:
        wait_until(shows, SOON, f"{fault}")
    except TimeoutError as error:
        raise AssertionError(f"{error}; read: {seen}") from None
    rig.served.engines.clear_faults(rig.served.namespace, "ds")
    wait_until(is_whole, SOON, "the queue to be read whole again")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "nan"}, "NotFinite"),
        ({"kind": "negative"}, "Negative"),
        ({"kind": "renamed"}, "NoSeries"),
        ({"kind": "silent"}, "NoSeries"),
        ({"kind": "silent", "mode": "hang"}, "NoSeries"),
        ({"kind": "stale", "mode": "missing"}, "NoSeries"),
        ({"kind": "stale", "mode": "timestamps"}, "Stale"),
    ],
)
def test_a_fault_of_all_pods_makes_the_signal_missing_and_of_one_pod_partial(
    rig: Rig, fault: dict[str, object], reason: str
) -> None:
    # Without times in the exposition Prometheus ends a series at the scrape that lacks it.
    load = {"explicit_timestamps": fault.get("mode") == "timestamps"}
    becomes(
        rig, {**fault, "role": "prefill"}, lambda r: isinstance(r, Missing) and r.reason == reason, **load
    )
    half = {**fault, "role": "prefill", "fraction": 0.5}
    becomes(
        rig,
        half,
        lambda r: isinstance(r, Sample) and (r.reporting, r.expected, r.shortfall) == (1, 2, f"1 {reason}"),
        **load,
    )


@pytest.mark.parametrize(("engine", "mode"), [("sglang", "priority"), ("vllm", "router")])
def test_values_exported_twice_are_counted_once(rig: Rig, engine: str, mode: str) -> None:
    rig.play(engine)
    wait_until(
        lambda: rig.played("prefill").waiting_requests == pytest.approx(20, abs=1), SOON, "a full queue"
    )
    rig.served.engines.set_fault(rig.served.namespace, "ds", "duplicated", mode=mode)
    pods = [f"ds-prefill-{i}-0" for i in (0, 1)] if mode == "priority" else ["ds-router-0"]
    text = "".join(rig.served.engines.page(rig.served.namespace, name) for name in pods)
    assert ('priority="0"' if mode == "priority" else "server=") in text

    def still_ten_each() -> bool:
        reading = rig.read(Engine(engine), "prefill", Signal.QUEUE_LENGTH)
        return isinstance(reading, Sample) and list(reading.values_milli.values()) == pytest.approx(
            [10_000, 10_000], rel=0.1
        )

    for _ in range(5):
        wait_until(still_ten_each, SOON, "each queue to be read once")
    rig.served.engines.clear_faults(rig.served.namespace, "ds")
