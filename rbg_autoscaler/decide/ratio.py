"""HPA's arithmetic: milli-integers divided as IEEE doubles, tolerance inclusive, one `ceil` at the end.

Source: the HorizontalPodAutoscaler v2 controller, Kubernetes 1.37.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rbg_autoscaler.api.types import RoleSpec
from rbg_autoscaler.decide.config import DecideConfig

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1


class Band(NamedTuple):
    """The ratios that propose no change, both ends included."""

    low: float
    high: float

    @classmethod
    def of(cls, down: float, up: float) -> Band:
        """The band of two tolerances.

        Kept as 1 - down and 1 + up: |1 - 1.1| is 0.10000000000000009, so a test of the distance from 1 puts a
        ratio of exactly 1.1 outside a tolerance of 0.1; HPA has it inside.
        """
        return cls(1.0 - down, 1.0 + up)

    def holds(self, ratio: float) -> bool:
        """Whether this ratio proposes no change."""
        return self.low <= ratio <= self.high


def band_of(spec: RoleSpec, config: DecideConfig) -> Band:
    """The role's own tolerances, per direction, where it has some; the controller's otherwise."""
    down = up = config.tolerance
    if spec.behavior is not None:
        if spec.behavior.scale_down.tolerance is not None:
            down = spec.behavior.scale_down.tolerance
        if spec.behavior.scale_up.tolerance is not None:
            up = spec.behavior.scale_up.tolerance
    return Band.of(down, up)


def ceil_replicas(replicas: float) -> int:
    """The next whole replica count, at most the largest int32."""
    return MAX_INT32 if replicas >= MAX_INT32 else math.ceil(replicas)


def divide(total: int, parts: int) -> int:
    """Integer division towards zero, as Go divides: -7 / 2 is -3, where `//` says -4."""
    return total // parts if total >= 0 else -(-total // parts)


def per_replica(usage_milli: int, replicas: int) -> int:
    """The average that status shows: rounded up, 0 without replicas, at most the largest int64."""
    if replicas == 0:
        return 0
    if usage_milli >= MAX_INT64:
        return MAX_INT64
    return math.ceil(float(usage_milli) / float(replicas))


def show(milli: int) -> str:
    """Thousandths as a decimal number that people read: 1500 is "1.5", 10388952 is "10389"."""
    whole, rest = divmod(milli, 1000)
    if rest == 0:
        return str(whole)
    return str(round(milli / 1000)) if whole >= 100 else f"{milli / 1000:.3f}".rstrip("0")
