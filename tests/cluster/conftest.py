"""One real control plane for all cluster tests, and a namespace of its own for each test."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from localplane.build import BuildError, binaries
from localplane.kube import Kube, KubeError, path
from localplane.plane import LocalPlane
from localplane.waiting import wait_until

from tests.cluster.harness import WORKLOADS, Controller

NUMBERS = itertools.count(1)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds what is missing before the tests and their time limits begin, with progress on the terminal."""
    if session.config.option.collectonly or not any(HERE in item.path.parents for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    # A failure is the tests' to report: the fixture meets it again.
    with capture.global_and_fixture_disabled(), suppress(BuildError):
        binaries()


@pytest.fixture(scope="session")
def plane() -> Iterator[LocalPlane]:
    """Started by the first test that asks for it: 8 nodes of 8 GPUs, the RBG controller, the engines."""
    with LocalPlane.start() as plane:
        yield plane


@pytest.fixture
def kube(plane: LocalPlane) -> Iterator[Kube]:
    """The administrator's client, for this test's thread."""
    client = Kube(plane.kubeconfig)
    yield client
    client.close()


@pytest.fixture
def namespace(plane: LocalPlane, kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, named after the test; at the end it and its pods go, and every process still lives.

    The next test finds all nodes free: 64 GPUs are few when the last test's pods still hold them.
    """
    words = "".join(c if c.isalnum() else "-" for c in request.node.name.removeprefix("test_").lower())
    name = f"t{next(NUMBERS)}-{words[:40]}".rstrip("-")
    kube.create(path("v1", "namespaces"), {"metadata": {"name": name}})
    yield name
    clear(kube, name)
    kube.delete(path("v1", "namespaces", name=name))
    plane.check()


def clear(kube: Kube, namespace: str) -> None:
    """Groups first, which would make pods again; the clearing of a namespace pauses for 5 s."""
    pods = path("v1", "pods", namespace)
    for collection in ("rolebasedgroupsets", "rolebasedgroups"):
        for obj in kube.list(path(WORKLOADS, collection, namespace)):
            with suppress(KubeError):
                kube.delete(path(WORKLOADS, collection, namespace, obj["metadata"]["name"]))
    for pod in kube.list(pods):
        with suppress(KubeError):
            kube.delete(path("v1", "pods", namespace, pod["metadata"]["name"]), gracePeriodSeconds="0")
    wait_until(lambda: not kube.list(pods), 60, f"the pods of {namespace} to go")


@pytest.fixture
def controllers(plane: LocalPlane, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Controller]]:
    """Starts replicas of the controller, `controllers("first", **settings)`; at the end they are killed."""
    started: list[Controller] = []

    def start(name: str = "controller", **settings: object) -> Controller:
        started.append(Controller.start(plane, namespace, tmp_path, name, **settings))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
