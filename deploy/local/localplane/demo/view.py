"""The live view: frames in, something `rich` can draw out. Pure, so the same view can be saved as a picture.

From top to bottom: the load and what followed it on one time axis, the roles with their signals, the nodes,
and what the controller said.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from localplane.demo.chart import DOT, FULL, HALF_TONE, area, bar, clock, columns, short
from localplane.demo.frame import Frame, NodeFrame, RoleFrame, SignalFrame
from localplane.demo.stage import Actor, Stage
from localplane.demo.telling import tell

COLOURS = ("cyan", "magenta", "blue", "green")
"""Of the roles, in their order."""
LOAD, QUIET, HIGH, BAD = "yellow", "bright_black", "bold yellow", "bold red"
LABEL_WIDTH, NUMBER_WIDTH = 9, 12
LABEL_WIDTH_SIGNAL, BAR_WIDTH = 19, 12
SIDE_BY_SIDE = 100
"""Columns from which two roles stand next to each other."""
MOST_WORDS = 14
"""Lines for what the controller did, on a high terminal."""


@dataclass(frozen=True)
class Shape:
    """How the view fits a terminal: a low one has flat charts, short reasons and no nodes."""

    width: int
    height: int
    stage: Stage

    @property
    def beside(self) -> bool:
        """Whether the roles stand next to each other."""
        return self.width >= SIDE_BY_SIDE

    @property
    def low(self) -> bool:
        """Whether not everything has room, with two lines of the controller's words."""
        return self.height < self._rows(low=False) + 2

    @property
    def words(self) -> int:
        """Lines for what the controller did."""
        return max(2, min(MOST_WORDS, self.height - self._rows(low=self.low)))

    @property
    def why(self) -> int:
        """Lines for a role's reason."""
        return 1 if self.low else 2

    def _rows(self, *, low: bool) -> int:
        """Rows of everything but the controller's words, the line for the cursor included."""
        actors = self.stage.actors
        timeline = 2 + (2 if low else 3) + len(actors) * (1 if low else 2) + 2
        panels = [2 + 1 + actor.signals + (1 if low else 2) for actor in actors]
        roles = max(panels) if self.beside else sum(panels)
        return timeline + roles + (0 if low else 4) + 2 + 1


def view(frames: Sequence[Frame], stage: Stage, width: int, height: int) -> RenderableType:
    """The view at the time of the last frame, for a terminal of this size; at least one frame is needed."""
    shape = Shape(width, height, stage)
    return Group(
        _timeline(frames, shape),
        _roles(frames[-1], shape),
        *([] if shape.low else [_nodes(frames[-1], stage)]),
        _words(frames, shape),
    )


def _coloured(stage: Stage) -> list[tuple[Actor, str]]:
    return list(zip(stage.actors, COLOURS, strict=False))


def _panel(content: RenderableType, title: Text | str, end: str = "") -> Panel:
    return Panel(
        content,
        title=title,
        title_align="left",
        subtitle=end,
        subtitle_align="right",
        box=box.ROUNDED,
        border_style=QUIET,
        padding=(0, 1),
    )


def _timeline(frames: Sequence[Frame], shape: Shape) -> Panel:
    """Load, replicas and GPUs over the whole run: what is still to come is empty."""
    now, stage = frames[-1], shape.stage
    chart_width = max(20, shape.width - LABEL_WIDTH - NUMBER_WIDTH - 6)
    table = Table.grid(padding=(0, 1))
    table.add_column(width=LABEL_WIDTH)
    table.add_column(width=NUMBER_WIDTH, justify="right")
    table.add_column(width=chart_width, no_wrap=True)

    def chart(values: list[float], top: float, rows: int, colour: str) -> Text:
        points = [(frame.at_s, value) for frame, value in zip(frames, values, strict=True)]
        lines = area(columns(points, stage.load.seconds, chart_width), top, rows)
        return Text("\n".join(lines), style=colour, no_wrap=True)

    table.add_row(
        Text("load", LOAD),
        f"{now.offered:.1f} req/s\n{short(now.waiting)} waiting",
        chart([frame.offered for frame in frames], stage.load.peak, 2 if shape.low else 3, LOAD),
    )
    for actor, colour in _coloured(stage):
        ready = [float(frame.role(actor.name).ready) for frame in frames]
        table.add_row(
            Text(actor.name, colour),
            f"{ready[-1]:.0f} ready",
            chart(ready, actor.high, 1 if shape.low else 2, colour),
        )
    used = [float(frame.gpus_used) for frame in frames]
    table.add_row("GPUs", f"{now.gpus_used} of {now.gpus}", chart(used, now.gpus, 1, "default"))
    table.add_row("", "", Text(_phases(stage, chart_width), QUIET, no_wrap=True))
    title = Text.assemble(
        ("rbg-autoscaler", "bold"),
        f"  {stage.title}  ",
        (clock(now.at_s), "bold"),
        ("  load: ", QUIET),
        (now.phase, LOAD),
    )
    return _panel(table, title, end=_first_token(now))


def _first_token(frame: Frame) -> str:
    if frame.first_token_s is None:
        return ""
    return f"{frame.served:.1f} req/s served, first token after {short(frame.first_token_s)} s"


