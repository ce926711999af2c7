"""The fake API server keeps the contract that tests/cluster/test_fake_is_real.py holds the real one to."""

import pytest

from tests.fakes.kube_contract import *  # noqa: F403
from tests.fakes.kube_server import FakeKube


@pytest.fixture
async def kubeconfig(tmp_path):
    async with FakeKube() as fake:
        yield fake.kubeconfig(tmp_path)


@pytest.fixture
def namespace():
    return "serving"
