"""The live view as a picture: one moment of a run as an SVG that loads nothing from anywhere.

The moment is the one that tells most: the load has come and gone, and every role has begun to follow it down.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from rich.console import Console

from localplane.demo.frame import Frame
from localplane.demo.stage import Stage
from localplane.demo.view import view

COLUMNS, ROWS = 110, 41
FONTS = "Menlo, Consolas, 'DejaVu Sans Mono', monospace"
"""Instead of a font from elsewhere, fonts of the reader's machine that have the block characters."""


def draw(frames: Sequence[Frame], stage: Stage) -> str:
    """The SVG; at least one frame is needed."""
    console = Console(
        record=True,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        width=COLUMNS,
        height=ROWS,
    )
    console.print(view(frames[: telling_moment(frames) + 1], stage, COLUMNS, ROWS))
    svg = console.export_svg(title="make demo", unique_id="demo")
    svg = re.sub(r"<!--.*?-->|@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


def telling_moment(frames: Sequence[Frame]) -> int:
    """The first frame in which every role has less than at its peak; the last one if there is none."""
    top = {role.name: 0 for role in frames[0].roles}
    for number, frame in enumerate(frames):
        top = {role.name: max(top[role.name], role.asked) for role in frame.roles}
        if all(role.ready < top[role.name] and role.asked < top[role.name] for role in frame.roles):
            return number
    return len(frames) - 1
