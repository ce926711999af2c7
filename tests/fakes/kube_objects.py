"""What an API server keeps, without HTTP: objects, resourceVersions, generations, subresources and patches.

The laws are those of the real server as far as this project uses them; `tests/cluster/test_fake_is_real.py`
runs the same tests against both.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Object = dict[str, Any]


class Status(Exception):
    """An answer that is no object: HTTP code, reason, message."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(code, reason, message)
        self.code, self.reason, self.message, self.details = code, reason, message, details or {}

    def body(self) -> Object:
        kind = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        words = {"message": self.message, "reason": self.reason, "details": self.details, "code": self.code}
        return kind | words


def guard_failed() -> Status:
    """A `test` of a JSON patch that does not hold, or a path that is not there."""
    return Status(422, "Invalid", "the server rejected our request due to an error in our request")


@dataclass(frozen=True)
class Resource:
    """One served resource."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = True
    scale: bool = False
    check: Callable[[Object], None] = lambda _obj: None
    """Defaults the object in place; raises Status 422."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _replicas_check(resource_kind: str, group: str) -> Callable[[Object], None]:
    def check(obj: Object) -> None:
        for index, role in enumerate(obj["spec"].get("roles", [])):
            role.setdefault("replicas", 1)
            _natural(resource_kind, group, obj, role["replicas"], f"spec.roles[{index}].replicas")
        _natural(resource_kind, group, obj, obj["spec"].get("replicas", 0), "spec.replicas")

    return check


def _natural(kind: str, group: str, obj: Object, value: Any, field_path: str) -> None:
    if value < 0:
        name = obj["metadata"]["name"]
        message = f"Invalid value: {value}: {field_path} in body should be greater than or equal to 0"
        causes = [{"reason": "FieldValueInvalid", "message": message, "field": field_path}]
        details = {"name": name, "group": group, "kind": kind, "causes": causes}
        text = f'{kind}.{group} "{name}" is invalid: {field_path}: {message}'
        raise Status(422, "Invalid", text, details)


def _rbg(plural: str, kind: str, *, scale: bool = False) -> Resource:
    group = "workloads.x-k8s.io"
    return Resource(group, "v1alpha2", plural, kind, scale=scale, check=_replicas_check(kind, group))


RESOURCES = (
    _rbg("rolebasedgroups", "RoleBasedGroup"),
    _rbg("rolebasedgroupscalingadapters", "RoleBasedGroupScalingAdapter", scale=True),
    _rbg("roleinstancesets", "RoleInstanceSet", scale=True),
    _rbg("coordinatedpolicies", "CoordinatedPolicy"),
    Resource("autoscaling.rolebasedgroup.io", "v1alpha1", "rbgautoscalers", "RbgAutoscaler"),
    Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", status=False),
    Resource("", "v1", "pods", "Pod"),
    Resource("", "v1", "nodes", "Node", namespaced=False),
    Resource("", "v1", "events", "Event", status=False),
    Resource("", "v1", "namespaces", "Namespace", namespaced=False),
)


class Change(NamedTuple):
    """One step of the history: `old` is None for a creation, `new` carries the version of the change."""

    version: int
    resource: Resource
    type: str
    old: Object | None
    new: Object


