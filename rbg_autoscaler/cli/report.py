"""What a command shows: the decisions that were asked for, each with the view it was made from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rbg_autoscaler.cli.gather import Round
from rbg_autoscaler.cli.problems import Failed
from rbg_autoscaler.decide.decision import Decision, Stage
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.snapshot import AutoscalerView


@dataclass(frozen=True)
class Item:
    """One RbgAutoscaler."""

    view: AutoscalerView
    decision: Decision

    @property
    def changes(self) -> bool:
        """Whether a role should have another replica count."""
        return any(role.changes for role in self.decision.roles)

    @property
    def spec_is_readable(self) -> bool:
        """False where the spec was refused, so that mode and target are not known."""
        return bool(self.view.spec.target)


@dataclass(frozen=True)
class Report:
    """All that is shown, in the order of namespaces and names."""

    taken_at: float
    """Seconds since the epoch."""
    items: tuple[Item, ...]

    @property
    def changes(self) -> bool:
        """Whether anything should change."""
        return any(item.changes for item in self.items)


def report_of(found: Round, names: Collection[str] = (), namespace: str | None = None) -> Report:
    """The autoscalers of these names (all, if none are given) and of this namespace, if one is given.

    Raises:
        Failed: naming those that exist, if a name is not among them.
    """
    views = {view.key: view for view in found.saved.snapshot.autoscalers}
    items = [
        Item(views[decision.key], decision)
        for decision in found.decisions
        if namespace in (None, decision.key.namespace)
    ]
    known = {item.view.key.name for item in items}
    unknown = [name for name in names if name not in known]
    if unknown:
        where = f" in namespace {namespace}" if namespace else ""
        there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
        raise Failed(f"no RbgAutoscaler {', '.join(unknown)}{where}; {there}")
    chosen = tuple(item for item in items if not names or item.view.key.name in names)
    return Report(found.saved.snapshot.taken_at, chosen)


def young_windows(found: Round, shown: Report) -> str | None:
    """A note where a role is held only because nothing is known of the time before."""
    held = [
        f"{item.view.key} {role.role}"
        for item in shown.items
        for role in item.decision.roles
        if role.limiter is Stage.STABILISE
        and (found.saved.memory.roles.get((item.view.key, role.role)) or RoleMemory()).recommendations is None
    ]
    if not held:
        return None
    return (
        f"no earlier recommendations are known for {', '.join(held)}: stabilisation windows begin now; "
        "--watch sees them pass"
    )
