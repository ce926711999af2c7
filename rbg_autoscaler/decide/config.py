"""Defaults of the decision that an administrator may set.

They are HPA's own values where HPA has one, so that with our extras off the numbers are HPA's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DecideConfig:
    """Defaults of the decision that an administrator may set; HPA's own values where HPA has one."""

    tolerance: float = 0.1
    scale_down_stabilization_seconds: int = 300
    scale_up_limit_factor: float = 2.0
    scale_up_limit_minimum: int = 4
    legacy_limit_period_seconds: int = 15
    """HPA's legacy limit is per sync of 15 s; at other sync periods it counts per this period."""
    exact_period_seconds: int = 15
    """HPA's sync period, at which hpaExact autoscalers are decided however fast the loop is."""
    scale_to_zero: bool = False
    status_average_returns_spec: bool = False
    """Kubernetes issue 138505: inside tolerance an External AverageValue metric proposes status.replicas."""
