"""All watched objects in their slim form, fed by watches and lists alike; one event loop reads and writes it.

What comes late never undoes what came early: an older resourceVersion is ignored, a deletion concerns one
uid only, and a uid once deleted does not come back. Views are kept until an object of their group changes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.snapshot import GroupView
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.objects import (
    AdapterObject,
    AutoscalerObject,
    GroupObject,
    HpaObject,
    InstanceSetObject,
    PodObject,
    PolicyObject,
    Slim,
)
from rbg_autoscaler.observe.project import Raw, key_of, project

Build = Callable[["ClusterStore", ObjectKey], GroupView | None]


class ClusterStore:
    """The cluster as it was last told."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[ObjectKey, Slim]] = {kind: {} for kind in Kind}
        self._pods: dict[ObjectKey, dict[ObjectKey, PodObject]] = defaultdict(dict)
        self._hpas: dict[str, dict[ObjectKey, HpaObject]] = defaultdict(dict)
        self._deleted: dict[Kind, tuple[set[str], set[str]]] = {kind: (set(), set()) for kind in Kind}
        self._group_changes: Counter[ObjectKey] = Counter()
        self._namespace_changes: Counter[str] = Counter()
        self._views: dict[ObjectKey, tuple[tuple[int, int], GroupView | None]] = {}

    # What is told.

    def apply(self, kind: Kind, obj: Raw) -> None:
        """An object was created or changed (or listed)."""
        key = key_of(obj)
        old = self._objects[kind].get(key)
        metadata = obj.get("metadata") or {}
        if any(metadata.get("uid") in uids for uids in self._deleted[kind]):
            return
        if old is not None and _is_older(metadata.get("resourceVersion", ""), old.version):
            return
        self._put(kind, key, old, project(kind, obj, old))

    def remove(self, kind: Kind, key: ObjectKey, uid: str | None = None) -> None:
        """An object was deleted; with a uid, only that very object, not a successor of the same name."""
        old = self._objects[kind].get(key)
        if uid:
            self._deleted[kind][1].add(uid)
        if old is not None and (not uid or old.uid == uid):
            self._put(kind, key, old, None)

    def replace(
        self,
        kind: Kind,
        objs: Iterable[Raw],
        *,
        resource_version: str = "",
        namespace: str | None = None,
        group: str | None = None,
    ) -> int:
        """A list is the truth of its version: applies its objects, forgets what it lacks (see `prune`)."""
        listed: set[ObjectKey] = set()
        for obj in objs:
            self.apply(kind, obj)
            listed.add(key_of(obj))
        return self.prune(kind, listed, resource_version=resource_version, namespace=namespace, group=group)

    def prune(
        self,
        kind: Kind,
        listed: Container[ObjectKey],
        *,
        resource_version: str = "",
        namespace: str | None = None,
        group: str | None = None,
    ) -> int:
        """Forgets what a list lacked, but for objects newer than the list.

        `namespace` and `group` say what was listed if it was not everything. Returns how many were forgotten:
        ghosts whose deletion no watch had told.
        """
        ghosts = [
            (key, old)
            for key, old in self._objects[kind].items()
            if key not in listed
            and namespace in (None, key.namespace)
            and group in (None, _group_name(old))
            and not _is_older(resource_version, old.version)
        ]
        for key, old in ghosts:
            self._put(kind, key, old, None)
        if namespace is None and group is None:
            # A uid deleted before the list before this one was asked for cannot come in any more.
            self._deleted[kind] = (self._deleted[kind][1], set())
        return len(ghosts)

    # What is asked.

    def autoscalers(self) -> list[AutoscalerObject]:
        """All RbgAutoscalers, sorted by key."""
        found = self._objects[Kind.RBG_AUTOSCALER]
        return [obj for _, obj in sorted(found.items()) if isinstance(obj, AutoscalerObject)]

    def statuses(self) -> Mapping[ObjectKey, dict[str, Any]]:
        """The status of every RbgAutoscaler; each is parsed when it is asked for."""
        return _Statuses(self._objects[Kind.RBG_AUTOSCALER])

    def group(self, key: ObjectKey) -> GroupObject | None:
        """The RoleBasedGroup of that key."""
        obj = self._objects[Kind.ROLE_BASED_GROUP].get(key)
        return obj if isinstance(obj, GroupObject) else None

    def adapter(self, key: ObjectKey) -> AdapterObject | None:
        """The scaling adapter of that key."""
        obj = self._objects[Kind.SCALING_ADAPTER].get(key)
        return obj if isinstance(obj, AdapterObject) else None

    def instance_set(self, key: ObjectKey) -> InstanceSetObject | None:
        """The RoleInstanceSet of that key."""
        obj = self._objects[Kind.ROLE_INSTANCE_SET].get(key)
        return obj if isinstance(obj, InstanceSetObject) else None

    def policy(self, key: ObjectKey) -> PolicyObject | None:
        """The CoordinatedPolicy of that key."""
        obj = self._objects[Kind.COORDINATED_POLICY].get(key)
        return obj if isinstance(obj, PolicyObject) else None

    def pods(self, group: ObjectKey) -> list[PodObject]:
        """The pods of a group, sorted by name."""
        return [pod for _, pod in sorted(self._pods.get(group, {}).items())]

    def hpas(self, namespace: str) -> list[HpaObject]:
        """The HorizontalPodAutoscalers of a namespace, sorted by name."""
        return [hpa for _, hpa in sorted(self._hpas.get(namespace, {}).items())]

    def view(self, group: ObjectKey, build: Build) -> GroupView | None:
        """`build(self, group)`, made anew only when an object it may look at has changed."""
        state = (self._group_changes[group], self._namespace_changes[group.namespace])
        known = self._views.get(group)
        if known is None or known[0] != state:
            known = self._views[group] = (state, build(self, group))
        return known[1]

    def forget_views(self, wanted: Iterable[ObjectKey]) -> None:
        """Drops the views of all groups but the wanted."""
        for key in self._views.keys() - set(wanted):
            del self._views[key]

    def count(self, kind: Kind) -> int:
        """How many objects of a kind are known."""
        return len(self._objects[kind])

    def _put(self, kind: Kind, key: ObjectKey, old: Slim | None, new: Slim | None) -> None:
        if new is None:
            del self._objects[kind][key]
        else:
            self._objects[kind][key] = new
        self._index(key, old, new)
        if old != new:
            for one in (old, new):
                if one is not None:
                    self._touch(one)

    def _index(self, key: ObjectKey, old: Slim | None, new: Slim | None) -> None:
        """Pods by group and HPAs by namespace."""
        if isinstance(old, PodObject):
            self._pods[_pod_group(old)].pop(key, None)
        if isinstance(new, PodObject):
            self._pods[_pod_group(new)][key] = new
        if isinstance(old, PodObject) and not self._pods[_pod_group(old)]:
            del self._pods[_pod_group(old)]
        if isinstance(new, HpaObject):
            self._hpas[key.namespace][key] = new
        elif isinstance(old, HpaObject):
            self._hpas[key.namespace].pop(key, None)

    def _touch(self, obj: Slim) -> None:
        """Marks the views that may look at this object. Views find adapters and workloads by name."""
        group = _group_name(obj)
        if isinstance(obj, AutoscalerObject):
            return
        if group is not None and not _is_misnamed(obj):
            self._group_changes[ObjectKey(obj.key.namespace, group)] += 1
        else:
            self._namespace_changes[obj.key.namespace] += 1


