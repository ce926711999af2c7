"""Child processes that never outlive this one, even when it is killed with -9, and that fail with last words.

The kernel ties the death signal to the parent *thread*, so one thread that lives as long as the process
starts every child, whichever thread asks for it.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import requests

from localplane.waiting import wait_until

_LAUNCHER = Path(__file__).with_name("_launch.py")
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="localplane-spawner")

LOG_TAIL_LINES = 15


class ProcessError(Exception):
    """A child ended or did not become healthy; the message names it and ends with its last log lines."""


@dataclass(frozen=True)
class Probe:
    """An HTTP(S) URL that answers 200 once the process is healthy."""

    url: str
    ca: Path | None = None
    token: str | None = None

    def healthy(self) -> bool:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        verify: str | bool = str(self.ca) if self.ca else True
        try:
            return requests.get(self.url, headers=headers, verify=verify, timeout=1.0).status_code == 200
        except requests.RequestException:
            return False


@dataclass
class Process:
    """One program with its command line; it can be killed and started again as the same thing."""

    name: str
    argv: Sequence[str]
    log: Path
    probe: Probe | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int:
        """Process id of the child.

        Raises:
            ProcessError: It was not started, or it was killed.
        """
        if self._child is None:
            raise ProcessError(f"{self.name} is not running")
        return self._child.pid

    @property
    def started(self) -> bool:
        """Whether it ought to run: started, and not killed by us since."""
        return self._child is not None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Starts the child; its output is appended to the log."""
        if self.alive:
            raise ProcessError(f"{self.name} is running already")
        self._child = _SPAWNER.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        launch = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*launch, *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                # Ctrl-C in the terminal is for the parent, which then stops its children in order.
                start_new_session=True,
            )

    def wait_healthy(self, timeout_seconds: float) -> None:
        """Returns once the probe answers; without a probe at once.

        Raises:
            ProcessError: The process ended, or the time is over.
        """
        if self.probe is None:
            return
        try:
            wait_until(self._healthy, timeout_seconds, f"{self.name} to be healthy at {self.probe.url}")
        except TimeoutError as error:
            raise ProcessError(f"{error}.{self._last_words()}") from error

    def _healthy(self) -> bool:
        self.check()
        return self.probe is None or self.probe.healthy()

    def check(self) -> None:
        """Raises `ProcessError` unless the process runs."""
        if not self.alive:
            code = self._child.returncode if self._child else None
            raise ProcessError(f"{self.name} ended with code {code}.{self._last_words()}")

    def kill(self) -> None:
        """Kills it with -9 and reaps it: its data is thrown away, so there is nothing to close."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def pause(self) -> None:
        """Freezes it: connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        tail = "".join(f"\n  {line}" for line in lines[-LOG_TAIL_LINES:])
        return f" The last lines of {self.log}:{tail}" if tail else " It logged nothing."


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different.

    They lie below the range that the kernel gives to outgoing connections (from 32768): there a port may be
    taken by a client between this call and the server's bind, or while a server is down to be restarted.
    """
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            port = random.randrange(20000, 32000)
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    return ports
