"""All groups: pods as they are reported, loads and faults as they are set, and the page of every pod.

A pod that is not running, or is not the one of its instance that serves, has no page: its engine does not
answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localplane.engines.exposition import Family, stamped
from localplane.engines.faults import Fault, distort, merged, reexported
from localplane.engines.group import Group
from localplane.engines.load import Load
from localplane.engines.parse import BadFieldError
from localplane.engines.pods import Pod
from localplane.engines.view import GroupView

Key = tuple[str, str]


@dataclass(frozen=True)
class Page:
    """What a scrape of a pod gets: the families, or the way in which nothing comes."""

    families: tuple[Family, ...] = ()
    silence: str = ""


@dataclass
class _Faulty:
    """The faults of a group, when they were set and the values that froze then."""

    faults: tuple[Fault, ...]
    since_ms: int
    frozen: dict[str, tuple[Family, ...]]


class Fleet:
    """The engines of every group, by (namespace, group)."""

    def __init__(self) -> None:
        self._groups: dict[Key, Group] = {}
        self._loads: set[Key] = set()
        self._faulty: dict[Key, _Faulty] = {}

    def replace_pods(self, pods: Iterable[Pod], now: float) -> None:
        """All pods there are; groups whose pods are gone lose them."""
        found: defaultdict[Key, dict[str, Pod]] = defaultdict(dict)
        for pod in pods:
            found[pod.namespace, pod.group][pod.name] = pod
        for key in {*found, *self._groups}:
            self._set_pods(key, found.get(key, {}), now)

    def put_pod(self, pod: Pod, now: float) -> None:
        """A pod as it is now. Only what differs counts: most updates of a pod change nothing here."""
        key = (pod.namespace, pod.group)
        pods = self._groups[key].pods if key in self._groups else {}
        if pods.get(pod.name) != pod:
            self._set_pods(key, {**pods, pod.name: pod}, now)

    def drop_pod(self, pod: Pod, now: float) -> None:
        """A pod that is gone."""
        key = (pod.namespace, pod.group)
        if key in self._groups:
            left = {name: other for name, other in self._groups[key].pods.items() if name != pod.name}
            self._set_pods(key, left, now)

    def _set_pods(self, key: Key, pods: Mapping[str, Pod], now: float) -> None:
        self._group(key, now).set_pods(pods, now)
        self._tidy(key)

    def set_load(self, namespace: str, name: str, load: Load, now: float) -> GroupView:
        """Offer a load to a group, which may have no pods yet: then it waits."""
        key = (namespace, name)
        self._loads.add(key)
        self._group(key, now).set_load(load, now)
        return self._groups[key].view(now)

    def drop_load(self, namespace: str, name: str, now: float) -> bool:
        """Take a load and all the work it left away; False if there was none."""
        key = (namespace, name)
        if key not in self._loads:
            return False
        self._loads.discard(key)
        self._groups[key].set_load(Load(), now)
        self._groups[key].clear_work()
        self._tidy(key)
        return True

    def view(self, namespace: str, name: str, now: float) -> GroupView | None:
        """A group's state, or None if it has neither pods nor a load."""
        group = self._groups.get((namespace, name))
        return group.view(now) if group else None

    def set_faults(
        self, namespace: str, name: str, faults: tuple[Fault, ...], now: float, wall_ms: int
    ) -> None:
        """The faults of a group from now on, in place of those before.

        Raises:
            BadFieldError: a re-export by routers is asked for, and no role of the group is one.
        """
        key = (namespace, name)
        group = self._group(key, now)
        group.advance(now)
        if any(f.shows_as == "router" for f in faults) and all(
            s.kind != "router" for s in group.specs.values()
        ):
            self._tidy(key)
            raise BadFieldError(
                "mode", f"no role of {namespace}/{name} is of kind router, which would re-export"
            )
        # What froze is what the engines said at this moment, so it is taken now and not at the next scrape.
        frozen = {pod.life: group.families(pod) for pod in group.exporting()} if faults else {}
        self._faulty[key] = _Faulty(faults, wall_ms, frozen)

    def drop_faults(self, namespace: str, name: str) -> bool:
        """End a group's faults; False if there were none."""
        ended = self._faulty.pop((namespace, name), None) is not None
        self._tidy((namespace, name))
        return ended

    def faults(self, namespace: str, name: str) -> tuple[Fault, ...]:
        """The faults a group has."""
        faulty = self._faulty.get((namespace, name))
        return faulty.faults if faulty else ()

    def page(
        self, namespace: str, name: str, now: float, *, wall_ms: int = 0, loads: bool = False
    ) -> Page | None:
        """What a scrape of the pod gets at `now`, `wall_ms` by the clock on the wall; None: no answer."""
        for group in self._groups.values():
            if group.namespace == namespace and name in group.pods:
                break
        else:
            return None
        group.advance(now)
        pod, exporting = group.pods[name], group.exporting()
        if pod not in exporting:
            return None
        faulty = self._faulty.get((namespace, group.name)) or _Faulty((), 0, {})
        hits = [fault for fault in faulty.faults if fault.hits(pod, exporting)]
        silence = next((fault.shows_as for fault in hits if fault.kind == "silent"), "")
        if silence:
            return Page(silence=silence)
        page = group.families(pod, loads=loads)
        for fault in hits:
            freezes = fault.kind == "stale" and fault.shows_as != "missing" and not loads
            frozen = faulty.frozen.setdefault(pod.life, page) if freezes else page
            page = distort(fault, _kept(page, frozen, fault), faulty.since_ms)
        if group.load.role(pod.role).kind == "router":
            page += self._second_hand(group, faulty.faults, exporting)
        page = merged(page)
        return Page(stamped(page, wall_ms) if group.load.explicit_timestamps else page)

    def _second_hand(
        self, group: Group, faults: tuple[Fault, ...], exporting: tuple[Pod, ...]
    ) -> tuple[Family, ...]:
        """What a router re-exports of the engines that a fault of mode `router` hits."""
        return tuple(
            family
            for pod in exporting
            if group.load.role(pod.role).kind != "router"
            and any(fault.shows_as == "router" and fault.hits(pod, exporting) for fault in faults)
            for family in reexported(group.families(pod), f"http://{pod.name}:8000")
        )

    def _group(self, key: Key, now: float) -> Group:
        if key not in self._groups:
            self._groups[key] = Group(*key, now)
        return self._groups[key]

    def _tidy(self, key: Key) -> None:
        if key in self._groups and self._groups[key].empty and key not in self._loads | self._faulty.keys():
            del self._groups[key]


def _kept(now: tuple[Family, ...], frozen: tuple[Family, ...], fault: Fault) -> tuple[Family, ...]:
    """The families of now, those the fault names with the samples that froze."""
    old = {family.name: family for family in frozen}
    return tuple(old.get(f.name, f) if fault.names_series(f.name) else f for f in now)
