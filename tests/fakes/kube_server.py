"""A small Kubernetes API server over HTTP for fast tests: lists, watches, patches, subresources and faults.

async with FakeKube() as fake:
    fake.put({"kind": "RoleBasedGroup", ...})           # what some controller did
    api = KubernetesApi(fake.kubeconfig(tmp_path))      # what is tested
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from aiohttp import web

from tests.fakes.kube_objects import (
    RESOURCES,
    Change,
    Object,
    Objects,
    Resource,
    Status,
    json_patch,
    merge_patch,
)

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


@dataclass
class Fault:
    """The next `times` requests that match are answered wrongly (status), late (delay) or not at all (drop).

    `drop` is "before" or "after" the request is carried out: the caller cannot tell which.
    """

    method: str = ".*"
    path: str = ".*"
    status: int | None = None
    reason: str = "Injected"
    retry_after: int | None = None
    delay: float = 0.0
    drop: str | None = None
    times: int = 1

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and bool(re.fullmatch(self.method, method) and re.search(self.path, path))


class Sent(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class Address(NamedTuple):
    """What a URL path means; name and subresource may be absent."""

    resource: Resource
    namespace: str
    name: str | None
    sub: str | None


class FakeKube:
    """The server; an async context manager that listens on a free port of 127.0.0.1."""

    def __init__(self, resources: tuple[Resource, ...] = RESOURCES, bookmark_seconds: float = 0.2) -> None:
        self.objects = Objects()
        self.faults: list[Fault] = []
        self.requests: list[Sent] = []
        self.url = ""
        self._resources = resources
        self._bookmark_seconds = bookmark_seconds
        self._watches: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for watch in self._watches:
            watch.cancel()
        await self._runner.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {"token": "fake-token"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "current-context": "fake",
        }
        path = folder / "kubeconfig-fake"
        path.write_text(json.dumps(config))
        return path

    def resource(self, kind: str) -> Resource:
        return next(resource for resource in self._resources if resource.kind == kind)

    def put(self, obj: Object) -> Object:
        """Creates or overwrites the object, status included, as some controller would."""
        return self.objects.put(self.resource(obj["kind"]), obj)

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """The object as it is stored; raises Status 404."""
        return self.objects.get(self.resource(kind), namespace, name)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.objects.delete(self.resource(kind), namespace, name)

    def writes(self) -> list[Sent]:
        """The requests that wanted to change something."""
        return [sent for sent in self.requests if sent.method != "GET"]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.requests.append(Sent(request.method, request.path, dict(request.query), body))
        fault = next((f for f in self.faults if f.matches(request.method, request.path)), None)
        try:
            if fault is not None:
                fault.times -= 1
                await asyncio.sleep(fault.delay)
                if fault.status is not None:
                    return _failure(fault.status, fault.reason, fault.retry_after)
                if fault.drop == "before":
                    return _drop(request)
            answer = await self._answer(request, body)
        except Status as status:
            answer = web.json_response(status.body(), status=status.code)
        return _drop(request) if fault is not None and fault.drop == "after" else answer

    async def _answer(self, request: web.Request, body: Any) -> web.StreamResponse:
        found = _discovery(self._resources, request.path)
        if found is not None:
            return web.json_response(found)
        address = self._address(request.path)
        if request.method == "GET" and address.name is None:
            if request.query.get("watch") in ("true", "1"):
                return await self._watch(request, address)
            return web.json_response(self._list(address, dict(request.query)))
        code = 201 if request.method == "POST" else 200
        return web.json_response(self._one(request, address, body), status=code)

    def _address(self, path: str) -> Address:
        parts = path.strip("/").split("/")
        group, version, rest = (
            ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
        )
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = [*rest, None, None, None][:3]
        for resource in self._resources:
            if (resource.group, resource.version, resource.plural) == (group, version, plural):
                return Address(resource, namespace, name, sub)
        raise Status(404, "NotFound", "the server could not find the requested resource")

    def _one(self, request: web.Request, address: Address, body: Any) -> Object:
        """Everything that concerns one object."""
        resource, namespace, name, sub = address
        dry_run = "dryRun" in request.query
        if request.method == "POST":
            return self.objects.create(resource, namespace, body, dry_run=dry_run)
        assert name is not None
        if request.method == "DELETE":
            self.objects.delete(
                resource, namespace, name, ((body or {}).get("preconditions") or {}).get("uid")
            )
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        served = {None: True, "status": resource.status, "scale": resource.scale}
        if not served.get(sub, False):
            raise Status(404, "NotFound", f'{resource.full_name} "{name}" not found')
        old = self.objects.get(resource, namespace, name)
        if request.method == "GET":
            return self.objects.scale(resource, old) if sub == "scale" else old

        def change(present: Object) -> Object:
            if request.method == "PUT":
                return dict(body)
            return _patched(present, body, request.content_type)

        if sub == "scale":
            return self.objects.write_scale(resource, namespace, name, change, dry_run=dry_run)
        return self.objects.replace(resource, namespace, name, change(old), sub=sub, dry_run=dry_run)

    def _list(self, address: Address, query: dict[str, str]) -> Object:
        """One page: the token carries the version of the first page and where it ended."""
        limit, version, after = int(query.get("limit", 0)), self.objects.version, ["", ""]
        if "continue" in query:
            version, after = json.loads(base64.b64decode(query["continue"]))
            if version < self.objects.compacted:
                raise Status(410, "Expired", "The provided continue parameter is too old")
        wanted = sorted(
            (key, obj)
            for key, obj in self.objects.of(address.resource).items()
            if _selected(address, query, obj)
        )
        rest = [(key, obj) for key, obj in wanted if list(key) > after]
        page = rest[:limit] if limit else rest
        metadata: Object = {"resourceVersion": str(version)}
        if len(page) < len(rest):
            token = json.dumps([version, list(page[-1][0])]).encode()
            metadata |= {
                "continue": base64.b64encode(token).decode(),
                "remainingItemCount": len(rest) - len(page),
            }
        kind = f"{address.resource.kind}List"
        items = [obj for _, obj in page]
        return {
            "kind": kind,
            "apiVersion": address.resource.api_version,
            "metadata": metadata,
            "items": items,
        }

    async def _watch(self, request: web.Request, address: Address) -> web.StreamResponse:
        """A stream of events, with bookmarks if asked for; ends after timeoutSeconds."""
        query = dict(request.query)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[Change] = asyncio.Queue()
        events = list(self._backlog(address, query))
        self.objects.listeners.append(queue.put_nowait)
        deadline = asyncio.get_running_loop().time() + float(query.get("timeoutSeconds", 3600))
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            for event in events:
                await _send(response, event)
            while asyncio.get_running_loop().time() < deadline and not _is_error(events):
                try:
                    change = await asyncio.wait_for(queue.get(), self._bookmark_seconds)
                except TimeoutError:
                    if query.get("allowWatchBookmarks") in ("true", "1"):
                        await _send(response, self._bookmark(address))
                    continue
                if change.resource is address.resource and (told := _event(address, query, change)):
                    await _send(response, told)
        except (ConnectionResetError, asyncio.CancelledError):
            pass
        finally:
            self.objects.listeners.remove(queue.put_nowait)
            self._watches.discard(task)
        return response

    def _backlog(self, address: Address, query: dict[str, str]) -> Iterator[Object]:
        since = int(query.get("resourceVersion") or 0)
        if since == 0:
            for obj in self.objects.of(address.resource).values():
                if _selected(address, query, obj):
                    yield {"type": "ADDED", "object": obj}
        elif since < self.objects.compacted:
            gone = Status(410, "Expired", f"too old resource version: {since} ({self.objects.compacted})")
            yield {"type": "ERROR", "object": gone.body()}
        else:
            changes = [
                c for c in self.objects.history if c.version > since and c.resource is address.resource
            ]
            yield from filter(None, (_event(address, query, change) for change in changes))

    def _bookmark(self, address: Address) -> Object:
        metadata = {"resourceVersion": str(self.objects.version), "creationTimestamp": None}
        kind = {"kind": address.resource.kind, "apiVersion": address.resource.api_version}
        return {"type": "BOOKMARK", "object": kind | {"metadata": metadata}}


def _patched(present: Object, body: Any, content_type: str) -> Object:
    if content_type == MERGE:
        return dict(merge_patch(present, body))
    if content_type == JSON_PATCH:
        return dict(json_patch(present, body))
    accepted = f"{JSON_PATCH}, {MERGE}, application/apply-patch+yaml"
    text = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    raise Status(415, "UnsupportedMediaType", text)


def _event(address: Address, query: dict[str, str], change: Change) -> Object | None:
    """What this watch sees of a change: an object that leaves the selection is deleted for it."""
    before = change.old is not None and _selected(address, query, change.old)
    now = change.type != "DELETED" and _selected(address, query, change.new)
    if not before and not now:
        return None
    kind = "DELETED" if not now else "MODIFIED" if before else "ADDED"
    return {"type": kind, "object": change.new}


def _selected(address: Address, query: dict[str, str], obj: Object) -> bool:
    metadata = obj["metadata"]
    if address.namespace and metadata.get("namespace") != address.namespace:
        return False
    field_selector = query.get("fieldSelector", "")
    if field_selector.startswith("metadata.name=") and metadata["name"] != field_selector.split("=", 1)[1]:
        return False
    labels = metadata.get("labels") or {}
    return all(_holds(labels, term) for term in query.get("labelSelector", "").split(",") if term)


def _holds(labels: dict[str, str], term: str) -> bool:
    if term.startswith("!"):
        return term[1:] not in labels
    if "!=" in term:
        key, value = term.split("!=", 1)
        return labels.get(key) != value
    if "=" in term:
        key, value = term.replace("==", "=").split("=", 1)
        return labels.get(key) == value
    return term in labels


def _discovery(resources: tuple[Resource, ...], path: str) -> Object | None:
    """What clients ask before they ask for objects."""
    groups = sorted({(r.group, r.version) for r in resources if r.group})
    if path == "/version":
        return {"major": "1", "minor": "37", "gitVersion": "v1.37.0-fake"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*group) for group in groups]}
    found = re.fullmatch(r"/api/(v1)|/apis/([^/]+)/([^/]+)", path)
    if not found:
        return None
    group, version = ("", found[1]) if found[1] else (found[2], found[3])
    served = [r for r in resources if (r.group, r.version) == (group, version)]
    name = f"{group}/{version}" if group else version
    listed = [entry for resource in served for entry in _entries(resource)]
    return {"kind": "APIResourceList", "groupVersion": name, "resources": listed} if served else None


def _group(group: str, version: str) -> Object:
    named = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [named], "preferredVersion": named}


def _entries(resource: Resource) -> Iterator[Object]:
    common = {"namespaced": resource.namespaced, "kind": resource.kind, "singularName": resource.kind.lower()}
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    yield common | {"name": resource.plural, "verbs": verbs}
    if resource.status:
        yield common | {"name": f"{resource.plural}/status", "verbs": ["get", "patch", "update"]}


def _failure(status: int, reason: str, retry_after: int | None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = Status(status, reason, f"injected {status}").body()
    return web.json_response(body, status=status, headers=headers)


def _drop(request: web.Request) -> web.Response:
    """Closes the connection in the middle: the client sees no answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _is_error(events: list[Object]) -> bool:
    return bool(events) and events[-1]["type"] == "ERROR"


async def _send(response: web.StreamResponse, event: Object) -> None:
    await response.write(json.dumps(event).encode() + b"\n")
