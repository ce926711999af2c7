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
        self._due: dict[Key, float] = {}
        self._running: set[Key] = set()
        self._again: dict[Key, float] = {}
        self._tries: defaultdict[Key, int] = defaultdict(int)

    def add(self, key: Key, delay_seconds: float | None = None) -> None:
        """Work on the key after the queue's delay, or after `delay_seconds`; the earliest wish counts."""
        delay = self._delay if delay_seconds is None else delay_seconds
        due = _now() + delay
        if key in self._running:
            self._again[key] = min(due, self._again.get(key, due))
            return
        if self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._fire, key, due)
        else:
            self._ready.put_nowait(key)

    def _fire(self, key: Key, due: float) -> None:
        if self._due.get(key) == due:
            self._ready.put_nowait(key)

    def later(self, key: Key, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.add, key, 0.0)

    async def work(self) -> None:
        """One worker, for ever."""
        while True:
            key = await self._ready.get()
            if self._due.pop(key, None) is None:
                continue
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
                self.add(key, max(self._again.pop(key) - _now(), 0.0))

    def _fail(self, key: Key, error: Exception) -> None:
        self.failures += 1
        tries = self._tries[key]
        self._tries[key] += 1
        seconds = min(0.005 * 2**tries, 300.0)
        _LOG.debug("%s %s again in %.3f s: %s", self.name, key, seconds, error)
        self.later(key, seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()
