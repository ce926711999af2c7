"""The store and the metrics' readings at one instant, as the one Snapshot that a decision pass gets.

Every RbgAutoscaler is in it: one that cannot take part carries the reason, and disturbs no other.
"""

from __future__ import annotations

from collections.abc import Mapping

from rbg_autoscaler.api.types import Mode, ObjectKey, RbgAutoscalerSpec
from rbg_autoscaler.decide.snapshot import AutoscalerView, GroupView, Reading, Refusal, Snapshot
from rbg_autoscaler.observe.objects import AutoscalerObject
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.target import Target
from rbg_autoscaler.observe.views import group_view

Readings = Mapping[ObjectKey, Mapping[str, tuple[Reading, ...]]]
NO_SPEC = RbgAutoscalerSpec(target="", roles=())


def targets(store: ClusterStore) -> list[Target]:
    """What is to be measured: all autoscalers that take part, sorted by key."""
    found = [_view(store, obj, {}) for obj in _claims(store)]
    return [Target(view.key, view.spec, view.group) for view in found if view.refusal is None]


def build_snapshot(store: ClusterStore, readings: Readings, now: float) -> Snapshot:
    """All autoscalers as of `now` (seconds since the epoch), with their groups and `readings`."""
    views = tuple(_view(store, obj, readings.get(obj[0].key, {})) for obj in _claims(store))
    store.forget_views(view.group.key for view in views if view.group is not None)
    return Snapshot(taken_at=now, autoscalers=views)


_Claim = tuple[AutoscalerObject, tuple[str, str] | None]
"""An autoscaler, with the role it may not write and the name of the one that holds it."""


def _claims(store: ClusterStore) -> list[_Claim]:
    """Of the autoscalers in mode Auto the oldest holds a role, or the first by name of equally old ones.

    So a second one made by mistake stops nothing that worked; one that only recommends may stand beside it.
    """
    holders: dict[tuple[str, str, str], str] = {}
    barred: dict[ObjectKey, tuple[str, str]] = {}
    autoscalers = store.autoscalers()
    for obj in sorted(autoscalers, key=lambda obj: (obj.created_at, obj.key)):
        if obj.spec is None or obj.spec.mode is not Mode.AUTO:
            continue
        slots = [(obj.key.namespace, obj.spec.target, role.name) for role in obj.spec.roles]
        held = next((slot for slot in slots if slot in holders), None)
        if held is not None:
            barred[obj.key] = (held[2], holders[held])
        else:
            holders |= dict.fromkeys(slots, obj.key.name)
    return [(obj, barred.get(obj.key)) for obj in autoscalers]


def _view(store: ClusterStore, claim: _Claim, readings: Mapping[str, tuple[Reading, ...]]) -> AutoscalerView:
    obj, barred = claim
    group: GroupView | None = None
    if obj.spec is not None:
        group = group_view(store, ObjectKey(obj.key.namespace, obj.spec.target))
    return AutoscalerView(
        key=obj.key,
        uid=obj.uid,
        generation=obj.generation,
        spec=obj.spec or NO_SPEC,
        group=group,
        readings=readings,
        refusal=_refusal(store, obj, barred, group),
    )


def _refusal(
    store: ClusterStore, obj: AutoscalerObject, barred: tuple[str, str] | None, group: GroupView | None
) -> Refusal | None:
    if obj.spec is None:
        return Refusal("InvalidSpec", "; ".join(str(error) for error in obj.errors))
    target = f"RoleBasedGroup {obj.key.namespace}/{obj.spec.target}"
    if barred is not None:
        role, holder = barred
        return Refusal(
            "TargetClaimed",
            f"role {role} of {target} is scaled by RbgAutoscaler {holder} already: keep it in one of them",
        )
    if group is None:
        return Refusal("TargetNotFound", f"{target} does not exist: check spec.targetRef.name")
    stored = store.group(group.key)
    if stored is not None and stored.terminating:
        return Refusal("TargetTerminating", f"{target} is being deleted")
    return None
