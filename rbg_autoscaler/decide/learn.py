"""Learning how long a role's replicas take to start: from creation of an instance to all its pods Ready.

The slowest of the newest few counts, for a window that is too long costs a little and one that is too short
shrinks a role in a lull that its own start-up outlasts.
"""

from __future__ import annotations

import math

from rbg_autoscaler.decide.snapshot import InstancePhase, RoleView

NEWEST = 3
"""Instances looked at: enough to meet a slow node or a cold image, few enough to forget an older model."""


def learnt_start_up_seconds(view: RoleView, deadline_seconds: int) -> float | None:
    """The slowest start-up among the newest ready instances, in whole seconds; None where there is none.

    `ready_at` moves when a pod becomes unready and ready again, so an instance that is a day old and was
    ready a minute ago says nothing: durations beyond the start-up deadline are no start-ups.
    """
    starts = [
        (instance.ready_at, instance.ready_at - instance.created_at)
        for instance in view.instances
        if instance.phase is InstancePhase.READY
        and instance.ready_at is not None
        and 0.0 <= instance.ready_at - instance.created_at <= deadline_seconds
    ]
    if len(starts) > NEWEST:
        starts = sorted(starts)[-NEWEST:]
    return float(math.ceil(max(took for _, took in starts))) if starts else None
