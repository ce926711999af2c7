"""When a restarted container or a failed pod costs the whole instance, and when the next one may.

The first recreation comes at once; the k-th waits baseDelay * 2^(k-2) seconds since the one before, at most
maxDelay. Until then the instance stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from localplane.rbg.names import Obj
from localplane.rbg.pods import has_failed, restarts
from localplane.rbg.templates import RECREATE


@dataclass(frozen=True)
class Verdict:
    """`recreate` now, or look again in `wait_seconds`; neither means that nothing has happened."""

    recreate: bool = False
    wait_seconds: float = 0.0


def judge(instance: Obj, pods: Iterable[Obj], last_restart: float | None, now: float) -> Verdict:
    """`last_restart` and `now` are seconds of one clock; None if the instance was never recreated."""
    policy = instance["spec"].get("restartPolicyConfig") or {}
    if policy.get("type") != RECREATE:
        return Verdict()
    if not any(has_failed(pod) or restarts(pod) > 0 for pod in pods):
        return Verdict()
    done = int((instance.get("status") or {}).get("restartCount") or 0)
    if done == 0 or last_restart is None:
        return Verdict(recreate=True)
    delay = min(policy["baseDelaySeconds"] * 2 ** (done - 1), policy["maxDelaySeconds"])
    left = last_restart + delay - now
    return Verdict(recreate=True) if left <= 0 else Verdict(wait_seconds=left)
