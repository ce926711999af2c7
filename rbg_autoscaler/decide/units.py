"""Metrics measured per role instance: who counts, who is missing, and what their average asks for.

HPA's Pods and Resource rules with the role instance in the place of the pod; a replica is an instance, never
a pod, so the samples of a gang's pods are averaged into one of their instance first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rbg_autoscaler.decide.ratio import MAX_INT32, Band, ceil_replicas, divide
from rbg_autoscaler.decide.snapshot import InstancePhase, InstanceView

READY = InstancePhase.READY


class NoProposal(Exception):
    """The metric gives no number; the message says why. The caller counts it as a failed metric."""


class NoCapacity(NoProposal):
    """What 100 % is is not known of an instance; the message is its name."""


class Grouped(NamedTuple):
    """Instances by what their sample is worth (HPA's grouping of pods)."""

    counted: int
    unready: list[str]
    missing: list[str]
    ignored: list[str]


class Answer(NamedTuple):
    """What a metric asks for, and the measures that status shows."""

    replicas: int
    usage_milli: int
    average_milli: int | None = None


class Measure(NamedTuple):
    """A set of samples held against its target."""

    ratio: float
    usage: int
    average_milli: int | None


def _standing(instance: InstanceView) -> str:
    """How an instance that is not READY stands before any sample is looked at; readiness is not consulted."""
    phase = instance.phase
    if phase is InstancePhase.TERMINATING or phase is InstancePhase.FAILED:
        return "ignored"
    pod_phases = [pod.phase for pod in instance.pods if not pod.terminating]
    if "Failed" in pod_phases or "Succeeded" in pod_phases:
        return "ignored"
    if phase is InstancePhase.UNSCHEDULED or "Pending" in pod_phases:
        return "unready"
    return "counted"


def group(instances: Iterable[InstanceView], values: Mapping[str, int]) -> Grouped:
    """Sort the instances by their phase and by whether they reported.

    Args:
        instances: All instances of the role.
        values: Samples by instance name, thousandths.
    """
    counted = 0
    unready: list[str] = []
    missing: list[str] = []
    ignored: list[str] = []
    for instance in instances:
        standing = "counted" if instance.phase is READY else _standing(instance)
        if standing == "ignored":
            ignored.append(instance.name)
        elif standing == "unready":
            unready.append(instance.name)
        elif instance.name in values:
            counted += 1
        else:
            missing.append(instance.name)
    return Grouped(counted, unready, missing, ignored)


def roll_up(instances: Iterable[InstanceView], pod_values: Mapping[str, int]) -> dict[str, int]:
    """The samples of pods as samples of their instances: the mean of the pods that reported.

    Two gangs of 4 pods at 1.5 times the target need 3 gangs; counting pods would ask for 12. Samples of pods
    that belong to no instance are kept under their own name, because HPA averages them in too.
    """
    left = dict(pod_values)
    values: dict[str, int] = {}
    for instance in instances:
        reported = [left.pop(pod.name) for pod in instance.pods if pod.name in left]
        if reported:
            values[instance.name] = divide(sum(reported), len(reported))
    return left | values


def propose_average(
    instances: tuple[InstanceView, ...],
    values: Mapping[str, int],
    target_milli: int,
    requested: int,
    band: Band,
) -> Answer:
    """HPA's Pods metric with an AverageValue target.

    Args:
        instances: All instances of the role.
        values: Samples by instance name, thousandths.
        target_milli: The average to hold, thousandths.
        requested: The role's replica count now (spec).
        band: The ratios that propose no change.

    Raises:
        NoProposal: No instance that counts has a sample.
    """
    samples, grouped = _usable(instances, values, "custom metrics API")

    def measure(samples: Mapping[str, int]) -> Measure:
        usage = divide(sum(samples.values()), len(samples))
        return Measure(float(usage) / float(target_milli), usage, None)

    return _settle(samples, grouped, requested, band, measure, lambda _: target_milli)


def propose_utilization(
    instances: tuple[InstanceView, ...],
    values: Mapping[str, int],
    capacity: Mapping[str, int],
    target_percent: int,
    requested: int,
    band: Band,
) -> Answer:
    """HPA's Resource metric with a Utilization target, an instance's capacity in the place of the request.

    Args:
        instances: All instances of the role.
        values: Samples by instance name, thousandths.
        capacity: What 100 % is, by instance name, thousandths; every instance needs one.
        target_percent: The utilisation to hold.
        requested: The role's replica count now (spec).
        band: The ratios that propose no change.

    Raises:
        NoProposal: No instance that counts has a sample.
        NoCapacity: An instance has no capacity.
    """
    samples, grouped = _usable(instances, values, "resource metrics API")
    for instance in instances:
        if instance.name not in capacity:
            raise NoCapacity(instance.name)

    def measure(samples: Mapping[str, int]) -> Measure:
        known = [name for name in samples if name in capacity]
        full = sum(capacity[name] for name in known)
        if full == 0:
            raise NoProposal("no metrics returned matched known pods")
        used = sum(samples[name] for name in known)
        # Whole percent before the ratio: 49.9 % of a target of 55 % is 49/55.
        percent = min(divide(100 * used, full), MAX_INT32)
        return Measure(float(percent) / float(target_percent), percent, divide(used, len(known)))

    def full_load(name: str) -> int:
        return divide(capacity[name] * max(100, target_percent), 100)

    return _settle(samples, grouped, requested, band, measure, full_load)


def _usable(
    instances: tuple[InstanceView, ...], values: Mapping[str, int], source: str
) -> tuple[dict[str, int], Grouped]:
    """The samples that count, and the instances by standing."""
    if not values:
        raise NoProposal(f"no metrics returned from {source}")
    if not instances:
        raise NoProposal("no pods returned by selector while calculating replica count")
    grouped = group(instances, values)
    samples = dict(values)
    for name in (*grouped.unready, *grouped.ignored):
        samples.pop(name, None)
    if not samples:
        raise NoProposal("did not receive metrics for targeted pods (pods might be unready)")
    return samples, grouped


def _settle(
    samples: dict[str, int],
    grouped: Grouped,
    requested: int,
    band: Band,
    measure: Callable[[Mapping[str, int]], Measure],
    full_load: Callable[[str], int],
) -> Answer:
    """From the measured ratio to a count, with missing and unready instances filled in against the change."""
    first = measure(samples)
    ratio = first.ratio

    def answer(replicas: int) -> Answer:
        return Answer(replicas, first.usage, first.average_milli)

    raising = ratio > 1.0 and bool(grouped.unready)
    if not raising and not grouped.missing:
        return answer(requested if band.holds(ratio) else ceil_replicas(ratio * grouped.counted))
    if ratio < 1.0:
        samples.update((name, full_load(name)) for name in grouped.missing)
    elif ratio > 1.0:
        samples.update((name, 0) for name in grouped.missing)
    if raising:
        samples.update((name, 0) for name in grouped.unready)
    filled = measure(samples).ratio
    # 1.5 over the one pod that reported is 0.375 over all four: the direction is not known, so nothing moves.
    if band.holds(filled) or (ratio < 1.0 < filled) or (filled < 1.0 < ratio):
        return answer(requested)
    replicas = ceil_replicas(filled * len(samples))
    if (filled < 1.0 and replicas > requested) or (filled > 1.0 and replicas < requested):
        return answer(requested)
    return answer(replicas)
