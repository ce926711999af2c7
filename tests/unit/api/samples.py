"""A spec that uses everything, and inputs that break one law each, for the parser and the API server."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]


def full() -> dict[str, Any]:
    """A valid object in which every field of the spec is set."""
    return json.loads(json.dumps(_FULL))  # a deepcopy would keep its two selectors one


_SELECTOR = {
    "matchLabels": {"queue": "chat", "model_name": "deepseek-ai/DeepSeek-V3"},
    "matchExpressions": [
        {"key": "tier", "operator": "In", "values": ["gold", "silver"]},
        {"key": "canary", "operator": "DoesNotExist"},
    ],
}
_FULL: dict[str, Any] = {
    "apiVersion": "autoscaling.rolebasedgroup.io/v1alpha1",
    "kind": "RbgAutoscaler",
    "metadata": {"name": "deepseek"},
    "spec": {
        "targetRef": {"name": "deepseek"},
        "mode": "Auto",
        "engine": "sglang",
        "metricsSource": "default",
        "hpaExact": False,
        "roles": [
            {
                "name": "prefill",
                "kind": "Prefill",
                "minReplicas": 2,
                "maxReplicas": 16,
                "gangStep": 2,
                "startUp": {"deadlineSeconds": 900, "settleSeconds": 0},
                "metrics": [
                    {
                        "type": "Signal",
                        "signal": "QueueLength",
                        "target": {"type": "AverageValue", "averageValue": "8"},
                    },
                    {"signal": "PendingTokens", "target": {"type": "AverageValue", "averageValue": "16k"}},
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "tokens_per_second", "selector": _SELECTOR},
                            "target": {"type": "AverageValue", "averageValue": 30},
                        },
                    },
                    {
                        "type": "Object",
                        "object": {
                            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "router"},
                            "metric": {"name": "requests_per_second"},
                            "target": {"type": "Value", "value": "2k"},
                        },
                    },
                ],
                "behavior": {
                    "scaleUp": {
                        "stabilizationWindowSeconds": 30,
                        "selectPolicy": "Min",
                        "tolerance": "50m",
                        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}],
                    },
                    "scaleDown": {
                        "stabilizationWindowSeconds": 600,
                        "selectPolicy": "Disabled",
                        "tolerance": 0,
                        "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
                    },
                },
            },
            {
                "name": "decode",
                "minReplicas": 2,
                "maxReplicas": 32,
                "metrics": [
                    {
                        "signal": "KVCacheUsage",
                        "target": {"type": "Utilization", "averageUtilization": 70},
                    },
                    {
                        "type": "External",
                        "external": {
                            "metric": {"name": "queue_messages_ready", "selector": _SELECTOR},
                            "target": {"type": "AverageValue", "averageValue": "30"},
                        },
                    },
                    {
                        "type": "Query",
                        "query": {
                            "name": "slots",
                            "promql": 'sum(slots_busy{pool="a"})',
                            "target": {"type": "Value", "value": "1500m"},
                        },
                    },
                ],
            },
        ],
        "coordination": [
            {"numerator": "decode", "denominator": "prefill", "minRatio": "500m", "maxRatio": 4}
        ],
    },
}


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something is in a JSON value, as keys and indices."""
    yield way
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, entry in entries:
        yield from places(entry, (*way, key))


@dataclass(frozen=True)
class Bad:
    """A change of the full spec that makes it wrong in one way."""

    name: str
    change: Callable[[Spec], Any]
    paths: tuple[str, ...]
    """Exactly the fields that the parser names."""
    says: str
    """Part of the parser's message at each of them."""
    server: str | None = ""
    """Part of the API server's message: the parser's where empty; None: the API server lets it pass."""


def role(spec: Spec, index: int = 0) -> Spec:
    return spec["roles"][index]


def metric(spec: Spec, index: int, of_role: int = 0) -> Spec:
    return spec["roles"][of_role]["metrics"][index]


def target(spec: Spec) -> Spec:
    return metric(spec, 0)["target"]


def rules(spec: Spec) -> Spec:
    return role(spec)["behavior"]["scaleUp"]


def ratio(spec: Spec) -> Spec:
    return spec["coordination"][0]


ROLE, DECODE = "spec.roles[0]", "spec.roles[1]"
METRIC, TARGET = f"{ROLE}.metrics[0]", f"{ROLE}.metrics[0].target"
UP = f"{ROLE}.behavior.scaleUp"
RATIO = "spec.coordination[0]"
REQUIRED = "Required value"
ONE_FIELD = "exactly the field that type names is set"
NOT_ENUM = "Unsupported value"
INCLUSIVE_LOW, INCLUSIVE_HIGH = "greater than or equal to", "less than or equal to"
QUERY = {"name": "slots", "promql": "up", "target": {"type": "Value", "value": "1"}}
POSITIVE_PATTERN = "should match '^\\+?([0-9]*[1-9]"

