"""One pass over a RoleBasedGroupSet: children made, put back to the template, deleted; its status."""

from __future__ import annotations

import logging

from localplane.rbg import names, sets
from localplane.rbg.client import ApiError
from localplane.rbg.events import timestamp
from localplane.rbg.names import Obj
from localplane.rbg.queue import RetryError
from localplane.rbg.store import Key
from localplane.rbg.world import GROUP_SETS, GROUPS, World

_LOG = logging.getLogger("rbg")
_MANAGER = "rolebasedgroupset"


class GroupSetLoop:
    """Reconciles group sets by key."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def reconcile(self, key: Key) -> float | None:
        parent = self._world.group_sets.get(*key)
        if parent is None or names.is_deleting(parent):
            return None
        replicas = int(parent["spec"].get("replicas", 1))
        children = {sets.index_of(group): group for group in self._children(parent)}
        for index in range(replicas):
            wanted = sets.child(parent, index)
            if index not in children:
                await self._world.create(GROUPS, wanted, _MANAGER)
            elif not names.is_deleting(children[index]):
                await self._put_back(children[index], wanted)
        for index in sorted((i for i in children if i >= replicas), reverse=True):
            await self._world.delete(GROUPS, children[index])
        await self._keep_status(parent)
        return None

    def _children(self, parent: Obj) -> list[Obj]:
        return self._world.groups.owned_by(names.uid_of(parent))

    async def _put_back(self, live: Obj, wanted: Obj) -> None:
        """Overwrite a child that differs. Denied writes show in the log only, as with the real one.

        Raises:
            RetryError: the write was refused; a conflict means that there is something newer to look at.
        """
        changed = sets.overwritten(live, wanted)
        if changed is None:
            return
        try:
            await self._world.put(GROUPS, changed, _MANAGER)
        except ApiError as error:
            if error.code not in (404, 409):
                _LOG.error("failed to update RoleBasedGroup %s: %s", names.name_of(live), error.message)
            raise RetryError(str(error)) from error

    async def _keep_status(self, parent: Obj) -> None:
        status = sets.status(parent, self._children(parent), timestamp())
        if status != (parent.get("status") or {}):
            await self._world.merge(GROUP_SETS, parent, {"status": status}, _MANAGER, "status")
