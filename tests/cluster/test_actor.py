"""What the actor must know of RoleBasedGroups, point by point, as the real controller was observed.

`POINTS` names for each point the tests that hold us to it; those that only reality can show are in this file,
with the controller as a process under its shipped rights wherever the point is about the whole of it.
"""

import ast
import asyncio
import time
from contextlib import contextmanager

import pytest
import yaml
from localplane.kube import JSON_PATCH, KubeError, path
from localplane.rbg.webhook import NAMESPACE_LABEL
from localplane.stages import UNREADY
from localplane.waiting import wait_until

from rbg_autoscaler.act.scale import Result, RoleWriter
from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.decision import RoleDecision
from rbg_autoscaler.kube.client import KubeApi, KubernetesApi
from rbg_autoscaler.observe.cluster_reader import read_cluster
from rbg_autoscaler.observe.views import group_view
from tests.cluster.harness import RBAC, ROOT, USER, WORKLOADS, Served, grant
from tests.cluster.steering import GREEDY, Steered
from tests.cluster.test_main_job import LOAD, ROLES, SOURCE

HERE = "tests/cluster/test_actor.py"
SCALE, GUARD = "tests/unit/act/test_scale.py", "tests/unit/decide/test_guard.py"
VIEWS, LIVE = "tests/unit/observe/test_views.py", "tests/cluster/test_views_live.py"