LAWS = (
    Bad(
        "min above max",
        lambda s: role(s).update(minReplicas=17),
        (f"{ROLE}.minReplicas",),
        "minReplicas is above maxReplicas: lower the one or raise the other",
    ),
    Bad(
        "gang step with no multiple within bounds",
        lambda s: role(s).update(minReplicas=5, maxReplicas=7, gangStep=4),
        (f"{ROLE}.gangStep",),
        "no multiple of gangStep lies within minReplicas..maxReplicas: raise maxReplicas or lower gangStep",
    ),
    Bad(
        "gang step above max of a role that may go to 0",
        lambda s: role(s).update(minReplicas=0, maxReplicas=7, gangStep=8),
        (f"{ROLE}.gangStep",),
        "no multiple of gangStep lies within minReplicas..maxReplicas",
    ),
    Bad(
        "to zero without a metric that is there without pods",
        lambda s: (role(s).update(minReplicas=0), role(s)["metrics"].pop()),
        (f"{ROLE}.minReplicas",),
        "minReplicas 0 needs an Object or External metric",
    ),
    Bad(
        "a role twice",
        lambda s: s["roles"].append(role(s)),
        ("spec.roles[2].name",),
        "the role is there twice: each role of the group has one entry",
        "Duplicate value",
    ),
    Bad(
        "a signal twice",
        lambda s: role(s)["metrics"].append({"signal": "QueueLength", "target": target(s)}),
        (f"{ROLE}.metrics[4].signal",),
        "the signal is there twice: keep one metric for it",
    ),
    Bad(
        "a query's name twice",
        lambda s: role(s, 1)["metrics"].append({"type": "Query", "query": QUERY}),
        (f"{DECODE}.metrics[3].query.name",),
        "the query's name is there twice: name each query on its own",
    ),
    *(
        Bad(
            f"the same {kind} series twice",
            lambda s, i=index, r=of_role: role(s, r)["metrics"].append(copy.deepcopy(metric(s, i, r))),
            (f"spec.roles[{of_role}].metrics[{count}]",),
            "the same series is there twice: keep one metric for it",
        )
        for kind, of_role, index, count in (("Pods", 0, 2, 4), ("Object", 0, 3, 4), ("External", 1, 1, 3))
    ),
    Bad(
        "type Signal without target",
        lambda s: metric(s, 0).pop("target"),
        (f"{METRIC}.target",),
        "a metric of type Signal has signal and target, and no other type's fields",
    ),
    Bad(
        "type Signal, by default, with another type's fields",
        lambda s: metric(s, 2).pop("type"),
        (f"{ROLE}.metrics[2].signal", f"{ROLE}.metrics[2].target", f"{ROLE}.metrics[2].pods"),
        "a metric of type Signal has signal and target, and no other type's fields",
    ),
    *(
        Bad(
            f"type {kind} with a target of its own",
            lambda s, i=index, r=of_role: metric(s, i, r).update(target=target(s)),
            (f"spec.roles[{of_role}].metrics[{index}].target",),
            f"a metric of type {kind} has {kind.lower()}, and no other type's fields",
        )
        for kind, of_role, index in (("Pods", 0, 2), ("Object", 0, 3), ("External", 1, 1), ("Query", 1, 2))
    ),
    Bad(
        "a signal's total",
        lambda s: metric(s, 0).update(target={"type": "Value", "value": "8"}),
        (f"{TARGET}.type",),
        "a signal's target is of type AverageValue (per replica); KVCacheUsage takes Utilization too",
    ),
    Bad(
        "percent of a signal without 100 %",
        lambda s: metric(s, 0).update(target={"type": "Utilization", "averageUtilization": 8}),
        (f"{TARGET}.type",),
        "a signal's target is of type AverageValue (per replica); KVCacheUsage takes Utilization too",
    ),
    Bad(
        "KV usage as a bare percentage",
        lambda s: metric(s, 0, 1).update(target={"type": "AverageValue", "averageValue": 70}),
        (f"{DECODE}.metrics[0].target.averageValue",),
        "KVCacheUsage is at most 1 and never reaches this target: write 700m, or Utilization 70, for 70 %",
    ),
    Bad(
        "KV usage above 100 %",
        lambda s: metric(s, 0, 1)["target"].update(averageUtilization=101),
        (f"{DECODE}.metrics[0].target.averageUtilization",),
        "KVCacheUsage is at most 1 and never reaches this target",
    ),
    Bad(
        "a type without its field",
        lambda s: target(s).pop("averageValue"),
        (f"{TARGET}.averageValue",),
        ONE_FIELD,
    ),
    Bad(
        "two fields of a target",
        lambda s: metric(s, 1, 1)["external"]["target"].update(value=8),
        (f"{DECODE}.metrics[1].external.target.value",),
        ONE_FIELD,
    ),
    Bad(
        "another field than the type's",
        lambda s: metric(s, 1, 1)["external"]["target"].update(type="Value"),
        (
            f"{DECODE}.metrics[1].external.target.averageValue",
            f"{DECODE}.metrics[1].external.target.value",
        ),
        ONE_FIELD,
    ),
    Bad(
        "a total of Pods",
        lambda s: metric(s, 2)["pods"].update(target={"type": "Value", "value": 1}),
        (f"{ROLE}.metrics[2].pods.target.type",),
        "the target of a Pods metric is of type AverageValue",
    ),
    *(
        Bad(
            f"percent of {what} metric",
            lambda s, i=index, r=of_role, k=kind: metric(s, i, r)[k].update(
                target={"type": "Utilization", "averageUtilization": 8}
            ),
            (f"spec.roles[{of_role}].metrics[{index}].{kind}.target.type",),
            f"the target of {what} metric is of type Value or AverageValue",
        )
        for what, kind, of_role, index in (
            ("an Object", "object", 0, 3),
            ("an External", "external", 1, 1),
            ("a Query", "query", 1, 2),
        )
    ),
    Bad(
        "In without values",
        lambda s: metric(s, 2)["pods"]["metric"]["selector"]["matchExpressions"][0].pop("values"),
        (f"{ROLE}.metrics[2].pods.metric.selector.matchExpressions[0].values",),
        "operator In or NotIn needs values, Exists or DoesNotExist takes none",
    ),
    Bad(
        "DoesNotExist with values",
        lambda s: metric(s, 2)["pods"]["metric"]["selector"]["matchExpressions"][1].update(values=["x"]),
        (f"{ROLE}.metrics[2].pods.metric.selector.matchExpressions[1].values",),
        "operator In or NotIn needs values, Exists or DoesNotExist takes none",
    ),
    Bad(
        "a label name of Prometheus' own",
        lambda s: metric(s, 2)["pods"]["metric"]["selector"]["matchLabels"].update(__name__="up"),
        (f"{ROLE}.metrics[2].pods.metric.selector.matchLabels[__name__]",),
        "a key is a label name of Prometheus: letters, digits and underscores, a letter first",
    ),
    Bad(
        "a ratio of a role to itself",
        lambda s: ratio(s).update(denominator="decode"),
        (f"{RATIO}.denominator",),
        "numerator and denominator are the same role: name two",
    ),
    Bad(
        "a ratio without bounds",
        lambda s: (ratio(s).pop("minRatio"), ratio(s).pop("maxRatio")),
        (f"{RATIO}.minRatio",),
        "neither minRatio nor maxRatio is given: set one or both",
    ),
    Bad(
        "ratio bounds in the wrong order",
        lambda s: ratio(s).update(minRatio="4001m"),
        (f"{RATIO}.minRatio",),
        "minRatio is above maxRatio: lower the one or raise the other",
    ),
    Bad(
        "a pair twice",
        lambda s: s["coordination"].append({**ratio(s), "maxRatio": 5}),
        ("spec.coordination[1]",),
        "the pair of roles is there twice, in this order or the other: give both bounds in one entry",
    ),
    Bad(
        "a pair and its reverse",
        lambda s: s["coordination"].append(
            {"numerator": "prefill", "denominator": "decode", "minRatio": "250m"}
        ),
        ("spec.coordination[1]",),
        "the pair of roles is there twice, in this order or the other: give both bounds in one entry",
    ),
    Bad(
        "a ratio to a role that is not there",
        lambda s: ratio(s).update(denominator="router"),
        (f"{RATIO}.denominator",),
        "no role of that name: name one of spec.roles",
    ),
    Bad(
        "a ratio out of the bounds' reach",
        lambda s: ratio(s).update(minRatio="17", maxRatio="20"),
        (RATIO,),
        "no replica counts within both roles' bounds and gang steps keep this ratio",
        None,
    ),
    Bad(
        "a ratio between the gang steps",  # multiples of 4 and of 4 in 4..8 make 1/2, 1 and 2, never 1.2..1.9
        lambda s: (
            role(s).update(minReplicas=4, maxReplicas=8, gangStep=4),
            role(s, 1).update(minReplicas=4, maxReplicas=8, gangStep=4),
            ratio(s).update(minRatio="1200m", maxRatio="1900m"),
        ),
        (RATIO,),
        "no replica counts within both roles' bounds and gang steps keep this ratio",
        None,
    ),
)

