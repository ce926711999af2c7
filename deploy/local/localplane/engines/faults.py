"""Faults of an engine's exposition: which pods one hits, and what it does to their families.

A fault changes only what is exported; the model goes on serving underneath, as a broken exporter beside a
working engine would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from localplane.engines.exposition import Family, Sample
from localplane.engines.pods import Pod, natural

MODES: Mapping[str, tuple[str, ...]] = {
    "silent": ("503", "hang", "close"),
    "stale": ("timestamps", "frozen", "missing"),
    "duplicated": ("priority", "router"),
    "nan": (),
    "negative": (),
    "zero": (),
    "renamed": (),
}
"""Kinds of fault and how each can show; the first mode is the default.

silent: 503, no answer until the client gives up, or a connection that is cut. stale: values frozen when the
fault began, with the explicit timestamp of that moment or without one; or series gone from the page.
(Prometheus ends a series that begins to carry timestamps; one that carried them from the start, as with a
load's `explicit_timestamps`, it shows growing old.) duplicated: SGLang's total under priority="" beside the
same values under priority="0"; or the group's routers export every engine's gauges once more with a label
`server`.
"""


@dataclass(frozen=True)
class Fault:
    """One fault: its kind and mode, the pods and series it hits."""

    kind: str = field(default="", metadata={"choices": tuple(MODES)})
    mode: str = ""
    role: str = ""
    pod: str = ""
    fraction: float = field(default=1.0, metadata={"low": 0.0, "high": 1.0})
    """Part of the exporting pods hit, in natural order of name, rounded up: 0.5 of three pods are two."""
    series: str = "*"
    """Glob on the exported name: "*num_requests_waiting" leaves the others alone."""
    to: str = "{name}_v2"
    """New name of a renamed series."""

    @property
    def shows_as(self) -> str:
        """The mode, defaults filled in; "" where the kind has none."""
        return self.mode or next(iter(MODES[self.kind]), "")

    def hits(self, pod: Pod, exporting: Iterable[Pod]) -> bool:
        """Whether the fault hits this pod, given all exporting pods of the group."""
        names = sorted((p.name for p in exporting if self._names(p)), key=natural)
        return pod.name in names[: math.ceil(self.fraction * len(names))]

    def names_series(self, name: str) -> bool:
        """Whether the fault concerns series of this name."""
        return fnmatchcase(name, self.series)

    def _names(self, pod: Pod) -> bool:
        return (not self.role or pod.role == self.role) and (not self.pod or pod.name == self.pod)


def distort(fault: Fault, families: tuple[Family, ...], frozen_ms: int) -> tuple[Family, ...]:
    """The families as a pod hit by the fault exports them; `frozen_ms` is when the fault began.

    Frozen values are the caller's to keep: here a stale sample only gets its old timestamp.
    """
    change = _CHANGES.get((fault.kind, fault.shows_as))
    if change is None:
        return families
    return tuple(
        changed
        for family in families
        for changed in ((change(fault, family, frozen_ms),) if fault.names_series(family.name) else (family,))
        if changed.samples
    )


def _each(family: Family, change: Callable[[Sample], Sample]) -> Family:
    return replace(family, samples=tuple(change(sample) for sample in family.samples))


def _gauges(family: Family, change: Callable[[float], float]) -> Family:
    # A counter forced to 0 or below would be a restart, which is no fault.
    if family.type != "gauge":
        return family
    return _each(family, lambda sample: replace(sample, value=change(sample.value)))


def _under_priorities(family: Family) -> Family:
    copies = (("priority", "0"), ("priority", ""))
    return replace(
        family,
        samples=tuple(
            replace(s, labels=(*s.labels, priority)) for priority in copies for s in family.samples
        ),
    )


_Change = Callable[[Fault, Family, int], Family]
_CHANGES: Mapping[tuple[str, str], _Change] = {
    ("nan", ""): lambda _, family, __: _each(family, lambda s: replace(s, value=math.nan)),
    ("negative", ""): lambda _, family, __: _gauges(family, lambda value: -abs(value) - 1),
    ("zero", ""): lambda _, family, __: _gauges(family, lambda _value: 0.0),
    ("stale", "timestamps"): lambda _, family, at: _each(family, lambda s: replace(s, timestamp_ms=at)),
    ("stale", "missing"): lambda _, family, __: replace(family, samples=()),
    ("renamed", ""): lambda fault, family, __: replace(family, name=fault.to.format(name=family.name)),
    ("duplicated", "priority"): lambda _, family, __: _under_priorities(family),
}


def reexported(families: Iterable[Family], server: str) -> tuple[Family, ...]:
    """An engine's gauges as a router exports them once more, told apart only by a label `server`."""
    return tuple(
        _each(family, lambda s: replace(s, labels=(*s.labels, ("server", server))))
        for family in families
        if family.type == "gauge"
    )


def merged(families: Iterable[Family]) -> tuple[Family, ...]:
    """Families of equal name in one piece, as the format demands."""
    found: dict[str, Family] = {}
    for family in families:
        before = found.get(family.name)
        found[family.name] = replace(before, samples=before.samples + family.samples) if before else family
    return tuple(found.values())
