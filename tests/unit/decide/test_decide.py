"""The whole pass: modes, refusals, outages, other writers, HPA's period, conditions."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from rbg_autoscaler.api.types import Mode, ObjectKey
from rbg_autoscaler.decide.decide import decide, record_write
from rbg_autoscaler.decide.decision import Condition, Decision
from rbg_autoscaler.decide.memory import Memory, RoleMemory
from rbg_autoscaler.decide.snapshot import GroupView, Missing, Refusal, Snapshot
from tests.fakes.fleet import (
    KEY,
    KV,
    MISSING,
    QUEUE,
    SimulatedRole,
    World,
    autoscaler_spec,
    autoscaler_view,
    behavior,
    decide_one,
    group,
    per_instance,
    role_spec,
    role_view,
    row,
)


def condition(decision: Decision, kind: str) -> Condition:
    return next(one for one in decision.conditions if one.type == kind)


def state(decision: Decision, kind: str) -> tuple[str, str]:
    found = condition(decision, kind)
    return found.status, found.reason


# Refusals and modes


def test_a_target_that_is_not_there():
    decision, _ = decide_one(autoscaler_view(autoscaler_spec(), None))
    assert decision.refusal is not None
    assert decision.refusal.reason == "TargetNotFound"
    assert "spec.targetRef.name" in decision.refusal.message
    assert state(decision, "Ready") == ("False", "TargetNotFound")
    assert decision.roles == ()


def test_a_refused_autoscaler_writes_nothing():
    view = role_view()
    refused = autoscaler_view(
        autoscaler_spec(),
        group(view),
        {"decode": (per_instance(view, 1.4),)},
        refusal=Refusal("SetOwned", "x"),
    )
    decision, _ = decide_one(refused)
    assert decision.refusal == Refusal("SetOwned", "x")
    assert not row(decision).changes


def test_a_role_that_the_group_does_not_have_stops_no_other():
    view = role_view("decode", 4)
    spec = autoscaler_spec(role_spec("prefill", 1, 8, KV), role_spec("decode", 1, 16, KV))
    decision, _ = decide_one(autoscaler_view(spec, group(view), {"decode": (per_instance(view, 1.4),)}))
    assert [one.role for one in decision.roles] == ["prefill", "decode"]
    assert not row(decision, "prefill").changes
    assert row(decision, "prefill").reason == "RoleNotFound"
    assert row(decision).granted == 8
    assert state(decision, "Ready") == ("False", "RoleNotFound")


def test_paused_decides_nothing_and_keeps_its_memory():
    view = role_view()
    before = Memory({(KEY, "decode"): RoleMemory(written=4, start_up_seconds=90.0)})
    spec = autoscaler_spec(mode=Mode.PAUSED)
    decision, after = decide_one(
        autoscaler_view(spec, group(view), {"decode": (per_instance(view, 1.4),)}), before
    )
    assert not row(decision).changes
    assert state(decision, "ScalingActive") == ("False", "Paused")
    assert decision.refusal is None
    assert after.roles[KEY, "decode"] == replace(before.roles[KEY, "decode"], interrupted=True)


def test_recommend_says_what_auto_would_write():
    view = role_view(replicas=4)
    readings = {"decode": (per_instance(view, 1.4),)}
    auto, recommended = (
        decide_one(autoscaler_view(autoscaler_spec(mode=mode), group(view), readings))[0]
        for mode in (Mode.AUTO, Mode.RECOMMEND)
    )
    assert recommended == auto
    assert row(recommended).granted == 8


def test_memories_of_autoscalers_and_roles_that_went_are_dropped():
    view = role_view()
    old = Memory({(ObjectKey("serving", "gone"), "decode"): RoleMemory(), (KEY, "renamed"): RoleMemory()})
    _, after = decide_one(
        autoscaler_view(autoscaler_spec(), group(view), {"decode": (per_instance(view, 0.7),)}), old
    )
    assert set(after.roles) == {(KEY, "decode")}


def test_a_group_made_again_under_the_same_name_starts_afresh():
    view = role_view(replicas=2)
    readings = {"decode": (per_instance(view, 0.7),)}
    _, memory = decide_one(autoscaler_view(autoscaler_spec(), group(view, uid="first"), readings))
    old = replace(memory.roles[KEY, "decode"], written=9, written_at=-100.0)
    memory = replace(memory, roles={(KEY, "decode"): old})
    _, same = decide_one(autoscaler_view(autoscaler_spec(), group(view, uid="first"), readings), memory, 5)
    assert same.roles[KEY, "decode"].overridden_at == (5,)
    _, fresh = decide_one(autoscaler_view(autoscaler_spec(), group(view, uid="second"), readings), memory, 5)
    assert fresh.roles[KEY, "decode"].overridden_at == ()
    assert fresh.roles[KEY, "decode"].written is None


# Outages


def outage(seconds: float, *, exact: bool = False, reading=MISSING) -> tuple[World, float]:
    """Six replicas at half load from 30 s on, which is when the metrics fail, for so many seconds."""

    def meter(_role, view, now):
        if now < 30:
            return (per_instance(view, 0.7),)
        return (reading,) if now < 30 + seconds else (per_instance(view, 0.35),)

    spec = autoscaler_spec(role_spec("decode", 1, 16, KV), hpa_exact=exact)
    return World(spec, {"decode": SimulatedRole(6)}, meter), 30 + seconds


@pytest.mark.parametrize("seconds", [5, 60, 299, 300, 301, 4000])
def test_an_outage_of_any_length_lowers_nothing_and_starts_the_window_anew(seconds):
    world, back = outage(seconds)
    decision = world.run(0, back - 1)
    assert world.history == []
    assert state(decision, "MetricsAvailable") == ("False", "Unreachable")
    assert row(decision).blocked
    world.run(back, back + 295)
    assert world.history == []
    world.run(back + 300, back + 305)
    assert [count for _, _, count in world.history] == [3]


def test_hpa_shrinks_with_the_first_low_value_after_an_outage_longer_than_its_window():
    world, back = outage(600, exact=True)
    world.run(0, back + 15, every=15)
    assert world.history == [(back, "decode", 3)]


def test_a_pause_of_any_length_starts_the_window_anew():
    world = World(
        autoscaler_spec(role_spec("decode", 1, 16, KV)),
        {"decode": SimulatedRole(6)},
        lambda _role, view, _now: (per_instance(view, 0.35),),
    )
    world.run(0, 100)
    world.spec = replace(world.spec, mode=Mode.PAUSED)
    world.run(105, 1000)
    world.spec = replace(world.spec, mode=Mode.AUTO)
    world.run(1005, 1300)
    assert world.history == []
    world.run(1305, 1310)
    assert [count for _, _, count in world.history] == [3]


def test_a_leader_that_slept_does_not_wake_with_an_empty_window():
    world = World(
        autoscaler_spec(role_spec("decode", 1, 16, KV)),
        {"decode": SimulatedRole(6)},
        lambda _role, view, now: (per_instance(view, 0.35 if now > 100 else 0.7),),
    )
    world.run(0, 100)
    world.sync(2000)
    world.run(2005, 2295)
    assert world.history == []


def test_an_outage_of_one_metric_does_not_keep_another_from_raising():
    view = role_view(replicas=4)
    spec = autoscaler_spec(role_spec("decode", 1, 16, QUEUE, KV))
    decision, _ = decide_one(
        autoscaler_view(spec, group(view), {"decode": (MISSING, per_instance(view, 1.4))})
    )
    assert row(decision).granted == 8
    assert "QueueLength" in condition(decision, "MetricsAvailable").message


def test_a_metric_that_was_not_read_is_missing():
    view = role_view(replicas=4)
    decision, _ = decide_one(autoscaler_view(autoscaler_spec(), group(view)))
    assert row(decision).granted == 4
    reading = row(decision).metrics[0].reading
    assert isinstance(reading, Missing)


# Other writers


def at_target(replicas: int):
    """The load that six replicas carry at their target."""
    return lambda _role, view, _now: (per_instance(view, 0.7 * replicas / view.ready),)


def test_a_persons_change_is_followed_and_told_not_fought():
    world = World(
        autoscaler_spec(role_spec("decode", 1, 16, KV)),
        {"decode": SimulatedRole(3, start_up_seconds=1)},
        at_target(6),
    )
    world.run(0, 60)
    assert world.history == [(0, "decode", 6)]
    world.roles["decode"].requested = 10
    decision = world.sync(65)
    assert state(decision, "Conflict") == ("False", "ChangedByOther")
    decision = world.run(70, 360)
    assert world.history == [(0, "decode", 6)]
    world.run(365, 370)
    assert world.history[1:] == [(370, "decode", 6)]
    decision = world.run(375, 700)
    assert state(decision, "Conflict") == ("False", "NoConflict")


def test_a_count_changed_back_again_and_again_is_a_conflict_and_the_role_is_left_alone():
    world = World(
        autoscaler_spec(role_spec("decode", 1, 16, KV)),
        {"decode": SimulatedRole(3, start_up_seconds=1)},
        at_target(6),
    )
    decision = world.sync(0)
    for now in range(5, 300, 5):
        if world.roles["decode"].requested != 3 and now % 20 == 0:
            world.roles["decode"].requested = 3
        decision = world.sync(now)
    assert len(world.history) == 2
    assert state(decision, "Conflict") == ("True", "Conflict")
    assert "AbleToScale" in {one.type for one in decision.conditions if one.status == "False"}
    assert world.roles["decode"].requested == 3


def test_the_old_count_seen_just_after_a_write_is_not_another_writer():
    view = role_view(replicas=4)
    role = role_spec("decode", 1, 16, KV, behavior=behavior(up=(("Pods", 20, 15),)))
    seen = autoscaler_view(autoscaler_spec(role), group(view), {"decode": (per_instance(view, 1.4),)})
    decision, memory = decide_one(seen)
    memory = record_write(memory, KEY, row(decision), 0.0)
    decision, memory = decide_one(seen, memory, 5.0)
    assert row(decision).reason == "WriteNotObserved"
    assert not row(decision).changes
    assert state(decision, "Ready") == ("True", "AsExpected")
    assert memory.roles[KEY, "decode"].overridden_at == ()
    decision, memory = decide_one(seen, memory, 10.0)
    assert memory.roles[KEY, "decode"].overridden_at == (10.0,)
    assert row(decision).granted == 8


def test_in_recommend_mode_others_write_as_they_like():
    view = role_view(replicas=4)
    memory = Memory({(KEY, "decode"): RoleMemory(written=9, written_at=-100.0)})
    spec = autoscaler_spec(mode=Mode.RECOMMEND)
    decision, after = decide_one(
        autoscaler_view(spec, group(view), {"decode": (per_instance(view, 0.7),)}), memory
    )
    assert state(decision, "Conflict") == ("False", "NoConflict")
    assert after.roles[KEY, "decode"].written is None


# hpaExact


def exact_world(mode: Mode = Mode.AUTO) -> World:
    spec = autoscaler_spec(role_spec("decode", 1, 64, KV), hpa_exact=True, mode=mode)
    return World(
        spec,
        {"decode": SimulatedRole(2, start_up_seconds=0)},
        lambda _role, view, _now: (per_instance(view, 7),),
    )


def test_hpa_exact_keeps_hpas_period_with_a_faster_loop():
    """The legacy limit lets a role double each sync of 15 s, not each of ours."""
    world = exact_world()
    world.run(0, 60, every=5)
    assert world.history == [
        (0, "decode", 4),
        (15, "decode", 8),
        (30, "decode", 16),
        (45, "decode", 32),
        (60, "decode", 64),
    ]


def test_between_two_of_hpas_syncs_the_last_numbers_hold():
    world = exact_world(Mode.RECOMMEND)
    decisions = [world.sync(now) for now in (0, 5, 10, 15)]
    assert [row(one).granted for one in decisions] == [4] * 4
    assert decisions[1] == decisions[0]


def test_a_write_that_failed_is_tried_again_before_hpas_next_sync():
    view = role_view(replicas=2)
    spec = autoscaler_spec(role_spec("decode", 1, 64, KV), hpa_exact=True)
    seen = autoscaler_view(spec, group(view), {"decode": (per_instance(view, 7),)})
    decision, memory = decide_one(seen)
    again, memory = decide_one(seen, memory, 5.0)
    assert row(again).granted == row(decision).granted == 4
    memory = record_write(memory, KEY, row(again), 5.0)
    written, _ = decide_one(seen, memory, 10.0)
    assert not row(written).changes


def test_a_new_spec_is_not_kept_waiting():
    view = role_view(replicas=2)
    spec = autoscaler_spec(role_spec("decode", 1, 64, KV), hpa_exact=True)
    seen = autoscaler_view(spec, group(view), {"decode": (per_instance(view, 7),)})
    _, memory = decide_one(seen)
    changed = autoscaler_spec(role_spec("decode", 1, 3, KV), hpa_exact=True)
    decision, _ = decide_one(replace(seen, spec=changed, generation=2), memory, 5.0)
    assert row(decision).granted == 3


# Conditions of the whole


def test_conditions_at_rest():
    view = role_view(replicas=4)
    decision, _ = decide_one(
        autoscaler_view(autoscaler_spec(), group(view), {"decode": (per_instance(view, 0.7),)})
    )
    assert {one.type: (one.status, one.reason) for one in decision.conditions} == {
        "Ready": ("True", "AsExpected"),
        "AbleToScale": ("True", "ReadyForNewScale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
        "MetricsAvailable": ("True", "AllRead"),
        "Conflict": ("False", "NoConflict"),
    }


def test_the_worst_role_speaks_for_the_whole():
    prefill, decode = role_view("prefill", 8), role_view("decode", 4)
    spec = autoscaler_spec(role_spec("prefill", 1, 8, KV), role_spec("decode", 1, 16, KV))
    readings = {"prefill": (per_instance(prefill, 1.4),), "decode": (MISSING,)}
    decision, _ = decide_one(autoscaler_view(spec, group(prefill, decode), readings))
    assert state(decision, "ScalingLimited") == ("True", "TooManyReplicas")
    assert condition(decision, "ScalingLimited").message.startswith("role prefill: ")
    assert condition(decision, "ScalingActive").status == "False"
    assert condition(decision, "ScalingActive").message.startswith("role decode: ")
    assert condition(decision, "Ready").status == "False"


def test_partial_samples_are_told():
    view = role_view(replicas=4)
    readings = {"decode": (per_instance(view, 0.1, reporting=3),)}
    decision, _ = decide_one(autoscaler_view(autoscaler_spec(), group(view), readings))
    assert state(decision, "MetricsAvailable") == ("True", "Partial")
    assert row(decision).granted == 4


# Determinism


def shuffled(target: GroupView, dice: random.Random) -> GroupView:
    roles = [
        replace(role, instances=tuple(dice.sample(role.instances, len(role.instances))))
        for role in target.roles
    ]
    dice.shuffle(roles)
    return replace(target, roles=tuple(roles))


def test_the_order_of_objects_does_not_matter():
    views = []
    for number in range(5):
        prefill, decode = role_view("prefill", number + 1), role_view("decode", 4)
        spec = autoscaler_spec(role_spec("decode", 1, 16, KV), role_spec("prefill", 1, 16, KV))
        readings = {"prefill": (per_instance(prefill, 1.4),), "decode": (per_instance(decode, 0.2),)}
        target = group(prefill, decode, name=f"group-{number}")
        views.append(
            autoscaler_view(
                replace(spec, target=f"group-{number}"),
                target,
                readings,
                key=ObjectKey("serving", f"a{number}"),
            )
        )
    dice = random.Random(1)
    mixed = [replace(view, group=shuffled(view.group, dice)) for view in views if view.group is not None]
    dice.shuffle(mixed)
    assert decide(Snapshot(0, tuple(views)), Memory(), 0) == decide(Snapshot(0, tuple(mixed)), Memory(), 0)


def test_a_pass_with_a_behavior_that_forbids_shrinking_still_obeys_the_maximum():
    view = role_view(replicas=20)
    role = role_spec("decode", 1, 16, KV, behavior=behavior())
    decision, _ = decide_one(autoscaler_view(autoscaler_spec(role), group(view), {"decode": (MISSING,)}))
    assert row(decision).granted == 16
