"""What every loop works with: the stores, the writes, the events, and the options of the stand-in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from localplane.rbg import names
from localplane.rbg.client import APPLY, MERGE, STRATEGIC, ApiError, Client, Resource
from localplane.rbg.events import Recorder
from localplane.rbg.names import Obj
from localplane.rbg.store import Store
from localplane.stages import SHUT_DOWN

GROUPS = Resource("RoleBasedGroup", names.API_VERSION, "rolebasedgroups")
ADAPTERS = Resource("RoleBasedGroupScalingAdapter", names.API_VERSION, "rolebasedgroupscalingadapters")
INSTANCE_SETS = Resource("RoleInstanceSet", names.API_VERSION, "roleinstancesets")
INSTANCES = Resource("RoleInstance", names.API_VERSION, "roleinstances")
POLICIES = Resource("CoordinatedPolicy", names.API_VERSION, "coordinatedpolicies")
GROUP_SETS = Resource("RoleBasedGroupSet", names.API_VERSION, "rolebasedgroupsets")
PODS = Resource("Pod", "v1", "pods")
CONFIG_MAPS = Resource("ConfigMap", "v1", "configmaps")
SERVICES = Resource("Service", "v1", "services")
REVISIONS = Resource("ControllerRevision", "apps/v1", "controllerrevisions")
DEPLOYMENTS = Resource("Deployment", "apps/v1", "deployments")
STATEFUL_SETS = Resource("StatefulSet", "apps/v1", "statefulsets")
POD_GROUPS = Resource("PodGroup", "scheduling.x-k8s.io/v1alpha1", "podgroups")

WORKLOADS = {"RoleInstanceSet": INSTANCE_SETS, "Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}


@dataclass(frozen=True)
class Options:
    """How the stand-in behaves where the real one is slow or wrong.

    `pass_seconds` is the work between reading a group and writing its workloads; in it a status may grow
    stale. `wrong_index` writes the highest ordinal of a pass into the pods' index label. The other two are
    rare in the real one and therefore off: `broken_selectors` binds adapters before the set has a selector,
    `double_binding` binds them twice, the second time over whatever was written meanwhile.
    """

    pass_seconds: float = 0.03
    wrong_index: bool = True
    broken_selectors: bool = False
    double_binding: bool = False


@dataclass
class World:
    """Shared by all loops of one stand-in."""

    client: Client
    recorder: Recorder
    options: Options = field(default_factory=Options)
    rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.groups = Store(GROUPS)
        self.adapters = Store(ADAPTERS)
        self.instance_sets = Store(INSTANCE_SETS)
        self.instances = Store(INSTANCES)
        self.policies = Store(POLICIES)
        self.group_sets = Store(GROUP_SETS)
        self.pods = Store(PODS, names.INSTANCE_NAME)
        self.revisions = Store(REVISIONS, names.GROUP_NAME)
        self.deployments = Store(DEPLOYMENTS, names.GROUP_NAME)
        self.stateful_sets = Store(STATEFUL_SETS, names.GROUP_NAME)

    @property
    def stores(self) -> list[Store]:
        return [
            self.groups,
            self.adapters,
            self.instance_sets,
            self.instances,
            self.policies,
            self.group_sets,
            self.pods,
            self.revisions,
            self.deployments,
            self.stateful_sets,
        ]

    def store_of(self, resource: Resource) -> Store | None:
        return next((store for store in self.stores if store.resource == resource), None)

    async def create(self, resource: Resource, obj: Obj, manager: str) -> Obj | None:
        """None if an object of that name exists already."""
        try:
            path = resource.path(names.namespace_of(obj))
            made = await self.client.call("POST", path, obj, fieldManager=manager)
        except ApiError as error:
            if error.code == 409:
                return None
            raise
        self._note(resource, made)
        return made

    async def apply(self, resource: Resource, obj: Obj, manager: str, sub: str | None = None) -> Obj:
        """Server-side apply with force."""
        body = {"apiVersion": resource.group_version, "kind": resource.kind, **obj}
        path = resource.path(names.namespace_of(obj), names.name_of(obj), sub)
        made = await self.client.call(
            "PATCH", path, body, content_type=APPLY, fieldManager=manager, force="true"
        )
        self._note(resource, made)
        return made

    async def merge(
        self, resource: Resource, obj: Obj, body: Obj, manager: str, sub: str | None = None
    ) -> Obj | None:
        """Merge patch, strategic for pods, whose conditions have several writers; None if it is gone."""
        path = resource.path(names.namespace_of(obj), names.name_of(obj), sub)
        content_type = STRATEGIC if resource == PODS else MERGE
        try:
            made = await self.client.call(
                "PATCH", path, body, content_type=content_type, fieldManager=manager
            )
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        self._note(resource, made)
        return made

    async def put(self, resource: Resource, obj: Obj, manager: str) -> Obj:
        path = resource.path(names.namespace_of(obj), names.name_of(obj))
        made = await self.client.call("PUT", path, obj, fieldManager=manager)
        self._note(resource, made)
        return made

    async def read(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        try:
            return await self.client.call("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def delete(self, resource: Resource, obj: Obj, *, foreground: bool = False) -> bool:
        """Delete this very object, not a namesake; False if it is gone already."""
        body: Obj = {"preconditions": {"uid": names.uid_of(obj)}}
        if resource == PODS and SHUT_DOWN not in names.annotations_of(obj):
            # Nothing runs there that had to stop; and kwok ends pods by name, perhaps a namesake's by then.
            body["gracePeriodSeconds"] = 0
        if foreground:
            body["propagationPolicy"] = "Foreground"
        try:
            path = resource.path(names.namespace_of(obj), names.name_of(obj))
            answer = await self.client.call("DELETE", path, body)
        except ApiError as error:
            if error.code in (404, 409):
                return False
            raise
        if answer.get("kind") == resource.kind and names.is_deleting(answer):
            self._note(resource, answer)
        return True

    def _note(self, resource: Resource, obj: Obj) -> None:
        store = self.store_of(resource)
        if "resourceVersion" not in obj["metadata"]:
            # The last answer about an object that is gone.
            return
        if store is not None and (not store.selector or store.selector in names.labels_of(obj)):
            store.note(obj)
