"""One dry run: what the controller's sync does, up to the point where it would write.

Cluster and Prometheus are read, the same snapshot is built, the same memory restored and the same `decide`
called; round after round the memory is carried on, so that windows pass as they do in the controller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.cli.follow import Statuses, followed
from rbg_autoscaler.cli.manifests import Object
from rbg_autoscaler.cli.problems import Failed
from rbg_autoscaler.cli.sources import Sources
from rbg_autoscaler.decide.config import DecideConfig
from rbg_autoscaler.decide.decide import decide
from rbg_autoscaler.decide.decision import Decision
from rbg_autoscaler.decide.snapshot import Missing
from rbg_autoscaler.kube.client import KubeApi
from rbg_autoscaler.observe import snapshot_file
from rbg_autoscaler.observe.cluster_reader import Unreadable, read_cluster
from rbg_autoscaler.observe.kinds import Kind
from rbg_autoscaler.observe.readings import QueryStats, Readings, read_metrics
from rbg_autoscaler.observe.snapshot_file import SavedInput
from rbg_autoscaler.observe.snapshots import build_snapshot, targets
from rbg_autoscaler.observe.store import ClusterStore
from rbg_autoscaler.operate.recall import Recall

OUTAGES = frozenset({"Unreachable", "TimedOut", "Overloaded", "Rejected"})
"""Reasons of a query that concern the server and not one metric."""


@dataclass(frozen=True)
class Round:
    """The arguments of `decide`, its decisions, and what could not be read."""

    saved: SavedInput
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...] = ()


def decided_again(path: Path) -> Round:
    """The round that a file holds. Raises SnapshotFileError, OSError."""
    saved = snapshot_file.load(path)
    decisions, _ = decide(saved.snapshot, saved.memory, saved.now, saved.config)
    return Round(saved, decisions)


class Gatherer:
    """Reads and decides; `round()` may be called again and again. Nothing is ever written."""

    def __init__(
        self,
        api: KubeApi,
        sources: Sources,
        config: DecideConfig,
        *,
        namespace: str | None,
        manifests: Sequence[Object] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`namespace` None: all. With `manifests`, they alone are decided, in place of the cluster's."""
        self._api = api
        self._sources = sources
        self._config = config
        self._namespace = namespace
        self._manifests = manifests
        self._clock = clock
        self._recall = Recall()
        self._statuses: Statuses = {}

    async def round(self) -> Round:
        """One round.

        Raises:
            KubeError: The cluster cannot be read.
            Failed: It serves nothing to decide about, or no Prometheus answers.
        """
        store, unreadable = await read_cluster(self._api, self._namespace)
        notes = _notes(unreadable, bool(self._manifests))
        if self._manifests:
            notes += _put_in_place(store, self._manifests)
        now = self._clock()
        wanted = targets(store)
        sources = self._sources.of(target.spec.metrics_source for target in wanted)
        readings, stats = await asyncio.to_thread(read_metrics, wanted, sources, now)
        notes += _outages(stats, readings, self._sources)
        snapshot = build_snapshot(store, readings, now)
        statuses = dict(store.statuses())
        memory = self._recall.before(snapshot, statuses, now)
        memory = followed(memory, self._statuses, statuses, now)
        self._statuses = statuses
        saved = SavedInput(snapshot, memory, now, self._config)
        decisions, after = decide(snapshot, memory, now, self._config)
        self._recall.after(after)
        return Round(saved, decisions, tuple(notes))


def _notes(unreadable: Sequence[Unreadable], has_manifests: bool) -> list[str]:
    """Without groups there is nothing to decide about, without autoscalers neither, unless they are given."""
    needed = {Kind.ROLE_BASED_GROUP} if has_manifests else {Kind.ROLE_BASED_GROUP, Kind.RBG_AUTOSCALER}
    for problem in unreadable:
        if problem.kind in needed:
            mend = "" if problem.kind is Kind.ROLE_BASED_GROUP else "; manifests can be given with -f"
            raise Failed(problem.message + mend)
    return [p.message for p in unreadable if p.kind is not Kind.RBG_AUTOSCALER]


def _put_in_place(store: ClusterStore, manifests: Sequence[Object]) -> list[str]:
    """The manifests instead of the cluster's autoscalers; one of the same name gives uid and status."""
    present = {obj.key: obj for obj in store.autoscalers()}
    notes = []
    for key in present:
        store.remove(Kind.RBG_AUTOSCALER, key)
    for manifest in manifests:
        metadata = manifest["metadata"]
        key = ObjectKey(metadata["namespace"], metadata["name"])
        old = present.get(key)
        known = {} if old is None else {"uid": old.uid, "generation": old.generation}
        status = {} if old is None else old.status
        store.apply(Kind.RBG_AUTOSCALER, {**manifest, "metadata": metadata | known, "status": status})
    applied = {obj.key: obj for obj in store.autoscalers()}
    for key, old in present.items():
        for new in applied.values():
            same = (
                old.spec
                and new.spec
                and (key.namespace, old.spec.target) == (new.key.namespace, new.spec.target)
            )
            if same and key not in applied:
                notes.append(
                    f"RbgAutoscaler {key} scales the group of {new.key} at present; "
                    "both at once would be refused, so delete one when you apply the other"
                )
    return notes


def _outages(stats: Sequence[QueryStats], readings: Readings, sources: Sources) -> list[str]:
    """A sentence for each source that answered nothing; Failed if that is every one that was asked."""
    asked: dict[str, list[str]] = {}
    for one in stats:
        asked.setdefault(one.source, []).append(one.reason)
    silent = [key for key, reasons in asked.items() if all(reason in OUTAGES for reason in reasons)]
    told = [f"metrics source {key} at {sources.url(key)}: {_words(key, readings)}" for key in silent]
    if told and len(silent) == len(asked):
        raise Failed("; ".join(told))
    return told


def _words(source: str, readings: Readings) -> str:
    """What a source said when it was asked, from the first reading that failed for it."""
    prefix = f"metrics source {source}: "
    for roles in readings.values():
        for each in roles.values():
            for reading in each:
                if isinstance(reading, Missing) and reading.message.startswith(prefix):
                    return reading.message.removeprefix(prefix)
    return "no answer"
