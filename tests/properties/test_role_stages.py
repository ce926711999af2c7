"""The laws of the stages of one role, over random roles, loads and histories."""

from hypothesis import given
from hypothesis import strategies as st

from rbg_autoscaler.api.types import Behavior, Metric, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy
from rbg_autoscaler.decide.combine import combine
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.memory import Recommendation, RoleMemory, ScaleEvent
from rbg_autoscaler.decide.propose import propose, propose_all
from rbg_autoscaler.decide.rate_limit import limit_behavior
from rbg_autoscaler.decide.ratio import MAX_INT32, Band
from rbg_autoscaler.decide.role import decide_role
from rbg_autoscaler.decide.snapshot import InstancePhase, InstanceView, Reading, RoleView, Sample
from rbg_autoscaler.decide.stabilise import compact, remember, stabilise_behavior, stabilise_legacy
from tests.unit.decide.roles import (
    OUT,
    Timeline,
    busy,
    external,
    external_total,
    instance,
    kv_usage,
    role,
    total,
)

NOW = 100_000.0
CONFIG = DecideConfig()
TENTH = Band.of(0.1, 0.1)

counts = st.integers(0, 40)
METRICS: list[Metric] = [external(3), external_total(30), busy(4), kv_usage(70)]
metrics = st.sampled_from(METRICS)
policies = st.builds(
    ScalingPolicy, st.sampled_from(PolicyType), st.integers(1, 200), st.sampled_from([15, 60, 300])
)
scaling_rules = st.builds(
    ScalingRules,
    st.lists(policies, min_size=1, max_size=3).map(tuple),
    st.sampled_from(SelectPolicy),
    st.sampled_from([None, 0, 60, 600]),
    st.sampled_from([None, 0.0, 0.5]),
)
behaviors = st.builds(Behavior, scaling_rules, scaling_rules)
events = st.lists(st.builds(ScaleEvent, st.floats(NOW - 400, NOW), st.integers(1, 20)), max_size=5).map(
    lambda entries: tuple(sorted(entries, key=lambda event: event.at))
)
logs = st.lists(st.builds(Recommendation, st.floats(NOW - 700, NOW), counts), max_size=12).map(
    lambda entries: tuple(sorted(entries, key=lambda entry: entry.at))
)
memories = st.builds(
    RoleMemory,
    recommendations=st.none() | logs,
    scale_ups=events,
    scale_downs=events,
    start_up_seconds=st.none() | st.floats(0, 900),
)


@st.composite
def views(draw: st.DrawFn) -> RoleView:
    """Any state of a role: counts that do not agree, instances of all phases."""
    phases = draw(st.lists(st.sampled_from(InstancePhase), max_size=8))
    instances: tuple[InstanceView, ...] = tuple(instance(i, phase) for i, phase in enumerate(phases))
    ready = phases.count(InstancePhase.READY)
    requested = draw(counts)
    return RoleView("decode", requested, requested, draw(counts), ready, instances=instances)


@st.composite
def readings(draw: st.DrawFn, metric: Metric, view: RoleView) -> Reading:
    """A value, a partial one, or none."""
    if draw(st.integers(0, 5)) == 0:
        return OUT
    values = st.integers(0, 200_000)
    if metric in (external(3), external_total(30)):
        return Sample(draw(st.dictionaries(st.sampled_from("abcde"), values)), reporting=1)
    names = [one.name for one in view.instances]
    reported = draw(st.dictionaries(st.sampled_from(names), values)) if names else {}
    capacity = dict.fromkeys(names, 100_000)
    return Sample(reported, reporting=len(reported), expected=view.ready, capacity_milli=capacity)


@st.composite
def syncs(draw: st.DrawFn) -> tuple[tuple[Metric, ...], RoleView, tuple[Reading, ...]]:
    view = draw(views())
    named = tuple(draw(st.lists(metrics, min_size=1, max_size=3)))
    return named, view, tuple(draw(readings(metric, view)) for metric in named)


@given(syncs(), st.integers(0, 10), st.integers(1, 40), st.none() | behaviors, memories, st.booleans())
def test_a_decision_is_within_bounds_and_follows_from_its_steps(
    sync: tuple[tuple[Metric, ...], RoleView, tuple[Reading, ...]],
    minimum: int,
    more: int,
    behavior: Behavior | None,
    memory: RoleMemory,
    exact: bool,
) -> None:
    named, view, read = sync
    spec = role(*named, minimum=minimum, maximum=minimum + more, behavior=behavior)
    decision, after = decide_role(spec, view, read, memory, CONFIG, NOW, hpa_exact=exact)
    assert decision.granted == decision.wanted == decision.steps[-1].replicas
    if view.requested == 0:
        assert decision.granted == 0
    else:
        assert minimum <= decision.granted <= minimum + more
    assert decision.reason
    assert decision.message
    assert after.recommendations is not None
    again = decide_role(spec, view, read, memory, CONFIG, NOW, hpa_exact=exact)
    assert again == (decision, after)


@given(syncs(), st.none() | behaviors, memories, st.booleans())
def test_a_failed_metric_never_lowers_a_role(
    sync: tuple[tuple[Metric, ...], RoleView, tuple[Reading, ...]],
    behavior: Behavior | None,
    memory: RoleMemory,
    exact: bool,
) -> None:
    named, view, read = sync
    spec = role(*named, external(1), minimum=0, maximum=1000, behavior=behavior)
    decision, _ = decide_role(spec, view, (*read, OUT), memory, CONFIG, NOW, hpa_exact=exact)
    assert decision.granted >= view.requested


