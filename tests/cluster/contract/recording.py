"""The recorded scenarios of the real RBG controller, cut into phases to compare without absolute times.

A phase is what happens between actions that are at least a second apart; a track is one field of one object.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.coverage import CORRECTIONS, SKIPPED_STEPS

PREFIX = "rbg.workloads.x-k8s.io/"
PHASE_GAP_SECONDS = 1.0

Track = tuple[str, str]
"""(object as recorded, e.g. "ris/g-decode"; field, e.g. "spec.replicas")."""

SHARED = Path(os.environ.get("RBG_AUTOSCALER_SHARED", Path(__file__).resolve().parents[4] / "shared"))
FILE = SHARED / "conformance" / "rbg_contract.json"


@dataclass(frozen=True)
class Step:
    """One recorded action: a request with its answer, or a note of what was done or seen."""

    t: float
    action: dict[str, Any]
    response: dict[str, Any]

    @property
    def verb(self) -> str | None:
        return self.action.get("verb")

    @property
    def note(self) -> str:
        return str(self.action.get("note", ""))


@dataclass(frozen=True)
class Value:
    """A track that took a value at a time."""

    t: float
    track: Track
    value: Any


@dataclass
class Phase:
    """Steps by index, and what was then seen."""

    start: float
    steps: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    last_seen: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """One recording; `namespace` is the one its requests were made in."""

    id: str
    title: str
    steps: list[Step]
    phases: list[Phase]
    samples: dict[str, Any]
    namespace: str


def load() -> dict[str, Scenario]:
    """All scenarios by the short part of their id, e.g. "s06a"."""
    recorded = json.loads(FILE.read_text())["scenarios"]
    return {entry["id"].split("_")[0]: _scenario(entry) for entry in recorded}


def _scenario(entry: dict[str, Any]) -> Scenario:
    for index, correction in CORRECTIONS.get(entry["id"].split("_")[0], {}).items():
        entry["steps"][index]["action"]["body"].update(correction)
    steps = [Step(s["t"], s["action"], s.get("response") or {}) for s in entry["steps"]]
    paths = [step.action["path"] for step in steps if step.verb]
    namespace = next((p.split("/")[1] for p in paths if p.startswith("{W}/")), entry["id"])
    skipped = SKIPPED_STEPS.get(entry["id"].split("_")[0], {})
    phases = _phases({index: step for index, step in enumerate(steps) if index not in skipped})
    for recorded in entry["timeline"]:
        phase = _phase_at(phases, recorded["t"])
        phase.last_seen = max(phase.last_seen, recorded["t"])
        if recorded["object"] == "event":
            phase.events.append(recorded["fields"])
        phase.values += list(tracks(recorded["t"], recorded["object"], recorded["fields"]))
    samples = entry.get("samples") or {}
    return Scenario(entry["id"], entry["title"], steps, phases, samples, namespace)


def _phases(steps: dict[int, Step]) -> list[Phase]:
    phases: list[Phase] = []
    last = float("-inf")
    for index, step in steps.items():
        if step.t - last >= PHASE_GAP_SECONDS:
            phases.append(Phase(step.t))
        phases[-1].steps.append(index)
        last = step.t
    return phases


def _phase_at(phases: list[Phase], t: float) -> Phase:
    before = [phase for phase in phases if phase.start <= t]
    return before[-1] if before else phases[0]


def tracks(t: float, name: str, fields: dict[str, Any]) -> Iterator[Value]:
    """The track values that one recorded entry holds; also used on what a replay sees."""
    for field_name, value in _flattened(name.split("/")[0], fields):
        yield Value(t, (name, field_name), value)


def _flattened(kind: str, fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (("life", mark) for mark in ("created", "gone") if mark in fields)
    if kind == "rbg":
        yield from ((f"replicas.{role}", n) for role, n in (fields.get("replicas") or {}).items())
    yield from ((f"roleStatuses.{role}", n) for role, n in (fields.get("roleStatuses") or {}).items())
    if kind in ("rbg", "rbgset") and "Ready" in (fields.get("conditions") or {}):
        yield "Ready", fields["conditions"]["Ready"]
    if kind != "pod":
        yield from ((flat, fields[flat]) for flat in ("spec.replicas", "role-size") if flat in fields)
    if kind in ("rbgsa", "podgroup"):
        spec = fields.get("spec") or {}
        yield from ((f"spec.{key}", spec[key]) for key in ("replicas", "minMember") if key in spec)
    status = fields.get("status") or {}
    yield from ((f"status.{key}", status[key]) for key in _STATUS_FIELDS if key in status)


_STATUS_FIELDS = ("phase", "replicas", "readyReplicas", "updatedReplicas")
