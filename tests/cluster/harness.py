"""The controller as a process under its own RBAC rules, and a served group with a load, for cluster tests.

Everything a test changes is its own: its namespace, its Lease, its controllers. Waits poll with a deadline.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml
from localplane import rights
from localplane.engines.client import EnginesClient
from localplane.kube import MERGE_PATCH, Kube, Object, path
from localplane.plane import LocalPlane
from localplane.processes import Probe, Process, free_ports
from localplane.stages import START_UP
from localplane.waiting import wait_until

ROOT = Path(__file__).parents[2]
RBAC = rights.RBAC
RBAC_API = "rbac.authorization.k8s.io/v1"
WORKLOADS = "workloads.x-k8s.io/v1alpha2"
AUTOSCALING = "autoscaling.rolebasedgroup.io/v1alpha1"
USER = "rbg-autoscaler"


def grant(kube: Kube, namespace: str) -> None:
    """Give the controller's user exactly the shipped rules, with its Lease in the test's namespace."""
    rights.grant(kube, USER, namespace)


@dataclass
class Controller:
    """One replica of the controller."""

    process: Process
    url: str

    @classmethod
    def start(
        cls,
        plane: LocalPlane,
        namespace: str,
        folder: Path,
        name: str = "controller",
        *,
        granted: bool = True,
        **settings: Any,
    ) -> Controller:
        """Start a replica that serves one namespace; `settings` are keys of the configuration file.

        Without its rights granted it is not waited for, since it cannot become ready.
        """
        if granted:
            grant(plane.kube, namespace)
        (port,) = free_ports(1)
        config = {
            "sources": {"default": {"url": plane.prometheus_url}},
            "syncPeriodSeconds": 1,
            "namespaces": [namespace],
            "lease": {"namespace": namespace},
            "server": {"port": port},
            "log": {"format": "text"},
        } | settings
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(config))
        argv = [sys.executable, "-m", "rbg_autoscaler.cli.main", "run", "--config", str(file)]
        argv += ["--kubeconfig", str(plane.kubeconfig_for(USER))]
        url = f"http://127.0.0.1:{port}"
        process = Process(name, argv, folder / f"{name}.log", Probe(f"{url}/readyz"))
        process.start()
        if granted:
            process.wait_healthy(60)
        return cls(process, url)

    def health(self, route: str) -> tuple[int, str]:
        """Status and text of /healthz or /readyz; 0 while nothing answers."""
        try:
            answer = requests.get(f"{self.url}/{route}", timeout=5)
        except requests.ConnectionError:
            return 0, ""
        return answer.status_code, answer.text

    def metrics(self) -> str:
        """The text of /metrics."""
        return requests.get(f"{self.url}/metrics", timeout=5).text

    def log(self) -> str:
        """All it logged so far."""
        return self.process.log.read_text()

    def leads(self) -> bool:
        """Whether it says that it acts."""
        return "rbg_autoscaler_leader 1.0" in self.metrics()


@dataclass
class Served:
    """A RoleBasedGroup `name` whose pods play an engine, and what a test does to it."""

    plane: LocalPlane
    namespace: str
    name: str = "ds"
    engines: EnginesClient = field(init=False)

    def __post_init__(self) -> None:
        self.kube = self.plane.kube
        self.engines = EnginesClient(self.plane.engines_url)

    def create(self, roles: Mapping[str, int], *, adapters: tuple[str, ...] = (), **kwargs: Any) -> Served:
        """Create the group with these replica counts; `adapters` names the roles with a scaling adapter."""
        body = {
            "apiVersion": WORKLOADS,
            "kind": "RoleBasedGroup",
            "metadata": {"name": self.name},
            "spec": {"roles": [self.role(r, n, adapter=r in adapters, **kwargs) for r, n in roles.items()]},
        }
        self.kube.create(path(WORKLOADS, "rolebasedgroups", self.namespace), body)
        for role in adapters:
            self.wait_bound(role)
        return self

    @staticmethod
    def role(
        name: str, replicas: int, *, adapter: bool = False, gpus: int = 1, start_up: str = "2s", size: int = 1
    ) -> Object:
        """One role's spec: one pod a replica, or a leader with workers where `size` > 1."""
        container = {
            "name": "engine",
            "image": "engine:v1",
            "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
        }
        template = {"metadata": {"annotations": {START_UP: start_up}}, "spec": {"containers": [container]}}
        pattern = (
            {"standalonePattern": {"template": template}}
            if size == 1
            else {"leaderWorkerPattern": {"size": size, "template": template}}
        )
        return {"name": name, "replicas": replicas, "scalingAdapter": {"enable": adapter}, **pattern}

    def autoscale(self, name: str | None = None, **spec: Any) -> str:
        """Create an RbgAutoscaler for the group; returns its path."""
        body = {
            "apiVersion": AUTOSCALING,
            "kind": "RbgAutoscaler",
            "metadata": {"name": name or self.name},
            "spec": {"targetRef": {"name": self.name}, "mode": "Auto", "engine": "vllm"} | spec,
        }
        self.kube.create(path(AUTOSCALING, "rbgautoscalers", self.namespace), body)
        return path(AUTOSCALING, "rbgautoscalers", self.namespace, body["metadata"]["name"])

    def asked(self, role: str) -> int:
        """Replicas asked for now: the adapter's where the role has one, else the group's."""
        spec = self._role(role)
        if spec.get("scalingAdapter", {}).get("enable"):
            return int(self._adapter(role)["spec"].get("replicas") or 0)
        return int(spec["replicas"])

    def ready(self, role: str) -> int:
        """Replicas that serve."""
        statuses = self.group().get("status", {}).get("roleStatuses", ())
        return next((s["readyReplicas"] for s in statuses if s["name"] == role), 0)

    def group(self) -> Object:
        """The RoleBasedGroup as it is now."""
        return self.kube.get(path(WORKLOADS, "rolebasedgroups", self.namespace, self.name))

    def scale(self, role: str, replicas: int) -> None:
        """Scale by hand, as a person with kubectl would."""
        if self._role(role).get("scalingAdapter", {}).get("enable"):
            at = path(WORKLOADS, "rolebasedgroupscalingadapters", self.namespace, f"{self.name}-{role}")
            self.kube.patch(f"{at}/scale", {"spec": {"replicas": replicas}}, MERGE_PATCH)
            return
        index = [r["name"] for r in self.group()["spec"]["roles"]].index(role)
        body = [{"op": "replace", "path": f"/spec/roles/{index}/replicas", "value": replicas}]
        at = path(WORKLOADS, "rolebasedgroups", self.namespace, self.name)
        self.kube.patch(at, body, "application/json-patch+json")

    def status(self, name: str | None = None) -> Object:
        """The RbgAutoscaler's status, empty at first."""
        at = path(AUTOSCALING, "rbgautoscalers", self.namespace, name or self.name)
        return dict(self.kube.get(at).get("status") or {})

    def condition(self, kind: str, name: str | None = None) -> Object:
        """One condition of the RbgAutoscaler; status `absent` where there is none yet."""
        conditions = self.status(name).get("conditions", ())
        return next((c for c in conditions if c["type"] == kind), {"status": "absent"})

    def wait_asked(self, role: str, wanted: int, timeout: float = 30) -> None:
        """Wait until the role is asked to have exactly so many replicas."""
        wait_until(lambda: self.asked(role) == wanted, timeout, f"{role} to be asked for {wanted}")

    def wait_ready(self, role: str, wanted: int, timeout: float = 60) -> None:
        """Wait until so many replicas of the role serve."""
        wait_until(lambda: self.ready(role) == wanted, timeout, f"{role} to have {wanted} ready")

    def wait_bound(self, role: str) -> None:
        """Wait until the role's scaling adapter is Bound."""
        wait_until(lambda: self._bound(role), 20, f"the adapter of {role} to be Bound")

    def _role(self, role: str) -> Object:
        return next(r for r in self.group()["spec"]["roles"] if r["name"] == role)

    def _adapter(self, role: str) -> Object:
        at = path(WORKLOADS, "rolebasedgroupscalingadapters", self.namespace, f"{self.name}-{role}")
        return self.kube.get(at)

    def _bound(self, role: str) -> bool:
        at = path(WORKLOADS, "rolebasedgroupscalingadapters", self.namespace)
        found = [a for a in self.kube.list(at) if a["metadata"]["name"] == f"{self.name}-{role}"]
        return bool(found) and found[0].get("status", {}).get("phase") == "Bound"
