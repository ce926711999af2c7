"""Where a dry run takes its input from: the options that `recommend` and `explain` share, as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

PROMETHEUS_VARIABLE = "RBG_AUTOSCALER_PROMETHEUS_URL"
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class Inputs:
    """The options as they were given."""

    namespace: str | None = None
    all_namespaces: bool = False
    files: tuple[str, ...] = ()
    prometheus_url: str | None = None
    config: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    snapshot: Path | None = None
    save_snapshot: Path | None = None

    def check(self, names: Sequence[str]) -> None:
        """Refuse options that contradict each other; raises click.UsageError."""
        if self.all_namespaces and self.namespace:
            raise click.UsageError("-A and -n exclude each other")
        if self.all_namespaces and names and self.snapshot is None:
            raise click.UsageError("a NAME belongs to one namespace: give -n instead of -A")
        if self.all_namespaces and self.files:
            raise click.UsageError("manifests name their namespaces: -f and -A exclude each other")
        if self.snapshot is None:
            return
        live = {
            "-f": self.files,
            "--prometheus-url": self.prometheus_url,
            "--config": self.config,
            "--kubeconfig": self.kubeconfig,
            "--context": self.context,
            "--save-snapshot": self.save_snapshot,
        }
        for option, given in live.items():
            if given:
                raise click.UsageError(
                    f"a snapshot holds all input: --snapshot and {option} exclude each other"
                )


_OPTIONS = {
    "namespace": click.option("-n", "--namespace", help="The namespace; kubectl's present one if not given."),
    "all_namespaces": click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces."),
    "files": click.option(
        "-f",
        "--filename",
        "files",
        multiple=True,
        metavar="FILE",
        help="RbgAutoscaler manifests to decide as if they were applied; - is standard input.",
    ),
    "prometheus_url": click.option(
        "--prometheus-url",
        metavar="URL",
        help=f"The Prometheus to ask. [env: {PROMETHEUS_VARIABLE}]",
    ),
    "config": click.option(
        "--config",
        type=_PATH,
        metavar="FILE",
        help="The controller's settings file: its sources and defaults. "
        "With --prometheus-url, that address takes the place of its sources'.",
    ),
    "kubeconfig": click.option("--kubeconfig", type=_PATH, metavar="FILE", help="Cluster and credentials."),
    "context": click.option("--context", metavar="NAME", help="The kubeconfig's context to use."),
    "snapshot": click.option(
        "--snapshot", type=_PATH, metavar="FILE", help="Decide again from a saved snapshot, offline."
    ),
    "save_snapshot": click.option(
        "--save-snapshot", type=_PATH, metavar="FILE", help="Save all input of the decision to a file."
    ),
}


def input_options(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that adds the options, except some, and passes them on as `inputs`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def collected(**given: Any) -> None:
            known = {field.name for field in fields(Inputs)} & given.keys()
            command(inputs=Inputs(**{name: given.pop(name) for name in known}), **given)

        for name in reversed([name for name in _OPTIONS if name not in without]):
            collected = _OPTIONS[name](collected)
        return collected

    return decorate
