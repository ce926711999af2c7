"""Views of live groups on the real API server, read by the controller's own user."""

import asyncio

from localplane.kube import path
from localplane.waiting import wait_until

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.snapshot import InstancePhase, RoleView, WritePath
from rbg_autoscaler.kube.client import KubernetesApi
from rbg_autoscaler.observe.cluster_reader import read_cluster, refresh_group
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.snapshots import build_snapshot, targets
from rbg_autoscaler.observe.views import group_view
from tests.cluster.harness import USER, WORKLOADS, Served, grant

PREFILL = {
    "name": "prefill",
    "minReplicas": 1,
    "maxReplicas": 4,
    "metrics": [{"signal": "QueueLength", "target": {"type": "AverageValue", "averageValue": "8"}}],
}


class Eyes:
    """The cluster as the controller's user sees it, at the moment of asking."""

    def __init__(self, plane, namespace):
        grant(plane.kube, namespace)
        self.kubeconfig = plane.kubeconfig_for(USER)
        self.namespace = namespace

    def store(self):
        async def read():
            api = KubernetesApi(self.kubeconfig)
            try:
                return await read_cluster(api, self.namespace)
            finally:
                await api.close()

        store, problems = asyncio.run(read())
        assert problems == ()
        return store

    def role(self, name: str, group: str = "ds") -> RoleView:
        view = group_view(self.store(), ObjectKey(self.namespace, group))
        assert view is not None
        found = view.role(name)
        assert found is not None
        return found


def numbers(role: RoleView) -> tuple[int, int, int, int]:
    return role.requested, role.effective, role.observed, role.ready


def test_a_served_group_is_seen_whole(plane, namespace):
    served = Served(plane, namespace).create({"prefill": 2, "decode": 3}, adapters=("prefill",), size=2)
    served.wait_ready("prefill", 2)
    served.wait_ready("decode", 3)
    eyes = Eyes(plane, namespace)
    prefill, decode = eyes.role("prefill"), eyes.role("decode")
    assert (prefill.write_path, decode.write_path) == (WritePath.ADAPTER, WritePath.GROUP)
    assert (numbers(prefill), numbers(decode)) == ((2, 2, 2, 2), (3, 3, 3, 3))
    for role in (prefill, decode):
        assert [one.ordinal for one in role.instances] == list(range(role.requested))
        assert {one.phase for one in role.instances} == {InstancePhase.READY}
        assert [[pod.leader for pod in one.pods] for one in role.instances] == [
            [True, False]
        ] * role.requested
        assert all(0 <= one.ready_at - one.created_at < 120 for one in role.instances)
        assert (role.rollout.in_progress, role.write_refusal, role.other_writer) == (False, None, None)


def test_numbers_follow_the_adapter_and_the_group(plane, namespace):
    served = Served(plane, namespace).create(
        {"prefill": 1, "decode": 1}, adapters=("prefill",), start_up="1s"
    )
    served.scale("prefill", 3)
    served.scale("decode", 2)
    eyes = Eyes(plane, namespace)
    assert (eyes.role("prefill").requested, eyes.role("decode").requested) == (3, 2)
    wait_until(lambda: numbers(eyes.role("prefill")) == (3, 3, 3, 3), 60, "prefill to be seen with 3 ready")
    served.scale("prefill", 0)
    wait_until(lambda: numbers(eyes.role("prefill")) == (0, 0, 0, 0), 60, "prefill to be seen at zero")
    assert eyes.role("prefill").write_path is WritePath.ADAPTER


def test_instances_that_no_node_holds_are_seen_with_the_schedulers_words(plane, namespace):
    served = Served(plane, namespace).create({"decode": 1}, gpus=9)
    eyes = Eyes(plane, namespace)
    wait_until(
        lambda: any(pod.unschedulable_message for one in eyes.role("decode").instances for pod in one.pods),
        60,
        "the scheduler to speak",
    )
    (instance,) = eyes.role("decode").instances
    assert instance.phase is InstancePhase.UNSCHEDULED
    assert "Insufficient nvidia.com/gpu" in instance.pods[0].unschedulable_message
    assert served.ready("decode") == 0


