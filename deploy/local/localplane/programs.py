"""The command line, configuration file and health probe of every program of the plane.

Everything listens on 127.0.0.1 on the ports it is given, and writes only below the plane's folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from localplane import audit
from localplane.access import ADMIN, Access
from localplane.kube import Object
from localplane.processes import Probe, Process, free_ports
from localplane.stages import stages_file

PACKAGES = Path(__file__).resolve().parent.parent
"""The folder to import `localplane` from."""

FEATURE_GATES = "GenericWorkload=true,TopologyAwareWorkloadScheduling=true"

# Those that our objects need: nothing here rolls out services, certificates or volumes.
CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "resourcequota-controller",
    "horizontal-pod-autoscaler-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "job-controller",
    "disruption-controller",
    "pod-garbage-collector-controller",
    "resourceclaim-controller",
)

RBG_LABELS = {
    "group": "group_name",
    "role": "role_name",
    "role_instance": "role_instance_name",
    "component": "component_name",
}
"""Series label by the end of the Prometheus name of the pod label it is taken from."""


@dataclass(frozen=True)
class Ports:
    """One port of 127.0.0.1 for each listener."""

    etcd: int
    etcd_peer: int
    apiserver: int
    scheduler: int
    controller_manager: int
    kwok: int
    prometheus: int
    rbg: int
    engines: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*free_ports(9))


@dataclass(frozen=True)
class Site:
    """What all command lines need: where the binaries, files and ports of this plane are."""

    binaries: Mapping[str, Path]
    folder: Path
    access: Access
    ports: Ports = field(default_factory=Ports.free)

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports.apiserver}"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.access.kubeconfig(ADMIN, self.server)

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def file(self, name: str, content: Object | str) -> str:
        """Writes a configuration file and returns its path."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return str(path)

    def process(
        self, name: str, argv: list[str], probe: Probe, env: Mapping[str, str] | None = None
    ) -> Process:
        return Process(name, argv, self.folder / f"{name}.log", probe, env or {})

    def program(self, name: str, flags: Mapping[str, object], probe: Probe) -> Process:
        """A built binary with its flags; HOME is the plane's folder, so that no file of the user is read."""
        words = [f"--{flag}" if value is None else f"--{flag}={value}" for flag, value in flags.items()]
        argv = [str(self.binaries[name]), *words]
        return self.process(name, argv, probe, {"HOME": str(self.folder)})


def etcd(site: Site) -> Process:
    client, peer = (f"http://127.0.0.1:{port}" for port in (site.ports.etcd, site.ports.etcd_peer))
    flags = {
        "data-dir": site.folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return site.program("etcd", flags, Probe(f"{client}/readyz"))


def apiserver(site: Site) -> Process:
    access = site.access
    flags = {
        "etcd-servers": f"http://127.0.0.1:{site.ports.etcd}",
        "secure-port": site.ports.apiserver,
        "bind-address": "127.0.0.1",
        # Otherwise it refuses a loopback address to advertise.
        "endpoint-reconciler-type": "none",
        "service-cluster-ip-range": "10.96.0.0/16",
        "cert-dir": site.folder / "apiserver",
        "tls-cert-file": access.certificate,
        "tls-private-key-file": access.key,
        "token-auth-file": access.token_file,
        "authorization-mode": "RBAC",
        "service-account-issuer": site.server,
        "service-account-key-file": access.service_account_key,
        "service-account-signing-key-file": access.service_account_key,
        # Without a node-lifecycle controller nothing would take the not-ready taint away again.
        "disable-admission-plugins": "ServiceAccount,TaintNodesByCondition",
        "feature-gates": FEATURE_GATES,
        "runtime-config": "scheduling.k8s.io/v1beta1=true",
        "audit-policy-file": site.file("audit.yaml", audit.policy([u for u in access.tokens if u != ADMIN])),
        "audit-log-path": site.audit_log,
    }
    probe = Probe(f"{site.server}/readyz", ca=access.ca, token=access.tokens[ADMIN])
    return site.program("kube-apiserver", flags, probe)


def scheduler(site: Site) -> Process:
    client = {"kubeconfig": str(site.admin_kubeconfig), "qps": 500, "burst": 1000}
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": client,
        "leaderElection": {"leaderElect": False},
        # Room that becomes free is used within two seconds rather than ten.
        "podMaxBackoffSeconds": 2,
    }
    flags = {"config": site.file("scheduler.yaml", config), "feature-gates": FEATURE_GATES}
    return site.program(
        "kube-scheduler", {**flags, **_serving(site, site.ports.scheduler)}, _secure(site, "scheduler")
    )