POINTS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "/scale is written with the resourceVersion; uid and owner are checked on a read",
        (
            f"{HERE}::test_a_number_changed_since_it_was_read_is_not_overwritten",
            f"{HERE}::test_a_group_made_again_since_it_was_read_is_not_written",
            f"{SCALE}::test_a_role_with_an_adapter_is_written_through_scale_with_the_resource_version",
            f"{SCALE}::test_an_adapter_that_is_not_the_one_decided_on_is_not_written",
        ),
    ),
    2: (
        "the truth of each role: the adapter's number, else the group's; effective; serving",
        (
            f"{LIVE}::test_numbers_follow_the_adapter_and_the_group",
            f"{VIEWS}::test_a_bound_adapter_tells_the_truth_even_where_the_group_says_otherwise",
            f"{VIEWS}::test_effective_observed_and_ready_are_the_workloads",
        ),
    ),
    3: (
        "an adapter bound twice resets a write: the first one is read again",
        (
            f"{HERE}::test_a_write_lost_to_a_second_binding_is_noticed",
            f"{HERE}::test_a_group_whose_adapters_are_all_bound_twice_gets_its_number",
            f"{SCALE}::test_the_first_write_of_an_adapter_is_read_once_more",
        ),
    ),
    4: (
        "no number of a Bound adapter is 0",
        (
            f"{HERE}::test_a_role_comes_from_zero_through_its_adapter",
            f"{SCALE}::test_an_absent_count_of_a_bound_adapter_is_zero",
            f"{VIEWS}::test_a_bound_adapter_without_a_number_is_at_zero",
        ),
    ),
    5: (
        "an accepted write may resize nothing: unmet dependencies are looked for, workloads compared",
        (
            f"{HERE}::test_a_role_waits_for_what_it_depends_on",
            f"{GUARD}::test_a_write_that_resized_nothing_is_reported",
        ),
    ),
    6: (
        "under a CoordinatedPolicy shrink first, then grow",
        (
            f"{HERE}::test_under_a_policy_one_role_shrinks_before_the_other_grows",
            f"{GUARD}::test_one_role_shrinks_first_and_the_other_grows_after",
        ),
    ),
    7: (
        "under a policy roles grow together, and a batch without nodes is taken back",
        (
            f"{HERE}::test_roles_that_grow_together_are_written_together",
            f"{HERE}::test_a_batch_that_no_node_holds_is_taken_back",
            f"{GUARD}::test_roles_that_grow_together_are_granted_together",
            f"{GUARD}::test_a_frozen_batch_is_taken_back_at_its_deadline",
        ),
    ),
    8: (
        "the group's Ready condition gates nothing",
        (f"{HERE}::test_a_group_that_is_never_ready_is_scaled",),
    ),
    9: (
        "a standing partition holds no shrink, a rollout in progress does",
        (
            f"{HERE}::test_a_standing_partition_holds_nothing_and_a_rollout_in_progress_holds_a_shrink",
            f"{VIEWS}::test_a_standing_partition_is_none",
            f"{GUARD}::test_a_standing_partition_is_no_rollout",
        ),
    ),
    10: (
        "no serving instance is removed to keep a pending lower ordinal",
        (
            f"{HERE}::test_no_serving_instance_goes_for_a_pending_one_below_it",
            f"{GUARD}::test_a_stateful_shrink_does_not_kill_serving_instances_to_keep_a_pending_one",
        ),
    ),
    11: (
        "the index of a role is read afresh; every race is read and decided again",
        (
            f"{HERE}::test_roles_in_another_order_since_they_were_read_are_not_mixed_up",
            f"{HERE}::test_roles_reordered_all_the_time_get_their_own_numbers",
            f"{SCALE}::test_the_index_of_a_role_is_read_afresh",
            f"{SCALE}::test_any_race_on_the_group_is_decided_again_and_nothing_is_written",
        ),
    ),
    12: (
        "no server-side apply",
        (f"{HERE}::test_numbers_are_patched_never_applied_and_no_workload_is_written",),
    ),
    13: (
        "children of a set are refused",
        (
            f"{HERE}::test_a_child_of_a_set_is_refused_and_not_written",
            f"{VIEWS}::test_a_child_of_a_set_is_told_to_scale_the_sets_template",
        ),
    ),
    14: (
        "the workload is never written",
        (
            f"{HERE}::test_numbers_are_patched_never_applied_and_no_workload_is_written",
            f"{HERE}::test_no_right_to_write_workloads_is_asked_for",
        ),
    ),
    15: (
        "an adapter's selector is not relied upon",
        (f"{HERE}::test_a_broken_selector_of_an_adapter_is_harmless",),
    ),
    16: (
        "the rollout rules of admission are asked before writing",
        (
            f"{HERE}::test_a_number_that_admission_would_deny_is_not_written",
            f"{GUARD}::test_the_rollout_rules_of_the_group",
            f"{GUARD}::test_a_count_that_admission_would_deny_is_not_written",
        ),
    ),
    17: (
        "nothing goes through v1alpha1",
        (f"{HERE}::test_numbers_are_patched_never_applied_and_no_workload_is_written",),
    ),
}


def test_every_point_has_its_tests():
    assert sorted(POINTS) == list(range(1, 18))
    for _, tests in POINTS.values():
        for test in tests:
            file, name = test.split("::")
            tree = ast.parse((ROOT / file).read_text())
            defined = [node.name for node in ast.walk(tree) if hasattr(node, "name")]
            assert defined.count(name) == 1, test


# Single writes against the real API server, with what others do between the read and the write


class Meddled(KubeApi):
    """Does something just before the first write that passes."""

    def __init__(self, api: KubernetesApi, meddle):
        self._api = api
        self._meddle = meddle

    async def request(self, method, path, **kwargs):
        if method == "PATCH" and self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()
        return await self._api.request(method, path, **kwargs)

    async def close(self):
        await self._api.close()


