"""The rig itself: what the other cluster tests take for granted."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from localplane.kube import STRATEGIC_MERGE_PATCH, Kube, KubeError, Object, path
from localplane.nodes import GPU, NodePool, add_nodes
from localplane.plane import LocalPlane
from localplane.stages import SHUT_DOWN, START_UP, UNREADY
from localplane.waiting import wait_until

LABEL = "rbg.workloads.x-k8s.io/"
GATES = ("InPlaceUpdateReady", "InstancePodReady")


def pod(name: str, gpus: int = 0, start_up: str = "0s", **spec: Any) -> Object:
    resources = {"limits": {GPU: str(gpus)}} if gpus else {}
    container = {"name": "engine", "image": "engine:v1", "resources": resources}
    return {
        "metadata": {"name": name, "annotations": {START_UP: start_up}},
        "spec": {"containers": [container], **spec},
    }


def create_pod(kube: Kube, namespace: str, body: Object) -> str:
    kube.create(path("v1", "pods", namespace), body)
    return path("v1", "pods", namespace, body["metadata"]["name"])


def condition(kube: Kube, at: str, kind: str) -> Object:
    conditions = kube.get(at).get("status", {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {"status": "absent"})


def transition(condition: Object) -> datetime:
    return datetime.fromisoformat(condition["lastTransitionTime"])


def wait_for_condition(kube: Kube, at: str, kind: str, status: str, reason: str | None = None) -> Object:
    def reached() -> Object | None:
        found = condition(kube, at, kind)
        fits = found["status"] == status and reason in (None, found.get("reason"))
        return found if fits else None

    return wait_until(reached, 30, f"{kind} {status} {reason or ''} of {at}")


# Processes


OWNER = """
import sys, time
from localplane.plane import LocalPlane, PlaneOptions
plane = LocalPlane.start(PlaneOptions(nodes=(), rbg=False, engines=False))
print(plane.workdir, *(process.pid for process in plane.processes.values()), flush=True)
time.sleep(600)
"""


def runs(pid: int) -> bool:
    """Whether a process executes; a zombie that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_all_processes_die_with_a_parent_killed_by_signal_9() -> None:
    import localplane

    packages = str(Path(localplane.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": packages}
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=env) as owner:
        assert owner.stdout is not None
        workdir, *words = owner.stdout.readline().split()
        pids = [int(word) for word in words]
        assert len(pids) == 6
        assert all(map(runs, pids))
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(runs, pids)), 20, f"processes {pids} to end with their parent")
    assert workdir.startswith("/")


def test_prometheus_can_be_killed_started_frozen_and_thawed(plane: LocalPlane) -> None:
    url = f"{plane.prometheus_url}/-/ready"

    def answers(timeout: float) -> bool:
        try:
            return requests.get(url, timeout=timeout).ok
        except requests.RequestException:
            return False

    plane.stop_prometheus()
    assert not answers(5)
    plane.check()  # what was killed on purpose is no failure
    plane.start_prometheus()
    assert answers(10)
    plane.pause("prometheus")
    assert not answers(1)
    plane.resume("prometheus")
    assert answers(10)


def test_the_api_server_keeps_its_objects_when_it_is_killed_and_started_again(
    plane: LocalPlane, kube: Kube, namespace: str
) -> None:
    kube.create(path("v1", "configmaps", namespace), {"metadata": {"name": "kept"}})
    plane.kill("kube-apiserver")
    with pytest.raises(requests.ConnectionError):
        kube.get(path("v1", "configmaps", namespace, "kept"))
    plane.restart("kube-apiserver")
    assert kube.exists(path("v1", "configmaps", namespace, "kept"))
    plane.check()


# Access


