"""The view of those without a terminal: a line every few seconds, and one for every change.

Pure: what is new in a frame against those before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from localplane.demo.chart import clock, short
from localplane.demo.frame import Frame
from localplane.demo.telling import Told, tell

EVERY_SECONDS = 5.0


def lines(frames: Sequence[Frame]) -> list[str]:
    """The lines to print for the last frame, those before having had theirs."""
    now = frames[-1]
    before = frames[-2] if len(frames) > 1 else None
    start = {role.name: role.asked for role in frames[0].roles}
    already = len(before.notes) if before else 0
    new = [_told(one) for one in tell(now.notes, start)[already:]]
    if before is None or before.phase != now.phase:
        new.append(f"{clock(now.at_s)}  the load is {now.phase}: {now.offered:.1f} requests/s")
    if before is None or int(before.at_s / EVERY_SECONDS) != int(now.at_s / EVERY_SECONDS):
        new.append(_state(now))
    return new


def _state(frame: Frame) -> str:
    roles = "".join(f"  {role.name} {role.ready} ready, {role.asked} asked" for role in frame.roles)
    load = f"load {frame.offered:4.1f}/s  served {frame.served:4.1f}/s  waiting {short(frame.waiting):>4}"
    return f"{clock(frame.at_s)}  {load}{roles}  GPUs {frame.gpus_used} of {frame.gpus}"


def _told(told: Told) -> str:
    change = f"{told.role} {told.before} -> {told.after}: " if told.role else ""
    return f"{clock(told.at_s)}  * {change}{told.text}"
