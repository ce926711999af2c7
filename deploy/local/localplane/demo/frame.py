"""One look at the cluster: plain values, so that the view and the verdict can be tried on made-up ones.

A value that nobody could tell is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SignalFrame:
    """A signal of a role against its target, both a replica."""

    name: str
    value: float | None
    target: float


@dataclass(frozen=True)
class RoleFrame:
    """One role. Counts are of replicas (role instances)."""

    name: str
    asked: int
    """In the group's spec: what was written last."""
    ready: int
    wanted: int | None
    granted: int | None
    message: str
    """Why, in the words of the RbgAutoscaler's status."""
    signals: tuple[SignalFrame, ...]


@dataclass(frozen=True)
class NodeFrame:
    """One node: how many of its GPUs each role's pods hold, ready ones and those that are not."""

    name: str
    gpus: int
    ready: Mapping[str, int]
    starting: Mapping[str, int]

    @property
    def used(self) -> int:
        return sum(self.ready.values()) + sum(self.starting.values())


@dataclass(frozen=True)
class Note:
    """An Event about the RbgAutoscaler, `at_s` seconds after the load began."""

    at_s: float
    kind: str
    """Normal | Warning"""
    reason: str
    message: str


@dataclass(frozen=True)
class Frame:
    """Everything at one moment, `at_s` seconds after the load began. Rates are a second."""

    at_s: float
    phase: str
    offered: float
    served: float
    waiting: float
    """Requests that no replica works on yet, in all roles."""
    served_total: float
    dropped_total: float
    first_token_s: float | None
    """Mean time to first token."""
    nodes: tuple[NodeFrame, ...]
    pending_gpus: int
    """Of pods that no node holds yet."""
    roles: tuple[RoleFrame, ...]
    """Those that are scaled, in the order of the RbgAutoscaler."""
    notes: tuple[Note, ...]
    """Oldest first."""

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes)

    @property
    def gpus_used(self) -> int:
        return sum(node.used for node in self.nodes)

    def role(self, name: str) -> RoleFrame:
        """The role of that name; `StopIteration` if it is not scaled."""
        return next(role for role in self.roles if role.name == name)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for json.dumps."""
        return asdict(self)
