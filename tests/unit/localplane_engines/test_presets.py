"""What the autoscaler reads is what the played engines export: every preset, in every version listed."""

from __future__ import annotations

import pytest

from rbg_autoscaler.api.types import Engine, RoleKind, Signal
from rbg_autoscaler.engines import preset
from rbg_autoscaler.engines.expressions import Expression, FirstOf, PendingPrompt, Preset, Series, Total

from .test_catalogue import VERSIONS, busy

ROLES = {RoleKind.PREFILL: "prefill", RoleKind.DECODE: "decode", RoleKind.AGGREGATED: "server"}


def readable(expression: Expression, exported: set[str]) -> bool:
    match expression:
        case Series():
            return bool(exported & set(expression.names))
        case Total():
            return all(readable(series, exported) for series in expression.required)
        case PendingPrompt():
            lengths = (expression.prompt_tokens.numerator, expression.prompt_tokens.denominator)
            return all(readable(part, exported) for part in (expression.waiting, *lengths))
        case FirstOf():
            return any(readable(option, exported) for option in expression.options)


@pytest.mark.parametrize(("engine", "version"), [*VERSIONS, ("trtllm", ""), ("dynamo", "")])
@pytest.mark.parametrize("kind", list(ROLES))
def test_every_preset_finds_its_series(engine: str, version: str, kind: RoleKind) -> None:
    exported = {name for name, _ in busy(engine=engine, version=version).page(f"deepseek-{ROLES[kind]}-0")}
    presets = [preset(Engine(engine), kind, signal) for signal in Signal]
    wanted = [p for p in presets if isinstance(p, Preset)]
    assert wanted
    assert [p.name for p in wanted if not readable(p.expression, exported)] == []
