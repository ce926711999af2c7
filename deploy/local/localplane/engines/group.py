"""One group in time: its load, its pods, the state of its roles and what each pod has counted.

Time comes in as an argument and only moves forward, in whole steps of the model; what changes (pods, load)
changes at the moment it is told, after the model has been moved up to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from localplane.engines.catalogue import Source, families
from localplane.engines.exposition import Family
from localplane.engines.load import Load, RoleSpec
from localplane.engines.model import STEP_S, Flow, RoleState, Work, exits, step_group
from localplane.engines.pods import Instance, Pod, instances
from localplane.engines.readings import BLOCK_TOKENS, Counters, Reading, read
from localplane.engines.tables import ENGINES
from localplane.engines.view import GroupView, RoleView, role_view

_ENGINE_TYPES = {"prefill": "prefill", "decode": "decode", "aggregated": "unified"}
_WORKER_TYPES = {"prefill": "prefill", "decode": "decode", "aggregated": "aggregated"}


class Group:
    """The engines of one (namespace, group). Times are seconds of any clock that only moves forward."""

    def __init__(self, namespace: str, name: str, now: float) -> None:
        self.namespace = namespace
        self.name = name
        self.load = Load()
        self._load_set_at = now
        self._origin = now
        self._steps = 0
        self._pods: dict[str, Pod] = {}
        self._instances: tuple[Instance, ...] = ()
        self._states: dict[str, RoleState] = {}
        self._flows: dict[str, Flow] = {}
        self._totals: dict[str, Counter[str]] = {}
        self._counters: dict[str, Counters] = {}

    @property
    def empty(self) -> bool:
        """No pods: nothing is left of the group but its load."""
        return not self._pods

    @property
    def pods(self) -> Mapping[str, Pod]:
        """The group's pods by name."""
        return self._pods

    @property
    def specs(self) -> dict[str, RoleSpec]:
        """Every role that the load or a pod names."""
        names = sorted({*self.load.roles, *(instance.role for instance in self._instances)})
        return {name: self.load.role(name) for name in names}

    def set_load(self, load: Load, now: float) -> None:
        """Offer another load from now on; what waits and runs stays."""
        self.advance(now)
        self.load, self._load_set_at = load, now

    def set_pods(self, pods: Mapping[str, Pod], now: float) -> None:
        """The group's pods from now on, by name. A pod that is gone takes its counters with it."""
        self.advance(now)
        self._pods = dict(pods)
        self._instances = instances(pods.values())
        alive = {pod.life for pod in pods.values()}
        self._counters = {life: counters for life, counters in self._counters.items() if life in alive}

    def clear_work(self) -> None:
        """Forget what waits and runs, as when all clients hang up."""
        self._states = {}

    def advance(self, now: float) -> None:
        """Move the model up to `now`, in whole steps; a `now` that is past already changes nothing."""
        target = int((now - self._origin) / STEP_S + 1e-6)
        while self._steps < target:
            self._step(self._origin + self._steps * STEP_S)
            self._steps += 1

    def _step(self, at: float) -> None:
        specs = self.specs
        rate = self.load.rate_at(max(0.0, at - self._load_set_at))
        requests = rate * STEP_S
        prompts = requests * self.load.prompt_tokens
        offered = Work(
            requests, prompts, prompts * (1 - self.load.prefix_hit_rate), requests * self.load.output_tokens
        )
        ready = {name: len(self.serving(name)) for name in specs}
        self._states, self._flows = step_group(specs, self._states, ready, offered)
        for name, flow in self._flows.items():
            totals = self._totals.setdefault(name, Counter())
            totals["served"] += flow.finished.requests  # type: ignore[assignment]
            totals["dropped"] += flow.dropped_requests  # type: ignore[assignment]
            totals["preempted"] += flow.preempted_requests  # type: ignore[assignment]
            for instance, share in self.shares(name).items():
                self._counters.setdefault(instance.leader.life, Counters()).add(specs[name], flow, share)

    def serving(self, role: str) -> tuple[Instance, ...]:
        """The role's instances that take work, in natural order of name."""
        return tuple(i for i in self._instances if i.role == role and i.serving)

    def shares(self, role: str) -> dict[Instance, float]:
        """Each serving instance's part of the role's work; the parts add up to 1."""
        serving = self.serving(role)
        count, skew = len(serving), self.load.role(role).skew
        slope = 2 * skew / (count - 1) if count > 1 else 0.0
        return {instance: (1 + slope * (i - (count - 1) / 2)) / count for i, instance in enumerate(serving)}

    def exporting(self) -> tuple[Pod, ...]:
        """Pods that answer a scrape: running ones, of multi-pod instances the leader unless all are to."""
        return tuple(
            pod
            for instance in self._instances
            for pod in (
                instance.pods if self.load.role(instance.role).export_all_pods else (instance.leader,)
            )
            if pod.running
        )

    def families(self, pod: Pod, *, loads: bool = False) -> tuple[Family, ...]:
        """What an exporting pod's engine says now; `loads` asks for its second page."""
        instance = next(i for i in self._instances if pod in i.pods)
        kind = self.load.role(pod.role).kind
        own = self._source(instance)
        workers = (
            tuple(
                self._source(i)
                for i in self._instances
                if self.load.role(i.role).kind != "router" and i.leader.running
            )
            if kind == "router"
            else ()
        )
        names = [self.load.engine]
        if self.load.engine == "dynamo" and kind != "router":
            names.append(self.load.backend or "vllm")
        pages = (loads,) if loads or not self.load.loads_on_page else (False, True)
        return tuple(
            family
            for name in names
            for page in pages
            for family in families(ENGINES[name], self._version(name), kind, own, workers, loads=page)
        )

    def _version(self, engine: str) -> str:
        given = self.load.version if engine == self.load.engine else ""
        return given or ENGINES[engine].latest

    def _source(self, instance: Instance) -> Source:
        spec = self.load.role(instance.role)
        ranks = spec.dp_ranks if spec.kind != "router" else 1
        facts = {
            "model": self.load.model_name,
            "group": self.name,
            "worker": instance.name,
            "engine_type": _ENGINE_TYPES.get(spec.kind, ""),
            "worker_type": _WORKER_TYPES.get(spec.kind, ""),
            "block_tokens": str(BLOCK_TOKENS),
        }
        rank = self._reading(instance, 1 / ranks)
        return Source(facts, self._reading(instance, 1.0), (rank,) * ranks, spec.tp_ranks)

    def _reading(self, instance: Instance, part: float) -> Reading:
        role = instance.role
        counters = self._counters.get(instance.leader.life) or Counters()
        share = self.shares(role).get(instance, 0.0)
        state, flow = self._states.get(role, RoleState()), self._flows.get(role, Flow())
        reading = read(self.load.role(role), state, flow, share * part, part, counters)
        return Reading({**reading.values, "unplaced": self._unplaced()}, reading.histograms, part)

    def _unplaced(self) -> float:
        """Requests that wait where no instance serves: only a router can know of them."""
        return float(
            round(
                sum(
                    state.waiting.requests
                    for role, state in self._states.items()
                    if self.load.role(role).kind != "router" and not self.serving(role)
                )
            )
        )

    def view(self, now: float) -> GroupView:
        """The state of the model, moved up to `now`."""
        self.advance(now)
        exporting = Counter(pod.role for pod in self.exporting())
        roles: dict[str, RoleView] = {
            name: role_view(
                spec,
                self._states.get(name, RoleState()),
                self._flows.get(name, Flow()),
                self._totals.get(name, Counter()),
                len(self.serving(name)),
                exporting[name],
            )
            for name, spec in self.specs.items()
        }
        return GroupView(
            namespace=self.namespace,
            group=self.name,
            engine=self.load.engine,
            version=self._version(self.load.engine),
            at_s=now - self._load_set_at,
            offered_requests_per_s=self.load.rate_at(max(0.0, now - self._load_set_at)),
            served_requests=sum(roles[name].served_requests for name in exits(self.specs)),
            dropped_requests=sum(role.dropped_requests for role in roles.values() if role.kind != "router"),
            roles=roles,
        )
