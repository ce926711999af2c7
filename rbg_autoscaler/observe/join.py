"""From a query's rows to one role's reading, by pod identity: missing is never zero.

A unit (role instance, pod or series) reports or it does not, with the reason; what does not report is left
out and counted, and a reading in which nothing reports is Missing.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from rbg_autoscaler.decide.snapshot import InstancePhase, InstanceView, Missing, Reading, RoleView, Sample
from rbg_autoscaler.observe.signal_promql import AGE, FIELD
from rbg_autoscaler.observe.sources import QueryResult

MAX_INT64 = 2**63 - 1
_NO_POINTS: dict[str, Point] = {}
_NO_UNITS: set[str] = set()


class Point(NamedTuple):
    """A unit's value and the age of the oldest sample in it; infinite if the server did not tell."""

    value: float
    age: float


@dataclass(frozen=True)
class Rows:
    """A query's answer by namespace, then unit."""

    points: dict[str, dict[str, Point]] = field(default_factory=dict)
    faulty: dict[str, set[str]] = field(default_factory=dict)
    """Units whose series cannot be trusted."""


class Unit(NamedTuple):
    """What a sample is counted by, and the pods that speak for it."""

    name: str
    pods: tuple[str, ...]
    expected: bool
    """Ready for long enough that its series should be there."""


class Limits(NamedTuple):
    """What a value must fulfil, and how a reading's messages name its origin."""

    max_age_seconds: float
    ready_grace_seconds: float
    origin: str
    """The series and the source, for the mend: "vllm:num_requests_waiting in source default"."""


_MENDS = {
    "Duplicated": "a pod's series stand there more than once, or some are not valid: scrape each pod once, "
    "and in a server shared by clusters set the source's matchers",
    "NotFinite": "NaN or infinity is exported",
    "Negative": "a negative value is exported",
    "Stale": "the newest sample is too old: check the scrapes of these pods",
    "NoSeries": "check that these pods are scraped and export it, with the source's namespace and pod labels",
}
"""Reasons, the most telling first, and what each asks for."""


def rows_of(result: QueryResult, keys: tuple[str, str] | None) -> Rows:
    """An answer by namespace and unit; without keys by all its labels, under the namespace "".

    A second row for one unit (a proxy added a label of its own) makes the unit faulty.
    """
    if keys is None:
        return _whole(result)
    namespace_label, unit_label = keys
    rows = Rows()
    points = rows.points
    for labels, value in result.rows:
        namespace = labels.get(namespace_label, "")
        unit = labels.get(unit_label, "") if unit_label else ""
        units = points.get(namespace)
        if units is None:
            units = points[namespace] = {}
        age = labels.get(AGE)
        if age is not None and unit not in units:
            units[unit] = Point(value, float(age))
        else:
            rows.faulty.setdefault(namespace, set()).add(unit)
    return rows


def _whole(result: QueryResult) -> Rows:
    """A user's answer: the row of the age, if there is one, is that of all the others."""
    ages = [value for labels, value in result.rows if labels.get(FIELD) == AGE]
    age = max(ages, default=0.0)
    points: dict[str, Point] = {}
    for labels, value in result.rows:
        if labels.get(FIELD) != AGE:
            points[",".join(f"{label}={text}" for label, text in sorted(labels.items()))] = Point(value, age)
    return Rows({"": points})


def instance_units(role: RoleView, now: float, grace: float, *, leader_only: bool) -> tuple[Unit, ...]:
    """The role's instances that may report: not the terminating and failed ones."""
    units = []
    for instance in role.instances:
        if _is_leaving(instance):
            continue
        pods = tuple([p.name for p in instance.pods if not p.terminating and (p.leader or not leader_only)])
        units.append(Unit(instance.name, pods, _is_expected(instance, now, grace)))
    return tuple(units)


def pod_units(role: RoleView, now: float, grace: float, reporting: Container[str]) -> tuple[Unit, ...]:
    """The role's pods, for HPA's Pods metrics.

    Where no pod but leaders reports (leader-only engines), only leaders are expected to.
    """
    instances = [instance for instance in role.instances if not _is_leaving(instance)]
    all_pods = any(pod.name in reporting for one in instances for pod in one.pods if not pod.leader)
    return tuple(
        Unit(pod.name, (pod.name,), _is_expected(instance, now, grace) and (pod.leader or all_pods))
        for instance in instances
        for pod in instance.pods
        if not pod.terminating
    )


