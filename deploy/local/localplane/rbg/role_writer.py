"""Writes one role's objects where they differ, and takes away those of roles that are gone."""

from __future__ import annotations

import asyncio

from localplane.rbg import adapters, groups, names, workloads
from localplane.rbg.merge import contains
from localplane.rbg.names import Obj
from localplane.rbg.templates import GroupContext
from localplane.rbg.world import ADAPTERS, SERVICES, WORKLOADS, World

_OBSERVED_SECONDS = 0.3


class RoleWriter:
    """Keeps the objects of roles as `workloads` and `adapters` say."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._served: set[str] = set()

    def live_workload(self, group: Obj, role: Obj) -> Obj | None:
        store = self._world.store_of(WORKLOADS[workloads.workload_kind(role)[1]])
        assert store is not None
        name = names.workload_name(names.name_of(group), role["name"])
        return store.get(names.namespace_of(group), name)

    async def write(self, group: Obj, role: Obj, replicas: int, context: GroupContext) -> None:
        """Workload first, then its service, then the adapter.

        Raises:
            PatternError, ComponentSizeMissing: the role cannot be resolved.
            ApiError: a write was refused.
        """
        wanted = workloads.workload(role, replicas, group, context)
        live = self.live_workload(group, role)
        if live is None or not contains(live, wanted):
            live = await self._world.apply(WORKLOADS[wanted["kind"]], wanted, "rbg")
        if names.uid_of(live) not in self._served:
            await self._world.create(SERVICES, workloads.service(role, replicas, live, context), "rbg")
            self._served.add(names.uid_of(live))
        await self._write_adapter(group, role)

    async def wait_until_observed(self, group: Obj) -> None:
        """The real one is so slow that its sets have answered by its next pass; this one waits for them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _OBSERVED_SECONDS
        uid = names.uid_of(group)
        while loop.time() < deadline:
            owned = self._world.instance_sets.owned_by(uid)
            if all(workloads.observed_status(live) is not None for live in owned):
                return
            await asyncio.sleep(0.01)

    async def _write_adapter(self, group: Obj, role: Obj) -> None:
        name = names.adapter_name(names.name_of(group), role["name"])
        live = self._world.adapters.get(names.namespace_of(group), name)
        if not groups.adapter_enabled(role):
            if live is not None and _owned(live, group):
                await self._world.delete(ADAPTERS, live)
            return
        if live is None:
            await self._world.create(ADAPTERS, adapters.bare(group, role), "rolebasedgroup")
        elif not contains(names.labels_of(live), adapters.labels(group, role)):
            # A hand-made adapter of this name gets the labels too, but no owner, and is never bound.
            body = {"metadata": {"labels": adapters.labels(group, role)}}
            await self._world.merge(ADAPTERS, live, body, "rolebasedgroup")

    async def remove_stale(self, group: Obj) -> None:
        """Delete workloads and adapters of roles that the spec no longer has."""
        kept = {role["name"] for role in groups.roles_of(group)}
        uid = names.uid_of(group)
        for adapter in self._world.adapters.owned_by(uid):
            if adapter["spec"]["scaleTargetRef"]["role"] not in kept:
                await self._world.delete(ADAPTERS, adapter)
        for resource in WORKLOADS.values():
            store = self._world.store_of(resource)
            assert store is not None
            for live in store.owned_by(uid):
                if names.labels_of(live).get(names.ROLE_NAME) not in kept and not names.is_deleting(live):
                    await self._world.delete(resource, live)


def _owned(adapter: Obj, group: Obj) -> bool:
    owner = names.owner_of(adapter, "RoleBasedGroup")
    return owner is not None and owner["uid"] == names.uid_of(group)
