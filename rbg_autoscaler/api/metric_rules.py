"""The laws of metrics: the fields of each type, the targets each source takes, and none twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rbg_autoscaler.api.quantity import amount
from rbg_autoscaler.api.rules import Rule, given, known, repeated
from rbg_autoscaler.api.types import Signal

MEMBERS = {
    "Signal": ("signal", "target"),
    "Pods": ("pods",),
    "Object": ("object",),
    "External": ("external",),
    "Query": ("query",),
}
"""Which fields belong to a metric of each type."""

TARGET_FIELDS = {"Value": "value", "AverageValue": "averageValue", "Utilization": "averageUtilization"}
"""Which field of a target each type sets."""

LABEL = "[a-zA-Z][a-zA-Z0-9_]*"
"""A Prometheus label name, but none of the internal ones such as __name__."""


def _same_signal(metrics: Any) -> Iterator[str]:
    for index, _ in repeated(metrics, lambda metric: known(metric.get("signal"))):
        yield f"[{index}].signal"


def _same_query_name(metrics: Any) -> Iterator[str]:
    def name(metric: Mapping[str, Any]) -> Any:
        query = given(metric.get("query"), "name")
        return query and query["name"]

    for index, _ in repeated(metrics, name):
        yield f"[{index}].query.name"


def _same_series(metrics: Any) -> Iterator[str]:
    def series(metric: Mapping[str, Any]) -> Any:
        for member in ("pods", "object", "external"):
            if source := given(metric.get(member), "metric"):
                return member, source["metric"], source.get("describedObject")
        return None

    for index, _ in repeated(metrics, series):
        yield f"[{index}]"


METRICS = (
    Rule(
        "the signal is there twice: keep one metric for it",
        "self.all(m, !has(m.signal) || self.exists_one(o, has(o.signal) && o.signal == m.signal))",
        "",
        _same_signal,
    ),
    Rule(
        "the query's name is there twice: name each query on its own",
        "self.all(m, !has(m.query) || self.exists_one(o, has(o.query) && o.query.name == m.query.name))",
        "",
        _same_query_name,
    ),
    Rule(
        "the same series is there twice: keep one metric for it",
        "self.all(m, !has(m.pods) || self.exists_one(o, has(o.pods) && o.pods.metric == m.pods.metric)) && "
        "self.all(m, !has(m.external) || self.exists_one(o, has(o.external) && "
        "o.external.metric == m.external.metric)) && "
        "self.all(m, !has(m.object) || self.exists_one(o, has(o.object) && "
        "o.object.metric == m.object.metric && o.object.describedObject == m.object.describedObject))",
        "",
        _same_series,
    ),
)


def _member_rule(kind: str) -> Rule:
    mine = MEMBERS[kind]
    other = [name for names in MEMBERS.values() for name in names if name not in mine]

    def broken(metric: Any) -> Iterator[str]:
        if metric.get("type") != kind:
            return
        yield from (f".{name}" for name in mine if name not in metric)
        yield from (f".{name}" for name in other if name in metric)

    terms = [f"has(self.{name})" for name in mine] + [f"!has(self.{name})" for name in other]
    return Rule(
        f"a metric of type {kind} has {' and '.join(mine)}, and no other type's fields",
        f"self.type != '{kind}' || ({' && '.join(terms)})",
        "",
        broken,
    )


def _signal_target(metric: Any) -> Iterator[str]:
    ok = given(metric, "type", "signal", "target")
    target = ok and ok["type"] == "Signal" and given(ok["target"], "type")
    if ok and target:
        percent = target["type"] == "Utilization" and ok["signal"] == Signal.KV_CACHE_USAGE
        if target["type"] != "AverageValue" and not percent:
            yield ".target.type"


def _usage_fraction(metric: Any) -> Iterator[str]:
    ok = given(metric, "signal", "target")
    target = ok and ok["signal"] == Signal.KV_CACHE_USAGE and given(ok["target"])
    if not target:
        return
    if (value := given(target, "averageValue")) and amount(value["averageValue"]) > 1:
        yield ".target.averageValue"
    if (value := given(target, "averageUtilization")) and value["averageUtilization"] > 100:
        yield ".target.averageUtilization"


METRIC = (
    *(_member_rule(kind) for kind in MEMBERS),
    Rule(
        "a signal's target is of type AverageValue (per replica); KVCacheUsage takes Utilization too",
        "self.type != 'Signal' || !has(self.signal) || !has(self.target) || "
        "self.target.type == 'AverageValue' || "
        "(self.target.type == 'Utilization' && self.signal == 'KVCacheUsage')",
        ".target",
        _signal_target,
    ),
    Rule(
        "KVCacheUsage is at most 1 and never reaches this target: write 700m, or Utilization 70, for 70 %",
        "!has(self.signal) || self.signal != 'KVCacheUsage' || !has(self.target) || "
        "((!has(self.target.averageValue) || "
        "quantity(string(self.target.averageValue)).compareTo(quantity('1')) <= 0) && "
        "(!has(self.target.averageUtilization) || self.target.averageUtilization <= 100))",
        ".target",
        _usage_fraction,
    ),
)


def _one_target(target: Any) -> Iterator[str]:
    if ok := given(target, "type"):
        mine = TARGET_FIELDS[ok["type"]]
        yield from (f".{name}" for name in TARGET_FIELDS.values() if (name in ok) != (name == mine))


TARGET = (
    Rule(
        "exactly the field that type names is set: "
        + ", ".join(f"{field} for {kind}" for kind, field in TARGET_FIELDS.items()),
        " && ".join(f"has(self.{field}) == (self.type == '{kind}')" for kind, field in TARGET_FIELDS.items()),
        "",
        _one_target,
    ),
)


def target_types(what: str, *allowed: str) -> Rule:
    """The rule that the `target` of a metric source is of one of these types."""

    def broken(source: Any) -> Iterator[str]:
        ok = given(source, "target")
        target = ok and given(ok["target"], "type")
        if target and target["type"] not in allowed:
            yield ".target.type"

    return Rule(
        f"the target of {what} metric is of type {' or '.join(allowed)}",
        "!has(self.target) || " + " || ".join(f"self.target.type == '{kind}'" for kind in allowed),
        ".target",
        broken,
    )


def _operator(requirement: Any) -> Iterator[str]:
    ok = given(requirement, "operator")
    if ok and (ok["operator"] in ("In", "NotIn")) != bool(ok.get("values")):
        yield ".values"


REQUIREMENT = (
    Rule(
        "operator In or NotIn needs values, Exists or DoesNotExist takes none",
        "(self.operator == 'In' || self.operator == 'NotIn') == (has(self.values) && size(self.values) > 0)",
        "",
        _operator,
    ),
)


def _label_names(labels: Any) -> Iterator[str]:
    yield from (f"[{str(key)[:80]}]" for key in labels if not re.fullmatch(LABEL, str(key)))


MATCH_LABELS = (
    Rule(
        "a key is a label name of Prometheus: letters, digits and underscores, a letter first",
        f"self.all(key, key.matches('^{LABEL}$'))",
        "",
        _label_names,
    ),
)
