"""The local control plane as one object: start it, use it, stop it; nothing of it is left behind.

Real etcd, kube-apiserver, kube-scheduler, kube-controller-manager, kwok and Prometheus, our stand-in for the
RBG controller (or the real one) and the exporter that plays the engines, all children of this process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import yaml

from localplane import audit, programs
from localplane.access import create_access
from localplane.build import Report, binaries, say
from localplane.kube import Kube, Object, path
from localplane.nodes import NodePool, add_nodes, is_ready
from localplane.processes import Process
from localplane.programs import PACKAGES, Site
from localplane.waiting import wait_until

HEALTHY_SECONDS = 90.0
"""How long a program may take to become healthy: 1 to 5 s, much more on a machine that is busy building."""

OUR_CRDS = PACKAGES.parent.parent / "crds"
STAND_IN_CRDS = PACKAGES / "crds"

# The real RBG schemas have 7 MB: 6 s in Python, less than 1 s in libyaml.
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class PlaneOptions:
    """What the plane consists of."""

    nodes: tuple[NodePool, ...] = (NodePool(),)
    users: tuple[str, ...] = ("rbg-autoscaler", "tenant-a", "tenant-b")
    """Users without any group: they may do what RBAC grants them. The API server reads them at its start."""
    start_up: str = "2s"
    """Start-up time of pods that have no `localplane/start-up` annotation."""
    scrape_seconds: float = 1.0
    controller_manager: bool = True
    """Off, nothing collects garbage and no HPA acts."""
    hpa_sync_seconds: float = 15.0
    prometheus: bool = True
    rbg: bool = True
    """The RBG controller: our stand-in, or the binary that `RBG_CONTROLLER` names."""
    engines: bool = True
    """The engines' exporter. Off, a test may listen at `engines_url` itself."""


class LocalPlane:
    """A running plane. `processes` maps names to `Process`; `kube` is the administrator's client."""

    def __init__(self, site: Site, options: PlaneOptions, claim: IO[str]) -> None:
        self._site = site
        self._claim = claim
        self.options = options
        self.processes: dict[str, Process] = {}
        self.workdir = site.folder
        self.kubeconfig = site.admin_kubeconfig
        self.prometheus_url = f"http://127.0.0.1:{site.ports.prometheus}"
        self.engines_url = f"http://127.0.0.1:{site.ports.engines}"
        self.kube = Kube(self.kubeconfig)

    @classmethod
    def start(cls, options: PlaneOptions | None = None, report: Report = say) -> LocalPlane:
        """Builds what is missing, starts everything and returns when all of it is healthy.

        Raises:
            BuildError: A program could not be built.
            ProcessError: A program did not come up; the message ends with its log.
        TimeoutError: The API server did not serve a CRD, or kwok did not make the nodes Ready.
        """
        options = options or PlaneOptions()
        built = binaries(report)
        folder, claim = _claim_folder()
        plane = cls(Site(built, folder, create_access(folder / "access", options.users)), options, claim)
        try:
            plane._start(report)
        except BaseException:
            plane.stop()
            raise
        return plane

    def _start(self, report: Report) -> None:
        began = time.monotonic()
        site, options = self._site, self.options
        self._run(programs.etcd(site), programs.apiserver(site))
        # Before the controller manager: its garbage collector looks for new kinds only every 30 s.
        apply_crds(self.kube, _crd_folders())
        processes = [programs.scheduler(site), programs.kwok(site, options.start_up)]
        if options.controller_manager:
            processes.append(programs.controller_manager(site, options.hpa_sync_seconds))
        if options.prometheus:
            processes.append(programs.prometheus(site, options.scrape_seconds))
        if options.rbg:
            processes.append(programs.rbg_controller(site))
        if options.engines:
            processes.append(programs.engines(site))
        for pool in options.nodes:
            add_nodes(self.kube, pool)
        self._run(*processes)
        wait_until(self._nodes_ready, HEALTHY_SECONDS, "the nodes to be Ready")
        report(f"the local control plane is up after {time.monotonic() - began:.1f} s")

    def _run(self, *processes: Process) -> None:
        for process in processes:
            self.processes[process.name] = process
            process.start()
        for process in processes:
            process.wait_healthy(HEALTHY_SECONDS)

    def kubeconfig_for(self, user: str) -> Path:
        """The kubeconfig of one of `PlaneOptions.users`; `LookupError` for any other."""
        return self._site.access.kubeconfig(user, self._site.server)

    def requests(self, user: str, namespace: str = "") -> list[audit.Request]:
        """What one of `PlaneOptions.users` asked the API server for so far, in one namespace or anywhere."""
        return [
            request
            for request in audit.read(self._site.audit_log)
            if request.user == user and namespace in ("", request.namespace)
        ]

    def check(self) -> None:
        """Raises `ProcessError` if a process ended that nobody killed through this object."""
        for process in self.processes.values():
            if process.started:
                process.check()

    def kill(self, name: str) -> None:
        """Kills a process with -9."""
        self.processes[name].kill()

    def restart(self, name: str) -> None:
        """Starts a killed process again, on the same port and data, and waits until it is healthy."""
        self._run(self.processes[name])

    def pause(self, name: str) -> None:
        """Freezes a process (SIGSTOP)."""
        self.processes[name].pause()

    def resume(self, name: str) -> None:
        """Lets a paused process go on (SIGCONT)."""
        self.processes[name].resume()

    def stop_prometheus(self) -> None:
        self.kill("prometheus")

    def start_prometheus(self) -> None:
        self.restart("prometheus")

    def stop(self) -> None:
        """Kills everything and removes the folder; stopping twice is fine."""
        for process in reversed(self.processes.values()):
            process.kill()
        self.kube.close()
        shutil.rmtree(self.workdir, ignore_errors=True)
        self._claim.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _nodes_ready(self) -> bool:
        self.check()
        return all(map(is_ready, self.kube.list(path("v1", "nodes"))))


