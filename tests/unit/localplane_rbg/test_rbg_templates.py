"""Roles resolved into components and workloads."""

import pytest
from localplane.rbg import names
from localplane.rbg.merge import contains, strategic_merge
from localplane.rbg.templates import (
    ComponentSizeMissing,
    GroupContext,
    PatternError,
    instance_size,
    resolve,
    restart_policy,
)
from localplane.rbg.workloads import service, workload

POD = {
    "spec": {
        "containers": [
            {"name": "engine", "image": "sglang:v1", "resources": {"limits": {"nvidia.com/gpu": 4}}}
        ]
    }
}
BASE = {"spec": {"containers": [{"name": "engine", "image": "sglang:base"}]}}
CONTEXT = GroupContext("ns", "g", "f" * 40, {"base": BASE})
GROUP = {
    "apiVersion": names.API_VERSION,
    "kind": "RoleBasedGroup",
    "metadata": {"name": "g", "namespace": "ns", "uid": "u"},
}


def leader_worker(**pattern: object) -> dict[str, object]:
    return {"name": "p", "replicas": 2, "leaderWorkerPattern": {"size": 3, **pattern}}


def container(component: dict[str, object]) -> dict[str, object]:
    return component["template"]["spec"]["containers"][0]  # type: ignore[index, no-any-return]


def test_a_standalone_role_is_one_component_named_like_it() -> None:
    (only,) = resolve({"name": "d", "standalonePattern": {"template": POD}}, CONTEXT)
    assert (only["name"], only["size"], only["serviceName"]) == ("d", 1, "s-g-d")
    labels = only["template"]["metadata"]["labels"]
    assert labels[names.COMPONENT_SIZE] == "1"
    assert names.COMPONENT_NAME not in labels
    assert container(only)["resources"] == {"limits": {"nvidia.com/gpu": "4"}}


def test_a_gang_is_a_leader_and_its_workers() -> None:
    leader, worker = resolve(leader_worker(template=POD), CONTEXT)
    assert [(c["name"], c["size"], c.get("serviceName")) for c in (leader, worker)] == [
        ("leader", 1, "s-g-p"),
        ("worker", 2, None),
    ]
    assert worker["template"]["metadata"]["labels"][names.COMPONENT_SIZE] == "3"
    env = {item["name"]: item.get("value") for item in container(worker)["env"]}  # type: ignore[attr-defined]
    assert env["RBG_LWP_LEADER_ADDRESS"] == "$(RBG_ROLE_INSTANCE_NAME)-0.s-g-p.ns"


def test_a_template_reference_is_patched_and_the_worker_again() -> None:
    patch = {"spec": {"containers": [{"name": "engine", "resources": {"limits": {"nvidia.com/gpu": "2"}}}]}}
    worker_patch = {"spec": {"containers": [{"name": "engine", "env": [{"name": "W", "value": "1"}]}]}}
    role = leader_worker(templateRef={"name": "base", "patch": patch}, workerTemplatePatch=worker_patch)
    leader, worker = resolve(role, CONTEXT)
    assert container(leader)["image"] == "sglang:base"
    assert container(worker)["resources"] == {"limits": {"nvidia.com/gpu": "2"}}
    assert container(worker)["env"][-1] == {"name": "W", "value": "1"}  # type: ignore[index]
    assert all(item["name"] != "W" for item in container(leader)["env"])  # type: ignore[attr-defined]


def test_custom_components_keep_their_sizes() -> None:
    components = [{"name": "main", "size": 1, "template": POD}, {"name": "side", "size": 2, "template": POD}]
    made = resolve({"name": "e", "customComponentsPattern": {"components": components}}, CONTEXT)
    assert [
        (c["name"], c["size"], c["template"]["metadata"]["labels"][names.COMPONENT_SIZE]) for c in made
    ] == [
        ("main", 1, "1"),
        ("side", 2, "2"),
    ]


