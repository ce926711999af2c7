"""What a RoleBasedGroup asks for: the effective replicas of its roles, the order of work, its status.

A Bound adapter's number always wins over the group's own; statuses follow what the workloads report, and
entries of roles that are gone stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localplane.rbg import names
from localplane.rbg.names import Obj

ZERO = {"replicas": 0, "readyReplicas": 0, "updatedReplicas": 0}


@dataclass(frozen=True)
class Override:
    """A role whose number in the group differs from its Bound adapter's."""

    role: str
    adapter: str
    desired: int
    observed: int

    @property
    def message(self) -> str:
        return (
            f'Role "{self.role}" replicas reset to RBGSA "{self.adapter}" (desired={self.desired}, '
            f"observed={self.observed}); external mutator (e.g. helm upgrade) likely dropped "
            "spec.roles[].replicas"
        )


def roles_of(group: Obj) -> list[Obj]:
    return list(group["spec"].get("roles") or [])


def adapter_enabled(role: Obj) -> bool:
    return bool((role.get("scalingAdapter") or {}).get("enable"))


def desired_replicas(role: Obj) -> int:
    return int(role.get("replicas", 1))


def overrides(group: Obj, bound: Mapping[str, int]) -> list[Override]:
    """Which roles a Bound adapter overrides; `bound` maps role names to the adapters' numbers."""
    found = []
    for role in roles_of(group):
        name = role["name"]
        observed = desired_replicas(role)
        if adapter_enabled(role) and name in bound and bound[name] != observed:
            adapter = names.adapter_name(names.name_of(group), name)
            found.append(Override(name, adapter, bound[name], observed))
    return found


def wanted_replicas(group: Obj, overridden: Iterable[Override]) -> dict[str, int]:
    wanted = {role["name"]: desired_replicas(role) for role in roles_of(group)}
    wanted.update({item.role: item.desired for item in overridden})
    return wanted


def levels(roles: Iterable[Obj]) -> list[list[str]]:
    """Roles by depth of their dependencies, alphabetical within a level; a cycle ends up in the last one."""
    waiting = {role["name"]: set(role.get("dependencies") or []) for role in roles}
    known = set(waiting)
    done: set[str] = set()
    order: list[list[str]] = []
    while waiting:
        ready = sorted(name for name, needs in waiting.items() if (needs & known) <= done)
        if not ready:
            return [*order, sorted(waiting)]
        order.append(ready)
        done.update(ready)
        for name in ready:
            del waiting[name]
    return order


def unmet_dependency(role: Obj, wanted: Mapping[str, int], statuses: Mapping[str, Obj]) -> bool:
    """Whether a dependency of the role has fewer ready instances than wanted; one with 0 wanted is met."""
    needs = role.get("dependencies") or []
    return any(statuses.get(name, ZERO)["readyReplicas"] < wanted[name] for name in needs if name in wanted)


def role_statuses(group: Obj, observed: Mapping[str, Obj]) -> list[Obj]:
    """The group's next roleStatuses, in the old order.

    `observed` maps a role to what its workload reports, once it has observed its generation; a role without
    an entry there keeps its old numbers. An entry is refreshed only when replicas or readyReplicas moved.
    """
    old = {entry["name"]: entry for entry in (group.get("status") or {}).get("roleStatuses") or []}
    order = list(old) + [role["name"] for role in roles_of(group) if role["name"] not in old]
    return [_refreshed(name, old.get(name), observed.get(name)) for name in order]


def _refreshed(name: str, old: Obj | None, seen: Obj | None) -> Obj:
    before = old or {"name": name, **ZERO}
    if seen is None:
        return before
    moved = (seen["replicas"], seen["readyReplicas"]) != (before["replicas"], before["readyReplicas"])
    return {"name": name, **seen} if moved else before


def ready_condition(wanted: Mapping[str, int], statuses: Iterable[Obj], generation: int) -> Obj:
    """Ready when every role of the spec has exactly the wanted replicas, all of them ready."""
    by_name = {entry["name"]: entry for entry in statuses}
    ready = all(
        by_name.get(name, ZERO)["replicas"] == count == by_name.get(name, ZERO)["readyReplicas"]
        for name, count in wanted.items()
    )
    return {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "AllRolesReady" if ready else "RoleNotReady",
        "message": "All roles are ready" if ready else "Not all role ready",
        "observedGeneration": generation,
    }


def cluster_config(group: Obj, wanted: Mapping[str, int]) -> str:
    """The text of the group's ConfigMap: roles in spec order, their instances' addresses in name order."""
    name = names.name_of(group)
    lines = ["group:", f"  name: {name}", "  roles:"]
    lines += [f"  - {role}" for role in wanted]
    lines += [f"  size: {len(wanted)}", "roles:"]
    for role in sorted(wanted):
        lines += [f"  {role}:"]
        if wanted[role]:
            lines += ["    instances:"]
        for index in range(wanted[role]):
            lines.append(f"    - address: {name}-{role}-{index}.{names.service_name(name, role)}")
        lines.append(f"    size: {wanted[role]}")
    return "\n".join(lines) + "\n"


def bound_replicas(group: Obj, adapters: Iterable[Obj]) -> dict[str, int]:
    """The numbers of the group's Bound adapters by role; adapters it does not own are ignored."""
    found = {}
    for adapter in adapters:
        owner = names.owner_of(adapter, "RoleBasedGroup")
        if owner is None or owner["uid"] != names.uid_of(group) or not is_bound(adapter):
            continue
        replicas = adapter["spec"].get("replicas")
        if replicas is not None:
            found[str(adapter["spec"]["scaleTargetRef"]["role"])] = int(replicas)
    return found


def is_bound(adapter: Obj) -> bool:
    return (adapter.get("status") or {}).get("phase") == "Bound"