def apply_crds(kube: Kube, folders: list[Path]) -> None:
    """Applies every CustomResourceDefinition of these folders and waits until all are served."""
    crds = [
        crd
        for folder in folders
        for crd in _documents(folder)
        if crd.get("kind") == "CustomResourceDefinition"
    ]
    paths = {crd["metadata"]["name"]: _crd_path(crd["metadata"]["name"]) for crd in crds}
    for crd in crds:
        kube.apply(paths[crd["metadata"]["name"]], crd)
    for crd_path in paths.values():
        wait_until(partial(_established, kube, crd_path), HEALTHY_SECONDS, f"{crd_path} to be served")


def _crd_folders() -> list[Path]:
    """The RBG schemas (those in `RBG_CRDS`, else the stand-in's) and those of this project."""
    real = os.environ.get("RBG_CRDS")
    return [Path(real) if real else STAND_IN_CRDS, OUR_CRDS]


def _documents(folder: Path) -> Iterator[Object]:
    for file in sorted(folder.glob("*.yaml")):
        documents = yaml.load_all(file.read_text(), Loader=_YAML_LOADER)
        yield from (document for document in documents if document)


def _crd_path(name: str) -> str:
    return path("apiextensions.k8s.io/v1", "customresourcedefinitions", name=name)


def _established(kube: Kube, crd_path: str) -> bool:
    conditions = kube.get(crd_path).get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _claim_folder() -> tuple[Path, IO[str]]:
    """A new temporary folder, locked while we live; those of planes killed with -9 are swept away."""
    base = Path(tempfile.gettempdir())
    for old in base.glob("localplane-*/claim"):
        try:
            with old.open("r+") as claim:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old.parent, ignore_errors=True)
        except OSError:
            continue
    folder = Path(tempfile.mkdtemp(prefix="localplane-"))
    claim = (folder / "claim").open("w")
    fcntl.flock(claim, fcntl.LOCK_EX)
    return folder, claim
