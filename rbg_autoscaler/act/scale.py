"""Writes the replica counts of one group: by each role's scaling adapter, else by one guarded JSON patch.

Every write is guarded by what was just read (resourceVersion, uid, name, old count), so a race is an answer
`Moved`, never a lost update; the roles of one group that have no adapter are written in a single patch, which
a CoordinatedPolicy then scales in step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rbg_autoscaler.decide.decision import RoleDecision
from rbg_autoscaler.decide.snapshot import GroupView, WritePath
from rbg_autoscaler.kube.client import Conflict, Invalid, KubeApi, KubeError, NotFound

API = "/apis/workloads.x-k8s.io/v1alpha2"
FIELD_MANAGER = {"fieldManager": "rbg-autoscaler"}
REBIND_SECONDS = 1.0
"""A lagging RBG controller may bind an adapter twice and put back a write made 0.25 s after Bound."""


class Result(StrEnum):
    """How a write ended, by what the caller does next."""

    WRITTEN = "written"
    MOVED = "moved"
    """The object is not what was decided on: read again and decide again."""
    FAILED = "failed"
    """Refused or unreachable: report, and let the next sync decide."""


@dataclass(frozen=True)
class Outcome:
    """The end of one role's write."""

    role: RoleDecision
    result: Result
    message: str = ""


class RoleWriter:
    """Writes replica counts through the API server."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def write(self, group: GroupView, changes: Sequence[RoleDecision]) -> tuple[Outcome, ...]:
        """Write `granted` of every role in `changes`, all at once; outcomes come in their order."""
        paths = {role.name: role.write_path for role in group.roles}
        plain = [change for change in changes if paths.get(change.role) is WritePath.GROUP]
        tasks = [
            self._through_adapter(group, change)
            for change in changes
            if paths.get(change.role) is WritePath.ADAPTER
        ]
        through_adapters, patched = await asyncio.gather(
            asyncio.gather(*tasks), self._through_group(group, plain)
        )
        done = {outcome.role.role: outcome for outcome in (*through_adapters, *patched)}
        return tuple(done[change.role] for change in changes if change.role in done)

    async def confirm(
        self, group: GroupView, outcomes: Sequence[Outcome], roles: frozenset[str]
    ) -> tuple[Outcome, ...]:
        """The outcomes after the adapters of these roles were read once more, `REBIND_SECONDS` later.

        A second binding may have put the old number back.
        """
        again = [one for one in outcomes if one.role.role in roles and one.result is Result.WRITTEN]
        found = {
            one.role.role: one for one in await asyncio.gather(*(self._confirmed(group, o) for o in again))
        }
        return tuple(found.get(one.role.role, one) for one in outcomes)

    async def _confirmed(self, group: GroupView, outcome: Outcome) -> Outcome:
        try:
            adapter = await self._api.request("GET", _adapter_path(group, outcome.role))
        except KubeError:
            return outcome
        if _adapter_replicas(adapter) == outcome.role.current:
            return Outcome(outcome.role, Result.MOVED, "the adapter was bound again and lost the write")
        return outcome

    async def _through_adapter(self, group: GroupView, change: RoleDecision) -> Outcome:
        path = _adapter_path(group, change)
        try:
            adapter = await self._api.request("GET", path)
            if problem := _adapter_problem(adapter, group, change):
                return Outcome(change, Result.MOVED, problem)
            body = {
                "metadata": {"resourceVersion": adapter["metadata"]["resourceVersion"]},
                "spec": {"replicas": change.granted},
            }
            await self._api.request(
                "PATCH",
                f"{path}/scale",
                body=body,
                content_type="application/merge-patch+json",
                query=FIELD_MANAGER,
            )
        except (Conflict, NotFound) as error:
            return Outcome(change, Result.MOVED, str(error))
        except KubeError as error:
            return Outcome(change, Result.FAILED, str(error))
        return Outcome(change, Result.WRITTEN)

    async def _through_group(self, group: GroupView, changes: Sequence[RoleDecision]) -> tuple[Outcome, ...]:
        if not changes:
            return ()
        path = f"{API}/namespaces/{group.key.namespace}/rolebasedgroups/{group.key.name}"
        try:
            operations = guarded_patch(await self._api.request("GET", path), group.uid, changes)
            await self._api.request(
                "PATCH",
                path,
                body=operations,
                content_type="application/json-patch+json",
                query=FIELD_MANAGER,
            )
        except (Moved, Conflict, Invalid, NotFound) as error:
            return tuple(Outcome(change, Result.MOVED, str(error)) for change in changes)
        except KubeError as error:
            return tuple(Outcome(change, Result.FAILED, str(error)) for change in changes)
        return tuple(Outcome(change, Result.WRITTEN) for change in changes)


class Moved(Exception):
    """The group is no longer what was decided on."""


def guarded_patch(
    group: Mapping[str, Any], uid: str, changes: Sequence[RoleDecision]
) -> list[dict[str, Any]]:
    """The JSON patch that sets the roles' counts if nothing moved since `group` was read.

    The index of a role is read afresh each time, since insertions and server-side apply reorder the list.

    Raises:
        Moved: when the group was made again, a role went, or its count is not the one decided on.
    """
    if group["metadata"]["uid"] != uid:
        raise Moved("the group was deleted and made again")
    roles = group["spec"]["roles"]
    index = {role["name"]: i for i, role in enumerate(roles)}
    operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": uid}]
    for change in changes:
        if change.role not in index:
            raise Moved(f"role {change.role} is gone")
        at = index[change.role]
        found = roles[at].get("replicas", 1)
        if found != change.current:
            raise Moved(f"role {change.role} has {found} replicas, not the {change.current} decided on")
        path = f"/spec/roles/{at}"
        operations += [
            {"op": "test", "path": f"{path}/name", "value": change.role},
            {"op": "test", "path": f"{path}/replicas", "value": change.current},
            {"op": "replace", "path": f"{path}/replicas", "value": change.granted},
        ]
    return operations


def _adapter_path(group: GroupView, change: RoleDecision) -> str:
    adapters = f"{API}/namespaces/{group.key.namespace}/rolebasedgroupscalingadapters"
    return f"{adapters}/{group.key.name}-{change.role}"


def _adapter_problem(adapter: Mapping[str, Any], group: GroupView, change: RoleDecision) -> str | None:
    """What makes this adapter another one than was decided on; /scale itself ignores a wrong uid."""
    owners = {owner.get("uid") for owner in adapter["metadata"].get("ownerReferences", ())}
    target = adapter.get("spec", {}).get("scaleTargetRef", {})
    if adapter.get("status", {}).get("phase") != "Bound":
        return "the scaling adapter is not Bound"
    if group.uid not in owners:
        return "the scaling adapter belongs to another group"
    if (target.get("name"), target.get("role")) != (group.key.name, change.role):
        return "the scaling adapter targets another role"
    if _adapter_replicas(adapter) != change.current:
        return (
            f"the scaling adapter asks for {_adapter_replicas(adapter)}, not the {change.current} decided on"
        )
    return None


def _adapter_replicas(adapter: Mapping[str, Any]) -> int:
    """At zero a Bound adapter's spec.replicas may be left out."""
    return int(adapter.get("spec", {}).get("replicas") or 0)
