"""What each engine calls its signals, per role kind and across versions: data, and one look-up."""

from __future__ import annotations

from rbg_autoscaler.api.types import Engine, RoleKind, Signal
from rbg_autoscaler.engines import dynamo, sglang, trtllm, vllm
from rbg_autoscaler.engines.expressions import Preset, Unsupported

_PRESETS = {
    Engine.VLLM: vllm.PRESETS,
    Engine.SGLANG: sglang.PRESETS,
    Engine.DYNAMO: dynamo.PRESETS,
    Engine.TRTLLM: trtllm.PRESETS,
}


def preset(engine: Engine, kind: RoleKind, signal: Signal) -> Preset | Unsupported:
    """How `signal` is read from `engine` for roles of `kind`, or why it is not and what to use instead."""
    return _PRESETS[engine][kind][signal]
