"""Which change makes which loop look, and the running of everything until cancelled.

A group is looked at when its spec, its adapters' specs or its workloads change; an adapter when its spec or
the group's roleStatuses do. A group's own number alone therefore never wakes its adapter: a stale one can
stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp import web

from localplane.rbg import instances, names
from localplane.rbg.adapter_loop import AdapterLoop
from localplane.rbg.cascade import Cascade
from localplane.rbg.client import ApiError
from localplane.rbg.group_loop import GroupLoop
from localplane.rbg.group_set_loop import GroupSetLoop
from localplane.rbg.instance_loop import InstanceLoop
from localplane.rbg.instance_set_loop import InstanceSetLoop
from localplane.rbg.names import Obj
from localplane.rbg.queue import WorkQueue
from localplane.rbg.store import Key
from localplane.rbg.webhook import Webhook
from localplane.rbg.world import World

_WORKERS = {"groups": 8, "adapters": 8, "sets": 8, "instances": 16, "group sets": 2}
_STATUS_DELAY_SECONDS = 0.08
"""From a workload's change to the pass that reports it: statuses of one batch of roles arrive together."""
_CHILD_DELAY_SECONDS = 0.015
"""From a child's change to the set's answer: the child's own pass has read the change by then."""
_RETRYABLE = (ApiError, aiohttp.ClientError, TimeoutError)


class Controller:
    """All loops with their queues, woken by the stores of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ready = False
        self._groups = WorkQueue("group", GroupLoop(world).reconcile, retryable=_RETRYABLE)
        self._adapters = WorkQueue(
            "adapter", AdapterLoop(world).reconcile, delay_seconds=0.01, retryable=_RETRYABLE
        )
        self._sets = WorkQueue("set", InstanceSetLoop(world).reconcile, retryable=_RETRYABLE)
        self._instances = WorkQueue(
            "instance", InstanceLoop(world).reconcile, delay_seconds=0.02, retryable=_RETRYABLE
        )
        self._group_sets = WorkQueue("group set", GroupSetLoop(world).reconcile, retryable=_RETRYABLE)
        self._cascade = Cascade(world)
        self._subscribe()

    async def run(self, health_port: int, webhook: Webhook | None) -> None:
        """Watch, then work, for ever; healthy once all stores are filled."""
        async with asyncio.TaskGroup() as tasks:
            await self._serve_health(health_port)
            for store in self._world.stores:
                tasks.create_task(store.run(self._world.client))
            await asyncio.gather(*(store.synced.wait() for store in self._world.stores))
            if webhook is not None:
                await webhook.start()
            tasks.create_task(self._world.recorder.run())
            tasks.create_task(self._cascade.run())
            queues = (self._groups, self._adapters, self._sets, self._instances, self._group_sets)
            for queue, count in zip(queues, _WORKERS.values(), strict=True):
                for _ in range(count):
                    tasks.create_task(queue.work())
            self._ready = True

    async def _serve_health(self, port: int) -> None:
        async def health(_: web.Request) -> web.Response:
            return web.Response(text="ok" if self._ready else "starting", status=200 if self._ready else 503)

        app = web.Application()
        app.router.add_get("/healthz", health)
        app.router.add_get("/readyz", health)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    def _subscribe(self) -> None:
        world = self._world
        world.groups.subscribe(self._group_changed)
        world.adapters.subscribe(self._adapter_changed)
        world.instance_sets.subscribe(self._set_changed)
        world.instances.subscribe(self._instance_changed)
        world.pods.subscribe(self._pod_changed)
        world.group_sets.subscribe(self._group_set_changed)
        world.deployments.subscribe(self._workload_changed)
        world.stateful_sets.subscribe(self._workload_changed)

    def _group_changed(self, old: Obj | None, new: Obj | None) -> None:
        group = new or old
        assert group is not None
        if new is not None and _moved(old, new, lambda obj: obj["metadata"].get("generation")):
            self._groups.add(_key(new))
        if new is not None and _moved(old, new, lambda obj: (obj.get("status") or {}).get("roleStatuses")):
            for adapter in self._world.adapters.owned_by(names.uid_of(new)):
                self._adapters.add(_key(adapter))
        parent = names.owner_of(group, "RoleBasedGroupSet")
        if parent is not None:
            self._group_sets.add((names.namespace_of(group), parent["name"]), _CHILD_DELAY_SECONDS)

    def _adapter_changed(self, old: Obj | None, new: Obj | None) -> None:
        adapter = new or old
        assert adapter is not None
        if new is not None and not _moved(old, new, lambda obj: obj["metadata"].get("generation")):
            return
        if new is not None:
            self._adapters.add(_key(new))
        if names.owner_of(adapter, "RoleBasedGroup") is not None:
            self._groups.add((names.namespace_of(adapter), adapter["spec"]["scaleTargetRef"]["name"]))

    def _set_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and _moved(old, new, lambda obj: obj["metadata"].get("generation")):
            self._sets.add(_key(new))
        self._workload_changed(old, new)

    def _workload_changed(self, old: Obj | None, new: Obj | None) -> None:
        workload = new or old
        assert workload is not None
        owner = names.owner_of(workload, "RoleBasedGroup")
        if owner is not None:
            self._groups.add((names.namespace_of(workload), owner["name"]), _STATUS_DELAY_SECONDS)

    def _instance_changed(self, old: Obj | None, new: Obj | None) -> None:
        instance = new or old
        assert instance is not None
        if new is not None and _moved(old, new, lambda obj: obj["metadata"].get("generation")):
            self._instances.add(_key(new))
        if new is None or _moved(old, new, _what_a_set_sees):
            owner = names.owner_of(instance, "RoleInstanceSet")
            if owner is not None:
                self._sets.add((names.namespace_of(instance), owner["name"]))

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        assert pod is not None
        name = names.labels_of(pod).get(names.INSTANCE_NAME, "")
        self._instances.add((names.namespace_of(pod), name))
        group = (names.namespace_of(pod), names.labels_of(pod).get(names.GROUP_NAME, ""))
        if self._world.policies.get(*group) and new and _moved(old, new, lambda o: o["spec"].get("nodeName")):
            # A gate of a CoordinatedPolicy may open: OrderScheduled counts bound pods.
            self._groups.add(group)

    def _group_set_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and _moved(old, new, lambda obj: obj["metadata"].get("generation")):
            self._group_sets.add(_key(new))


def _what_a_set_sees(instance: Obj) -> object:
    return instances.view(instance)


def _moved(old: Obj | None, new: Obj, part: Callable[[Obj], object]) -> bool:
    return old is None or names.uid_of(old) != names.uid_of(new) or part(old) != part(new)


def _key(obj: Obj) -> Key:
    return names.namespace_of(obj), names.name_of(obj)
