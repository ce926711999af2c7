"""Replays one scenario: the recorded actions at their pace, then what was recorded against what is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract import notes, samples
from contract.coverage import FULL_PACE, GENERATIONS_VARY, SKIPPED_STEPS
from contract.digest import differences, digest
from contract.recording import Phase, Scenario, Step
from contract.requests import W, local_body, local_path, local_text
from contract.timeline import compare
from contract.watching import Observatory
from localplane.rbg.client import Client

Obj = dict[str, Any]

SETTLE_SECONDS = 20.0
"""How much later than recorded a state may be reached, on a busy machine."""
QUIET_SECONDS = 1.5
"""How long to go on watching after the last recorded change of a phase."""
CREATION_SECONDS = 3.0
"""How long creations take whose changes were not kept in the recording."""


class ControllerHandle(Protocol):
    """Stops and starts the controller under test."""

    def kill(self) -> None: ...

    def restart(self) -> None: ...


@dataclass
class Outcome:
    """What came of a scenario: `problems` are differences, `skipped` says what was left out and why."""

    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    compared: int = 0
    attempts: int = 1


class Replay:
    """One scenario in one namespace. `pool` names the nodes that its pods run on."""

    def __init__(
        self,
        client: Client,
        observatory: Observatory,
        scenario: Scenario,
        namespace: str,
        pool: str,
        controller: ControllerHandle,
    ) -> None:
        self.client = client
        self.observatory = observatory
        self.scenario = scenario
        self.id = scenario.id.split("_")[0]
        self.namespace = namespace
        self.pool = pool
        self.controller = controller
        reasons = SKIPPED_STEPS.get(self.id, {})
        self.outcome = Outcome(skipped=[f"step {index}: {why}" for index, why in reasons.items()])
        self.pods_before: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    async def run(self) -> Outcome:
        phases = self.scenario.phases
        for number, phase in enumerate(phases):
            values = len(self.observatory.values[self.namespace])
            events = len(self.observatory.events[self.namespace])
            await self._act(phase)
            following = phases[number + 1].start if number + 1 < len(phases) else None
            await self._pause(phase, following)

            def problems(phase: Phase = phase, values: int = values, events: int = events) -> list[str]:
                seen = self.observatory.values[self.namespace][values:]
                return compare(self, phase, seen, self.observatory.events[self.namespace][events:])

            await self.until(lambda: not problems(), SETTLE_SECONDS)
            where = f"{self.id} after step {phase.steps[-1]}"
            self.outcome.compared += len(phase.values)
            self.outcome.problems += [f"{where}: {problem}" for problem in problems()]
        if self.id == "s01":
            self.outcome.problems += await samples.compare(self)
        return self.outcome

    async def _act(self, phase: Phase) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for index in phase.steps:
            step = self.scenario.steps[index]
            await asyncio.sleep(max(0.0, step.t - phase.start - (loop.time() - began)))
            if step.verb is not None:
                await self._request(index, step)
            elif not await notes.perform(self, step):
                self.outcome.problems.append(f"step {index}: no replay for {step.note!r}")

    async def _pause(self, phase: Phase, following: float | None) -> None:
        """The recorded pause, shortened where nothing was recorded in its rest."""
        last = self.scenario.steps[phase.steps[-1]].t
        pause = max(phase.last_seen - last, 0.0) + QUIET_SECONDS
        if following is not None:
            pause = following - last if self.id in FULL_PACE else min(pause, following - last)
        if not phase.values and following is not None and self._creates(phase):
            pause = 0.3
            await asyncio.sleep(min(following - last, CREATION_SECONDS))
            await self.until(self.groups_ready, SETTLE_SECONDS)
        await asyncio.sleep(pause)

    async def until(self, reached: Callable[[], bool], seconds: float, every: float = 0.1) -> None:
        """Polls; whether it was reached is for the comparison to say."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not reached() and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(every)

    def _creates(self, phase: Phase) -> bool:
        return any(
            self.scenario.steps[i].verb == "POST"
            or self.scenario.steps[i].action.get("content-type", "").startswith("application/apply")
            for i in phase.steps
        )

    def groups_ready(self) -> bool:
        store = self.observatory.stores["rbg"]
        groups = store.in_namespace(self.namespace)
        ready = [
            c["status"] == "True" for g in groups for c in (g.get("status") or {}).get("conditions") or []
        ]
        return bool(groups) and len(ready) == len(groups) and all(ready)

    async def _request(self, index: int, step: Step) -> None:
        action = step.action
        path = local_path(action["path"], self.scenario.namespace, self.namespace)
        target = path.split("?")[0].removesuffix("/scale")
        body = await self._body(action.get("body"), target, step)
        content_type = action.get("content-type", "application/json")
        code, answer = await self.client.answer(str(step.verb), path, body, content_type=content_type)
        where = f"{self.id} step {index} {step.verb} {action['path']}"
        recorded = step.response
        if code != recorded["code"]:
            text = answer.get("message", "")
            self.outcome.problems.append(f"{where}: recorded code {recorded['code']}, now {code} {text}")
            return
        expected = local_text(recorded.get("body"), self.scenario.namespace, self.namespace)
        if not isinstance(expected, dict):
            return
        expected = dict(expected)
        expected.pop("metadata", None)
        if self.id in GENERATIONS_VARY:
            expected = {k: v for k, v in expected.items() if k not in ("generation", "observedGeneration")}
        self.outcome.compared += 1
        self.outcome.problems += [f"{where}: {d}" for d in differences(expected, digest(expected, answer))]

    async def _body(self, body: Any, target: str, step: Step) -> Any:
        if isinstance(body, str):
            _, live = await self.client.answer("GET", target)
            del live["spec"]["roles"][0]["replicas"]
            return live
        uid = None
        if body is not None and "<uid>" in str(body):
            _, live = await self.client.answer("GET", target)
            uid = live.get("metadata", {}).get("uid")
        made = local_body(body, self.namespace, uid, self.pool)
        if "roleInstanceToDelete" in str(body):
            # Its recorded name is random.
            victim = (await self.listed("roleinstances"))[0]["metadata"]["name"]
            made["spec"]["scaleStrategy"]["roleInstanceToDelete"] = [victim]
        if isinstance(made, dict) and "resourceVersion" in made.get("metadata", {}):
            metadata = made["metadata"]
            metadata["resourceVersion"] = await self._version(metadata["resourceVersion"], target, step)
            metadata.pop("creationTimestamp", None)
        return made

    async def _version(self, recorded: str, target: str, step: Step) -> str:
        """A version first used successfully is the current one; used again it is as old as it was."""
        if recorded not in self._versions:
            _, live = await self.client.answer("GET", target)
            current = live["metadata"]["resourceVersion"]
            self._versions[recorded] = "1" if step.response["code"] == 409 else current
        return self._versions[recorded]

    async def listed(self, plural: str, core: bool = False) -> list[Obj]:
        """All objects of a kind in the replay's namespace."""
        root = f"/api/v1/namespaces/{self.namespace}" if core else f"{W}/{self.namespace}"
        _, answer = await self.client.answer("GET", f"{root}/{plural}")
        return list(answer.get("items") or [])
