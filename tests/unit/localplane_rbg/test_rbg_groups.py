"""What a group asks for and reports; the adapters beside it; what admission refuses."""

import pytest
from localplane.rbg import adapters, names, sets
from localplane.rbg.admission import refusal
from localplane.rbg.groups import (
    bound_replicas,
    cluster_config,
    levels,
    overrides,
    ready_condition,
    role_statuses,
    unmet_dependency,
    wanted_replicas,
)
from localplane.rbg.names import Obj
from localplane.rbg.workloads import observed_status


def role(name: str, replicas: int = 1, **more: object) -> Obj:
    return {"name": name, "replicas": replicas, **more}


def group(*roles: Obj, statuses: dict[str, str] | None = None) -> Obj:
    entries = []
    for name, text in (statuses or {}).items():
        replicas, ready, updated = map(int, text.split("/"))
        entries.append(
            {"name": name, "replicas": replicas, "readyReplicas": ready, "updatedReplicas": updated}
        )
    metadata = {"name": "g", "namespace": "ns", "uid": "u", "generation": 1}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "RoleBasedGroup",
        "metadata": metadata,
        "spec": {"roles": list(roles)},
        "status": {"roleStatuses": entries},
    }


SCALED = {"scalingAdapter": {"enable": True}}


def adapter(role_name: str, replicas: int | None, *, phase: str = "Bound", uid: str = "u") -> Obj:
    made = adapters.bare(group(role(role_name)), role(role_name))
    made["metadata"]["ownerReferences"][0]["uid"] = uid
    if replicas is not None:
        made["spec"]["replicas"] = replicas
    made["status"] = {"phase": phase, "replicas": replicas}
    return made


def test_a_bound_adapter_wins_over_the_group() -> None:
    owner = group(role("p", 4, **SCALED), role("d", 2))
    found = overrides(owner, bound_replicas(owner, [adapter("p", 2)]))
    assert wanted_replicas(owner, found) == {"p": 2, "d": 2}
    assert "(desired=2, observed=4)" in found[0].message


@pytest.mark.parametrize(
    "other", [adapter("p", 9, phase=""), adapter("p", 9, uid="hand-made"), adapter("p", None)]
)
def test_an_adapter_that_is_not_bound_or_not_owned_counts_for_nothing(other: Obj) -> None:
    owner = group(role("p", 4, **SCALED))
    assert bound_replicas(owner, [other]) == {}


def test_roles_go_by_level_and_then_alphabetically() -> None:
    roles = [
        role("router"),
        role("prefill", dependencies=["router"]),
        role("decode"),
        role("late", dependencies=["prefill"]),
    ]
    assert levels(roles) == [["decode", "router"], ["prefill"], ["late"]]


def test_a_cycle_of_dependencies_comes_last() -> None:
    roles = [role("a", dependencies=["b"]), role("b", dependencies=["a"]), role("c")]
    assert levels(roles) == [["c"], ["a", "b"]]


def test_a_dependency_without_replicas_is_met() -> None:
    dependant = role("p", dependencies=["router"])
    unready = {"router": {"replicas": 1, "readyReplicas": 0}}
    assert unmet_dependency(dependant, {"router": 1}, unready)
    assert not unmet_dependency(dependant, {"router": 0}, unready)


def test_role_statuses_keep_removed_roles_and_their_order() -> None:
    owner = group(
        role("decode"), role("router"), role("ghost"), statuses={"router": "1/1/1", "gone": "2/2/2"}
    )
    seen = {"decode": {"replicas": 3, "readyReplicas": 1, "updatedReplicas": 3}}
    assert [(e["name"], e["replicas"]) for e in role_statuses(owner, seen)] == [
        ("router", 1),
        ("gone", 2),
        ("decode", 3),
        ("ghost", 0),
    ]


def test_an_entry_moves_only_with_its_replicas_or_ready_ones() -> None:
    owner = group(role("d"), statuses={"d": "3/3/0"})
    (entry,) = role_statuses(owner, {"d": {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 2}})
    assert entry["updatedReplicas"] == 0


