"""What is left to read after the run: numbers of the whole, then the findings of the verdict. Pure.

GPU time is compared with what the same service would have taken with the replicas of the peak all the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from localplane.demo.chart import clock, short
from localplane.demo.frame import Frame
from localplane.demo.judge import Verdict, while_high
from localplane.demo.stage import Stage
from localplane.demo.telling import tell


def summary(frames: Sequence[Frame], stage: Stage, verdict: Verdict) -> RenderableType:
    """The end of the demo as something to print; at least one frame is needed."""
    return Group(_roles(frames, stage), *(_facts(frames, stage)), "", *_findings(verdict))


def _roles(frames: Sequence[Frame], stage: Stage) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("role", "at first", "at the peak", "at the end", "scaled up", "scaled down"):
        table.add_column(heading, justify="left" if heading == "role" else "right")
    start = {role.name: role.asked for role in frames[0].roles}
    told = tell(frames[-1].notes, start)
    for actor in stage.actors:
        ready = [frame.role(actor.name).ready for frame in frames]
        moves = [one for one in told if one.role == actor.name]
        ups = sum(one.up for one in moves)
        table.add_row(
            actor.name, str(ready[0]), str(max(ready)), str(ready[-1]), f"{ups} x", f"{len(moves) - ups} x"
        )
    return table


def _facts(frames: Sequence[Frame], stage: Stage) -> list[str]:
    last = frames[-1]
    used, peak = gpu_seconds(frames), max(frame.gpus_used for frame in frames)
    constant = peak * (last.at_s - frames[0].at_s)
    slowest = max(frames, key=lambda frame: frame.first_token_s or 0.0)
    facts = [
        f"The load rose from {frames[0].offered:g} to {stage.load.peak:g} requests/s and fell again; "
        f"{last.served_total:.0f} requests were served, {last.dropped_total:.0f} dropped.",
        f"At the peak {peak} of {last.gpus} GPUs were in use. The whole took {used / 60:.0f} GPU minutes; "
        f"the peak's replicas all the time would have taken {constant / 60:.0f}.",
    ]
    high = [frame.first_token_s for frame in while_high(frames, stage) if frame.first_token_s is not None]
    if slowest.first_token_s is not None and high:
        facts.append(
            f"Clients waited {short(slowest.first_token_s)} s for the first token at the worst "
            f"({clock(slowest.at_s)}), and {short(high[-1])} s at the end of the high load."
        )
    return facts


def gpu_seconds(frames: Sequence[Frame]) -> float:
    """GPUs held, summed over time; a frame stands until the next one."""
    return sum(one.gpus_used * (other.at_s - one.at_s) for one, other in pairwise(frames))


def _findings(verdict: Verdict) -> list[Text]:
    told = [
        Text.assemble(("yes  ", "bold green") if finding.good else ("NO   ", "bold red"), finding.sentence)
        for finding in verdict.findings
    ]
    word = (
        Text("The roles followed the load.", "bold green")
        if verdict.passed
        else Text("The roles did not follow the load.", "bold red")
    )
    return [*told, word]
