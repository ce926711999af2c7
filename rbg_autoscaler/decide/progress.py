"""One role on its way through the stages after its own bounds: the number so far and the steps that made it.

The stages that look at several roles at once (coordinate, guard) share these, one per role, for one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rbg_autoscaler.api.types import RoleSpec
from rbg_autoscaler.decide.decision import Condition, RoleDecision, Stage, Step
from rbg_autoscaler.decide.hpa_text import SCALING_DISABLED
from rbg_autoscaler.decide.memory import RoleMemory
from rbg_autoscaler.decide.snapshot import Refusal, RoleView


@dataclass(slots=True)
class Progress:
    """Mutable for the length of one pass only; `finished` gives the frozen decision."""

    spec: RoleSpec
    view: RoleView
    memory: RoleMemory
    decided: RoleDecision
    """The role's decision through stage 5."""
    claimants: tuple[str, ...] = ()
    """Other autoscalers that would write the same role."""
    replicas: int = field(init=False)
    wanted: int = field(init=False)
    """The number before the guards."""
    limiter: Stage | None = field(init=False)
    extra: list[Step] = field(init=False, default_factory=list)
    refusal: Refusal | None = None
    """Why a write is refused or came to nothing; the reason of AbleToScale."""

    def __post_init__(self) -> None:
        self.replicas = self.wanted = self.decided.granted
        self.limiter = self.decided.limiter

    @property
    def current(self) -> int:
        """Replicas asked for now."""
        return self.view.requested

    @property
    def asleep(self) -> bool:
        """Switched off by hand: at zero, and not by this controller; no ratio raises it."""
        return self.decided.reason == SCALING_DISABLED.reason

    def pass_on(self, stage: Stage, replicas: int, reason: str, message: str) -> None:
        """Note a stage's answer; a number that it changed makes it the limiter."""
        self.extra.append(Step(stage, replicas, reason, message))
        if replicas != self.replicas:
            self.limiter = stage
            self.replicas = replicas

    def finished(self, conditions: tuple[Condition, ...]) -> RoleDecision:
        """The decision with the steps of all stages; a refusal, or the last step that moved it, says why."""
        decided = self.decided
        if not self.extra and conditions is decided.conditions:
            return decided
        reason, message = decided.reason, decided.message
        before = decided.granted
        for step in self.extra:
            if step.replicas != before:
                reason, message = step.reason, step.message
            before = step.replicas
        limiter = None if self.replicas == decided.proposed else self.limiter
        if self.refusal is not None and self.replicas == self.current:
            limiter, reason, message = Stage.GUARD, self.refusal.reason, self.refusal.message
        return replace(
            decided,
            wanted=self.wanted,
            granted=self.replicas,
            limiter=limiter,
            reason=reason,
            message=message,
            steps=(*decided.steps, *self.extra),
            conditions=conditions,
        )