def test_a_user_without_groups_has_only_what_rbac_grants(
    plane: LocalPlane, kube: Kube, namespace: str
) -> None:
    user = Kube(plane.kubeconfig_for("tenant-a"))
    pods, secrets = path("v1", "pods", namespace), path("v1", "secrets", namespace)
    with pytest.raises(KubeError) as refused:
        user.list(pods)
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")

    rbac = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    kube.create(path(f"{rbac}/v1", "roles", namespace), {"metadata": {"name": "r"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "r"},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "r"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": "tenant-a"}],
    }
    kube.create(path(f"{rbac}/v1", "rolebindings", namespace), binding)

    def may_list() -> bool:
        try:
            return user.list(pods) == []
        except KubeError:
            return False

    wait_until(may_list, 20, "the binding to take effect")
    with pytest.raises(KubeError, match="403"):
        user.list(secrets)
    with pytest.raises(KubeError, match="403"):
        user.create(pods, pod("p"))


def test_an_unknown_user_is_named_with_the_mend(plane: LocalPlane) -> None:
    with pytest.raises(LookupError, match=r"'nobody'.*PlaneOptions\.users"):
        plane.kubeconfig_for("nobody")


# Pods


def test_a_gpu_pod_is_bound_by_the_scheduler_and_ready_after_its_start_up(kube: Kube, namespace: str) -> None:
    at = create_pod(kube, namespace, pod("p", gpus=8, start_up="3s"))
    bound = wait_for_condition(kube, at, "PodScheduled", "True")
    starting = wait_for_condition(kube, at, "ContainersReady", "False")
    assert starting["reason"] == "ContainersNotReady"
    assert kube.get(at)["status"]["phase"] == "Pending"
    ready = wait_for_condition(kube, at, "Ready", "True")

    # API times are whole seconds: a start-up of 3 s may look like 2 s.
    assert transition(ready) - transition(bound) >= timedelta(seconds=2)
    found = kube.get(at)
    assert found["spec"]["nodeName"].startswith("gpu-")
    assert found["status"]["phase"] == "Running"
    assert found["status"]["podIP"]
    container = found["status"]["containerStatuses"][0]
    assert (container["ready"], container["restartCount"], "running" in container["state"]) == (True, 0, True)


def test_writes_to_a_starting_pod_do_not_start_it_anew(kube: Kube, namespace: str) -> None:
    at = create_pod(kube, namespace, pod("p", start_up="1.5s"))
    changes = iter(range(10_000))

    def ready_under_writes() -> bool:
        kube.patch(at, {"metadata": {"labels": {"change": str(next(changes))}}})
        return condition(kube, at, "Ready")["status"] == "True"

    wait_until(ready_under_writes, 20, "Ready, though the pod is written to all the time")


def test_a_pod_is_ready_exactly_while_all_its_gates_are(kube: Kube, namespace: str) -> None:
    def set_gate(gate: str, status: str) -> None:
        body = {"status": {"conditions": [{"type": gate, "status": status}]}}
        kube.patch(f"{at}/status", body, STRATEGIC_MERGE_PATCH)

    at = create_pod(kube, namespace, pod("p", readinessGates=[{"conditionType": gate} for gate in GATES]))
    wait_for_condition(kube, at, "ContainersReady", "True")
    wait_for_condition(kube, at, "Ready", "False", "ReadinessGatesNotReady")
    set_gate(GATES[0], "True")
    wait_for_condition(kube, at, GATES[0], "True")
    assert condition(kube, at, "Ready")["status"] == "False"
    set_gate(GATES[1], "True")
    wait_for_condition(kube, at, "Ready", "True")
    set_gate(GATES[0], "False")
    wait_for_condition(kube, at, "Ready", "False", "ReadinessGatesNotReady")
    set_gate(GATES[0], "True")
    wait_for_condition(kube, at, "Ready", "True")


def test_a_changed_image_restarts_the_container_in_place(kube: Kube, namespace: str) -> None:
    at = create_pod(kube, namespace, pod("p", start_up="1s"))
    wait_for_condition(kube, at, "Ready", "True")
    uid = kube.get(at)["metadata"]["uid"]
    body = {"spec": {"containers": [{"name": "engine", "image": "engine:v2"}]}}
    kube.patch(at, body, STRATEGIC_MERGE_PATCH)
    wait_for_condition(kube, at, "Ready", "False", "ContainersNotReady")
    assert kube.get(at)["status"]["containerStatuses"][0]["image"] == "engine:v1"
    wait_for_condition(kube, at, "Ready", "True")
    found = kube.get(at)
    container = found["status"]["containerStatuses"][0]
    assert (container["image"], container["imageID"]) == ("engine:v2", "kwok://engine:v2")
    assert container["restartCount"] == 1
    assert found["metadata"]["uid"] == uid


def test_a_failing_readiness_probe_is_an_annotation(kube: Kube, namespace: str) -> None:
    at = create_pod(kube, namespace, pod("p"))
    wait_for_condition(kube, at, "Ready", "True")
    kube.patch(at, {"metadata": {"annotations": {UNREADY: "1"}}})
    wait_for_condition(kube, at, "Ready", "False", "ContainersNotReady")
    assert condition(kube, at, "ContainersReady")["status"] == "False"
    kube.patch(at, {"metadata": {"annotations": {UNREADY: None}}})
    wait_for_condition(kube, at, "Ready", "True")
    assert kube.get(at)["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_deleted_pod_is_gone_and_so_is_what_it_owns(kube: Kube, namespace: str) -> None:
    at = create_pod(kube, namespace, pod("p"))
    uid = wait_for_condition(kube, at, "Ready", "True") and kube.get(at)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}
    owned = {"metadata": {"name": "owned", "ownerReferences": [owner]}}
    kube.create(path("v1", "configmaps", namespace), owned)
    kube.delete(at)
    wait_until(lambda: not kube.exists(at), 20, "the pod to be gone")
    at = path("v1", "configmaps", namespace, "owned")
    wait_until(lambda: not kube.exists(at), 30, "the garbage collector")


def test_a_deleted_pod_serves_on_for_its_shut_down_time(kube: Kube, namespace: str) -> None:
    body = pod("p")
    body["metadata"]["annotations"][SHUT_DOWN] = "3s"
    at = create_pod(kube, namespace, body)
    wait_for_condition(kube, at, "Ready", "True")
    kube.delete(at)
    assert kube.get(at)["metadata"]["deletionTimestamp"]
    assert condition(kube, at, "Ready")["status"] == "True"
    wait_until(lambda: not kube.exists(at), 20, "the pod to be gone")


# Scheduling


def test_a_gang_that_does_not_fit_whole_is_not_bound_at_all(kube: Kube, namespace: str) -> None:
    """At 0 s nine pods of 8 GPUs on 8 nodes of 8: none is bound; then a ninth node: all nine are."""
    groups = path("scheduling.k8s.io/v1beta1", "podgroups", namespace)
    gang = {"metadata": {"name": "g"}, "spec": {"schedulingPolicy": {"gang": {"minCount": 9}}}}
    kube.create(groups, gang)
    for number in range(9):
        member = {"schedulingGroup": {"podGroupName": "g"}}
        create_pod(kube, namespace, pod(f"p{number}", gpus=8, **member))
    wait_for_condition(kube, f"{groups}/g", "PodGroupInitiallyScheduled", "False", "Unschedulable")

    def bound() -> int:
        return sum(bool(p["spec"].get("nodeName")) for p in kube.list(path("v1", "pods", namespace)))

    assert bound() == 0
    (extra,) = add_nodes(kube, NodePool(name="extra", count=1))
    try:
        wait_until(lambda: bound() == 9, 60, "the whole gang to be bound")
    finally:
        kube.delete(path("v1", "nodes", name=extra))


# Prometheus


@contextmanager
def exporter_in_place_of_the_engines(plane: LocalPlane) -> Iterator[list[str]]:
    """Answers every scrape with `probe 42`; gives the list of the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"probe 42\n")

        def log_message(self, *args: object) -> None:
            pass

    replaced = "engines" in plane.processes
    if replaced:
        plane.kill("engines")
    server = ThreadingHTTPServer(("127.0.0.1", int(plane.engines_url.rpartition(":")[2])), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        if replaced:
            plane.restart("engines")


def test_prometheus_discovers_group_pods_and_scrapes_the_exporter_for_them(
    plane: LocalPlane, kube: Kube, namespace: str
) -> None:
    names = {"group-name": "g", "role-name": "decode", "role-instance-name": "g-decode-0"}
    labels = {LABEL + key: value for key, value in {**names, "component-name": "leader"}.items()}
    member, stranger = pod("g-decode-0"), pod("stranger")
    member["metadata"]["labels"] = labels

    def query() -> list[Object]:
        params = {"query": f'probe{{namespace="{namespace}"}}'}
        answer = requests.get(f"{plane.prometheus_url}/api/v1/query", params=params, timeout=10).json()
        return list(answer["data"]["result"])

    with exporter_in_place_of_the_engines(plane) as asked:
        create_pod(kube, namespace, stranger)
        at = create_pod(kube, namespace, member)
        (series,) = wait_until(query, 60, "the pod's series")
        address = kube.get(at)["status"]["podIP"]
    assert series["value"][1] == "42"
    assert series["metric"] == {
        "__name__": "probe",
        "job": "pods",
        "instance": f"{address}:8000",
        "namespace": namespace,
        "pod": "g-decode-0",
        "group": "g",
        "role": "decode",
        "role_instance": "g-decode-0",
        "component": "leader",
    }
    assert f"/pods/{namespace}/g-decode-0" in asked
    assert f"/pods/{namespace}/stranger" not in asked
