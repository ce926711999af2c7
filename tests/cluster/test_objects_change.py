"""Other writers, and objects that come, go and change under a running controller."""

import time

import pytest
from localplane.kube import MERGE_PATCH, KubeError, path
from localplane.waiting import wait_until

from tests.cluster.harness import AUTOSCALING, USER, WORKLOADS
from tests.cluster.steering import AT_ONCE, Steered, per_replica

HPA = "autoscaling/v2"


@pytest.fixture(params=[(), ("prefill", "decode")], ids=["plain", "adapters"])
def served(plane, namespace, request):
    return Steered(plane, namespace).create({"prefill": 1, "decode": 1}, adapters=request.param)


def patched(served):
    """The resources that the controller patched in this namespace, in order."""
    return [one.resource for one in served.plane.requests(USER, served.namespace) if one.verb == "patch"]


def test_a_bad_autoscaler_beside_a_good_one_is_refused_alone(served, controllers, namespace):
    served.steer({"prefill": 1, "decode": 1})
    controllers()
    bad = {"name": "decode", "minReplicas": 5, "maxReplicas": 2, "metrics": per_replica("1")}
    with pytest.raises(KubeError) as refused:
        served.autoscale("bad", roles=[bad])
    assert refused.value.status == 422
    assert "minReplicas" in refused.value.message
    # What the API server cannot see: no two counts within these bounds keep the ratio.
    roles = [
        {"name": "prefill", "minReplicas": 1, "maxReplicas": 1, "metrics": per_replica("1")},
        {"name": "decode", "minReplicas": 1, "maxReplicas": 2, "metrics": per_replica("1")},
    ]
    ratio = [{"numerator": "decode", "denominator": "prefill", "minRatio": "9"}]
    served.autoscale("subtle", roles=roles, coordination=ratio)
    wait_until(lambda: served.condition("Ready", "subtle").get("reason") == "InvalidSpec", 20, "its refusal")
    assert "coordination[0]" in served.condition("Ready", "subtle")["message"]
    served.want(prefill=2)
    served.settled(prefill=2)
    wait_until(lambda: served.condition("Ready")["status"] == "True", 30, "the good one to be ready")


def test_a_group_made_again_under_its_name_is_scaled_anew(served, controllers):
    served.steer({"prefill": 2, "decode": 1})
    controllers()
    served.settled(prefill=2)
    first = served.group()
    served.kube.delete(served.at)
    wait_until(lambda: served.condition("Ready").get("reason") == "TargetNotFound", 30, "the loss to be told")
    wait_until(lambda: not served.kube.exists(served.at), 30, "the group to go")
    again = {key: first[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": served.name}}
    for role in again["spec"]["roles"]:
        role["replicas"] = 1
    served.kube.create(path(WORKLOADS, "rolebasedgroups", served.namespace), again)
    wait_until(
        lambda: served.status().get("targetUid") not in (None, first["metadata"]["uid"]), 40, "the new one"
    )
    wait_until(lambda: served.group()["spec"]["roles"][0]["replicas"] == 2, 40, "prefill to be scaled again")
    assert served.condition("Conflict")["status"] == "False"


def test_a_role_added_renamed_and_removed_disturbs_no_other(served, controllers):
    served.steer({"prefill": 1, "decode": 1})
    controllers()
    served.wanted["router"] = {"name": "router", "minReplicas": 2, "maxReplicas": 2, "behavior": AT_ONCE}
    served.wanted["router"]["metrics"] = per_replica("1k")
    served.want(prefill=2)
    served.wait_reason("router", "RoleNotFound")
    served.settled(prefill=2)
    roles = served.group()["spec"]["roles"]
    served.kube.patch(served.at, {"spec": {"roles": [*roles, served.role("router", 1)]}}, MERGE_PATCH)
    served.settled(router=2)
    roles = served.group()["spec"]["roles"]
    renamed = [role | {"name": "gateway"} if role["name"] == "router" else role for role in roles]
    served.kube.patch(served.at, {"spec": {"roles": renamed}}, MERGE_PATCH)
    served.wait_reason("router", "RoleNotFound")
    served.want(decode=2)
    served.settled(decode=2)
    left = [role for role in served.group()["spec"]["roles"] if role["name"] != "gateway"]
    served.kube.patch(served.at, {"spec": {"roles": left}}, MERGE_PATCH)
    served.want(prefill=1)
    served.wait_asked("prefill", 1)


def test_an_adapter_switched_on_and_off_changes_the_way_of_writing(plane, namespace, controllers):
    served = Steered(plane, namespace).create({"prefill": 1, "decode": 1})
    served.steer({"prefill": 1, "decode": 1})
    controllers()
    served.want(prefill=2)
    served.settled(prefill=2)
    for enable, count in ((True, 3), (False, 1)):
        body = [{"op": "add", "path": "/spec/roles/0/scalingAdapter", "value": {"enable": enable}}]
        served.kube.patch(served.at, body, "application/json-patch+json")
        if enable:
            served.wait_bound("prefill")
        served.want(prefill=count)
        served.wait_asked("prefill", count)
    assert {"rolebasedgroupscalingadapters/scale", "rolebasedgroups"} <= set(patched(served))


def test_an_hpa_on_the_same_adapter_is_reported_and_not_fought(plane, namespace, controllers):
    served = Steered(plane, namespace).create({"prefill": 1, "decode": 1}, adapters=("decode",))
    served.steer({"prefill": 1, "decode": 1})
    controllers()
    target = {"apiVersion": WORKLOADS, "kind": "RoleBasedGroupScalingAdapter", "name": "ds-decode"}
    cpu = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    }
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 4, "metrics": [cpu]}
    served.kube.create(
        path(HPA, "horizontalpodautoscalers", namespace), {"metadata": {"name": "rival"}, "spec": spec}
    )
    wait_until(lambda: served.condition("Conflict")["status"] == "True", 30, "the conflict to be told")
    assert "rival" in served.condition("Conflict")["message"]
    served.want(prefill=2, decode=2)
    served.settled(prefill=2)
    assert served.asked("decode") == 1
    served.kube.delete(path(HPA, "horizontalpodautoscalers", namespace, "rival"))
    served.settled(decode=2)
    wait_until(lambda: served.condition("Conflict")["status"] == "False", 30, "the conflict to be over")


