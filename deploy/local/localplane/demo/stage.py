"""What of the scenario the view, the lines and the verdict need to know: limits, words and the load planned.

Made from the scenario for the real run, and by hand in tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localplane.demo import scenario
from localplane.demo.scenario import Schedule


@dataclass(frozen=True)
class Actor:
    """A scaled role: between `low` and `high` replicas, each of `gpus` GPUs."""

    name: str
    low: int
    high: int
    gpus: int
    signals: int
    """How many it is scaled by."""
    words: str
    """Its gang and how it is written, for the view."""


@dataclass(frozen=True)
class Stage:
    """The whole."""

    title: str
    load: Schedule
    actors: tuple[Actor, ...]
    units: Mapping[str, str]
    """What a signal counts."""

    @property
    def most_signals(self) -> int:
        return max(actor.signals for actor in self.actors)


def the_stage() -> Stage:
    """That of the scenario."""
    roles = {role.name: role for role in scenario.ROLES}
    actors = []
    for entry in scenario.autoscaler()["spec"]["roles"]:
        role = roles[entry["name"]]
        way = "via scaling adapter" if role.adapter else "via group patch"
        actors.append(
            Actor(
                name=role.name,
                low=entry["minReplicas"],
                high=entry["maxReplicas"],
                gpus=role.pods * role.gpus,
                signals=len(entry["metrics"]),
                words=f"{role.gang}, {way}",
            )
        )
    nodes = scenario.NODES
    return Stage(
        title=f"{scenario.NAMESPACE}/{scenario.GROUP} on {nodes.count} nodes of {nodes.gpus} GPUs",
        load=scenario.LOAD,
        actors=tuple(actors),
        units={signal.name: signal.unit for signal in scenario.SIGNALS},
    )
