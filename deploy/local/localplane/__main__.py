"""`python -m localplane build` builds the programs; `python -m localplane up` runs a plane until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time

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
    arguments = parser.parse_args()
    try:
        if arguments.command == "build":
            for name, path in binaries().items():
                print(f"{name:<24} {path}")
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