BOUNDS = (
    Bad("no target", lambda s: s.pop("targetRef"), ("spec.targetRef",), "is required", REQUIRED),
    Bad("no roles", lambda s: s.pop("roles"), ("spec.roles",), "is required", REQUIRED),
    Bad(
        "empty roles",
        lambda s: s["roles"].clear(),
        ("spec.roles",),
        "is empty: give at least 1",
        "at least 1",
    ),
    Bad(
        "empty metrics",
        lambda s: role(s)["metrics"].clear(),
        (f"{ROLE}.metrics",),
        "is empty: give at least 1",
        "at least 1",
    ),
    Bad(
        "null max",
        lambda s: role(s).update(maxReplicas=None),
        (f"{ROLE}.maxReplicas",),
        "is required",
        REQUIRED,
    ),
    Bad(
        "too many metrics",
        lambda s: role(s)["metrics"].extend(
            {
                "type": "External",
                "external": {"metric": {"name": f"m{n}"}, "target": {"type": "Value", "value": 1}},
            }
            for n in range(13)
        ),
        (f"{ROLE}.metrics",),
        "has 17 entries: at most 16 are allowed",
        "must have at most 16 items",
    ),
    Bad(
        "min below 0",
        lambda s: role(s).update(minReplicas=-1),
        (f"{ROLE}.minReplicas",),
        "-1 is below",
        "equal to 0",
    ),
    Bad(
        "max 0", lambda s: role(s).update(maxReplicas=0), (f"{ROLE}.maxReplicas",), "0 is below", "equal to 1"
    ),
    Bad(
        "max of astronomic size",
        lambda s: role(s).update(maxReplicas=10_001),
        (f"{ROLE}.maxReplicas",),
        "10001 is above the most allowed, 10000",
        INCLUSIVE_HIGH,
    ),
    Bad(
        "a count as text",
        lambda s: role(s).update(maxReplicas="16"),
        (f"{ROLE}.maxReplicas",),
        '"16" is not a whole number',
        "must be of type integer",
    ),
    Bad(
        "gang step 0",
        lambda s: role(s).update(gangStep=0),
        (f"{ROLE}.gangStep",),
        "0 is below the least allowed, 1",
        INCLUSIVE_LOW,
    ),
    Bad(
        "a mode that is none",
        lambda s: s.update(mode="auto"),
        ("spec.mode",),
        '"auto" is none of Auto, Recommend, Paused',
        NOT_ENUM,
    ),
    Bad(
        "a signal that is none",
        lambda s: metric(s, 0).update(signal="QueueDepth"),
        (f"{METRIC}.signal",),
        '"QueueDepth" is none of QueueLength, ',
        NOT_ENUM,
    ),
    Bad(
        "an address as metrics source",
        lambda s: s.update(metricsSource="http://prometheus:9090"),
        ("spec.metricsSource",),
        '"http://prometheus:9090" is not made of lower-case letters, digits and inner dashes',
        "should match",
    ),
    Bad(
        "a long role name",
        lambda s: role(s).update(name="x" * 64),
        (f"{ROLE}.name",),
        "has 64 characters: at most 63 are allowed",
        "Too long",
    ),
    Bad(
        "a metric name that is PromQL",
        lambda s: metric(s, 1, 1)["external"]["metric"].update(name='up{namespace="other"}'),
        (f"{DECODE}.metrics[1].external.metric.name",),
        "is not made of letters, digits, _ and :",
        "should match",
    ),
    Bad(
        "window above an hour",
        lambda s: rules(s).update(stabilizationWindowSeconds=3601),
        (f"{UP}.stabilizationWindowSeconds",),
        "3601 is above",
        INCLUSIVE_HIGH,
    ),
    Bad(
        "window below 0",
        lambda s: rules(s).update(stabilizationWindowSeconds=-1),
        (f"{UP}.stabilizationWindowSeconds",),
        "-1 is below",
        INCLUSIVE_LOW,
    ),
    Bad(
        "period 0",
        lambda s: rules(s)["policies"][0].update(periodSeconds=0),
        (f"{UP}.policies[0].periodSeconds",),
        "0 is below",
        INCLUSIVE_LOW,
    ),
    Bad(
        "period above 30 minutes",
        lambda s: rules(s)["policies"][0].update(periodSeconds=1801),
        (f"{UP}.policies[0].periodSeconds",),
        "1801 is above",
        INCLUSIVE_HIGH,
    ),
    Bad(
        "policy value 0",
        lambda s: rules(s)["policies"][0].update(value=0),
        (f"{UP}.policies[0].value",),
        "0 is below",
        INCLUSIVE_LOW,
    ),
    Bad("no policies", lambda s: rules(s)["policies"].clear(), (f"{UP}.policies",), "is empty", "at least 1"),
    Bad(
        "negative tolerance",
        lambda s: rules(s).update(tolerance="-1m"),
        (f"{UP}.tolerance",),
        '"-1m" must be 0 or more',
        "should match",
    ),
    Bad(
        "start-up deadline 0",
        lambda s: role(s)["startUp"].update(deadlineSeconds=0),
        (f"{ROLE}.startUp.deadlineSeconds",),
        "0 is below",
        INCLUSIVE_LOW,
    ),
    Bad(
        "start-up deadline above 2 hours",
        lambda s: role(s)["startUp"].update(deadlineSeconds=7201),
        (f"{ROLE}.startUp.deadlineSeconds",),
        "7201 is above",
        INCLUSIVE_HIGH,
    ),
    Bad(
        "settling above an hour",
        lambda s: role(s)["startUp"].update(settleSeconds=3601),
        (f"{ROLE}.startUp.settleSeconds",),
        "3601 is above",
        INCLUSIVE_HIGH,
    ),
    Bad(
        "a target of 0",
        lambda s: target(s).update(averageValue="0"),
        (f"{TARGET}.averageValue",),
        '"0" must be above 0',
        POSITIVE_PATTERN,
    ),
    Bad(
        "a target of 0 as a number",
        lambda s: target(s).update(averageValue=0),
        (f"{TARGET}.averageValue",),
        "0 must be above 0",
        INCLUSIVE_LOW,
    ),
    Bad(
        "a target below 0",
        lambda s: target(s).update(averageValue="-8"),
        (f"{TARGET}.averageValue",),
        '"-8" must be above 0',
        POSITIVE_PATTERN,
    ),
    Bad(
        "a target that is no quantity",
        lambda s: target(s).update(averageValue="8 requests"),
        (f"{TARGET}.averageValue",),
        '"8 requests" is not a quantity such as',
        POSITIVE_PATTERN,
    ),
    Bad(
        "a fraction that is no string",
        lambda s: target(s).update(averageValue=0.7),
        (f"{TARGET}.averageValue",),
        'write it as a string, "700m"',
        "must be of type integer,string",
    ),
    Bad(
        "percent 0",
        lambda s: metric(s, 0, 1)["target"].update(averageUtilization=0),
        (f"{DECODE}.metrics[0].target.averageUtilization",),
        "0 is below",
        INCLUSIVE_LOW,
    ),
    Bad(
        "a ratio of 0",
        lambda s: ratio(s).update(minRatio="0"),
        (f"{RATIO}.minRatio",),
        '"0" must be above 0',
        POSITIVE_PATTERN,
    ),
    Bad(
        "a flag as text",
        lambda s: s.update(hpaExact="false"),
        ("spec.hpaExact",),
        '"false" is not true or false',
        "must be of type boolean",
    ),
    Bad(
        "a list for an object",
        lambda s: s.update(targetRef=[]),
        ("spec.targetRef",),
        "a list is not an object",
        "must be of type object",
    ),
    Bad(
        "an unknown field",
        lambda s: s.update(replicas=3),
        ("spec.replicas",),
        "unknown field: remove it",
        'unknown field "spec.replicas"',
    ),
    Bad(
        "a field in another spelling",
        lambda s: role(s).update(minreplicas=3),
        (f"{ROLE}.minreplicas",),
        "did you mean minReplicas?",
        "unknown field",
    ),
    Bad(
        "a field without effect yet",
        lambda s: s.update(capacity={"policy": "WholeGangFit"}),
        ("spec.capacity",),
        "unknown field",
        "unknown field",
    ),
)

BAD = (*LAWS, *BOUNDS)


def broken(bad: Bad) -> dict[str, Any]:
    """The full object with that one thing wrong."""
    obj = full()
    bad.change(obj["spec"])
    return obj
