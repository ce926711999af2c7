"""Parsing: the full example to its types, each law broken once, defaults, and anything at all."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rbg_autoscaler.api.parse import FieldError, InvalidSpec, infer_kind, parse_autoscaler
from rbg_autoscaler.api.rules import Rule
from rbg_autoscaler.api.shape import Listing, Node, Record, Table
from rbg_autoscaler.api.spec_shape import SPEC
from rbg_autoscaler.api.types import (
    Behavior,
    Coordination,
    Engine,
    ExternalMetric,
    LabelRequirement,
    MetricTarget,
    Mode,
    ObjectMetric,
    PodsMetric,
    PolicyType,
    QueryMetric,
    RbgAutoscalerSpec,
    RoleKind,
    RoleSpec,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Signal,
    SignalMetric,
    StartUp,
    TargetType,
)
from tests.unit.api.samples import BAD, Bad, broken, full, places

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


def errors_of(obj: Any) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidSpec) as refused:
        parse_autoscaler(obj)
    return refused.value.errors


def minimal() -> dict[str, Any]:
    metric = {"signal": "QueueLength", "target": {"type": "AverageValue", "averageValue": 8}}
    return {
        "spec": {
            "targetRef": {"name": "llm"},
            "roles": [{"name": "server", "maxReplicas": 4, "metrics": [metric]}],
        }
    }


def test_the_full_example_becomes_these_types() -> None:
    selector = (
        LabelRequirement("model_name", "In", ("deepseek-ai/DeepSeek-V3",)),
        LabelRequirement("queue", "In", ("chat",)),
        LabelRequirement("tier", "In", ("gold", "silver")),
        LabelRequirement("canary", "DoesNotExist"),
    )
    average, value = TargetType.AVERAGE_VALUE, TargetType.VALUE
    prefill = RoleSpec(
        name="prefill",
        kind=RoleKind.PREFILL,
        min_replicas=2,
        max_replicas=16,
        metrics=(
            SignalMetric(Signal.QUEUE_LENGTH, MetricTarget(average, 8_000)),
            SignalMetric(Signal.PENDING_TOKENS, MetricTarget(average, 16_000_000)),
            PodsMetric("tokens_per_second", selector, MetricTarget(average, 30_000)),
            ObjectMetric("requests_per_second", (), "Service", "router", MetricTarget(value, 2_000_000)),
        ),
        gang_step=2,
        behavior=Behavior(
            ScalingRules((ScalingPolicy(PolicyType.PODS, 4, 60),), SelectPolicy.MIN, 30, 0.05),
            ScalingRules((ScalingPolicy(PolicyType.PERCENT, 10, 60),), SelectPolicy.DISABLED, 600, 0.0),
        ),
        start_up=StartUp(900, 0),
    )
    decode = RoleSpec(
        name="decode",
        kind=RoleKind.DECODE,
        min_replicas=2,
        max_replicas=32,
        metrics=(
            SignalMetric(Signal.KV_CACHE_USAGE, MetricTarget(TargetType.UTILIZATION, 70)),
            ExternalMetric("queue_messages_ready", selector, MetricTarget(average, 30_000)),
            QueryMetric("slots", 'sum(slots_busy{pool="a"})', MetricTarget(value, 1_500)),
        ),
    )
    assert parse_autoscaler(full()) == RbgAutoscalerSpec(
        target="deepseek",
        roles=(prefill, decode),
        mode=Mode.AUTO,
        engine=Engine.SGLANG,
        metrics_source="default",
        coordination=(Coordination("decode", "prefill", 500, 4_000),),
        hpa_exact=False,
    )


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_one_thing_wrong_is_named_and_nothing_else(bad: Bad) -> None:
    errors = errors_of(broken(bad))
    assert sorted(error.path for error in errors) == sorted(bad.paths)
    for error in errors:
        assert bad.says in error.message


def rules_of(node: Node) -> Iterator[Rule]:
    match node:
        case Record():
            yield from node.rules
            for field in node.fields:
                yield from rules_of(field.node)
        case Listing():
            yield from (*node.rules, *rules_of(node.item))
        case Table():
            yield from node.rules


def test_every_law_has_an_input_that_breaks_it() -> None:
    messages = {error.message for bad in BAD for error in errors_of(broken(bad))}
    laws = {rule.message for rule in rules_of(SPEC) if rule.broken is not None}
    assert laws - messages == set()


def test_all_that_is_wrong_is_found_at_once() -> None:
    obj = full()
    for bad in BAD:
        if bad.name in (
            "min above max",
            "a flag as text",
            "a ratio of 0",
            "window below 0",
            "KV usage above 100 %",
        ):
            bad.change(obj["spec"])
    assert [error.path for error in errors_of(obj)] == [
        "spec.roles[0].behavior.scaleUp.stabilizationWindowSeconds",
        "spec.roles[0].minReplicas",
        "spec.roles[1].metrics[0].target.averageUtilization",
        "spec.coordination[0].minRatio",
        "spec.hpaExact",
    ]


def test_errors_read_as_path_and_message() -> None:
    obj = minimal()
    obj["spec"]["roles"][0]["maxReplicas"] = 0
    with pytest.raises(InvalidSpec, match=r"^spec.roles\[0\].maxReplicas: 0 is below the least allowed, 1$"):
        parse_autoscaler(obj)


def test_what_is_absent_or_null_has_these_defaults() -> None:
    spec = parse_autoscaler(minimal())
    assert spec.mode is Mode.RECOMMEND
    assert (spec.engine, spec.metrics_source, spec.coordination, spec.hpa_exact) == (
        Engine.VLLM,
        "default",
        (),
        False,
    )
    (role,) = spec.roles
    assert (role.min_replicas, role.gang_step, role.behavior) == (1, 1, None)
    assert role.start_up == StartUp(deadline_seconds=600, settle_seconds=60)

    nulls = minimal()
    nulls["spec"] |= {"mode": None, "engine": None, "coordination": None}
    nulls["spec"]["roles"][0] |= {"minReplicas": None, "behavior": None, "kind": None, "startUp": None}
    assert parse_autoscaler(nulls) == spec


UP = ScalingRules(
    (ScalingPolicy(PolicyType.PODS, 4, 15), ScalingPolicy(PolicyType.PERCENT, 100, 15)), SelectPolicy.MAX, 0
)
DOWN = ScalingRules((ScalingPolicy(PolicyType.PERCENT, 100, 15),), SelectPolicy.MAX, None)


@pytest.mark.parametrize(
    ("behavior", "up", "down"),
    [
        ({}, UP, DOWN),
        ({"scaleUp": {}}, UP, DOWN),
        ({"scaleUp": {"selectPolicy": "Disabled"}}, replace(UP, select_policy=SelectPolicy.DISABLED), DOWN),
        ({"scaleDown": {"tolerance": "500u"}}, UP, replace(DOWN, tolerance=0.0005)),
        (
            {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            UP,
            replace(DOWN, policies=(ScalingPolicy(PolicyType.PODS, 1, 60),)),
        ),
    ],
)
def test_a_behavior_is_completed_in_both_directions_as_hpa_does(
    behavior: dict[str, Any], up: ScalingRules, down: ScalingRules
) -> None:
    obj = minimal()
    obj["spec"]["roles"][0]["behavior"] = behavior
    assert parse_autoscaler(obj).roles[0].behavior == Behavior(up, down)


def test_a_role_may_go_to_zero_with_an_external_metric() -> None:
    obj = minimal()
    external = {"metric": {"name": "jobs"}, "target": {"type": "AverageValue", "averageValue": 3}}
    obj["spec"]["roles"][0] |= {"minReplicas": 0}
    obj["spec"]["roles"][0]["metrics"].append({"type": "External", "external": external})
    assert parse_autoscaler(obj).roles[0].min_replicas == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("prefill", RoleKind.PREFILL),
        ("pd-prefill-0", RoleKind.PREFILL),
        ("decode-large", RoleKind.DECODE),
        ("server", RoleKind.AGGREGATED),
    ],
)
def test_the_kind_of_work_is_told_by_the_name(name: str, kind: RoleKind) -> None:
    assert infer_kind(name) is kind


def test_two_series_of_one_name_with_different_selectors_are_two_metrics() -> None:
    obj = full()
    twin = copy.deepcopy(obj["spec"]["roles"][1]["metrics"][1])
    twin["external"]["metric"]["selector"]["matchLabels"]["queue"] = "batch"
    obj["spec"]["roles"][1]["metrics"].append(twin)
    assert len(parse_autoscaler(obj).roles[1].metrics) == 4


@pytest.mark.parametrize(
    ("obj", "paths"),
    [
        (None, [""]),
        ([], [""]),
        ({}, ["spec"]),
        ({"spec": None}, ["spec"]),
        ({"spec": []}, ["spec"]),
        ({"apiVersion": "v1", "kind": "Pod", "data": 1, "spec": {}},
         ["apiVersion", "kind", "data", "spec.targetRef", "spec.roles"]),
    ],
)  # fmt: skip
def test_what_is_no_such_object_at_all(obj: Any, paths: list[str]) -> None:
    assert [error.path for error in errors_of(obj)] == paths


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_examples_are_valid(file: Path) -> None:
    for obj in yaml.safe_load_all(file.read_text()):
        assert parse_autoscaler(obj).roles


def test_the_first_example_writes_no_replica_count() -> None:
    spec = parse_autoscaler(yaml.safe_load((EXAMPLES / "first.yaml").read_text()))
    assert spec.mode is Mode.RECOMMEND
    assert [role.kind for role in spec.roles] == [RoleKind.PREFILL, RoleKind.DECODE]


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["Pods", "Value", "AverageValue", "0", "1", "-1", "1e99", "prefill", "decode"])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.sampled_from(sorted(places(full()["spec"]), key=str)[1:]), JSON), max_size=4))
@settings(max_examples=300)
def test_whatever_is_put_anywhere_gives_a_spec_or_errors_with_paths(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    obj = full()
    for path, value in changes:
        holder = obj["spec"]
        try:
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    errors: tuple[FieldError, ...] = ()
    roles: tuple[RoleSpec, ...] = ()
    try:
        roles = parse_autoscaler(obj).roles
    except InvalidSpec as invalid:
        errors = invalid.errors
    assert bool(roles) != bool(errors)
    assert all(error.path.startswith("spec") and error.message for error in errors)
    for role in roles:
        assert 0 <= role.min_replicas <= role.max_replicas
        assert any(count % role.gang_step == 0 for count in range(role.min_replicas, role.max_replicas + 1))
        assert all(metric.target.milli > 0 for metric in role.metrics)


@given(JSON)
def test_any_json_is_refused_or_parsed(obj: Any) -> None:
    with pytest.raises(InvalidSpec):
        parse_autoscaler(obj)
