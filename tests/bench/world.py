"""The world around the controller, in a process of its own so that its work is not counted.

A fake API server with the fleet's objects, and a server that answers Prometheus' queries with bodies that
were rendered and compressed beforehand. Run as `python -m tests.bench.world ROLES FOLDER`: it prints one line
of JSON with the addresses when it is ready, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, web

from tests.bench.fleet import MARKS, VARIANTS, answers, groups, objects
from tests.fakes.kube_server import FakeKube


@dataclass(frozen=True)
class World:
    """Where a running world is reached."""

    kubeconfig: Path
    prometheus_url: str

    async def counts(self) -> Counter[str]:
        """Requests so far, as the servers saw them: "queries", and "writes" to the API server."""
        async with ClientSession() as session, session.get(f"{self.prometheus_url}/counts") as answer:
            return Counter(await answer.json())

    async def move_on(self) -> None:
        """Let the values move a little."""
        async with ClientSession() as session, session.post(f"{self.prometheus_url}/move"):
            pass


@contextmanager
def world(roles: int, folder: Path) -> Iterator[World]:
    """A world of so many roles, running in a child process until the block ends."""
    argv = [sys.executable, "-m", "tests.bench.world", str(roles), str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield World(Path(ready["kubeconfig"]), ready["prometheus"])
        finally:
            process.stdin.close()


class Answers:
    """Stands in for Prometheus: knows a query by the series it names."""

    def __init__(self, bodies: dict[str, list[bytes]], kube: FakeKube) -> None:
        self._bodies = bodies
        self._kube = kube
        self._variant = 0
        self._queries = 0

    async def query(self, request: web.Request) -> web.Response:
        promql = str((await request.post())["query"])
        signal = next(signal for signal, mark in MARKS.items() if mark in promql)
        self._queries += 1
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return web.Response(body=self._bodies[signal][self._variant], headers=headers)

    async def counts(self, _: web.Request) -> web.Response:
        return web.json_response({"queries": self._queries, "writes": len(self._kube.writes())})

    async def move(self, _: web.Request) -> web.Response:
        self._variant = (self._variant + 1) % VARIANTS
        return web.Response()


async def serve(roles: int, folder: Path) -> None:
    """Serve until standard input ends."""
    fleet = groups(roles)
    bodies = {signal: [gzip.compress(body, 5) for body in answers(fleet, signal)] for signal in MARKS}
    async with FakeKube() as kube:
        for version, obj in enumerate(objects(fleet), 1):
            metadata = obj["metadata"] | {"resourceVersion": str(version)}
            stored = kube.objects.of(kube.resource(obj["kind"]))
            stored[metadata["namespace"], metadata["name"]] = obj | {"metadata": metadata}
            kube.objects.version = version
        kube.objects.compacted = 0
        told = Answers(bodies, kube)
        app = web.Application()
        app.add_routes([web.post("/api/v1/query", told.query), web.get("/counts", told.counts)])
        app.add_routes([web.post("/move", told.move)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        where = {
            "kubeconfig": str(kube.kubeconfig(folder)),
            "prometheus": f"http://127.0.0.1:{runner.addresses[0][1]}",
        }
        print(json.dumps(where), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
