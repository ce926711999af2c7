"""Leader election on a coordination.k8s.io Lease: one replica acts, the others keep their caches warm.

A leader stops acting at its renew deadline, before anybody may take over, measured on a clock that a wall
clock step does not move and that goes on while the process is stopped: a leader that was paused and resumed
finds its time over before it can write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rbg_autoscaler.kube.client import Conflict, KubeApi, KubeError, NotFound
from rbg_autoscaler.operate.settings import LeaseSettings

log = logging.getLogger(__name__)


def steady_clock() -> float:
    """Seconds on a clock that never steps and counts a suspended machine's time too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Elector:
    """Holds or awaits the Lease; `is_leader()` is safe to ask right before each write."""

    def __init__(
        self,
        api: KubeApi,
        settings: LeaseSettings,
        identity: str,
        *,
        clock: Callable[[], float] = steady_clock,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._wall = wall
        self._held_until = float("-inf")
        self._seen: tuple[str, str] | None = None
        self._seen_at = 0.0
        self._round_at = clock()

    def is_leader(self) -> bool:
        """Whether this replica may act at this instant."""
        return self._clock() < self._held_until

    def seconds_since_round(self) -> float:
        """Time since the last try to acquire or renew ended, whatever its outcome."""
        return self._clock() - self._round_at

    async def run(self) -> None:
        """Acquire and renew for ever; cancelled, it gives the Lease up so that a successor need not wait."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(self._settings.retry_period_seconds)
        finally:
            await self._release()

    async def step(self) -> None:
        """One try to acquire or renew. An error changes nothing: the deadline passes by itself."""
        started = self._clock()
        was_leader = self.is_leader()
        try:
            async with asyncio.timeout(self._settings.renew_deadline_seconds / 2):
                held = await self._try()
        except (KubeError, TimeoutError) as error:
            log.warning("lease not renewed", extra={"error": str(error)})
        else:
            # Counted from before the request: the server may have stamped it that early.
            self._held_until = started + self._settings.renew_deadline_seconds if held else float("-inf")
        self._round_at = self._clock()
        if self.is_leader() != was_leader:
            log.info("became leader" if self.is_leader() else "lost leadership")

    async def _try(self) -> bool:
        try:
            lease = await self._api.request("GET", self._path())
        except NotFound:
            await self._create()
            return True
        spec = lease.get("spec") or {}
        if not self._may_take(spec):
            return False
        lease["spec"] = self._claim(spec)
        try:
            await self._api.request("PUT", self._path(), body=lease)
        except Conflict:
            return False
        return True

    def _may_take(self, spec: dict[str, Any]) -> bool:
        holder = spec.get("holderIdentity") or ""
        if holder in ("", self._identity):
            return True
        record = (holder, str(spec.get("renewTime")))
        if record != self._seen:
            self._seen, self._seen_at = record, self._clock()
        duration = float(spec.get("leaseDurationSeconds") or self._settings.duration_seconds)
        return self._clock() - self._seen_at > duration

    def _claim(self, old: dict[str, Any]) -> dict[str, Any]:
        now = self._wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        keeps = old.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._settings.duration_seconds,
            "acquireTime": old.get("acquireTime", now) if keeps else now,
            "renewTime": now,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if keeps else 1),
        }

    async def _create(self) -> None:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._settings.name, "namespace": self._settings.namespace},
            "spec": self._claim({}) | {"leaseTransitions": 0},
        }
        await self._api.request("POST", self._path(collection=True), body=lease)

    async def _release(self) -> None:
        if not self.is_leader():
            return
        self._held_until = float("-inf")
        try:
            async with asyncio.timeout(2):
                lease = await self._api.request("GET", self._path())
                if lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._api.request("PUT", self._path(), body=lease)
        except (KubeError, TimeoutError) as error:
            log.warning("lease not released; a successor waits for it to expire", extra={"error": str(error)})

    def _path(self, *, collection: bool = False) -> str:
        base = f"/apis/coordination.k8s.io/v1/namespaces/{self._settings.namespace}/leases"
        return base if collection else f"{base}/{self._settings.name}"
