"""A fake cluster and a fake Prometheus on a thread of their own, and the command line run against them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from click.testing import CliRunner, Result

from rbg_autoscaler.cli.main import cli
from rbg_autoscaler.observe.sources import QueryResult
from tests import builders as k8s
from tests.fakes.kube_objects import RESOURCES
from tests.fakes.kube_server import FakeKube
from tests.fakes.metrics import rows

WAITING = "vllm:num_requests_waiting"
KV = "vllm:kv_cache_usage_perc"
WITHOUT_CRD = tuple(resource for resource in RESOURCES if resource.kind != "RbgAutoscaler")


class FakePrometheus:
    """Answers a query by the first key that its text contains; what has no key has no series."""

    def __init__(self) -> None:
        self.answers: dict[str, QueryResult] = {}
        self.status = 200
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/api/v1/query", self._query)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _query(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.json_response({"status": "error", "error": "injected"}, status=self.status)
        promql = (await request.post())["query"]
        found = next((answer for key, answer in self.answers.items() if key in promql), QueryResult([]))
        result = [{"metric": dict(row.labels), "value": [0, str(row.value)]} for row in found.rows]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


class World:
    """What the tests say and ask."""

    def __init__(self, kube: FakeKube, prometheus: FakePrometheus, folder: Path) -> None:
        self.kube = kube
        self.prometheus = prometheus
        self.folder = folder
        self.kubeconfig = kube.kubeconfig(folder)

    def serve(self, name: str = "llm", **replicas: int) -> None:
        """A group with these roles at rest, every instance ready for long."""
        statuses = {role: (count, count) for role, count in replicas.items()}
        roles = [k8s.role(role, count) for role, count in replicas.items()]
        self.kube.put(k8s.group(name, *roles, statuses=statuses))
        for role, count in replicas.items():
            self.kube.put(k8s.instance_set(name, role, count))
            for ordinal in range(count):
                self.kube.put(k8s.pod(ordinal, group_name=name, role_name=role, ready=10))

    def load(
        self, series: str, *values: float, role: str = "prefill", name: str = "llm", age: float = 4.0
    ) -> None:
        """One value per instance of a role, in the order of their ordinals."""
        pods = {f"{name}-{role}-{ordinal}": value for ordinal, value in enumerate(values)}
        self.prometheus.answers[series] = rows(pods, age=age)

    def manifest(self, name: str = "trial", *roles: Any, **more: Any) -> Path:
        """A file with an RbgAutoscaler as a person would write it."""
        obj = k8s.autoscaler(name, *roles, **more)
        obj["metadata"] = {"name": name, "namespace": k8s.NAMESPACE}
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(obj))
        return file

    def run(
        self, *arguments: object, prometheus: bool = True, env: Mapping[str, str] | None = None
    ) -> Result:
        """A command against both servers; in the namespace of the builders unless it says otherwise."""
        words = [*map(str, arguments)]
        if "--snapshot" not in words:
            words += ["--kubeconfig", str(self.kubeconfig)]
            words += ["--prometheus-url", self.prometheus.url] if prometheus else []
            words += [] if {"-n", "-A", "-f"} & set(words) else ["-n", k8s.NAMESPACE]
        return invoke(*words, env=env)


def invoke(*words: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Result:
    """The command line in this process; what it does not catch is raised."""
    clean = {"RBG_AUTOSCALER_PROMETHEUS_URL": "", "KUBECONFIG": "", "NO_COLOR": ""} | dict(env or {})
    return CliRunner(env=clean, catch_exceptions=False).invoke(cli, words, input=stdin)


@contextmanager
def started(folder: Path, *, crd: bool = True) -> Iterator[World]:
    """Both servers, until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    kube, prometheus = FakeKube(RESOURCES if crd else WITHOUT_CRD), FakePrometheus()

    def wait_for(coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    try:
        wait_for(kube.__aenter__())
        wait_for(prometheus.start())
        yield World(kube, prometheus, folder)
    finally:
        wait_for(prometheus.stop())
        wait_for(kube.__aexit__())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
