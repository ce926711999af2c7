"""What a replay sees: every change of the kinds that were recorded, in the form they were recorded in."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import Any

from contract.recording import PREFIX, Value, tracks
from localplane.rbg import world
from localplane.rbg.client import Client, Resource
from localplane.rbg.store import Store

Obj = dict[str, Any]

KINDS: dict[str, Resource] = {
    "rbg": world.GROUPS,
    "rbgsa": world.ADAPTERS,
    "ris": world.INSTANCE_SETS,
    "ri": world.INSTANCES,
    "rbgset": world.GROUP_SETS,
    "pod": world.PODS,
    "deploy": world.DEPLOYMENTS,
    "sts": world.STATEFUL_SETS,
}
EVENTS = Resource("Event", "v1", "events")


class Observatory:
    """Watches the whole cluster; `values` and `events` are by namespace, in the order of arrival."""

    def __init__(self) -> None:
        self.values: defaultdict[str, list[Value]] = defaultdict(list)
        self.events: defaultdict[str, list[Obj]] = defaultdict(list)
        self.stores = {kind: Store(resource) for kind, resource in KINDS.items()}
        for kind, store in self.stores.items():
            store.subscribe(partial(self._saw, kind))
        self._event_store = Store(EVENTS)
        self._event_store.subscribe(self._saw_event)

    def watch(self, client: Client) -> list[asyncio.Task[None]]:
        stores = [*self.stores.values(), self._event_store]
        return [asyncio.create_task(store.run(client)) for store in stores]

    async def synced(self) -> None:
        for store in [*self.stores.values(), self._event_store]:
            await store.synced.wait()

    def last(self, namespace: str, start: int) -> dict[tuple[str, str], Any]:
        """The last value of every track since the given position."""
        return {value.track: value.value for value in self.values[namespace][start:]}

    def _saw(self, kind: str, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        namespace = obj["metadata"].get("namespace", "")
        name = f"{kind}/{obj['metadata']['name']}"
        fields = _changed(kind, old, new)
        now = asyncio.get_running_loop().time()
        self.values[namespace] += list(tracks(now, name, fields))

    def _saw_event(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            about = new["involvedObject"]
            self.events[about.get("namespace", "")].append(
                {
                    "type": new["type"],
                    "reason": new["reason"],
                    "on": f"{about.get('kind')}/{about.get('name')}",
                    "message": new["message"],
                }
            )


def _changed(kind: str, old: Obj | None, new: Obj | None) -> Obj:
    """Only what differs from before, as in the recording."""
    if new is None:
        return {"gone": True}
    same = old is not None and old["metadata"]["uid"] == new["metadata"]["uid"]
    now, before = _flat(kind, new), _flat(kind, old) if same and old else {}
    fields: Obj = {} if same else {"created": True}
    for key, value in now.items():
        if isinstance(value, dict):
            was = before.get(key) or {}
            part = {k: v for k, v in value.items() if was.get(k) != v}
            part |= {k: None for k in was if k not in value}
            if part:
                fields[key] = part
        elif before.get(key) != value:
            fields[key] = value
    return fields


def _flat(kind: str, obj: Obj) -> Obj:
    status = obj.get("status") or {}
    flat: Obj = {"conditions": conditions_of(obj)}
    if kind == "rbg":
        flat["replicas"] = {role["name"]: role["replicas"] for role in obj["spec"]["roles"]}
        flat["roleStatuses"] = {e["name"]: numbers(e) for e in status.get("roleStatuses") or []}
        return flat
    if kind == "rbgsa":
        return {"spec": dict(obj["spec"]), "status": dict(status)}
    if kind in ("ris", "deploy", "sts", "rbgset"):
        flat["spec.replicas"] = obj["spec"].get("replicas")
        flat["status"] = dict(status)
        if kind == "ris":
            flat["role-size"] = (obj["metadata"].get("annotations") or {}).get(PREFIX + "role-size")
        return flat
    return {}


def numbers(entry: Obj) -> str:
    return f"{entry['replicas']}/{entry['readyReplicas']}/{entry['updatedReplicas']}"


def conditions_of(obj: Obj) -> dict[str, str]:
    found = {}
    for item in (obj.get("status") or {}).get("conditions") or []:
        reason = f"/{item['reason']}" if item.get("reason") else ""
        message = f": {item['message']}" if item.get("message") else ""
        found[item["type"]] = f"{item['status']}{reason}{message}"
    return found
