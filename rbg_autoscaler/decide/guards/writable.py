"""Roles that are not ours to write: refused by observation, claimed by others, or deaf to a write.

Another writer is reported and left alone, never fought.
"""

from __future__ import annotations

from rbg_autoscaler.decide.guards.hold import Hold
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.snapshot import RoleView

CONFLICT = "Conflict"
CHANGED_BY_OTHER = "ChangedByOther"
NOT_CARRIED_OUT = "ScaleNotCarriedOut"

OBSERVATION_LAG_SECONDS = 10
"""After a write the old count may be seen again for a moment; later it means that somebody put it back."""
OVERRIDE_WINDOW_SECONDS = 600
OVERRIDES_FOR_CONFLICT = 2
"""One change by another is a person's wish and is followed; two within the window are another writer."""
CARRY_OUT_SECONDS = 60
"""The RoleBasedGroup controller carries a resize out in about 0.1 s where nothing is in its way."""


def refused(role: Progress) -> Hold | None:
    """The first reason not to write the role at all, or None."""
    view = role.view
    if view.write_refusal is not None:
        return Hold(view.requested, view.write_refusal.reason, view.write_refusal.message)
    if role.claimants:
        message = f"claimed by {' and '.join(role.claimants)} too: none of them writes it; let one scale it"
        return Hold(view.requested, CONFLICT, message)
    if view.other_writer is not None:
        return Hold(view.requested, CONFLICT, f"{view.other_writer} writes this role too: remove one of them")
    if len(role.memory.overridden_at) >= OVERRIDES_FOR_CONFLICT:
        message = (
            f"somebody else changed the count {len(role.memory.overridden_at)} times within "
            f"{OVERRIDE_WINDOW_SECONDS} s of a write by this controller: held at {view.requested}"
        )
        return Hold(view.requested, CONFLICT, message)
    if view.unmet_dependencies:
        message = f"waits for {', '.join(sorted(view.unmet_dependencies))}: a write would resize nothing"
        return Hold(view.requested, "DependencyNotMet", message)
    return None


def not_observed(role: Progress, replicas: int, now: float) -> Hold | None:
    """Nothing is written on top of a write that is not seen yet."""
    if replicas == role.current or not observation_lags(role.view, role.memory, now):
        return None
    return Hold(role.current, "WriteNotObserved", f"{role.memory.written} was written and is not seen yet")


def followed_change(memory: RoleMemory) -> str | None:
    """A sentence that tells that another's count was followed lately, or None."""
    if not 0 < len(memory.overridden_at) < OVERRIDES_FOR_CONFLICT:
        return None
    return "somebody else changed the replica count that was written here; theirs was followed"


def not_carried_out(view: RoleView, memory: RoleMemory, now: float) -> str | None:
    """Why an accepted write resized nothing, as far as is known; None where nothing is amiss."""
    if (
        view.effective == view.requested
        or view.policy_rules
        or view.unmet_dependencies
        or memory.written != view.requested
        or memory.written_at is None
        or now - memory.written_at <= CARRY_OUT_SECONDS
    ):
        return None
    return (
        f"{view.requested} replicas were accepted but the workload still asks for {view.effective}: see the "
        "events of the RoleBasedGroup and its controller"
    )


def observation_lags(view: RoleView, memory: RoleMemory, now: float) -> bool:
    """Whether what is seen is the count just before our last write."""
    return (
        memory.written_at is not None
        and view.requested != memory.written
        and view.requested == memory.replaced
        and now - memory.written_at < OBSERVATION_LAG_SECONDS
    )
