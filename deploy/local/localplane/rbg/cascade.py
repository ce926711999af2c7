"""Deletes what a deleted object owned, so that the stand-in also works where nothing collects garbage.

With a garbage collector beside it both delete the same things; the second finds them gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp

from localplane.rbg import names
from localplane.rbg.client import ApiError, Resource
from localplane.rbg.names import Obj
from localplane.rbg.store import Store
from localplane.rbg.world import CONFIG_MAPS, INSTANCE_SETS, INSTANCES, POD_GROUPS, SERVICES, World

_LOG = logging.getLogger("rbg")
_FOREGROUND = "foregroundDeletion"


class Cascade:
    """Queues deletions as the stores report them; `run` carries them out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queue: asyncio.Queue[Callable[[], Awaitable[object]]] = asyncio.Queue()
        self._gone: set[str] = set()
        for store in world.stores:
            store.subscribe(partial(self._saw, store))

    def _saw(self, store: Store, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            self._gone.add(names.uid_of(old))
            self._queue.put_nowait(partial(self._follow, old, False))
            self._owner_may_go(old)
        elif names.is_deleting(new):
            if _FOREGROUND in (new["metadata"].get("finalizers") or []):
                self._queue.put_nowait(partial(self._follow, new, True))
        elif any(owner["uid"] in self._gone for owner in new["metadata"].get("ownerReferences") or []):
            # Made by a pass that had not yet seen its owner go.
            self._queue.put_nowait(partial(self._world.delete, store.resource, new))

    def _owner_may_go(self, child: Obj) -> None:
        for reference in child["metadata"].get("ownerReferences") or []:
            for store in self._world.stores:
                owner = store.get(names.namespace_of(child), reference["name"])
                if owner is not None and names.uid_of(owner) == reference["uid"] and names.is_deleting(owner):
                    self._queue.put_nowait(partial(self._follow, owner, True))

    async def run(self) -> None:
        while True:
            step = await self._queue.get()
            try:
                await step()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                _LOG.warning("cascade: %r", error)

    async def _follow(self, obj: Obj, foreground: bool) -> None:
        uid = names.uid_of(obj)
        children = [(s.resource, child) for s in self._world.stores for child in s.owned_by(uid)]
        calls = [
            self._world.delete(
                resource, child, foreground=foreground and resource in (INSTANCE_SETS, INSTANCES)
            )
            for resource, child in children
            if not names.is_deleting(child)
        ]
        await asyncio.gather(*calls)
        await self._delete_unwatched(obj)
        if foreground and not children:
            await self._release(obj)

    async def _delete_unwatched(self, obj: Obj) -> None:
        """Kinds that no store watches, found by the names they must have."""
        name = names.name_of(obj)
        if obj["kind"] == "RoleBasedGroup":
            await self._delete_if_owned(CONFIG_MAPS, obj, name)
            if names.annotations_of(obj).get(names.GANG) == "true":
                await self._delete_if_owned(POD_GROUPS, obj, name)
        elif obj["kind"] == "RoleInstanceSet":
            labels = names.labels_of(obj)
            service = names.service_name(labels.get(names.GROUP_NAME, ""), labels.get(names.ROLE_NAME, ""))
            await self._delete_if_owned(SERVICES, obj, service)

    async def _delete_if_owned(self, resource: Resource, owner: Obj, name: str) -> None:
        live = await self._world.read(resource, names.namespace_of(owner), name)
        reference = names.owner_of(live, owner["kind"]) if live else None
        if live is not None and reference is not None and reference["uid"] == names.uid_of(owner):
            await self._world.delete(resource, live)

    async def _release(self, obj: Obj) -> None:
        """Nothing is left below: take the finalizer away, as a garbage collector would."""
        store = next((s for s in self._world.stores if s.resource.kind == obj["kind"]), None)
        finalizers = [f for f in obj["metadata"].get("finalizers") or [] if f != _FOREGROUND]
        if store is not None:
            await self._world.merge(
                store.resource, obj, {"metadata": {"finalizers": finalizers}}, "rbg-stand-in"
            )
