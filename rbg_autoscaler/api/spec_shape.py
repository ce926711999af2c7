"""The spec of an RbgAutoscaler on the wire: the fields of `types.py` with their bounds.

Where the wire differs from the dataclass (quantities, HPA's nesting of metrics), the field is spelt out here.
"""

from __future__ import annotations

from dataclasses import replace

from rbg_autoscaler.api import metric_rules, ratio_rules, role_rules
from rbg_autoscaler.api.shape import (
    Choice,
    Field,
    Integer,
    Listing,
    Quantity,
    Record,
    Table,
    Text,
    choice,
    record,
)
from rbg_autoscaler.api.types import (
    Behavior,
    Coordination,
    LabelRequirement,
    PolicyType,
    RbgAutoscalerSpec,
    RoleKind,
    RoleSpec,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Signal,
    StartUp,
    TargetType,
)

MAX_REPLICAS = 10_000
MAX_ROLES = 16
MAX_METRICS = 16

DNS_LABEL = Text(63, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", like="lower-case letters, digits and inner dashes")
OBJECT_NAME = Text(
    253, r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", like="lower-case letters, digits and inner dashes and dots"
)
METRIC_NAME = Text(200, r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", like="letters, digits, _ and :, no digit first")
LABEL_NAME = Text(63, f"^{metric_rules.LABEL}$", like="letters, digits and underscores, a letter first")
LABEL_VALUE = Text(253, minimum=0)
POSITIVE = Quantity()

TARGET = Record(
    (
        Field("type", choice(TargetType), "Which of the other three fields is set.", required=True),
        Field("averageValue", POSITIVE, "Level of the metric's sum divided by the replicas."),
        Field("value", POSITIVE, "Level of the metric itself, whatever the replicas."),
        Field("averageUtilization", Integer(1, 10_000), "Level in percent of what a replica has."),
    ),
    "The level that a metric is held to, as in autoscaling/v2.",
    metric_rules.TARGET,
)

SELECTOR = Record(
    (
        Field(
            "matchLabels",
            Table(LABEL_VALUE, 16, metric_rules.MATCH_LABELS),
            "Labels with exactly these values.",
        ),
        Field(
            "matchExpressions",
            Listing(
                record(
                    LabelRequirement,
                    rules=metric_rules.REQUIREMENT,
                    key=LABEL_NAME,
                    operator=Field(
                        "operator",
                        Choice(("In", "NotIn", "Exists", "DoesNotExist")),
                        "How a label is held against `values`.",
                        required=True,
                    ),
                    values=Listing(LABEL_VALUE, 32),
                ),
                16,
            ),
            "Conditions on labels, all of which hold.",
        ),
    ),
    "Which series of the metric count.",
)

IDENTIFIER = Record(
    (
        Field("name", METRIC_NAME, "Name of the series in Prometheus.", required=True),
        Field("selector", SELECTOR, "Which series of that name count; absent: all of the namespace."),
    ),
    "A metric, as autoscaling/v2 names it.",
)

DESCRIBED_OBJECT = Record(
    (
        Field("apiVersion", Text(253), "As in autoscaling/v2; the series is found by kind and name."),
        Field(
            "kind",
            Text(63, r"^[a-zA-Z][a-zA-Z0-9]*$", like="letters and digits, a letter first"),
            "In lower case the label that names the object.",
            required=True,
        ),
        Field("name", OBJECT_NAME, "The value of that label.", required=True),
    ),
    "The object that the metric describes.",
)


def _source(what: str, doc: str, *fields: Field, targets: tuple[str, ...]) -> Record:
    target = Field("target", TARGET, "The level to hold.", required=True)
    return Record((*fields, target), doc, (metric_rules.target_types(what, *targets),))


_METRIC_FIELD = Field("metric", IDENTIFIER, "The series.", required=True)
_TOTAL = ("Value", "AverageValue")

PODS = _source(
    "a Pods",
    "HPA's Pods metric: a series with a `pod` label, averaged over the role's pods.",
    _METRIC_FIELD,
    targets=("AverageValue",),
)
OBJECT = _source(
    "an Object",
    "HPA's Object metric: one value describing one object, found by the label named like its kind.",
    Field("describedObject", DESCRIBED_OBJECT, "The object that the metric describes.", required=True),
    _METRIC_FIELD,
    targets=_TOTAL,
)
EXTERNAL = _source(
    "an External",
    "HPA's External metric: all matching series of the namespace, summed.",
    _METRIC_FIELD,
    targets=_TOTAL,
)
QUERY = _source(
    "a Query",
    "A PromQL expression of the user's own, where the administrator allows it.",
    Field("name", METRIC_NAME, "What status and messages call it.", required=True),
    Field(
        "promql", Text(4096), "Confined to series of the autoscaler's namespace; all values are summed.", True
    ),
    targets=_TOTAL,
)

METRIC = Record(
    (
        Field("type", Choice(tuple(metric_rules.MEMBERS)), "Which kind of source.", default="Signal"),
        Field("signal", choice(Signal), "Type Signal: the load measure, read as the engine's preset says."),
        Field("target", TARGET, "Type Signal: the level to hold, per replica."),
        Field("pods", PODS, "Type Pods: HPA's source of that name."),
        Field("object", OBJECT, "Type Object: HPA's source of that name."),
        Field("external", EXTERNAL, "Type External: HPA's source of that name."),
        Field("query", QUERY, "Type Query: PromQL of the user's own."),
    ),
    "One of the engine's signals, or a metric in the form of autoscaling/v2.",
    metric_rules.METRIC,
)


def _policy(kind: PolicyType, value: int) -> dict[str, object]:
    return {"type": str(kind), "value": value, "periodSeconds": 15}


_UP = [_policy(PolicyType.PODS, 4), _policy(PolicyType.PERCENT, 100)]
_DOWN = [_policy(PolicyType.PERCENT, 100)]


def _rules(policies: list[dict[str, object]], window: Field) -> Record:
    """HPA's rules of one direction; its defaults hold only once there is a behavior."""
    limits = record(ScalingPolicy, value=Integer(1, 100_000), period_seconds=Integer(1, 1800))
    return record(
        ScalingRules,
        policies=Field("policies", Listing(limits, 16, 1), default=policies),
        select_policy=choice(SelectPolicy),
        stabilization_window_seconds=window,
        tolerance=Field(
            "tolerance",
            Quantity(zero=True),
            "Relative distance from the target within which nothing changes; absent: the controller's, 0.1.",
        ),
    )


_WINDOW = Field("stabilizationWindowSeconds", Integer(0, 3600))
BEHAVIOR = record(
    Behavior,
    scale_up=Field(
        "scaleUp",
        _rules(_UP, replace(_WINDOW, doc="Raise only to the least asked for within this time.", default=0)),
        default={},
    ),
    scale_down=Field(
        "scaleDown",
        _rules(
            _DOWN,
            replace(
                _WINDOW,
                doc="Lower only to the most asked for within this time; absent: the controller's, 300.",
            ),
        ),
        default={},
    ),
)

ROLE = record(
    RoleSpec,
    rules=role_rules.ROLE,
    name=DNS_LABEL,
    kind=Field("kind", choice(RoleKind)),
    min_replicas=Field("minReplicas", Integer(0, MAX_REPLICAS), default=1),
    max_replicas=Integer(1, MAX_REPLICAS),
    metrics=Listing(METRIC, MAX_METRICS, 1, rules=metric_rules.METRICS),
    gang_step=Integer(1, MAX_REPLICAS),
    behavior=BEHAVIOR,
    start_up=record(StartUp, deadline_seconds=Integer(1, 7200), settle_seconds=Integer(0, 3600)),
)

COORDINATION = record(
    Coordination,
    rules=ratio_rules.RATIO,
    numerator=DNS_LABEL,
    denominator=DNS_LABEL,
    min_ratio_milli=Field("minRatio", POSITIVE),
    max_ratio_milli=Field("maxRatio", POSITIVE),
)

TARGET_REF = Record(
    (Field("name", OBJECT_NAME, "A RoleBasedGroup in this namespace.", required=True),),
    "The group whose roles are scaled.",
    role_rules.TARGET_REF,
)

SPEC = record(
    RbgAutoscalerSpec,
    rules=ratio_rules.SPEC,
    target=Field(
        "targetRef", TARGET_REF, "The group whose roles are scaled; cannot be changed.", required=True
    ),
    roles=Listing(ROLE, MAX_ROLES, 1, ("name",), role_rules.ROLES),
    metrics_source=DNS_LABEL,
    coordination=Listing(
        COORDINATION, MAX_ROLES, keys=("numerator", "denominator"), rules=ratio_rules.COORDINATION
    ),
)
