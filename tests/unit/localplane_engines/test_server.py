"""The exporter over HTTP, and its client: status codes, content type, and the state both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import requests
from aiohttp.test_utils import TestServer
from localplane.engines.client import EnginesClient, EnginesError
from localplane.engines.exposition import CONTENT_TYPE
from localplane.engines.server import application

from .world import GROUP, NAMESPACE, World, pod, samples, world

T = TypeVar("T")
POD = "deepseek-prefill-0"


@dataclass
class Served:
    """A world behind HTTP. The client blocks, so it runs beside the loop that serves it."""

    world: World
    url: str
    client: EnginesClient
    known: list[bool]
    """One bool: whether the exporter knows the pods."""

    async def do(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await asyncio.to_thread(call, *args, **kwargs)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    group = world()
    group.pods(pod("prefill", 0), pod("decode", 0))
    known: list[bool] = [True]
    server = TestServer(application(group.fleet, lambda: group.now, lambda: known[0]))
    await server.start_server()
    url = str(server.make_url("/"))
    client = EnginesClient(url)
    yield Served(group, url, client, known)
    client.close()
    await server.close()


async def test_a_page_has_the_content_type_of_the_text_format(served: Served) -> None:
    answer = await served.do(requests.get, f"{served.url}pods/{NAMESPACE}/{POD}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert samples(answer.text)


async def test_a_load_is_set_read_and_taken_away(served: Served) -> None:
    client, roles = served.client, {"prefill": {"tokens_per_s": 10_000}}
    set_ = await served.do(
        client.set_load, NAMESPACE, GROUP, requests_per_s=15, prompt_tokens=1000, roles=roles
    )
    assert set_.offered_requests_per_s == 15
    served.world.now = 10
    state = await served.do(client.state, NAMESPACE, GROUP)
    assert state == served.world.at(10)
    assert state.roles["prefill"].waiting_requests == pytest.approx(50)
    assert state.roles["prefill"].ttft_s == pytest.approx(5.1)
    await served.do(client.clear_load, NAMESPACE, GROUP)
    await served.do(client.clear_load, NAMESPACE, GROUP)
    assert (await served.do(client.state, NAMESPACE, GROUP)).roles["prefill"].waiting_requests == 0


async def test_a_schedule_goes_through(served: Served) -> None:
    await served.do(served.client.set_load, NAMESPACE, GROUP, schedule=[(10, 20)])
    served.world.now = 5
    assert (await served.do(served.client.state, NAMESPACE, GROUP)).offered_requests_per_s == 10


async def test_a_refusal_is_a_400_with_a_sentence_that_names_the_field(served: Served) -> None:
    with pytest.raises(EnginesError, match=r"^rate: unknown field; known are engine") as caught:
        await served.do(served.client.set_load, NAMESPACE, GROUP, rate=3)
    assert caught.value.status == 400
    answer = await served.do(requests.put, f"{served.url}load/{NAMESPACE}/{GROUP}", data="{")
    assert answer.status_code == 400
    assert answer.json()["field"] == "body"


async def test_what_does_not_exist_is_a_404(served: Served) -> None:
    with pytest.raises(EnginesError) as caught:
        await served.do(served.client.state, NAMESPACE, "nobody")
    assert caught.value.status == 404
    with pytest.raises(EnginesError) as caught:
        await served.do(served.client.page, NAMESPACE, "nobody-0")
    assert caught.value.status == 404


async def test_faults_are_set_listed_and_ended(served: Served) -> None:
    client = served.client
    await served.do(client.set_fault, NAMESPACE, GROUP, "silent", role="prefill")
    with pytest.raises(EnginesError) as caught:
        await served.do(client.page, NAMESPACE, POD)
    assert caught.value.status == 503
    listed = (await served.do(requests.get, f"{served.url}faults/{NAMESPACE}/{GROUP}")).json()["faults"]
    assert [(fault["kind"], fault["role"]) for fault in listed] == [("silent", "prefill")]
    await served.do(client.clear_faults, NAMESPACE, GROUP)
    await served.do(client.clear_faults, NAMESPACE, GROUP)
    assert samples(await served.do(client.page, NAMESPACE, POD))


async def test_a_cut_connection_gives_no_answer(served: Served) -> None:
    await served.do(served.client.set_fault, NAMESPACE, GROUP, "silent", mode="close")
    with pytest.raises(requests.ConnectionError):
        await served.do(served.client.page, NAMESPACE, POD)


async def test_a_hanging_engine_outlasts_the_client(served: Served) -> None:
    await served.do(served.client.set_fault, NAMESPACE, GROUP, "silent", mode="hang")
    with pytest.raises(requests.Timeout):
        await served.do(requests.get, f"{served.url}pods/{NAMESPACE}/{POD}", timeout=0.1)


async def test_health_is_knowing_the_pods(served: Served) -> None:
    assert await served.do(served.client.healthy)
    served.known[0] = False
    assert not await served.do(served.client.healthy)
