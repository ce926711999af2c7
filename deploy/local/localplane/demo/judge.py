"""The verdict: did both roles follow the load? Pure, from the frames and what was planned.

A role must have risen while the load was high, all that arrived must have been worked on before it fell, and
at the end every role must be back at its minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localplane.demo.chart import clock
from localplane.demo.frame import Frame
from localplane.demo.stage import Actor, Stage

SETTLED_SECONDS = 5.0
"""The end of the high load, by which the roles must be large enough."""
QUEUE_SECONDS = 1.0
"""No more may wait then than arrives in this time."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, as a sentence."""

    good: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """All findings; passed if all are good."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.good for finding in self.findings)


def judge(frames: Sequence[Frame], stage: Stage) -> Verdict:
    """The verdict about a whole run; one that broke off early fails with a finding that says so."""
    if not frames or frames[-1].at_s < stage.load.seconds - SETTLED_SECONDS:
        seen = clock(frames[-1].at_s) if frames else "0:00"
        return Verdict(
            (
                Finding(
                    False, f"the run ended at {seen}, before the load's end at {clock(stage.load.seconds)}"
                ),
            )
        )
    findings = []
    for actor in stage.actors:
        findings += [_rose(frames, actor, stage), _came_back(frames, actor)]
    return Verdict((*findings, _kept_up(frames, stage)))


def while_high(frames: Sequence[Frame], stage: Stage) -> list[Frame]:
    """The frames during which the load was at its peak."""
    begin, end = stage.load.high
    return [frame for frame in frames if begin <= frame.at_s <= end]


def _rose(frames: Sequence[Frame], actor: Actor, stage: Stage) -> Finding:
    start = frames[0].role(actor.name).ready
    peak = max((frame.role(actor.name).ready for frame in while_high(frames, stage)), default=start)
    load = f"while {stage.load.peak:g} requests/s arrived"
    if peak > start:
        return Finding(True, f"{actor.name} rose from {start} to {peak} serving replicas {load}")
    return Finding(False, f"{actor.name} did not rise above its {start} serving replicas {load}")


def _kept_up(frames: Sequence[Frame], stage: Stage) -> Finding:
    settled = stage.load.high[1] - SETTLED_SECONDS
    last = [frame for frame in while_high(frames, stage) if frame.at_s >= settled]
    if not last:
        return Finding(False, "nothing was seen of the end of the high load")
    waiting = max(frame.waiting for frame in last)
    limit = stage.load.peak * QUEUE_SECONDS
    when = f"in the last {SETTLED_SECONDS:g} s of the high load"
    if waiting <= limit:
        return Finding(True, f"{when} no more than {waiting:.0f} requests waited: the capacity was enough")
    return Finding(
        False, f"{when} up to {waiting:.0f} requests waited, more than {limit:.0f}: capacity was short"
    )


def _came_back(frames: Sequence[Frame], actor: Actor) -> Finding:
    end = frames[-1].role(actor.name)
    if end.asked == end.ready == actor.low:
        return Finding(True, f"{actor.name} came back to its minimum of {actor.low}")
    return Finding(
        False,
        f"{actor.name} ended with {end.ready} of {end.asked} replicas ready, "
        f"not at its minimum of {actor.low}",
    )
