"""Stage 8: each guard, alone and with the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rbg_autoscaler.api.types import Mode, ObjectKey, StartUp
from rbg_autoscaler.decide.decide import decide
from rbg_autoscaler.decide.decision import Decision, RoleDecision, Stage
from rbg_autoscaler.decide.guards.admission import broken_rule
from rbg_autoscaler.decide.memory import Memory, RoleMemory
from rbg_autoscaler.decide.snapshot import (
    InstancePhase,
    PodView,
    Refusal,
    RoleView,
    RolloutView,
    Snapshot,
    WritePath,
)
from tests.fakes.fleet import (
    KEY,
    KV,
    MISSING,
    SimulatedRole,
    World,
    autoscaler_spec,
    autoscaler_view,
    behavior,
    decide_one,
    group,
    instance,
    per_instance,
    ratio,
    role_spec,
    role_view,
    row,
)

NO_WINDOW = behavior(down_window=0)
STARTING, UNSCHEDULED = InstancePhase.STARTING, InstancePhase.UNSCHEDULED


def decided(
    view: RoleView, load: float, *, now: float = 0.0, memory: RoleMemory | None = None, **more
) -> Decision:
    """One role without a scale-down window, at `load` times its target."""
    role = role_spec("decode", 1, 32, KV, behavior=NO_WINDOW, **more)
    readings = {"decode": (per_instance(view, 0.7 * load),)}
    before = Memory({(KEY, "decode"): memory}) if memory else None
    return decide_one(autoscaler_view(autoscaler_spec(role), group(view), readings), before, now)[0]


def held(decision: Decision, reason: str) -> RoleDecision:
    """The role's row, if it is held at its present count for that reason."""
    role = row(decision)
    assert role.granted == role.current
    assert role.wanted != role.granted
    assert (role.limiter, role.reason) == (Stage.GUARD, reason)
    return role


def able(decision: Decision) -> tuple[str, str]:
    condition = next(one for one in decision.conditions if one.type == "AbleToScale")
    return condition.status, condition.reason


# Rollouts


def test_no_scale_down_in_a_rollout_but_a_scale_up():
    view = role_view(replicas=6, rollout=RolloutView(in_progress=True))
    held(decided(view, 0.5), "RolloutInProgress")
    assert row(decided(view, 1.5)).granted == 9


def test_a_standing_partition_is_no_rollout():
    view = role_view(replicas=6, rollout=RolloutView(in_progress=False, partition=2))
    assert row(decided(view, 0.5)).granted == 3


# Roles that are not ours to write


@pytest.mark.parametrize("load", [0.5, 1.5])
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"write_refusal": Refusal("SetOwned", "x"), "write_path": WritePath.NONE}, "SetOwned"),
        ({"write_refusal": Refusal("AdapterNotBound", "x"), "write_path": WritePath.NONE}, "AdapterNotBound"),
        ({"other_writer": "HorizontalPodAutoscaler serving/decode"}, "Conflict"),
        ({"unmet_dependencies": ("router",)}, "DependencyNotMet"),
    ],
)
def test_a_role_that_is_not_ours_to_write_is_held_both_ways(what, reason, load):
    decision = decided(role_view(replicas=6, **what), load)
    held(decision, reason)
    assert able(decision) == ("False", reason)
    assert decision.conditions[0].type == "Ready"
    assert decision.conditions[0].status == "False"


def test_another_writer_is_a_conflict_of_the_whole_that_names_it():
    decision = decided(role_view(replicas=6, other_writer="HorizontalPodAutoscaler serving/decode"), 1.5)
    conflict = next(one for one in decision.conditions if one.type == "Conflict")
    assert conflict.status == "True"
    assert "HorizontalPodAutoscaler serving/decode" in conflict.message


def test_two_autoscalers_of_one_role_both_stand_back():
    view = role_view(replicas=4)
    readings = {"decode": (per_instance(view, 1.4),)}
    views = [
        autoscaler_view(autoscaler_spec(), group(view), readings, key=ObjectKey("serving", name))
        for name in ("one", "two")
    ]
    decisions, _ = decide(Snapshot(0, tuple(views)), Memory(), 0)
    for decision, other in zip(decisions, ("two", "one"), strict=True):
        assert f"RbgAutoscaler {other}" in held(decision, "Conflict").message


