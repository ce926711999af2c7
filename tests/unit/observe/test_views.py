"""What a decision sees of a group: each rule of truth once, on objects as the real controller leaves them."""

import pytest

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.snapshot import GroupView, InstancePhase, RoleView, WritePath
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.views import group_view, workload_name
from tests import builders as k8s

KEY = ObjectKey(k8s.NAMESPACE, "llm")
KINDS = {kind.value.kind: kind for kind in Kind}


def store_of(*objects) -> ClusterStore:
    store = ClusterStore()
    for obj in objects:
        store.apply(KINDS[obj["kind"]], obj)
    return store


def view_of(*objects) -> GroupView:
    view = group_view(store_of(*objects), KEY)
    assert view is not None
    return view


def role_of(*objects, name: str = "prefill") -> RoleView:
    role = view_of(*objects).role(name)
    assert role is not None
    return role


class TestTruth:
    """Which object tells each number."""

    def test_a_group_that_does_not_exist_has_no_view(self):
        assert group_view(store_of(), KEY) is None

    def test_identity_and_order_of_roles_are_the_groups(self):
        view = view_of(
            k8s.group("llm", k8s.role("router"), k8s.role("prefill"), k8s.role("decode"), version="77")
        )
        assert (view.key, view.uid, view.resource_version) == (KEY, "uid-llm", "77")
        assert [role.name for role in view.roles] == ["router", "prefill", "decode"]

    def test_a_plain_role_asks_for_what_the_group_says_and_is_written_there(self):
        role = role_of(k8s.group("llm", k8s.role("prefill", 3)), k8s.instance_set(replicas=3))
        assert (role.requested, role.write_path, role.write_refusal) == (3, WritePath.GROUP, None)

    def test_a_bound_adapter_tells_the_truth_even_where_the_group_says_otherwise(self):
        """The group's number of an adapter role may stay wrong for good after a direct write."""
        role = role_of(
            k8s.group("llm", k8s.role("prefill", 4, adapter=True)),
            k8s.adapter(replicas=2),
            k8s.instance_set(replicas=2),
        )
        assert (role.requested, role.effective, role.write_path) == (2, 2, WritePath.ADAPTER)

    def test_an_adapter_that_is_left_over_after_disabling_is_not_asked(self):
        role = role_of(k8s.group("llm", k8s.role("prefill", 4)), k8s.adapter(replicas=2))
        assert (role.requested, role.write_path) == (4, WritePath.GROUP)

    def test_a_bound_adapter_without_a_number_is_at_zero(self):
        role = role_of(k8s.group("llm", k8s.role("prefill", 2, adapter=True)), k8s.adapter(replicas=None))
        assert (role.requested, role.write_path) == (0, WritePath.ADAPTER)

    def test_replicas_left_out_of_a_role_are_the_apis_default_of_one(self):
        assert role_of(k8s.group("llm", k8s.role("prefill", None))).requested == 1

    def test_effective_observed_and_ready_are_the_workloads(self):
        """A policy lets 4 of 6 through so far, one surges, 3 serve: the group's status lags behind."""
        role = role_of(
            k8s.group("llm", k8s.role("prefill", 6), statuses={"prefill": (2, 2)}),
            k8s.instance_set(replicas=4, observed=5, ready=3),
        )
        assert (role.requested, role.effective, role.observed, role.ready) == (6, 4, 5, 3)

    def test_a_workload_of_another_kind_is_known_by_the_groups_status_only(self):
        kind = {k8s.LABEL + "role-workload-type": "apps/v1/Deployment"}
        roles = k8s.role("prefill", 6, annotations=kind)
        role = role_of(k8s.group("llm", roles, statuses={"prefill": (4, 3)}))
        assert (role.effective, role.observed, role.ready, role.stateful) == (4, 4, 3, False)

    def test_a_workload_of_a_deleted_group_of_the_same_name_is_not_ours(self):
        role = role_of(
            k8s.group("llm", k8s.role("prefill", 1)), k8s.instance_set(replicas=9, owner_uid="uid-before")
        )
        assert (role.effective, role.observed, role.ready) == (0, 0, 0)

    def test_the_workloads_name_is_cut_to_63_and_loses_its_last_dash(self):
        group, role = "g" * 58, "abc-def"
        assert workload_name(group, role) == f"{group}-abc"
        assert workload_name("llm", "prefill") == "llm-prefill"