@given(views(), st.integers(1, 40), st.floats(0.9, 1.1))
def test_inside_tolerance_nothing_changes(view: RoleView, requested: int, ratio: float) -> None:
    settled = RoleView("decode", requested, requested, requested, view.ready, instances=view.instances)
    usage = int(ratio * 3000 * requested)
    inside = TENTH.holds(usage / (3000 * requested))
    result = propose(external(3), Sample({"series": usage}), settled, TENTH, CONFIG)
    assert (result.proposed == requested) or not inside
    value = int(ratio * 30_000)
    inside = TENTH.holds(value / 30_000)
    result = propose(external_total(30), Sample({"series": value}), settled, TENTH, CONFIG)
    assert (result.proposed == requested) or not inside or result.proposed is None


@given(syncs())
def test_proposals_do_not_depend_on_the_order_of_series_and_instances(
    sync: tuple[tuple[Metric, ...], RoleView, tuple[Reading, ...]],
) -> None:
    named, view, read = sync
    turned = RoleView(
        "decode", view.requested, view.requested, view.observed, view.ready, instances=view.instances[::-1]
    )
    for metric, reading in zip(named, read, strict=True):
        back = reading
        if isinstance(reading, Sample):
            values = dict(reversed(list(reading.values_milli.items())))
            back = Sample(
                values, 0.0, reading.reporting, reading.expected, capacity_milli=reading.capacity_milli
            )
        one = propose(metric, reading, view, TENTH, CONFIG)
        other = propose(metric, back, turned, TENTH, CONFIG)
        assert (one.proposed, one.usage_milli, one.message) == (
            other.proposed,
            other.usage_milli,
            other.message,
        )


@given(syncs())
def test_the_best_proposal_does_not_depend_on_the_order_of_metrics(
    sync: tuple[tuple[Metric, ...], RoleView, tuple[Reading, ...]],
) -> None:
    named, view, read = sync
    one = combine(propose_all(role(*named), view, read, CONFIG), role(*named), view.requested)
    back = role(*named[::-1])
    other = combine(propose_all(back, view, read[::-1], CONFIG), back, view.requested)
    assert one.replicas == other.replicas


@given(st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1), st.integers(0, 2**31 - 1))
def test_no_value_however_large_leaves_int32(usage: int, target: int, observed: int) -> None:
    metric = external(1)
    large = type(metric)(metric.name, (), type(metric.target)(metric.target.type, target))
    view = RoleView("decode", observed, observed, observed, 0)
    result = propose(large, Sample({"series": usage}), view, TENTH, CONFIG)
    assert result.proposed is not None
    assert 0 <= result.proposed <= MAX_INT32


@given(st.integers(1, 60), counts, st.integers(0, 10), st.integers(0, 30), behaviors, events, events)
def test_a_rate_limit_never_turns_a_move_around_nor_makes_it_larger(
    requested: int,
    desired: int,
    minimum: int,
    more: int,
    behavior: Behavior,
    ups: tuple[ScaleEvent, ...],
    downs: tuple[ScaleEvent, ...],
) -> None:
    minimum = min(minimum, requested)
    maximum = max(minimum + more, requested)
    held = limit_behavior(requested, desired, minimum, maximum, behavior, ups, downs, NOW).replicas
    low, high = sorted((requested, max(desired, minimum)))
    assert min(low, maximum) <= held <= high


@given(
    st.lists(st.tuples(st.sampled_from([5.0, 15.0, 40.0, 290.0]), counts), min_size=1, max_size=25),
    st.sampled_from([0, 20, 60]),
    st.sampled_from([0, 60, 300]),
    counts,
)
def test_the_short_log_gives_what_the_whole_log_gives(
    history: list[tuple[float, int]], up: int, down: int, requested: int
) -> None:
    """At every instant of a history, for every window that it may be asked for."""
    now, keep = NOW, max(up, down)
    whole: tuple[Recommendation, ...] = ()
    short: tuple[Recommendation, ...] = ()
    for wait, desired in history:
        now += wait
        assert stabilise_legacy(short, desired, now, down) == stabilise_legacy(whole, desired, now, down)
        assert stabilise_behavior(short, requested, desired, now, up, down) == stabilise_behavior(
            whole, requested, desired, now, up, down
        )
        whole = (*whole, Recommendation(now, desired))
        short = compact(remember(short, desired, now, keep), now, keep)
        assert len(short) <= len(whole)
        assert short[-1] == whole[-1]


@given(logs, counts, counts, st.sampled_from([0, 60, 300]), st.sampled_from([0, 60, 300]))
def test_stabilising_stays_between_the_present_and_all_that_was_asked_for(
    log: tuple[Recommendation, ...], requested: int, desired: int, up: int, down: int
) -> None:
    held = stabilise_behavior(log, requested, desired, NOW, up, down)
    asked = [desired, *(entry.replicas for entry in log)]
    assert min(asked) <= held <= max(asked)
    assert stabilise_legacy(log, desired, NOW, down) >= desired


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30), st.sampled_from([1, 5, 7]))
def test_without_behavior_a_role_at_most_doubles_within_a_period(loads: list[int], sync: int) -> None:
    """At any sync period: what stands is at most twice, or 4, of what stood 15 s before."""
    line = Timeline(role(external(1), maximum=10_000), 3, exact=False)
    stood: list[tuple[float, int]] = [(0.0, 3)]
    for index, load in enumerate(loads):
        now = float(sync * (index + 1))
        line.at(now, total(load))
        stood.append((now, line.replicas))
        least = min(replicas for at, replicas in stood if now - at <= 15)
        assert line.replicas <= max(2 * least, 4)