def test_one_that_recommends_may_stand_beside_one_that_acts():
    view = role_view(replicas=4)
    readings = {"decode": (per_instance(view, 1.4),)}
    acting = autoscaler_view(autoscaler_spec(), group(view), readings)
    other = autoscaler_view(
        autoscaler_spec(mode=Mode.RECOMMEND), group(view), readings, key=ObjectKey("serving", "trial")
    )
    decisions, _ = decide(Snapshot(0, (other, acting)), Memory(), 0)
    assert [row(one).granted for one in decisions] == [8, 8]


# Replicas without a node


def stuck(replicas: int, ordinals: set[int], *, at: float = 0.0, message: str | None = "no GPU") -> RoleView:
    def one(ordinal: int):
        if ordinal not in ordinals:
            return instance(ordinal)
        lost = instance(ordinal, UNSCHEDULED, at=at)
        pod = PodView(lost.name, "Pending", False, False, False, unschedulable_message=message)
        return replace(lost, pods=(pod,))

    return role_view(replicas=replicas, instances=tuple(map(one, range(replicas))))


def test_no_raise_while_replicas_have_no_node():
    assert "decode-4" in held(decided(stuck(6, {4, 5}), 2, now=60), "Unschedulable").message


def test_a_pod_without_a_node_for_a_moment_is_the_schedulers_ordinary_work():
    view = stuck(6, {5}, message=None)
    assert row(decided(view, 2, now=9)).granted > 6
    held(decided(view, 2, now=10), "Unschedulable")


def test_unschedulable_replicas_are_taken_back_at_their_deadline():
    view = stuck(6, {4, 5})
    assert row(decided(view, 1, now=599)).granted == 6
    withdrawn = row(decided(view, 2, now=600))
    assert withdrawn.granted == 4
    assert withdrawn.reason == "UnschedulableWithdrawn"


def test_only_those_at_the_top_are_taken_back():
    assert row(decided(stuck(6, {2, 5}), 1.5, now=600)).granted == 5
    assert row(decided(stuck(6, {2}), 1.2, now=600)).granted == 6


def test_a_stateless_role_gives_up_those_without_a_node_wherever_they_are():
    assert row(decided(replace(stuck(6, {1, 3}), stateful=False), 2, now=600)).granted == 4


def test_minimum_and_gang_step_bound_what_is_taken_back():
    assert row(decided(stuck(8, {5, 6, 7}), 1.5, now=600, gang_step=4)).granted == 8
    assert row(decided(stuck(8, {3, 4, 5, 6, 7}), 2, now=600, gang_step=4)).granted == 4
    view = stuck(6, {1, 2, 3, 4, 5})
    role = role_spec("decode", 3, 32, KV)
    spec = autoscaler_spec(role)
    decision, _ = decide_one(
        autoscaler_view(spec, group(view), {"decode": (per_instance(view, 3),)}), now=600
    )
    assert row(decision).granted == 3


def test_an_outage_takes_nothing_back():
    view = stuck(6, {5})
    decision, _ = decide_one(autoscaler_view(autoscaler_spec(), group(view), {"decode": (MISSING,)}), now=900)
    assert row(decision).granted == 6


def test_raises_wait_longer_after_each_withdrawal_until_one_comes_through():
    """6 fit, the load asks for 8: asked, taken back after 60 s, asked again 60 s later, then 120 s, ..."""
    role = role_spec("decode", 1, 16, KV, start_up=StartUp(deadline_seconds=60))
    world = World(
        autoscaler_spec(role),
        {"decode": SimulatedRole(6, start_up_seconds=10, room=6)},
        lambda _role, view, _now: (per_instance(view, 0.7 * 8 / view.ready),),
    )
    world.run(0, 620)
    assert [(at, count) for at, _, count in world.history] == [
        (0, 8),
        (60, 6),
        (120, 8),
        (180, 6),
        (300, 8),
        (360, 6),
        (600, 8),
    ]
    world.roles["decode"].room = 8
    world.run(625, 660)
    after = world.memory.roles[KEY, "decode"]
    assert (after.withdrawn_at, after.backoff_seconds) == (None, 0.0)


