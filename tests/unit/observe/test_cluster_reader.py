"""Lists into the store, against the fake API server."""

import pytest

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.kube.client import KubernetesApi, NotFound, Unavailable
from rbg_autoscaler.observe.cluster_reader import read_cluster, refresh_group, sync_kind
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.snapshots import build_snapshot
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.views import group_view
from tests import builders as k8s
from tests.fakes.kube_objects import RESOURCES
from tests.fakes.kube_server import FakeKube, Fault

LLM = ObjectKey(k8s.NAMESPACE, "llm")


def without_version(obj):
    """Objects that the fake server gives its own versions to."""
    obj["metadata"].pop("resourceVersion")
    return obj


def fill(fake: FakeKube, replicas: int = 2) -> None:
    objects = [
        k8s.autoscaler("llm"),
        k8s.group("llm", k8s.role("prefill", replicas, adapter=True)),
        k8s.adapter(replicas=replicas),
        k8s.instance_set(replicas=replicas),
        *(k8s.pod(ordinal, ready=5) for ordinal in range(replicas)),
        k8s.hpa("old", "RoleBasedGroup", "llm"),
    ]
    for obj in objects:
        fake.put(without_version(obj))


@pytest.fixture
async def fake():
    async with FakeKube() as server:
        yield server


@pytest.fixture
async def api(fake, tmp_path):
    client = KubernetesApi(fake.kubeconfig(tmp_path), timeout_seconds=5.0)
    yield client
    await client.close()


async def test_a_whole_cluster_is_read_with_one_list_a_kind_and_nothing_is_written(api, fake):
    fill(fake)
    store, problems = await read_cluster(api)
    (view,) = build_snapshot(store, {}, 0.0).autoscalers
    (role,) = view.group.roles
    assert (role.requested, role.ready, len(role.instances)) == (2, 2, 2)
    assert role.other_writer == "HorizontalPodAutoscaler serving/old"
    assert problems == ()
    assert (len(fake.requests), fake.writes()) == (len(Kind), [])


async def test_only_pods_of_groups_are_asked_for(api, fake):
    fake.put({"kind": "Pod", "metadata": {"namespace": "serving", "name": "web-0"}, "spec": {}})
    store, _ = await read_cluster(api)
    assert store.count(Kind.POD) == 0


async def test_one_namespace_is_read_by_itself(api, fake):
    fill(fake)
    far = k8s.group("llm", namespace="far")
    fake.put(without_version(far))
    store, _ = await read_cluster(api, "far")
    assert (store.count(Kind.ROLE_BASED_GROUP), store.count(Kind.POD)) == (1, 0)
    assert all("/namespaces/far/" in sent.path for sent in fake.requests)


async def test_kinds_that_are_absent_or_forbidden_are_reported_and_the_rest_is_read(tmp_path):
    served = tuple(r for r in RESOURCES if r.kind not in ("RbgAutoscaler", "CoordinatedPolicy"))
    async with FakeKube(served) as fake:
        api = KubernetesApi(fake.kubeconfig(tmp_path))
        fill_without_autoscaler = [k8s.group("llm", k8s.role("prefill", 2)), k8s.pod(0, ready=5)]
        for obj in fill_without_autoscaler:
            fake.put(without_version(obj))
        fake.faults.append(Fault(path="/pods", status=403, reason="Forbidden"))
        store, problems = await read_cluster(api)
        await api.close()
    assert group_view(store, LLM).role("prefill").requested == 2
    assert {problem.kind for problem in problems} == {Kind.RBG_AUTOSCALER, Kind.POD}
    assert "injected 403: series cannot be joined to role instances" in [p.message for p in problems]


async def test_a_server_that_does_not_answer_is_an_error_not_an_empty_cluster(api, fake):
    fake.faults.append(Fault(status=503, times=100))
    with pytest.raises(Unavailable):
        await read_cluster(api)


async def test_pruning_forgets_what_no_watch_reported(api, fake):
    fill(fake, replicas=3)
    store = ClusterStore()
    assert await sync_kind(api, store, Kind.POD) == 0
    fake.delete("Pod", "serving", "llm-prefill-1")
    assert await sync_kind(api, store, Kind.POD) == 1
    assert [pod.key.name for pod in store.pods(LLM)] == ["llm-prefill-0", "llm-prefill-2"]


async def test_a_failed_list_forgets_nothing(api, fake):
    fill(fake)
    store = ClusterStore()
    await sync_kind(api, store, Kind.POD)
    fake.faults.append(Fault(path="/pods", status=500))
    with pytest.raises(Unavailable):
        await sync_kind(api, store, Kind.POD)
    assert store.count(Kind.POD) == 2


async def test_a_kind_that_may_be_absent_counts_as_empty_and_another_does_not(tmp_path):
    async with FakeKube(()) as nothing:
        api = KubernetesApi(nothing.kubeconfig(tmp_path))
        assert await sync_kind(api, ClusterStore(), Kind.COORDINATED_POLICY) == 0
        with pytest.raises(NotFound):
            await sync_kind(api, ClusterStore(), Kind.ROLE_BASED_GROUP)
        await api.close()


async def test_after_a_race_one_group_is_read_again_and_no_other(api, fake):
    """The store lags: meanwhile the adapter went to 5, a pod went, and another group changed too."""
    fill(fake)
    other = k8s.group("other", k8s.role("prefill", 1))
    fake.put(without_version(other))
    store, _ = await read_cluster(api)
    fake.put(without_version(k8s.adapter(replicas=5)))
    fake.put(without_version(k8s.group("other", k8s.role("prefill", 7))))
    fake.delete("Pod", "serving", "llm-prefill-0")
    await refresh_group(api, store, LLM)
    (role,) = group_view(store, LLM).roles
    assert (role.requested, [one.name for one in role.instances]) == (5, ["llm-prefill-1"])
    assert group_view(store, ObjectKey("serving", "other")).roles[0].requested == 1


async def test_a_group_that_is_gone_is_gone_after_a_refresh(api, fake):
    fill(fake)
    store, _ = await read_cluster(api)
    fake.delete("RoleBasedGroup", "serving", "llm")
    await refresh_group(api, store, LLM)
    assert group_view(store, LLM) is None
