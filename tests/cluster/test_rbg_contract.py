"""The RBG controller of the plane, ours or a real one, against recordings of the real one.

Every scenario is replayed as it was recorded; what is left out is named, with its reason, and printed.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from contract import coverage, recording
from contract.replay import Outcome, Replay
from contract.watching import Observatory
from localplane.nodes import NodePool
from localplane.plane import LocalPlane
from localplane.rbg.client import Client
from localplane.rbg.webhook import NAMESPACE_LABEL

REAL = bool(os.environ.get("RBG_CONTROLLER"))
SCENARIOS = recording.load() if recording.FILE.exists() else {}
FULL_CLUSTER = ("s06j", "s06l", "s06m", "s06n", "s10", "s10b")
"""Need exactly 8 nodes of 8 GPUs for themselves."""
ALONE = ("s04",)
"""Stops the controller that the others need."""
ATTEMPTS = 3
"""The recordings hold moments of tens of milliseconds, which a busy machine misses: a scenario that differs
is replayed again, by itself; one that the controller really plays otherwise differs each time."""
AT_ONCE = int(os.environ.get("RBG_CONTRACT_AT_ONCE", "4"))
ROOMY = NodePool("contract", gpus=512)

pytestmark = [
    pytest.mark.skipif(not SCENARIOS, reason=f"no recordings at {recording.FILE}"),
    pytest.mark.timeout(1200),
]


def not_covered() -> dict[str, str]:
    reasons = dict(coverage.NOT_COVERED)
    if REAL:
        why = "the controller under test runs with --enable-webhooks=none"
        reasons |= {name: why for name in SCENARIOS if name.startswith("w") and name not in reasons}
    return reasons


@dataclass(frozen=True)
class PlaneController:
    plane: LocalPlane

    def kill(self) -> None:
        self.plane.kill("rbg")

    def restart(self) -> None:
        self.plane.restart("rbg")


@pytest.fixture(scope="module")
def outcomes(plane: LocalPlane, request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """All selected scenarios, several at a time."""
    chosen = selected(request)
    wanted = [name for name in SCENARIOS if name in chosen and name not in not_covered()]
    return asyncio.run(replay_all(plane, wanted))


def selected(request: pytest.FixtureRequest) -> set[str]:
    """The scenarios of this run: all, or those that were picked on the command line."""
    items = [item for item in request.session.items if hasattr(item, "callspec")]
    return {item.callspec.params["name"] for item in items if "name" in item.callspec.params}


async def replay_all(plane: LocalPlane, names: list[str]) -> dict[str, Outcome]:
    results: dict[str, Outcome] = {}
    turn = asyncio.Semaphore(AT_ONCE)
    async with Client(plane.kubeconfig) as client:
        observatory = Observatory()
        watches = observatory.watch(client)
        await asyncio.wait_for(observatory.synced(), 60)
        pools = [ROOMY, *(NodePool(f"contract-{name}") for name in names if name in FULL_CLUSTER)]
        async with nodes(client, pools):

            async def one(name: str, attempt: int = 1) -> None:
                pool = f"contract-{name}" if name in FULL_CLUSTER else ROOMY.name
                async with turn, namespace(client, name) as space:
                    controller = PlaneController(plane)
                    replay = Replay(client, observatory, SCENARIOS[name], space, pool, controller)
                    try:
                        results[name] = await replay.run()
                    except Exception as error:
                        replay.outcome.problems.append(f"{name} broke off: {error!r}")
                        results[name] = replay.outcome
                    results[name].attempts = attempt

            await asyncio.gather(*(one(name) for name in names if name not in ALONE))
            for name in (n for n in names if n in ALONE):
                await one(name)
            for attempt in range(2, ATTEMPTS + 1):
                for name in [n for n in names if results[n].problems]:
                    await one(name, attempt)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
    return results


@asynccontextmanager
async def nodes(client: Client, pools: list[NodePool]) -> AsyncIterator[None]:
    """Nodes of the replay's own, closed to everybody else's pods."""
    made = []
    for pool in pools:
        for number in range(pool.count):
            node = pool.node(number)
            node["spec"]["taints"].append({"key": "contract", "effect": "NoSchedule"})
            await client.call("POST", "/api/v1/nodes", node)
            made.append(node["metadata"]["name"])
    try:
        yield
    finally:
        for name in made:
            await client.call("DELETE", f"/api/v1/nodes/{name}")


@asynccontextmanager
async def namespace(client: Client, name: str) -> AsyncIterator[str]:
    space = f"contract-{name}-{secrets.token_hex(2)}"
    labels = {NAMESPACE_LABEL: "enabled"} if name.startswith("w") else {}
    await client.call("POST", "/api/v1/namespaces", {"metadata": {"name": space, "labels": labels}})
    try:
        yield space
    finally:
        if name == "s15":
            crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await client.answer("DELETE", f"{crds}/podgroups.scheduling.x-k8s.io")
        await client.answer("DELETE", f"/api/v1/namespaces/{space}")


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, request: pytest.FixtureRequest) -> None:
    reason = not_covered().get(name)
    if reason:
        pytest.skip(f"{SCENARIOS[name].id} not covered: {reason}")
    outcome = request.getfixturevalue("outcomes")[name]
    assert outcome.compared, "nothing was compared"
    assert not outcome.problems, "\n".join(outcome.problems)


def test_every_scenario_is_accounted_for(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """Prints what was replayed whole, in part and not at all; nothing may be missing from that list."""
    known = set(coverage.NOT_COVERED) | set(coverage.SKIPPED_STEPS) | set(coverage.VARIES)
    assert known <= set(SCENARIOS)
    with capsys.disabled():
        print("\n" + "\n".join(report(outcomes)))
    missing = selected(request) - set(outcomes) - set(not_covered())
    assert not missing


def report(outcomes: dict[str, Outcome]) -> list[str]:
    lines = ["RBG contract:"]
    for name, scenario in SCENARIOS.items():
        if name in not_covered():
            lines.append(f"  {scenario.id}: not covered: {not_covered()[name]}")
        elif name in outcomes:
            outcome = outcomes[name]
            part = f", without {'; '.join(outcome.skipped)}" if outcome.skipped else ""
            if outcome.attempts > 1:
                part += f", at attempt {outcome.attempts}"
            races = coverage.VARIES.get(name, {})
            part += "".join(f", {' '.join(track)} by its end only ({why})" for track, why in races.items())
            lines.append(f"  {scenario.id}: {outcome.compared} facts compared{part}")
    lines += [f"  nowhere compared: {what}: {why}" for what, why in coverage.UNCOMPARED_FIELDS.items()]
    lines += [f"  event {what}: {why}" for what, why in coverage.UNCOMPARED_EVENTS.items()]
    return lines
