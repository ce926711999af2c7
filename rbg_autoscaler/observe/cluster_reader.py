"""Reads the cluster by lists alone, page by page into the store: for one-shot commands, pruning and re-reads.

Of every page only the slim objects stay. What cannot be read is reported with its mend, and the rest is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.kube.client import Forbidden, KubeApi, NotFound, Object
from rbg_autoscaler.observe.kinds import GROUP_LABEL, Kind
from rbg_autoscaler.observe.project import key_of
from rbg_autoscaler.observe.store import ClusterStore


class Unreadable(NamedTuple):
    """A kind that the cluster does not serve, or not to us, and what follows from that."""

    kind: Kind
    namespace: str | None
    message: str


_MISSED = {
    Kind.RBG_AUTOSCALER: "none are read from the cluster",
    Kind.ROLE_BASED_GROUP: "no target can be found",
    Kind.SCALING_ADAPTER: "roles with a scaling adapter look as if it were not Bound",
    Kind.ROLE_INSTANCE_SET: "effective and ready counts are those of the RoleBasedGroup's status",
    Kind.POD: "series cannot be joined to role instances",
    Kind.COORDINATED_POLICY: "throttling by a policy is not seen",
    Kind.HORIZONTAL_POD_AUTOSCALER: "other autoscalers of the same role are not seen",
}


async def read_cluster(
    api: KubeApi, namespace: str | None = None
) -> tuple[ClusterStore, tuple[Unreadable, ...]]:
    """All kinds of one namespace, or of all, in a new store.

    Raises: KubeError, if the API server cannot be reached at all.
    """
    store = ClusterStore()
    namespaces = () if namespace is None else (namespace,)
    problems = await asyncio.gather(*(_read_kind(api, store, kind, namespaces) for kind in Kind))
    return store, tuple(problem for problem in problems if problem is not None)


async def sync_kind(api: KubeApi, store: ClusterStore, kind: Kind, namespaces: Sequence[str] = ()) -> int:
    """Makes the store agree with a full list of the kind, in these namespaces or in all.

    Returns how many objects were forgotten that no watch had reported as deleted. A kind that may be absent
    counts as empty where the cluster does not serve it. Raises: KubeError.
    """
    forgotten = 0
    for namespace in namespaces or (None,):
        try:
            listed, version = await _list_into(api, store, kind, namespace)
        except NotFound:
            if not kind.optional:
                raise
            listed, version = set(), ""
        forgotten += store.prune(kind, listed, resource_version=version, namespace=namespace)
    return forgotten


async def refresh_group(api: KubeApi, store: ClusterStore, group: ObjectKey) -> None:
    """Reads one group and its adapters, workloads and pods again, after a write met a change it did not know.

    Raises: KubeError.
    """
    try:
        store.apply(Kind.ROLE_BASED_GROUP, await api.request("GET", Kind.ROLE_BASED_GROUP.object(group)))
    except NotFound:
        store.remove(Kind.ROLE_BASED_GROUP, group)
    kinds = (Kind.SCALING_ADAPTER, Kind.ROLE_INSTANCE_SET, Kind.POD)
    await asyncio.gather(*(_refresh_kind(api, store, kind, group) for kind in kinds))


async def _refresh_kind(api: KubeApi, store: ClusterStore, kind: Kind, group: ObjectKey) -> None:
    namespace, name = group
    # An adapter made by hand may lack the label and still stand in the way of the group's own.
    selector = None if kind is Kind.SCALING_ADAPTER else f"{GROUP_LABEL}={name}"
    listed, version = await _list_into(api, store, kind, namespace, selector)
    of_group = name if selector else None
    store.prune(kind, listed, resource_version=version, namespace=namespace, group=of_group)


async def _read_kind(
    api: KubeApi, store: ClusterStore, kind: Kind, namespaces: Sequence[str]
) -> Unreadable | None:
    namespace = namespaces[0] if namespaces else None
    try:
        await sync_kind(api, store, kind, namespaces)
    except NotFound:
        why = f"the cluster does not serve {kind.plural} in {kind.group}/{kind.version}"
    except Forbidden as error:
        why = error.message
    else:
        return None
    return Unreadable(kind, namespace, f"{why}: {_MISSED[kind]}")


async def _list_into(
    api: KubeApi, store: ClusterStore, kind: Kind, namespace: str | None, selector: str | None = None
) -> tuple[set[ObjectKey], str]:
    """Applies every listed object as its page arrives; the keys that were there, as of which version."""

    def keep(obj: Object) -> ObjectKey:
        store.apply(kind, obj)
        return key_of(obj)

    selector = selector or kind.label_selector
    query = {"labelSelector": selector} if selector else {}
    listed = await api.list_all(kind.collection(namespace), query, keep)
    return set(listed.items), listed.resource_version
