"""Looks at the cluster as an operator would: the Kubernetes API, Prometheus, and what the clients offer.

Nothing is asked of the controller itself. One look takes about a tenth of a second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import requests

from localplane.demo import scenario
from localplane.demo.frame import Frame, NodeFrame, Note, RoleFrame, SignalFrame
from localplane.engines.client import EnginesClient
from localplane.engines.pods import PREFIX
from localplane.engines.view import GroupView
from localplane.kube import Kube, Object, path
from localplane.nodes import GPU

RBG = "workloads.x-k8s.io/v1alpha2"
AUTOSCALING = "autoscaling.rolebasedgroup.io/v1alpha1"
AUTOSCALER_PATH = path(AUTOSCALING, "rbgautoscalers", scenario.NAMESPACE, scenario.GROUP)
GROUP_PATH = path(RBG, "rolebasedgroups", scenario.NAMESPACE, scenario.GROUP)
PODS_PATH = path("v1", "pods", scenario.NAMESPACE)
EVENTS_PATH = path("v1", "events", scenario.NAMESPACE)
QUERY_SECONDS = 2.0
_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}


class Observer:
    """Collects frames. `began` is the time on the wall when the load began, seconds since the epoch."""

    def __init__(self, kube: Kube, prometheus_url: str, engines: EnginesClient, began: float) -> None:
        self._kube = kube
        self._engines = engines
        self._began = began
        self._query_url = f"{prometheus_url}/api/v1/query"
        self._session = requests.Session()
        self._session.trust_env = False
        self._nodes = kube.list(path("v1", "nodes"))
        self._notes_seen: dict[tuple[str, int], Note] = {}

    def look(self) -> Frame:
        """Everything as it is now."""
        load = self._engines.state(scenario.NAMESPACE, scenario.GROUP)
        scaled = [role for role in load.roles.values() if role.kind != "router"]
        autoscaler = self._kube.get(AUTOSCALER_PATH)
        group = self._kube.get(GROUP_PATH)
        pods = self._kube.list(PODS_PATH)
        nodes, pending = _nodes(self._nodes, pods)
        return Frame(
            at_s=load.at_s,
            phase=scenario.LOAD.phase_at(load.at_s).name,
            offered=load.offered_requests_per_s,
            served=_served(load),
            waiting=sum(role.waiting_requests for role in scaled),
            served_total=load.served_requests,
            dropped_total=load.dropped_requests,
            first_token_s=self._query(scenario.FIRST_TOKEN).get(""),
            nodes=nodes,
            pending_gpus=pending,
            roles=self._roles(autoscaler, group),
            notes=self._notes(),
        )

    def _roles(self, autoscaler: Object, group: Object) -> tuple[RoleFrame, ...]:
        values = {signal.name: self._query(signal.promql) for signal in scenario.SIGNALS}
        decided = {role["name"]: role for role in autoscaler.get("status", {}).get("roles", ())}
        asked = {role["name"]: int(role["replicas"]) for role in group["spec"]["roles"]}
        served = {s["name"]: s for s in group.get("status", {}).get("roleStatuses", ())}
        frames = []
        for role in autoscaler["spec"]["roles"]:
            name = role["name"]
            status = decided.get(name, {})
            signals = tuple(
                SignalFrame(
                    metric["signal"],
                    values.get(metric["signal"], {}).get(name),
                    quantity(metric["target"]["averageValue"]),
                )
                for metric in role["metrics"]
            )
            frames.append(
                RoleFrame(
                    name=name,
                    asked=asked[name],
                    ready=int(served.get(name, {}).get("readyReplicas") or 0),
                    wanted=status.get("wanted"),
                    granted=status.get("granted"),
                    message=status.get("message", ""),
                    signals=signals,
                )
            )
        return tuple(frames)

    def _notes(self) -> tuple[Note, ...]:
        """All told since the load began: an Event whose count has risen was told again, at its last time."""
        about = f"involvedObject.kind=RbgAutoscaler,involvedObject.name={scenario.GROUP}"
        for event in self._kube.list(EVENTS_PATH, fieldSelector=about):
            key = (event["metadata"]["name"], int(event.get("count") or 1))
            self._notes_seen.setdefault(key, self._note(event))
        since = (note for note in self._notes_seen.values() if note.at_s >= 0)
        return tuple(sorted(since, key=lambda note: note.at_s))

    def _note(self, event: Object) -> Note:
        when = datetime.fromisoformat(event["lastTimestamp"]).timestamp()
        return Note(when - self._began, event["type"], event["reason"], event["message"])

    def _query(self, template: str) -> dict[str, float]:
        """The values of an instant query by role; a query without an answer has none."""
        params = {"query": scenario.promql(template)}
        try:
            answer = self._session.get(self._query_url, params=params, timeout=QUERY_SECONDS).json()
        except requests.RequestException:
            return {}
        rows = answer.get("data", {}).get("result", ())
        values = {row["metric"].get("role", ""): float(row["value"][1]) for row in rows}
        return {role: value for role, value in values.items() if math.isfinite(value)}


def quantity(text: str | int) -> float:
    """A Kubernetes quantity such as 8, "16k" or "700m" as a number."""
    text = str(text)
    if text[-1] in _SUFFIXES:
        return float(text[:-1]) * _SUFFIXES[text[-1]]
    return float(text)


def _served(load: GroupView) -> float:
    return sum(role.served_per_s for role in load.roles.values() if role.kind in ("decode", "aggregated"))


def _nodes(nodes: list[Object], pods: list[Object]) -> tuple[tuple[NodeFrame, ...], int]:
    """The nodes with what their GPUs are used for, and the GPUs that unscheduled pods ask for."""
    ready: dict[str, Counter[str]] = {}
    starting: dict[str, Counter[str]] = {}
    pending = 0
    for pod in pods:
        gpus = _gpus(pod)
        node = pod["spec"].get("nodeName")
        role = pod["metadata"].get("labels", {}).get(f"{PREFIX}role-name", "")
        if node is None:
            pending += gpus
        elif gpus and pod["status"].get("phase") not in ("Succeeded", "Failed"):
            use = ready if _is_ready(pod["status"]) else starting
            use.setdefault(node, Counter())[role] += gpus
    frames = (
        NodeFrame(
            name=node["metadata"]["name"],
            gpus=int(node["status"]["allocatable"][GPU]),
            ready=dict(ready.get(node["metadata"]["name"], {})),
            starting=dict(starting.get(node["metadata"]["name"], {})),
        )
        for node in nodes
    )
    return tuple(frames), pending


def _gpus(pod: Object) -> int:
    limits = (c.get("resources", {}).get("limits") or {} for c in pod["spec"]["containers"])
    return sum(int(limit.get(GPU, 0)) for limit in limits)


def _is_ready(status: Mapping[str, object]) -> bool:
    conditions = status.get("conditions")
    return isinstance(conditions, list) and any(
        c["type"] == "Ready" and c["status"] == "True" for c in conditions
    )
