"""The watched kinds as data: where each is served, which objects matter, which kinds may be absent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rbg_autoscaler.api import types
from rbg_autoscaler.api.types import ObjectKey

RBG_GROUP = "workloads.x-k8s.io"
RBG_VERSION = "v1alpha2"
LABEL = "rbg.workloads.x-k8s.io/"
"""Prefix of the labels and annotations that the RBG controller sets."""
GROUP_LABEL = LABEL + "group-name"
ROLE_LABEL = LABEL + "role-name"


@dataclass(frozen=True)
class KindInfo:
    """Where a kind is served and what is read of it."""

    group: str
    version: str
    plural: str
    kind: str
    selector: str | None = None
    """Label selector of the objects that matter; None: all."""
    optional: bool = False
    """The cluster may not serve it: then there are none."""


class Kind(Enum):
    """The watched kinds."""

    RBG_AUTOSCALER = KindInfo(types.GROUP, types.VERSION, types.PLURAL, types.KIND)
    ROLE_BASED_GROUP = KindInfo(RBG_GROUP, RBG_VERSION, "rolebasedgroups", "RoleBasedGroup")
    SCALING_ADAPTER = KindInfo(
        RBG_GROUP, RBG_VERSION, "rolebasedgroupscalingadapters", "RoleBasedGroupScalingAdapter"
    )
    ROLE_INSTANCE_SET = KindInfo(RBG_GROUP, RBG_VERSION, "roleinstancesets", "RoleInstanceSet")
    POD = KindInfo("", "v1", "pods", "Pod", selector=GROUP_LABEL)
    COORDINATED_POLICY = KindInfo(
        RBG_GROUP, RBG_VERSION, "coordinatedpolicies", "CoordinatedPolicy", optional=True
    )
    HORIZONTAL_POD_AUTOSCALER = KindInfo(
        "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", optional=True
    )

    def collection(self, namespace: str | None = None) -> str:
        """Path of the kind's collection, of one namespace or of all."""
        info = self.value
        root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{scope}/{info.plural}"

    def object(self, key: ObjectKey) -> str:
        """Path of one object."""
        return f"{self.collection(key.namespace)}/{key.name}"
