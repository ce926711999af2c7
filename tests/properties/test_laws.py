"""What must always hold of decisions, over random fleets, random readings and random histories."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbg_autoscaler.api.types import (
    ExternalMetric,
    MetricTarget,
    Mode,
    ObjectKey,
    RbgAutoscalerSpec,
    RoleSpec,
    Signal,
    TargetType,
)
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.coordinate import Counts, families, rules_of, solve
from rbg_autoscaler.decide.decide import decide
from rbg_autoscaler.decide.decision import Decision, Stage
from rbg_autoscaler.decide.envelope import memory_from_status, memory_to_status
from rbg_autoscaler.decide.memory import Memory, Recommendation, RoleMemory, ScaleEvent
from rbg_autoscaler.decide.snapshot import (
    AutoscalerView,
    InstancePhase,
    Missing,
    Reading,
    Refusal,
    RoleView,
    RolloutView,
    Sample,
    Snapshot,
)
from tests.fakes.fleet import (
    KEY,
    SimulatedRole,
    World,
    autoscaler_view,
    behavior,
    group,
    instance,
    metric,
    per_instance,
    ratio,
    role_spec,
    role_view,
)

NOW = 10_000.0
CONFIG = DecideConfig()
MISSING_REASONS = ("Unreachable", "NoSeries", "Stale", "NotFinite", "Negative", "Duplicated")
METRICS = (
    metric(Signal.QUEUE_LENGTH, 8),
    metric(Signal.PENDING_TOKENS, 16_000),
    metric(Signal.KV_CACHE_USAGE, 0.7),
    metric(Signal.PROMPT_TOKEN_RATE, 20_000),
    ExternalMetric("jobs", (), MetricTarget(TargetType.AVERAGE_VALUE, 8_000)),
)

few = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
fewer = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# Random fleets

behaviors = st.one_of(
    st.none(),
    st.builds(
        lambda up, down, up_window, down_window: behavior(
            (("Pods", up, 60),), (("Percent", down, 120),), up_window, down_window
        ),
        st.integers(1, 20),
        st.integers(1, 100),
        st.sampled_from([None, 0, 60]),
        st.sampled_from([None, 0, 300]),
    ),
)


@st.composite
def role_specs(draw: st.DrawFn, name: str) -> RoleSpec:
    step = draw(st.sampled_from([1, 1, 1, 2, 3, 4]))
    low = draw(st.integers(1, 8))
    high = draw(st.integers(low, 24))
    if high // step * step < low:
        high = low * step
    metrics = draw(st.lists(st.sampled_from(METRICS), min_size=1, max_size=3, unique=True))
    return role_spec(name, low, high, *metrics, gang_step=step, behavior=draw(behaviors))


@st.composite
def role_views(draw: st.DrawFn, name: str) -> RoleView:
    requested = draw(st.integers(0, 26))
    phases = st.sampled_from([InstancePhase.READY] * 4 + list(InstancePhase))
    made = draw(st.lists(phases, min_size=max(0, requested - 2), max_size=requested + 1))
    ages = st.sampled_from([5.0, 120.0, 700.0, 9000.0])
    instances = tuple(
        instance(ordinal, phase, role=name, at=NOW - draw(ages)) for ordinal, phase in enumerate(made)
    )
    rollout = RolloutView(
        draw(st.booleans()) and draw(st.booleans()),
        draw(st.sampled_from([0, 0, 0, 3])),
        draw(st.sampled_from(["0", "0", "1", "25%"])),
        draw(st.sampled_from(["1", "1", "10%"])),
    )
    rare = st.sampled_from([False] * 9 + [True])
    return role_view(
        name,
        requested,
        instances=instances,
        effective=draw(st.sampled_from([requested, requested, len(made)])),
        stateful=draw(st.booleans()),
        rollout=rollout,
        write_refusal=Refusal("AdapterNotBound", "x") if draw(rare) else None,
        unmet_dependencies=("router",) if draw(rare) else (),
        policy_rules=("both",) if draw(st.booleans()) else (),
        other_writer="someone" if draw(rare) else None,
    )


@st.composite
def readings(draw: st.DrawFn, view: RoleView, spec: RoleSpec) -> tuple[Reading, ...]:
    answers: list[Reading] = []
    for one in spec.metrics:
        if draw(st.sampled_from([False, False, False, True])):
            answers.append(Missing(draw(st.sampled_from(MISSING_REASONS)), "x"))
            continue
        load = draw(st.sampled_from([0.0, 0.3, 0.9, 1.0, 1.3, 4.0]))
        sample = per_instance(view, one.target.milli / 1000 * load)
        if isinstance(one, ExternalMetric):
            sample = Sample({"all": round(one.target.milli * load * max(view.requested, 1))})
        elif sample.values_milli and draw(st.booleans()):
            silent = min(sample.values_milli)
            values = {name: value for name, value in sample.values_milli.items() if name != silent}
            sample = replace(sample, values_milli=values, reporting=len(values))
        answers.append(sample)
    return tuple(answers)


@st.composite
def memories(draw: st.DrawFn, view: RoleView) -> RoleMemory:
    counts, ages = st.integers(0, 30), st.floats(0, 900)
    if draw(st.booleans()):
        return RoleMemory()
    log = tuple(
        Recommendation(NOW - age, draw(counts))
        for age in sorted(draw(st.lists(ages, max_size=4)), reverse=True)
    )
    events = st.lists(st.builds(ScaleEvent, ages.map(lambda age: NOW - age), st.integers(1, 9)), max_size=2)
    written = draw(st.sampled_from([None, view.requested, 5]))
    withdrawn = draw(st.sampled_from([None, NOW - 30, NOW - 900]))
    return RoleMemory(
        log or None,
        tuple(draw(events)),
        tuple(draw(events)),
        written=written,
        written_at=None if written is None else NOW - draw(ages),
        start_up_seconds=draw(st.sampled_from([None, 100.0, 500.0])),
        withdrawn_at=withdrawn,
        backoff_seconds=0.0 if withdrawn is None else 60.0,
    )


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Snapshot, Memory]:
    views: list[AutoscalerView] = []
    remembered: dict[tuple[ObjectKey, str], RoleMemory] = {}
    for number in range(draw(st.integers(1, 2))):
        key = ObjectKey("serving", f"a{number}")
        names = ["decode", "prefill", "router"][: draw(st.integers(1, 3))]
        specs = tuple(draw(role_specs(name)) for name in names)
        seen = [draw(role_views(name)) for name in names]
        bounds = st.tuples(st.sampled_from([None, 0.5, 1, 1.5]), st.sampled_from([None, 2, 4]))
        pairs = [("decode", "prefill"), ("prefill", "router")]
        coordination = tuple(
            ratio(one, other, *draw(bounds)) for one, other in pairs if {one, other} <= set(names)
        )
        spec = RbgAutoscalerSpec(
            f"group-{number}", specs, Mode.AUTO, coordination=coordination, hpa_exact=draw(st.booleans())
        )
        read = {one.name: draw(readings(view, one)) for one, view in zip(specs, seen, strict=True)}
        views.append(autoscaler_view(spec, group(*seen, name=f"group-{number}"), read, key=key))
        remembered |= {(key, view.name): draw(memories(view)) for view in seen}
    return Snapshot(NOW, tuple(views)), Memory(remembered, NOW - 5)


def moved(view: AutoscalerView, decision: Decision):
    """(spec, row, role as seen) of each role that would be written."""
    assert view.group is not None
    for spec, row in zip(view.spec.roles, decision.roles, strict=True):
        seen = view.group.role(spec.name)
        if row.changes and seen is not None:
            yield spec, row, seen


# Law 1: nothing written is above max, below min, off the step, or outside a ratio that was satisfiable


@few
@given(fleets())
def test_what_is_written_is_within_bounds_and_on_the_gang_step(fleet):
    snapshot, memory = fleet
    decisions, _ = decide(snapshot, memory, NOW)
    for view, decision in zip(snapshot.autoscalers, decisions, strict=True):
        for spec, row, _ in moved(view, decision):
            assert spec.min_replicas <= row.granted <= spec.max_replicas
            assert row.granted % spec.gang_step == 0


@few
@given(fleets())
def test_what_is_written_keeps_every_ratio_that_can_be_kept_or_brings_it_nearer(fleet):
    assert_ratios_kept_or_nearer(*fleet)


def assert_ratios_kept_or_nearer(snapshot: Snapshot, memory: Memory) -> None:
    decisions, _ = decide(snapshot, memory, NOW)
    for view, decision in zip(snapshot.autoscalers, decisions, strict=True):
        rows = {row.role: row for row in decision.roles}
        for names, family in families(rules_of(view.spec.coordination)):
            asleep = any(rows[name].reason == "ScalingDisabled" for name in names)
            if asleep or not can_be_kept(view.spec, names, family):
                continue
            for rule in family:
                leader, follower = rows[rule.leader], rows[rule.follower]
                if not (leader.changes or follower.changes):
                    continue
                kept = follower.granted * rule.weight >= leader.granted * rule.share
                was_kept = follower.current * rule.weight >= leader.current * rule.share
                nearer = leader.granted <= leader.current and follower.granted >= follower.current
                assert kept or (not was_kept and nearer)


@st.composite
def held_pairs(draw: st.DrawFn) -> tuple[Snapshot, Memory]:
    """Two roles with a ratio and far more or less load than they carry, of which guards often hold one."""
    steps = {name: draw(st.sampled_from([1, 1, 2, 3])) for name in ("decode", "prefill")}
    specs = tuple(
        role_spec(
            name, 1, 24, METRICS[2], gang_step=step, behavior=behavior((("Pods", 30, 15),), down_window=0)
        )
        for name, step in steps.items()
    )
    seen, read = [], {}
    for spec in specs:
        what = draw(st.sampled_from([{}, {}, {"other_writer": "someone"}, {"rollout": RolloutView(True)}]))
        view = role_view(spec.name, draw(st.integers(1, 14)), **what)
        if draw(st.sampled_from([False, False, True])):
            last = instance(view.requested - 1, InstancePhase.UNSCHEDULED, role=spec.name, at=NOW - 60)
            view = replace(view, instances=(*view.instances[:-1], last), ready=view.ready - 1)
        seen.append(view)
        read[spec.name] = (per_instance(view, 0.7 * draw(st.sampled_from([0.2, 0.5, 1.0, 1.5, 3.0]))),)
    bounds = draw(st.sampled_from([(0.5, 1), (1, 2), (1, 4), (None, 1.5), (2, None)]))
    coordination = (ratio("decode", "prefill", *bounds),)
    spec = RbgAutoscalerSpec("group-0", specs, Mode.AUTO, coordination=coordination)
    view = autoscaler_view(spec, group(*seen, name="group-0"), read)
    return Snapshot(NOW, (view,)), Memory()


@settings(max_examples=200, deadline=None)
@given(held_pairs())
def test_a_guard_on_one_role_does_not_break_its_ratio_with_the_other(fleet):
    assert_ratios_kept_or_nearer(*fleet)


def can_be_kept(spec: RbgAutoscalerSpec, names, family) -> bool:
    counts = {
        role.name: Counts(role.min_replicas, role.max_replicas, role.gang_step)
        for role in spec.roles
        if role.name in names
    }
    return solve(dict.fromkeys(counts, 0), counts, family) is not None


# Law 2: what is not known lowers nothing


@few
@given(fleets(), st.data())
def test_missing_samples_lower_no_role(fleet, data):
    snapshot, memory = fleet
    reason = data.draw(st.sampled_from(MISSING_REASONS))

    def blind(view: AutoscalerView) -> AutoscalerView:
        unread = {name: tuple(Missing(reason, "x") for _ in read) for name, read in view.readings.items()}
        return replace(view, readings=unread)

    decisions, _ = decide(replace(snapshot, autoscalers=tuple(map(blind, snapshot.autoscalers))), memory, NOW)
    for view, decision in zip(snapshot.autoscalers, decisions, strict=True):
        for spec, row, _ in moved(view, decision):
            assert row.granted > row.current or row.current > spec.max_replicas


@few
@given(fleets())
def test_partial_samples_alone_lower_no_role(fleet):
    snapshot, memory = fleet

    def partial(reading: Reading) -> Reading:
        if not isinstance(reading, Sample):
            return reading
        return replace(reading, reporting=1, expected=2)

    def dim(view: AutoscalerView) -> AutoscalerView:
        read = {name: tuple(map(partial, one)) for name, one in view.readings.items()}
        return replace(view, readings=read, spec=replace(view.spec, hpa_exact=False, coordination=()))

    dimmed = tuple(map(dim, snapshot.autoscalers))
    decisions, _ = decide(replace(snapshot, autoscalers=dimmed), memory, NOW)
    for view, decision in zip(dimmed, decisions, strict=True):
        for spec, row, _ in moved(view, decision):
            withdrawn = any(step.reason == "UnschedulableWithdrawn" for step in row.steps)
            assert row.granted > row.current or row.current > spec.max_replicas or withdrawn


# Law 4: Recommend says what Auto writes


@few
@given(fleets())
def test_recommend_says_exactly_what_auto_would_write(fleet):
    snapshot, memory = fleet
    memory = Memory({role: replace(one, written=None, written_at=None) for role, one in memory.roles.items()})

    def recommending(view: AutoscalerView) -> AutoscalerView:
        return replace(view, spec=replace(view.spec, mode=Mode.RECOMMEND))

    auto, _ = decide(snapshot, memory, NOW)
    others = replace(snapshot, autoscalers=tuple(map(recommending, snapshot.autoscalers)))
    told, _ = decide(others, memory, NOW)
    assert told == auto


# Law 6: another writer is not fought; refused roles are not written


@few
@given(fleets())
def test_roles_of_others_are_not_written(fleet):
    snapshot, memory = fleet
    decisions, _ = decide(snapshot, memory, NOW)
    for view, decision in zip(snapshot.autoscalers, decisions, strict=True):
        for _, _, seen in moved(view, decision):
            assert seen.other_writer is None
            assert seen.write_refusal is None
            assert not seen.unmet_dependencies


# Law 7: a refused autoscaler disturbs nothing else


@few
@given(fleets())
def test_a_refused_autoscaler_changes_nothing_for_the_others(fleet):
    snapshot, memory = fleet
    alone, _ = decide(snapshot, memory, NOW)
    key = ObjectKey("serving", "bad")
    bad = replace(snapshot.autoscalers[0], key=key, uid="bad", refusal=Refusal("SetOwned", "x"))
    bad = replace(bad, spec=replace(bad.spec, target="elsewhere"))
    beside, _ = decide(replace(snapshot, autoscalers=(bad, *snapshot.autoscalers)), memory, NOW)
    assert tuple(one for one in beside if one.key != key) == alone
    refused = next(one for one in beside if one.key == key)
    assert refused.refusal is not None
    assert not any(row.changes for row in refused.roles)


# Deterministic, whatever the order; steps tell the number


@few
@given(fleets(), st.randoms(use_true_random=False))
def test_the_order_of_objects_changes_nothing(fleet, dice: random.Random):
    snapshot, memory = fleet

    def mixed(view: AutoscalerView) -> AutoscalerView:
        assert view.group is not None
        roles = [
            replace(role, instances=tuple(dice.sample(role.instances, len(role.instances))))
            for role in view.group.roles
        ]
        dice.shuffle(roles)
        return replace(view, group=replace(view.group, roles=tuple(roles)))

    views = [mixed(view) for view in snapshot.autoscalers]
    dice.shuffle(views)
    assert decide(replace(snapshot, autoscalers=tuple(views)), memory, NOW) == decide(snapshot, memory, NOW)


@few
@given(fleets())
def test_the_order_of_ratios_changes_no_number(fleet):
    snapshot, memory = fleet

    def turned(view: AutoscalerView) -> AutoscalerView:
        return replace(view, spec=replace(view.spec, coordination=view.spec.coordination[::-1]))

    decisions, _ = decide(snapshot, memory, NOW)
    others, _ = decide(replace(snapshot, autoscalers=tuple(map(turned, snapshot.autoscalers))), memory, NOW)
    for decision, other in zip(decisions, others, strict=True):
        assert [row.granted for row in decision.roles] == [row.granted for row in other.roles]


@few
@given(fleets())
def test_the_steps_end_with_what_is_granted_and_come_in_the_order_of_the_stages(fleet):
    snapshot, memory = fleet
    order = list(Stage)
    for decision in decide(snapshot, memory, NOW)[0]:
        for row in decision.roles:
            assert row.steps[-1].replicas == row.granted
            places = [order.index(step.stage) for step in row.steps]
            assert places == sorted(places)
            assert all(step.reason and step.message for step in row.steps)
            if row.proposed is not None and row.granted != row.proposed:
                assert row.limiter is not None


# Histories: a leader killed at any instant


loads = st.lists(st.sampled_from([0.2, 0.5, 0.9, 1.0, 1.4, 3.0]), min_size=8, max_size=30)


@fewer
@given(loads, st.integers(1, 40), st.sampled_from([5, 15, 30]), behaviors, st.booleans())
def test_a_successor_never_scales_down_earlier_than_the_killed_leader_would_have(
    levels, killed_after, every, rules, status_was_late
):
    """Two worlds under one load; in one the leader is killed and its status remains, perhaps a late one."""
    spec = RbgAutoscalerSpec("demo", (role_spec("decode", 1, 24, METRICS[2], behavior=rules),), Mode.AUTO)

    def meter(_role: str, view: RoleView, now: float) -> tuple[Reading, ...]:
        work = 6 * levels[min(int(now // 60), len(levels) - 1)]
        return (per_instance(view, 0.7 * work / max(view.ready, 1)),)

    one, other = (World(spec, {"decode": SimulatedRole(6, start_up_seconds=0)}, meter) for _ in range(2))
    kept: dict[str, object] = {}
    for number in range(60 * len(levels) // every):
        now = float(number * every)
        if number == killed_after:
            other.memory = Memory({(KEY, "decode"): memory_from_status(json.loads(json.dumps(kept)), now)})
        before = other.roles["decode"].requested
        one.sync(now)
        other.sync(now)
        if not (status_was_late and number == killed_after - 1):
            kept = memory_to_status(other.memory.roles[KEY, "decode"], spec.roles[0], CONFIG, now)
        if number >= killed_after and one.roles["decode"].requested != other.roles["decode"].requested:
            # A raise may wait for its own window; from here on the two see different loads.
            assert other.roles["decode"].requested >= min(before, one.roles["decode"].requested)
            return


@fewer
@given(loads, st.integers(0, 20), st.integers(1, 40), behaviors)
def test_after_an_outage_a_role_keeps_its_replicas_for_a_window(levels, begins, minutes, rules):
    spec = RbgAutoscalerSpec("demo", (role_spec("decode", 1, 24, METRICS[2], behavior=rules),), Mode.AUTO)
    start, end = 60.0 * begins, 60.0 * (begins + minutes)

    def meter(_role: str, view: RoleView, now: float) -> tuple[Reading, ...]:
        if start <= now < end:
            return (Missing("Unreachable", "x"),)
        work = 6 * levels[min(int(now // 60), len(levels) - 1)] if now < start else 0.1
        return (per_instance(view, 0.7 * work / max(view.ready, 1)),)

    world = World(spec, {"decode": SimulatedRole(6, start_up_seconds=0)}, meter)
    if start:
        world.run(0, start - 15, every=15)
    before = world.roles["decode"].requested
    window = CONFIG.scale_down_stabilization_seconds
    if rules is not None and rules.scale_down.stabilization_window_seconds is not None:
        window = rules.scale_down.stabilization_window_seconds
    world.run(start, end + max(window - 30, -15), every=15)
    assert world.roles["decode"].requested >= before