class TestRefusals:
    """Why a role may not be written; each names the mend."""

    def test_an_adapter_that_is_not_there_yet(self):
        role = role_of(k8s.group("llm", k8s.role("prefill", 3, adapter=True)))
        assert (role.requested, role.write_path) == (3, WritePath.NONE)
        assert role.write_refusal.reason == "AdapterNotBound"
        assert "serving/llm-prefill is not there yet" in role.write_refusal.message

    @pytest.mark.parametrize("phase", [None, "NotBound"])
    def test_an_adapter_that_is_not_bound(self, phase):
        role = role_of(
            k8s.group("llm", k8s.role("prefill", 3, adapter=True)), k8s.adapter(replicas=5, phase=phase)
        )
        assert (role.requested, role.write_path) == (3, WritePath.NONE)
        assert role.write_refusal.reason == "AdapterNotBound"

    def test_an_adapter_of_another_group_of_the_same_name(self):
        role = role_of(
            k8s.group("llm", k8s.role("prefill", 3, adapter=True)),
            k8s.adapter(replicas=5, owner_uid="uid-before"),
        )
        assert (role.requested, role.write_path) == (3, WritePath.NONE)
        assert role.write_refusal.reason == "ForeignAdapter"
        assert "delete it" in role.write_refusal.message

    @pytest.mark.parametrize("target", [("llm", "decode"), ("other", "prefill")])
    def test_an_adapter_that_scales_something_else(self, target):
        role = role_of(
            k8s.group("llm", k8s.role("prefill", 3, adapter=True)), k8s.adapter(replicas=5, target=target)
        )
        assert role.write_path is WritePath.NONE
        assert role.write_refusal.reason == "ForeignAdapter"
        assert "set its scaleTargetRef to llm, prefill" in role.write_refusal.message

    @pytest.mark.parametrize("adapter", [False, True])
    def test_a_child_of_a_set_is_told_to_scale_the_sets_template(self, adapter):
        child = k8s.group(
            "llm",
            k8s.role("prefill", 1, adapter=adapter),
            ownerReferences=[k8s.owner("RoleBasedGroupSet", "fleet", "uid-fleet")],
        )
        role = role_of(child, k8s.adapter(replicas=3))
        assert (role.requested, role.write_path) == (3 if adapter else 1, WritePath.NONE)
        assert role.write_refusal.reason == "SetOwned"
        assert "RoleBasedGroupSet fleet" in role.write_refusal.message
        assert "spec.groupTemplate" in role.write_refusal.message


