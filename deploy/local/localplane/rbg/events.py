"""Events of the stand-in: repeats of one event raise its count, and no pass waits for them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import UTC, datetime

import aiohttp

from localplane.rbg import names
from localplane.rbg.client import MERGE, ApiError, Client, Resource
from localplane.rbg.names import Obj

EVENTS = Resource("Event", "v1", "events")
_LOG = logging.getLogger("rbg")
_MOST_REMEMBERED = 4096


def timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Recorder:
    """`emit` queues; `run` writes in order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: asyncio.Queue[tuple[Obj, str, str, str, str]] = asyncio.Queue()
        self._known: dict[tuple[str, str, str, str], tuple[str, int]] = {}

    def emit(self, about: Obj, kind: str, reason: str, message: str, source: str) -> None:
        """`kind` is Normal or Warning."""
        self._queue.put_nowait((about, kind, reason, message, source))

    async def run(self) -> None:
        while True:
            about, kind, reason, message, source = await self._queue.get()
            try:
                await self._write(about, kind, reason, message, source)
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                _LOG.debug("event %s: %r", reason, error)

    async def _write(self, about: Obj, kind: str, reason: str, message: str, source: str) -> None:
        namespace = names.namespace_of(about)
        identity = (names.uid_of(about), kind, reason, message)
        known = self._known.get(identity)
        if known is not None:
            name, count = known[0], known[1] + 1
            body: Obj = {"count": count, "lastTimestamp": timestamp()}
            await self._client.call("PATCH", EVENTS.path(namespace, name), body, content_type=MERGE)
            self._known[identity] = (name, count)
            return
        name = f"{names.name_of(about)}.{secrets.token_hex(8)}"
        event = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": about.get("apiVersion", names.API_VERSION),
                "kind": about["kind"],
                "name": names.name_of(about),
                "namespace": namespace,
                "uid": names.uid_of(about),
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "firstTimestamp": timestamp(),
            "lastTimestamp": timestamp(),
            "count": 1,
        }
        await self._client.call("POST", EVENTS.path(namespace), event)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[identity] = (name, 1)
