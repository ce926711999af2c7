"""Which role instances of a set to create and to delete.

Stateful sets keep ordinals 0..n-1 and lose the highest first, running or not; Stateless ones have random
names and lose those that are not ready first.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from localplane.rbg import names
from localplane.rbg.names import Obj


@dataclass(frozen=True)
class Instance:
    """A RoleInstance as its set sees it. `ordinal` is None in Stateless sets; `revision` is the bare hash."""

    name: str
    ordinal: int | None
    revision: str
    ready: bool
    leaving: bool = False


@dataclass(frozen=True)
class Birth:
    """A RoleInstance to create; `suffix` is its ordinal, or its random identity in a Stateless set."""

    suffix: str
    revision: str


def is_stateless(instance_set: Obj) -> bool:
    return names.annotations_of(instance_set).get(names.INSTANCE_PATTERN) == names.STATELESS


def view(instance: Obj) -> Instance:
    index = names.labels_of(instance).get(names.INSTANCE_INDEX)
    revision = names.labels_of(instance).get(names.REVISION_HASH, "")
    return Instance(
        name=names.name_of(instance),
        ordinal=int(index) if index is not None else None,
        revision=revision.rpartition("-")[2],
        ready=names.is_true(instance, "RoleInstanceReady") and _is_observed(instance),
        leaving=names.is_deleting(instance),
    )


def _is_observed(instance: Obj) -> bool:
    """Otherwise its readiness is that of before an in-place update."""
    observed = (instance.get("status") or {}).get("observedGeneration")
    return bool(observed == instance["metadata"].get("generation"))


def missing_ordinals(present: Iterable[Instance], count: int, *, ordered: bool) -> list[int]:
    """Ordinals below `count` that have no instance; one at a time, after a ready one, if `ordered`."""
    by_ordinal = {instance.ordinal: instance for instance in present}
    missing = [ordinal for ordinal in range(count) if ordinal not in by_ordinal]
    if not ordered or not missing:
        return missing
    below = [by_ordinal[ordinal] for ordinal in range(missing[0])]
    return missing[:1] if all(instance.ready for instance in below) else []


def surplus_ordinals(present: Iterable[Instance], count: int) -> list[Instance]:
    """Instances with ordinals from `count` on, the highest first: 9->7 takes 8 and 7 while 3 is pending."""
    over = [i for i in present if i.ordinal is not None and i.ordinal >= count and not i.leaving]
    return sorted(over, key=lambda instance: instance.ordinal or 0, reverse=True)


def surplus_stateless(present: Iterable[Instance], count: int) -> list[Instance]:
    """As many as are too many, not-ready ones first, then by name."""
    staying = [instance for instance in present if not instance.leaving]
    ranked = sorted(staying, key=lambda instance: (instance.ready, instance.name))
    return ranked[: max(0, len(staying) - count)]


def random_suffixes(count: int, taken: Iterable[str], rng: random.Random) -> list[str]:
    """Five characters each, none of them in use."""
    used = set(taken)
    made: list[str] = []
    while len(made) < count:
        suffix = "".join(rng.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
        if suffix not in used:
            used.add(suffix)
            made.append(suffix)
    return made


def build(instance_set: Obj, template: Obj, birth: Birth, index_label: str, now: str) -> Obj:
    """The RoleInstance object of a birth.

    `index_label` goes into the pods' role-instance-index: the real controller writes the highest ordinal of
    the pass there (instances 0..3 made at once all say 3), while the instance's own label is right.
    """
    name = f"{names.name_of(instance_set)}-{birth.suffix}"
    labels = dict(names.labels_of(instance_set))
    metadata: Obj = {
        "name": name,
        "namespace": names.namespace_of(instance_set),
        "labels": labels,
        "ownerReferences": [names.owner_reference(instance_set)],
    }
    components = list(template["components"])
    if is_stateless(instance_set):
        labels[names.REVISION_HASH] = birth.revision
        labels[names.INSTANCE_ID] = birth.suffix
        labels[names.INSTANCE_LIFECYCLE] = "Normal"
        labels[names.INSTANCE_OWNER] = names.uid_of(instance_set)
        metadata["annotations"] = {names.INSTANCE_LIFECYCLE_TIME: now}
    else:
        labels[names.REVISION_HASH] = f"{names.name_of(instance_set)}-{birth.revision}"
        labels[names.INSTANCE_INDEX] = birth.suffix
        labels[names.STATEFUL_POD_NAME] = name
        components = _indexed(components, names.name_of(instance_set), index_label)
    return {
        "apiVersion": names.API_VERSION,
        "kind": "RoleInstance",
        "metadata": metadata,
        "spec": instance_spec(template, components),
    }


def instance_spec(template: Obj, components: list[Obj]) -> Obj:
    return {
        "components": components,
        "readyPolicy": "AllPodReady",
        "restartPolicyConfig": template["restartPolicyConfig"],
    }


def reindexed(instance_set: Obj, template: Obj, ordinal: int | None) -> list[Obj]:
    """The components an in-place update writes into an instance."""
    components = list(template["components"])
    if ordinal is None:
        return components
    return _indexed(components, names.name_of(instance_set), str(ordinal))


def _indexed(components: Sequence[Obj], set_name: str, index: str) -> list[Obj]:
    extra = {names.INSTANCE_INDEX: index, names.STATEFUL_POD_NAME: f"{set_name}-{index}"}
    result = []
    for component in components:
        template = component["template"]
        metadata = template.get("metadata") or {}
        labels = {**(metadata.get("labels") or {}), **extra}
        result.append({**component, "template": {**template, "metadata": {**metadata, "labels": labels}}})
    return result
