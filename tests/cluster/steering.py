"""A group whose replica counts a test steers through its RbgAutoscaler's bounds, not through a load.

Every role's metric asks for one replica for ever, so `minReplicas` = `maxReplicas` = n says what is wanted;
all stages after the bounds, and the write, are as ever.
"""

from __future__ import annotations

from typing import Any

from localplane.kube import Object, path
from localplane.waiting import wait_until

from tests.cluster.harness import WORKLOADS, Served

AT_ONCE = {
    "scaleUp": {"policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]},
    "scaleDown": {
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}],
    },
}


def per_replica(target: str) -> list[Object]:
    """Prometheus' own series of each pod that it scrapes, always there and at most 1, held to a target."""
    external = {"metric": {"name": "up"}, "target": {"type": "AverageValue", "averageValue": target}}
    return [{"type": "External", "external": external}]


GREEDY = per_replica("1m")
"""Asks for maxReplicas."""


class Steered(Served):
    """A group with an RbgAutoscaler of its own; `want` says what each role should have."""

    wanted: dict[str, Object]

    def steer(self, roles: dict[str, int], name: str | None = None, **spec: Any) -> Steered:
        """Create the RbgAutoscaler; `spec` are further fields of its spec."""
        self.wanted = {role: self._bounded(role, count) for role, count in roles.items()}
        self._at = self.autoscale(name, roles=list(self.wanted.values()), **spec)
        return self

    def want(self, **counts: int) -> None:
        """These roles should have these counts from now on, the others what they were last wanted to have."""
        for role, count in counts.items():
            self.wanted[role] |= {"minReplicas": count, "maxReplicas": count}
        self._write()

    def tune(self, role: str, **fields: Any) -> None:
        """Set fields of a role's entry."""
        self.wanted[role] |= fields
        self._write()

    def reason(self, role: str) -> str:
        """Why the role has its number, as the status says."""
        rows = self.status().get("roles", ())
        return str(next((row["reason"] for row in rows if row["name"] == role), ""))

    def wait_reason(self, role: str, reason: str, timeout: float = 30) -> None:
        """Wait until the status gives this reason for the role's number."""
        wait_until(lambda: self.reason(role) == reason, timeout, f"{role} to be told {reason}")

    def settled(self, **counts: int) -> Steered:
        """Wait until every role named has, and serves with, so many replicas."""
        for role, count in counts.items():
            self.wait_asked(role, count)
            self.wait_ready(role, count)
        return self

    def workload(self, role: str) -> Object:
        """The role's RoleInstanceSet; its generation rises by one with each resize."""
        return self.kube.get(path(WORKLOADS, "roleinstancesets", self.namespace, f"{self.name}-{role}"))

    def resizes(self, role: str) -> int:
        """The generation of the role's workload."""
        return int(self.workload(role)["metadata"]["generation"])

    def instances(self, role: str) -> dict[str, str]:
        """The uid of each role instance by its name."""
        label = f"rbg.workloads.x-k8s.io/role-name={role},rbg.workloads.x-k8s.io/group-name={self.name}"
        found = self.kube.list(path(WORKLOADS, "roleinstances", self.namespace), labelSelector=label)
        return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}

    def events(self, reason: str) -> list[Object]:
        """Events of this reason in the namespace, whoever wrote them."""
        return [e for e in self.kube.list(path("v1", "events", self.namespace)) if e["reason"] == reason]

    @property
    def at(self) -> str:
        """The group's path."""
        return path(WORKLOADS, "rolebasedgroups", self.namespace, self.name)

    def _bounded(self, role: str, count: int) -> Object:
        bounds = {"minReplicas": count, "maxReplicas": count}
        return {"name": role, "behavior": AT_ONCE, "metrics": per_replica("1k")} | bounds

    def _write(self) -> None:
        self.kube.patch(self._at, {"spec": {"roles": list(self.wanted.values())}})
