"""The controller as an administrator would install it: its own user, a settings file.

It runs as a process of its own, of the same Python, against the local plane.
"""

from __future__ import annotations

import sys

import yaml

from localplane.demo import scenario
from localplane.plane import LocalPlane
from localplane.processes import Probe, Process, free_ports

HEALTHY_SECONDS = 60.0


def start(plane: LocalPlane) -> Process:
    """Start the controller and return it once it is ready.

    Raises:
        ProcessError: it ended or did not become ready; the message ends with its log.
    """
    (port,) = free_ports(1)
    config = plane.workdir / "controller.yaml"
    config.write_text(yaml.safe_dump(scenario.settings(plane.prometheus_url, port), sort_keys=False))
    argv = [sys.executable, "-m", "rbg_autoscaler.cli.main", "run", "--config", str(config)]
    argv += ["--kubeconfig", str(plane.kubeconfig_for(scenario.USER))]
    log = plane.workdir / "controller.log"
    process = Process("controller", argv, log, Probe(f"http://127.0.0.1:{port}/readyz"))
    plane.processes[process.name] = process
    process.start()
    process.wait_healthy(HEALTHY_SECONDS)
    return process
