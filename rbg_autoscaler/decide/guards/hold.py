"""What a guard answers: the number that it lets through, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rbg_autoscaler.decide.progress import Progress


class Hold(NamedTuple):
    """A guard's answer where it has one."""

    replicas: int
    """Between what the role has and what was asked for; `guard.py` brings it onto the gang step."""
    reason: str
    """CamelCase."""
    message: str
    """Without ages and countdowns: it is kept in status, which does not move while nothing happens."""


Guard = Callable[[Progress, int, float], Hold | None]
"""(role, the number asked for, now) -> the number let through, or None where the guard has no objection."""
