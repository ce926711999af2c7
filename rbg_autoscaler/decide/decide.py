"""One decision pass over the whole fleet: a snapshot and the memory in, decisions and the next memory out.

No clock, no I/O: the same snapshot, memory and time give the same decisions, in whatever order objects came.
The stages: propose, (anticipate,) stabilise, rate-limit, bounds in `role.py`; gang step; coordinate; guard;
(fit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rbg_autoscaler.api.types import Mode, ObjectKey, RoleSpec
from rbg_autoscaler.decide.conditions import idle_conditions, role_conditions, whole_conditions
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.coordinate import coordinate, rules_of
from rbg_autoscaler.decide.decision import Condition, Decision, RoleDecision, Stage, Step
from rbg_autoscaler.decide.gang_step import on_step
from rbg_autoscaler.decide.guard import guard
from rbg_autoscaler.decide.guards.policy import policy_rules
from rbg_autoscaler.decide.guards.unschedulable import WITHDRAWN, next_backoff
from rbg_autoscaler.decide.memory import HeldDecision, Memory, RoleMemory
from rbg_autoscaler.decide.progress import Progress
from rbg_autoscaler.decide.recall import recalled
from rbg_autoscaler.decide.rescale import memory_after, memory_after_failure
from rbg_autoscaler.decide.role import decide_role
from rbg_autoscaler.decide.snapshot import (
    AutoscalerView,
    GroupView,
    Refusal,
    RoleView,
    Snapshot,
)

LONGEST_GAP_SECONDS = 60.0
"""Decisions further apart than four of HPA's periods have missed what the windows should have seen."""

Claims = Mapping[tuple[str, str, str], Sequence[ObjectKey]]
"""The autoscalers in mode Auto by (namespace, group, role) that they would write."""
RoleMemories = dict[tuple[ObjectKey, str], RoleMemory]


def decide(
    snapshot: Snapshot, memory: Memory, now: float, config: DecideConfig | None = None
) -> tuple[tuple[Decision, ...], Memory]:
    """One decision per autoscaler, sorted by key, and the memory for the next pass.

    Nothing is taken as written: `record_write` tells the memory about each write that succeeded.
    """
    config = config or DecideConfig()
    fleet = _Pass(snapshot, memory, now, config)
    decisions = tuple(fleet.decided(view) for view in fleet.views)
    return decisions, Memory(fleet.roles, now, fleet.held, fleet.targets)


def record_write(memory: Memory, key: ObjectKey, decision: RoleDecision, now: float) -> Memory:
    """The memory after `decision.granted` was written for a role of the autoscaler."""
    role = (key, decision.role)
    changed = memory_after(memory.roles.get(role, RoleMemory()), decision, now)
    changed = replace(changed, replaced=decision.current)
    if decision.changes and any(step.reason == WITHDRAWN for step in decision.steps):
        changed = replace(changed, withdrawn_at=now, backoff_seconds=next_backoff(changed))
    return replace(memory, roles={**memory.roles, role: changed})


def record_failure(memory: Memory, before: Memory, key: ObjectKey, decision: RoleDecision) -> Memory:
    """The memory after writing `decision.granted` failed; `before` is what the decision was made from."""
    role = (key, decision.role)
    past = before.roles.get(role, RoleMemory())
    changed = memory_after_failure(memory.roles.get(role, RoleMemory()), past)
    return replace(memory, roles={**memory.roles, role: changed})


