"""A fleet loop over the fake API server, with readings and time set by the test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import generate_latest

from rbg_autoscaler.act.actuator import ActReport
from rbg_autoscaler.decide.snapshot import Missing, Reading, Sample
from rbg_autoscaler.kube.client import KubeApi
from rbg_autoscaler.observe.cluster_reader import sync_kind
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.sources import SourceSettings
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.operate.loop import FleetLoop
from rbg_autoscaler.operate.settings import Settings
from rbg_autoscaler.operate.telemetry import Telemetry
from tests import builders
from tests.builders import EPOCH, NAMESPACE
from tests.fakes.kube_server import FakeKube

SETTINGS = Settings(sources={"default": SourceSettings(url="http://127.0.0.1:9090")})


class Fleet:
    """Group `llm` with one role `prefill`; its RbgAutoscaler is named `llm` as well."""

    def __init__(
        self,
        fake: FakeKube,
        api: KubeApi,
        *,
        adapter: bool = False,
        replicas: int = 2,
        settings: Settings = SETTINGS,
    ) -> None:
        self.fake = fake
        self.api = api
        self.adapter = adapter
        self.settings = settings
        self.pause = _no_pause
        self.clock = EPOCH
        self.leads = True
        self.telemetry = Telemetry()
        self.load: Mapping[str, Reading] = {}
        self.answers_after = 0.0
        fake.put(builders.group("llm", builders.role("prefill", replicas, adapter=adapter)))
        self.settle(replicas)
        self.restart()

    def restart(self) -> None:
        """Another process takes over: its caches are filled from the API server alone."""
        self.store = ClusterStore()
        self.loop = FleetLoop(
            store=self.store,
            api=self.api,
            read=self._read,
            settings=self.settings,
            telemetry=self.telemetry,
            is_leader=lambda: self.leads,
            now=lambda: self.clock,
            sleep=lambda seconds: self.pause(seconds),
        )

    def autoscale(self, **spec: Any) -> None:
        """Create the RbgAutoscaler, in mode Auto unless said otherwise."""
        self.fake.put(builders.autoscaler("llm", **({"mode": "Auto"} | spec)))

    def settle(self, replicas: int) -> None:
        """The RBG controller has carried `replicas` out, and all of them serve."""
        if self.adapter:
            self.fake.put(builders.adapter("llm", "prefill", replicas))
        self.fake.put(builders.instance_set("llm", "prefill", replicas))
        for ordinal in range(replicas):
            self.fake.put(builders.pod(ordinal, ready=-1000, created=-1010))

    def queue(self, total: float) -> None:
        """So many requests wait, spread over the instances."""
        self._value = total
        self.load = {}

    def outage(self, reason: str = "Unreachable") -> None:
        """No sample can be had."""
        self.load = {"prefill": Missing(reason, "the metrics source does not answer")}

    async def sync(self, at: float) -> ActReport:
        """One sync `at` seconds after the test's zero, with fresh caches."""
        self.clock = EPOCH + at
        for kind in Kind:
            await sync_kind(self.api, self.store, kind)
        await self.loop.tick()
        assert self.loop.last_report is not None
        return self.loop.last_report

    @property
    def asked(self) -> int:
        """Replicas asked for now."""
        if self.adapter:
            return int(
                self.fake.get("RoleBasedGroupScalingAdapter", NAMESPACE, "llm-prefill")["spec"]["replicas"]
            )
        return int(self.fake.get("RoleBasedGroup", NAMESPACE, "llm")["spec"]["roles"][0]["replicas"])

    @property
    def status(self) -> dict[str, Any]:
        """The RbgAutoscaler's status."""
        return dict(self.fake.get("RbgAutoscaler", NAMESPACE, "llm").get("status", {}))

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of one condition."""
        found = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found["status"], found["reason"]

    def metrics(self) -> str:
        """The controller's own metrics."""
        return generate_latest(self.telemetry.registry).decode()

    def events(self) -> list[dict[str, Any]]:
        """All Events, oldest first."""
        resource = self.fake.resource("Event")
        return list(self.fake.objects.of(resource).values())

    def _read(self, targets: Any, _now: float) -> Any:
        self.clock += self.answers_after
        return {target.key: self._readings(target) for target in targets}, ()

    def _readings(self, target: Any) -> dict[str, tuple[Reading, ...]]:
        made: dict[str, tuple[Reading, ...]] = {}
        for role in target.spec.roles:
            view = target.group.role(role.name) if target.group else None
            if role.name in self.load or view is None:
                made[role.name] = (self.load.get(role.name, Missing("NoSeries", "no group")),) * len(
                    role.metrics
                )
                continue
            names = [one.name for one in view.instances]
            each = {name: int(self._value * 1000 / len(names)) for name in names}
            made[role.name] = (Sample(each, 0.0, len(names), len(names)),) * len(role.metrics)
        return made


async def _no_pause(_seconds: float) -> None:
    return None
