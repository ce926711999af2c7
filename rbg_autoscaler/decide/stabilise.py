"""Stage 3, stabilise: a role moves only as far as the recommendations of the recent past agree.

Without `behavior` only decreases wait (HPA's downscale stabilisation); with it both directions have a window.
Recommendations are logged raw, never as stabilised or limited.
"""

from __future__ import annotations

from operator import attrgetter

from rbg_autoscaler.decide.memory import Recommendation

Log = tuple[Recommendation, ...]


def stabilise_legacy(log: Log, desired: int, now: float, window_seconds: float) -> int:
    """The largest of `desired` and all recommendations whose age is at most the window (<=)."""
    for recommendation in log:
        if recommendation.replicas > desired and now - recommendation.at <= window_seconds:
            desired = recommendation.replicas
    return desired


def stabilise_behavior(
    log: Log, requested: int, desired: int, now: float, up_seconds: float, down_seconds: float
) -> int:
    """As near to `desired` as the envelopes of both windows (age < window) allow.

    Recommendations 6 and 7 within the up window let 5 grow to 6 only, though 8 is asked for.
    """
    lowest = highest = desired
    for recommendation in log:
        age = now - recommendation.at
        if recommendation.replicas < lowest and age < up_seconds:
            lowest = recommendation.replicas
        if recommendation.replicas > highest and age < down_seconds:
            highest = recommendation.replicas
    return min(max(requested, lowest), highest)


def remember(log: Log, replicas: int, now: float, keep_seconds: float) -> Log:
    """The log with one more recommendation, in the place of the last entry older than `keep_seconds`, if any.

    `keep_seconds` is the longer of the two windows.
    """
    new = Recommendation(now, replicas)
    for index in range(len(log) - 1, -1, -1):
        if now - log[index].at > keep_seconds:
            return (*log[:index], new, *log[index + 1 :])
    return (*log, new)


def compact(log: Log, now: float, keep_seconds: float) -> Log:
    """The entries that can still be the highest or lowest of a window ending now or later, oldest first.

    An entry is dropped when it is out of every window, or when a newer one is at least as high and another
    at least as low. So 60 equal recommendations of five minutes are one, and no later result changes.
    """
    if len(log) == 1:
        return log
    kept: list[Recommendation] = []
    lowest = highest = 0
    for entry in sorted(log, key=_AT, reverse=True):
        if now - entry.at > keep_seconds:
            break
        replicas = entry.replicas
        if not kept:
            lowest = highest = replicas
        elif replicas > highest:
            highest = replicas
        elif replicas < lowest:
            lowest = replicas
        else:
            continue
        kept.append(entry)
    kept.reverse()
    return tuple(kept)


_AT = attrgetter("at")
