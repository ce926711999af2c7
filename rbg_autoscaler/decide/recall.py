"""What a role's memory says in the light of what is seen now, before anything is decided.

Counts that somebody else wrote are followed, start-up times learnt, and windows that an interruption emptied
start anew with the present count.
"""

from __future__ import annotations

from dataclasses import replace

from rbg_autoscaler.api.types import RoleSpec
from rbg_autoscaler.decide.guards.unschedulable import raise_came_through
from rbg_autoscaler.decide.guards.writable import OVERRIDE_WINDOW_SECONDS, observation_lags
from rbg_autoscaler.decide.learn import learnt_start_up_seconds
from rbg_autoscaler.decide.memory import Recommendation, RoleMemory
from rbg_autoscaler.decide.snapshot import RoleView


def recalled(
    memory: RoleMemory, spec: RoleSpec, view: RoleView, now: float, *, writes: bool, exact: bool, gap: bool
) -> RoleMemory:
    """The memory to decide with.

    Args:
        memory: What is left from the last pass, or a new one.
        spec: The role.
        view: The role as it is seen now.
        now: Seconds since the epoch.
        writes: Mode Auto. In other modes there is no count of ours that somebody could change.
        exact: HPA's numbers: only a restart or a pause starts windows anew, not an outage, not a change.
        gap: Nothing was decided for long.
    """
    changed: dict[str, object] = {}
    learnt = learnt_start_up_seconds(view, spec.start_up.deadline_seconds)
    if learnt is not None and learnt != memory.start_up_seconds:
        changed["start_up_seconds"] = learnt
    if raise_came_through(view, memory):
        changed |= {"withdrawn_at": None, "backoff_seconds": 0.0}
    overridden = tuple(at for at in memory.overridden_at if now - at < OVERRIDE_WINDOW_SECONDS)
    if not writes:
        overridden = ()
        if memory.written is not None:
            changed |= {"written": None, "written_at": None, "replaced": None}
    elif (
        memory.written is not None
        and view.requested != memory.written
        and not observation_lags(view, memory, now)
    ):
        overridden = (*overridden, now)
        changed |= {"written": view.requested, "written_at": now, "replaced": None}
    if overridden != memory.overridden_at:
        changed["overridden_at"] = overridden
    if memory.interrupted or ((gap or now in overridden) and not exact):
        changed["interrupted"] = False
        if memory.recommendations is not None:
            changed["recommendations"] = (*memory.recommendations, Recommendation(now, view.requested))
    return replace(memory, **changed) if changed else memory  # type: ignore[arg-type]
