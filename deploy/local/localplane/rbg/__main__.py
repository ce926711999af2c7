"""`python -m localplane.rbg --kubeconfig K --health-port PORT` plays the RBG controller."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
from pathlib import Path

from localplane.rbg.client import Client
from localplane.rbg.controller import Controller
from localplane.rbg.events import Recorder
from localplane.rbg.webhook import NAMESPACE_LABEL, Webhook
from localplane.rbg.world import Options, World


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run(_parse()))


async def _run(args: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    options = Options(
        wrong_index=not args.right_index,
        broken_selectors=args.broken_selectors,
        double_binding=args.double_binding,
    )
    async with Client(args.kubeconfig) as client:
        world = World(client, Recorder(client), options)
        webhook = None if args.webhooks == "none" else Webhook(world, everywhere=args.webhooks == "all")
        await Controller(world).run(args.health_port, webhook)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localplane.rbg", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--health-port", type=int, required=True)
    parser.add_argument(
        "--webhooks",
        choices=("none", "labelled", "all"),
        default="labelled",
        help=f"admission rules: nowhere, in namespaces with {NAMESPACE_LABEL}=enabled, or everywhere",
    )
    parser.add_argument("--right-index", action="store_true", help="write correct role-instance-index labels")
    parser.add_argument("--broken-selectors", action="store_true", help="bind adapters without a selector")
    parser.add_argument("--double-binding", action="store_true", help="bind every adapter a second time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
