"""The fake cluster and Prometheus of the command line's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.world import World, started


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with started(tmp_path) as made:
        yield made


@pytest.fixture
def bare_world(tmp_path: Path) -> Iterator[World]:
    """A cluster that does not know RbgAutoscalers."""
    with started(tmp_path, crd=False) as made:
        yield made