class Hand:
    """The product's writer at work for the controller's user; decisions are given."""

    def __init__(self, served: Served):
        grant(served.kube, served.namespace)
        self.served = served
        self.kubeconfig = served.plane.kubeconfig_for(USER)

    def write(self, meddle=None, *, meanwhile=None, first=frozenset(), view=None, **counts):
        """Write `role=count` as decided on what is there now (or in `view`); the outcomes by role.

        `meddle` happens before the write, `meanwhile` between the write and the second look at it.
        """

        async def run():
            api = Meddled(KubernetesApi(self.kubeconfig), meddle)
            try:
                seen = view or await self._view(api)
                changes = [_decided(role, seen.role(role).requested, n) for role, n in counts.items()]
                writer = RoleWriter(api)
                outcomes = await writer.write(seen, changes)
                if first:
                    if meanwhile is not None:
                        meanwhile()
                    outcomes = await writer.confirm(seen, outcomes, first)
                return {outcome.role.role: outcome for outcome in outcomes}
            finally:
                await api.close()

        return asyncio.run(run())

    def view(self):
        """The group as it is."""

        async def run():
            api = KubernetesApi(self.kubeconfig)
            try:
                return await self._view(api)
            finally:
                await api.close()

        return asyncio.run(run())

    async def _view(self, api):
        store, _ = await read_cluster(api, self.served.namespace)
        return group_view(store, ObjectKey(self.served.namespace, self.served.name))


def _decided(role, current, granted):
    return RoleDecision(role, current, current, granted, granted, granted, None, "R", "m", (), (), ())


@pytest.mark.parametrize("adapters", [(), ("decode",)], ids=["plain", "adapter"])
def test_a_number_changed_since_it_was_read_is_not_overwritten(plane, namespace, adapters):
    served = Served(plane, namespace).create({"decode": 1}, adapters=adapters)
    outcome = Hand(served).write(lambda: served.scale("decode", 3), decode=2)["decode"]
    assert outcome.result is Result.MOVED
    assert ("409 Conflict" if adapters else "422 Invalid") in outcome.message
    assert served.asked("decode") == 3


@pytest.mark.parametrize("adapters", [(), ("decode",)], ids=["plain", "adapter"])
def test_a_group_made_again_since_it_was_read_is_not_written(plane, namespace, adapters):
    served = Served(plane, namespace).create({"decode": 1}, adapters=adapters)
    hand = Hand(served)
    old = hand.view()

    def make_again():
        served.kube.delete(path(WORKLOADS, "rolebasedgroups", namespace, "ds"))
        gone = path(WORKLOADS, "rolebasedgroupscalingadapters", namespace, "ds-decode")
        wait_until(lambda: not served.kube.exists(gone), 20, "the old adapter to be gone")
        served.create({"decode": 1}, adapters=adapters)

    assert hand.write(make_again, view=old, decode=2)["decode"].result is Result.MOVED
    assert hand.write(view=old, decode=2)["decode"].result is Result.MOVED
    assert served.asked("decode") == 1
    assert hand.write(decode=2)["decode"].result is Result.WRITTEN
    assert served.asked("decode") == 2


def test_roles_in_another_order_since_they_were_read_are_not_mixed_up(plane, namespace):
    served = Served(plane, namespace).create({"prefill": 2, "decode": 4})
    outcomes = Hand(served).write(lambda: reorder(served), prefill=3, decode=5)
    assert [outcome.result for outcome in outcomes.values()] == [Result.MOVED] * 2
    assert (served.asked("prefill"), served.asked("decode")) == (2, 4)
    outcomes = Hand(served).write(prefill=3, decode=5)
    assert [outcome.result for outcome in outcomes.values()] == [Result.WRITTEN] * 2
    assert (served.asked("prefill"), served.asked("decode")) == (3, 5)


def reorder(served):
    """Reverse the group's list of roles; whether it could be done before somebody else wrote the group."""
    at = path(WORKLOADS, "rolebasedgroups", served.namespace, served.name)
    group = served.kube.get(at)
    group["spec"]["roles"].reverse()
    try:
        served.kube.replace(at, group)
    except KubeError as error:
        if error.status != 409:
            raise
        return False
    return True


def test_a_role_comes_from_zero_through_its_adapter(plane, namespace):
    served = Served(plane, namespace).create({"decode": 1}, adapters=("decode",))
    served.scale("decode", 0)
    hand = Hand(served)
    assert hand.view().role("decode").requested == 0
    assert hand.write(decode=2)["decode"].result is Result.WRITTEN
    served.wait_ready("decode", 2)


