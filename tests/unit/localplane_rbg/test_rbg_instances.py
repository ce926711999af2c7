"""Which instances of a set come and go."""

import random

from hypothesis import given
from hypothesis import strategies as st
from localplane.rbg import names
from localplane.rbg.instances import (
    Birth,
    Instance,
    build,
    missing_ordinals,
    random_suffixes,
    surplus_ordinals,
    surplus_stateless,
    view,
)


def instance(ordinal: int, *, ready: bool = True) -> Instance:
    return Instance(f"g-d-{ordinal}", ordinal, "new", ready)


def instances(count: int, unready: tuple[int, ...] = ()) -> list[Instance]:
    return [instance(ordinal, ready=ordinal not in unready) for ordinal in range(count)]


def test_missing_ordinals_are_made_at_once() -> None:
    assert missing_ordinals([instance(1)], 4, ordered=False) == [0, 2, 3]


def test_in_order_they_are_made_one_by_one_after_ready_ones() -> None:
    assert missing_ordinals([], 3, ordered=True) == [0]
    assert missing_ordinals(instances(1, unready=(0,)), 3, ordered=True) == []
    assert missing_ordinals(instances(1), 3, ordered=True) == [1]


def test_shrinking_takes_the_highest_even_if_a_lower_one_is_pending() -> None:
    gone = surplus_ordinals(instances(9, unready=(3,)), 7)
    assert [item.ordinal for item in gone] == [8, 7]


def test_stateless_shrinking_takes_those_that_are_not_ready() -> None:
    gone = surplus_stateless(instances(9, unready=(3, 5)), 6)
    assert [item.ordinal for item in gone] == [3, 5, 0]


def test_an_instance_on_its_way_out_is_no_victim() -> None:
    leaving = Instance("g-d-9", 9, "new", ready=False, leaving=True)
    assert surplus_stateless([*instances(2), leaving], 2) == []
    assert surplus_ordinals([*instances(2), leaving], 2) == []


@given(st.integers(0, 30), st.integers(0, 60))
def test_random_names_are_new(count: int, seed: int) -> None:
    rng = random.Random(seed)
    taken = random_suffixes(10, [], rng)
    made = random_suffixes(count, taken, rng)
    assert len(set(made)) == count
    assert not set(made) & set(taken)


OWNER = {
    "apiVersion": names.API_VERSION,
    "kind": "RoleInstanceSet",
    "metadata": {"name": "g-d", "namespace": "ns", "uid": "u", "labels": {names.ROLE_NAME: "d"}},
    "spec": {},
}
TEMPLATE = {
    "components": [{"name": "d", "size": 1, "template": {"metadata": {"labels": {}}, "spec": {}}}],
    "restartPolicyConfig": {"type": "None", "baseDelaySeconds": 30, "maxDelaySeconds": 600},
}


def test_the_pods_of_a_pass_carry_its_highest_ordinal_and_the_instance_its_own() -> None:
    made = build(OWNER, TEMPLATE, Birth("0", "abc"), "3", "now")
    inner = made["spec"]["components"][0]["template"]["metadata"]["labels"]
    assert made["metadata"]["name"] == "g-d-0"
    assert made["metadata"]["labels"][names.INSTANCE_INDEX] == "0"
    assert made["metadata"]["labels"][names.REVISION_HASH] == "g-d-abc"
    assert inner[names.INSTANCE_INDEX] == "3"
    assert inner[names.STATEFUL_POD_NAME] == "g-d-3"


def test_stateless_instances_have_an_identity_and_no_index() -> None:
    metadata = {**OWNER["metadata"], "annotations": {names.INSTANCE_PATTERN: names.STATELESS}}
    made = build({**OWNER, "metadata": metadata}, TEMPLATE, Birth("x7k2q", "abc"), "x7k2q", "now")
    labels = made["metadata"]["labels"]
    assert made["metadata"]["name"] == "g-d-x7k2q"
    assert labels[names.INSTANCE_ID] == "x7k2q"
    assert labels[names.INSTANCE_OWNER] == "u"
    assert names.INSTANCE_INDEX not in labels


def test_readiness_from_before_an_update_does_not_count() -> None:
    made = build(OWNER, TEMPLATE, Birth("0", "abc"), "0", "now")
    made["metadata"]["generation"] = 2
    made["status"] = {
        "observedGeneration": 1,
        "conditions": [{"type": "RoleInstanceReady", "status": "True"}],
    }
    assert not view(made).ready
    made["status"]["observedGeneration"] = 2
    assert view(made) == Instance("g-d-0", 0, "abc", ready=True)
