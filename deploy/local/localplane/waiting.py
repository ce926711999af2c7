"""Waiting for other processes: polling with a deadline, and an error that says what did not happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.05


def wait_until(predicate: Callable[[], T], timeout: float, what: str) -> T:
    """Polls until the predicate answers something truthy, and returns that answer.

    Raises:
        TimeoutError: It did not within `timeout` seconds; the message says what was awaited and seen.
    """
    deadline = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}; last seen: {answer!r}")
        time.sleep(POLL_SECONDS)
    return answer
