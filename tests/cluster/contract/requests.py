"""Recorded requests made fit for a replay: its namespace, real UIDs, nodes of its own."""

from __future__ import annotations

import re
from typing import Any

from contract.recording import PREFIX
from localplane.stages import START_UP, UNREADY

W = "/apis/workloads.x-k8s.io/v1alpha2/namespaces"
API_VERSION = "workloads.x-k8s.io/v1alpha2"

Obj = dict[str, Any]


def local_path(path: str, recorded: str, namespace: str) -> str:
    """`{W}/s02/...` and `/namespaces/s02/...` in the replay's namespace."""
    return path.replace(f"{{W}}/{recorded}/", f"{W}/{namespace}/").replace(
        f"/namespaces/{recorded}/", f"/namespaces/{namespace}/"
    )


def local_text(value: Any, recorded: str, namespace: str) -> Any:
    """Messages name objects as namespace/name, addresses end with the namespace."""
    if isinstance(value, str):
        return re.sub(rf"\b{recorded}(?=/|$)", namespace, value)
    if isinstance(value, dict):
        return {key: local_text(item, recorded, namespace) for key, item in value.items()}
    if isinstance(value, list):
        return [local_text(item, recorded, namespace) for item in value]
    return value


def local_body(body: Any, namespace: str, uid: str | None, pool: str) -> Any:
    """`uid` stands in for "<uid>"; pods are sent to the replay's own nodes."""
    made = _walk(body, uid, pool)
    if isinstance(made, dict) and "kind" in made:
        made.setdefault("apiVersion", API_VERSION)
        if made["kind"] != "CustomResourceDefinition":
            made.setdefault("metadata", {})["namespace"] = namespace
    return made


def _walk(value: Any, uid: str | None, pool: str) -> Any:
    if isinstance(value, str):
        if value == "<uid>" and uid:
            return uid
        return value.replace("…/", PREFIX)
    if isinstance(value, list):
        return [_walk(item, uid, pool) for item in value]
    if not isinstance(value, dict):
        return value
    names = {"rig/startup": START_UP, "rig/unready": UNREADY}
    made = {names.get(k, k).replace("…/", PREFIX): _walk(v, uid, pool) for k, v in value.items()}
    if isinstance(made.get("containers"), list):
        made["nodeSelector"] = {"localplane/pool": pool}
        made["tolerations"] = [{"key": "contract", "operator": "Exists"}]
    return made