@contextmanager
def rbg_controller(plane, *flags):
    """The stand-in with other habits, for a while."""
    process = plane.processes["rbg"]
    if "localplane.rbg" not in process.argv:
        pytest.skip("habits of the stand-in: the real controller has its own")
    usual = process.argv
    plane.kill("rbg")
    process.argv = [*usual, *flags]
    plane.restart("rbg")
    try:
        yield
    finally:
        plane.kill("rbg")
        process.argv = usual
        plane.restart("rbg")


def test_a_write_lost_to_a_second_binding_is_noticed(plane, namespace):
    """The RBG controller lags: it binds the adapter again and puts the number back that it had read."""
    served = Served(plane, namespace).create({"decode": 1}, adapters=("decode",))
    first = {"first": frozenset({"decode"})}
    outcome = Hand(served).write(meanwhile=lambda: served.scale("decode", 1), decode=3, **first)["decode"]
    assert (outcome.result, served.asked("decode")) == (Result.MOVED, 1)
    assert outcome.message == "the adapter was bound again and lost the write"
    outcome = Hand(served).write(decode=3, **first)["decode"]
    assert (outcome.result, served.asked("decode")) == (Result.WRITTEN, 3)


def test_a_group_whose_adapters_are_all_bound_twice_gets_its_number(plane, namespace, controllers):
    """The second time 0.25 s after Bound, when the controller may have written already."""
    with rbg_controller(plane, "--double-binding"):
        steered = Steered(plane, namespace).steer({"decode": 3})
        controllers()
        steered.create({"decode": 1}, adapters=("decode",)).settled(decode=3)
        assert steered.condition("Conflict")["status"] == "False"


# The whole controller at work


@pytest.fixture
def steered(plane, namespace):
    return Steered(plane, namespace)


def test_roles_reordered_all_the_time_get_their_own_numbers(steered, controllers):
    steered.create({"prefill": 1, "decode": 4, "router": 2}).steer({"prefill": 1, "decode": 4})
    controllers()
    steered.settled(prefill=1, decode=4)
    reordered = 0
    for prefill, decode in ((2, 6), (5, 3), (1, 4)):
        steered.want(prefill=prefill, decode=decode)
        deadline = time.monotonic() + 20
        while (steered.asked("prefill"), steered.asked("decode")) != (prefill, decode):
            assert time.monotonic() < deadline
            reordered += reorder(steered)
            assert steered.asked("router") == 2
            time.sleep(0.05)
    assert reordered > 10
    assert steered.condition("Conflict")["status"] == "False"


def test_a_role_waits_for_what_it_depends_on(steered, controllers):
    decode = steered.role("decode", 1, adapter=True) | {"dependencies": ["router"]}
    create_group(steered, [steered.role("router", 1), decode])
    steered.wait_bound("decode")  # not before the router is ready
    steered.steer({"decode": 1})
    controllers()
    steered.wait_ready("decode", 1)
    fail_probe(steered, "ds-router-0", "1")
    wait_until(lambda: steered.ready("router") == 0, 20, "the router to be unready")
    steered.want(decode=3)
    steered.wait_reason("decode", "DependencyNotMet")
    conditions = {one["type"]: one for one in steered.status()["roles"][0]["conditions"]}
    able = conditions["AbleToScale"]
    assert (able["status"], able["reason"]) == ("False", "DependencyNotMet")
    assert "router" in able["message"]
    assert steered.asked("decode") == 1
    fail_probe(steered, "ds-router-0", "0")
    steered.settled(decode=3)


def create_group(served, roles):
    body = {"apiVersion": WORKLOADS, "kind": "RoleBasedGroup", "metadata": {"name": served.name}}
    body |= {"spec": {"roles": roles}}
    served.kube.create(path(WORKLOADS, "rolebasedgroups", served.namespace), body)


