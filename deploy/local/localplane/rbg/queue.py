"""A work queue: one worker at a time for a key, queued once, tried again later after a failure."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

from localplane.rbg.store import Key

_LOG = logging.getLogger("rbg")


class RetryError(Exception):
    """The pass could not be finished: try again, later each time."""


class WorkQueue:
    """Runs `reconcile(key)` for every key added. A pass may return seconds after which it wants to run again.

    `delay_seconds` lets a burst of changes become one pass.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[Key], Awaitable[float | None]],
        *,
        delay_seconds: float = 0.0,
        retryable: tuple[type[Exception], ...] = (),
    ) -> None:
        self.name = name
        self.failures = 0
        self._reconcile = reconcile
        self._delay = delay_seconds
        self._retryable: tuple[type[Exception], ...] = (RetryError, *retryable)
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._tries: defaultdict[Key, int] = defaultdict(int)
        self._not_before: dict[Key, float] = {}

    def add(self, key: Key, delay_seconds: float | None = None) -> None:
        """Work on the key after the queue's delay, or after `delay_seconds`."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            delay = self._delay if delay_seconds is None else delay_seconds
            delay = max(delay, self._not_before.pop(key, 0.0) - _now())
            if delay > 0:
                asyncio.get_running_loop().call_later(delay, self._ready.put_nowait, key)
            else:
                self._ready.put_nowait(key)

    def hold(self, key: Key, seconds: float) -> None:
        """Let the next pass of the key start no earlier than this."""
        self._not_before[key] = _now() + seconds

    def later(self, key: Key, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.add, key, 0.0)

    async def work(self) -> None:
        """One worker, for ever."""
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._running.add(key)
            try:
                after = await self._reconcile(key)
            except self._retryable as error:
                self._fail(key, error)
            except Exception as error:
                _LOG.exception("pass of %s %s", self.name, key)
                self._fail(key, error)
            else:
                self._tries.pop(key, None)
                if after is not None:
                    self.later(key, after)
            self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _fail(self, key: Key, error: Exception) -> None:
        self.failures += 1
        tries = self._tries[key]
        self._tries[key] += 1
        seconds = min(0.005 * 2**tries, 300.0)
        _LOG.debug("%s %s again in %.3f s: %s", self.name, key, seconds, error)
        self.later(key, seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()