def controller_manager(site: Site, hpa_sync_seconds: float) -> Process:
    flags = {
        "kubeconfig": site.admin_kubeconfig,
        "leader-elect": "false",
        "controllers": ",".join(CONTROLLERS),
        "horizontal-pod-autoscaler-sync-period": f"{hpa_sync_seconds:g}s",
        "kube-api-qps": 500,
        "kube-api-burst": 1000,
    }
    serving = _serving(site, site.ports.controller_manager)
    return site.program("kube-controller-manager", {**flags, **serving}, _secure(site, "controller_manager"))


def _serving(site: Site, port: int) -> dict[str, object]:
    return {
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "tls-cert-file": site.access.certificate,
        "tls-private-key-file": site.access.key,
    }


def _secure(site: Site, port: str) -> Probe:
    return Probe(f"https://127.0.0.1:{getattr(site.ports, port)}/healthz", ca=site.access.ca)


def kwok(site: Site, start_up: str) -> Process:
    flags = {
        "kubeconfig": site.admin_kubeconfig,
        "config": site.file("stages.yaml", stages_file(start_up)),
        "manage-all-nodes": "true",
        "node-ip": "127.0.0.1",
        "cidr": "10.128.0.1/9",
        "server-address": f"127.0.0.1:{site.ports.kwok}",
        # No heartbeat leases: nobody watches them here, and they would be the only writes of an idle cluster.
        "node-lease-duration-seconds": 0,
    }
    return site.program("kwok", flags, Probe(f"http://127.0.0.1:{site.ports.kwok}/healthz"))


def prometheus(site: Site, scrape_seconds: float) -> Process:
    flags = {
        "config.file": site.file("prometheus.yaml", prometheus_config(site, scrape_seconds)),
        "storage.tsdb.path": site.folder / "prometheus",
        # It is killed and started again by tests; a lock left behind must not hinder it.
        "storage.tsdb.no-lockfile": None,
        "web.listen-address": f"127.0.0.1:{site.ports.prometheus}",
        "scrape.discovery-reload-interval": "1s",
    }
    return site.program("prometheus", flags, Probe(f"http://127.0.0.1:{site.ports.prometheus}/-/ready"))


def prometheus_config(site: Site, scrape_seconds: float) -> Object:
    """Discovers the pods of role based groups as a PodMonitor would, and asks the exporter in their place.

    The multi-target exporter pattern: `__address__` becomes the exporter's, and the path names the pod.
    """
    pod_label = "__meta_kubernetes_pod_label_rbg_workloads_x_k8s_io_"
    relabel = [
        {"action": "keep", "source_labels": [pod_label + "group_name"], "regex": ".+"},
        {"action": "drop", "source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed"},
        _copy("__meta_kubernetes_namespace", "namespace"),
        _copy("__meta_kubernetes_pod_name", "pod"),
        *(_copy(pod_label + source, target) for target, source in RBG_LABELS.items()),
        {**_copy("__meta_kubernetes_pod_ip", "instance"), "replacement": "$1:8000"},
        {
            "source_labels": ["namespace", "pod"],
            "separator": "/",
            "target_label": "__metrics_path__",
            "replacement": "/pods/$1",
        },
        {"target_label": "__address__", "replacement": f"127.0.0.1:{site.ports.engines}"},
    ]
    interval = f"{round(scrape_seconds * 1000)}ms"
    discovery = {"role": "pod", "kubeconfig_file": str(site.admin_kubeconfig)}
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {"job_name": "pods", "kubernetes_sd_configs": [discovery], "relabel_configs": relabel}
        ],
    }


def _copy(source: str, target: str) -> Object:
    return {"source_labels": [source], "target_label": target}


def rbg_controller(site: Site) -> Process:
    """The real controller, where `RBG_CONTROLLER` names its binary, else the stand-in."""
    real, port = os.environ.get("RBG_CONTROLLER"), site.ports.rbg
    kubeconfig = ["--kubeconfig", str(site.admin_kubeconfig)]
    probe = Probe(f"http://127.0.0.1:{port}/healthz")
    if not real:
        return _module(site, "rbg", [*kubeconfig, "--health-port", str(port)], probe)
    quiet = ["--enable-webhooks=none", "--metrics-bind-address=0"]
    return site.process(
        "rbg", [real, *kubeconfig, *quiet, f"--health-probe-bind-address=127.0.0.1:{port}"], probe
    )


def engines(site: Site) -> Process:
    """The exporter that plays the inference engines."""
    arguments = ["--kubeconfig", str(site.admin_kubeconfig), "--port", str(site.ports.engines)]
    return _module(site, "engines", arguments, Probe(f"http://127.0.0.1:{site.ports.engines}/healthz"))


def _module(site: Site, name: str, arguments: list[str], probe: Probe) -> Process:
    argv = [sys.executable, "-m", f"localplane.{name}", *arguments]
    return site.process(name, argv, probe, {"PYTHONPATH": str(PACKAGES), "PYTHONUNBUFFERED": "1"})