def fail_probe(served, pod, value):
    at = path("v1", "pods", served.namespace, pod)
    wait_until(lambda: served.kube.exists(at), 20, f"pod {pod}")
    served.kube.patch(at, {"metadata": {"annotations": {UNREADY: value}}})


def bind_both(served, *roles, progression="OrderReady", skew="25%"):
    """A CoordinatedPolicy of the group's name over these roles."""
    rule = {"name": "pair", "roles": list(roles)}
    rule |= {"strategy": {"scaling": {"maxSkew": skew, "progression": progression}}}
    policy = {"apiVersion": WORKLOADS, "kind": "CoordinatedPolicy", "metadata": {"name": "ds"}}
    policy |= {"spec": {"policies": [rule]}}
    served.kube.create(path(WORKLOADS, "coordinatedpolicies", served.namespace), policy)


@pytest.mark.parametrize("adapters", [(), ("prefill", "decode")], ids=["plain", "adapters"])
def test_under_a_policy_one_role_shrinks_before_the_other_grows(steered, controllers, adapters):
    """One write of decode 4 -> 1 with prefill 2 -> 6 deleted 3, made 3 and deleted 3: 3 resizes of decode."""
    bind_both(steered, "prefill", "decode")
    steered.create({"prefill": 2, "decode": 4}, adapters=adapters).steer({"prefill": 2, "decode": 4})
    controllers()
    steered.settled(prefill=2, decode=4)
    resizes, instances = steered.resizes("decode"), steered.instances("decode")
    steered.want(prefill=6, decode=1)
    steered.settled(prefill=6, decode=1)
    assert steered.resizes("decode") == resizes + 1
    assert steered.instances("decode").items() <= instances.items()


@pytest.mark.parametrize("adapters", [(), ("prefill", "decode")], ids=["plain", "adapters"])
def test_roles_that_grow_together_are_written_together(plane, steered, controllers, adapters):
    """2/2 -> 6/4 at 25 % takes two batches if written at once; prefill alone first, it takes three."""
    bind_both(steered, "prefill", "decode")
    steered.create({"prefill": 2, "decode": 2}, adapters=adapters).steer({"prefill": 2, "decode": 2})
    controllers()
    steered.settled(prefill=2, decode=2)
    steered.want(prefill=6, decode=4)
    steered.settled(prefill=6, decode=4)
    requests = plane.requests(USER, steered.namespace)
    writes = [one for one in requests if one.verb == "patch" and one.resource.startswith("rolebasedgroup")]
    assert len(writes) == (2 if adapters else 1)
    assert max(one.at for one in writes) - min(one.at for one in writes) < 0.5  # side by side, in one sync


def test_a_batch_that_no_node_holds_is_taken_back(steered, controllers):
    """prefill 5 -> 12, nodes for 8: at 11 the rule freezes, and decode with it, until prefill asks for 8."""
    bind_both(steered, "prefill", "decode", progression="OrderScheduled")
    create_group(steered, [steered.role("prefill", 5, gpus=8), steered.role("decode", 2, gpus=0)])
    steered.steer({"prefill": 5, "decode": 2})
    controllers()
    steered.settled(prefill=5, decode=2)
    steered.tune("prefill", maxReplicas=12, startUp={"deadlineSeconds": 8}, metrics=GREEDY)
    wait_until(
        lambda: steered.workload("prefill")["spec"]["replicas"] == 11, 30, "the batch that does not fit"
    )
    steered.want(decode=1)
    steered.wait_reason("decode", "FrozenByPolicy")
    steered.settled(prefill=8, decode=1)
    steered.wait_reason("prefill", "BackingOff")


