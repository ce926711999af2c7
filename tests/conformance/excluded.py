"""The facts that no signal of ours can express, in one table: which, and why. All others are run."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.conformance.case import Case
from tests.conformance.express import pod_name, samples, unready_by_cpu_rule


@dataclass(frozen=True)
class Exclusion:
    """Cases whose id fits `pattern` and whose inputs are such that `applies`."""

    pattern: str
    applies: Callable[[Case], bool]
    reason: str


def running_but_unready_for_cpu(case: Case) -> list[str]:
    """Running pods with a sample that HPA leaves out only because the metric is cpu and they are starting."""
    if case.kind != "reconcile" and case.inputs.get("resource") != "cpu":
        return []
    pods = case.inputs.get("pods", [])
    sampled = samples(pods)
    if case.kind == "reconcile":
        values = [m.get("pod_values_milli") or () for m in case.inputs["metrics"] if m["type"] == "Resource"]
        sampled = {pod_name(i, pod): 0 for i, pod in enumerate(pods) if any(i < len(v) for v in values)}
    return [
        name
        for i, pod in enumerate(pods)
        if (name := pod_name(i, pod)) in sampled
        and pod.get("phase", "Running") == "Running"
        and not pod.get("deleted")
        and unready_by_cpu_rule(pod, case.inputs)
    ]


def _mixes_readiness(case: Case) -> bool:
    kinds = {metric["type"] for metric in case.inputs["metrics"]}
    return {"Resource", "Pods"} <= kinds and bool(running_but_unready_for_cpu(case))


EXCLUDED = (
    Exclusion(
        "*group_pods/*",
        lambda case: bool(running_but_unready_for_cpu(case)),
        "asserts the cpu metric's own readiness rule (initialisation period, window); no signal has one",
    ),
    Exclusion(
        "*reconcile/*",
        _mixes_readiness,
        "the same pod is unready for its cpu metric and ready for its Pods metric; an instance has one phase",
    ),
    Exclusion(
        "*reconcile/*",
        lambda case: case.inputs.get("selector") in ("missing", "unparsable", "ambiguous"),
        "asserts a fault of the scale's selector; a role has none: its pods are found by their owner",
    ),
    Exclusion(
        "*reconcile/*",
        lambda case: bool(case.inputs.get("scale_get_error")),
        "asserts a failed read of /scale; a group that was not read is refused before its roles are decided",
    ),
    Exclusion(
        "*",
        lambda case: any(m["type"] == "ContainerResource" for m in case.inputs.get("metrics", ())),
        "a container's share of its pod is no load measure of a role",
    ),
)


def exclusion_of(case: Case) -> str | None:
    """Why the case is left out, or None where it is run."""
    for exclusion in EXCLUDED:
        if fnmatchcase(case.id, exclusion.pattern) and exclusion.applies(case):
            return exclusion.reason
    return None
