"""The command line on the real control plane, as a user who may read and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from localplane.kube import Kube, KubeError, Object, path
from localplane.plane import LocalPlane
from localplane.waiting import wait_until

from tests.cluster.harness import AUTOSCALING, RBAC_API, ROOT, Served

USER = "tenant-a"
READ = ["get", "list"]
STAGES = ["propose", "stabilise", "rate-limit", "bounds"]
SOURCE = {"maxAgeSeconds": 5, "readyGraceSeconds": 3, "rateWindowSeconds": 5}
LOAD = {
    "prompt_tokens": 1000,
    "output_tokens": 100,
    "roles": {
        "prefill": {"kind": "prefill", "prompt_tokens_per_s": 5000},
        "decode": {"kind": "decode", "kv_tokens": 20000},
    },
}


def metric(signal: str, value: str) -> Object:
    return {"signal": signal, "target": {"type": "AverageValue", "averageValue": value}}


def role(name: str, high: int, signal: str, value: str) -> Object:
    """A role whose backlog counts soon after its replicas serve."""
    bounds = {"name": name, "minReplicas": 1, "maxReplicas": high, "startUp": {"settleSeconds": 3}}
    return bounds | {"metrics": [metric(signal, value)]}


ROLES = [role("prefill", 4, "QueueLength", "8"), role("decode", 8, "KVCacheUsage", "900m")]


class Tenant:
    """A person with a kubeconfig, a Prometheus and the command line."""

    def __init__(self, plane: LocalPlane, served: Served, folder: Path) -> None:
        self.plane = plane
        self.served = served
        self.folder = folder
        self.kube = Kube(plane.kubeconfig_for(USER))

    def may_read(self, *, autoscalers: bool) -> None:
        """What the documentation asks for: get and list in the one namespace."""
        kinds = {
            "workloads.x-k8s.io": [
                "rolebasedgroups",
                "rolebasedgroupscalingadapters",
                "roleinstancesets",
                "coordinatedpolicies",
            ],
            "": ["pods"],
            "autoscaling": ["horizontalpodautoscalers"],
        }
        kinds |= {"autoscaling.rolebasedgroup.io": ["rbgautoscalers"]} if autoscalers else {}
        rules = [{"apiGroups": [g], "resources": names, "verbs": READ} for g, names in kinds.items()]
        head = {"apiVersion": RBAC_API, "metadata": {"name": "reader"}}
        subject = {"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"kind": "Role", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}
        bound = {"kind": "RoleBinding", "roleRef": ref, "subjects": [subject]}
        for plural, obj in (("roles", {"kind": "Role", "rules": rules}), ("rolebindings", bound)):
            self.served.kube.apply(path(RBAC_API, plural, self.served.namespace, "reader"), head | obj)
        wait_until(self._reads, 10, "the rights to hold")

    def _reads(self) -> bool:
        try:
            self.kube.list(path("v1", "pods", self.served.namespace))
        except KubeError:
            return False
        return True

    def manifest(self) -> Path:
        spec = {"targetRef": {"name": self.served.name}, "mode": "Auto", "engine": "vllm", "roles": ROLES}
        metadata = {"name": "trial", "namespace": self.served.namespace}
        file = self.folder / "trial.yaml"
        file.write_text(
            yaml.safe_dump(
                {"apiVersion": AUTOSCALING, "kind": "RbgAutoscaler", "metadata": metadata, "spec": spec}
            )
        )
        return file

    def settings(self) -> Path:
        file = self.folder / "settings.yaml"
        source = {"url": self.plane.prometheus_url} | SOURCE
        file.write_text(yaml.safe_dump({"sources": {"default": source}}))
        return file

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """One command with the tenant's rights."""
        more: list[object] = []
        if "--snapshot" not in words:
            more = ["--kubeconfig", self.plane.kubeconfig_for(USER), "--config", self.settings()]
        argv = [sys.executable, "-m", "rbg_autoscaler.cli.main", *map(str, [*words, *more])]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=ROOT)

    def roles(self, *words: object) -> dict[str, Object]:
        """The roles of the one autoscaler that is recommended about."""
        told = self.run("recommend", "-o", "json", *words)
        assert told.returncode == 0, told.stderr
        (item,) = json.loads(told.stdout)["items"]
        return {role["name"]: role for role in item["roles"]}

    def wait_overloaded(self, *words: object) -> None:
        """Wait until prefill is asked to have more than its maximum of 4, which is then all it gets."""
        wait_until(
            lambda: (self.roles(*words)["prefill"]["proposed"] or 0) > 4, 60, "prefill to be overloaded"
        )


