"""What is to be measured: one autoscaler with the group whose pods its series are joined to."""

from __future__ import annotations

from typing import NamedTuple

from rbg_autoscaler.api.types import ObjectKey, RbgAutoscalerSpec
from rbg_autoscaler.decide.snapshot import GroupView


class Target(NamedTuple):
    """An autoscaler whose spec is valid; `group` is None while its RoleBasedGroup does not exist."""

    key: ObjectKey
    spec: RbgAutoscalerSpec
    group: GroupView | None
