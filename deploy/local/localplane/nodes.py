"""Fake GPU nodes: Node objects that kwok keeps Ready and the real scheduler fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from localplane.kube import Kube, Object, path

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class NodePool:
    """`count` equal nodes, named `<name>-0`, `<name>-1`, ...; quantities as Kubernetes writes them."""

    name: str = "gpu"
    count: int = 8
    gpus: int = 8
    cpu: str = "128"
    memory: str = "2048Gi"
    pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    """As in a node's spec, e.g. `{"key": "gpu", "value": "h100", "effect": "NoSchedule"}`."""

    def node(self, number: int) -> Object:
        """The Node object of one of them."""
        name = f"{self.name}-{number}"
        resources = {"cpu": self.cpu, "memory": self.memory, "pods": str(self.pods)}
        if self.gpus:
            resources[GPU] = str(self.gpus)
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "localplane/pool": self.name,
            **self.labels,
        }
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": {"taints": [dict(taint) for taint in self.taints]},
            "status": {"capacity": resources, "allocatable": resources},
        }


def add_nodes(kube: Kube, pool: NodePool) -> list[str]:
    """Creates the pool's nodes and returns their names; kwok makes them Ready."""
    nodes = [pool.node(number) for number in range(pool.count)]
    for node in nodes:
        kube.create(path("v1", "nodes"), node)
    return [node["metadata"]["name"] for node in nodes]


def is_ready(node: Object) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
