"""Stage 6: replicas move in multiples of the gang step, rounded up in both directions, never above max.

A count that is off the step stays where it is until it moves, and then lands on the step.
"""

from __future__ import annotations

from rbg_autoscaler.api.types import RoleSpec
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import Stage, Step
from rbg_autoscaler.decide.memory import RoleMemory

REASON = "GangStep"
UNSATISFIABLE = "GangStepUnsatisfiable"


def on_step(
    replicas: int,
    current: int,
    earlier: tuple[Step, ...],
    spec: RoleSpec,
    memory: RoleMemory,
    config: DecideConfig,
    now: float,
) -> Step | None:
    """The stage's answer to `replicas`, or None where there is nothing to say.

    Args:
        replicas: what the stages before ask for, within the role's bounds.
        current: replicas asked for now.
        earlier: the role's steps so far; of them the rate limit's matters.
        spec: the role.
        memory: the role's scale events, for the rate limit's period.
        config: the legacy limit's period.
        now: seconds since the epoch.
    """
    step = spec.gang_step
    if step == 1 or replicas == current:
        return None
    highest = spec.max_replicas // step * step
    if highest < spec.min_replicas:
        message = f"no multiple of gangStep {step} lies within {spec.min_replicas}..{spec.max_replicas}"
        return Step(Stage.GANG_STEP, current, UNSATISFIABLE, message)
    demand = _before_rate_limit(earlier)
    if demand is not None:
        return _limited(replicas, demand, current, spec, memory, config, now)
    target = min(-(-replicas // step) * step, highest)
    if (target - current) * (replicas - current) < 0 or target == current:
        # 8 with a step of 4: a wanted 5 rounds up to 8, nothing moves; 6 of at most 7: 8 is too many.
        return Step(Stage.GANG_STEP, current, REASON, f"{replicas} is less than one gang step of {step} away")
    if target == replicas:
        return None
    how = "up" if target > replicas else f"down, for the maximum is {spec.max_replicas},"
    return Step(
        Stage.GANG_STEP, target, REASON, f"{replicas} rounded {how} to a multiple of gang step {step}"
    )


def _limited(
    replicas: int,
    demand: int,
    current: int,
    spec: RoleSpec,
    memory: RoleMemory,
    config: DecideConfig,
    now: float,
) -> Step | None:
    """Whole steps within the rate limit; one step a period where the limit is smaller than a step.

    A limit of 2 a minute and a step of 4: 4 -> 8 at once (for 6 can not be), then nothing for a minute.
    """
    step, up = spec.gang_step, replicas > current
    within = replicas // step * step if up else -(-replicas // step) * step
    if within > current if up else within < current:
        if within == replicas:
            return None
        message = f"{replicas} is all the rate limit allows, {within} the whole gang steps of {step} in it"
        return Step(Stage.GANG_STEP, within, REASON, message)
    one = (current // step + 1) * step if up else (current - 1) // step * step
    if one > spec.max_replicas or one < spec.min_replicas or (not up and one < demand):
        return Step(Stage.GANG_STEP, current, REASON, f"{demand} is less than one gang step of {step} away")
    events = memory.scale_ups if up else memory.scale_downs
    period = _longest_period(spec, up, config)
    if any(now - event.at < period for event in events):
        message = f"the rate limit is smaller than a gang step of {step}: one step went through in {period} s"
        return Step(Stage.GANG_STEP, current, "GangStepRateLimited", message)
    message = f"the rate limit ({replicas}) is smaller than a gang step of {step}: one step let through"
    return Step(Stage.GANG_STEP, one, "GangStepRateLimited", message)


def _before_rate_limit(earlier: tuple[Step, ...]) -> int | None:
    """What the rate limit was asked for, where it held the number back."""
    asked: int | None = None
    for step in earlier:
        if step.stage is Stage.RATE_LIMIT:
            return asked if asked is not None and asked != step.replicas else None
        asked = step.replicas
    return None


def _longest_period(spec: RoleSpec, up: bool, config: DecideConfig) -> int:
    if spec.behavior is None:
        return config.legacy_limit_period_seconds
    rules = spec.behavior.scale_up if up else spec.behavior.scale_down
    return max((policy.period_seconds for policy in rules.policies), default=0)
