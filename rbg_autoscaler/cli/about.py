"""What this build is: its version, and the resource it serves."""

from __future__ import annotations

import click


@click.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        click.echo(installed("rbg-autoscaler"))
    except PackageNotFoundError:
        click.echo("unknown (run from a checkout, not installed)")


@click.command()
def crd() -> None:
    """Print the CustomResourceDefinition.

    To be applied with: rbg-autoscaler crd | kubectl apply -f -
    """
    from rbg_autoscaler.api.schema import crd_yaml

    click.echo(crd_yaml(), nl=False)
