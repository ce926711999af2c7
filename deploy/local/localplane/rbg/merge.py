"""What pod templates need of strategic merge patch: maps merge, lists merge by key, null deletes."""

from __future__ import annotations

from typing import Any

_LIST_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


def strategic_merge(base: Any, patch: Any, field: str = "") -> Any:
    """`base` with `patch` applied; neither is changed. Lists without a merge key are replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return _merge_maps(base, patch)
    key = _LIST_KEYS.get(field)
    if key and isinstance(base, list) and isinstance(patch, list):
        return _merge_lists(base, patch, key)
    return patch


def _merge_maps(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if patch.get("$patch") == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    merged = dict(base)
    for field, value in patch.items():
        if value is None:
            merged.pop(field, None)
        elif field in merged:
            merged[field] = strategic_merge(merged[field], value, field)
        else:
            merged[field] = value
    return merged


def _merge_lists(base: list[Any], patch: list[Any], key: str) -> list[Any]:
    merged = list(base)
    for item in patch:
        at = next((i for i, old in enumerate(merged) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None:
            merged.append(item)
        else:
            merged[at] = _merge_maps(merged[at], item)
    return merged


def contains(live: Any, wanted: Any) -> bool:
    """Whether every field of `wanted` is in `live` with that value; lists must match item for item."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(k in live and contains(live[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) != len(wanted):
            return False
        return all(contains(a, b) for a, b in zip(live, wanted, strict=True))
    return bool(live == wanted)
