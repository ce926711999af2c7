"""Whole objects that were recorded, against the live ones: labels, annotations, owners, specs, statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract.digest import differences
from contract.recording import PREFIX
from contract.requests import API_VERSION, local_text

if TYPE_CHECKING:
    from contract.replay import Replay

Obj = dict[str, Any]

PATHS = {
    "rbg": f"/apis/{API_VERSION}/namespaces/{{}}/rolebasedgroups",
    "rbgsa": f"/apis/{API_VERSION}/namespaces/{{}}/rolebasedgroupscalingadapters",
    "ris": f"/apis/{API_VERSION}/namespaces/{{}}/roleinstancesets",
    "ri": f"/apis/{API_VERSION}/namespaces/{{}}/roleinstances",
    "pod": "/api/v1/namespaces/{}/pods",
    "service": "/api/v1/namespaces/{}/services",
    "configmap": "/api/v1/namespaces/{}/configmaps",
}

DIFFERENT = {
    "controller-revision-hash": "hashes are ours",
    "currentRevision": "as above",
    "updateRevision": "as above",
    "nodeName": "the scheduler's choice",
    "tolerations": "the replay adds its own",
    "containerStatuses": "kwok's",
    "startTime": "a time",
    "hostIP": "kwok's",
    "hostIPs": "kwok's",
    "podIP": "kwok's",
    "podIPs": "kwok's",
    "template.metadata.labels": "abridged by the recorder; s18 compares them on the pods",
    "namespace": "the replay's own",
    "qosClass": "of the replay's pods",
    "lastProbeTime": "null or absent",
    "resources": "a number or the same number as text",
}
"""Fields by name that are not compared, anywhere in an object."""


async def compare(replay: Replay) -> list[str]:
    problems = []
    for name, sample in replay.scenario.samples.items():
        kind, _, key = name.partition("/")
        if kind not in PATHS:
            continue
        _, live = await replay.client.answer("GET", f"{PATHS[kind].format(replay.namespace)}/{key}")
        wanted = local_text(_cleaned(sample), replay.scenario.namespace, replay.namespace)
        replay.outcome.compared += 1
        problems += [f"{name}: {problem}" for problem in differences(wanted, _cleaned(live))]
    return problems


def _cleaned(value: Any) -> Any:
    """Without the fields above; conditions in the order of their types."""
    if isinstance(value, list):
        items = [_cleaned(item) for item in value]
        typed = items and all(isinstance(item, dict) and "type" in item for item in items)
        return sorted(items, key=lambda item: str(item["type"])) if typed else items
    if isinstance(value, str):
        return value.replace("…/", PREFIX)
    if not isinstance(value, dict):
        return value
    kept = {key: item for key, item in value.items() if key not in DIFFERENT}
    return {key: _cleaned(item) for key, item in kept.items() if "role-revision-" not in key}