def test_a_policy_another_writer_and_an_unmet_dependency_are_seen(plane, namespace):
    served = Served(plane, namespace)
    rule = {"name": "pair", "roles": ["a", "b"], "strategy": {"scaling": {"maxSkew": "25%"}}}
    policy = {"apiVersion": WORKLOADS, "kind": "CoordinatedPolicy", "metadata": {"name": "ds"}}
    policy |= {"spec": {"policies": [rule]}}
    plane.kube.create(path(WORKLOADS, "coordinatedpolicies", namespace), policy)
    roles = [served.role(name, 1, adapter=name == "a") for name in ("a", "b", "c")]
    roles[2] |= {"dependencies": ["never"], "replicas": 0}
    roles.append(served.role("never", 1, gpus=9))
    group = {"apiVersion": WORKLOADS, "kind": "RoleBasedGroup", "metadata": {"name": "ds"}}
    plane.kube.create(path(WORKLOADS, "rolebasedgroups", namespace), group | {"spec": {"roles": roles}})
    target = {"apiVersion": WORKLOADS, "kind": "RoleBasedGroupScalingAdapter", "name": "ds-a"}
    hpa = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "old"}}
    hpa |= {"spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2}}
    plane.kube.create(path("autoscaling/v2", "horizontalpodautoscalers", namespace), hpa)
    eyes = Eyes(plane, namespace)
    assert [eyes.role(name).policy_rules for name in "abc"] == [("pair",), ("pair",), ()]
    assert eyes.role("a").other_writer == f"HorizontalPodAutoscaler {namespace}/old"
    assert eyes.role("b").other_writer is None
    assert eyes.role("c").unmet_dependencies == ("never",)


def test_a_set_child_is_refused(plane, namespace):
    served = Served(plane, namespace)
    groups = {"apiVersion": WORKLOADS, "kind": "RoleBasedGroupSet", "metadata": {"name": "fleet"}}
    spec = {"replicas": 1, "groupTemplate": {"spec": {"roles": [served.role("decode", 1)]}}}
    plane.kube.create(path(WORKLOADS, "rolebasedgroupsets", namespace), groups | {"spec": spec})
    eyes = Eyes(plane, namespace)
    child = path(WORKLOADS, "rolebasedgroups", namespace, "fleet-0")
    wait_until(lambda: plane.kube.exists(child), 30, "the child to be made")
    decode = eyes.role("decode", "fleet-0")
    assert (decode.write_path, decode.write_refusal.reason) == (WritePath.NONE, "SetOwned")


def test_an_autoscaler_is_a_target_and_a_bad_manifest_beside_it_is_not(plane, namespace):
    served = Served(plane, namespace).create({"prefill": 1})
    served.autoscale(roles=[PREFILL])
    store = Eyes(plane, namespace).store()
    bad = {
        "metadata": {"name": "bad", "namespace": namespace},
        "spec": {"targetRef": {"name": "ds"}, "roles": []},
    }
    store.apply(Kind.RBG_AUTOSCALER, bad)
    assert [(target.key.name, target.group.uid) for target in targets(store)] == [
        ("ds", served.group()["metadata"]["uid"])
    ]
    refusals = [
        view.refusal.reason if view.refusal else None for view in build_snapshot(store, {}, 0.0).autoscalers
    ]
    assert refusals == ["InvalidSpec", None]


def test_one_group_is_read_again_after_a_change(plane, namespace):
    served = Served(plane, namespace).create({"prefill": 1}, adapters=("prefill",), start_up="1s")
    served.wait_ready("prefill", 1)
    eyes = Eyes(plane, namespace)
    store, key = eyes.store(), ObjectKey(namespace, "ds")
    served.scale("prefill", 2)
    assert group_view(store, key).role("prefill").requested == 1

    async def refresh():
        api = KubernetesApi(eyes.kubeconfig)
        try:
            await refresh_group(api, store, key)
        finally:
            await api.close()

    asyncio.run(refresh())
    assert group_view(store, key).role("prefill").requested == 2
    plane.kube.delete(path(WORKLOADS, "rolebasedgroups", namespace, "ds"))
    asyncio.run(refresh())
    assert group_view(store, key) is None
