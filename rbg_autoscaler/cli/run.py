"""`run`: the settings file in, the controller until a signal; wrong settings end it before it begins."""

from __future__ import annotations

from pathlib import Path

import click

from rbg_autoscaler.cli.problems import BadInput, cluster_problem
from rbg_autoscaler.kube.errors import KubeError


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, help="The settings file (YAML).")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    help="Cluster and credentials; the pod's service account, if there is one, else kubectl's.",
)
def run(config: Path, kubeconfig: Path | None) -> None:
    """Run the controller.

    It stops cleanly on SIGTERM and SIGINT, giving its Lease up so that another replica goes on at once.
    """
    from rbg_autoscaler.observe.servers import build_sources
    from rbg_autoscaler.observe.sources import BadSource
    from rbg_autoscaler.operate.settings import BadSettings, load_settings

    try:
        settings = load_settings(config)
        build_sources(settings.sources)
    except (BadSettings, BadSource) as error:
        raise BadInput(str(error)) from None

    from rbg_autoscaler.operate.run import run as operate

    try:
        operate(settings, kubeconfig)
    except KubeError as error:
        raise cluster_problem(error) from error
