"""Kubernetes Events about decisions: one for each real change, a repeated one counted instead of multiplied.

An Event's name is made from what it says, so a successor that would tell the same thing raises the count of
the old Event instead of telling it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rbg_autoscaler.act.scale import Outcome, Result
from rbg_autoscaler.act.status import timestamp
from rbg_autoscaler.api.types import GROUP, KIND, VERSION, ObjectKey
from rbg_autoscaler.decide.decision import Decision
from rbg_autoscaler.decide.snapshot import AutoscalerView
from rbg_autoscaler.kube.client import Conflict, KubeApi, KubeError, NotFound

QUIET_SECONDS = 600.0
"""A state that comes and goes within ten minutes is told once."""
BAD_WHEN = {"Ready": "False", "MetricsAvailable": "False", "Conflict": "True", "BacklogOnly": "True"}
"""The conditions whose change is worth an Event, with the status that is bad news."""

NO_NEWS = frozenset({"Paused", "FailedUpdateScale"})
"""A pause is its user's own wish; of a failed write FailedRescale tells, with the role and the number."""


@dataclass(frozen=True)
class Note:
    """One thing worth telling."""

    type: str
    """Normal | Warning"""
    reason: str
    message: str
    state: str | None = None
    """For a state, its name: told when it begins, whatever numbers its message carries. None: an act, told
    each time."""


class EventWriter:
    """Writes Events; remembers which states are already told."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._told: dict[ObjectKey, dict[str, float]] = {}

    def news(
        self, key: ObjectKey, decision: Decision, outcomes: Sequence[Outcome], now: float
    ) -> tuple[Note, ...]:
        """What this sync has to tell that was not told already.

        A state is told again only after it was gone and `QUIET_SECONDS` have passed since it was told.
        """
        states = {note.state: note for note in (*_failures(outcomes), *_bad_news(decision))}
        told = self._told.get(key)
        if not states and not told:
            return _rescales(outcomes) if outcomes else ()
        told = told or {}
        fresh = tuple(note for state, note in states.items() if state not in told)
        remembered = {state: now if state in states else at for state, at in told.items()}
        remembered |= {note.state: now for note in fresh if note.state}
        self._told[key] = {state: at for state, at in remembered.items() if now - at < QUIET_SECONDS}
        return (*_rescales(outcomes), *fresh)

    def forget(self, living: Iterable[ObjectKey]) -> None:
        """Drop what was told of autoscalers that went."""
        for key in self._told.keys() - set(living):
            del self._told[key]

    async def write(self, view: AutoscalerView, notes: Sequence[Note], now: float) -> int:
        """Write the notes as Events; returns how many. A failing Event never fails a sync."""
        written = 0
        for note in notes:
            try:
                await self._tell(view, note, now)
            except KubeError:
                continue
            written += 1
        return written

    async def _tell(self, view: AutoscalerView, note: Note, now: float) -> None:
        event = event_object(view, note, now)
        base = f"/api/v1/namespaces/{view.key.namespace}/events"
        try:
            await self._api.request("POST", base, body=event)
        except Conflict:
            await self._count(f"{base}/{event['metadata']['name']}", event)

    async def _count(self, path: str, event: dict[str, Any]) -> None:
        try:
            old = await self._api.request("GET", path)
        except NotFound:
            return
        body = {
            "count": int(old.get("count") or 1) + 1,
            "lastTimestamp": event["lastTimestamp"],
            "message": event["message"],
        }
        await self._api.request("PATCH", path, body=body, content_type="application/merge-patch+json")


def _rescales(outcomes: Sequence[Outcome]) -> tuple[Note, ...]:
    """HPA's SuccessfulRescale, one a role."""
    return tuple(
        Note("Normal", "SuccessfulRescale", _size(outcome))
        for outcome in outcomes
        if outcome.result is Result.WRITTEN
    )


def _failures(outcomes: Sequence[Outcome]) -> list[Note]:
    """HPA's FailedRescale, one a role."""
    return [
        Note(
            "Warning",
            "FailedRescale",
            f"{_size(outcome)}; error: {outcome.message}",
            state=f"FailedRescale/{outcome.role.role}",
        )
        for outcome in outcomes
        if outcome.result is Result.FAILED
    ]


def _bad_news(decision: Decision) -> list[Note]:
    """One a reason: another writer makes Conflict true and Ready false, and is one piece of news."""
    return [
        Note("Warning", condition.reason, condition.message, state=condition.reason)
        for condition in decision.conditions
        if BAD_WHEN.get(condition.type) == condition.status and condition.reason not in NO_NEWS
    ]


def _size(outcome: Outcome) -> str:
    role = outcome.role
    return f"role {role.role}: New size: {role.granted}; reason: {role.message}"


def event_object(view: AutoscalerView, note: Note, now: float) -> dict[str, Any]:
    """The core/v1 Event; its name is a digest of who and what."""
    when = timestamp(now)
    what = "\0".join((view.uid, note.reason, note.state or note.message))
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{view.key.name}.{digest}", "namespace": view.key.namespace},
        "involvedObject": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "name": view.key.name,
            "namespace": view.key.namespace,
            "uid": view.uid,
        },
        "type": note.type,
        "reason": note.reason,
        "message": note.message[:1024],
        "count": 1,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "source": {"component": "rbg-autoscaler"},
        "reportingComponent": "rbg-autoscaler",
        "reportingInstance": "",
    }
