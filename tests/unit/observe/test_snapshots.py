"""One snapshot of all autoscalers: who takes part, who does not and why, and that none disturbs another."""

from rbg_autoscaler.api.types import ObjectKey, Signal
from rbg_autoscaler.decide.snapshot import Sample
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.snapshots import build_snapshot, targets
from rbg_autoscaler.observe.store import ClusterStore
from tests import builders as k8s

RBGA = Kind.RBG_AUTOSCALER


def key(name: str) -> ObjectKey:
    return ObjectKey(k8s.NAMESPACE, name)


def store_of(*autoscalers, groups=("llm",)) -> ClusterStore:
    store = ClusterStore()
    for name in groups:
        store.apply(Kind.ROLE_BASED_GROUP, k8s.group(name, k8s.role("prefill", 2)))
    for obj in autoscalers:
        store.apply(RBGA, obj)
    return store


def refusals(store: ClusterStore) -> dict[str, str | None]:
    views = build_snapshot(store, {}, 100.0).autoscalers
    return {view.key.name: view.refusal.reason if view.refusal else None for view in views}


def test_every_autoscaler_is_there_with_its_group_and_readings():
    store = store_of(k8s.autoscaler("b", target="b"), k8s.autoscaler("a", target="a"), groups=("a", "b"))
    readings = {key("a"): {"prefill": (Sample({"p-0": 8000}),)}}
    snapshot = build_snapshot(store, readings, 100.0)
    assert snapshot.taken_at == 100.0
    assert [(view.key.name, view.group.uid, view.refusal) for view in snapshot.autoscalers] == [
        ("a", "uid-a", None),
        ("b", "uid-b", None),
    ]
    assert [dict(view.readings) for view in snapshot.autoscalers] == [readings[key("a")], {}]
    assert [(target.key.name, target.group.uid) for target in targets(store)] == [
        ("a", "uid-a"),
        ("b", "uid-b"),
    ]
    assert targets(store)[0].spec.roles[0].metrics[0].signal is Signal.QUEUE_LENGTH


def test_an_invalid_spec_names_its_fields_and_disturbs_nothing_else():
    bad = k8s.autoscaler("bad", k8s.scaled("prefill", low=9, high=3), target="other")
    store = store_of(bad, k8s.autoscaler("good"))
    bad_view, good_view = build_snapshot(store, {}, 100.0).autoscalers
    assert (bad_view.refusal.reason, bad_view.spec.roles, bad_view.group) == ("InvalidSpec", (), None)
    assert "spec.roles[0]" in bad_view.refusal.message
    assert (good_view.refusal, good_view.group.key) == (None, key("llm"))
    assert [target.key.name for target in targets(store)] == ["good"]


def test_a_spec_is_parsed_once_a_generation():
    store = store_of(k8s.autoscaler("llm", meta={"version": "5"}))
    first = store.autoscalers()[0].spec
    store.apply(RBGA, k8s.autoscaler("llm", meta={"version": "6"}) | {"status": {"roles": []}})
    assert store.autoscalers()[0].spec is first
    changed = k8s.autoscaler("llm", k8s.scaled("decode"), meta={"version": "7", "generation": 2})
    store.apply(RBGA, changed)
    assert store.autoscalers()[0].spec.roles[0].name == "decode"


def test_a_corrected_spec_takes_part_again():
    store = store_of(k8s.autoscaler("llm", k8s.scaled("prefill", low=9, high=3)))
    assert refusals(store) == {"llm": "InvalidSpec"}
    store.apply(RBGA, k8s.autoscaler("llm", meta={"version": "7", "generation": 2}))
    assert refusals(store) == {"llm": None}


def test_a_manifest_that_is_not_in_the_cluster_is_read_without_uid_and_namespace():
    store = store_of(groups=())
    manifest = k8s.autoscaler("trial")
    manifest["metadata"] = {"name": "trial"}
    store.apply(RBGA, manifest)
    (view,) = build_snapshot(store, {}, 0.0).autoscalers
    assert (view.key, view.uid, view.refusal.reason) == (ObjectKey("default", "trial"), "", "TargetNotFound")


def test_of_two_autoscalers_of_one_role_the_older_scales():
    """Both were valid once; the younger is told which role to take out."""
    young = k8s.autoscaler("a-young", meta={"creationTimestamp": k8s.at(9)}, mode="Auto")
    store = store_of(young, k8s.autoscaler("b-old", mode="Auto"))
    assert refusals(store) == {"a-young": "TargetClaimed", "b-old": None}
    store.remove(RBGA, key("b-old"))
    assert refusals(store) == {"a-young": None}


def test_two_autoscalers_may_share_a_group_but_no_role_that_both_write():
    one = k8s.autoscaler("one", k8s.scaled("prefill"), mode="Auto")
    other = k8s.autoscaler("other", k8s.scaled("decode"), mode="Auto")
    trial = k8s.autoscaler("trial", k8s.scaled("prefill"), mode="Recommend")
    assert refusals(store_of(one, other, trial)) == {"one": None, "other": None, "trial": None}


def test_a_target_that_is_not_there_or_being_deleted_is_said():
    store = store_of(k8s.autoscaler("llm"), groups=())
    assert refusals(store) == {"llm": "TargetNotFound"}
    going = k8s.group("llm", k8s.role("prefill"), deletionTimestamp=k8s.at(5))
    store.apply(Kind.ROLE_BASED_GROUP, going)
    assert refusals(store) == {"llm": "TargetTerminating"}


def test_a_group_made_again_under_its_name_is_another_group():
    store = store_of(k8s.autoscaler("llm"))
    store.remove(Kind.ROLE_BASED_GROUP, key("llm"), "uid-llm")
    store.apply(Kind.ROLE_BASED_GROUP, k8s.group("llm", k8s.role("prefill"), uid="uid-second", version="9"))
    (view,) = build_snapshot(store, {}, 0.0).autoscalers
    assert view.group.uid == "uid-second"


def test_statuses_are_read_back_as_they_were_written():
    status = {"roles": [{"name": "prefill", "memory": {"highest": 3}}]}
    store = store_of(k8s.autoscaler("llm") | {"status": status}, k8s.autoscaler("new", target="other"))
    assert dict(store.statuses()) == {key("llm"): status, key("new"): {}}
    assert store.statuses().get(key("gone"), {}) == {}
