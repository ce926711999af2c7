"""How a set moves its instances to a new revision, and what it reports meanwhile.

Highest ordinal first, never fewer than replicas - maxUnavailable available; a surge instance lives above the
ordinals until every other one is updated and ready.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localplane.rbg.instances import (
    Birth,
    Instance,
    missing_ordinals,
    random_suffixes,
    surplus_ordinals,
    surplus_stateless,
)
from localplane.rbg.names import Obj


@dataclass(frozen=True)
class Strategy:
    """A set's rollout settings as numbers; percentages of replicas: unavailable round down, the others up."""

    replicas: int
    partition: int
    max_unavailable: int
    max_surge: int
    in_place: bool
    paused: bool
    ordered: bool

    @classmethod
    def of(cls, instance_set: Obj) -> Strategy:
        spec = instance_set["spec"]
        replicas = int(spec.get("replicas", 1))
        given = spec.get("updateStrategy") or {}
        return cls(
            replicas=replicas,
            partition=resolve_count(given.get("partition", 0), replicas, up=True),
            max_unavailable=resolve_count(given.get("maxUnavailable", 1), replicas, up=False),
            max_surge=resolve_count(given.get("maxSurge", 0), replicas, up=True),
            in_place=given.get("type", "InPlaceIfPossible") != "RecreatePod",
            paused=bool(given.get("paused")),
            ordered=spec.get("podManagementPolicy") == "OrderedReady",
        )


@dataclass(frozen=True)
class Plan:
    """One pass over a set: what to create, to delete, and to bring to the new revision."""

    create: tuple[Birth, ...] = ()
    delete: tuple[Instance, ...] = ()
    update: tuple[Instance, ...] = ()


def resolve_count(value: int | str, replicas: int, *, up: bool) -> int:
    """An int-or-percent of replicas: "10%" of 9 is 0 rounded down and 1 rounded up."""
    if isinstance(value, str) and value.endswith("%"):
        exact = int(value[:-1]) * replicas / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(value)


def plan_stateful(strategy: Strategy, instances: Sequence[Instance], current: str, update: str) -> Plan:
    """`current` and `update` are revision hashes; ordinals below the partition stay on `current`."""
    surge = _surge(strategy, instances, current, update)
    count = strategy.replicas + surge
    births = tuple(
        Birth(str(ordinal), update if ordinal >= strategy.partition else current)
        for ordinal in missing_ordinals(instances, count, ordered=strategy.ordered)
    )
    doomed = tuple(surplus_ordinals(instances, count))
    if strategy.paused:
        return Plan(births, doomed)
    staying = [i for i in instances if i not in doomed and not i.leaving]
    moving = [
        i for i in staying if i.ordinal is not None and strategy.partition <= i.ordinal < strategy.replicas
    ]
    moving.sort(key=lambda instance: instance.ordinal or 0, reverse=True)
    return Plan(births, doomed, tuple(_within_budget(strategy, staying, moving, update)))


def plan_stateless(
    strategy: Strategy,
    instances: Sequence[Instance],
    update: str,
    rng: random.Random,
    named_victims: Sequence[str] = (),
) -> Plan:
    """`named_victims` go first and are replaced: naming one does not lower the count."""
    named = tuple(i for i in instances if i.name in named_victims and not i.leaving)
    rest = [i for i in instances if i not in named and not i.leaving]
    doomed = tuple(surplus_stateless(rest, strategy.replicas))
    missing = max(0, strategy.replicas - len(rest))
    taken = [i.name.rpartition("-")[2] for i in instances]
    births = tuple(Birth(suffix, update) for suffix in random_suffixes(missing, taken, rng))
    if strategy.paused:
        return Plan(births, named + doomed)
    staying = [i for i in rest if i not in doomed]
    return Plan(births, named + doomed, tuple(_within_budget(strategy, staying, staying, update)))


def _surge(strategy: Strategy, instances: Sequence[Instance], current: str, update: str) -> int:
    if strategy.max_surge == 0 or current == update or strategy.paused:
        return 0
    settled = {i.ordinal for i in instances if i.revision == update and i.ready}
    open_ordinals = [o for o in range(strategy.partition, strategy.replicas) if o not in settled]
    return min(strategy.max_surge, len(open_ordinals))


def _within_budget(
    strategy: Strategy, staying: Sequence[Instance], moving: Sequence[Instance], update: str
) -> list[Instance]:
    """With a ready surge instance 3 + 1 are available and one may go, although maxUnavailable is 0."""
    available = sum(1 for instance in staying if instance.ready)
    budget = available - (strategy.replicas - strategy.max_unavailable)
    chosen = []
    for instance in moving:
        if instance.revision == update:
            continue
        if instance.ready:
            if budget <= 0:
                break
            budget -= 1
        chosen.append(instance)
    return chosen


def set_status(
    strategy: Strategy,
    instances: Sequence[Instance],
    names: tuple[str, str],
    selector: str,
    generation: int,
    *,
    stateless: bool = False,
) -> Obj:
    """The set's status but for its revisions' names. `names` are the hashes (current, update)."""
    current, update = names
    total = len(instances)
    updated = [i for i in instances if i.revision == update]
    if strategy.ordered and total < strategy.replicas:
        # Seen on the real one: an OrderedReady set reports all replicas while it is still creating them.
        waiting = strategy.replicas - total
        total += waiting
    else:
        waiting = 0
    status: dict[str, Any] = {
        "replicas": total,
        "readyReplicas": sum(i.ready for i in instances),
        "availableReplicas": sum(i.ready for i in instances),
        "currentReplicas": 0 if stateless else sum(i.revision == current for i in instances) + waiting,
        "updatedReplicas": len(updated) + waiting,
        "updatedReadyReplicas": sum(i.ready for i in updated),
        "collisionCount": 0,
        "labelSelector": selector,
        "observedGeneration": generation,
    }
    expected = max(0, strategy.replicas - strategy.partition)
    status["expectedUpdatedReplicas"] = expected or None
    return status


def is_complete(strategy: Strategy, instances: Sequence[Instance], update: str) -> bool:
    """Whether the update revision may become the current one: all ordinals have it and are ready."""
    base = [i for i in instances if i.ordinal is None or i.ordinal < strategy.replicas]
    return len(base) >= strategy.replicas and all(i.revision == update and i.ready for i in base)


def differs_in_images_only(old: Sequence[Obj], new: Sequence[Obj]) -> bool:
    """Whether an instance can be updated in place: components equal but for container images and metadata."""
    return [_without_images(component) for component in old] == [
        _without_images(component) for component in new
    ]


def _without_images(component: Obj) -> Obj:
    spec = component["template"].get("spec") or {}
    bare = {
        key: [{k: v for k, v in container.items() if k != "image"} for container in value]
        if key in ("containers", "initContainers")
        else value
        for key, value in spec.items()
    }
    return {**{k: v for k, v in component.items() if k != "template"}, "spec": bare}
