"""The entry point, also as a kubectl plugin: `kubectl rbg-autoscaler ...`.

A command's module is imported when the command is called, so `--help` costs click and nothing more.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import PurePath
from typing import NamedTuple

import click


class Lazy(NamedTuple):
    """A command that is not imported yet."""

    module: str
    name: str
    help: str
    """What the list of commands says; the command's own help begins with it."""


_HERE = "rbg_autoscaler.cli"
COMMANDS = {
    "recommend": Lazy(f"{_HERE}.recommend", "recommend", "Show what each role should have; write nothing."),
    "explain": Lazy(f"{_HERE}.explain", "explain", "Show step by step how the numbers come about."),
    "run": Lazy(f"{_HERE}.run", "run", "Run the controller."),
    "crd": Lazy(f"{_HERE}.about", "crd", "Print the CustomResourceDefinition."),
    "version": Lazy(f"{_HERE}.about", "version", "Print the version."),
}


class LazyGroup(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, the most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now; None if there is none of that name."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        command: click.Command = getattr(import_module(lazy.module), lazy.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Scale the roles of RoleBasedGroups by the load of their model servers."""


def program_name(called_as: str) -> str:
    """The name to show; kubectl runs the plugin `kubectl-rbg_autoscaler` as `kubectl rbg-autoscaler`."""
    stem = PurePath(called_as).name.removesuffix(".exe")
    return "kubectl rbg-autoscaler" if stem == "kubectl-rbg_autoscaler" else "rbg-autoscaler"


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage; a command may have further codes."""
    cli(prog_name=program_name(sys.argv[0]))


if __name__ == "__main__":
    main()
