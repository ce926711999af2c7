"""The client against the fake server: what it sends, what it makes of answers, and that it always ends."""

import asyncio
import json
from pathlib import Path

import pytest

from rbg_autoscaler.kube.client import (
    JSON_PATCH,
    MERGE_PATCH,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KubernetesApi,
    Misconfigured,
    NotFound,
    Throttled,
    Unavailable,
)
from tests.fakes.kube_server import FakeKube, Fault

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ops/leases"
PODS = "/api/v1/namespaces/ops/pods"


@pytest.fixture
async def fake():
    async with FakeKube() as server:
        yield server


@pytest.fixture
async def api(fake, tmp_path):
    client = KubernetesApi(fake.kubeconfig(tmp_path), timeout_seconds=2.0)
    yield client
    await client.close()


async def test_an_object_makes_the_round_trip(api, fake):
    lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}}
    created = await api.request("POST", LEASES, body=lease, query={"fieldManager": "rbg-autoscaler"})
    patched = await api.request(
        "PATCH", f"{LEASES}/leader", body={"spec": {"holderIdentity": "b"}}, content_type=MERGE_PATCH
    )
    guarded = [{"op": "test", "path": "/spec/holderIdentity", "value": "b"}]
    guarded += [{"op": "replace", "path": "/spec/holderIdentity", "value": "c"}]
    await api.request("PATCH", f"{LEASES}/leader", body=guarded, content_type=JSON_PATCH)
    read = await api.request("GET", f"{LEASES}/leader")
    assert (created["metadata"]["generation"], patched["spec"]) == (1, {"holderIdentity": "b"})
    assert read["spec"]["holderIdentity"] == "c"
    assert fake.requests[0].query == {"fieldManager": "rbg-autoscaler"}
    await api.request("DELETE", f"{LEASES}/leader")
    with pytest.raises(NotFound) as caught:
        await api.request("GET", f"{LEASES}/leader")
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")
    assert '"leader" not found' in caught.value.message


async def test_errors_are_typed_by_what_the_caller_does_next(api, fake):
    cases = [
        (400, Invalid),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (422, Invalid),
    ]
    cases += [(500, Unavailable), (503, Unavailable), (504, Unavailable)]
    for status, kind in cases:
        fake.faults.append(Fault(status=status, reason="Because"))
        with pytest.raises(kind) as caught:
            await api.request("GET", LEASES)
        assert (caught.value.status, caught.value.reason) == (status, "Because")
        assert caught.value.message == f"injected {status}"


async def test_throttling_says_how_long_to_wait(api, fake):
    fake.faults += [Fault(status=429, retry_after=7), Fault(status=429)]
    waits = []
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            await api.request("GET", LEASES)
        waits.append(caught.value.retry_after)
    assert waits == [7.0, 1.0]


async def test_nothing_is_retried_behind_the_callers_back(api, fake):
    """A write that was throttled or lost is the next pass's business: it reads first."""
    for fault in (Fault(status=429), Fault(status=503), Fault(drop="after")):
        fake.faults.append(fault)
        before = len(fake.requests)
        with pytest.raises((Throttled, Unavailable)):
            await api.request("PATCH", f"{LEASES}/leader", body={"spec": {}}, content_type=MERGE_PATCH)
        assert len(fake.requests) == before + 1


async def test_a_lost_answer_is_unavailable_though_the_write_was_done(api, fake):
    fake.faults.append(Fault(method="POST", drop="after"))
    with pytest.raises(Unavailable) as caught:
        await api.request("POST", LEASES, body={"metadata": {"name": "leader"}})
    assert (caught.value.status, caught.value.reason) == (0, "Unreachable")
    assert (await api.request("GET", f"{LEASES}/leader"))["metadata"]["name"] == "leader"


async def test_a_server_that_does_not_answer_in_time_is_unavailable(fake, tmp_path):
    api = KubernetesApi(fake.kubeconfig(tmp_path), timeout_seconds=0.1)
    fake.faults.append(Fault(delay=5))
    with pytest.raises(Unavailable) as caught:
        await asyncio.wait_for(api.request("GET", LEASES), 4)
    assert (caught.value.reason, caught.value.message) == ("Timeout", "no answer within 0.1 s")
    await api.close()


async def test_no_server_at_all_is_unavailable(tmp_path):
    async with FakeKube() as gone:
        kubeconfig = gone.kubeconfig(tmp_path)
    api = KubernetesApi(kubeconfig, timeout_seconds=2.0)
    with pytest.raises(Unavailable) as caught:
        await api.request("GET", LEASES)
    assert caught.value.reason == "Unreachable"
    await api.close()


async def test_a_proxy_of_the_environment_does_not_stand_before_this_machine(fake, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    api = KubernetesApi(fake.kubeconfig(tmp_path), timeout_seconds=2.0)
    assert (await api.request("GET", LEASES))["items"] == []
    await api.close()


async def test_an_expired_token_is_read_anew_once(api, fake, tmp_path):
    fake.faults.append(Fault(status=401, reason="Unauthorized"))
    assert (await api.request("GET", LEASES))["items"] == []
    fake.faults += [Fault(status=401, reason="Unauthorized", times=2)]
    with pytest.raises(Forbidden):
        await api.request("GET", LEASES)
    assert len(fake.requests) == 4


@pytest.mark.parametrize("text", ["", "{", "clusters: [", json.dumps({"clusters": []})])
async def test_an_unusable_kubeconfig_is_named(tmp_path, text):
    broken = tmp_path / "kubeconfig"
    broken.write_text(text)
    with pytest.raises(Misconfigured):
        await KubernetesApi(broken).request("GET", LEASES)


async def test_a_missing_kubeconfig_is_named(tmp_path):
    with pytest.raises(Misconfigured):
        await KubernetesApi(tmp_path / "none").request("GET", LEASES)


async def test_in_a_pod_the_service_account_is_used(monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(Misconfigured, match="Service token file does not exist"):
        await KubernetesApi().request("GET", LEASES)


def pods(fake: FakeKube, count: int) -> None:
    for index in range(count):
        fake.put({"kind": "Pod", "metadata": {"namespace": "ops", "name": f"p{index:03}"}, "spec": {}})


async def test_a_list_comes_in_pages_and_whole(api, fake):
    pods(fake, 25)
    listed = await api.list_all(PODS, {"limit": "10"}, lambda pod: pod["metadata"]["name"])
    assert listed.items == [f"p{index:03}" for index in range(25)]
    assert listed.resource_version == str(fake.objects.version)
    assert len(fake.requests) == 3


async def test_a_list_whose_page_token_expires_begins_anew(api, fake):
    pods(fake, 25)
    fake.faults.append(Fault(path="/pods", status=410, reason="Expired"))
    listed = await api.list_all(PODS, {"limit": "10"})
    assert len(listed.items) == 25


async def test_a_list_that_expires_every_time_is_given_up(api, fake):
    fake.faults.append(Fault(path="/pods", status=410, reason="Expired", times=100))
    with pytest.raises(Expired):
        await api.list_all(PODS)
    assert len(fake.requests) == 4


def test_importing_the_client_does_not_load_the_kubernetes_library():
    import subprocess
    import sys

    code = "import sys, rbg_autoscaler.kube.client; sys.exit('kubernetes' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