@dataclass
class Objects:
    """All objects and their history. Not to be changed but through its methods."""

    version: int = 1000
    compacted: int = 1000
    """Watches and page tokens from before this version are answered 410."""
    history: list[Change] = field(default_factory=list)
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    _all: dict[Resource, dict[tuple[str, str], Object]] = field(default_factory=dict)

    def of(self, resource: Resource) -> dict[tuple[str, str], Object]:
        return self._all.setdefault(resource, {})

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        obj = self.of(resource).get((namespace, name))
        if obj is None:
            raise Status(404, "NotFound", f'{resource.full_name} "{name}" not found')
        return obj

    def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        obj = copy.deepcopy(body)
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = metadata.get("generateName", "") + uuid.uuid4().hex[:5]
        if resource.namespaced:
            metadata["namespace"] = namespace
        name = metadata["name"]
        if (namespace, name) in self.of(resource):
            raise Status(409, "AlreadyExists", f'{resource.full_name} "{name}" already exists')
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now(), "generation": 1}
        obj |= {"apiVersion": resource.api_version, "kind": resource.kind}
        if resource.status:
            obj.pop("status", None)
        resource.check(obj)
        return obj if dry_run else self._store(resource, "ADDED", None, obj)

    def replace(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Object,
        *,
        sub: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """PUT of the object or its status: resourceVersion and uid are guards where they are given."""
        old = self.get(resource, namespace, name)
        new = copy.deepcopy(body)
        sent = new.get("metadata", {})
        if not sent.get("resourceVersion"):
            why = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
            raise Status(422, "Invalid", f'{resource.full_name} "{name}" is invalid: {why}')
        self._guard(resource, old, sent)
        if sub == "status":
            new = copy.deepcopy(old) | {"status": new.get("status", {})}
        elif resource.status:
            new.pop("status", None)
            new |= {"status": old["status"]} if "status" in old else {}
        kept = ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion")
        new["metadata"] = new.get("metadata", {}) | {k: v for k, v in old["metadata"].items() if k in kept}
        new |= {"apiVersion": resource.api_version, "kind": resource.kind}
        resource.check(new)
        if new == old:
            return old  # a write that changes nothing makes no version and no event
        if _desired(new) != _desired(old):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return new if dry_run else self._store(resource, "MODIFIED", old, new)

    def delete(self, resource: Resource, namespace: str, name: str, uid: str | None = None) -> Object:
        old = self.get(resource, namespace, name)
        self._guard(resource, old, {"uid": uid})
        return self._store(resource, "DELETED", old, copy.deepcopy(old))

    def put(self, resource: Resource, obj: Object) -> Object:
        """What a controller of the test's own imagination did: the whole object, status included."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace", "") if resource.namespaced else "", metadata["name"])
        old = self.of(resource).get(key)
        new = copy.deepcopy(obj)
        new |= {"apiVersion": resource.api_version, "kind": resource.kind}
        before: Object = old["metadata"] if old else {"creationTimestamp": _now(), "generation": 0}
        new["metadata"].setdefault("uid", before.get("uid") or str(uuid.uuid4()))
        new["metadata"].setdefault("creationTimestamp", before["creationTimestamp"])
        changed = old is None or _desired(new) != _desired(old)
        new["metadata"]["generation"] = before["generation"] + int(changed)
        return self._store(resource, "MODIFIED" if old else "ADDED", old, new)

    def scale(self, resource: Resource, obj: Object) -> Object:
        """The Scale of an object: 500 without spec.replicas, and no number at all for zero."""
        metadata, status = obj["metadata"], obj.get("status", {})
        if "replicas" not in obj["spec"]:
            text = 'Internal error occurred: the spec replicas field ".spec.replicas" does not exist'
            raise Status(500, "InternalError", text)
        kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        replicas = obj["spec"]["replicas"]
        answer: Object = {"kind": "Scale", "apiVersion": "autoscaling/v1"}
        answer["metadata"] = {key: metadata[key] for key in kept}
        answer["spec"] = {"replicas": replicas} if replicas else {}
        answer["status"] = {"replicas": status.get("replicas", 0)}
        selector = status.get("selector") or status.get("labelSelector")
        return answer | ({"status": answer["status"] | {"selector": selector}} if selector else {})

    def write_scale(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Object], Object],
        *,
        dry_run: bool = False,
    ) -> Object:
        """PUT or PATCH of /scale: resourceVersion guards, uid does not; works before spec.replicas exists."""
        old = self.get(resource, namespace, name)
        present = old if "replicas" in old["spec"] else old | {"spec": old["spec"] | {"replicas": 0}}
        wanted = change(self.scale(resource, present))
        self._guard(resource, old, {"resourceVersion": wanted["metadata"].get("resourceVersion")})
        replicas = wanted.get("spec", {}).get("replicas", 0)
        if replicas < 0:
            message = f"Invalid value: {replicas}: should be a non-negative integer"
            causes = [{"reason": "FieldValueInvalid", "message": message, "field": ".spec.replicas"}]
            text = f'{resource.kind}.{resource.group} "{name}" is invalid: .spec.replicas: {message}'
            raise Status(422, "Invalid", text, {"name": name, "causes": causes})
        new = copy.deepcopy(old)
        new["spec"]["replicas"] = replicas
        return self.scale(resource, self.replace(resource, namespace, name, new, dry_run=dry_run))

    def compact(self) -> None:
        """Forgets the history: open page tokens and old watch versions are answered 410 from now on."""
        self.compacted = self.version
        self.history.clear()

    def _guard(self, resource: Resource, old: Object, sent: Object) -> None:
        name = old["metadata"]["name"]
        version, uid = sent.get("resourceVersion"), sent.get("uid")
        if uid and uid != old["metadata"]["uid"]:
            has = old["metadata"]["uid"]
            text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {has}"
            raise Status(409, "Conflict", f"{_cannot(resource, name)}: {text}")
        if version and version != old["metadata"]["resourceVersion"]:
            text = (
                "the object has been modified; please apply your changes to the latest version and try again"
            )
            details = {"name": name, "group": resource.group, "kind": resource.plural}
            raise Status(409, "Conflict", f"{_cannot(resource, name)}: {text}", details)

    def _store(self, resource: Resource, event: str, old: Object | None, new: Object) -> Object:
        self.version += 1
        metadata = new["metadata"]
        metadata["resourceVersion"] = str(self.version)
        key = (metadata.get("namespace", ""), metadata["name"])
        if event == "DELETED":
            del self.of(resource)[key]
        else:
            self.of(resource)[key] = new
        change = Change(self.version, resource, event, old, new)
        self.history.append(change)
        for listener in list(self.listeners):
            listener(change)
        return new


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: list[Object]) -> Any:
    """RFC 6902 without move and copy; every failure is the server's one answer."""
    result = copy.deepcopy(target)
    try:
        for operation in operations:
            _operate(result, operation)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise guard_failed() from error
    return result


def _operate(root: Any, operation: Object) -> None:
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    holder = root
    for part in parents:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    action, value = operation["op"], copy.deepcopy(operation.get("value"))
    if isinstance(holder, list):
        at = len(holder) if last == "-" else int(last)
        if action == "add":
            holder.insert(at, value)
            return
    present = holder[at] if isinstance(holder, list) else holder.get(last)
    if action == "test" and present != value:
        raise ValueError(operation["path"])
    if action == "remove":
        del holder[at if isinstance(holder, list) else last]
    elif action in ("add", "replace"):
        if action == "replace" and isinstance(holder, dict) and last not in holder:
            raise KeyError(last)
        holder[at if isinstance(holder, list) else last] = value
    elif action != "test":
        raise ValueError(action)


def _desired(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _cannot(resource: Resource, name: str) -> str:
    return f'Operation cannot be fulfilled on {resource.full_name} "{name}"'


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
