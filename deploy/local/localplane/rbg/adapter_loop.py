"""Carries out an adapter's life: bind it, push its number into the group, report what is ready."""

from __future__ import annotations

from localplane.rbg import adapters, names
from localplane.rbg.client import ApiError
from localplane.rbg.events import timestamp
from localplane.rbg.groups import is_bound
from localplane.rbg.names import Obj
from localplane.rbg.queue import RetryError
from localplane.rbg.store import Key
from localplane.rbg.workloads import workload_kind
from localplane.rbg.world import ADAPTERS, GROUPS, World

_SOURCE = "RoleBasedGroupScalingAdapter"
_CONFLICT_TRIES = 8


class AdapterLoop:
    """Reconciles adapters by key."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bound_twice: set[str] = set()

    async def reconcile(self, key: Key) -> float | None:
        adapter = self._world.adapters.get(*key)
        if adapter is None or names.is_deleting(adapter):
            return None
        group = self._owning_group(adapter)
        role = adapters.find_role(group, adapter) if group else None
        if group is None or role is None:
            return None
        if not is_bound(adapter):
            await self._bind(group, role, adapter)
            return 0.25 if self._world.options.double_binding else None
        if self._world.options.double_binding and names.uid_of(adapter) not in self._bound_twice:
            self._bound_twice.add(names.uid_of(adapter))
            await self._bind(group, role, adapter)
            return None
        await self._push(group, adapter)
        return None

    def _owning_group(self, adapter: Obj) -> Obj | None:
        """The group that owns the adapter; hand-made adapters have none and are left alone."""
        owner = names.owner_of(adapter, "RoleBasedGroup")
        group = self._world.groups.get(
            names.namespace_of(adapter), str(adapter["spec"]["scaleTargetRef"]["name"])
        )
        if owner is None or group is None or owner["uid"] != names.uid_of(group):
            return None
        return group

    async def _bind(self, group: Obj, role: Obj, adapter: Obj) -> None:
        replicas = int(role.get("replicas", 1))
        ready = int(adapters.role_status(group, role["name"]).get("readyReplicas", 0))
        try:
            await self._world.apply(ADAPTERS, adapters.binding(adapter, replicas), "rbg")
            status = adapters.bound_status(adapter, replicas, ready, self._selector(group, role))
            await self._world.apply(ADAPTERS, status, "rbg", "status")
        except ApiError as error:
            raise RetryError(str(error)) from error
        message = f"Succeed to find scale target role [{role['name']}] of rbg [{names.name_of(group)}]"
        self._world.recorder.emit(adapter, "Normal", "SuccessfulBound", message, _SOURCE)

    def _selector(self, group: Obj, role: Obj) -> str:
        if workload_kind(role)[1] != "RoleInstanceSet":
            return ""
        name = names.workload_name(names.name_of(group), role["name"])
        live = self._world.instance_sets.get(names.namespace_of(group), name)
        if live is None:
            return ""
        if self._world.options.broken_selectors:
            live = {**live, "status": {}}
        elif not (live.get("status") or {}).get("labelSelector"):
            raise RetryError("the set has no selector yet")
        return adapters.selector(live)

    async def _push(self, group: Obj, adapter: Obj) -> None:
        role = str(adapter["spec"]["scaleTargetRef"]["role"])
        ready = int(adapters.role_status(group, role).get("readyReplicas", 0))
        for _ in range(_CONFLICT_TRIES):
            push = adapters.push(group, adapter)
            if push is None:
                break
            try:
                await self._world.put(GROUPS, push.group, "rolebasedgroupscalingadapter")
            except ApiError as error:
                if error.code not in (404, 409):
                    await self._report_ready(adapter, ready)
                fresh = await self._after_refusal(group, adapter, push, error)
                if fresh is None:
                    return
                group = fresh
                continue
            await self._report_scaled(group, adapter, push, ready)
            return
        await self._report_ready(adapter, ready)

    async def _report_ready(self, adapter: Obj, ready: int) -> None:
        if (adapter.get("status") or {}).get("readyReplicas", 0) != ready:
            status = adapters.status_with(adapter, readyReplicas=ready)
            await self._world.apply(ADAPTERS, status, "rbg", "status")

    async def _report_scaled(self, group: Obj, adapter: Obj, push: adapters.Push, ready: int) -> None:
        status = adapters.status_with(
            adapter, replicas=push.after, readyReplicas=ready, lastScaleTime=timestamp()
        )
        await self._world.apply(ADAPTERS, status, "rbg", "status")
        message = f"Succeed to scale target {self._step(group, adapter, push)}"
        self._world.recorder.emit(adapter, "Normal", "SuccessfulScale", message, _SOURCE)

    async def _after_refusal(
        self, group: Obj, adapter: Obj, push: adapters.Push, error: ApiError
    ) -> Obj | None:
        """The group to try again with after a conflict, None if it is gone.

        Raises:
            RetryError: admission denied the write; the workload follows the adapter all the same.
        """
        if error.code == 404:
            return None
        if error.code == 409:
            return await self._world.read(GROUPS, names.namespace_of(group), names.name_of(group))
        message = f"Failed to scale target {self._step(group, adapter, push)}: {error.message}"
        self._world.recorder.emit(adapter, "Warning", "FailedScale", message, _SOURCE)
        raise RetryError(str(error)) from error

    @staticmethod
    def _step(group: Obj, adapter: Obj, push: adapters.Push) -> str:
        role = adapter["spec"]["scaleTargetRef"]["role"]
        return f"role [{role}] of rbg [{names.name_of(group)}] from {push.before} to {push.after} replicas"
