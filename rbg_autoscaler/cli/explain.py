"""`explain`: one autoscaler, every stage of every role with its number and its reason."""

from __future__ import annotations

import shutil
import sys

import click

from rbg_autoscaler.cli.explain_text import explain_text
from rbg_autoscaler.cli.inputs import Inputs, input_options
from rbg_autoscaler.cli.json_form import item_object
from rbg_autoscaler.cli.output import json_text, yaml_text
from rbg_autoscaler.cli.paint import paint_for
from rbg_autoscaler.cli.report import Item, Report
from rbg_autoscaler.cli.session import report

USUAL_WIDTH = 100
"""Where the output is no terminal."""


@click.command()
@click.argument("name", required=False)
@input_options("all_namespaces")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(("text", "json", "yaml")),
    default="text",
    show_default=True,
    help="The form.",
)
def explain(name: str | None, inputs: Inputs, form: str) -> None:
    """Show step by step how the numbers come about.

    For the RbgAutoscaler NAME, which may be left out where there is only one: what each metric said, what
    each stage made of it and why, and the conditions. Decided anew, as `recommend` does; nothing is written.
    """
    names = () if name is None else (name,)
    inputs.check(names)
    shown = report(inputs, names)
    item = _only(shown)
    match form:
        case "json":
            text = json_text(item_object(item))
        case "yaml":
            text = yaml_text(item_object(item))
        case _:
            wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else USUAL_WIDTH
            text = explain_text(item, shown.taken_at, wide, paint_for(sys.stdout))
    click.echo(text, nl=False)


def _only(shown: Report) -> Item:
    if len(shown.items) == 1:
        return shown.items[0]
    there = ", ".join(str(item.view.key) for item in shown.items)
    raise click.UsageError(f"which one? There are: {there}" if there else "no RbgAutoscaler is there")