class _Pass:
    """One pass: what all autoscalers share, and the next memory as it grows."""

    def __init__(self, snapshot: Snapshot, memory: Memory, now: float, config: DecideConfig) -> None:
        self.views = sorted(snapshot.autoscalers, key=lambda view: view.key)
        self._memory = memory
        self._now = now
        self._config = config
        self._gap = memory.decided_at is not None and now - memory.decided_at > LONGEST_GAP_SECONDS
        self._claims = _claims(self.views)
        self.roles: RoleMemories = {}
        self.held: dict[ObjectKey, HeldDecision] = {}
        self.targets: dict[ObjectKey, str] = {}

    def decided(self, view: AutoscalerView) -> Decision:
        """The decision about one autoscaler; its memories go into the next memory."""
        idle = _idle(view)
        if view.group is None or idle is not None:
            return self._idle(view, idle or _not_found(view))
        self.targets[view.key] = view.group.uid
        if view.spec.hpa_exact:
            return self._at_exact_period(view, view.group)
        return self._decided(view, view.group)

    def _idle(self, view: AutoscalerView, why: Refusal) -> Decision:
        """Nothing is decided; memories are kept, and their windows start anew afterwards."""
        group = view.group
        uid = group.uid if group is not None else self._memory.targets.get(view.key)
        if uid is not None:
            self.targets[view.key] = uid
        for spec in view.spec.roles:
            old = self._recollection(view.key, spec.name, uid)
            self.roles[view.key, spec.name] = old if old.interrupted else replace(old, interrupted=True)
        rows = () if group is None else tuple(_row(spec, group, why) for spec in view.spec.roles)
        refusal = None if view.spec.mode is Mode.PAUSED and view.refusal is None else why
        return Decision(view.key, view.uid, view.generation, rows, idle_conditions(why), refusal)

    def _at_exact_period(self, view: AutoscalerView, group: GroupView) -> Decision:
        """HPA's numbers come at HPA's period and hold in between; a new spec is not kept waiting."""
        last = self._memory.held.get(view.key)
        if (
            last is None
            or self._now - last.at >= self._config.exact_period_seconds
            or last.decision.generation != view.generation
            or last.decision.uid != view.uid
            or self._memory.targets.get(view.key) != group.uid
        ):
            decision = self._decided(view, group)
            self.held[view.key] = HeldDecision(self._now, decision)
            return decision
        self.held[view.key] = last
        rows = []
        for spec, row in zip(view.spec.roles, last.decision.roles, strict=True):
            remembered = self._recollection(view.key, spec.name, group.uid)
            self.roles[view.key, spec.name] = remembered
            rows.append(_still(row, group.role(spec.name), remembered))
        return replace(last.decision, roles=tuple(rows))

    def _decided(self, view: AutoscalerView, group: GroupView) -> Decision:
        roles: dict[str, Progress] = {}
        for spec in view.spec.roles:
            seen = group.role(spec.name)
            if seen is None:
                self.roles[view.key, spec.name] = self._recollection(view.key, spec.name, group.uid)
            else:
                roles[spec.name] = self._through_own_stages(view, group, spec, seen)
        rules = rules_of(view.spec.coordination)
        if rules:
            taking_part = {name: role for name, role in roles.items() if not role.asleep}
            present = tuple(rule for rule in rules if {rule.follower, rule.leader} <= taking_part.keys())
            rules = coordinate(taking_part, present)
        for role in roles.values():
            role.wanted = role.replicas
        guard(roles, rules, policy_rules(group), self._now)
        rows = tuple(
            _finished(roles[spec.name]) if spec.name in roles else _row(spec, group, _no_role(spec, view))
            for spec in view.spec.roles
        )
        conditions = whole_conditions(view.spec, rows)
        return Decision(view.key, view.uid, view.generation, rows, conditions)

    def _through_own_stages(
        self, view: AutoscalerView, group: GroupView, spec: RoleSpec, seen: RoleView
    ) -> Progress:
        """Stages 1 to 6, which look at one role alone."""
        exact, now, config = view.spec.hpa_exact, self._now, self._config
        remembered = recalled(
            self._recollection(view.key, spec.name, group.uid),
            spec,
            seen,
            now,
            writes=view.spec.mode is Mode.AUTO,
            exact=exact,
            gap=self._gap,
        )
        readings = view.readings.get(spec.name, ())
        decided, after = decide_role(spec, seen, readings, remembered, config, now, hpa_exact=exact)
        self.roles[view.key, spec.name] = after
        role = Progress(spec, seen, remembered, decided, self._other_claimants(view, spec))
        step = on_step(role.replicas, seen.requested, decided.steps, spec, remembered, config, now)
        if step is not None:
            role.pass_on(step.stage, step.replicas, step.reason, step.message)
        return role

    def _recollection(self, key: ObjectKey, role: str, group_uid: str | None) -> RoleMemory:
        """What is remembered of the role, unless it was a role of another group under the same name."""
        if self._memory.targets.get(key, group_uid) != group_uid:
            return RoleMemory()
        return self._memory.roles.get((key, role)) or RoleMemory()

    def _other_claimants(self, view: AutoscalerView, spec: RoleSpec) -> tuple[str, ...]:
        if view.spec.mode is not Mode.AUTO:
            return ()
        claimants = self._claims[view.key.namespace, view.spec.target, spec.name]
        return tuple(f"RbgAutoscaler {key.name}" for key in claimants if key != view.key)


def _claims(views: Sequence[AutoscalerView]) -> Claims:
    """An autoscaler that only recommends, or is refused, may stand beside one that acts."""
    claims: dict[tuple[str, str, str], list[ObjectKey]] = {}
    for view in views:
        if view.spec.mode is Mode.AUTO and view.refusal is None:
            for role in view.spec.roles:
                claims.setdefault((view.key.namespace, view.spec.target, role.name), []).append(view.key)
    return claims


def _idle(view: AutoscalerView) -> Refusal | None:
    if view.refusal is not None:
        return view.refusal
    if view.spec.mode is Mode.PAUSED:
        return Refusal("Paused", "spec.mode is Paused: nothing is decided or written")
    return None


def _not_found(view: AutoscalerView) -> Refusal:
    message = f"spec.targetRef.name: there is no RoleBasedGroup {view.spec.target} in {view.key.namespace}"
    return Refusal("TargetNotFound", message)


def _no_role(spec: RoleSpec, view: AutoscalerView) -> Refusal:
    return Refusal("RoleNotFound", f"spec.roles: {view.spec.target} has no role {spec.name}")


def _row(spec: RoleSpec, group: GroupView, why: Refusal) -> RoleDecision:
    """A role about which nothing is decided: it stays as it is."""
    seen = group.role(spec.name)
    current = 0 if seen is None else seen.requested
    able = Condition("AbleToScale", "False", why.reason, why.message)
    return RoleDecision(
        role=spec.name,
        current=current,
        ready=0 if seen is None else seen.ready,
        proposed=None,
        wanted=current,
        granted=current,
        limiter=Stage.GUARD,
        reason=why.reason,
        message=why.message,
        steps=(Step(Stage.GUARD, current, why.reason, why.message),),
        metrics=(),
        conditions=(able,),
        blocked=True,
    )


def _finished(role: Progress) -> RoleDecision:
    return role.finished(role_conditions(role)) if role.extra or role.refusal else role.decided


def _still(row: RoleDecision, seen: RoleView | None, memory: RoleMemory) -> RoleDecision:
    """The same row later: what was written, or changed by others since, is not asked for again."""
    if seen is None:
        return replace(row, ready=0, granted=row.current)
    if seen.requested == row.current and memory.written != row.granted:
        return row if seen.ready == row.ready else replace(row, ready=seen.ready)
    return replace(row, current=seen.requested, granted=seen.requested, ready=seen.ready)
