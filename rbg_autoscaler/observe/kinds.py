"""The watched kinds as data: where each is served, which objects matter, which kinds may be absent."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rbg_autoscaler.api import types
from rbg_autoscaler.api.types import ObjectKey

RBG_GROUP = "workloads.x-k8s.io"
RBG_VERSION = "v1alpha2"
LABEL = "rbg.workloads.x-k8s.io/"
"""Prefix of the labels and annotations that the RBG controller sets."""
GROUP_LABEL = LABEL + "group-name"
ROLE_LABEL = LABEL + "role-name"


class KindInfo(NamedTuple):
    """Where a kind is served and what is read of it."""

    group: str
    version: str
    plural: str
    kind: str
    label_selector: str | None = None
    optional: bool = False


class Kind(Enum):
    """The watched kinds."""

    RBG_AUTOSCALER = KindInfo(types.GROUP, types.VERSION, types.PLURAL, types.KIND)
    ROLE_BASED_GROUP = KindInfo(RBG_GROUP, RBG_VERSION, "rolebasedgroups", "RoleBasedGroup")
    SCALING_ADAPTER = KindInfo(
        RBG_GROUP, RBG_VERSION, "rolebasedgroupscalingadapters", "RoleBasedGroupScalingAdapter"
    )
    ROLE_INSTANCE_SET = KindInfo(RBG_GROUP, RBG_VERSION, "roleinstancesets", "RoleInstanceSet")
    POD = KindInfo("", "v1", "pods", "Pod", label_selector=GROUP_LABEL)
    COORDINATED_POLICY = KindInfo(
        RBG_GROUP, RBG_VERSION, "coordinatedpolicies", "CoordinatedPolicy", optional=True
    )
    HORIZONTAL_POD_AUTOSCALER = KindInfo(
        "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", optional=True
    )

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return self.value.group

    @property
    def version(self) -> str:
        """The one version that is read and written."""
        return self.value.version

    @property
    def plural(self) -> str:
        """The resource's name in paths."""
        return self.value.plural

    @property
    def label_selector(self) -> str | None:
        """Selects the objects that matter; None: all."""
        return self.value.label_selector

    @property
    def optional(self) -> bool:
        """The cluster may not serve it, or not to us: then there are none."""
        return self.value.optional

    def collection(self, namespace: str | None = None) -> str:
        """Path of the kind's collection, of one namespace or of all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{scope}/{self.plural}"

    def object(self, key: ObjectKey) -> str:
        """Path of one object."""
        return f"{self.collection(key.namespace)}/{key.name}"
