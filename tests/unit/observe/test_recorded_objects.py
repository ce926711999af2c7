"""Views of objects as the real RBG v0.8 controller left them, where its recordings are at hand."""

import json
import os
from pathlib import Path

import pytest

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.snapshot import InstancePhase, WritePath
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.observe.views import group_view

SHARED = Path(os.environ.get("RBG_AUTOSCALER_SHARED", Path(__file__).parents[4] / "shared"))
RECORDINGS = SHARED / "conformance" / "rbg_contract.json"
KINDS = {"rbg": "ROLE_BASED_GROUP", "rbgsa": "SCALING_ADAPTER", "ris": "ROLE_INSTANCE_SET", "pod": "POD"}

pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason=f"no recordings at {RECORDINGS}")


@pytest.fixture(scope="module")
def samples():
    text = (
        RECORDINGS.read_text()
        .replace("\\u2026/", "rbg.workloads.x-k8s.io/")
        .replace("…/", "rbg.workloads.x-k8s.io/")
    )
    return {scenario["id"]: scenario.get("samples", {}) for scenario in json.loads(text)["scenarios"]}


def store_of(objects, namespace: str) -> ClusterStore:
    """The recordings write every uid as <uid>, and leave those of the objects themselves out."""
    store = ClusterStore()
    for name, obj in objects:
        kind = Kind[KINDS[name.split("/")[0]]]
        store.apply(kind, obj | {"metadata": {"uid": "<uid>", "namespace": namespace} | obj["metadata"]})
    return store


def test_a_group_at_rest(samples):
    recorded = samples["s01_create"]
    objects = [(name, obj) for name, obj in recorded.items() if name.split("/")[0] in KINDS]
    view = group_view(store_of(objects, "s01b"), ObjectKey("s01b", "deepseek"))
    router, prefill, decode = view.roles
    paths = [role.write_path for role in view.roles]
    assert paths == [WritePath.GROUP, WritePath.ADAPTER, WritePath.GROUP]
    numbers = [(role.requested, role.effective, role.observed, role.ready) for role in view.roles]
    assert numbers == [(1, 1, 1, 1), (2, 2, 2, 2), (2, 2, 2, 2)]
    assert all(role.stateful and not role.rollout.in_progress for role in view.roles)
    (instance,) = router.instances
    assert (instance.ordinal, instance.phase, instance.pods[0].leader) == (0, InstancePhase.READY, True)
    # Only the worker of a gang of two was recorded: the gang lacks its leader.
    (gang,) = prefill.instances
    assert (gang.name, gang.phase) == ("deepseek-prefill-0", InstancePhase.UNSCHEDULED)
    assert [(pod.ready, pod.leader) for pod in gang.pods] == [(True, False)]
    assert [one.ordinal for one in decode.instances] == [1]


def test_a_set_child(samples):
    child = samples["s07_groupset"]["rbg/set-0"]
    roles = samples["s07_groupset"]["rbgset/set"]["spec"]["groupTemplate"]["spec"]
    view = group_view(store_of([("rbg/set-0", child | {"spec": roles})], "s07"), ObjectKey("s07", "set-0"))
    assert {role.write_refusal.reason for role in view.roles} == {"SetOwned"}


def test_an_unschedulable_pod(samples):
    pending = dict(samples["s10_unschedulable"]["pod/pending"])
    group, role = {"name": "g"}, {"name": "decode", "replicas": 9, "standalonePattern": {}}
    labels = {
        "rbg.workloads.x-k8s.io/group-name": "g",
        "rbg.workloads.x-k8s.io/role-name": "decode",
        "rbg.workloads.x-k8s.io/role-instance-name": "g-decode-8",
    }
    pending["metadata"] = pending["metadata"] | {"labels": labels}
    objects = [("rbg/g", {"metadata": group, "spec": {"roles": [role]}}), ("pod/pending", pending)]
    (instance,) = group_view(store_of(objects, "s10"), ObjectKey("s10", "g")).roles[0].instances
    assert (instance.ordinal, instance.phase) == (8, InstancePhase.UNSCHEDULED)
    assert instance.pods[0].unschedulable_message.startswith("0/8 nodes are available: 8 Insufficient")


def test_a_stateless_role_and_its_instance(samples):
    role = {"name": "decode", "replicas": 7, "standalonePattern": {}}
    objects = [("rbg/g", {"metadata": {"name": "g"}, "spec": {"roles": [role]}})]
    objects += [(name, samples["s10b_stateless"][name]) for name in ("ris/g-decode",)]
    pod = samples["s10b_stateless"]["pod/one"]
    objects.append(("pod/one", pod))
    (view,) = group_view(store_of(objects, "s10b"), ObjectKey("s10b", "g")).roles
    assert (view.stateful, view.observed, view.ready) == (False, 7, 7)
    assert [(one.name, one.ordinal) for one in view.instances] == [("g-decode-5n8fg", None)]


def test_free_components(samples):
    """A gang of main (1) and side (2): three pods, each of which may answer."""
    recorded = samples["s11_patterns"]
    role = {"name": "engine", "replicas": 2, "customComponentsPattern": {}}
    objects = [("rbg/cc", {"metadata": {"name": "cc"}, "spec": {"roles": [role]}})]
    objects.append(("ris/cc-engine", recorded["ris/cc-engine"]))
    ready = {
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        "spec": {"nodeName": "n"},
    }
    names = ("main-0", "side-0", "side-1")
    pods = [
        ("pod/x", {"metadata": recorded[f"pod/cc-engine-0-{name} meta"]["metadata"]} | ready)
        for name in names
    ]
    for count, phase in ((2, InstancePhase.UNSCHEDULED), (3, InstancePhase.READY)):
        store = store_of(objects + pods[:count], "s11")
        (gang,) = group_view(store, ObjectKey("s11", "cc")).roles[0].instances
        assert (gang.ordinal, gang.phase, {pod.leader for pod in gang.pods}) == (0, phase, {True})
