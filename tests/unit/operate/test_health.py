"""The health routes over HTTP, with the clocks of the loop and of the elector stopped by the test."""

from dataclasses import dataclass

import aiohttp
import pytest

from rbg_autoscaler.observe.sources import SourceSettings
from rbg_autoscaler.operate import health
from rbg_autoscaler.operate.run import _alive
from rbg_autoscaler.operate.settings import LeaseSettings, Settings
from rbg_autoscaler.operate.telemetry import Telemetry

SOURCES = {"default": SourceSettings(url="http://127.0.0.1:9090")}


@dataclass
class Clock:
    """The loop and the elector last came round at 0 s unless told otherwise."""

    now: float = 0.0
    last_tick_at: float = 0.0
    last_round_at: float = 0.0
    filled: bool = True

    def __call__(self) -> float:
        return self.now

    def seconds_since_round(self) -> float:
        return self.now - self.last_round_at


@pytest.fixture
async def served():
    """Asks a route of a server over `checks`; returns status and text."""
    runners = []

    async def ask(route, alive=(), ready=()):
        runner, port = await health.serve("127.0.0.1", 0, Telemetry().registry, alive, ready)
        runners.append(runner)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/{route}") as answer,
        ):
            return answer.status, await answer.text()

    yield ask
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("period", "now", "tick", "round_at", "says"),
    [
        (5, 60, 0, 60, None),
        (5, 61, 0, 61, "loop: no turn for 61 s"),
        (5, 61, 40, 61, None),
        (30, 180, 0, 180, None),
        (30, 181, 0, 181, "loop: no turn for 181 s"),  # six periods are longer than a minute
        (5, 31, 31, 0, "lease: no round for 31 s"),  # twice a lease of 15 s
    ],
)
async def test_alive_while_loop_and_elector_come_round(served, period, now, tick, round_at, says):
    clock = Clock(now, tick, round_at)
    settings = Settings(sources=SOURCES, sync_period_seconds=period, lease=LeaseSettings(duration_seconds=15))
    status, text = await served("healthz", alive=_alive(settings, clock, clock, clock, clock))
    assert status == (503 if says else 200)
    assert (says or "loop: ok") in text


async def test_a_replica_without_caches_is_alive_though_it_does_not_try_to_lead(served):
    clock = Clock(now=50, last_tick_at=50, filled=False)
    status, _ = await served("healthz", alive=_alive(Settings(sources=SOURCES), clock, clock, clock, clock))
    assert status == 200


async def test_not_ready_while_one_check_has_a_problem_and_the_answer_names_it(served):
    checks = [health.Check("caches", lambda: "still being filled"), health.Check("other", lambda: None)]
    assert await served("readyz", ready=checks) == (503, "caches: still being filled\nother: ok\n")
    assert await served("readyz", ready=checks[1:]) == (200, "other: ok\n")


async def test_metrics_are_there_before_the_first_sync_and_nothing_else_is_served(served):
    status, text = await served("metrics")
    assert status == 200
    assert "rbg_autoscaler_leader 0.0" in text
    assert (await served("debug"))[0] == 404
