"""Memory in and out of status: what the next leader needs, in a form that stands still while nothing happens.

A log of recommendations is kept as its envelope and read back as if it were made at that moment: that may
delay a scale-down by one window at most, and never brings one forward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from rbg_autoscaler.api.types import RoleSpec
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.laws import down_window_seconds
from rbg_autoscaler.decide.memory import Recommendation, RoleMemory, ScaleEvent


def memory_to_status(
    memory: RoleMemory, spec: RoleSpec, config: DecideConfig, now: float
) -> dict[str, object]:
    """The `memory` block of a role's status; fields that say nothing are left out.

    No field moves with the clock alone, except that a value leaves its window once.
    """
    block: dict[str, object] = {}
    if memory.recommendations:
        up = spec.behavior.scale_up.stabilization_window_seconds if spec.behavior else None
        down = down_window_seconds(spec, memory, config)
        block["recommendedMax"] = max(_within(memory.recommendations, down, now))
        if up:
            block["recommendedMin"] = min(_within(memory.recommendations, up, now))
    if memory.scale_ups:
        block["scaleUps"] = [{"at": event.at, "change": event.change} for event in memory.scale_ups]
    if memory.scale_downs:
        block["scaleDowns"] = [{"at": event.at, "change": event.change} for event in memory.scale_downs]
    if memory.scaled_to_zero:
        block["scaledToZero"] = True
    if memory.overridden_at:
        block["overriddenAt"] = list(memory.overridden_at)
    if memory.backoff_seconds:
        block["backoffSeconds"] = memory.backoff_seconds
    known = {
        "desired": memory.desired,
        "written": memory.written,
        "writtenAt": memory.written_at,
        "replaced": memory.replaced,
        "startUpSeconds": memory.start_up_seconds,
        "withdrawnAt": memory.withdrawn_at,
    }
    return block | {name: value for name, value in known.items() if value is not None}


def memory_from_status(data: Mapping[str, object], now: float) -> RoleMemory:
    """The memory that a status holds, as of now.

    Status can be edited by hand: what is not of the expected kind counts as not there, and a time in the
    future as now. `interrupted` makes the first decision count the present replicas as recommended, too.
    """
    most, least = _count(data.get("recommendedMax")), _count(data.get("recommendedMin"))
    envelope = sorted({count for count in (most, least) if count is not None}, reverse=True)
    return RoleMemory(
        recommendations=tuple(Recommendation(now, count) for count in envelope) or None,
        scale_ups=_events(data.get("scaleUps"), now),
        scale_downs=_events(data.get("scaleDowns"), now),
        scaled_to_zero=data.get("scaledToZero") is True,
        desired=_count(data.get("desired")),
        written=_count(data.get("written")),
        written_at=_time(data.get("writtenAt"), now),
        start_up_seconds=_seconds(data.get("startUpSeconds")),
        withdrawn_at=_time(data.get("withdrawnAt"), now),
        backoff_seconds=_seconds(data.get("backoffSeconds")) or 0.0,
        replaced=_count(data.get("replaced")),
        overridden_at=_times(data.get("overriddenAt"), now),
        interrupted=True,
    )


def _within(log: tuple[Recommendation, ...], seconds: float, now: float) -> list[int]:
    """The recommendations of the window; the newest where all are older, for nothing has replaced it."""
    young = [entry.replicas for entry in log if now - entry.at <= seconds]
    return young or [max(log, key=lambda entry: entry.at).replicas]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value) if value >= 0 else None


def _time(value: object, now: float) -> float | None:
    seconds = _seconds(value)
    return None if seconds is None else min(seconds, now)


def _times(value: object, now: float) -> tuple[float, ...]:
    times = [_time(each, now) for each in value] if isinstance(value, list) else []
    return tuple(sorted(time for time in times if time is not None))


def _events(value: object, now: float) -> tuple[ScaleEvent, ...]:
    events = []
    for each in value if isinstance(value, list) else ():
        if not isinstance(each, Mapping):
            continue
        at, change = _time(each.get("at"), now), _count(each.get("change"))
        if at is not None and change:
            events.append(ScaleEvent(at, change))
    return tuple(sorted(events, key=lambda event: event.at))