def _is_leaving(instance: InstanceView) -> bool:
    return instance.phase in (InstancePhase.TERMINATING, InstancePhase.FAILED)


def _is_expected(instance: InstanceView, now: float, grace: float) -> bool:
    ready_at = instance.ready_at
    return instance.phase is InstancePhase.READY and ready_at is not None and now - ready_at >= grace


def read_units(
    rows: Rows, namespace: str, units: Iterable[Unit], limits: Limits, *, average: bool = False
) -> Reading:
    """The reading of a role from the rows of its pods.

    Args:
        rows: The answer for the whole fleet.
        namespace: The group's.
        units: Who may report; a unit reports if all its pods do.
        limits: Age and origin.
        average: Several pods of a unit are averaged (usages) instead of added.
    """
    points = rows.points.get(namespace, _NO_POINTS)
    faulty = rows.faulty.get(namespace, _NO_UNITS)
    max_age = limits.max_age_seconds
    values: dict[str, int] = {}
    faults: dict[str, int] = {}
    oldest, reporting, expected = 0.0, 0, 0
    for name, pods, is_expected in units:
        expected += is_expected
        total, fault = 0.0, "" if pods else "NoSeries"
        for pod in pods:
            point = points.get(pod)
            if point is None or pod in faulty or not (0 <= point.value < math.inf and point.age <= max_age):
                fault = _fault(point, max_age)
                break
            total += point.value
            oldest = max(oldest, point.age)
        if not fault:
            values[name] = to_milli(total / len(pods) if average else total)
            reporting += is_expected
        elif is_expected or fault != "NoSeries":
            faults[fault] = faults.get(fault, 0) + 1
    if values:
        return Sample(values, oldest, reporting, expected, shortfall=_counted(faults) if faults else "")
    return _missing(faults, expected, limits)


def _fault(point: Point | None, max_age: float) -> str:
    """Why a point that is missing, wrong, old or of a faulty unit does not count."""
    if point is None:
        return "NoSeries"
    if not math.isfinite(point.value):
        return "NotFinite"
    if point.value < 0:
        return "Negative"
    return "Stale" if point.age > max_age else "Duplicated"


def read_total(rows: Rows, namespace: str, units: Iterable[str] | None, limits: Limits) -> Reading:
    """The reading of metrics that describe no pods: the given units, or (None) every row of the namespace."""
    points = rows.points.get(namespace, _NO_POINTS)
    faulty = rows.faulty.get(namespace, _NO_UNITS)
    values: dict[str, int] = {}
    oldest = 0.0
    for unit in points if units is None else units:
        point = points.get(unit)
        valid = point is not None and 0 <= point.value < math.inf and point.age <= limits.max_age_seconds
        if point is None or not valid or unit in faulty:
            fault = _fault(point, limits.max_age_seconds)
            # A sum hides a negative part, and sums over all labels know no duplicates.
            fault = "Negative" if fault == "Duplicated" else fault
            return Missing(fault, f"{limits.origin}: {_MENDS_TOTAL.get(fault, _MENDS[fault])}")
        values[unit] = to_milli(point.value)
        oldest = max(oldest, point.age)
    if not values:
        return Missing("NoSeries", f"{limits.origin}: {_MENDS_TOTAL['NoSeries']}")
    return Sample(values, oldest, len(values), 0)


_MENDS_TOTAL = {
    "NoSeries": "there is no such series in this namespace: check its name, selector and namespace label",
    "Stale": "the newest sample is too old: check its scrapes",
}


def to_milli(value: float) -> int:
    """Thousandths, rounded up as Kubernetes quantities are, saturating at 64 bits.

    0.07 x 1000 is 70.00000000000001 in floating point and means 70; 0.0701 is 70.1 and becomes 71.
    """
    scaled = value * 1000
    if scaled >= MAX_INT64:
        return MAX_INT64
    nearest = round(scaled)
    return nearest if abs(scaled - nearest) <= 1e-9 + 1e-15 * scaled else math.ceil(scaled)


def _missing(faults: dict[str, int], expected: int, limits: Limits) -> Missing:
    for reason, mend in _MENDS.items():
        if faults.get(reason):
            who = f"of {expected} ready instances none has a usable sample ({_counted(faults)})"
            return Missing(reason, f"{limits.origin}: {who}; {mend}")
    return Missing("NoInstances", f"{limits.origin}: no instance is ready yet, so none has a sample")


def _counted(faults: dict[str, int]) -> str:
    return ", ".join(f"{faults[reason]} {reason}" for reason in _MENDS if faults.get(reason))
