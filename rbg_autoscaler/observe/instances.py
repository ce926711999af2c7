"""Pods to role instances: a gang serves when all its pods do; a pod that is missing is not ready either."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rbg_autoscaler.decide.snapshot import InstancePhase, InstanceView, PodView
from rbg_autoscaler.observe.objects import PodObject

_ENDED = ("Failed", "Succeeded")
"""A model server that ends by itself has failed, whatever its exit code."""


def instance_views(
    pods: Iterable[PodObject], workload: str | None, size: int | None
) -> tuple[InstanceView, ...]:
    """The gangs of one role, by ordinal, then name.

    `workload` is the name that stateful instances carry before their ordinal, None for stateless roles;
    `size` is how many pods an instance has, None where nothing says.
    """
    gangs: dict[str, list[PodObject]] = defaultdict(list)
    for pod in pods:
        gangs[pod.instance].append(pod)
    views = [_instance(name, gang, workload, size) for name, gang in gangs.items()]
    return tuple(sorted(views, key=lambda view: (view.ordinal is None, view.ordinal or 0, view.name)))


def _instance(name: str, gang: list[PodObject], workload: str | None, size: int | None) -> InstanceView:
    # A pod that was deleted alone is made again alone: until then its gang lacks a pod. A gang whose pods all
    # terminate goes as a whole.
    staying = [pod for pod in gang if not pod.terminating]
    phase = _phase(staying, size)
    ready_times = [pod.ready_at for pod in staying if pod.ready_at is not None]
    return InstanceView(
        name=name,
        ordinal=_ordinal(name, workload),
        phase=phase,
        created_at=max(pod.created_at for pod in staying or gang),
        ready_at=max(ready_times, default=None) if phase is InstancePhase.READY else None,
        pods=tuple(_pod(pod, gang) for pod in gang),
    )


def _phase(staying: list[PodObject], size: int | None) -> InstancePhase:
    if not staying:
        return InstancePhase.TERMINATING
    if any(pod.phase in _ENDED for pod in staying):
        return InstancePhase.FAILED
    if len(staying) < (size or 1) or not all(pod.scheduled for pod in staying):
        return InstancePhase.UNSCHEDULED
    return InstancePhase.READY if all(pod.ready for pod in staying) else InstancePhase.STARTING


def _ordinal(name: str, workload: str | None) -> int | None:
    """`deepseek-prefill-3` of workload `deepseek-prefill` is 3; the label role-instance-index is wrong."""
    if workload is None or not name.startswith(f"{workload}-"):
        return None
    ordinal = name[len(workload) + 1 :]
    return int(ordinal) if ordinal.isdecimal() else None


def _pod(pod: PodObject, gang: list[PodObject]) -> PodView:
    return PodView(
        name=pod.key.name,
        phase=pod.phase,
        ready=pod.ready,
        scheduled=pod.scheduled,
        terminating=pod.terminating,
        leader=_is_leader(pod, gang),
        unschedulable_message=pod.unschedulable_message,
    )


def _is_leader(pod: PodObject, gang: list[PodObject]) -> bool:
    """Leader/worker gangs have one leader; in gangs of free components every pod may answer for itself."""
    if any(one.leads for one in gang):
        return bool(pod.leads)
    return pod.leads is not False
