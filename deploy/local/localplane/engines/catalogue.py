"""How a table of series is read: rows of (name, type, quantity), each of some versions and kinds of role.

There is no code for one engine: what differs between engines is in `tables`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localplane.engines.exposition import Family, Labels, Sample
from localplane.engines.readings import Reading

WORKERS = frozenset({"prefill", "decode", "aggregated"})
GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"

POD, RANK, BARE, WORKER = "pod", "rank", "bare", "worker"
"""Once a pod; once for each rank of a pod; the same without the engine's labels; on a router, once for each
rank of each instance it sends work to, without the engine's labels too."""


@dataclass(frozen=True)
class Series:
    """One row: a name, what it says, and where it exists.

    It exists in versions `since` <= v < `before`, in roles of `kinds`; `labels` are templates over the
    pod's facts.
    """

    name: str
    type: str
    quantity: str
    labels: Labels = ()
    since: str = ""
    before: str = ""
    kinds: frozenset[str] = WORKERS
    scope: str = RANK

    def exists(self, version: str, kind: str) -> bool:
        return kind in self.kinds and within(version, self.since, self.before)


@dataclass(frozen=True)
class Engine:
    """An engine's table: its newest version, the labels of all series and of a rank's, the rows."""

    latest: str
    series: tuple[Series, ...]
    labels: Labels = (("model_name", "{model}"),)
    rank_labels: Labels = ()
    rank_labels_since: str = ""
    loads: tuple[Series, ...] = ()
    """Rows of a second page beside the first (SGLang's /v1/loads)."""


@dataclass(frozen=True)
class Source:
    """One pod or instance as the tables see it: its facts for the label templates, and a reading per rank."""

    facts: Mapping[str, str]
    whole: Reading
    ranks: tuple[Reading, ...]
    copies: int = 1
    """Tensor-parallel ranks that export the same values."""


def version_key(version: str) -> tuple[int, ...]:
    """(0, 11, 2) of "0.11.2", and of "0.11.2.post1".

    Raises:
        ValueError: the text does not start with a number.
    """
    release = re.match(r"v?(\d+(?:\.\d+)*)", version)
    if release is None:
        raise ValueError(f"{version!r} is no version; write one like 0.11.2")
    return tuple(int(part) for part in release[1].split("."))


def within(version: str, since: str, before: str) -> bool:
    """Whether since <= version < before; an empty bound does not bind."""
    key = version_key(version)
    return (not since or key >= version_key(since)) and (not before or key < version_key(before))


def families(
    engine: Engine,
    version: str,
    kind: str,
    own: Source,
    workers: Iterable[Source] = (),
    *,
    loads: bool = False,
) -> tuple[Family, ...]:
    """What one pod of the given kind exports; `workers` are the instances that a router knows."""
    found: dict[str, Family] = {}
    seen = tuple(workers)
    for row in engine.loads if loads else engine.series:
        if not row.exists(version, kind):
            continue
        sources = seen if row.scope == WORKER else (own,)
        samples = tuple(sample for source in sources for sample in _samples(engine, version, row, source))
        before = found.get(row.name)
        found[row.name] = Family(row.name, row.type, (before.samples if before else ()) + samples)
    return tuple(family for family in found.values() if family.samples)


def _samples(engine: Engine, version: str, row: Series, source: Source) -> Iterable[Sample]:
    templates = engine.labels if row.scope in {POD, RANK} else ()
    if row.scope == RANK and within(version, engine.rank_labels_since, ""):
        templates += engine.rank_labels
    for rank, reading in enumerate((source.whole,) if row.scope == POD else source.ranks):
        for copy in range(source.copies if row.scope == RANK else 1):
            facts = {**source.facts, "rank": str(rank), "copy": str(copy)}
            facts["kv_total_blocks"] = str(int(reading.values["kv_total_blocks"]))
            labels = tuple((name, value.format(**facts)) for name, value in (*templates, *row.labels))
            yield from _of_type(row, reading, labels)


def _of_type(row: Series, reading: Reading, labels: Labels) -> Iterable[Sample]:
    if row.type != HISTOGRAM:
        yield Sample(labels, reading.values.get(row.quantity, 0.0))
        return
    kept = reading.histograms.get(row.quantity)
    if kept is None or not kept.weights:
        yield from (Sample((*labels, ("le", "+Inf")), 0, "_bucket"), Sample(labels, 0, "_sum"))
        yield Sample(labels, 0, "_count")
        return
    running = 0.0
    for bound, weight in zip((*kept.bounds, float("inf")), kept.weights, strict=True):
        running += weight * reading.scale
        edge = "+Inf" if bound == float("inf") else repr(bound)
        yield Sample((*labels, ("le", edge)), running, "_bucket")
    yield Sample(labels, kept.total * reading.scale, "_sum")
    yield Sample(labels, running, "_count")
