"""One real control plane for all cluster tests, and a namespace of its own for each test."""

import itertools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from localplane.kube import Kube, path
from localplane.plane import LocalPlane, PlaneOptions

NUMBERS = itertools.count(1)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def plane() -> Iterator[LocalPlane]:
    """Started by the first test that asks for it: 8 nodes of 8 GPUs, the RBG controller, the engines."""
    rbg = find_spec("localplane.rbg.__main__") is not None
    with LocalPlane.start(PlaneOptions(rbg=rbg)) as plane:
        yield plane


@pytest.fixture
def kube(plane: LocalPlane) -> Iterator[Kube]:
    """The administrator's client, for this test's thread."""
    client = Kube(plane.kubeconfig)
    yield client
    client.close()


@pytest.fixture
def namespace(plane: LocalPlane, kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, named after the test; at the end it is deleted and every process must still live."""
    words = "".join(c if c.isalnum() else "-" for c in request.node.name.removeprefix("test_").lower())
    name = f"t{next(NUMBERS)}-{words[:40]}".rstrip("-")
    kube.create(path("v1", "namespaces"), {"metadata": {"name": name}})
    yield name
    kube.delete(path("v1", "namespaces", name=name))
    plane.check()