def test_a_workload_that_lags_reports_nothing() -> None:
    live = {"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "replicas": 4}}
    assert observed_status(live) is None
    live["status"]["observedGeneration"] = 2
    assert observed_status(live) == {"replicas": 4, "readyReplicas": 0, "updatedReplicas": 0}


@pytest.mark.parametrize(
    ("text", "ready"), [("2/2/2", "True"), ("2/1/2", "False"), ("3/3/3", "False"), ("0/0/0", "False")]
)
def test_a_group_is_ready_with_exactly_what_it_wants(text: str, ready: str) -> None:
    entries = group(role("d"), statuses={"d": text})["status"]["roleStatuses"]
    assert ready_condition({"d": 2}, entries, 1)["status"] == ready


def test_the_config_lists_instances_by_role() -> None:
    text = cluster_config(group(role("router")), {"router": 1, "decode": 2})
    assert text.startswith("group:\n  name: g\n  roles:\n  - router\n  - decode\n  size: 2\n")
    assert "    - address: g-decode-1.s-g-decode\n    size: 2\n" in text


def test_an_adapter_is_made_bare_and_pushes_its_number_once_bound() -> None:
    made = adapters.bare(
        group(role("p")), role("p", scalingAdapter={"enable": True, "labels": {"team": "x"}})
    )
    assert "replicas" not in made["spec"]
    assert made["metadata"]["labels"]["team"] == "x"
    assert "controller" not in made["metadata"]["ownerReferences"][0]
    push = adapters.push(group(role("d"), role("p", 2)), adapter("p", 5))
    assert push is not None
    assert (push.before, push.after, push.group["spec"]["roles"][1]["replicas"]) == (2, 5, 5)
    assert adapters.push(group(role("p", 5)), adapter("p", 5)) is None


def test_a_selector_names_leaders_and_can_be_broken() -> None:
    live: Obj = {"kind": "RoleInstanceSet", "metadata": {"labels": {names.ROLE_TYPE: "LeaderWorkerSet"}}}
    assert adapters.selector(live) == f",{names.COMPONENT_INDEX}=0"
    assert adapters.selector({**live, "status": {"labelSelector": "a=b"}}) == f"a=b,{names.COMPONENT_INDEX}=0"
    assert adapters.selector({"kind": "Deployment", "metadata": {}}) == ""


DENIED = 'spec.roles[0].replicas (role "p"): cannot be changed to 4 while scalingAdapter.enable is true'


def test_admission_refuses_another_number_than_the_adapters() -> None:
    old, new = group(role("p", 2, **SCALED)), group(role("p", 4, **SCALED))
    bound = {"p": ("g-p", 2)}
    assert str(refusal(new, old, bound)).startswith(DENIED)
    assert refusal(new, old, {"p": ("g-p", 4)}) is None
    assert refusal(old, old, {"p": ("g-p", 9)}) is None
    assert refusal(group(role("p", 4)), old, bound) is None


@pytest.mark.parametrize(
    ("replicas", "rolling", "words"),
    [
        (3, {"partition": 3}, "partition: 3 must be less than replicas 3"),
        (3, {"maxUnavailable": "10%", "maxSurge": 0}, "cannot both be 0"),
        (3, {"maxUnavailable": 0, "maxSurge": 1}, None),
        (0, {"partition": 3}, None),
        (3, {"partition": 2}, None),
    ],
)
def test_admission_refuses_rollouts_that_cannot_move(replicas: int, rolling: Obj, words: str | None) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    reason = refusal(group(role("p", replicas, rolloutStrategy=strategy)), None, {})
    assert reason is None if words is None else words in str(reason)


def parent(replicas: int) -> Obj:
    template = {"labels": {"app": "llm"}, "annotations": {"note": "a"}, "spec": {"roles": [role("p", 1)]}}
    metadata = {"name": "set", "namespace": "ns", "uid": "s"}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "RoleBasedGroupSet",
        "metadata": metadata,
        "spec": {"replicas": replicas, "groupTemplate": template},
    }


def test_a_set_takes_back_numbers_labels_and_annotations_but_no_finalizers() -> None:
    wanted = sets.child(parent(1), 0)
    assert sets.overwritten(wanted, wanted) is None
    live = sets.child(parent(1), 0)
    live["spec"] = {"roles": [role("p", 3)]}
    live["metadata"]["annotations"]["kopf/x"] = "1"
    live["metadata"]["finalizers"] = ["example.com/f"]
    back = sets.overwritten(live, wanted)
    assert back is not None
    assert back["spec"]["roles"] == [role("p", 1)]
    assert back["metadata"]["annotations"] == {"note": "a"}
    assert back["metadata"]["finalizers"] == ["example.com/f"]


def test_a_set_is_ready_with_all_its_groups() -> None:
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    status = sets.status(parent(2), [ready, {}], "now")
    assert (status["replicas"], status["readyReplicas"]) == (2, 1)
    assert status["conditions"][0]["message"] == "Waiting for replicas to be ready (1/2)"
