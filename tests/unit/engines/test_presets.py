"""The presets against the names found in the engines' published packages, version by version."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rbg_autoscaler.api.types import Engine, RoleKind, Signal
from rbg_autoscaler.engines import preset
from rbg_autoscaler.engines.expressions import (
    Expression,
    FirstOf,
    PendingPrompt,
    Preset,
    Ratio,
    Series,
    Shards,
    Total,
    Unsupported,
    measured,
)

REPOSITORY = Path(__file__).parents[3]
SHARED = Path(os.environ.get("RBG_AUTOSCALER_SHARED", REPOSITORY.parent / "shared"))
LISTS = [SHARED / "reference/engine_metrics.json", REPOSITORY / "tests/data/engine_metrics.json"]

EVERYTHING = [(engine, kind, signal) for engine in Engine for kind in RoleKind for signal in Signal]


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    found = next((path for path in LISTS if path.exists()), None)
    if found is None:
        pytest.skip("no engine_metrics.json: set RBG_AUTOSCALER_SHARED to the folder that holds reference/")
    data: dict[str, Any] = json.loads(found.read_text())
    return data


def registered(engine: dict[str, Any], version: str) -> frozenset[str]:
    """The names a version registers."""
    order = {text: index for index, text in enumerate(engine["versions_read"])}
    return frozenset(
        name
        for name, seen in engine["metrics"].items()
        if order[seen["first"]] <= order[version] <= order[seen["last"]]
    )


def exposed_by(name: str, known: frozenset[str]) -> bool:
    """Whether a version that registers these names exposes a series of this name."""
    return name in known or any(
        name.endswith(suffix) and name.removesuffix(suffix) in known
        for suffix in ("_total", "_sum", "_count")
    )


def source(series: Series, known: frozenset[str]) -> str | None:
    """The name that a pod of this version is read by."""
    return next((name for name in series.names if exposed_by(name, known)), None)


def gaps(expression: Expression, known: frozenset[str]) -> Iterator[str]:
    """Measures without a source in this version; where there is one, it is one: the first name counts."""
    match expression:
        case Series():
            if source(expression, known) is None:
                yield " or ".join(expression.names)
        case Total():
            for series in expression.required:
                yield from gaps(series, known)
        case PendingPrompt():
            yield from gaps(expression.waiting, known)
            yield from ratio_gaps(expression.prompt_tokens, known)
            missing = [list(rate_gaps(rate, known)) for rate in expression.hit_rate]
            if all(missing):
                yield "a prefix hit rate"
        case FirstOf():
            missing = [list(gaps(option, known)) for option in expression.options]
            if all(missing):
                yield from missing[-1]


def rate_gaps(rate: Ratio | Series, known: frozenset[str]) -> Iterator[str]:
    return ratio_gaps(rate, known) if isinstance(rate, Ratio) else gaps(rate, known)


def ratio_gaps(ratio: Ratio, known: frozenset[str]) -> Iterator[str]:
    pairs = zip(ratio.numerator.names, ratio.denominator.names, strict=True)
    if not any(exposed_by(above, known) and exposed_by(below, known) for above, below in pairs):
        yield ratio.numerator.names[0]


@pytest.mark.parametrize("engine", [Engine.VLLM, Engine.SGLANG])
@pytest.mark.parametrize("kind", RoleKind)
@pytest.mark.parametrize("signal", Signal)
def test_every_published_version_has_one_source_for_every_signal(
    published: dict[str, Any], engine: Engine, kind: RoleKind, signal: Signal
) -> None:
    found = preset(engine, kind, signal)
    if isinstance(found, Unsupported):
        pytest.skip(f"not supported: {found.mend}")
    of_engine = published[engine.value]
    assert len(of_engine["versions_read"]) >= 9
    for version in of_engine["versions_read"]:
        lacking = list(gaps(found.expression, registered(of_engine, version)))
        assert not lacking, f"{engine} {version} does not export {lacking}"


@pytest.mark.parametrize("engine", [Engine.VLLM, Engine.SGLANG])
def test_no_name_is_of_no_published_version(published: dict[str, Any], engine: Engine) -> None:
    """A misspelt alternative would never be read and never be missed."""
    known = frozenset(published[engine.value]["metrics"])
    for kind in RoleKind:
        for signal in Signal:
            found = preset(engine, kind, signal)
            if isinstance(found, Preset):
                for series in measured(found.expression):
                    for name in series.names:
                        bare = name.removesuffix("_total")
                        # Of the page /v1/loads, which is not in the list of registered names.
                        other_page = name.startswith("sglang_")
                        assert other_page or name in known or bare in known, name


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.6.6.post1", "vllm:gpu_cache_usage_perc"),
        ("0.10.2", "vllm:kv_cache_usage_perc"),
        ("0.33.0", "vllm:kv_cache_usage_perc"),
    ],
)
def test_of_two_names_of_one_value_the_newer_is_read(
    published: dict[str, Any], version: str, expected: str
) -> None:
    found = preset(Engine.VLLM, RoleKind.DECODE, Signal.KV_CACHE_USAGE)
    assert isinstance(found, Preset)
    assert isinstance(found.expression, Series)
    assert source(found.expression, registered(published["vllm"], version)) == expected


@pytest.mark.parametrize(("engine", "kind", "signal"), EVERYTHING)
def test_every_combination_is_a_preset_or_says_what_to_use_instead(
    engine: Engine, kind: RoleKind, signal: Signal
) -> None:
    found = preset(engine, kind, signal)
    if isinstance(found, Unsupported):
        assert "use" in found.mend
        return
    assert found.name.startswith(f"{engine}/{signal}")
    assert found.is_usage is (signal is Signal.KV_CACHE_USAGE)
    for series in measured(found.expression):
        is_rate = signal in (Signal.PROMPT_TOKEN_RATE, Signal.GENERATION_TOKEN_RATE)
        assert series.rate is is_rate
        assert series.shards is (Shards.MEAN if found.is_usage else Shards.SUM)
        assert not any("_by_reason" in name for name in series.names)


def test_roles_whose_kinds_make_no_difference_share_a_preset_and_so_a_query() -> None:
    shared = {id(preset(Engine.VLLM, kind, Signal.QUEUE_LENGTH)) for kind in RoleKind}
    assert len(shared) == 1


def test_the_unsupported_ones_are_these() -> None:
    refused = {
        (engine.value, kind.value, signal.value)
        for engine, kind, signal in EVERYTHING
        if isinstance(preset(engine, kind, signal), Unsupported)
    }
    no_tokens = {"PendingTokens", "PromptTokenRate", "GenerationTokenRate"}
    assert refused == {
        *((engine.value, "Decode", "PendingTokens") for engine in Engine),
        ("sglang", "Prefill", "RunningRequests"),
        *(("trtllm", kind.value, signal) for kind in RoleKind for signal in no_tokens),
    }
