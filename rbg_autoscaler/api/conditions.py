"""The conditions of an RbgAutoscaler and its roles, and the reasons they give: what the reference page tells.

AbleToScale, ScalingActive, ScalingLimited and ScaledToZero are HPA's, with its reasons.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConditionDoc:
    """What a condition means, and each reason it may give."""

    type: str
    meaning: str
    reasons: tuple[tuple[str, str, str], ...]
    """(status, reason, when)"""


CONDITIONS = (
    ConditionDoc(
        "AbleToScale",
        "Replica counts can be read and written; of the whole and of each role.",
        (
            ("True", "SucceededGetScale", "the role's replica count was read"),
            ("True", "SucceededRescale", "a new count was written"),
            ("True", "ReadyForNewScale", "no window holds the number"),
            ("True", "ScaleUpStabilized", "a smaller number asked for within the window holds it down"),
            ("True", "ScaleDownStabilized", "a larger number asked for within the window holds it up"),
            ("False", "FailedUpdateScale", "the write was refused or failed"),
        ),
    ),
    ConditionDoc(
        "ScalingActive",
        "The metrics give a number; of the whole and of each role.",
        (
            ("True", "ValidMetricFound", "at least one metric asks for a number that is used"),
            ("False", "ScalingDisabled", "the role has 0 replicas, by somebody else's hand"),
            (
                "False",
                "FailedGetSignalMetric",
                "the first metric that failed is a signal; else:",
            ),
            ("False", "FailedGetPodsMetric", "a Pods metric"),
            ("False", "FailedGetObjectMetric", "an Object metric"),
            ("False", "FailedGetExternalMetric", "an External metric"),
            ("False", "FailedGetQueryMetric", "a Query metric"),
        ),
    ),
    ConditionDoc(
        "ScalingLimited",
        "Bounds or rate limits cut the number; of the whole and of each role.",
        (
            ("False", "DesiredWithinRange", "they did not"),
            ("True", "TooFewReplicas", "minReplicas did"),
            ("True", "TooManyReplicas", "maxReplicas did"),
            ("True", "ScaleUpLimit", "the limit of the rate of raising did"),
            ("True", "ScaleDownLimit", "the limit of the rate of lowering did"),
        ),
    ),
    ConditionDoc(
        "ScaledToZero",
        "The controller itself brought the role to 0, and may wake it; of a role.",
        (
            ("True", "ScaledToZero", "it did"),
            ("False", "NotScaledToZero", "it did not"),
        ),
    ),
)
