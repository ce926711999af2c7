"""What the watches have delivered: one store per kind, with an index by owner, kept by a list and a watch.

A reader sees the past: a write of ours is visible here only after `note` or the watch has brought it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator

import aiohttp

from localplane.rbg import names
from localplane.rbg.client import ApiError, Client, Resource
from localplane.rbg.names import Obj

Key = tuple[str, str]
Handler = Callable[[Obj | None, Obj | None], None]

_LOG = logging.getLogger("rbg")


class Store:
    """Objects of one kind by (namespace, name). Handlers get (old, new); None is absent."""

    def __init__(self, resource: Resource, selector: str = "") -> None:
        self.resource = resource
        self.selector = selector
        self.synced = asyncio.Event()
        self._objects: dict[Key, Obj] = {}
        self._owned: defaultdict[str, dict[Key, Obj]] = defaultdict(dict)
        self._gone: set[str] = set()
        self._handlers: list[Handler] = []

    def subscribe(self, handler: Handler) -> None:
        self._handlers.append(handler)

    def get(self, namespace: str, name: str) -> Obj | None:
        return self._objects.get((namespace, name))

    def __iter__(self) -> Iterator[Obj]:
        return iter(list(self._objects.values()))

    def owned_by(self, uid: str) -> list[Obj]:
        return list(self._owned[uid].values()) if uid in self._owned else []

    def in_namespace(self, namespace: str) -> list[Obj]:
        return [obj for (where, _), obj in self._objects.items() if where == namespace]

    def note(self, obj: Obj) -> None:
        """Take in the answer to a write of ours, unless the watch has been faster."""
        key = (names.namespace_of(obj), names.name_of(obj))
        known = self._objects.get(key)
        if names.uid_of(obj) in self._gone or (known and _version(known) >= _version(obj)):
            return
        self._put(key, obj)
        self._tell(known, obj)

    async def run(self, client: Client) -> None:
        """List, watch, and list again whenever the watch's version has become too old."""
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list(client)
                    self.synced.set()
                async for kind, obj in client.watch(self.resource.path(), version, self.selector):
                    version = obj["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        self._take(kind, obj)
            except ApiError as error:
                version = ""
                if error.code != 410:
                    _LOG.warning("watch of %s: %s", self.resource.plural, error)
                    await asyncio.sleep(0.5)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                _LOG.warning("watch of %s: %r", self.resource.plural, error)
                await asyncio.sleep(0.5)

    async def _list(self, client: Client) -> str:
        answer = await client.call("GET", self.resource.path(), labelSelector=self.selector)
        found = set()
        for item in answer["items"]:
            obj = {"apiVersion": self.resource.group_version, "kind": self.resource.kind, **item}
            found.add((names.namespace_of(obj), names.name_of(obj)))
            self._take("MODIFIED", obj)
        for key in [key for key in self._objects if key not in found]:
            self._take("DELETED", self._objects[key])
        return str(answer["metadata"]["resourceVersion"])

    def _take(self, kind: str, obj: Obj) -> None:
        key = (names.namespace_of(obj), names.name_of(obj))
        old = self._objects.get(key)
        if kind == "DELETED":
            self._gone.add(names.uid_of(obj))
            # A namesake made after this deletion may already have been noted.
            if old is None or names.uid_of(old) == names.uid_of(obj):
                self._drop(key)
            self._tell(obj, None)
            return
        # The watch trails what was noted: an old object's last change may come after its namesake was made.
        if names.uid_of(obj) in self._gone or (old and _version(old) >= _version(obj)):
            return
        if old and names.uid_of(old) != names.uid_of(obj):
            self._gone.add(names.uid_of(old))
        self._put(key, obj)
        self._tell(old, obj)

    def _tell(self, old: Obj | None, new: Obj | None) -> None:
        for handler in self._handlers:
            handler(old, new)

    def _put(self, key: Key, obj: Obj) -> None:
        self._drop(key)
        self._objects[key] = obj
        for owner in obj["metadata"].get("ownerReferences") or []:
            self._owned[owner["uid"]][key] = obj

    def _drop(self, key: Key) -> None:
        old = self._objects.pop(key, None)
        for owner in (old or {}).get("metadata", {}).get("ownerReferences") or []:
            kept = self._owned.get(owner["uid"])
            if kept is not None:
                kept.pop(key, None)
                if not kept:
                    del self._owned[owner["uid"]]


def _version(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])
