"""The real API server keeps the contract of the fake one: what fast tests assume is true."""

import pytest

from tests.fakes.kube_contract import *  # noqa: F403


@pytest.fixture
def kubeconfig(plane):
    return plane.kubeconfig