def test_a_group_that_is_never_ready_is_scaled(steered, controllers):
    create_group(steered, [steered.role("decode", 1), steered.role("stuck", 1, gpus=9)])
    steered.steer({"decode": 1})
    controllers()
    for count in (3, 1):
        steered.want(decode=count)
        steered.settled(decode=count)
        (ready,) = steered.group()["status"]["conditions"]
        assert (ready["type"], ready["status"]) == ("Ready", "False")


def test_a_standing_partition_holds_nothing_and_a_rollout_in_progress_holds_a_shrink(steered, controllers):
    """Partition 2 of 4: an image changed reaches ordinals 3 and 2; then the revisions differ for good."""
    role = steered.role("decode", 4, start_up="3s")
    create_group(steered, [role | {"rolloutStrategy": {"rollingUpdate": {"partition": 2}}}])
    steered.steer({"decode": 4})
    controllers()
    steered.settled(decode=4)
    image = "/spec/roles/0/standalonePattern/template/spec/containers/0/image"
    steered.kube.patch(steered.at, [{"op": "replace", "path": image, "value": "engine:v2"}], JSON_PATCH)
    wait_until(lambda: rolls(steered.workload("decode")), 20, "the rollout to begin")
    steered.want(decode=3)
    steered.wait_reason("decode", "RolloutInProgress")
    assert steered.asked("decode") == 4
    steered.settled(decode=3)
    status = steered.workload("decode")["status"]
    assert status["currentRevision"] != status["updateRevision"]


def rolls(workload):
    status = workload["status"]
    return status["updatedReplicas"] < (status.get("expectedUpdatedReplicas") or 0)


@contextmanager
def cordoned(kube):
    """No pod gets a node meanwhile."""

    def cordon(value):
        for node in kube.list(path("v1", "nodes")):
            at = path("v1", "nodes", name=node["metadata"]["name"])
            kube.patch(at, {"spec": {"unschedulable": value}})

    cordon(True)
    try:
        yield
    finally:
        cordon(None)


def test_no_serving_instance_goes_for_a_pending_one_below_it(steered, controllers):
    """4 replicas, ordinal 1 has no node: 4 -> 3 would take the serving ordinal 3 and keep the pending one."""
    steered.create({"decode": 4}).steer({"decode": 4})
    controllers()
    steered.settled(decode=4)
    serving = steered.instances("decode")
    with cordoned(steered.kube):
        steered.kube.delete(path("v1", "pods", steered.namespace, "ds-decode-1"))
        wait_until(lambda: steered.ready("decode") == 3, 20, "ordinal 1 to be pending")
        steered.want(decode=3)
        steered.wait_reason("decode", "PendingOrdinals")
        assert steered.asked("decode") == 4
        assert steered.instances("decode")["ds-decode-3"] == serving["ds-decode-3"]
        assert steered.ready("decode") == 3
    steered.settled(decode=3)


def test_a_child_of_a_set_is_refused_and_not_written(plane, namespace, controllers):
    served = Served(plane, namespace)
    roles = [served.role("prefill", 1), served.role("decode", 1, adapter=True)]
    groups = {"apiVersion": WORKLOADS, "kind": "RoleBasedGroupSet", "metadata": {"name": "fleet"}}
    spec = {"replicas": 1, "groupTemplate": {"spec": {"roles": roles}}}
    plane.kube.create(path(WORKLOADS, "rolebasedgroupsets", namespace), groups | {"spec": spec})
    child = Steered(plane, namespace, "fleet-0").steer({"prefill": 3, "decode": 3})
    controllers()
    child.wait_reason("prefill", "SetOwned")
    child.wait_reason("decode", "SetOwned")
    generation = child.group()["metadata"]["generation"]
    child.want(prefill=2, decode=2)
    wait_until(lambda: child.status()["observedGeneration"] == 2, 20, "the change to be seen")
    assert (child.asked("prefill"), child.asked("decode")) == (1, 1)
    assert child.group()["metadata"]["generation"] == generation
    written = {request.resource for request in plane.requests(USER, namespace) if request.writes}
    assert written <= {"rbgautoscalers/status", "events", "leases"}


