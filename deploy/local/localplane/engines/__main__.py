"""`python -m localplane.engines --kubeconfig K --port PORT`: play the engines of every pod of the cluster."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from localplane.engines.fleet import Fleet
from localplane.engines.server import application
from localplane.engines.watch import PodWatch


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m localplane.engines", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the cluster whose pods are played")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    web.run_app(_app(options.kubeconfig), host="127.0.0.1", port=options.port, print=None, shutdown_timeout=1)


async def _app(kubeconfig: Path) -> web.Application:
    fleet = Fleet()
    watch = PodWatch(kubeconfig, fleet, time.monotonic)
    app = application(fleet, time.monotonic, lambda: watch.synced)

    async def watching(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(watch.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(watching)
    return app


if __name__ == "__main__":
    main()