class _Statuses(Mapping[ObjectKey, dict[str, Any]]):
    """A live, read-only look at the stored statuses."""

    def __init__(self, autoscalers: Mapping[ObjectKey, Slim]) -> None:
        self._autoscalers = autoscalers

    def __getitem__(self, key: ObjectKey) -> dict[str, Any]:
        obj = self._autoscalers[key]
        return obj.status if isinstance(obj, AutoscalerObject) else {}

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(self._autoscalers)

    def __len__(self) -> int:
        return len(self._autoscalers)


def _group_name(obj: Slim) -> str | None:
    """The RoleBasedGroup an object belongs to, None where that cannot be told from the object."""
    if isinstance(obj, GroupObject | PolicyObject):
        return obj.key.name
    if isinstance(obj, AdapterObject):
        return obj.target[0] or None
    if isinstance(obj, InstanceSetObject | PodObject):
        return obj.group or None
    return None


def _pod_group(pod: PodObject) -> ObjectKey:
    return ObjectKey(pod.key.namespace, pod.group)


def _is_misnamed(obj: Slim) -> bool:
    """An adapter named like another group's: that group's view meets it too."""
    return isinstance(obj, AdapterObject) and obj.key.name != "-".join(obj.target)


def _is_older(version: str, than: str) -> bool:
    """Whether a resourceVersion is older; they compare where they are numbers, as the API server's are."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
