"""One role through stages 1 to 5: propose, combine, stabilise, rate-limit, bounds, in HPA's order.

With `hpa_exact` the numbers, reasons and conditions are HPA's in every case; without it proposals and the
scale-down window are tempered (`laws.py`), an outage restarts the window, and the limit without `behavior`
counts per period instead of per sync.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from rbg_autoscaler.api.types import ExternalMetric, ObjectMetric, QueryMetric, RoleSpec
from rbg_autoscaler.decide import hpa_text as text
from rbg_autoscaler.decide.bounds import Bound, at_least, jump
from rbg_autoscaler.decide.combine import Combined, combine
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decision import Condition, MetricResult, RoleDecision, Stage, Step
from rbg_autoscaler.decide.laws import down_window_seconds, temper
from rbg_autoscaler.decide.memory import Recommendation, RoleMemory, ScaleEvent
from rbg_autoscaler.decide.propose import propose_all
from rbg_autoscaler.decide.rate_limit import legacy_limit, limit_behavior, limit_legacy, longest_period
from rbg_autoscaler.decide.snapshot import Reading, RoleView
from rbg_autoscaler.decide.stabilise import Log, compact, remember, stabilise_behavior, stabilise_legacy


class _Case(NamedTuple):
    """Everything the stages of one role are told, and the windows that follow from it."""

    spec: RoleSpec
    view: RoleView
    memory: RoleMemory
    log: Log
    config: DecideConfig
    now: float
    exact: bool
    up_seconds: int
    down_seconds: int

    @property
    def keep_seconds(self) -> int:
        """How long a recommendation can matter."""
        return max(self.up_seconds, self.down_seconds)


def decide_role(
    spec: RoleSpec,
    view: RoleView,
    readings: tuple[Reading, ...],
    memory: RoleMemory,
    config: DecideConfig,
    now: float,
    *,
    hpa_exact: bool,
) -> tuple[RoleDecision, RoleMemory]:
    """What the role should have by its own metrics and limits, whatever other roles and the cluster say.

    Args:
        spec: How the role is scaled.
        view: The role as it is now.
        readings: One per entry of `spec.metrics`, in that order.
        memory: What the last decision left.
        config: The administrator's defaults.
        now: Seconds since the epoch.
        hpa_exact: HPA's numbers in every case.

    Returns:
        The decision, with `granted == wanted`, and the memory for the next one. The conditions hold until
        something is written: `rescale.py` has what a write makes of them. A type of condition that is not
        among them is left as it was.
    """
    case = _case(spec, view, memory, config, now, exact=hpa_exact)
    if view.requested == 0:
        if not _sleeps(case):
            return _disabled(case)
    elif (bound := jump(view.requested, spec.min_replicas, spec.max_replicas)) is not None:
        return _jumped(case, bound)
    results = propose_all(spec, view, readings, config)
    if not hpa_exact:
        results = temper(results, spec, view, memory, now)
    combined = combine(results, spec, view.requested)
    if combined.replicas is None:
        return _blocked(case, results, combined)
    return _scaled(case, results, combined, combined.replicas)


def _case(
    spec: RoleSpec, view: RoleView, memory: RoleMemory, config: DecideConfig, now: float, *, exact: bool
) -> _Case:
    log = memory.recommendations
    if log is None:
        log = (Recommendation(now, view.requested),)
    up = down = None
    if spec.behavior is not None:
        up = spec.behavior.scale_up.stabilization_window_seconds
        down = spec.behavior.scale_down.stabilization_window_seconds
    if not exact:
        down = down_window_seconds(spec, memory, config)
    elif down is None:
        down = config.scale_down_stabilization_seconds
    return _Case(spec, view, memory, log, config, now, exact, up or 0, down)


def _disabled(case: _Case) -> tuple[RoleDecision, RoleMemory]:
    """At 0 replicas that nobody but the user asked for: the accepted way to pause a role."""
    step = Step(Stage.PROPOSE, 0, "ScalingDisabled", "the role is paused: it was set to 0 replicas")
    conditions = (text.SUCCEEDED_GET_SCALE, text.SCALING_DISABLED)
    return _decision(case, None, (step,), (), conditions), _remembered(case, case.log, desired=0)


def _jumped(case: _Case, bound: Bound) -> tuple[RoleDecision, RoleMemory]:
    """A role outside its bounds goes to the bound at once; windows and rate limits do not hold it."""
    message = f"{case.view.requested} replicas are outside {_range(case.spec)}; metrics are not read"
    step = Step(Stage.BOUNDS, bound.replicas, bound.reason, message)
    decision = _decision(case, None, (step,), (), (text.SUCCEEDED_GET_SCALE,))
    return decision, _remembered(case, case.log, desired=bound.replicas)


def _blocked(
    case: _Case, results: tuple[MetricResult, ...], combined: Combined
) -> tuple[RoleDecision, RoleMemory]:
    """Failed metrics hold the role; HPA logs nothing then, so 301 s later one low value shrinks it."""
    requested = case.view.requested
    step = Step(Stage.PROPOSE, requested, combined.active.reason, combined.message)
    decision = _decision(
        case, None, (step,), results, (text.SUCCEEDED_GET_SCALE, combined.active), blocked=True
    )
    log = case.log
    if not case.exact:
        log = compact(remember(log, requested, case.now, case.keep_seconds), case.now, case.keep_seconds)
    return decision, _remembered(case, log, desired=case.memory.desired)


def _scaled(
    case: _Case, results: tuple[MetricResult, ...], combined: Combined, proposed: int
) -> tuple[RoleDecision, RoleMemory]:
    stabilised = _stabilised(case, proposed)
    bound = _limited(case, stabilised)
    able = text.READY_FOR_NEW_SCALE
    if stabilised != proposed:
        down = case.spec.behavior is None or proposed < case.view.requested
        able = text.SCALE_DOWN_STABILIZED if down else text.SCALE_UP_STABILIZED
    steps = (
        Step(Stage.PROPOSE, proposed, combined.active.reason, combined.message),
        Step(Stage.STABILISE, stabilised, able.reason, _stabilise_message(case, proposed, stabilised)),
        *_limit_steps(case, stabilised, bound),
    )
    conditions = (able, combined.active, text.SCALING_LIMITED[bound.reason])
    decision = _decision(case, proposed, steps, results, conditions)
    log = compact(remember(case.log, proposed, case.now, case.keep_seconds), case.now, case.keep_seconds)
    return decision, _remembered(case, log, desired=bound.replicas)


def _stabilised(case: _Case, proposed: int) -> int:
    if case.spec.behavior is None:
        return stabilise_legacy(case.log, proposed, case.now, case.down_seconds)
    return stabilise_behavior(
        case.log, case.view.requested, proposed, case.now, case.up_seconds, case.down_seconds
    )


def _limited(case: _Case, stabilised: int) -> Bound:
    spec, memory, requested = case.spec, case.memory, case.view.requested
    low, high = spec.min_replicas, spec.max_replicas
    if spec.behavior is None:
        ups = () if case.exact else memory.scale_ups
        bound = limit_legacy(stabilised, low, high, legacy_limit(requested, case.config, ups, case.now))
    else:
        ups, downs = memory.scale_ups, memory.scale_downs
        bound = limit_behavior(requested, stabilised, low, high, spec.behavior, ups, downs, case.now)
    return at_least(bound, low)


def _stabilise_message(case: _Case, proposed: int, stabilised: int) -> str:
    if stabilised == proposed:
        return "no recent recommendation stands against it"
    if stabilised > proposed:
        bound, window = "not below", f"the highest recommendation of the last {case.down_seconds} s"
    else:
        bound, window = "not above", f"the lowest recommendation of the last {case.up_seconds} s"
    return f"the metrics ask for {proposed}, but {bound} {stabilised} yet: {window}"


def _limit_steps(case: _Case, stabilised: int, bound: Bound) -> tuple[Step, Step]:
    spec, requested = case.spec, case.view.requested
    if bound.reason in (text.SCALE_UP_LIMIT, text.SCALE_DOWN_LIMIT):
        message = f"{bound.replicas} instead of {stabilised} for now: from {requested} no faster than "
        message += "behavior allows" if spec.behavior is not None else "HPA's usual limit allows"
        rate = Step(Stage.RATE_LIMIT, bound.replicas, bound.reason, message)
        return rate, Step(Stage.BOUNDS, bound.replicas, text.WITHIN_RANGE, f"within {_range(spec)}")
    rate = Step(Stage.RATE_LIMIT, stabilised, text.WITHIN_RANGE, "no rate limit is reached")
    if bound.reason == text.WITHIN_RANGE:
        return rate, Step(Stage.BOUNDS, bound.replicas, bound.reason, f"within {_range(spec)}")
    which = "minReplicas" if bound.replicas > stabilised else "maxReplicas"
    message = f"{bound.replicas} instead of {stabilised}: {which} is {bound.replicas}"
    return rate, Step(Stage.BOUNDS, bound.replicas, bound.reason, message)


def _range(spec: RoleSpec) -> str:
    return f"minReplicas {spec.min_replicas} and maxReplicas {spec.max_replicas}"


def _decision(
    case: _Case,
    proposed: int | None,
    steps: tuple[Step, ...],
    results: tuple[MetricResult, ...],
    conditions: tuple[Condition, ...],
    *,
    blocked: bool = False,
) -> RoleDecision:
    limiter, told = _limiter(proposed, steps)
    config, view = case.config, case.view
    if config.scale_to_zero and case.memory.scaled_to_zero:
        conditions = (*conditions, text.SCALED_TO_ZERO)
    return RoleDecision(
        role=case.spec.name,
        current=view.requested,
        ready=view.ready,
        proposed=proposed,
        wanted=steps[-1].replicas,
        granted=steps[-1].replicas,
        limiter=limiter,
        reason=told.reason,
        message=told.message,
        steps=steps,
        metrics=results,
        conditions=conditions,
        blocked=blocked,
        may_sleep=_may_sleep(case.spec) if config.scale_to_zero else None,
        event_seconds=_event_seconds(case),
    )


def _limiter(proposed: int | None, steps: tuple[Step, ...]) -> tuple[Stage | None, Step]:
    """The last stage that changed the number, and the step that explains the outcome."""
    if proposed is None:
        return steps[-1].stage, steps[-1]
    if steps[-1].replicas == proposed:
        return None, steps[0]
    for before, step in zip(reversed(steps[:-1]), reversed(steps), strict=False):
        if step.replicas != before.replicas:
            return step.stage, step
    return None, steps[0]


def _remembered(case: _Case, log: Log, *, desired: int | None) -> RoleMemory:
    keep = max(_event_seconds(case))
    return replace(
        case.memory,
        recommendations=log,
        scale_ups=_young(case.memory.scale_ups, case.now, keep),
        scale_downs=_young(case.memory.scale_downs, case.now, keep),
        desired=desired,
    )


def _event_seconds(case: _Case) -> tuple[int, int]:
    """How long rescales up and down matter to the rate limits; HPA logs none without `behavior`."""
    behavior = case.spec.behavior
    if behavior is not None:
        return longest_period(behavior.scale_up), longest_period(behavior.scale_down)
    period = 0 if case.exact else case.config.legacy_limit_period_seconds
    return period, period


def _young(events: tuple[ScaleEvent, ...], now: float, keep_seconds: int) -> tuple[ScaleEvent, ...]:
    """The events that can still count, and the newest whatever its age: it tells that the role was moved."""
    if len(events) < 2 or now - events[0].at < keep_seconds:
        return events
    return (*(event for event in events[:-1] if now - event.at < keep_seconds), events[-1])


def _sleeps(case: _Case) -> bool:
    """At 0 by this controller's own doing, and with something that can tell when to wake.

    A minimum above 0 is such a thing: it was raised while the role slept.
    """
    if not (case.config.scale_to_zero and case.memory.scaled_to_zero):
        return False
    return case.spec.min_replicas != 0 or _has_waking_metric(case.spec)


def _may_sleep(spec: RoleSpec) -> bool:
    return spec.min_replicas == 0 and _has_waking_metric(spec)


def _has_waking_metric(spec: RoleSpec) -> bool:
    """Whether a metric has a value without instances; signals and Pods metrics vanish with the last one."""
    return any(isinstance(metric, ExternalMetric | ObjectMetric | QueryMetric) for metric in spec.metrics)
