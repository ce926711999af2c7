"""Pods from the API server into the fleet: one list, then a watch, then again from the list when it breaks.

Plain HTTP: the watch reads a line per event and keeps of each object only what `pod_from` takes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from localplane.engines.fleet import Fleet
from localplane.engines.pods import GROUP_LABEL, pod_from

RETRY_SECONDS = 0.5
_log = logging.getLogger(__name__)


class WatchBrokenError(Exception):
    """The watch cannot go on from where it is: list again."""


class PodWatch:
    """Keeps a fleet's pods those of the cluster. `synced` says whether it has seen all of them."""

    def __init__(self, kubeconfig: Path, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._kubeconfig = kubeconfig
        self._fleet = fleet
        self._clock = clock
        self.synced = False

    async def run(self) -> None:
        """Until cancelled. An API server that is away is waited for; the pods stay as they were last seen."""
        server, headers, tls = _access(self._kubeconfig)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
        connector = aiohttp.TCPConnector(ssl=tls)
        async with aiohttp.ClientSession(
            server, headers=headers, timeout=timeout, connector=connector
        ) as session:
            while True:
                try:
                    await self._follow(session)
                except (aiohttp.ClientError, OSError, WatchBrokenError, TimeoutError) as error:
                    _log.warning("the watch of pods broke (%s); listing again", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, session: aiohttp.ClientSession) -> None:
        selector = {"labelSelector": GROUP_LABEL}
        async with session.get("/api/v1/pods", params=selector, raise_for_status=True) as answer:
            listed = await answer.json()
        pods = [pod for item in listed["items"] if (pod := pod_from(item))]
        self._fleet.replace_pods(pods, self._clock())
        self.synced = True
        params = {
            **selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "50",
            "resourceVersion": listed["metadata"]["resourceVersion"],
        }
        while True:
            async with session.get("/api/v1/pods", params=params, raise_for_status=True) as answer:
                async for line in _lines(answer):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise WatchBrokenError(event["object"].get("message", "no message"))
                    params["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
                    self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        pod = pod_from(event["object"]) if event["type"] != "BOOKMARK" else None
        if pod and event["type"] == "DELETED":
            self._fleet.drop_pod(pod, self._clock())
        elif pod:
            self._fleet.put_pod(pod, self._clock())


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Whole lines; aiohttp's own iterator refuses those beyond 128 KiB, which an object may be."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def _access(kubeconfig: Path) -> tuple[str, dict[str, str], ssl.SSLContext]:
    """Server, headers and TLS context of a kubeconfig of the local plane (a CA file and a token)."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    return cluster["server"].rstrip("/"), {"Authorization": f"Bearer {user['token']}"}, tls