def _phases(stage: Stage, width: int) -> str:
    """The names of the phases below the time at which they begin."""
    line = ""
    for (begins, _), phase in zip(stage.load.points, stage.load.phases, strict=False):
        place = int(begins / stage.load.seconds * width)
        line = line.ljust(place) + f"|{phase.name}"
    return line[:width]


def _roles(frame: Frame, shape: Shape) -> RenderableType:
    panels = [_role(frame.role(actor.name), actor, shape, colour) for actor, colour in _coloured(shape.stage)]
    if not shape.beside:
        return Group(*panels)
    table = Table.grid(expand=True)
    for _ in panels:
        table.add_column(ratio=1)
    table.add_row(*panels)
    return table


def _role(role: RoleFrame, actor: Actor, shape: Shape, colour: str) -> Panel:
    """A role; side by side, panels are equally high, and none changes its height as time goes on."""
    table = Table.grid(padding=(0, 1))
    for column_width in (LABEL_WIDTH_SIGNAL, BAR_WIDTH, None):
        table.add_column(width=column_width, no_wrap=True)
    for signal in role.signals:
        table.add_row(*_signal(signal, shape.stage.units.get(signal.name, ""), colour))
    if shape.beside:
        for _ in range(shape.stage.most_signals - len(role.signals)):
            table.add_row("")
    numbers = f"  {role.ready} ready, {_or(role.granted)} granted, {_or(role.wanted)} wanted"
    replicas = Text.assemble(
        _replicas(role, actor, colour), numbers, (f"  ({actor.low}..{actor.high})", QUIET)
    )
    width = (shape.width // 2 if shape.beside else shape.width) - 4
    because = textwrap.wrap(role.message, width, max_lines=shape.why, placeholder=" ...")
    why = Text("\n".join(because) + "\n" * (shape.why - max(1, len(because))), "italic")
    title = Text.assemble((actor.name, f"bold {colour}"), (f"  {actor.words}", QUIET))
    return _panel(Group(replicas, table, why), title)


def _signal(signal: SignalFrame, unit: str, colour: str) -> tuple[Text, Text, Text]:
    """Name, bar and numbers; above its target it stands out."""
    if signal.value is None:
        return Text(signal.name), Text(""), Text(f"no value, target {short(signal.target)}", QUIET)
    high = signal.value > signal.target
    below, above = bar(signal.value, signal.target, BAR_WIDTH)
    return (
        Text(signal.name),
        Text.assemble((below, HIGH if high else colour), (above, HIGH if high else QUIET)),
        Text.assemble(
            (short(signal.value), HIGH if high else "default"), (f" of {short(signal.target)} {unit}", QUIET)
        ),
    )


def _or(number: int | None) -> str:
    return "?" if number is None else str(number)


def _replicas(role: RoleFrame, actor: Actor, colour: str) -> Text:
    """One cell a replica: serving, asked for, possible."""
    coming = max(0, role.asked - role.ready)
    free = max(0, actor.high - role.ready - coming)
    return Text.assemble((FULL * role.ready, colour), (HALF_TONE * coming, colour), (DOT * free, QUIET))


def _nodes(frame: Frame, stage: Stage) -> Panel:
    """One cell a GPU, in the colour of the role that holds it."""
    colours = {actor.name: colour for actor, colour in _coloured(stage)}
    table = Table.grid(padding=(0, 3))
    for _ in range(4):
        table.add_column(no_wrap=True)
    cells = [_node(node, colours) for node in frame.nodes]
    for start in range(0, len(cells), 4):
        table.add_row(*cells[start : start + 4])
    title = Text.assemble(f"GPUs  {frame.gpus_used} of {frame.gpus} in use  ")
    for name, colour in colours.items():
        title.append_text(Text.assemble((FULL, colour), f" {name}  "))
    title.append_text(Text.assemble((HALF_TONE, QUIET), " starting  ", (DOT, QUIET), " free"))
    pending = (
        f"{frame.pending_gpus} GPUs asked for by pods that fit no node yet" if frame.pending_gpus else ""
    )
    return _panel(table, title, end=pending)


def _node(node: NodeFrame, colours: dict[str, str]) -> Text:
    text = Text(f"{node.name} ")
    for use, cell in ((node.ready, FULL), (node.starting, HALF_TONE)):
        for role in sorted(use):
            text.append(cell * use[role], colours.get(role, QUIET))
    text.append(DOT * (node.gpus - node.used), QUIET)
    return text


def _words(frames: Sequence[Frame], shape: Shape) -> Panel:
    """The newest of what the controller did, one line each, newest last."""
    start = {role.name: role.asked for role in frames[0].roles}
    told = tell(frames[-1].notes, start)[-shape.words :]
    colours = {actor.name: colour for actor, colour in _coloured(shape.stage)}
    name_width = max(map(len, colours))
    lines = []
    for one in told:
        line = Text(f"{clock(one.at_s)} ", QUIET, no_wrap=True, overflow="ellipsis")
        if one.role:
            line.append(f"{one.role:<{name_width}}", colours.get(one.role, "default"))
            line.append(f" {one.before:>2} -> {one.after:<2} ", "bold default")
        line.append(one.text, BAD if one.warning else "default")
        lines.append(line)
    lines += [Text("")] * (shape.words - len(lines))
    return _panel(Group(*lines), "what the controller did, and why")