def test_a_broken_selector_of_an_adapter_is_harmless(plane, namespace, controllers):
    """In 1 of 10 bindings it is for good empty or names a component only: pods are found by labels."""
    roles = ("prefill", "decode")
    served = Served(plane, namespace).create(dict.fromkeys(roles, 1), adapters=roles)
    for role, selector in zip(roles, ("", ",rbg.workloads.x-k8s.io/component-index=0"), strict=True):
        at = path(WORKLOADS, "rolebasedgroupscalingadapters", namespace, f"ds-{role}")
        served.kube.patch(f"{at}/status", {"status": {"selector": selector}})
    served.autoscale(roles=ROLES)
    controllers(sources={"default": {"url": plane.prometheus_url} | SOURCE})
    served.engines.set_load(namespace, "ds", requests_per_s=12, **LOAD)
    for role in roles:
        wait_until(lambda role=role: served.asked(role) > 1, 60, f"{role} to follow the load")
    assert served.condition("MetricsAvailable")["status"] == "True"


def test_a_number_that_admission_would_deny_is_not_written(steered, controllers):
    """The webhook wants partition < replicas and is not asked for /scale: 2 would never reach the group."""
    at = path("v1", "namespaces", name=steered.namespace)
    steered.kube.patch(at, {"metadata": {"labels": {NAMESPACE_LABEL: "enabled"}}})
    role = steered.role("decode", 4, adapter=True)
    create_group(steered, [role | {"rolloutStrategy": {"rollingUpdate": {"partition": 2}}}])
    steered.steer({"decode": 4})
    controllers()
    steered.settled(decode=4)
    steered.want(decode=2)
    steered.wait_reason("decode", "RolloutRuleViolated")
    assert (steered.asked("decode"), steered.workload("decode")["spec"]["replicas"]) == (4, 4)
    steered.want(decode=3)
    steered.settled(decode=3)
    lower = [{"op": "replace", "path": "/spec/roles/0/rolloutStrategy/rollingUpdate/partition", "value": 1}]
    steered.kube.patch(steered.at, lower, JSON_PATCH)
    steered.want(decode=2)
    steered.settled(decode=2)
    assert steered.events("FailedScale") == []
    assert steered.group()["spec"]["roles"][0]["replicas"] == 2


def test_numbers_are_patched_never_applied_and_no_workload_is_written(plane, steered, controllers):
    steered.create({"prefill": 1, "decode": 1}, adapters=("decode",)).steer({"prefill": 1, "decode": 1})
    controllers()
    steered.want(prefill=2, decode=2)
    steered.settled(prefill=2, decode=2)
    adapter = steered.kube.get(
        path(WORKLOADS, "rolebasedgroupscalingadapters", steered.namespace, "ds-decode")
    )
    for obj, subresource in ((steered.group(), None), (adapter, "scale")):
        (ours,) = [m for m in obj["metadata"]["managedFields"] if m["manager"] == "rbg-autoscaler"]
        assert (ours["operation"], ours.get("subresource")) == ("Update", subresource)
    asked = plane.requests(USER, steered.namespace)
    versions = {one.api_version for one in asked if one.api_version.startswith("workloads.x-k8s.io")}
    assert versions == {WORKLOADS}
    written = {one.resource for one in asked if one.writes}
    assert written >= {"rolebasedgroups", "rolebasedgroupscalingadapters/scale"}
    assert not written & {"roleinstancesets", "roleinstances", "pods", "rolebasedgroupscalingadapters"}


def test_no_right_to_write_workloads_is_asked_for():
    rules = [rule for doc in yaml.safe_load_all(RBAC.read_text()) for rule in doc.get("rules", ())]
    verbs = {verb for rule in rules if "roleinstancesets" in rule["resources"] for verb in rule["verbs"]}
    assert verbs <= {"get", "list", "watch"}