class TestInstances:
    """Pods to gangs."""

    def leader_worker(self, *pods):
        roles = k8s.role("prefill", 2, leaderWorkerPattern={"size": 2})
        workload = k8s.instance_set(replicas=2, components=(("leader", 1), ("worker", 1)))
        return role_of(k8s.group("llm", roles), workload, *pods).instances

    def test_instances_are_told_by_name_never_by_the_index_label(self):
        """The index label of every pod here is 9; the names say 0, 2 and 10."""
        pods = [k8s.pod(ordinal, ready=5) for ordinal in (10, 0, 2)]
        instances = role_of(
            k8s.group("llm", k8s.role("prefill", 3)), k8s.instance_set(replicas=3), *pods
        ).instances
        assert [(one.name, one.ordinal) for one in instances] == [
            ("llm-prefill-0", 0),
            ("llm-prefill-2", 2),
            ("llm-prefill-10", 10),
        ]

    def test_a_gang_serves_since_its_last_pod_became_ready(self):
        (gang,) = self.leader_worker(
            k8s.pod(0, index=0, created=1, ready=40), k8s.pod(0, index=1, created=2, ready=70)
        )
        assert (gang.phase, gang.created_at - k8s.EPOCH, gang.ready_at - k8s.EPOCH) == (
            InstancePhase.READY,
            2,
            70,
        )
        assert [(pod.name, pod.leader) for pod in gang.pods] == [
            ("llm-prefill-0-0", True),
            ("llm-prefill-0-1", False),
        ]

    def test_the_least_advanced_pod_decides(self):
        ready, starting = k8s.pod(0, index=0, ready=9), k8s.pod(0, index=1)
        waiting = k8s.pod(0, index=1, unschedulable="0/8 nodes are available: 8 Insufficient nvidia.com/gpu.")
        failed = k8s.pod(0, index=1, phase="Failed")
        phases = [self.leader_worker(ready, other)[0].phase for other in (starting, waiting, failed)]
        assert phases == [InstancePhase.STARTING, InstancePhase.UNSCHEDULED, InstancePhase.FAILED]

    def test_an_instance_that_lacks_a_pod_does_not_serve(self):
        (gang,) = self.leader_worker(k8s.pod(0, index=0, ready=9))
        assert (gang.phase, gang.ready_at) == (InstancePhase.UNSCHEDULED, None)

    def test_an_instance_whose_only_other_pod_is_being_replaced_lacks_it(self):
        (gang,) = self.leader_worker(
            k8s.pod(0, index=0, ready=9), k8s.pod(0, index=1, ready=9, terminating=True)
        )
        assert gang.phase is InstancePhase.UNSCHEDULED

    def test_an_instance_whose_pods_all_terminate_goes(self):
        (gang,) = self.leader_worker(
            k8s.pod(0, index=0, ready=9, terminating=True), k8s.pod(0, index=1, ready=9, terminating=True)
        )
        assert (gang.phase, gang.ready_at) == (InstancePhase.TERMINATING, None)

    def test_the_size_of_a_gang_is_the_workloads_else_the_groups(self):
        """Components of sizes 1 and (unsaid, so 1): two pods, of which the group's pattern says nothing."""
        free = k8s.instance_set(replicas=1, components=(("main", 1), ("side", None)))
        plain = k8s.group("llm", k8s.role("prefill", 1, customComponentsPattern={}))
        one = k8s.pod(0, component="main", ready=9)
        two = k8s.pod(0, component="side", ready=9)
        assert role_of(plain, free, one).instances[0].phase is InstancePhase.UNSCHEDULED
        assert role_of(plain, free, one, two).instances[0].phase is InstancePhase.READY
        sized = k8s.group("llm", k8s.role("prefill", 1, leaderWorkerPattern={"size": 3}))
        assert role_of(sized, one, two).instances[0].phase is InstancePhase.UNSCHEDULED

    def test_every_pod_of_free_components_may_answer(self):
        pods = [k8s.pod(0, component="main", ready=9), k8s.pod(0, component="side", ready=9)]
        (gang,) = role_of(
            k8s.group("llm", k8s.role("prefill", 1, customComponentsPattern={})), *pods
        ).instances
        assert [pod.leader for pod in gang.pods] == [True, True]

    def test_an_unschedulable_pod_carries_the_schedulers_words(self):
        words = "0/8 nodes are available: 8 Insufficient nvidia.com/gpu."
        pods = [k8s.pod(0, ready=9), k8s.pod(1, unschedulable=words), k8s.pod(2, scheduled=False)]
        instances = role_of(k8s.group("llm", k8s.role("prefill", 3)), *pods).instances
        assert [one.pods[0].unschedulable_message for one in instances] == [None, words, None]
        assert [one.phase for one in instances[1:]] == [InstancePhase.UNSCHEDULED] * 2

    def test_stateless_instances_have_no_ordinal(self):
        role = role_of(
            k8s.group("llm", k8s.role("prefill", 1)),
            k8s.instance_set(replicas=1, stateless=True),
            k8s.pod("llm-prefill-12345", ready=9),
        )
        assert (role.stateful, role.instances[0].ordinal) == (False, None)

    def test_pods_without_an_instance_are_their_own_and_leaderworkersets_go_by_group(self):
        labels = {k8s.LABEL + "group-name": "llm", k8s.LABEL + "role-name": "prefill"}
        lws = [
            labels | {f"leaderworkerset.sigs.k8s.io/{key}": value for key, value in made.items()}
            for made in (
                {"name": "llm-prefill", "group-index": "1", "worker-index": "0"},
                {"name": "llm-prefill", "group-index": "1", "worker-index": "1"},
            )
        ]
        pods = [k8s.pod("llm-prefill-7", labels=labels, ready=9)]
        pods += [k8s.pod(f"llm-prefill-1-{i}", labels=made, ready=9) for i, made in enumerate(lws)]
        instances = role_of(k8s.group("llm", {"name": "prefill", "replicas": 2}), *pods).instances
        assert [(one.ordinal, [pod.leader for pod in one.pods]) for one in instances] == [
            (1, [True, False]),
            (7, [True]),
        ]

    def test_pods_of_other_roles_and_namespaces_are_not_mixed_in(self):
        pods = [
            k8s.pod(0, ready=1),
            k8s.pod(0, role_name="decode", ready=1),
            k8s.pod(0, ready=1, namespace="other"),
        ]
        view = view_of(k8s.group("llm", k8s.role("prefill"), k8s.role("decode")), *pods)
        assert [[one.name for one in role.instances] for role in view.roles] == [
            ["llm-prefill-0"],
            ["llm-decode-0"],
        ]


