"""What the tests of the played engines share: pods, a fleet of one group, and reading a page back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from localplane.engines.exposition import render
from localplane.engines.fleet import Fleet
from localplane.engines.parse import parse_faults, parse_load
from localplane.engines.pods import Pod
from localplane.engines.view import GroupView
from prometheus_client.parser import text_string_to_metric_families

NAMESPACE, GROUP = "serving", "deepseek"

Page = dict[tuple[str, frozenset[tuple[str, str]]], float]


def pod(role: str, ordinal: int, *, life: str = "", **facts: Any) -> Pod:
    """A ready standalone pod, the only one of its instance."""
    name = f"{GROUP}-{role}-{ordinal}"
    return Pod(NAMESPACE, name, life or f"uid-{name}/0", GROUP, role, name, component=role, **facts)


def gang(role: str, ordinal: int, size: int, **facts: Any) -> list[Pod]:
    """A ready leader-worker instance of `size` pods."""
    instance = pod(role, ordinal)
    return [
        replace(
            instance,
            name=f"{instance.name}-{k}",
            life=f"uid-{instance.name}-{k}/0",
            component="leader" if k == 0 else "worker",
            ordinal=str(k),
            **facts,
        )
        for k in range(size)
    ]


@dataclass
class World:
    """One group in a fleet whose clock stands still until a test moves it."""

    fleet: Fleet
    now: float = 0.0

    def pods(self, *pods: Pod) -> None:
        self.fleet.replace_pods(pods, self.now)

    def load(self, **load: Any) -> None:
        self.fleet.set_load(NAMESPACE, GROUP, parse_load(load), self.now)

    def fault(self, *faults: dict[str, Any], wall_ms: int = 0) -> None:
        self.fleet.set_faults(NAMESPACE, GROUP, parse_faults({"faults": list(faults)}), self.now, wall_ms)

    def at(self, now: float) -> GroupView:
        self.now = now
        view = self.fleet.view(NAMESPACE, GROUP, now)
        assert view is not None
        return view

    def text(self, name: str, *, loads: bool = False) -> str:
        page = self.fleet.page(NAMESPACE, name, self.now, loads=loads)
        assert page is not None
        assert not page.silence
        return render(page.families)

    def page(self, name: str, *, loads: bool = False) -> Page:
        return samples(self.text(name, loads=loads))

    def value(self, name: str, series: str, **labels: str) -> float:
        """The sum over the samples of a series that carry these labels; a test that names none fails."""
        found = [
            value
            for (sample, own), value in self.page(name).items()
            if sample == series and set(labels.items()) <= own
        ]
        assert found, f"{name} exports no {series}{labels}"
        return sum(found)


def samples(text: str) -> Page:
    """Samples by name and labels, as Prometheus's own parser reads them; a name twice is an error."""
    found: Page = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def world() -> World:
    return World(Fleet())
