"""Compares what a phase was recorded to do with what a replay saw: each track's way or end, and the order.

Exact tracks must take the recorded values one after the other; of the others only the last value counts. Two
exact values that were recorded more than 0.3 s apart must come in that order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from contract.coverage import CUT, FLAPS, SAMPLED, UNCOMPARED_EVENTS, VARIES
from contract.digest import normal
from contract.recording import Phase, Track, Value
from contract.requests import local_text

if TYPE_CHECKING:
    from contract.replay import Replay

ORDER_SECONDS = 0.3
EXACT = ("spec.replicas", "spec.minMember", "role-size", "life", "status.phase")
WATCHED = ("rbg", "rbgsa", "ris", "rbgset", "deploy", "sts")
RANDOM_NAMES = {"s10b"}


def is_exact(track: Track) -> bool:
    kind = track[0].split("/")[0]
    if kind not in ("rbg", "rbgsa", "ris"):
        return False
    if track[1] == "status.replicas":
        return kind == "rbgsa"
    return track[1] in EXACT or track[1].startswith("replicas.")


def varies(replay: Replay, track: Track) -> bool:
    """Whether the track's way is a matter of chance; role-size is written together with spec.replicas."""
    known = VARIES.get(replay.id, {})
    twin = (track[0], "spec.replicas" if track[1] == "role-size" else track[1])
    return twin in known or (track[0], "*") in known


def compare(replay: Replay, phase: Phase, seen: list[Value], heard: list[dict[str, Any]]) -> list[str]:
    if replay.id in SAMPLED:
        return []
    problems = _ways(replay, phase, seen) + _final_values(replay, phase) + _flaps(replay, phase, seen)
    problems += _order(replay, phase, seen) + _lives(replay, phase, seen)
    return problems + _events(replay, phase, heard)


def _ends(phase: Phase) -> dict[Track, Any]:
    return {value.track: value.value for value in phase.values}


def _ways(replay: Replay, phase: Phase, seen: list[Value]) -> list[str]:
    recorded, observed = _by_track(phase.values), _by_track(seen)
    problems = []
    for track in sorted(set(recorded) | set(observed)):
        if not is_exact(track) or varies(replay, track) or not _was_recorded(replay, phase, track):
            continue
        if recorded.get(track) != observed.get(track):
            problems.append(f"{track}: recorded {recorded.get(track)}, now {observed.get(track)}")
    return problems


def _was_recorded(replay: Replay, phase: Phase, track: Track) -> bool:
    """Whole phases (creations mostly), kinds and fields were dropped from some recordings."""
    kind = track[0].split("/")[0]
    kinds = {value.track[0].split("/")[0] for value in phase.values}
    fields = {
        v.track[1] for p in replay.scenario.phases for v in p.values if v.track[0].split("/")[0] == kind
    }
    return kind in kinds and track[1] in fields


def _final_values(replay: Replay, phase: Phase) -> list[str]:
    """A phase may have been cut while things moved: a value that was recorded next is as good."""
    if phase.steps[-1] in CUT.get(replay.id, {}):
        return []
    current = replay.observatory.last(replay.namespace, 0)
    problems = []
    for track, value in _ends(phase).items():
        if track[0].split("/")[0] not in WATCHED or (track[0], "*") in VARIES.get(replay.id, {}):
            continue
        if is_exact(track) and not varies(replay, track):
            continue
        accepted = [normal(value), normal(_next_value(replay, phase, track))]
        if normal(current.get(track)) not in accepted[: 1 if is_exact(track) else 2]:
            problems.append(f"{track}: recorded end {value!r}, now {current.get(track)!r}")
    return problems


def _next_value(replay: Replay, phase: Phase, track: Track) -> Any:
    later = [p for p in replay.scenario.phases if p.start > phase.start]
    return next((v.value for p in later for v in p.values if v.track == track), None)


def _flaps(replay: Replay, phase: Phase, seen: list[Value]) -> list[str]:
    recorded, observed = _by_track(phase.values), _by_track(seen)
    return [
        f"{track}: recorded to flap {recorded[track]}, now {observed.get(track)}"
        for track in FLAPS.get(replay.id, set())
        if len(recorded.get(track, [])) >= 3 and len(observed.get(track, [])) < 3
    ]