class TestRollout:
    def rollout(self, status=None, strategy=None, replicas=5, **role):
        workload = k8s.instance_set(replicas=replicas, status=status, strategy=strategy)
        return role_of(k8s.group("llm", k8s.role("prefill", replicas, **role)), workload).rollout

    def test_fewer_updated_than_expected_is_a_rollout(self):
        status = {"updateRevision": "b", "updatedReplicas": 1, "expectedUpdatedReplicas": 5}
        assert self.rollout(status).in_progress is True

    def test_a_standing_partition_is_none(self):
        """5 replicas, partition 3: the revisions differ for good, and 2 of 2 are updated."""
        status = {"updateRevision": "b", "updatedReplicas": 2, "expectedUpdatedReplicas": 2}
        rollout = self.rollout(status, {"partition": 3, "maxUnavailable": 1, "maxSurge": 0})
        assert (rollout.in_progress, rollout.partition) == (False, 3)

    def test_without_an_expected_number_the_revisions_must_do(self):
        status = {"updateRevision": "b", "updatedReplicas": 2, "expectedUpdatedReplicas": None}
        assert self.rollout(status).in_progress is True
        assert self.rollout({"expectedUpdatedReplicas": None}).in_progress is False

    def test_the_rules_are_the_groups_where_it_says_else_the_workloads(self):
        strategy = {"partition": 1, "maxUnavailable": 2, "maxSurge": "25%"}
        own = self.rollout(strategy=strategy)
        assert (own.partition, own.max_surge, own.max_unavailable) == (1, "25%", "2")
        said = {"rollingUpdate": {"partition": "50%", "maxUnavailable": "10%"}}
        groups = self.rollout(strategy=strategy, rolloutStrategy=said)
        assert (groups.partition, groups.max_surge, groups.max_unavailable) == (3, "0", "10%")

    @pytest.mark.parametrize("nonsense", ["half", "%", "-1", ""])
    def test_a_partition_that_is_no_number_does_not_hide_the_group(self, nonsense):
        assert self.rollout(strategy={"partition": nonsense}).partition == 0


class TestNeighbours:
    """Dependencies, policies and other writers."""

    def unmet(self, *objects):
        roles = [k8s.role("router", 2, adapter=True), k8s.role("prefill", 2, dependencies=["router"])]
        return role_of(k8s.group("llm", *roles), *objects).unmet_dependencies

    def test_a_dependency_is_unmet_while_fewer_are_ready_than_its_truth_asks_for(self):
        asks = k8s.adapter(role_name="router", replicas=3)
        assert self.unmet(asks, k8s.instance_set(role_name="router", replicas=3, ready=2)) == ("router",)
        assert self.unmet(asks, k8s.instance_set(role_name="router", replicas=3, ready=3)) == ()

    def test_a_dependency_at_zero_is_met(self):
        zero = k8s.adapter(role_name="router", replicas=None)
        assert self.unmet(zero, k8s.instance_set(role_name="router", replicas=0)) == ()

    def test_a_dependency_the_group_does_not_have_is_unmet(self):
        role = role_of(k8s.group("llm", k8s.role("prefill", 1, dependencies=["gone"])))
        assert role.unmet_dependencies == ("gone",)

    def test_rules_that_throttle_scaling_are_named(self):
        scaling = {"scaling": {"maxSkew": "25%"}}
        rules = k8s.policy(
            "llm",
            ("pair", ("prefill", "decode"), scaling),
            ("rolling", ("prefill",), {"rollingUpdate": {"maxSkew": "10%"}}),
            ("others", ("decode",), scaling),
        )
        view = view_of(k8s.group("llm", k8s.role("prefill"), k8s.role("decode"), k8s.role("router")), rules)
        assert [role.policy_rules for role in view.roles] == [("pair",), ("pair", "others"), ()]

    def test_a_policy_of_another_name_does_nothing(self):
        rules = k8s.policy("llm-policy", ("pair", ("prefill",), {"scaling": {}}))
        assert role_of(k8s.group("llm", k8s.role("prefill")), rules).policy_rules == ()

    @pytest.mark.parametrize(
        ("kind", "name", "expected"),
        [
            ("RoleBasedGroupScalingAdapter", "llm-prefill", "HorizontalPodAutoscaler serving/old"),
            ("RoleInstanceSet", "llm-prefill", "HorizontalPodAutoscaler serving/old"),
            ("Deployment", "llm-prefill", "HorizontalPodAutoscaler serving/old"),
            ("RoleBasedGroup", "llm", "HorizontalPodAutoscaler serving/old"),
            ("RoleBasedGroupScalingAdapter", "llm-decode", None),
            ("RoleBasedGroup", "llm-prefill", None),
        ],
    )
    def test_an_hpa_on_the_role_is_another_writer(self, kind, name, expected):
        objects = (
            k8s.group("llm", k8s.role("prefill", adapter=True)),
            k8s.adapter(),
            k8s.hpa("old", kind, name),
        )
        assert role_of(*objects).other_writer == expected

    def test_a_keda_hpa_is_named_by_its_scaled_object(self):
        made = k8s.hpa(
            "keda-hpa-queue",
            "RoleBasedGroupScalingAdapter",
            "llm-prefill",
            labels={"scaledobject.keda.sh/name": "queue"},
        )
        assert (
            role_of(k8s.group("llm", k8s.role("prefill")), made).other_writer == "ScaledObject serving/queue"
        )

    def test_an_hpa_in_another_namespace_is_not_ours(self):
        far = k8s.hpa("old", "RoleBasedGroupScalingAdapter", "llm-prefill", namespace="other")
        assert role_of(k8s.group("llm", k8s.role("prefill")), far).other_writer is None
