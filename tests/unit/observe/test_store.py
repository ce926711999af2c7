"""The store under events that come late, twice, out of order or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.views import build_group_view
from tests import builders as k8s

LLM = ObjectKey(k8s.NAMESPACE, "llm")
GROUP = Kind.ROLE_BASED_GROUP


def llm(replicas: int, version: int, **meta):
    return k8s.group("llm", k8s.role("prefill", replicas), version=str(version), **meta)


def replicas(store: ClusterStore) -> int | None:
    group = store.group(LLM)
    return None if group is None else group.roles[0].replicas


def test_an_older_version_does_not_overwrite_a_newer_one():
    store = ClusterStore()
    store.apply(GROUP, llm(3, 20))
    store.apply(GROUP, llm(2, 9))
    assert replicas(store) == 3


def test_versions_that_are_no_numbers_are_taken_as_they_come():
    store = ClusterStore()
    for count, version in ((3, "b"), (2, "a")):
        store.apply(GROUP, llm(count, 0) | {"metadata": k8s.metadata("llm", "u", version=version)})
    assert replicas(store) == 2


def test_a_late_deletion_does_not_remove_the_successor():
    """Deleted and made again under the same name; the deletion is told last."""
    store = ClusterStore()
    store.apply(GROUP, llm(3, 20, uid="new"))
    store.remove(GROUP, LLM, "old")
    assert replicas(store) == 3
    store.remove(GROUP, LLM, "new")
    assert replicas(store) is None


def test_a_list_that_began_before_a_deletion_does_not_bring_the_object_back():
    store = ClusterStore()
    store.apply(GROUP, llm(3, 20))
    listed = [llm(3, 20)]
    store.remove(GROUP, LLM, "uid-llm")
    store.replace(GROUP, listed, resource_version="21")
    assert replicas(store) is None
    store.apply(GROUP, llm(1, 30, uid="uid-successor"))
    assert replicas(store) == 1


def test_a_full_list_forgets_ghosts_and_says_how_many():
    store = ClusterStore()
    for name in ("llm", "ghost", "spook"):
        store.apply(GROUP, k8s.group(name, version="5"))
    assert store.replace(GROUP, [llm(1, 5)], resource_version="10") == 2
    assert store.count(GROUP) == 1


def test_a_list_does_not_forget_what_is_newer_than_it():
    store = ClusterStore()
    store.apply(GROUP, llm(1, 11))
    assert store.replace(GROUP, [], resource_version="10") == 0
    assert store.replace(GROUP, [], resource_version="11") == 1


def test_a_partial_list_concerns_its_namespace_and_group_only():
    store = ClusterStore()
    for name in ("a", "b"):
        store.apply(Kind.POD, k8s.pod(0, group_name=name))
        store.apply(Kind.POD, k8s.pod(0, group_name=name, namespace="other"))
    assert store.replace(Kind.POD, [], namespace=k8s.NAMESPACE, group="a") == 1
    assert store.replace(Kind.POD, [], namespace="other") == 2
    assert [pod.key.name for pod in store.pods(ObjectKey(k8s.NAMESPACE, "b"))] == ["b-prefill-0"]


def test_a_pod_that_moves_to_another_group_is_found_there_only():
    store = ClusterStore()
    store.apply(Kind.POD, k8s.pod("p", group_name="a", version="1"))
    store.apply(Kind.POD, k8s.pod("p", group_name="b", version="2"))
    assert [len(store.pods(ObjectKey(k8s.NAMESPACE, name))) for name in ("a", "b")] == [0, 1]


class TestViewsAreKept:
    @pytest.fixture
    def store(self):
        store = ClusterStore()
        store.apply(GROUP, k8s.group("llm", k8s.role("prefill", 2, adapter=True)))
        store.apply(GROUP, k8s.group("other", k8s.role("prefill", 2)))
        store.apply(Kind.SCALING_ADAPTER, k8s.adapter(replicas=2))
        store.apply(Kind.HORIZONTAL_POD_AUTOSCALER, k8s.hpa("h", "Deployment", "web"))
        store.apply(Kind.POD, k8s.pod(0, ready=5))
        return store

    def is_kept(self, store, kind, obj) -> bool:
        before = store.view(LLM, build_group_view)
        assert store.view(LLM, build_group_view) is before
        store.apply(kind, obj)
        return store.view(LLM, build_group_view) is before

    def test_at_rest(self, store):
        """The same objects with a newer version only: a status heartbeat, or a full list."""
        assert self.is_kept(store, Kind.POD, k8s.pod(0, ready=5, version="8"))
        assert self.is_kept(store, Kind.SCALING_ADAPTER, k8s.adapter(replicas=2, version="9"))
        assert self.is_kept(
            store, Kind.HORIZONTAL_POD_AUTOSCALER, k8s.hpa("h", "Deployment", "web", version="9")
        )

    def test_when_another_group_changes(self, store):
        assert self.is_kept(store, Kind.POD, k8s.pod(0, group_name="other", ready=5))
        assert self.is_kept(store, GROUP, k8s.group("other", version="9"))
        assert self.is_kept(
            store, Kind.HORIZONTAL_POD_AUTOSCALER, k8s.hpa("h", "Deployment", "w", namespace="far")
        )

    @pytest.mark.parametrize(
        ("kind", "obj"),
        [
            (GROUP, k8s.group("llm", version="9")),
            (Kind.SCALING_ADAPTER, k8s.adapter(replicas=3)),
            (Kind.SCALING_ADAPTER, k8s.adapter(replicas=2, target=("other", "prefill"))),
            (Kind.ROLE_INSTANCE_SET, k8s.instance_set()),
            (Kind.ROLE_INSTANCE_SET, k8s.instance_set(labels={})),
            (Kind.POD, k8s.pod(0)),
            (Kind.POD, k8s.pod(1)),
            (Kind.POD, k8s.pod("llm-prefill-0", group_name="other", ready=5)),
            (Kind.COORDINATED_POLICY, k8s.policy("llm")),
            (Kind.HORIZONTAL_POD_AUTOSCALER, k8s.hpa("h", "RoleBasedGroup", "llm")),
        ],
    )
    def test_not_when_the_group_changes(self, store, kind, obj):
        assert not self.is_kept(store, kind, obj)

    def test_not_when_something_goes(self, store):
        before = store.view(LLM, build_group_view)
        store.remove(Kind.POD, ObjectKey(k8s.NAMESPACE, "llm-prefill-0"))
        after = store.view(LLM, build_group_view)
        assert (len(before.roles[0].instances), len(after.roles[0].instances)) == (1, 0)


OBJECTS = st.sampled_from(
    [
        (GROUP, lambda n: k8s.group("llm", k8s.role("prefill", n, adapter=n % 2 == 0))),
        (Kind.SCALING_ADAPTER, lambda n: k8s.adapter(replicas=n)),
        (Kind.SCALING_ADAPTER, lambda n: k8s.adapter(replicas=n, target=("other", "prefill"))),
        (Kind.ROLE_INSTANCE_SET, lambda n: k8s.instance_set(replicas=n)),
        (Kind.POD, lambda n: k8s.pod(n % 3, ready=n)),
        (Kind.POD, lambda n: k8s.pod("llm-prefill-0", group_name="other", ready=n)),
        (Kind.COORDINATED_POLICY, lambda n: k8s.policy("llm", (f"rule{n}", ("prefill",), {"scaling": {}}))),
        (Kind.HORIZONTAL_POD_AUTOSCALER, lambda n: k8s.hpa("h", "RoleBasedGroup", ("llm", "other")[n % 2])),
    ]
)


@given(st.lists(st.tuples(OBJECTS, st.integers(0, 9), st.booleans()), max_size=30))
def test_a_kept_view_equals_one_made_anew_after_any_history(history):
    store = ClusterStore()
    for version, ((kind, make), number, deleted) in enumerate(history):
        obj = make(number)
        obj["metadata"] |= {"resourceVersion": str(version), "uid": f"uid-{version}"}
        if kind is GROUP:
            obj["metadata"]["uid"] = "uid-llm"
        if deleted:
            store.remove(kind, ObjectKey(k8s.NAMESPACE, obj["metadata"]["name"]))
        else:
            store.apply(kind, obj)
        assert store.view(LLM, build_group_view) == build_group_view(store, LLM)
