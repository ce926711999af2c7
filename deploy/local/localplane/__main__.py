"""The local control plane by command: `build` its programs, keep one `up` until Ctrl-C, or see the `demo`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from localplane.build import BuildError, binaries


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="find or build all programs and print their paths")
    up = commands.add_parser("up", help="start a control plane and keep it until Ctrl-C")
    up.add_argument("--nodes", type=int, default=8, help="fake GPU nodes (default 8)")
    up.add_argument("--gpus", type=int, default=8, help="GPUs a node (default 8)")
    up.add_argument("--start-up", default="2s", help="start-up time of pods (default 2s)")
    up.add_argument(
        "--scrape-seconds", type=float, default=1.0, help="Prometheus scrape interval (default 1)"
    )
    up.add_argument(
        "--without", choices=("rbg", "engines", "controller_manager"), action="append", default=[]
    )
    demo = commands.add_parser("demo", help="let a load rise and fall and watch the roles follow (3 minutes)")
    demo.add_argument("--record", type=Path, metavar="FILE", help="write what is seen as JSON lines")
    demo.add_argument("--svg", type=Path, metavar="FILE", help="save the view as a picture")
    arguments = parser.parse_args()
    try:
        if arguments.command == "build":
            for name, path in binaries().items():
                print(f"{name:<24} {path}")
        elif arguments.command == "demo":
            # Needs what is installed for development, as does `up`.
            from localplane.demo.runner import demo as run_demo

            sys.exit(run_demo(arguments.record, arguments.svg))
        else:
            _up(arguments)
    except BuildError as error:
        sys.exit(str(error))


def _up(arguments: argparse.Namespace) -> None:
    # `build` above needs the standard library only; these need what is installed for development.
    from localplane.nodes import NodePool
    from localplane.plane import LocalPlane, PlaneOptions
    from localplane.processes import ProcessError

    options = PlaneOptions(
        nodes=(NodePool(count=arguments.nodes, gpus=arguments.gpus),),
        start_up=arguments.start_up,
        scrape_seconds=arguments.scrape_seconds,
        rbg="rbg" not in arguments.without,
        engines="engines" not in arguments.without,
        controller_manager="controller_manager" not in arguments.without,
    )
    try:
        with LocalPlane.start(options) as plane:
            print(f"export KUBECONFIG={plane.kubeconfig}")
            print(f"kubeconfig of the controller  {plane.kubeconfig_for('rbg-autoscaler')}")
            print(f"Prometheus                    {plane.prometheus_url}")
            print(f"engines                       {plane.engines_url}")
            print(f"logs                          {plane.workdir}/*.log", flush=True)
            while True:
                time.sleep(1)
                plane.check()
    except (ProcessError, TimeoutError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
