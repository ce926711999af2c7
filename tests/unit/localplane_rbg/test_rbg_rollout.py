"""A set on its way to a new revision, played forward until nothing moves."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localplane.rbg.instances import Instance
from localplane.rbg.rollout import (
    Plan,
    Strategy,
    differs_in_images_only,
    is_complete,
    plan_stateful,
    plan_stateless,
    resolve_count,
    set_status,
)


def strategy(replicas: int, **changes: object) -> Strategy:
    settings: dict[str, object] = {
        "replicas": replicas,
        "partition": 0,
        "max_unavailable": 1,
        "max_surge": 0,
        "in_place": False,
        "paused": False,
        "ordered": False,
    }
    return Strategy(**{**settings, **changes})  # type: ignore[arg-type]


def old(count: int) -> list[Instance]:
    return [Instance(f"g-{i}", i, "old", ready=True) for i in range(count)]


def carry_out(plan: Plan, instances: list[Instance]) -> list[Instance]:
    """Deleted and recreated at once; what was made is not ready before the next step."""
    gone = {item.name for item in (*plan.delete, *plan.update)}
    kept = [item for item in instances if item.name not in gone]
    return kept + [Instance(f"g-{b.suffix}", int(b.suffix), b.revision, ready=False) for b in plan.create]


def make_ready(instances: list[Instance]) -> list[Instance]:
    return [Instance(i.name, i.ordinal, i.revision, ready=True) for i in instances]


def play(how: Strategy, instances: list[Instance]) -> tuple[list[str], int, list[Instance]]:
    """The names updated in their order, the fewest that were ready of the replicas, and the end."""
    updated: list[str] = []
    fewest = len(instances)
    for _ in range(200):
        plan = plan_stateful(how, instances, "old", "new")
        if plan == Plan():
            ready = make_ready(instances)
            if ready == instances:
                return updated, fewest, instances
            instances = ready
            continue
        updated += [item.name for item in plan.update]
        instances = carry_out(plan, instances)
        fewest = min(fewest, sum(item.ready for item in instances))
    raise AssertionError("it never came to rest")


def test_the_highest_ordinal_goes_first_one_at_a_time() -> None:
    updated, fewest, end = play(strategy(5), old(5))
    assert updated == ["g-4", "g-3", "g-2", "g-1", "g-0"]
    assert fewest == 4
    assert {item.revision for item in end} == {"new"}


def test_a_partition_leaves_the_lower_ordinals() -> None:
    updated, _, end = play(strategy(5, partition=3), old(5))
    assert updated == ["g-4", "g-3"]
    assert not is_complete(strategy(5, partition=3), end, "new")


def test_a_surge_instance_comes_first_and_goes_last() -> None:
    how = strategy(3, max_unavailable=0, max_surge=1)
    plan = plan_stateful(how, old(3), "old", "new")
    assert [birth.suffix for birth in plan.create] == ["3"]
    assert plan.update == ()
    updated, fewest, end = play(how, old(3))
    assert updated == ["g-2", "g-1", "g-0"]
    assert fewest == 3
    assert sorted(item.name for item in end) == ["g-0", "g-1", "g-2"]


def test_shrinking_in_the_middle_takes_the_updated_ones() -> None:
    instances = [*old(3), *(Instance(f"g-{i}", i, "new", ready=i == 3) for i in (3, 4))]
    plan = plan_stateful(strategy(3), instances, "old", "new")
    assert [item.name for item in plan.delete] == ["g-4", "g-3"]
    assert [item.name for item in plan.update] == ["g-2"]


def test_growing_in_the_middle_uses_the_new_revision_above_the_partition() -> None:
    plan = plan_stateful(strategy(4, partition=2), old(1), "old", "new")
    assert [(birth.suffix, birth.revision) for birth in plan.create] == [
        ("1", "old"),
        ("2", "new"),
        ("3", "new"),
    ]


def test_an_unready_old_instance_costs_no_budget() -> None:
    instances = [*old(2), Instance("g-2", 2, "old", ready=False)]
    plan = plan_stateful(strategy(3), instances, "old", "new")
    assert [item.name for item in plan.update] == ["g-2"]


def test_a_paused_set_updates_nothing() -> None:
    assert plan_stateful(strategy(3, paused=True), old(3), "old", "new") == Plan()


@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 3), st.integers(0, 3))
def test_a_rollout_ends_and_keeps_enough_alive(n: int, partition: int, unavailable: int, surge: int) -> None:
    if unavailable + surge == 0:
        return
    how = strategy(n, partition=partition, max_unavailable=unavailable, max_surge=surge)
    _, fewest, end = play(how, old(n))
    assert fewest >= n - unavailable
    assert sorted(item.ordinal or 0 for item in end) == list(range(n))
    assert all((item.revision == "new") == ((item.ordinal or 0) >= partition) for item in end)


def test_naming_a_victim_replaces_it() -> None:
    instances = [Instance(f"g-{s}", None, "new", ready=True) for s in ("aaaaa", "bbbbb", "ccccc")]
    plan = plan_stateless(strategy(3), instances, "new", random.Random(1), ["g-bbbbb"])
    assert [item.name for item in plan.delete] == ["g-bbbbb"]
    assert len(plan.create) == 1


@pytest.mark.parametrize(
    ("value", "replicas", "up", "count"),
    [(3, 9, True, 3), ("10%", 9, False, 0), ("10%", 9, True, 1), ("100%", 4, False, 4), ("50%", 3, True, 2)],
)
def test_percentages_round_as_told(value: int | str, replicas: int, up: bool, count: int) -> None:
    assert resolve_count(value, replicas, up=up) == count


def test_status_counts_both_revisions() -> None:
    instances = [*old(2), Instance("g-2", 2, "new", ready=False)]
    status = set_status(strategy(3), instances, ("old", "new"), "a=b", 7)
    counts = [status[key] for key in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas")]
    assert counts == [3, 2, 2, 1]
    assert status["expectedUpdatedReplicas"] == 3
    assert status["observedGeneration"] == 7


def test_an_ordered_set_reports_all_replicas_while_it_makes_them() -> None:
    status = set_status(strategy(3, ordered=True), old(1), ("old", "old"), "a=b", 1)
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (3, 1, 3)


def test_only_images_may_differ_for_an_update_in_place() -> None:
    def component(image: str, cpu: str) -> dict[str, object]:
        container = {"name": "engine", "image": image, "resources": {"limits": {"cpu": cpu}}}
        return {"name": "d", "size": 1, "template": {"metadata": {}, "spec": {"containers": [container]}}}

    assert differs_in_images_only([component("v1", "1")], [component("v2", "1")])
    assert not differs_in_images_only([component("v1", "1")], [component("v2", "2")])
