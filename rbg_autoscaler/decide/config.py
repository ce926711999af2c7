"""Defaults of the decision that an administrator may set.

They are HPA's own values where HPA has one, so that with our extras off the numbers are HPA's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rbg_autoscaler.api.shape import camel


@dataclass(frozen=True)
class DecideConfig:
    """Defaults of the decision; HPA's own values where HPA has one."""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "alias_generator": camel}

    tolerance: float = 0.1
    """Relative distance from its target at which a metric moves nothing; `behavior` may say otherwise."""
    scale_down_stabilization_seconds: int = 300
    """A role shrinks only to the highest count recommended within this; `behavior` may say otherwise."""
    scale_up_limit_factor: float = 2.0
    """Without `behavior`, a role at most doubles within `legacy_limit_period_seconds`..."""
    scale_up_limit_minimum: int = 4
    """...or reaches this count, whichever is more."""
    legacy_limit_period_seconds: int = 15
    """HPA's legacy limit is per sync of 15 s; at other sync periods it counts per this period."""
    exact_period_seconds: int = 15
    """HPA's sync period, at which hpaExact autoscalers are decided however fast the loop is."""
    scale_to_zero: bool = False
    """HPA's feature gate HPAScaleToZero: an automatic 0 that wakes by itself."""
    status_average_returns_spec: bool = False
    """Inside tolerance an External AverageValue metric proposes status.replicas in HPA (Kubernetes issue
    138505: surge pods of a rollout inflate the role); true makes it propose the count asked for."""
