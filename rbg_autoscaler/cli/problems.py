"""What ends a command: one sentence on standard error and an exit code."""

from __future__ import annotations

import click

from rbg_autoscaler.kube.errors import Forbidden, KubeError, Misconfigured, Unavailable


class Failed(click.ClickException):
    """What was asked could not be done; exit code 1."""

    exit_code = 1


class BadInput(click.ClickException):
    """A file or value that was given cannot be used; exit code 2, as for a wrong option."""

    exit_code = 2


def cluster_problem(error: KubeError) -> Failed:
    """The sentence for an API server that gave no useful answer."""
    match error:
        case Misconfigured():
            return Failed(f"there is no usable kubeconfig: {error.message.rstrip('.')}")
        case Unavailable():
            return Failed(f"the cluster cannot be reached: {error.message}")
        case Forbidden():
            return Failed(f"the cluster refuses this: {error.message}")
        case _:
            return Failed(f"the cluster answered {error}")
