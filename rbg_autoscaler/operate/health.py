"""Liveness, readiness and metrics over HTTP; no route changes anything.

Alive: the loop finished a sync and the elector a round lately. Ready: the caches are filled. Neither depends
on Prometheus, since a restart would not bring it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


@dataclass(frozen=True)
class Check:
    """One named condition; `problem()` returns None, or what is wrong."""

    name: str
    problem: Callable[[], str | None]


async def serve(
    host: str, port: int, registry: CollectorRegistry, alive: Sequence[Check], ready: Sequence[Check]
) -> tuple[web.AppRunner, int]:
    """Start the server; returns its runner (clean it up at the end) and the port it listens on."""
    app = web.Application()
    app.router.add_get("/healthz", _probe(alive))
    app.router.add_get("/readyz", _probe(ready))
    app.router.add_get("/metrics", _metrics(registry))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner, int(runner.addresses[0][1])


def _probe(checks: Sequence[Check]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.Response:
        found = [(check.name, check.problem()) for check in checks]
        lines = [f"{name}: {problem or 'ok'}" for name, problem in found]
        failed = any(problem for _, problem in found)
        return web.Response(text="\n".join(lines) + "\n", status=503 if failed else 200)

    return answer


def _metrics(registry: CollectorRegistry) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.Response:
        # In a thread: 10 000 roles take seconds, in which the lease must be renewed.
        page = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer
