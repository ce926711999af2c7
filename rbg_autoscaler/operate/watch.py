"""kopf watches the objects and feeds the caches; it never writes anything on them.

Only `on.event` handlers are used: no finalizer, no annotation, nothing that a RoleBasedGroupSet would strip
or that would block a deletion. A periodic full list heals what a watch lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import kopf

from rbg_autoscaler.api.types import GROUP, ObjectKey
from rbg_autoscaler.kube.client import KubeApi, KubeError, NotFound
from rbg_autoscaler.observe.cluster_reader import sync_kind
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.operate.collector import settle
from rbg_autoscaler.operate.telemetry import Telemetry

log = logging.getLogger(__name__)


def registry(store: ClusterStore, kinds: Sequence[Kind]) -> kopf.OperatorRegistry:
    """One event handler a kind, each feeding the store; a registry of one's own needs its login, too."""
    made = kopf.OperatorRegistry()
    kopf.on.login(registry=made, id="login", errors=kopf.ErrorsMode.TEMPORARY)(_log_in)
    for kind in kinds:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=made, id=kind.plural)(
            _feed(store, kind)
        )
    return made


def _log_in(**details: Any) -> kopf.ConnectionInfo | None:
    """As the rest of the program: the kubeconfig that KUBECONFIG names, else the pod's service account."""
    if os.environ.get("KUBECONFIG"):
        return kopf.login_with_kubeconfig(**details)
    account = kopf.login_with_service_account(**details)
    return account if account is not None else kopf.login_with_kubeconfig(**details)


def _feed(store: ClusterStore, kind: Kind) -> Callable[..., Awaitable[None]]:
    async def feed(event: Any, **_: Any) -> None:
        obj = event["object"]
        if event.get("type") == "DELETED":
            meta = obj["metadata"]
            store.remove(kind, ObjectKey(meta.get("namespace", ""), meta["name"]), meta.get("uid"))
        else:
            store.apply(kind, obj)

    return feed


def settings(kinds: Sequence[Kind]) -> kopf.OperatorSettings:
    """Make kopf a silent watcher: no peering, no posted events, short time-outs, paged lists."""
    made = kopf.OperatorSettings()
    made.peering.standalone = True
    made.posting.enabled = False
    made.scanning.disabled = True
    made.watching.chunk_size = 500
    made.watching.connect_timeout = 5
    made.watching.server_timeout = 270
    made.networking.request_timeout = 15
    made.networking.error_backoffs = Patience()
    made.persistence.finalizer = f"{GROUP}/never-set"
    made.process.ultimate_exiting_timeout = 10
    for kind in kinds:
        if kind.label_selector:
            made.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.label_selector
    return made


class Patience:
    """Pauses between tries of a watch, without end: after its usual nine, 54 s, kopf ends the process."""

    def __iter__(self) -> Iterator[float]:
        """1, 1, 2, 3, 5, 8, then 10 s for ever; each request counts anew."""
        yield from (1, 1, 2, 3, 5, 8)
        while True:
            yield 10


async def served_kinds(api: KubeApi) -> tuple[Kind, ...]:
    """The kinds this cluster serves: kopf would look for an absent one in vain."""
    return tuple([kind for kind in Kind if not kind.optional or await _is_served(api, kind)])


async def _is_served(api: KubeApi, kind: Kind) -> bool:
    try:
        resources = await api.request("GET", f"/apis/{kind.group}/{kind.version}")
    except NotFound:
        return False
    return any(resource["name"] == kind.plural for resource in resources["resources"])


class Pruner:
    """Lists every kind and makes the store agree: at start, which fills it, and then once a period."""

    def __init__(
        self,
        api: KubeApi,
        store: ClusterStore,
        namespaces: Sequence[str],
        telemetry: Telemetry,
        kinds: Sequence[Kind] = (),
    ) -> None:
        self._api = api
        self._store = store
        self._namespaces = namespaces
        self._telemetry = telemetry
        self._full = asyncio.Event()
        self.kinds = tuple(kinds)
        """The kinds the cluster serves; found out by the first round if not given."""

    @property
    def filled(self) -> bool:
        """Whether every kind was listed once."""
        return self._full.is_set()

    async def wait_filled(self) -> None:
        """Return once every kind was listed."""
        await self._full.wait()

    async def run(
        self, period_seconds: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Fill, then prune for ever; a failing list is tried again soon and changes nothing meanwhile."""
        while True:
            try:
                await self.round()
            except KubeError as error:
                log.warning("cache not listed", extra={"error": str(error)})
                await sleep(min(period_seconds, 5))
            else:
                await sleep(period_seconds)

    async def round(self) -> None:
        """One full list of every kind."""
        self.kinds = self.kinds or await served_kinds(self._api)
        for kind in self.kinds:
            drift = await sync_kind(self._api, self._store, kind, self._namespaces)
            if drift and self.filled:
                log.warning("watch had lost changes", extra={"kind": kind.plural, "objects": drift})
                self._telemetry.cache_drift.labels(kind.plural).inc(drift)
        settle()
        self._full.set()
