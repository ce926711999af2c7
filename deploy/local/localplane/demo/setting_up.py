"""Sets the stage, one step after the other, each of which says what it does: group, controller, autoscaler.

Leaves a group that serves, an idle controller and no load.
"""

from __future__ import annotations

from functools import partial

from localplane.build import Report
from localplane.demo import controller, scenario
from localplane.demo.observe import AUTOSCALER_PATH, AUTOSCALING, GROUP_PATH, RBG
from localplane.engines.client import EnginesClient
from localplane.kube import Kube, path
from localplane.plane import LocalPlane, PlaneOptions
from localplane.rights import grant
from localplane.waiting import wait_until

DEADLINE_SECONDS = 60.0


def plane_options() -> PlaneOptions:
    """The control plane of the demo: no controller manager, for nothing here is left to be collected."""
    return PlaneOptions(nodes=(scenario.NODES,), scrape_seconds=scenario.SCRAPE_SECONDS)


def set_up(plane: LocalPlane, engines: EnginesClient, report: Report) -> None:
    """Everything but the load.

    Raises:
        ProcessError: the controller did not come up.
        TimeoutError: something else did not; the message says what.
    """
    kube = plane.kube
    for namespace in (scenario.NAMESPACE, scenario.CONTROLLER_NAMESPACE):
        kube.create(path("v1", "namespaces"), {"metadata": {"name": namespace}})
    shapes = ", ".join(f"{role.name} ({role.gang})" for role in scenario.ROLES)
    report(f"creating the RoleBasedGroup {scenario.NAMESPACE}/{scenario.GROUP}: {shapes}")
    kube.create(path(RBG, "rolebasedgroups", scenario.NAMESPACE), scenario.group())
    engines.set_load(
        scenario.NAMESPACE, scenario.GROUP, requests_per_s=scenario.LOAD.points[0][1], **scenario.REQUESTS
    )
    wait_until(lambda: _serves(kube), DEADLINE_SECONDS, "the group to serve")
    for name in (role.name for role in scenario.ROLES if role.adapter):
        wait_until(
            partial(_bound, kube, name), DEADLINE_SECONDS, f"the scaling adapter of {name} to be Bound"
        )
    report("starting the controller as a user of its own, with the RBAC rules of deploy/base")
    grant(kube, scenario.USER)
    controller.start(plane)
    report(f"applying the RbgAutoscaler of docs/examples/{scenario.MANIFEST.name}")
    kube.create(path(AUTOSCALING, "rbgautoscalers", scenario.NAMESPACE), scenario.autoscaler())
    wait_until(lambda: _all_read(kube), DEADLINE_SECONDS, "the controller to read every signal")


def _serves(kube: Kube) -> bool:
    statuses = kube.get(GROUP_PATH).get("status", {}).get("roleStatuses", ())
    ready = {status["name"]: int(status.get("readyReplicas") or 0) for status in statuses}
    return ready == {role.name: role.replicas for role in scenario.ROLES}


def _bound(kube: Kube, role: str) -> bool:
    adapters = kube.list(path(RBG, "rolebasedgroupscalingadapters", scenario.NAMESPACE))
    name = f"{scenario.GROUP}-{role}"
    return any(
        a["metadata"]["name"] == name and a.get("status", {}).get("phase") == "Bound" for a in adapters
    )


def _all_read(kube: Kube) -> bool:
    conditions = kube.get(AUTOSCALER_PATH).get("status", {}).get("conditions", ())
    return any(c["type"] == "MetricsAvailable" and c["status"] == "True" for c in conditions)