def test_a_person_who_scales_by_hand_is_followed_and_told(served, controllers):
    served.steer({"prefill": 1, "decode": 1})
    controllers()
    served.want(prefill=2)
    served.settled(prefill=2)
    served.tune("prefill", minReplicas=1, maxReplicas=6, metrics=per_replica("1"))
    served.wait_asked("prefill", 2)
    served.scale("prefill", 4)
    wait_until(
        lambda: served.condition("Conflict").get("reason") == "ChangedByOther", 30, "the change to be told"
    )


def test_a_child_of_a_set_is_refused(plane, namespace, controllers):
    served = Steered(plane, namespace, name="set-0")
    template = {"spec": {"roles": [served.role("prefill", 1)]}}
    body = {"apiVersion": WORKLOADS, "kind": "RoleBasedGroupSet", "metadata": {"name": "set"}}
    body |= {"spec": {"replicas": 1, "groupTemplate": template}}
    served.kube.create(path(WORKLOADS, "rolebasedgroupsets", namespace), body)
    wait_until(lambda: served.kube.exists(served.at), 30, "the child")
    served.steer({"prefill": 2})
    controllers()
    served.wait_reason("prefill", "SetOwned")
    assert served.condition("Ready")["status"] == "False"
    assert served.asked("prefill") == 1


def test_the_older_of_two_autoscalers_of_a_role_goes_on(served, controllers):
    served.steer({"prefill": 1, "decode": 1})
    time.sleep(1.1)  # creation times have whole seconds
    controllers()
    entry = {"name": "decode", "minReplicas": 4, "maxReplicas": 4, "metrics": per_replica("1k")}
    served.autoscale("younger", roles=[entry])
    wait_until(
        lambda: served.condition("Ready", "younger").get("reason") == "TargetClaimed", 30, "its refusal"
    )
    served.want(decode=2)
    served.settled(decode=2)


def test_an_autoscaler_that_goes_takes_its_series_along(served, controllers):
    served.steer({"prefill": 1, "decode": 1})
    controller = controllers()
    mine = f'rbg_autoscaler_granted_replicas{{autoscaler="ds",group="ds",namespace="{served.namespace}"'
    wait_until(lambda: mine in controller.metrics(), 30, "its series")
    served.kube.delete(path(AUTOSCALING, "rbgautoscalers", served.namespace, "ds"))
    wait_until(lambda: mine not in controller.metrics(), 30, "its series to go")
    assert controller.leads()