# A shrink that would remove serving instances while others are pending


def test_a_stateful_shrink_does_not_kill_serving_instances_to_keep_a_pending_one():
    """9 -> 7 with ordinal 3 pending would leave 6 serving."""
    view = stuck(9, {3})
    held(decided(view, 7 / 8, now=60), "PendingOrdinals")


def test_it_goes_as_far_as_pending_ordinals_at_the_top_go():
    assert row(decided(stuck(9, {3, 7, 8}), 0.5, now=60)).granted == 7
    assert row(decided(stuck(9, {7, 8}), 0.5, now=60)).granted == 7


def test_past_the_deadline_of_the_pending_one_it_leaves_as_many_serving_as_are_wanted():
    assert row(decided(stuck(9, {3}), 7 / 8, now=700)).granted == 8


def test_a_stateless_role_loses_its_pending_instances_first():
    assert row(decided(replace(stuck(9, {3}), stateful=False), 7 / 8, now=60)).granted == 7


# Admission rules


@pytest.mark.parametrize(
    ("rollout", "replicas", "names"),
    [
        (RolloutView(partition=3), 3, "partition"),
        (RolloutView(partition=3), 4, None),
        (RolloutView(partition=3), 0, None),
        (RolloutView(max_surge="0", max_unavailable="10%"), 9, "maxUnavailable"),
        (RolloutView(max_surge="0", max_unavailable="10%"), 10, None),
        (RolloutView(max_surge="1%", max_unavailable="10%"), 3, None),
        (RolloutView(max_surge="0", max_unavailable="0"), 3, "maxSurge"),
        (RolloutView(max_surge="0", max_unavailable="0"), 0, None),
    ],
)
def test_the_rollout_rules_of_the_group(rollout, replicas, names):
    broken = broken_rule(rollout, replicas)
    assert broken is None if names is None else broken is not None and names in broken


def test_a_count_that_admission_would_deny_is_not_written():
    role = held(decided(role_view(replicas=8, rollout=RolloutView(partition=4)), 0.5), "RolloutRuleViolated")
    assert "rollingUpdate.partition 4" in role.message


# An accepted write that resizes nothing


def test_a_write_that_resized_nothing_is_reported():
    view = role_view(replicas=6, effective=4, observed=4, instances=tuple(map(instance, range(4))))
    memory = RoleMemory(written=6, written_at=0.0)
    assert able(decided(view, 1, now=60, memory=memory))[0] == "True"
    decision = decided(view, 1, now=61, memory=memory)
    assert able(decision) == ("False", "ScaleNotCarriedOut")
    assert row(decision).granted == 6
    throttled = replace(view, policy_rules=("rule",))
    assert able(decided(throttled, 1, now=61, memory=memory))[0] == "True"


# Ratios under guards


def pair(
    load_decode: float, load_prefill: float, decode: RoleView, prefill: RoleView, *, now=60.0
) -> Decision:
    spec = autoscaler_spec(
        role_spec("decode", 1, 32, KV, behavior=NO_WINDOW),
        role_spec("prefill", 1, 32, KV, behavior=NO_WINDOW),
        coordination=(ratio("decode", "prefill", 1, 4),),
    )
    readings = {
        "decode": (per_instance(decode, 0.7 * load_decode),),
        "prefill": (per_instance(prefill, 0.7 * load_prefill),),
    }
    return decide_one(autoscaler_view(spec, group(decode, prefill), readings), now=now)[0]


def test_a_role_is_not_raised_past_its_ratio_with_one_that_is_held():
    held_back = replace(role_view("prefill", 2), rollout=RolloutView(partition=2))
    rollout = replace(held_back, other_writer="someone")
    decision = pair(3, 1, role_view("decode", 4), rollout)
    assert (row(decision).wanted, row(decision, "prefill").wanted) == (12, 3)
    assert (row(decision).granted, row(decision, "prefill").granted) == (8, 2)
    assert row(decision).reason == "RatioHeld"