def test_roles_that_cannot_be_resolved_say_why() -> None:
    with pytest.raises(PatternError, match="no valid pattern found for role x"):
        resolve({"name": "x"}, CONTEXT)
    with pytest.raises(PatternError, match="absent"):
        resolve({"name": "x", "standalonePattern": {"templateRef": {"name": "absent"}}}, CONTEXT)
    with pytest.raises(ComponentSizeMissing):
        resolve(
            {"name": "e", "customComponentsPattern": {"components": [{"name": "m", "template": POD}]}},
            CONTEXT,
        )


def test_gangs_restart_together_unless_told_otherwise() -> None:
    assert restart_policy({"name": "d", "standalonePattern": {}})["type"] == "None"
    assert restart_policy(leader_worker())["type"] == "RecreateRoleInstanceOnPodRestart"
    told = restart_policy(leader_worker(restartPolicyConfig={"type": "None", "baseDelaySeconds": 5}))
    assert told == {"type": "None", "baseDelaySeconds": 5, "maxDelaySeconds": 600}


def test_a_pod_group_counts_components_as_one() -> None:
    assert instance_size(leader_worker()) == 3
    assert instance_size({"name": "e", "customComponentsPattern": {"components": []}}) == 1


def test_the_set_of_a_role_carries_replicas_strategy_and_owner() -> None:
    role = {"name": "d", "replicas": 9, "standalonePattern": {"template": POD}}
    role["rolloutStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
    made = workload(role, 4, GROUP, CONTEXT)
    assert made["kind"] == "RoleInstanceSet"
    assert made["metadata"]["name"] == "g-d"
    assert made["metadata"]["annotations"] == {names.ROLE_SIZE: "4", names.INSTANCE_PATTERN: "Stateful"}
    assert made["spec"]["replicas"] == 4
    assert made["spec"]["updateStrategy"] == {
        "type": "InPlaceIfPossible",
        "partition": 3,
        "maxUnavailable": 1,
        "maxSurge": 0,
        "paused": False,
    }
    assert made["metadata"]["ownerReferences"][0]["controller"] is True


def test_a_change_of_replicas_alone_is_no_new_revision() -> None:
    role = {"name": "d", "replicas": 1, "standalonePattern": {"template": POD}}
    label = names.ROLE_REVISION + "d"
    one = workload(role, 1, GROUP, CONTEXT)["metadata"]["labels"][label]
    assert workload({**role, "replicas": 5}, 5, GROUP, CONTEXT)["metadata"]["labels"][label] == one


def test_a_role_may_ask_for_another_workload() -> None:
    annotations = {names.WORKLOAD_TYPE: "apps/v1/Deployment"}
    role = {"name": "w", "annotations": annotations, "standalonePattern": {"template": POD}}
    made = workload(role, 2, GROUP, CONTEXT)
    assert (made["apiVersion"], made["kind"]) == ("apps/v1", "Deployment")
    assert set(made["spec"]["template"]["metadata"]["labels"]) == {
        names.GROUP_NAME,
        names.GROUP_UID,
        names.ROLE_NAME,
    }


def test_the_service_of_a_gang_selects_leaders() -> None:
    made = service(leader_worker(template=POD), 2, GROUP, CONTEXT)
    assert made["spec"]["selector"][names.COMPONENT_NAME] == "leader"
    assert made["spec"]["clusterIP"] == "None"


def test_merging_knows_keys_deletions_and_plain_lists() -> None:
    base = {"containers": [{"name": "a", "image": "1", "args": ["x", "y"]}, {"name": "b"}], "nodeName": "n"}
    patch = {
        "containers": [{"name": "a", "args": ["z"]}, {"$patch": "delete", "name": "b"}],
        "nodeName": None,
    }
    assert strategic_merge(base, patch) == {"containers": [{"name": "a", "image": "1", "args": ["z"]}]}
    assert base["nodeName"] == "n"


def test_containing_ignores_what_the_server_adds() -> None:
    live = {"a": 1, "list": [{"name": "x", "defaulted": True}], "more": {}}
    assert contains(live, {"a": 1, "list": [{"name": "x"}]})
    assert not contains(live, {"list": []})
    assert not contains(live, {"a": 2})