def _order(replay: Replay, phase: Phase, seen: list[Value]) -> list[str]:
    """Only values that occur once in the phase can be told apart, and only a group by itself has an order."""
    if phase.steps[-1] in CUT.get(replay.id, {}):
        return []
    recorded = _single(replay, phase.values)
    observed = _single(replay, seen)
    common = [key for key in recorded if key in observed]
    problems = []
    for first in common:
        for second in common:
            apart = recorded[second] - recorded[first] > ORDER_SECONDS
            if apart and _same_group(first[0], second[0]) and observed[second] < observed[first]:
                problems.append(f"order: recorded {first} before {second}")
    return problems


def _same_group(a: Track, b: Track) -> bool:
    first, second = a[0].split("/")[1], b[0].split("/")[1]
    groups = {first, second}
    return first.split("-")[:2] == second.split("-")[:2] or any(
        other.startswith(f"{name}-") for name in groups for other in groups
    )


def _single(replay: Replay, values: list[Value]) -> dict[tuple[Track, str], float]:
    times: defaultdict[tuple[Track, str], list[float]] = defaultdict(list)
    for value in values:
        if is_exact(value.track) and not varies(replay, value.track):
            times[value.track, str(value.value)].append(value.t)
    return {key: at[0] for key, at in times.items() if len(at) == 1}


def _lives(replay: Replay, phase: Phase, seen: list[Value]) -> list[str]:
    """Instances and pods that were recorded to come and go must do so; not every one was recorded."""
    problems = []
    for kind in ("ri", "pod"):
        recorded = _life(phase.values, kind)
        observed = _life(seen, kind)
        if replay.id in RANDOM_NAMES:
            if recorded and _counts(recorded) != _counts(observed):
                problems.append(f"{kind}: recorded {_counts(recorded)}, now {_counts(observed)}")
            continue
        for name, way in recorded.items():
            now = observed.get(name, [])
            if way[-1:] != now[-1:] if _made_by_chance(replay, name) else way != now:
                problems.append(f"{name}: recorded {way}, now {now}")
    return problems


def _made_by_chance(replay: Replay, name: str) -> bool:
    """Whether the instance or pod belongs to a set whose number varies."""
    sets = [track[0].split("/")[1] for track in VARIES.get(replay.id, {}) if track[1] == "spec.replicas"]
    return any(name.split("/")[1].startswith(f"{owner}-") for owner in sets)


def _life(values: list[Value], kind: str) -> dict[str, list[Any]]:
    ways: defaultdict[str, list[Any]] = defaultdict(list)
    for value in values:
        if value.track[1] == "life" and value.track[0].startswith(kind + "/"):
            ways[value.track[0]].append(value.value)
    return dict(ways)


def _counts(ways: dict[str, list[Any]]) -> int:
    """How many more there are than before; the real one once made a pod anew that was on its way out."""
    marks = [mark for way in ways.values() for mark in way]
    return marks.count("created") - marks.count("gone")


def _events(replay: Replay, phase: Phase, heard: list[dict[str, Any]]) -> list[str]:
    known = {_heard(event) for event in heard}
    problems = []
    for event in phase.events:
        if event["reason"] in UNCOMPARED_EVENTS or event["message"].startswith("(combined"):
            continue
        if replay.id in RANDOM_NAMES and event["on"].startswith("RoleInstance"):
            continue
        kind, reason, on, message = _heard(local_text(event, replay.scenario.namespace, replay.namespace))
        text = message.split("…")[0]
        if not any(k[:3] == (kind, reason, on) and k[3].startswith(text) for k in known):
            problems.append(f"event {reason} on {on} not seen: {message}")
    return problems


def _heard(event: dict[str, Any]) -> tuple[str, str, str, str]:
    return event["type"], event["reason"], event["on"], re.sub(r"\s+", " ", event["message"])


def _by_track(values: list[Value]) -> dict[Track, list[Any]]:
    ways: defaultdict[Track, list[Any]] = defaultdict(list)
    for value in values:
        if not ways[value.track] or ways[value.track][-1] != value.value:
            ways[value.track].append(value.value)
    return dict(ways)