def test_a_role_is_not_lowered_past_its_ratio_with_one_that_is_held():
    rollout = role_view("decode", 8, rollout=RolloutView(in_progress=True))
    decision = pair(0.25, 0.25, rollout, role_view("prefill", 4))
    assert row(decision).granted == 8
    assert row(decision, "prefill").granted == 2


def test_a_broken_ratio_that_can_not_be_mended_now_is_made_no_worse_and_where_possible_better():
    decision = pair(1.5, 1, role_view("decode", 12), role_view("prefill", 2, other_writer="someone"))
    assert row(decision).granted == 12
    decision = pair(0.75, 1, role_view("decode", 12), role_view("prefill", 2, other_writer="someone"))
    assert row(decision).granted == 9


# CoordinatedPolicy


def under_policy(name: str, replicas: int, **more) -> RoleView:
    return role_view(name, replicas, policy_rules=("both",), **more)


def two(
    load_decode: float, load_prefill: float, decode: RoleView, prefill: RoleView, *, now=60.0
) -> Decision:
    roles = (role_spec(name, 1, 32, KV, behavior=NO_WINDOW) for name in ("decode", "prefill"))
    readings = {
        "decode": (per_instance(decode, 0.7 * load_decode),),
        "prefill": (per_instance(prefill, 0.7 * load_prefill),),
    }
    view = autoscaler_view(autoscaler_spec(*roles), group(decode, prefill), readings)
    return decide_one(view, now=now)[0]


def counts(decision: Decision) -> tuple[int, int]:
    return row(decision).granted, row(decision, "prefill").granted


def test_one_role_shrinks_first_and_the_other_grows_after():
    decision = two(0.25, 3, under_policy("decode", 4), under_policy("prefill", 2))
    assert counts(decision) == (1, 2)
    assert row(decision, "prefill").reason == "ShrinkFirst"
    shrinking = replace(under_policy("decode", 4), requested=1)
    assert counts(two(1, 3, shrinking, under_policy("prefill", 2))) == (1, 2)
    removing = replace(shrinking, effective=1)
    assert counts(two(1, 3, removing, under_policy("prefill", 2))) == (1, 2)
    assert counts(two(1, 3, under_policy("decode", 1), under_policy("prefill", 2))) == (1, 6)


def test_without_a_policy_both_move_at_once():
    assert counts(two(0.25, 3, role_view("decode", 4), role_view("prefill", 2))) == (1, 6)


def test_roles_that_grow_together_are_granted_together():
    assert counts(two(3, 3, under_policy("decode", 2), under_policy("prefill", 2))) == (6, 6)


def test_a_throttled_role_is_raised_no_further():
    throttled = under_policy("decode", 6, effective=4, observed=4, instances=tuple(map(instance, range(4))))
    decision = two(3, 1, throttled, under_policy("prefill", 2))
    assert counts(decision) == (6, 2)
    assert row(decision).reason == "ThrottledByPolicy"


def test_a_shrink_waits_while_another_role_of_the_rule_grows():
    growing = under_policy("prefill", 6, effective=4, observed=4, instances=tuple(map(instance, range(4))))
    decision = two(0.5, 1.5, under_policy("decode", 4), growing)
    assert counts(decision) == (4, 6)
    assert row(decision).reason == "FrozenByPolicy"


def test_a_frozen_batch_is_taken_back_at_its_deadline():
    """prefill 7 -> 14, of which 11 were made and 8 fit: the rule is frozen until 8 are asked for."""
    made = tuple(
        instance(n, UNSCHEDULED if n >= 8 else InstancePhase.READY, at=0, role="prefill") for n in range(11)
    )
    frozen = under_policy("prefill", 14, effective=11, instances=made)
    assert counts(two(1, 2, under_policy("decode", 2), frozen, now=599)) == (2, 14)
    assert counts(two(1, 2, under_policy("decode", 2), frozen, now=600)) == (2, 8)


def test_asking_for_fewer_than_do_not_exist_yet_is_no_shrink():
    first = under_policy("decode", 6, effective=3, observed=3, instances=tuple(map(instance, range(3))))
    second = under_policy("prefill", 6, effective=4, observed=4, instances=tuple(map(instance, range(4))))
    assert counts(two(0.4, 0.4, first, second)) == (3, 4)