@pytest.fixture
def tenant(plane: LocalPlane, kube: Kube, namespace: str, tmp_path: Path) -> Iterator[Tenant]:
    """A group whose one prefill replica gets more than it can do."""
    served = Served(plane, namespace).create({"prefill": 1, "decode": 1}, adapters=("prefill",))
    served.wait_ready("prefill", 1)
    served.wait_ready("decode", 1)
    served.engines.set_load(namespace, served.name, requests_per_s=8, **LOAD)
    tenant = Tenant(plane, served, tmp_path)
    yield tenant
    tenant.kube.close()
    served.engines.clear_load(namespace, served.name)


def refused(kube: Kube) -> float:
    """Requests that the API server's authorizers did not allow, whoever's, since it started."""
    pattern = r'^authorization_attempts_total\{result="(?:no-opinion|denied)"\} (\S+)$'
    return sum(float(count) for count in re.findall(pattern, kube.text("/metrics"), re.MULTILINE))


def test_a_manifest_is_decided_with_nothing_but_a_kubeconfig_that_may_list(tenant):
    """Not even the RbgAutoscalers may be read."""
    tenant.may_read(autoscalers=False)
    words = ("-f", tenant.manifest())
    tenant.wait_overloaded(*words)
    roles = tenant.roles(*words)
    assert (roles["prefill"]["current"], roles["prefill"]["limiter"]) == (1, "bounds")
    assert roles["decode"]["metrics"][0]["state"] == "Valid"
    assert (tenant.served.asked("prefill"), tenant.served.asked("decode")) == (1, 1)
    assert tenant.run("recommend", *words, "--exit-code").returncode == 3


def test_nothing_but_get_and_list_is_asked_of_the_api_server(tenant, kube):
    """To a user with these two verbs anything else is refused, and the API server counts refusals."""
    tenant.may_read(autoscalers=True)
    tenant.served.autoscale(roles=ROLES)
    tenant.wait_overloaded("-n", tenant.served.namespace)
    before = refused(kube)
    assert tenant.run("recommend", "-n", tenant.served.namespace, "--exit-code").returncode == 3
    assert tenant.run("explain", "-n", tenant.served.namespace).returncode == 0
    assert refused(kube) == before
    with pytest.raises(KubeError):
        tenant.kube.create(path("v1", "pods", tenant.served.namespace), {"metadata": {"name": "x"}})
    assert refused(kube) == before + 1  # so a write would have been seen


def test_a_user_without_rights_and_one_without_autoscalers_get_a_sentence(tenant):
    namespace = tenant.served.namespace
    told = tenant.run("recommend", "-n", namespace)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("Error: ")
    assert f'User "{USER}" cannot list resource' in told.stderr
    assert len(told.stderr.splitlines()) == 1
    tenant.may_read(autoscalers=True)
    assert tenant.run("recommend", "-n", namespace).stderr == "Note: no RbgAutoscaler is there\n"


def test_what_was_decided_live_is_decided_again_offline_byte_for_byte(tenant):
    tenant.may_read(autoscalers=False)
    file = tenant.folder / "snapshot.json.gz"
    for words in (("recommend", "-o", "wide"), ("explain", "-o", "json"), ("explain",)):
        live = tenant.run(*words, "-f", tenant.manifest(), "--save-snapshot", file)
        assert (live.returncode, live.stdout != "") == (0, True), live.stderr
        again = tenant.run(*words, "--snapshot", file)
        assert (again.returncode, again.stdout) == (0, live.stdout)


def test_explain_shows_the_chain_of_every_role(tenant):
    tenant.may_read(autoscalers=False)
    words = ("-f", tenant.manifest())
    tenant.wait_overloaded(*words)
    told = tenant.run("explain", "trial", *words).stdout
    assert "prefill  1 -> 4" in told
    for role in ("prefill", "decode"):
        block = told[told.index(f"role {role}:") :]
        assert re.findall(r"^  ([a-z-]+) +\d+(?: -> \d+)? +\w+: ", block, re.MULTILINE)[:4] == STAGES
    assert re.search(r"^  QueueLength +\S+ +8 +\d+ +1 of 1 +\d s$", told, re.MULTILINE)


def test_recommend_says_what_a_controller_says_at_the_same_time(tenant, plane, namespace, controllers):
    """Under a load that holds prefill at its maximum, so that both see the same for long."""
    tenant.may_read(autoscalers=True)
    tenant.served.autoscale(roles=ROLES, mode="Recommend")
    source = {"default": {"url": plane.prometheus_url} | SOURCE}
    controllers(sources=source)

    tenant.wait_overloaded("-n", namespace)

    def differences() -> list[str]:
        told = next((r for r in tenant.served.status().get("roles", ()) if r["name"] == "prefill"), {})
        ours = tenant.roles("-n", namespace)["prefill"]
        fields = ("current", "ready", "wanted", "granted", "limiter", "reason")
        return [field for field in fields if ours[field] != told.get(field)]

    # The status tells a new limiter 15 s later at most.
    wait_until(lambda: differences() == [], 60, "the controller to say the same")
    assert tenant.roles("-n", namespace)["prefill"]["granted"] == 4
