"""The exporter's HTTP face: pages for Prometheus, loads and faults for people and tests.

GET /pods/NS/POD is a pod's page and /pods/NS/POD/v1/loads its second one; GET, PUT and DELETE
/load/NS/GROUP and /faults/NS/GROUP read, set and take away. A refused request gets 400 and a sentence that
names the field.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from localplane.engines.exposition import CONTENT_TYPE, render
from localplane.engines.fleet import Fleet
from localplane.engines.parse import BadFieldError, parse_faults, parse_load

HANG_SECONDS = 120.0


def application(fleet: Fleet, clock: Callable[[], float], synced: Callable[[], bool]) -> web.Application:
    """The exporter over a fleet; `clock` gives its seconds, `synced` whether its pods are known."""
    app = web.Application()
    server = _Server(fleet, clock, synced)
    app.add_routes(
        [
            web.get("/healthz", server.healthz),
            web.get("/pods/{namespace}/{pod}", server.page),
            web.get("/pods/{namespace}/{pod}/metrics", server.page),
            web.get("/pods/{namespace}/{pod}/v1/loads", server.loads),
            web.get("/load/{namespace}/{group}", server.get_load),
            web.put("/load/{namespace}/{group}", server.put_load),
            web.delete("/load/{namespace}/{group}", server.delete_load),
            web.get("/faults/{namespace}/{group}", server.get_faults),
            web.put("/faults/{namespace}/{group}", server.put_faults),
            web.delete("/faults/{namespace}/{group}", server.delete_faults),
        ]
    )
    return app


class _Server:
    def __init__(self, fleet: Fleet, clock: Callable[[], float], synced: Callable[[], bool]) -> None:
        self._fleet = fleet
        self._clock = clock
        self._synced = synced

    async def healthz(self, _: web.Request) -> web.Response:
        if self._synced():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the pods of the cluster are not known yet\n")

    async def page(self, request: web.Request) -> web.Response:
        return await self._page(request, loads=False)

    async def loads(self, request: web.Request) -> web.Response:
        return await self._page(request, loads=True)

    async def _page(self, request: web.Request, *, loads: bool) -> web.Response:
        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        page = self._fleet.page(namespace, pod, self._clock(), wall_ms=_wall_ms(), loads=loads)
        if page is None:
            return web.Response(status=404, text=f"no engine of pod {namespace}/{pod} answers\n")
        if page.silence:
            return await _silent(request, page.silence)
        return web.Response(body=render(page.families).encode(), headers={"Content-Type": CONTENT_TYPE})

    async def get_load(self, request: web.Request) -> web.Response:
        view = self._fleet.view(*_group(request), self._clock())
        return web.json_response(view.to_json()) if view else _absent(request)

    async def put_load(self, request: web.Request) -> web.Response:
        try:
            load = parse_load(await _body(request))
        except BadFieldError as error:
            return _refused(error)
        return web.json_response(self._fleet.set_load(*_group(request), load, self._clock()).to_json())

    async def delete_load(self, request: web.Request) -> web.Response:
        gone = self._fleet.drop_load(*_group(request), self._clock())
        return web.json_response({}) if gone else _absent(request)

    async def get_faults(self, request: web.Request) -> web.Response:
        faults = self._fleet.faults(*_group(request))
        return web.json_response({"faults": [asdict(fault) for fault in faults]})

    async def put_faults(self, request: web.Request) -> web.Response:
        try:
            faults = parse_faults(await _body(request))
            self._fleet.set_faults(*_group(request), faults, self._clock(), _wall_ms())
        except BadFieldError as error:
            return _refused(error)
        return await self.get_faults(request)

    async def delete_faults(self, request: web.Request) -> web.Response:
        return web.json_response({}) if self._fleet.drop_faults(*_group(request)) else _absent(request)


def _wall_ms() -> int:
    return int(time.time() * 1000)


def _group(request: web.Request) -> tuple[str, str]:
    return request.match_info["namespace"], request.match_info["group"]


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise BadFieldError("body", f"no JSON: {error}") from error


def _refused(error: BadFieldError) -> web.Response:
    return web.json_response({"error": str(error), "field": error.path}, status=400)


def _absent(request: web.Request) -> web.Response:
    return web.json_response({"error": f"{request.path}: there is none"}, status=404)


async def _silent(request: web.Request, mode: str) -> web.Response:
    if mode == "hang":
        await asyncio.sleep(HANG_SECONDS)
    if mode == "close" and request.transport is not None:
        request.transport.abort()
    return web.Response(status=503, text="the engine is switched off by a fault\n")
