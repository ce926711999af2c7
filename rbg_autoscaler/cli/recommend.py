"""`recommend`: what the controller would write, for the whole scope at once; nothing is written."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable

import click

from rbg_autoscaler.cli.inputs import Inputs, input_options
from rbg_autoscaler.cli.json_form import report_object
from rbg_autoscaler.cli.output import FORMS, json_line, render
from rbg_autoscaler.cli.paint import Paint, paint_for
from rbg_autoscaler.cli.problems import Failed
from rbg_autoscaler.cli.report import Report
from rbg_autoscaler.cli.session import Session, report, session

CHANGES = 3
"""Exit code of --exit-code when a change is recommended."""

Sleep = Callable[[float], Awaitable[None]]


class Interval(click.ParamType[float]):
    """A duration of a second or more: 5s, 1m, or plain seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m)?", str(value))
        seconds = float(found[1]) * (60 if found[2] == "m" else 1) if found else 0.0
        if seconds < 1:
            self.fail(f"{value!r} is no duration of a second or more: give 5s or 1m", param, ctx)
        return seconds


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@input_options()
@click.option(
    "-o", "--output", "form", type=click.Choice(FORMS), default="table", show_default=True, help="The form."
)
@click.option("-w", "--watch", "watching", is_flag=True, help="Decide again and again until Ctrl-C.")
@click.option("--interval", type=Interval(), default="5s", show_default=True, help="Between two rounds.")
@click.option("--exit-code", "by_code", is_flag=True, help="Exit with 3 if a change is recommended.")
def recommend(
    names: tuple[str, ...], inputs: Inputs, form: str, watching: bool, interval: float, by_code: bool
) -> None:
    """Show what each role should have; write nothing.

    Decides as the controller does, for the RbgAutoscalers of the cluster (all of the namespace, or those
    NAMEd), or with -f for manifests that are not there. A kubeconfig that may list and a Prometheus are all
    it needs; nothing has to be installed in the cluster.

    Exit codes: 0 done, 1 failed, 2 usage, and with --exit-code 3 if a change is recommended.
    """
    inputs.check(names)
    if watching and inputs.snapshot is not None:
        raise click.UsageError("a snapshot does not change: --snapshot and --watch exclude each other")
    paint = paint_for(sys.stdout)
    if watching:
        changes = _watch(inputs, names, interval, Screen(form, paint))
    else:
        shown = report(inputs, names)
        click.echo(_text(shown, form, paint), nl=False)
        changes = shown.changes
    if by_code and changes:
        raise click.exceptions.Exit(CHANGES)


def _text(shown: Report, form: str, paint: Paint) -> str:
    if form in ("table", "wide") and not shown.items:
        click.echo("Note: no RbgAutoscaler is there", err=True)
        return ""
    return render(shown, form, paint)


class Screen:
    """Shows report after report: in place on a terminal, one after the other elsewhere.

    JSON becomes one object a line, YAML one document after the other.
    """

    def __init__(self, form: str, paint: Paint) -> None:
        self._form = form
        self._paint = paint
        self._in_place = form in ("table", "wide") and sys.stdout.isatty()
        self.last: Report | None = None

    def show(self, shown: Report) -> None:
        """One report."""
        if self._in_place:
            click.clear()
        elif self.last is not None and self._form != "json":
            click.echo("---" if self._form == "yaml" else "")
        if self._form == "json":
            click.echo(json_line(report_object(shown)), nl=False)
        else:
            click.echo(_text(shown, self._form, self._paint), nl=False)
        self.last = shown


def _watch(inputs: Inputs, names: tuple[str, ...], interval: float, screen: Screen) -> bool:
    """Watch until Ctrl-C; whether the last report recommended a change."""

    async def rounds() -> None:
        async with session(inputs, names) as opened:
            await watch(opened, screen, interval)

    try:
        asyncio.run(rounds())
    except KeyboardInterrupt:
        click.echo(err=True)
    return screen.last is not None and screen.last.changes


async def watch(opened: Session, screen: Screen, interval: float, sleep: Sleep = asyncio.sleep) -> None:
    """Round after round for ever. What fails later than in the first round is told and tried again."""
    screen.show(await opened.taken())
    while True:
        await sleep(interval)
        try:
            shown = await opened.taken()
        except Failed as error:
            click.echo(f"Note: {error.message}; trying again", err=True)
        else:
            screen.show(shown)
